# `make help` lists what there is. The first target that needs it sets up .venv.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup generate check test demo demo-down images wheels cluster-up cluster-down bench bench-energy redaction accuracy \
  accuracy-aiperf otlp-backends conformance pods fuzz test-gpu lock clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-17s%s\n", $$1, $$2}'

.venv/.ready: pyproject.toml requirements/dev.lock examples/llama-server/requirements.txt
	@hack/setup.sh $(PYTHON)
	@touch $@

setup: .venv/.ready ## Create .venv with everything the project needs, at the locked versions

generate: setup ## Write the CRD and docs/metrics.md from the code
	$(BIN)/python -m sidelight_contract.crd > crds/observedmodels.yaml
	cp crds/observedmodels.yaml helm/sidelight/files/
	$(BIN)/python hack/metrics_doc.py > docs/metrics.md

check: setup ## What CI runs short of the cluster: lint, types, layers, fast tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -Im pytest -m "not cluster"

test: setup ## Every test, cluster tests included (brings the cluster up, and down again)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -Im pytest

demo: setup ## The main job: a real model on a real cluster, observed end to end
	@$(BIN)/python hack/demo.py

demo-down: ## Remove the demo and its cluster
	@$(PYTHON) hack/demo.py down

wheels: setup ## Fetch what the images install
	@hack/wheels.sh

images: wheels ## Build Sidelight's two images and the example's engine
	@hack/images.sh

cluster-up: setup ## Bring up the cluster that the demo and the tests use
	@hack/cluster/provider.sh up

cluster-down: ## Remove it
	@hack/cluster/provider.sh down

bench: setup ## Cost beside nginx, HAProxy and others; BENCH=--quick for a first look
	@hack/bench-peers.sh
	$(BIN)/python -m benchmarks $(BENCH)
	$(BIN)/python -m benchmarks.capture

bench-energy: setup ## How near the truth shares of energy come, on simulated devices; and their cost
	$(BIN)/python -m benchmarks.energy --cost

redaction: setup ## Write docs/redaction.md: precision and recall of each detector
	$(BIN)/python -m benchmarks.redaction > docs/redaction.md

accuracy: setup ## Every figure beside an independent client's, request by request; ACCURACY=options
	$(BIN)/python -m benchmarks.accuracy $(ACCURACY)

accuracy-aiperf: setup ## The same beside AIPerf's own report (installs it: 1.2 GB in the cache)
	$(BIN)/python -m benchmarks.accuracy.aiperf $(ACCURACY)

otlp-backends: setup ## What Phoenix, MLflow, a Collector and Prometheus show of OTLP (1.9 GB in the cache)
	$(BIN)/python -m benchmarks.otlp

fuzz: setup ## Ten minutes of input that nobody should send; FUZZ="--seconds N --seed S"
	$(BIN)/python hack/fuzz.py $(FUZZ)

conformance: setup ## Recorded exchanges through the sidecar: make conformance CASSETTES=folder
	@test -n "$(CASSETTES)" || { echo "which folder? make conformance CASSETTES=folder" >&2; exit 2; }
	$(BIN)/python hack/conformance.py $(CASSETTES)

pods: setup ## Real pods through injection: make pods PODS=folder (PODS_OPTIONS="--kubeconfig F")
	@test -n "$(PODS)" || { echo "which folder? make pods PODS=folder" >&2; exit 2; }
	$(BIN)/python hack/pods.py $(PODS) $(PODS_OPTIONS)

test-gpu: setup ## On a machine with an NVIDIA GPU: the driver's real figures, into benchmarks/gpu/
	$(BIN)/python -m benchmarks.gpu $(GPU)

lock: setup ## Resolve the dependencies anew
	@hack/lock.sh

clean: ## Remove what was built in the work tree
	rm -rf .venv wheels dist build examples/llama-server/wheels
