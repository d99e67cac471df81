"""Page Search: one search over everything, what it found, and the documentation read in the panel"""
