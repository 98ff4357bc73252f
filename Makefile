# From a bare machine (python3 >= 3.11, pip, make, git; no root): `make try` mends photos,
# `make test` passes the tests. Both set up everything they need in .venv first.

# No Python started here imports modules from the current folder.
export PYTHONSAFEPATH := 1

PYTHON ?= python3
UV := PYTHONPATH=.boot $(PYTHON) -m uv
# If another wheel of OpenCV is removed from .venv, files of the headless one go with it.
SYNC := $(UV) sync --frozen --compile-bytecode --reinstall-package opencv-python-headless \
  --python $(PYTHON)
BIN := .venv/bin
GALLERY ?=
NETWORKS := torch==2.13.0 onnx==1.23.2 safetensors==0.8.0 accelerate==1.15.0 aiohttp==3.14.5 \
  diffusers==0.42.1 imagesize==2.0.1 paddlex==3.7.2 polars==2.1.0 pypdfium2==5.15.2 \
  python-bidi==0.6.12 transformers==5.24.0
# They ask for torchvision, which asks for the torch that it was built for, gigabytes of CUDA; or for
# a wheel of OpenCV that would overwrite the headless one.
BESIDE_TORCH := torchvision==0.28.0 spandrel==0.4.2 spandrel_extra_arches==0.2.0 einops==0.8.2 \
  paddleocr==3.7.0 ultralytics==8.4.190

PHOTOS ?= ../shared/photos/clear/tiles512
GOOD ?= $(wildcard $(addprefix ../shared/photos/clear/,food_pd photos_full kodak))
RESEARCH ?= $(wildcard ../shared/photos/research)
SCENES ?= $(GOOD) $(wildcard ../shared/photos/clear/grocery)
NETS := noise compression softness motion classifier reflection
STEPS ?= 10000

.PHONY: try test lint types check paper bench bench-networks chaos train evaluate clean

try: .venv/ready
	$(BIN)/photomend demo $(if $(GALLERY),--gallery "$(GALLERY)")

test: .venv/networks
	$(BIN)/pytest

# The libraries of the paper's engine: some gigabytes, as torch comes with CUDA.
paper: .venv/ready
	$(SYNC) --extra paper

lint: .venv/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache --no-logo

types: .venv/networks
	$(BIN)/mypy

check: .venv/ready
	rm -rf .venv/check && PHOTOMEND_STATE_DIR=$(CURDIR)/.venv/check $(BIN)/python -m daemon.cli migrate
	PHOTOMEND_STATE_DIR=$(CURDIR)/.venv/check $(BIN)/alembic check

bench: .venv/ready
	$(BIN)/python tests/bench.py

bench-networks: .venv/networks
	$(BIN)/python tests/bench_networks.py

chaos: .venv/ready
	$(BIN)/python tests/chaos.py

# Fits the lite engine's nets to a folder of clean photos, and puts them into the package. GOOD are
# folders of photos as people keep them, which must not be blamed; SCENES may be small or noisy.
train: .venv/networks
	for net in $(NETS); do \
	  [ $$net = reflection ] && good="$(SCENES)" || good="$(GOOD)"; \
	  $(BIN)/python -m tasks.training.fit $$net --photos "$(PHOTOS)" --good $$good \
	    --steps $(STEPS) && $(BIN)/python -m tasks.training.export $$net || exit 1; done
	$(BIN)/python -m tasks.training.fit_fusion --photos "$(PHOTOS)" --good $(GOOD)

# Measures the lite engine on photos that it was not fitted to, and on real ones where there are
# any; then prints which targets are reached.
evaluate: .venv/networks
	$(BIN)/python -m tasks.training.testset --photos "$(PHOTOS)" --good $(GOOD) \
	  $(if $(RESEARCH),--research "$(RESEARCH)")
	mkdir -p out/report
	for set in synthetic real; do PHOTOMEND_CONFIG=/dev/null $(BIN)/photomend evaluate \
	  out/testset/$$set.csv --sheet out/report/$$set --json > out/report/$$set.json; done
	$(BIN)/python -m tasks.training.targets out/report

# What fitting and the tests of the paper engine need, beside the locked packages: pip finds a torch
# for this machine.
.venv/networks: .venv/ready
	$(PYTHON) -m pip --python $(BIN)/python install --quiet $(NETWORKS)
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --no-deps $(BESIDE_TORCH)
	touch $@

# uv makes .venv itself: Debian's python may lack the venv module.
.venv/ready: pyproject.toml uv.lock
	$(PYTHON) -m pip install --quiet --upgrade --target .boot uv
	$(SYNC)
	touch $@

clean:
	rm -rf .venv .boot try out bench.json chaos.json
