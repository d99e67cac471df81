"""Memory: what this machine has, who uses it, what will fit."""
