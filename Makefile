# Two commands matter: `make demo` shows the service at work, `make test` proves it.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PORT   ?= 8000
# What `make image` tags, as deploy/compose.yaml and deploy/k8s name it.
IMAGE ?= image-composition:latest
VERSION = $(shell sed -n 's/^VERSION = "\(.*\)"/\1/p' api/app.py)
REVISION = $(shell git rev-parse --short=12 HEAD 2>/dev/null)
# docker, podman, buildah ...: whatever `bentoml containerize` knows.
BACKEND ?= docker

export BENTOML_HOME ?= $(CURDIR)/.bentoml
export BENTOML_DO_NOT_TRACK := True
export PYTHONPATH := $(CURDIR)
# What is served from a checkout keeps its jobs there, ignored by git, and not with the user's own.
export COMPOSITION_STORAGE__FOLDER ?= $(CURDIR)/var

# The models: PROFILE=demo (shipped), tiny (random weights), sd15, sdxl (downloaded), or the same by
# COMPOSITION_MODELS__PROFILE; without either, models.profile of config.yaml.
ifdef PROFILE
ifneq ($(PROFILE),$(or $(COMPOSITION_MODELS__PROFILE),$(PROFILE)))
$(error PROFILE=$(PROFILE) contradicts COMPOSITION_MODELS__PROFILE=$(COMPOSITION_MODELS__PROFILE): set one of them)
endif
export COMPOSITION_MODELS__PROFILE := $(PROFILE)
endif
DOCS_PACKAGES := out/docs-packages
# Importing is the only step that may use the network; it does so for profiles that are downloaded.
OFFLINE := HF_HUB_OFFLINE=1

.PHONY: help setup profiles demo serve models doctor test-models test test-slow test-unit test-integration test-e2e check format lock build clean \
	bench bench-full-size bench-peers chaos attack schemathesis load stop-test backlog mutants footprint train-demo demo-world \
	page page-check page-test docs observe-test new-user bento-test image image-test scale-test upgrade-test secrets \
	release-check sbom

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

$(READY): requirements.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@touch $@

setup: $(READY)  ## the virtual environment, exactly as locked

profiles: $(READY)  ## the model profiles: what each has, from where, under which licence, how large
	@$(BIN)/python -m models_store list

models: $(READY)  ## import a profile into the model store: make models PROFILE=sd15
	@$(BIN)/python -m models_store import

doctor: $(READY)  ## what this machine has, what would be used, what is missing: make doctor PROFILE=sd15
	@$(BIN)/python -m models_store doctor

test-models: $(READY)
	@$(BIN)/python -m models_store import tiny && $(BIN)/python -m models_store import tiny-sdxl
	@$(BIN)/python -m models_store import demo

demo: models  ## serve, run the edits of the specification over REST, write out/index.html
	@$(OFFLINE) $(BIN)/python -m benchmarks.demo --port $(PORT)

serve: models  ## import what is missing, then serve page and API on 127.0.0.1:8000: make serve PROFILE=sd15
	@echo "In a moment: the page http://127.0.0.1:$(PORT)/, the API's routes http://127.0.0.1:$(PORT)/docs"
	@$(OFFLINE) $(BIN)/bentoml serve service:ImageComposition --host 127.0.0.1 --port $(PORT)

test: test-models  ## every test that CI runs
	$(OFFLINE) $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

test-slow: test-models  ## what is left out of it: minutes for one answer
	$(OFFLINE) $(BIN)/python -m pytest -m slow

test-unit: $(READY)  ## no torch, seconds
	$(OFFLINE) $(BIN)/python -m pytest tests/unit clients/python/tests

test-integration: test-models  ## real runners on the tiny and the demo models
	$(OFFLINE) $(BIN)/python -m pytest tests/integration

test-e2e: test-models  ## bentoml serve, from outside
	$(OFFLINE) $(BIN)/python -m pytest tests/e2e

check: $(READY)  ## formatting, lint, types, architecture, dependencies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/deptry --config clients/python/pyproject.toml clients/python/src
	cd clients/python/src && $(CURDIR)/$(BIN)/lint-imports --config ../pyproject.toml

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: export UV_CUSTOM_COMPILE_COMMAND := make lock
lock: $(READY)  ## requirements.lock, the Bento's and the documentation's, for pyproject.toml; what is locked stays as it is
	$(BIN)/uv pip compile --quiet pyproject.toml --group dev --python-version 3.11 -o requirements.lock
	$(BIN)/uv pip compile --quiet pyproject.toml --extra distributed --extra mcp --extra tracing --python-version 3.11 \
		--constraint requirements.lock --no-annotate -o deploy/requirements.txt
	$(BIN)/uv pip compile --quiet docs/requirements.in --python-version 3.11 \
		--constraint requirements.lock --no-annotate -o docs/requirements.txt

bench: $(READY)  ## against stock diffusers, side by side; out/bench.json
	$(OFFLINE) $(BIN)/python -m benchmarks.bench

bench-full-size: $(READY)  ## the same at Stable Diffusion 1.5's own size, random weights, a few steps
	$(OFFLINE) $(BIN)/python -m benchmarks.bench --full-size

bench-peers: test-models  ## beside IOPaint, ComfyUI and a naive server, over HTTP; out/peers: make bench-peers ARGS="--steps 5"
	$(OFFLINE) $(BIN)/python -m benchmarks.peers $(ARGS)

chaos: $(READY)  ## kill -9 at random while jobs run: none is lost
	$(OFFLINE) $(BIN)/python -m benchmarks.chaos

attack: test-models  ## attacks on a service of our own on the loopback: none gets through; out/attack.json
	$(OFFLINE) $(BIN)/python -m benchmarks.attack

schemathesis: test-models  ## ten minutes of requests made up from the OpenAPI document: each answered as documented
	$(OFFLINE) $(BIN)/python -m benchmarks.attack_schema

load: test-models  ## 500 clients for two minutes on a service of our own: no 500, no lost job, no growth; out/load.json
	$(OFFLINE) $(BIN)/python -m benchmarks.load

stop-test: test-models  ## SIGTERM at random while jobs run: every one completes once after the restart
	$(OFFLINE) $(BIN)/python -m benchmarks.stopping

backlog: $(READY)  ## 5,000 waiting jobs
	$(OFFLINE) $(BIN)/python -m benchmarks.backlog

mutants: $(READY)  ## 400 planted bugs, of which the tests must see 340; out/mutants.json (an hour or more, resumable)
	$(OFFLINE) $(BIN)/python -m benchmarks.mutants

footprint: models  ## time to healthy, memory, p50
	$(OFFLINE) $(BIN)/python -m benchmarks.footprint

train-demo: $(READY)  ## train the demo models from scratch (hours; resumable): make train-demo MINUTES=2 SCENES=500
	$(BIN)/python -m demo_models.recipes train --all $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SCENES),--scenes $(SCENES))

demo-world:  ## judge the demo models by ground truth on unseen scenes
	@$(MAKE) models PROFILE=demo
	$(BIN)/python -m benchmarks.demo_detection --first-seed 1000000 --scenes 100
	$(BIN)/python -m benchmarks.demo_world --first-seed 1000000 --scenes 40 --painter all
	$(BIN)/python -m benchmarks.demo_world --first-seed 1000000 --scenes 40 --kinds reference,structure \
		--unconditioned --out out/demo_world_unconditioned
	$(BIN)/python -m benchmarks.demo_world --first-seed 1000000 --scenes 40 --kinds structure --rough-masks \
		--out out/demo_world_rough
	$(BIN)/python -m benchmarks.demo_world --first-seed 1000000 --scenes 40 --kinds structure --rough-masks \
		--unconditioned --out out/demo_world_rough_unconditioned

page:  ## build the page at / from page/src into page/built, which is committed (needs Node.js and npm)
	cd page && npm ci && npm run build

page-check:  ## the page's types and unit tests; what is committed is, byte for byte, what its sources build
	cd page && npm ci && npm run check && npm run build -- --outDir $(CURDIR)/out/page --emptyOutDir
	diff -r page/built out/page

page-test: test-models  ## the page in Chromium, from outside (needs chromium, and playwright in the environment)
	$(OFFLINE) $(BIN)/python -m pytest -rs tests/e2e/page

$(DOCS_PACKAGES)/.ready: docs/requirements.txt $(READY)
	rm -rf $(DOCS_PACKAGES)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(DOCS_PACKAGES) -r docs/requirements.txt
	@touch $@

docs: $(DOCS_PACKAGES)/.ready  ## the documentation as a site, links checked, into out/site; docs/configuration.md from the code
	$(BIN)/python -m composition.config.reference > docs/configuration.md
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=$(CURDIR):$(CURDIR)/$(DOCS_PACKAGES) $(BIN)/python -m mkdocs build --strict

observe-test: test-models  ## a real run under Prometheus: every query of the dashboard and the alerts; out/observe.json
	promtool check rules deploy/observability/alerts.yaml
	promtool check config deploy/observability/prometheus.yaml
	promtool test rules tests/unit/observability/alert_cases.yaml
	$(OFFLINE) $(BIN)/python -m benchmarks.observe

new-user: $(READY)  ## a new user's path, timed, every click counted: clone, make demo, page, own photo; ARGS="--venv .venv"
	$(BIN)/python -m benchmarks.new_user $(ARGS)

build: models  ## a Bento, in the model store: make build PROFILE=sd15
	$(OFFLINE) $(BIN)/bentoml build

bento-test: models  ## a Bento built, served, exported, imported elsewhere, served again: the same bytes; out/bento.json
	$(OFFLINE) $(BIN)/python -m benchmarks.bento

# BentoML looks for an image's template below the working folder, and puts it into the one for temporary files.
image: build  ## the image of the last Bento: make image PROFILE=sd15 [WHEELS=index] [COMPILE=1] [MODELS=none] [BACKEND=docker]
	cd $${TMPDIR:-/tmp} && $(CURDIR)/$(BIN)/bentoml containerize image-composition:latest --backend $(BACKEND) \
		-t $(IMAGE) -t $(firstword $(subst :, ,$(IMAGE))):$(VERSION) \
		--opt build-arg=VERSION=$(VERSION) --opt build-arg=REVISION=$(REVISION) \
		$(foreach name,WHEELS TORCH COMPILE MODELS BASE_IMAGE,$(if $($(name)),--opt build-arg=$(name)=$($(name))))

image-test: models  ## build the image with buildah and run it: non-root, read-only, edits, drain; out/image.json (root, an hour)
	$(OFFLINE) $(BIN)/python -m benchmarks.image

scale-test: test-models  ## two API nodes behind nginx, Redis, three workers; 200 jobs while they are killed; out/scale.json
	$(OFFLINE) $(BIN)/python -m benchmarks.scale

upgrade-test: test-models  ## a queue of the previous tag's nodes, pending and running, goes on with these: make upgrade-test FROM=v0.1.0
	$(OFFLINE) $(BIN)/python -m benchmarks.upgrade $(if $(FROM),--from $(FROM))

secrets:  ## what deploy/compose.yaml and deploy/k8s read as secrets, made once, in deploy/secrets
	sh deploy/make_secrets.sh

sbom: $(READY)  ## the packages of the image as a CycloneDX document, from the lock; out/sbom.cdx.json
	$(BIN)/python -m release.sbom

release-check: $(READY)  ## whether this tree may be tagged: version, changelog, lock, licences, files
	$(BIN)/python -m release.check

clean:
	rm -rf out build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
