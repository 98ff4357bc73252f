# From a bare machine (python3 >= 3.11, pip, make, git; no root): `make try` mends photos,
# `make test` passes the tests. Both set up everything they need in .venv first.

PYTHON ?= python3
UV := PYTHONPATH=.boot $(PYTHON) -m uv
BIN := .venv/bin
GALLERY ?=

.PHONY: try test lint types check bench chaos clean

try: .venv/ready
	$(BIN)/python -m daemon.demo $(if $(GALLERY),--gallery "$(GALLERY)")

test: .venv/ready
	$(BIN)/pytest

lint: .venv/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/ready
	$(BIN)/mypy

check: .venv/ready
	rm -rf .venv/check && PHOTOMEND_STATE_DIR=$(CURDIR)/.venv/check $(BIN)/python -m daemon.cli migrate
	PHOTOMEND_STATE_DIR=$(CURDIR)/.venv/check $(BIN)/alembic check

bench: .venv/ready
	$(BIN)/python tests/bench.py

chaos: .venv/ready
	$(BIN)/python tests/chaos.py

# uv makes .venv itself: Debian's python may lack the venv module.
.venv/ready: pyproject.toml uv.lock
	$(PYTHON) -m pip install --quiet --upgrade --target .boot uv
	$(UV) sync --frozen --compile-bytecode --python $(PYTHON)
	touch $@

clean:
	rm -rf .venv .boot try bench.json chaos.json
