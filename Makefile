PYTHON := .venv/bin/python
.DEFAULT_GOAL := help
.PHONY: help run test setup check bench bench-check load lock clean
MAKEFLAGS += --no-print-directory

help: ## Say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST)

run: ## Set up what is missing and run everything; Ctrl-C stops it
	@bin/setup && exec $(PYTHON) manage.py quickstart

test: ## Run the whole test suite on private servers of its own
	@# Compiled once, before the processes that share the tests would each do it.
	@bin/setup dev && $(PYTHON) manage.py warm_kernels && exec $(PYTHON) -m pytest -rs -n auto --dist worksteal

setup: ## Only install: Python packages and browser assets
	@bin/setup

check: ## Formatter, linter, types, Django's checks, missing migrations
	@bin/setup dev
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m mypy .
	@$(PYTHON) manage.py check
	@# Without a database it cannot compare with what was applied, and says so; the files are what counts here.
	@$(PYTHON) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run

bench: ## Run every benchmark and write docs/PERFORMANCE.md
	@bin/bench

bench-check: ## Compare ratios with the committed ones; fails when one is over 30 % worse
	@bin/bench --check $(OPTIONS)

load: ## Users on the pages of real processes, ever more bots beside them; OPTIONS="--users 50 --json"
	@bin/bench --print load $(OPTIONS)

lock: ## Write the exact versions anew from the ranges in pyproject.toml
	@bin/setup dev
	@.venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header -o requirements.txt pyproject.toml
	@.venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --extra tracing -o requirements-tracing.txt pyproject.toml
	@.venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --extra dev -o requirements-dev.txt pyproject.toml

clean: ## Remove what set-up made; your data in var/ stays
	@rm -rf .venv node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
