"""Page Environments: the engines, and what can be done with each."""
