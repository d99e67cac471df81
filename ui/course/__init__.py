"""Page Course, and the line that leads back to it."""
