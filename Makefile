# One place for every job. `make` lists them; ARGS="..." is passed on to demo, test and bench.

# The first Python on PATH that is new enough; override with PYTHON=/path/to/python3.12.
PYTHON ?= $(shell for candidate in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$candidate" && break; \
	done)
SHELL := bash
UV ?= uv
ARGS ?=

BIN := .venv/bin
INSTALLED := .venv/installed
TEST_LAB := test

.DEFAULT_GOAL := help
.PHONY: help venv demo test lint bench docs crds lock clean
# Two jobs of this file must never run beside each other: they share one lab and two cores.
.NOTPARALLEL:

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(INSTALLED) ## Make .venv; every target below does so too.

demo: $(INSTALLED) ## Replay a demand curve against a real cluster and show what Baseload does.
	@$(BIN)/baseload demo $(ARGS)

# The lab goes down whatever happened, also after Ctrl-C; the status stays that of the tests.
test: $(INSTALLED) ## Run every test inside a lab of its own.
	@trap '$(BIN)/baseload lab down --name $(TEST_LAB) >/dev/null' EXIT; trap 'exit 130' INT; trap 'exit 143' TERM; \
	$(BIN)/baseload lab exec --name $(TEST_LAB) --up --with lws --with prometheus-adapter -- $(BIN)/pytest $(ARGS)

lint: $(INSTALLED) ## Check style, types, layers and that generated files are fresh.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy docs/build.py
	$(BIN)/lint-imports
	$(BIN)/python -m baseload.api.crdgen --check
	$(BIN)/python docs/build.py --check

bench: $(INSTALLED) ## Measure; writes build/bench/NAME.json.
	@$(BIN)/baseload bench $(ARGS)

docs: $(INSTALLED) ## Write docs/reference/ from the code and the CRDs.
	@$(BIN)/python docs/build.py

crds: $(INSTALLED) ## Write crds/ from the models.
	@$(BIN)/python -m baseload.api.crdgen

lock: ## Renew requirements.lock (needs uv).
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: pip install uv, or UV=/path/to/uv" >&2; exit 2; }
	@printf 'hatchling>=1.27\neditables\n' | $(UV) pip compile pyproject.toml - --output-file requirements.lock --upgrade \
		--all-extras --universal --python-version 3.11 --generate-hashes --no-annotate --quiet \
		--custom-compile-command 'make lock'

clean: ## Remove .venv, build/ and caches of this checkout; the lab's binaries in the user's cache stay.
	@rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find operator tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment: every package with its hash, then this checkout as an editable install. An interrupted run is
# taken up again: pip keeps what it fetched, and a .venv without a working pip is made anew.
$(INSTALLED): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { \
		echo "Baseload needs Python 3.11 or newer and found none on PATH; install one or pass PYTHON=/path/to/python3.12" >&2; \
		exit 2; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "PYTHON=$(PYTHON) is not Python 3.11 or newer; pass PYTHON=/path/to/python3.12" >&2; exit 2; }
	@$(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "[1/3] creating .venv with $$("$(PYTHON)" --version)"; \
		"$(PYTHON)" -m venv --clear .venv || { \
			echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; \
			exit 2; }; }
	@echo "[2/3] installing the locked packages"
	@set -o pipefail; \
		$(BIN)/python -m pip install --disable-pip-version-check --no-input --require-hashes --requirement requirements.lock \
		| sed -u -e '/^Requirement already satisfied/d' -e '/^Ignoring /d'
	@echo "[3/3] installing this checkout into .venv"
	@$(BIN)/python -m pip install --disable-pip-version-check --no-input --quiet --no-deps --no-build-isolation --editable .
	@touch $(INSTALLED)
