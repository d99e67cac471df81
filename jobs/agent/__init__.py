"""Agents: tools that really run, and the turns in which a model calls them. Nothing here is imported by the panel."""
