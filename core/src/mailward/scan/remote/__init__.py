"""Scans on other hosts: the scan server, and a gateway's connections to several of them."""
