"""A model as a server: from a wish to its settings, what helps when it fails, how loaded it is, how programs reach it."""
