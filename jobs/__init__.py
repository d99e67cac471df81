"""One program per verb: ``python -m jobs.<verb> spec.json``. Runs without the panel; the only room that loads torch."""
