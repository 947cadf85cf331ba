"""Values: frozen records without I/O that every other layer speaks in.

Lowest layer: imports nothing of Mailward but itself.
"""
