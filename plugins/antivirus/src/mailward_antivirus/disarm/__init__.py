"""Disarming: what acts in a document is taken out, everything else stays (SAV-AV-04 repair, KAV-SCN-03 cure).

`disarm.disarm` knows which content is disarmed how, `repairer` makes a repairer of it; the other modules are a
format each.
"""
