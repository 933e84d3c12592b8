# `make run` and `make test` need only Python 3.11 or newer with venv, make and git.
PYTHON ?= python3
MODEL ?= rehearsal
MINUTES ?= 30
FAULTS ?= not soak
# Fault tests wait as much as they work: four at once where there are fewer processors.
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN) && [ "$$n" -gt 4 ] && echo "$$n" || echo 4)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OLDEST := $(VENV)/claude-2.1.197

.PHONY: install run test faults mutants soak fast lint clean

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

# The oldest Claude Code that is supported; where there is no npm, tests of it are left out.
$(OLDEST): $(STAMP)
	if command -v npm >/dev/null; then npm install --silent --no-save --no-audit --no-fund --ignore-scripts \
	    --prefix $(OLDEST) @anthropic-ai/claude-code@$(OLDEST:$(VENV)/claude-%=%) && touch $(OLDEST); fi

# Everything but the fault table, which has a command of its own.
test: install lint $(OLDEST)
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not loop and not soak" --ignore tests/faults --durations 40 --durations-min 10

# Every row of the fault table that a push must survive, the long kill loops too, and the table of what was survived.
faults: install
	$(BIN)/python -m pytest tests/faults -n $(WORKERS) --dist load --maxschedchunk 1 -m "$(FAULTS)" --durations 60 --durations-min 10

# Each seeded bug, planted in a copy of the program, must make its fault test fail.
mutants: install
	$(BIN)/python tests/faults/mutants.py $(ROWS)

# Agents in waves, random kills, slow readers: memory and open files of the daemon and its shims must not grow.
soak: install
	$(BIN)/python tests/faults/soak.py --minutes $(MINUTES)

fast: install
	$(BIN)/python -m pytest -n 2 -m "not slow and not loop and not soak"

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) build dist
