"""The durable queue: one file a message, crash-safe at every step.

Imports values and hooks; delivery and gateway are built on it.
"""
