"""Benchmarks: how fast a server answers under load, and which set-up of a model is the best one.

    columns      the figures of one measurement, named as in LMDeploy's own table
    prompts      what is asked: bundled, ShareGPT JSON, JSONL
    knee         latency against load, and where more people only wait longer
    matrix       set-ups x sizes -> rows of a table; presets, exports

No HTTP client here: the programs are ``jobs/bench.py``, ``jobs/bench_matrix.py`` and ``jobs/benching/``.
"""
