# `make` alone lists what there is. Every path here is relative, so the checkout may lie in a folder with blanks in its name.

.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv/bin
export PYTHON
ARGS ?=

.PHONY: help setup setup-dev run token test check bench translate lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: ## make .venv from the pinned requirements (run and test do it when needed)
	@python=$$(sh scripts/find_python.sh) && "$$python" scripts/setup.py

setup-dev: # setup and the tools that test, check, bench and translate need
	@python=$$(sh scripts/find_python.sh) && "$$python" scripts/setup.py --dev

run: setup ## start the panel and print its link; ARGS="--help" lists its options
	@exec $(VENV)/python -m backend panel start $(ARGS)

token: setup ## print a fresh link to the running panel; older links stop working
	@$(VENV)/python -m backend panel link --new

test: setup-dev ## run all tests; ARGS="-k queue" for some of them
	@sh scripts/install_browser.sh
	@$(VENV)/python -m pytest -m "not bench and not gpu" $(ARGS)

check: setup-dev ## linter, formatter, layers, types, texts and documents
	@sh scripts/check.sh

bench: setup-dev ## measure speed and memory, print a table, write docs/benchmarks.md
	@sh scripts/install_browser.sh
	@$(VENV)/python -m tests.bench.table $(ARGS)

translate: setup-dev ## collect all texts into locale/, then compile the catalogues
	@$(VENV)/python scripts/catalogues.py

lock: setup-dev ## write constraints.txt from the requirement files
	@$(VENV)/python scripts/lock.py

clean: ## remove caches and test results; keeps .venv and every workspace
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis test-results
	@find . -name __pycache__ -type d -not -path "./.venv/*" -prune -exec rm -rf {} +
