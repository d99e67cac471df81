# `make` alone lists what there is. Every path here is relative, so the checkout may lie in a folder with blanks in its name.

.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv/bin
export PYTHON
ARGS ?=
NAME =

.PHONY: help setup setup-dev run token engines test test-engines test-course doctor check bench translate docs lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: ## make .venv from the pinned requirements (run and test do it when needed)
	@python=$$(sh scripts/find_python.sh) && "$$python" scripts/setup.py

setup-dev: # setup and the tools that test, check, bench and translate need
	@python=$$(sh scripts/find_python.sh) && "$$python" scripts/setup.py --dev

run: setup ## start the panel and print its link; ARGS="--help" lists its options
	@exec $(VENV)/python -m backend panel start $(ARGS)

token: setup ## print a fresh link to the running panel; older links stop working
	@$(VENV)/python -m backend panel link --new

engines: setup ## install LMDeploy, XTuner and all others; NAME=xtuner for one of them
	@exec $(VENV)/python -m backend envs install $(if $(NAME),"$(NAME)",--all) $(ARGS)

doctor: setup ## look at this machine: what would spoil your day, and what to do; ARGS="--report" to hand it on
	@$(VENV)/python -m backend doctor $(ARGS)

test: setup-dev ## run all tests; ARGS="-k queue" for some of them
	@sh scripts/install_browser.sh
	@sh scripts/test.sh $(ARGS)

test-engines: setup-dev ## install the engines where they are missing and test them for real; NAME=xtuner for one of them
	@folder="$${TUNEDECK_TEST_ENVIRONMENTS:-$$HOME/.tunedeck/environments}" && export TUNEDECK_TEST_ENVIRONMENTS="$$folder" && \
	TUNEDECK_ENVIRONMENTS_FOLDER="$$folder" $(VENV)/python -m backend envs install $(if $(NAME),"$(NAME)",--all) && \
	$(VENV)/python -m pytest -m engines $(if $(NAME),tests/engines/test_$(NAME).py,tests/engines) $(ARGS)

test-course: setup-dev ## play the whole course in a browser, undisturbed and with the panel killed between its steps
	@sh scripts/install_browser.sh
	@$(VENV)/python -m pytest tests/e2e/test_course.py $(ARGS)

check: setup-dev ## linter, formatter, layers, types, texts and documents
	@sh scripts/check.sh

bench: setup-dev ## measure speed and memory, print a table, write docs/benchmarks.md
	@sh scripts/install_browser.sh
	@$(VENV)/python -m tests.bench.table $(ARGS)

translate: setup-dev ## collect all texts into locale/, then compile the catalogues
	@$(VENV)/python scripts/catalogues.py

docs: setup-dev ## write the parts of the documents that come from the code
	@$(VENV)/python scripts/tree.py
	@$(VENV)/python scripts/troubleshooting.py

lock: setup-dev ## write constraints.txt from the requirement files
	@$(VENV)/python scripts/lock.py

clean: ## remove caches and test results; keeps .venv and every workspace
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis test-results
	@find . -name __pycache__ -type d -not -path "./.venv/*" -prune -exec rm -rf {} +
