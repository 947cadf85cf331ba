"""The door for plugins: hook specifications, markers, the plugin base, settings, context."""
