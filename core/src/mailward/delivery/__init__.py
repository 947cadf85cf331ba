"""Delivery: attempts, retries and delivery status notifications, on top of the spool."""
