# sagelocal. `make` alone explains itself.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

UV_VERSION := 0.13.8
CACHE := $(CURDIR)/.cache
RUNTIME ?= process
FUZZ ?= 600
ARGS ?=
# A private certificate authority given to pip or curl is given to uv too.
export SSL_CERT_FILE ?= $(or $(PIP_CERT),$(CURL_CA_BUNDLE))
ifeq ($(SSL_CERT_FILE),)
unexport SSL_CERT_FILE
endif
export SAGELOCAL_TEST_CLIENTS := $(CACHE)/clients/bin/python
export SAGELOCAL_TEST_SDK3 := $(CACHE)/sdk3/bin/python
export SAGELOCAL_TEST_MXNET := $(CACHE)/mxnet/bin/python
export SAGELOCAL_TEST_SCHEMAS := $(CACHE)/schemas/bin/python
export SAGELOCAL_TEST_PEERS := $(CACHE)/peers/bin/python
export SAGELOCAL_BENCH_RIVALS := $(CACHE)/rivals/bin/python
export SAGELOCAL_BENCH_WRK := $(or $(shell command -v wrk),$(CACHE)/wrk/wrk)
export SAGELOCAL_TEST_REGISTRY := $(or $(shell command -v docker-registry),$(CACHE)/docker-registry/usr/bin/docker-registry)
WHEELS := .build/wheels/pytorch/.stamp
FAMILIES := $(filter-out template,$(patsubst containers/%/Dockerfile,%,$(wildcard containers/*/Dockerfile)))
SERVING_PEERS := mlserver bentoml litserve mlflow flask

UV := $(shell command -v uv 2>/dev/null || echo $(CACHE)/tools/bin/uv)
BIN := .venv/bin
SOURCES := train serve local_mode containers tests

.PHONY: help setup clients sdk3 mxnet schemas peers rivals serving-peers registry wheels lock check fix test fuzz test-docker demo bench base images clean

help: ## this list
	@echo "sagelocal: SageMaker notebooks, scripts and containers on one laptop"
	@echo
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s $$'\t' | sed 's/^/  make /'
	@echo
	@echo "  RUNTIME=process|docker says where 'make demo' runs its containers (now: $(RUNTIME))."

setup: .venv/.stamp ## the development environment, in .venv
clients: $(CACHE)/clients/.stamp ## the SageMaker SDK 2.x, boto3 and the AWS CLI, in an environment of their own
sdk3: $(CACHE)/sdk3/.stamp ## the SageMaker SDK 3.x, in an environment of its own
mxnet: $(CACHE)/mxnet/.stamp ## mxnet 1.9.1, the oracle for artifacts, in an environment of its own
schemas: $(CACHE)/schemas/.stamp ## the schemas of Kubernetes and KServe, in an environment of their own
peers: $(CACHE)/peers/.stamp ## the libraries that our readers are measured against, in an environment of their own
rivals: $(CACHE)/rivals/.stamp ## the libraries that the built-in algorithms are measured against, in an environment of their own

wheels: $(WHEELS) ## PyTorch for the CPU, which PyPI does not have, from Debian's packages

registry: $(SAGELOCAL_TEST_REGISTRY) ## an image registry, for the tests that push

check: setup ## format, lint, types, import contracts, locks; changes nothing
	$(UV) lock --check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports

fix: setup ## format and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: setup clients sdk3 mxnet schemas wheels ## every test that needs no Docker; ARGS="-k name" for some
	$(BIN)/pytest -n 3 --dist loadfile -m "not docker" $(ARGS)

fuzz: setup ## more than ten thousand requests of all kinds to real servers; FUZZ=600 of each kind to each
	SAGELOCAL_FUZZ_EXAMPLES=$(FUZZ) $(BIN)/pytest -q tests/serve/fuzz

test-docker: setup clients mxnet registry images ## every test that needs a Docker engine
	$(BIN)/pytest -n 3 --dist loadfile -m docker $(ARGS)

demo: setup clients mxnet $(if $(filter docker,$(RUNTIME)),base image-base image-linear_learner) ## a whole notebook against a fresh control plane; RUNTIME=docker for Docker
	$(BIN)/python tests/clients/chapter/demo.py --runtime $(RUNTIME)

serving-peers: $(SERVING_PEERS:%=$(CACHE)/serving_%/.stamp) $(SAGELOCAL_BENCH_WRK) ## the servers that ours is measured against, each in an environment of its own

bench: setup clients peers rivals serving-peers wheels ## the figures we claim, as ratios of things measured in turns; ARGS="families --share 0.02" for some
	$(BIN)/python -m tests.bench.run $(ARGS)

base: .build/ca.pem ## the Docker base image (made with debootstrap where python:3.11-slim cannot be pulled)
	bash containers/base/make_base.sh

images: base image-base ## every family's Docker image, two at a time
	$(MAKE) -j2 --output-sync=target --no-print-directory $(FAMILIES:%=image-%)

image-%: setup base ## one family's Docker image: make image-linear_learner
	$(BIN)/sagelocal build $(subst _,-,$*)

image-pytorch image-hugging_face: $(WHEELS)
image-hugging_face: image-pytorch

check-%: image-% ## one family's image against the contracts: make check-xgboost; ARGS="--strict" for more
	$(BIN)/sagelocal check $(subst _,-,$*) $(ARGS)

push-%: image-% ## one family's image to ECR: make push-xgboost ARGS="--repository team/xgboost --dry-run"
	$(BIN)/sagelocal push $(subst _,-,$*) $(ARGS)

lock: $(UV) wheels ## compile every lock anew
	$(UV) lock --upgrade
	for file in tests/environments/*.in containers/*/requirements.in; do \
	  UV_FIND_LINKS=.build/wheels/pytorch $(UV) pip compile -q --upgrade --python-version 3.11 --no-header -o "$${file%.in}.lock" "$$file"; done

clean: ## remove everything that make made here
	rm -rf .venv .cache .build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# --- files behind the targets -----------------------------------------------------------------

$(CACHE)/tools/bin/uv:
	python3 -m venv $(CACHE)/tools
	$(CACHE)/tools/bin/pip install -q uv==$(UV_VERSION)

.venv/.stamp: pyproject.toml uv.lock $(wildcard */pyproject.toml containers/formats/pyproject.toml containers/first_party/pyproject.toml containers/requirements/pyproject.toml containers/originals/pyproject.toml) | $(UV)
	$(UV) sync --frozen --quiet
	@touch $@

$(CACHE)/%/.stamp: tests/environments/%.lock | $(UV)
	$(UV) venv --quiet --clear --python 3.11 $(CACHE)/$*
	$(UV) pip sync --quiet --python $(CACHE)/$*/bin/python $<
	@touch $@

# The load generator from Debian's packages, unpacked here: nothing is installed.
$(CACHE)/wrk/wrk:
	@mkdir -p $(CACHE)/wrk
	cd $(CACHE)/wrk && apt-get download -q wrk libluajit-5.1-2 && \
	  for package in *.deb; do dpkg -x "$$package" .; done
	printf '#!/bin/sh\nLD_LIBRARY_PATH=$$(ls -d %s/usr/lib/*-linux-gnu) exec %s/usr/bin/wrk "$$@"\n' \
	  "$(@D)" "$(@D)" > $@
	chmod +x $@

# An image registry to push to, from Debian's package, unpacked here too.
$(CACHE)/docker-registry/usr/bin/docker-registry:
	@mkdir -p $(CACHE)/docker-registry
	cd $(CACHE)/docker-registry && \
	  { apt-get download -q docker-registry || { apt-get update -qq && apt-get download -q docker-registry; }; } && \
	  dpkg -x docker-registry_*.deb .

# torch and torchvision as wheels, for the image and for the process runtime.
$(WHEELS): containers/pytorch/make_wheels.py
	python3 $< $(@D)
	@touch $@

# The machine's private CA bundle for package downloads inside builds; never part of an image.
.build/ca.pem:
	@mkdir -p .build
	@cp "$(or $(PIP_CERT),$(SSL_CERT_FILE),/dev/null)" $@
