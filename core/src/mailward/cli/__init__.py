"""The command line. Top layer: nothing imports it, and heavy things are imported where a command needs them."""
