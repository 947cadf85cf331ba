"""Heuristics in the manner of Bloodhound: marks of harm that need no signature, weighed (SAV-AV-01, SMS-AV-01).

`examine.examine` finds the traits of a part, `assess.Heuristics` adds up those of a document and holds the sum
against the level, `engine` makes an engine of it. The weights stand in `weights`, one table, from which
docs/heuristics.md is drawn.
"""
