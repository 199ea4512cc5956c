# The everyday commands. `.venv` makes itself from the hash-locked requirements whenever they change;
# all that a fresh machine needs is make and Python 3.11 or newer.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := .venv/bin
INSTALLED := .venv/.installed
# The lock is whole, so nothing is resolved here (pip would also trip over extras in its hash mode).
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps
LOCKS := runtime dev
COMPILE := uv pip compile --quiet --generate-hashes --universal --python-version 3.11 pyproject.toml
runtime_OPTIONS :=
dev_OPTIONS := --group dev

# The newest Python ≥ 3.11 that can make a virtual environment; `make PYTHON=…` overrides.
define FIND_PYTHON
for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python3.14); do \
  if "$$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
    break; \
  fi; \
  python=; \
done; \
if [ -z "$$python" ]; then \
  echo "cryptocontent needs Python 3.11 or newer with its venv module; found: $$( \
    $(or $(PYTHON),python3) --version 2>&1 || true)" >&2; \
  exit 1; \
fi
endef

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z.-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' Makefile

.PHONY: .venv
.venv: $(INSTALLED) ## Make or update the virtual environment
	@:

$(INSTALLED): requirements/dev.txt pyproject.toml
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  $(FIND_PYTHON); \
	  echo "Making .venv with $$("$$python" --version); installing takes a minute or two"; \
	  "$$python" -m venv --clear .venv; \
	else \
	  echo "Bringing .venv up to the lock"; \
	fi
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@$(INSTALL) --no-build-isolation -e .
	@touch $@

.PHONY: demo
demo: .venv ## The main job on the sample project: references in, cited articles out
	@$(BIN)/cryptocontent demo

.PHONY: dev
dev: .venv ## Start everything under one supervisor; one Ctrl-C stops all; FAKES=1: with fakes of every vendor
	@$(if $(FAKES),$(BIN)/python -m tests.fakes )$(BIN)/cryptocontent dev

.PHONY: test
test: .venv ## All the tests
	@$(BIN)/python -m pytest -n 2 --dist worksteal

.PHONY: lint
lint: .venv ## Lint and formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

.PHONY: types
types: .venv ## Types, strict on the domain rooms
	@$(BIN)/mypy

.PHONY: imports
imports: .venv ## Who may import whom
	@$(BIN)/lint-imports --no-logo 2>&1

.PHONY: bench
bench: .venv ## Benchmarks, as ratios
	@$(BIN)/python -m benchmarks

.PHONY: lock
lock: .venv ## Write the locks again; versions stay unless pyproject.toml moves them
	@$(foreach lock,$(LOCKS),$(BIN)/$(COMPILE) $($(lock)_OPTIONS) -o requirements/$(lock).txt >/dev/null;)

# uv prefers the versions that the output file already names: a newer release changes nothing, a
# pyproject.toml that the lock does not satisfy does. The header names the command, so it is left out.
.PHONY: lock-check
lock-check: .venv ## Fail where pyproject.toml and the locks disagree
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	$(foreach lock,$(LOCKS), \
	  cp requirements/$(lock).txt "$$folder/"; \
	  $(BIN)/$(COMPILE) $($(lock)_OPTIONS) -o "$$folder/$(lock).txt" >/dev/null; \
	  diff -u <(grep -v '^#' requirements/$(lock).txt) <(grep -v '^#' "$$folder/$(lock).txt") \
	    || { echo "requirements/$(lock).txt does not follow from pyproject.toml: run make lock" >&2; exit 1; };) \
	echo "The locks follow from pyproject.toml"

.PHONY: clean
clean: ## Remove the virtual environment and every cache; .cryptocontent/ stays
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
