#!/bin/sh
# What every change has to pass, the same here, in pre-commit and in CI. Layering is in ruff's rules (*/ruff.toml).
set -ex
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
.venv/bin/python scripts/catalogues.py --check
.venv/bin/python scripts/tree.py --check
.venv/bin/python scripts/troubleshooting.py --check
