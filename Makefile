SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export GX_ANALYTICS_ENABLED := false
export PRESET ?=

.PHONY: help setup run evaluate-full test test-jax browser postgres lint lock serve ui server clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

setup: $(VENV)/.locked ## make .venv from the locks (the other targets do it by themselves)

$(VENV)/.locked: requirements.lock build.lock pyproject.toml scripts/bootstrap.sh
	@PY="$(PY)" scripts/bootstrap.sh
	@touch $@

run: $(VENV)/.locked ## the whole pipeline, data to registry; PRESET=mlp-20d for another model
	@vaeline run --preset "$$PRESET"

evaluate-full: $(VENV)/.locked ## evaluate as for a release: all test images, k = 5,000; under 15 minutes for dense networks
	@vaeline run --preset evaluation/full

test: $(VENV)/.locked browser postgres ## every test, with a small end-to-end run
	@python -m pytest --numprocesses 2 --no-loadscope-reorder

test-jax: $(VENV)/.locked ## the tests of models and of all that calls them, on the JAX backend
	@KERAS_BACKEND=jax python -m pytest tests/models tests/training tests/evaluation tests/applications tests/classifier \
	  tests/scorecard

browser: ## a Chromium for the tests of the MLflow UI: Debian's is installed where there is none, given root
	@scripts/provide.sh chromium "the tests of the MLflow UI" \
	  chromium chromium-browser google-chrome google-chrome-stable

postgres: ## a PostgreSQL for `make server` and its tests: Debian's is installed where there is none, given root
	@scripts/provide.sh postgresql "the tests of a team's server" postgres /usr/lib/postgresql/*/bin/postgres

lint: $(VENV)/.locked ## ruff, yamllint, workflow schema, zizmor
	@ruff check . && ruff format --check .
	@yamllint --strict .
	@check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@zizmor --offline --quiet --strict-collection .github

lock: ## resolve pyproject.toml anew into the two locks (needs uv)
	@uv pip compile --quiet pyproject.toml --group dev --universal --generate-hashes --python-version 3.11 \
	  --custom-compile-command "make lock" -o requirements.lock
	@echo setuptools | uv pip compile --quiet - --universal --generate-hashes --python-version 3.11 \
	  -c requirements.lock --custom-compile-command "make lock" -o build.lock

serve: $(VENV)/.locked ## the champion over HTTP, with a page that draws, http://127.0.0.1:8000
	@vaeline serve

ui: $(VENV)/.locked ## MLflow on the project's store, http://127.0.0.1:5000
	@vaeline track ui

server: $(VENV)/.locked ## a team's MLflow on PostgreSQL, with users and rights, http://127.0.0.1:5000 (docs/server.md)
	@vaeline server start

clean: ## remove the environment and what a run made; the MLflow store, the DVC cache and your images stay
	@rm -rf $(VENV) .vaeline/checkpoints .vaeline/downloads .pytest_cache .ruff_cache validation-report dvc_plots
	@rm -rf data/raw data/prepared data/anomalies data/statistics.parquet models reports/comparison reports/figures reports/validation
	@rm -f reports/*.csv reports/*.parquet reports/latent_reference.json reports/registration.json reports/validation.json
