"""Datasets: rows that a model can be taught with."""
