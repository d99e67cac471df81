"""Fetching a model from a hub: what there is to fetch, where it lies until it is whole, and what can go wrong."""
