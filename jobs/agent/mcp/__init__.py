"""MCP servers that people bring: their tools, called like ours. ``sessions.Sessions`` is the way in."""
