"""Benchmarks: how fast a server answers under load, and which set-up of a model is the best one.

    columns      the figures of one measurement, named as in LMDeploy's own table
    prompts      what is asked: bundled, ShareGPT JSON, JSONL
    knee         latency against load, and where more people only wait longer
    records      what a measurement leaves: bench.json, requests.jsonl
    notices      what one has to know to read its figures rightly
    keys         keys of servers that are not ours, by name
    matrix       set-ups x sizes -> rows of a table; presets makes them, export takes them along
    results      what any job measured, in that one shape, and its curves

No HTTP client here: the programs are ``jobs/bench.py``, ``jobs/bench_matrix.py`` and ``jobs/benching/``.
"""
