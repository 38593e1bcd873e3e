# Every target does its own set-up. Wanted: make, and Python 3.11 or newer with venv.
# PYTHON=... names another interpreter; EXTRA=cuda12 (cuda13, tpu) also installs JAX for that device,
# except in the environment that is compared with PyTorch.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

VENV := .venv
TORCH := .venv-torch
PY := $(VENV)/bin/python
PINNED := -m pip --disable-pip-version-check install -c constraints.txt
# Of what pip says, a line for each package that it fetches; errors and warnings are elsewhere.
FETCHED := { grep --line-buffered -oE '^ *(Downloading|Using cached) .*\.whl( \(.*)?$$|^Installing [a-z ]*' || true; }
LISTS := pyproject.toml constraints.txt
JOBS := $(shell nproc 2>/dev/null || echo 2)
comma := ,
also = $(if $(EXTRA),$(comma)$(EXTRA))

# The first of these that runs, is new enough and can make environments.
CANDIDATES := $(or $(PYTHON),python3.11 python3.12 python3)
define find_python
for python in $(CANDIDATES); do \
	if "$$python" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then break; fi; python=; \
done; \
if [ -z "$$python" ]; then \
	echo "wanted Python 3.11 or newer with its venv module; tried $(CANDIDATES)" >&2; exit 1; \
fi
endef

.PHONY: help demo quick test test-web coverage lint parity parity-full wheel release bench-accelerator bench-separate container
.PHONY: learning fuzz bench-train bench-aimless bench-modern bench-slicq bench-loader bench-augment bench-evaluate bench-live bench-long bench-serve bench-web bench-cluster scores where choose demo-model clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/core ## separate the bundled clip with the bundled model
	@$(PY) separate.py xumx_jax/assets/demo.flac --model demo --out separated

quick: $(VENV)/dev ## run the tests that are not marked slow: under 3 minutes on two cores
	@$(PY) -m pytest -q -n $(JOBS) -m 'not slow and not browser' $(ARGS)

test: $(VENV)/dev ## run the tests; ARGS="-k wiener" chooses
	@$(PY) -m pytest -q -n $(JOBS) -m 'not browser' $(ARGS)

test-web: $(VENV)/browser ## test the page in a real Chromium, which is fetched where none is installed
	@export CHROMIUM; CHROMIUM=$$($(PY) tests/chromium.py); \
		$(PY) -m pytest -q -n 2 -m browser tests/browser $(ARGS) # each has its own browser and servers

# Python 3.12 counts lines at almost no cost, 3.11 at some, and not those that only threads run;
# hence a target of its own.
coverage: $(VENV)/dev ## run the tests and print which lines none of them ran
	@COVERAGE_CORE=$$($(PY) -c 'import sys; print("ctrace" if sys.version_info < (3, 12) else "sysmon")') \
		$(PY) -m pytest -q -n $(JOBS) -m 'not browser' --cov --cov-report=term-missing:skip-covered $(ARGS)

lint: $(VENV)/dev ## check format, style, import rules and types
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/lint-imports --no-cache
	@$(VENV)/bin/basedpyright --pythonpath $(PY)
	@test ! -x $(VENV)/bin/hadolint || $(VENV)/bin/hadolint Dockerfile # it is there on Linux

wheel: $(VENV)/dev ## build the wheel; separate, train, evaluate and serve with it, away from the repository
	@rm -rf build dist
	@$(PY) -m pip --disable-pip-version-check wheel --quiet --no-deps --wheel-dir dist .
	@$(PY) -m pip --disable-pip-version-check install --quiet --no-deps --target build/wheel dist/*.whl
	@rm -rf build/lib build/bdist.*
	@mkdir build/away
	@cd build/away && PYTHONPATH="$$PWD/../wheel" $(abspath $(PY)) ../../.ci/installed.py train web
	@ls -l dist/*.whl

release: ## build and check what is uploaded by hand; see RELEASING.md
	@$(find_python); PYTHON=$$python .ci/release

container: ## build the image of xumx serve with docker, podman or buildah; BASE=IMAGE EXTRAS=web,cuda12
	@BASE='$(BASE)' EXTRAS='$(EXTRAS)' .ci/container $(ARGS)

parity: $(TORCH)/done ## compare with PyTorch, random weights through both, Demucs at reduced depth
	@$(TORCH)/bin/python bench/parity.py $(ARGS)

parity-full: $(TORCH)/done ## the same at full depth, with 10 s of music: every week
	@$(TORCH)/bin/python bench/parity.py --full

bench-separate: $(TORCH)/done ## time separation against PyTorch
	@$(TORCH)/bin/python bench/separate.py $(ARGS)

bench-train: $(TORCH)/done ## time a training step against PyTorch
	@$(TORCH)/bin/python bench/train.py $(ARGS)

bench-aimless: $(TORCH)/done ## time Demucs and AIMLESS's models against PyTorch; ARGS=--quick tries it out
	@$(TORCH)/bin/python bench/aimless.py $(ARGS)

bench-modern: $(TORCH)/done ## time HTDemucs, RoFormers, SCNet, MDX23C, MDX-Net against PyTorch; ARGS=--quick tries it out
	@$(TORCH)/bin/python bench/modern.py $(ARGS)

bench-slicq: $(TORCH)/done ## time the sliCQ and xumx-sliCQ against PyTorch; ARGS=--quick tries it out
	@$(TORCH)/bin/python bench/slicq.py $(ARGS)

bench-accelerator: $(VENV)/dev ## time every model on whatever device there is; ARGS=--quick tries it out
	@$(PY) bench/accelerator.py $(ARGS)

bench-loader: $(TORCH)/done ## time the training input against Open-Unmix's
	@$(TORCH)/bin/python bench/loader.py $(ARGS)

bench-augment: $(VENV)/dev ## time augmentations and effects beside a training step; ARGS=--quick tries it out
	@$(PY) bench/augment.py $(ARGS)

bench-evaluate: $(VENV)/dev ## time v4 scoring against museval
	@$(PY) bench/evaluate.py $(ARGS)

bench-long: $(VENV)/core ## measure memory for 3 min, 30 min and 3 h, and for 100 files
	@$(PY) bench/long.py $(ARGS)

fuzz: $(VENV)/dev ## decode files with damaged headers as the server does; ARGS="--files 100000"
	@$(PY) tests/fuzzing.py $(ARGS)

bench-serve: $(VENV)/dev ## measure xumx serve: memory, clients at once, fair turns; ARGS=--quick tries it out
	@$(PY) bench/serve.py $(ARGS)

bench-web: $(VENV)/browser ## measure the page's player: start, seeks, memory, bytes; ARGS=--quick tries it out
	@export CHROMIUM; CHROMIUM=$$($(PY) tests/chromium.py); $(PY) bench/web.py $(ARGS)

bench-cluster: $(VENV)/dev ## measure catalogues on two machines in one, training over devices and processes; ARGS=--quick tries it out
	@$(PY) bench/cluster.py $(ARGS)
	@$(PY) bench/cluster_train.py $(ARGS)

learning: $(VENV)/dev ## train each family for minutes on generated songs and draw its curves
	@$(PY) bench/learning.py $(ARGS)

bench-live: $(VENV)/core ## time live separation: latency and real-time factor
	@$(PY) bench/live.py $(ARGS)

SONGS := $(PY) -m pipelines.songs --processes $(JOBS) --engine sampled

MUSDB :=
SUBSET := test
MODEL := demo
RUN := runs/demo
# Of what a person has to fetch: the stems of a song, and of a clip; a folder of recordings. What
# that lacks is said in a line, and done without.
SONG :=
CLIP :=
MATERIAL := material
SIZE := --seconds 40 --rate 22050
RECORDED := --material '$(MATERIAL)' --without-missing
HELD_OUT := --held-out $(RECORDED)
GIVEN = $(if $(wildcard $(MATERIAL))$(filter-out material,$(MATERIAL)),--material '$(MATERIAL)')

scores: $(VENV)/songs ## score the bundled model, write it into its card; MUSDB=FOLDER CLIP=FOLDER SONG=FOLDER
	@mkdir -p '$(MATERIAL)'
	@$(SONGS) songs/test --songs 20 --first-seed 220000 --rate 44100
	@$(SONGS) songs/recorded --songs 20 --first-seed 230000 --rate 44100 $(HELD_OUT)
	@$(PY) bench/scores.py $(if $(MUSDB),--musdb '$(MUSDB)') --subset $(SUBSET) \
		$(if $(CLIP),--clip '$(CLIP)') $(if $(SONG),--song '$(SONG)') --model $(MODEL) \
		--songs songs/test songs/recorded $(ARGS)

where: $(VENV)/dev ## which stem gets which instrument; MODEL=FILE MATERIAL=FOLDER
	@$(PY) bench/where.py $(GIVEN) --model $(MODEL) $(ARGS)

choose: $(VENV)/songs ## name the best checkpoint of RUN by songs it did not see; MATERIAL=FOLDER SONG=FOLDER
	@mkdir -p '$(MATERIAL)'
	@$(SONGS) songs/choose --songs 12 --first-seed 120000 --rate 44100 $(HELD_OUT)
	@$(PY) bench/choose.py $(RUN) --songs songs/choose $(if $(SONG),--song '$(SONG)') $(ARGS)

demo-model: $(VENV)/songs ## make songs and train the bundled model (hours; resumes if stopped); MATERIAL=FOLDER
	@mkdir -p '$(MATERIAL)'
	@$(SONGS) songs/demo/train --songs 720 --first-seed 0 $(SIZE) $(RECORDED)
	@$(SONGS) songs/demo/valid --songs 24 --first-seed 110000 $(SIZE) $(HELD_OUT)
	@$(PY) train.py --config configs/demo.py --workdir runs/demo --config.data.root=songs/demo $(ARGS)
	@$(PY) -c 'import xumx_jax; xumx_jax.convert("runs/demo/best", "xumx_jax/assets/demo.safetensors", half=True)'
	@ls -l xumx_jax/assets/demo.safetensors

.PHONY: docs
docs: $(VENV)/docs ## build the documentation below build/docs; dead links fail
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet
	@echo "build/docs/index.html; to search too: $(PY) -m http.server --directory build/docs"

clean: ## remove environments, builds, caches and separated stems; songs and runs stay
	rm -rf .venv .venv-* build dist separated *.egg-info
	rm -rf .pytest_cache .hypothesis .ruff_cache .import_linter_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Environments. Each stamp stands for what was installed, and is renewed with the lists it came from.

$(VENV)/made:
	@$(find_python); echo "creating $(VENV) ($$($$python --version))"; $$python -m venv $(VENV)
	@touch $@

$(VENV)/core: $(LISTS) | $(VENV)/made
	@echo "installing xumx_jax into $(VENV) (about 900 MB) ..."
	@$(PY) $(PINNED) -e '.$(if $(EXTRA),[$(EXTRA)])' | $(FETCHED)
	@touch $@

$(VENV)/dev: $(LISTS) | $(VENV)/made
	@echo "installing xumx_jax with training, evaluation and tests into $(VENV) (about 3.1 GB) ..."
	@$(PY) $(PINNED) -e '.[train,eval,effects,web,cluster,dev$(also)]' | $(FETCHED)
	@touch $(VENV)/core $@

$(VENV)/browser: $(LISTS) | $(VENV)/made
	@echo "installing xumx_jax, all for its tests and what drives a browser into $(VENV) ..."
	@$(PY) $(PINNED) -e '.[train,eval,effects,web,cluster,dev,browser$(also)]' | $(FETCHED)
	@touch $(VENV)/core $(VENV)/dev $@

$(VENV)/docs: $(LISTS) | $(VENV)/made
	@echo "installing xumx_jax, training, evaluation and what builds the documentation into $(VENV) ..."
	@$(PY) $(PINNED) -e '.[train,eval,docs$(also)]' | $(FETCHED)
	@touch $(VENV)/core $@

$(VENV)/songs: $(LISTS) | $(VENV)/made
	@echo "installing xumx_jax, training, evaluation and the sampled instruments into $(VENV) ..."
	@$(PY) $(PINNED) -e '.[train,eval,songs$(also)]' | $(FETCHED)
	@$(PY) $(PINNED) --no-deps tinysoundfont | $(FETCHED)
	@echo "also wanted, from Debian: apt-get install flite musescore-general-soundfont fluidr3mono-gm-soundfont fretsonfire-songs-sectoid sonic-pi-samples"
	@touch $(VENV)/core $@

$(TORCH)/done: $(LISTS) $(wildcard bench/parity-*.txt)
	@$(find_python); $$python -m venv $(TORCH)
	@echo "installing xumx_jax, PyTorch and the packages compared with into $(TORCH) ..."
	@$(TORCH)/bin/python $(PINNED) -e '.[train]' -r bench/parity-requirements.txt | $(FETCHED)
	@$(TORCH)/bin/python $(PINNED) --no-deps -r bench/parity-no-deps.txt | $(FETCHED)
	@touch $@
