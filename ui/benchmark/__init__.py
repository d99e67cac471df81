"""Page Benchmark: loads, the matrix of set-ups, and what was measured."""
