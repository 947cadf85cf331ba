"""The engine: loads plugins, calls them, applies policy, combines decisions. No sockets, no files of its own."""
