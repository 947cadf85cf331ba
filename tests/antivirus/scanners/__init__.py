"""Scanners of the tests: real ones started, and ones that misbehave."""
