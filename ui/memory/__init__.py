"""Page Memory: who uses it, what was recorded, what will fit."""
