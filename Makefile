SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export GX_ANALYTICS_ENABLED := false
export PRESET ?=

PROPOSED := dvc.lock reports/metrics.json data/accepted data/batches

.PHONY: help setup run evaluate-full test test-jax browser postgres lint lock serve ui server clean
.PHONY: remote push verify-pipeline resolve-lock ingest retrain overdue proposal take-proposal
.PHONY: plan-promotion promote plan-rollback rollback ledger report comment

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

setup: $(VENV)/.locked ## make .venv from the locks (the other targets do it by themselves)

$(VENV)/.locked: requirements.lock build.lock pyproject.toml scripts/bootstrap.sh
	@PY="$(PY)" scripts/bootstrap.sh
	@touch $@

$(VENV)/.jax: jax.lock $(VENV)/.locked scripts/add_lock.sh
	@scripts/add_lock.sh jax.lock
	@touch $@

run: $(VENV)/.locked ## the whole pipeline, data to registry; PRESET=mlp-20d for another model
	@vaeline run --preset "$$PRESET"

evaluate-full: $(VENV)/.locked ## evaluate as for a release: all test images, k = 5,000; under 15 minutes for dense networks
	@vaeline run --preset evaluation/full

test: $(VENV)/.locked browser postgres ## every test, with a small end-to-end run
	@python -m pytest --numprocesses 2 --no-loadscope-reorder

test-jax: $(VENV)/.jax ## the tests of models and of all that calls them, on the JAX backend, which is added to .venv
	@KERAS_BACKEND=jax python -m pytest --numprocesses 2 --no-loadscope-reorder tests/models tests/training \
	  tests/evaluation tests/applications tests/classifier tests/scorecard

browser: ## a Chromium for the tests of the MLflow UI: Debian's is installed where there is none, given root
	@scripts/provide.sh chromium "the tests of the MLflow UI" \
	  chromium chromium-browser google-chrome google-chrome-stable

postgres: ## a PostgreSQL for `make server` and its tests: Debian's is installed where there is none, given root
	@scripts/provide.sh postgresql "the tests of a team's server" postgres /usr/lib/postgresql/*/bin/postgres

lint: $(VENV)/.locked ## ruff, yamllint, the schemas of workflows and dependabot, zizmor
	@ruff check . && ruff format --check .
	@yamllint --strict .
	@check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	@zizmor --offline --quiet --strict-collection .github

lock: ## resolve pyproject.toml anew into the three locks (needs uv)
	@uv pip compile --quiet pyproject.toml --group dev --universal --generate-hashes --python-version 3.11 \
	  --custom-compile-command "make lock" -o requirements.lock
	@echo setuptools | uv pip compile --quiet - --universal --generate-hashes --python-version 3.11 \
	  -c requirements.lock --custom-compile-command "make lock" -o build.lock
	@uv pip compile --quiet --group jax --universal --generate-hashes --python-version 3.11 \
	  -c requirements.lock --custom-compile-command "make lock" -o jax.lock

serve: $(VENV)/.locked ## the champion over HTTP, with a page that draws, http://127.0.0.1:8000
	@vaeline serve

ui: $(VENV)/.locked ## MLflow on the project's store, http://127.0.0.1:5000
	@vaeline track ui

server: $(VENV)/.locked ## a team's MLflow on PostgreSQL, with users and rights, http://127.0.0.1:5000 (docs/server.md)
	@vaeline server start

# What follows is what the workflows run, and runs on a laptop, too. Settings come from the environment and are read by
# the shell ("$$NAME"), never by make: `REASON="…" make rollback`.

remote: $(VENV)/.locked ## let this clone use the DVC remote that VAELINE_REMOTE names: a folder, s3://…, ssh://…
	@if [ -n "$$VAELINE_REMOTE" ]; then dvc remote add --quiet --local --force --default team "$$VAELINE_REMOTE"; fi

push: remote ## data, models and the run cache to the DVC remote, so that no other clone makes them again
	@vaeline push

verify-pipeline: remote ## does dvc.lock belong to code and parameters, and has the remote all that it names; needs no data
	@scripts/verify_pipeline.sh

resolve-lock: remote ## after a merge with a conflict in dvc.lock: make it again, from what the remote has of both sides
	@scripts/resolve_lock.sh

ingest: remote ## take the batches of data/incoming in, or into quarantine
	@[ -d data/prepared ] || dvc pull --quiet data/prepared
	@vaeline ingest

retrain: remote ## retrain if it is due, and say why not if it is not; FORCE=true in any case
	@if [ "$$FORCE" = true ]; then vaeline retrain; else vaeline retrain --if-due; fi

overdue: $(VENV)/.locked ## the alarm: fails if no retraining succeeded for retrain.quiet_days
	@vaeline overdue

proposal: ## what a retraining changed of the files that git keeps, as reports/retrain.patch
	@scripts/proposal.sh make $(PROPOSED)

take-proposal: ## apply proposal/retrain.patch, as far as it changes what a retraining may change
	@scripts/proposal.sh take $(PROPOSED)

plan-promotion: $(VENV)/.locked ## say what `make promote` would do, or why it refuses
	@vaeline promote --dry-run --replaces="$$REPLACES" --reason="$$REASON" -- "$$CANDIDATE"

promote: $(VENV)/.locked ## CANDIDATE=7 becomes the champion, if it passed the gate; REPLACES=2 if version 2 is champion now
	@vaeline promote --replaces="$$REPLACES" --reason="$$REASON" -- "$$CANDIDATE"

plan-rollback: $(VENV)/.locked ## say what `make rollback` would do, or why it refuses
	@vaeline rollback --dry-run --to="$$TO" --reason="$$REASON"

rollback: $(VENV)/.locked ## an earlier champion is champion again: TO=2, or the one before; REASON is kept in the ledger
	@vaeline rollback --to="$$TO" --reason="$$REASON"

ledger: $(VENV)/.locked ## every move of the champion, as reports/ledger.jsonl
	@vaeline history --export reports/ledger.jsonl

report: remote ## what a branch changes, against BASE: reports/change/
	@vaeline report --base="$$BASE" --out=reports/change
	@if [ -n "$$GITHUB_STEP_SUMMARY" ]; then cat reports/change/change.md >>"$$GITHUB_STEP_SUMMARY"; fi

comment: ## reports/change/change.md as a comment on PULL_REQUEST, in the place of the last one
	@gh pr comment "$$PULL_REQUEST" --edit-last --create-if-none --body-file reports/change/change.md

clean: ## remove the environment and what a run made; the MLflow store, the DVC cache and your images stay
	@rm -rf $(VENV) .vaeline/checkpoints .vaeline/downloads .pytest_cache .ruff_cache validation-report dvc_plots
	@rm -rf data/raw data/prepared data/anomalies data/statistics.parquet models reports/comparison reports/figures reports/validation
	@rm -f reports/*.csv reports/*.parquet reports/latent_reference.json reports/registration.json reports/validation.json
