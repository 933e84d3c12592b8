# `make run` and `make test` need only Python 3.11 or newer with venv, make and git.
PYTHON ?= python3
MODEL ?= rehearsal
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install run test fast lint clean

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

# The example day on the real Claude Code CLI and a scripted model; or, with your own account:
#   make run MODEL=live PROJECT=~/code/shop TASKS=~/days/2026-11-22.yaml
run: install
	$(BIN)/python examples/run.py --model $(MODEL) $(if $(PROJECT),--project $(PROJECT)) $(if $(TASKS),--tasks $(TASKS))

test: install lint
	$(BIN)/python -m pytest -n 2 --dist loadgroup

fast: install
	$(BIN)/python -m pytest -n 2 -m "not slow"

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) build dist
