"""Page Agent: a model with tools, and each of its steps."""
