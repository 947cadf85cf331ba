"""The supervisor: starts gateway processes, looks after them, and opens no mail itself.

It imports little, so that the process that must live on is small. Everything that needs the
configuration, the plugins or the queue is done by gateway processes; `mailward.gateway.link` is what
the two say to each other.
"""
