"""Page Deploy: servers that answer, and ways to connect to them."""
