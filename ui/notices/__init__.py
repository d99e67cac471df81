"""News in the panel: what ended, told once on any page, and on Home until it was read."""
