"""The durable queue: a journal for small messages, a file for others, crash-safe at every step.

Imports values and hooks; delivery and gateway are built on it.
"""
