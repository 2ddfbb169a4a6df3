# Two commands matter: `make demo` and `make test`. Both set up what they need first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BUF := node_modules/@bufbuild/buf-linux-x64/bin/buf

.PHONY: help demo test check lint types imports stubs contracts tests bench proto setup setup-dev clean

help:            ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

$(VENV)/runtime.stamp: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Lianqiao needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing Lianqiao into $(VENV) (a few minutes the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/runtime.stamp
	@echo "Installing the development tools ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

node_modules/.package-lock.json: package.json package-lock.json
	@if command -v npm >/dev/null; then npm ci --no-audit --no-fund --loglevel=error; \
	else echo "npm not found: contract rebuild and anvil tests will be skipped (install Node.js 20 or newer to run them)"; mkdir -p node_modules; touch $@; fi

setup: $(VENV)/runtime.stamp           ## create .venv and install
setup-dev: $(VENV)/dev.stamp node_modules/.package-lock.json   ## also the development tools

demo: setup      ## run the main job on measured telemetry; writes demo-output/
	@$(BIN)/lianqiao demo --output demo-output

test: setup-dev check tests   ## lint, types, import rules, stubs, contracts and all tests

check: lint types imports stubs contracts

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

imports:
	$(BIN)/lint-imports

stubs:
	PYTHON=$(BIN)/python tools/generate_stubs.sh --check
	@if [ -x $(BUF) ]; then $(BUF) lint && echo "protobuf lint: buf STANDARD and COMMENTS hold"; \
	else echo "protobuf lint SKIPPED: npm @bufbuild/buf-linux-x64 is not installed"; fi

contracts:
	@if [ -d node_modules/solc ]; then $(BIN)/python -m hk_l2.build --check; \
	else echo "contract rebuild SKIPPED: npm solc is not installed"; fi

tests:
	$(BIN)/pytest -n 2 --dist loadscope -q

bench: setup-dev ## measure; writes bench-output/main.json
	$(BIN)/python -m tests.benchmarks.run

proto: setup-dev ## regenerate the protobuf stubs
	PYTHON=$(BIN)/python tools/generate_stubs.sh

clean:           ## remove generated output (not the environment)
	rm -rf demo-output bench-output .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
