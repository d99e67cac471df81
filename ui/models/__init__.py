"""Page Models: cards, choice, downloads, conversions."""
