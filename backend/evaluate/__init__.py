"""Evaluation: sets of questions, what models answered, scores with their intervals, and whether one model is better than another."""
