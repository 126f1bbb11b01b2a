# What a developer does here, each in one word. `make` alone lists them.
# Everything goes into .venv; a step is redone only when what it was made from has changed.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test djangos lint format bench bench-disruption wheel browser redis clean

help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 26

demo: $(VENV)/.demo ## the chat, on one machine: open the printed URL in two tabs; Ctrl-C ends it
	@exec $(BIN)/channels-bridge serve examples.chat.app:application --workers 2 $(ARGS)

# COVER=1 measures branches per source file, in every process, and fails below the floors. Tests that start processes wait
# most of the time: they run beside the others. The model tests run behind those, unmeasured: what they walk through a
# hundred thousand times is measured in tests/bridge/core.
test: $(VENV)/.test browser redis ## the whole test suite (ARGS="-k name" for some, COVER=1 for coverage per file)
ifdef COVER
	$(BIN)/coverage erase
	{ $(BIN)/coverage run $(BIN)/pytest -m "not system" --ignore=tests/model $(ARGS) \
	  && $(BIN)/pytest tests/model $(ARGS); } >.unit.log 2>&1 & others=$$!; \
	failed=0; \
	$(BIN)/coverage run $(BIN)/pytest -m system $(ARGS) || failed=1; \
	wait $$others || failed=1; \
	cat .unit.log; rm .unit.log; exit $$failed
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage json --quiet
	$(BIN)/python .ci/coverage_floor.py
else
	$(BIN)/pytest $(ARGS)
endif

lint: $(VENV)/.lint ## ruff, mypy, pyright, and the contracts on who imports what
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/pyright --pythonpath $(BIN)/python --project .src
	$(BIN)/lint-imports

format: $(VENV)/.lint ## rewrite the sources as `make lint` wants them
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.test ## every script in benchmarks/ (ARGS=--quick: under a minute each)
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script" $(ARGS); done

bench-disruption: $(VENV)/.test redis ## what clients notice when workers end, here and elsewhere (ARGS=--quick: a minute)
	@$(BIN)/python benchmarks/disruption.py $(ARGS)

# Built by way of the sdist, so that both are seen to be whole; then used where there is nothing but the wheel.
wheel: $(VENV)/.lint ## build the wheel, install it in an empty environment and use it there
	rm -rf dist
	$(BIN)/python -m build --quiet --outdir dist
	scratch=$$(mktemp -d); trap 'rm -rf "$$scratch"' EXIT; \
	cp .ci/wheel_check.py "$$scratch/"; \
	$(BIN)/python -m venv "$$scratch/venv"; \
	"$$scratch/venv/bin/pip" install --quiet "$$(echo "$$PWD"/dist/*.whl)[server,django]"; \
	cd "$$scratch" && venv/bin/python -u wheel_check.py

clean: ## forget everything that was made
	rm -rf $(VENV) build dist *.egg-info .coverage .coverage.* coverage.json
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

# Channels 1 on the other Djangos that are supported; `make test` has 5.2. One that lies in front of the environment's own
# is enough for 4.2; 6.0 wants a newer Python, and is left out where there is none.
djangos: $(VENV)/.django42 ## Channels 1 on Django 4.2, and on 6.0 if there is a Python 3.12
	PYTHONPATH=$(CURDIR)/$(VENV)/django42 $(BIN)/pytest -q tests/worker/legacy $(ARGS)
	@newer=$$(for python in python3.14 python3.13 python3.12 $$HOME/.pyenv/versions/3.1[234]*/bin/python; do \
	     $$python -c 'import sys; print(sys.executable)' 2>/dev/null && break; done || true); \
	if [ -z "$$newer" ]; then echo "no Python 3.12 here: Django 6.0 is not tried"; exit 0; fi; \
	test -e $(VENV)/django60/.done || { "$$newer" -m venv $(VENV)/django60 \
	     && $(VENV)/django60/bin/pip install --quiet --disable-pip-version-check --editable '.[server,test]' 'Django==6.0.*' \
	     && touch $(VENV)/django60/.done; }; \
	$(VENV)/django60/bin/python -m pytest -q tests/worker/legacy $(ARGS)

$(VENV)/.django42: | $(VENV)/.test
	$(BIN)/pip install --quiet --disable-pip-version-check --target $(VENV)/django42 'Django==4.2.*'
	@touch $@

# One test drives a real browser. Where none can be installed, that test says so and is skipped.
browser:
	@command -v chromium chromium-browser google-chrome >/dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "installing chromium for the browser test" \
	     && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } \
	|| echo "no chromium here: the browser test will be skipped"

# The engine for Redis is tried with a real server. Where none can be installed, its tests say so and are skipped.
# RUNLEVEL=1: Debian starts no service of it then.
redis:
	@command -v redis-server >/dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "installing redis-server for the engine's tests" \
	     && apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq redis-server >/dev/null; } \
	|| echo "no redis-server here: tests of the engine for Redis will be skipped"

# Debian's Python comes without the means to make an environment; they are a package of their own.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed: make PYTHON=...") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv $(VENV) \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
	     && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null \
	     && $(PYTHON) -m venv --clear $(VENV); }

$(VENV)/.demo: extras := server
$(VENV)/.test: extras := server,django,test
$(VENV)/.lint: extras := server,django,test,dev
$(VENV)/.%: setup.cfg pyproject.toml | $(BIN)/pip
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[$(extras)]'
	@touch $@
