"""Page Jobs, and the job card that every page shows."""
