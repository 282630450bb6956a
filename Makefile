# `make` lists what can be made. Everything runs in .venv, which is made and filled on first use.
# Another interpreter: make PYTHON=python3.12 test

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PINS := pyproject.toml constraints.txt
ONLY ?=

.PHONY: help test lint demo claims bench docs clean

help: ## list the goals
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-8s %s\n", $$1, $$2}'

test: lint ## check everything that a change must pass
	@echo "== pytest"
	@$(BIN)/python -m pytest

lint: $(VENV)/dev.stamp ## style, types and import rules
	@echo "== ruff check"
	@$(BIN)/ruff check .
	@echo "== ruff format --check"
	@$(BIN)/ruff format --check .
	@echo "== mypy"
	@$(BIN)/mypy
	@echo "== lint-imports"
	@$(BIN)/lint-imports

demo: $(VENV)/demo.stamp ## icons and their names in one space, from nothing to searching
	@$(BIN)/commonspace demo

claims: $(VENV)/dev.stamp ## run the experiments behind the methods; ONLY=name runs one
	@$(BIN)/python -m claims $(ONLY)

bench: $(VENV)/dev.stamp ## compare speed with peers; ONLY=name runs one, ONLY=search the long one
	@$(BIN)/python -m bench $(ONLY)

docs: $(VENV)/docs.stamp ## build the documentation into site/
	@$(BIN)/mkdocs build --strict

clean: ## remove what was built or cached, but keep .venv
	@rm -rf build dist site demo .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis src/*.egg-info
	@find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(VENV)/made.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "commonspace needs Python 3.11 or newer; '$(PYTHON)' is not: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "== making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# dev brings all that demo needs, so it stands for both.
$(VENV)/dev.stamp: $(PINS) | $(VENV)/made.stamp
	@echo "== installing commonspace[dev]"
	@$(PIP) -e '.[dev]' -c constraints.txt
	@touch $@ $(VENV)/demo.stamp

$(VENV)/demo.stamp: $(PINS) | $(VENV)/made.stamp
	@echo "== installing commonspace[demo]"
	@$(PIP) -e '.[demo]' -c constraints.txt
	@touch $@

$(VENV)/docs.stamp: $(PINS) | $(VENV)/made.stamp
	@echo "== installing commonspace[docs]"
	@$(PIP) -e '.[docs]' -c constraints.txt
	@touch $@
