"""Quantizing: a smaller copy that still runs somewhere, and the measured proof that it is still good.

    kinds        the methods as facts; methods: which run on this machine, what can serve the result, and why not
    calibration  which texts a method looks at: bundled, a dataset's, or none
    plan         a spec on this machine: size, memory, time (sizes, forecast), and everything that is wrong with it (preflight*)
    report       base and copies side by side: figures, where they come from, and one sentence that recommends

No torch here: the programs are ``jobs/quantize.py``, ``jobs/report_card.py``, ``jobs/quantizing/`` and ``jobs/grading/``.
"""
