"""Scan processes: where content is opened, under limits, away from sockets and queue."""
