SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export GX_ANALYTICS_ENABLED := false
export PRESET ?=
unexport PYTHONDONTWRITEBYTECODE  # stages and tests start many processes, and each would compile all code anew

.PHONY: help setup run evaluate-full check test faults test-jax test-spark browser postgres lint deps lock sbom audit serve ui server clean
.PHONY: remote push verify-pipeline resolve-lock ingest retrain overdue proposal take-proposal
.PHONY: plan-promotion promote plan-rollback rollback ledger report comment

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' Makefile

setup: $(VENV)/.locked $(if $(SCALE),$(VENV)/.scale) $(if $(GPU),$(VENV)/.gpu) ## create .venv from the locks; SCALE=1 adds Ray, Optuna, JAX; GPU=1 adds JAX with CUDA

$(VENV)/.locked: requirements.lock build.lock pyproject.toml scripts/bootstrap.sh
	@PY="$(PY)" scripts/bootstrap.sh
	@touch $@

$(VENV)/.scale: scale.lock $(VENV)/.locked scripts/add_lock.sh
	@scripts/add_lock.sh scale.lock
	@touch $@

$(VENV)/.spark: spark.lock $(VENV)/.locked scripts/add_lock.sh
	@scripts/add_lock.sh spark.lock --no-build-isolation --no-binary pyspark
	@touch $@

$(VENV)/.audit: audit.lock $(VENV)/.locked scripts/add_lock.sh
	@scripts/add_lock.sh audit.lock
	@touch $@

$(VENV)/.gpu: gpu.lock $(VENV)/.locked scripts/add_lock.sh
	@scripts/add_lock.sh gpu.lock
	@touch $@

$(VENV)/.jax: jax.lock $(VENV)/.locked scripts/add_lock.sh
	@scripts/add_lock.sh jax.lock
	@touch $@

run: $(VENV)/.locked ## run the whole pipeline, from data to registry; PRESET=mlp-20d selects another model
	@vaeline run --preset "$$PRESET"

evaluate-full: $(VENV)/.locked ## evaluate as for a release: all test images, k = 5,000; under 15 minutes for dense networks
	@vaeline run --preset evaluation/full

check: lint ## lint, check types, and run the tests that train no model and start no process; under 90 seconds
	@python -m pytest --numprocesses 2 --dist loadscope -m "not slow"

test: lint $(VENV)/.scale browser postgres ## lint, check types, and run all tests, with small end-to-end runs
	@python -m pytest --numprocesses 2 --dist loadscope --no-loadscope-reorder

test-jax: $(VENV)/.jax ## add JAX to .venv, and run the tests of models and of their callers on it
	@KERAS_BACKEND=jax python -m pytest --numprocesses 2 --dist loadscope --no-loadscope-reorder tests/models tests/training \
	  tests/anomaly tests/classifier tests/compression tests/evaluation tests/latents tests/likelihood \
	  tests/restoration tests/samples

test-spark: $(VENV)/.spark ## add Spark to .venv, and run the packaged model in it; needs Java 17
	@python -m pytest tests/pyfunc/test_spark.py

faults: $(VENV)/.locked ## try every fault of the catalogue, many times: benchmarks/faults/table.md
	@python benchmarks/faults

browser: ## provide a Chromium for the tests of the MLflow UI; installs Debian's as root if there is none
	@scripts/provide.sh chromium "the tests of the MLflow UI" \
	  chromium chromium-browser google-chrome google-chrome-stable

postgres: ## provide a PostgreSQL for `make server` and its tests; installs Debian's as root if there is none
	@scripts/provide.sh postgresql "the tests of a team's server" postgres /usr/lib/postgresql/*/bin/postgres

lint: $(VENV)/.locked ## ruff, the types (ty), yamllint, the schemas of workflows and dependabot, zizmor
	@ruff check . && ruff format --check .
	@ty check
	@yamllint --strict .
	@check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	@zizmor --offline --quiet --strict-collection .github

deps: ## write into dvc.yaml which files of src each stage imports
	@$(VENV)/bin/python tests/repository/stage_code.py

lock: ## resolve pyproject.toml into the seven locks again (needs uv)
	@uv pip compile --quiet pyproject.toml --group dev --universal --generate-hashes --python-version 3.11 \
	  --custom-compile-command "make lock" -o requirements.lock
	@echo setuptools | uv pip compile --quiet - --universal --generate-hashes --python-version 3.11 \
	  -c requirements.lock --custom-compile-command "make lock" -o build.lock
	@uv pip compile --quiet --group jax --universal --generate-hashes --python-version 3.11 \
	  -c requirements.lock --custom-compile-command "make lock" -o jax.lock
	@uv pip compile --quiet --group gpu --universal --generate-hashes --python-version 3.11 \
	  -c requirements.lock -c jax.lock --custom-compile-command "make lock" -o gpu.lock
	@uv pip compile --quiet --group scale --universal --generate-hashes --python-version 3.11 \
	  -c requirements.lock -c jax.lock --custom-compile-command "make lock" -o scale.lock
	@uv pip compile --quiet --group audit --universal --generate-hashes --python-version 3.11 \
	  -c requirements.lock --custom-compile-command "make lock" -o audit.lock
	@uv pip compile --quiet --group spark --universal --generate-hashes --python-version 3.11 \
	  -c requirements.lock --custom-compile-command "make lock" -o spark.lock

sbom: $(VENV)/.audit ## write the packages of requirements.lock as a bill of materials (CycloneDX): reports/sbom.json
	@mkdir -p reports
	@python -W ignore -m cyclonedx_py requirements --pyproject pyproject.toml --output-reproducible \
	  --output-format JSON --output-file reports/sbom.json requirements.lock
	@echo "reports/sbom.json: the bill of materials of requirements.lock"

audit: $(VENV)/.audit ## look up the packages of all locks among known vulnerabilities; off the network, it says so
	@python scripts/audit.py *.lock

serve: $(VENV)/.locked ## serve the champion over HTTP, with a page to try it: http://127.0.0.1:8000
	@vaeline serve

ui: $(VENV)/.locked ## open MLflow on the project's store: http://127.0.0.1:5000
	@vaeline track ui

server: $(VENV)/.locked ## start a team's MLflow on PostgreSQL, with users and rights: http://127.0.0.1:5000 (docs/server.md)
	@vaeline server start

# The workflows run the targets below; they also run on a laptop. Settings come from the environment. The shell reads them
# ("$$NAME"), never make: `REASON="…" make rollback`.

remote: $(VENV)/.locked ## use the DVC remote that VAELINE_REMOTE names in this clone: a folder, s3://…, ssh://…
	@if [ -n "$$VAELINE_REMOTE" ]; then dvc remote add --quiet --local --force --default team "$$VAELINE_REMOTE"; fi

push: remote ## push data, models and the run cache to the DVC remote, so that other clones can reuse them
	@vaeline push

verify-pipeline: remote ## check that dvc.lock fits code and parameters, and that the remote has its files; needs no data
	@scripts/verify_pipeline.sh

resolve-lock: remote ## after a merge conflict in dvc.lock: write it again, with the remote's results of both sides
	@scripts/resolve_lock.sh

ingest: remote ## check the batches in data/incoming, and accept or quarantine them
	@[ -d data/prepared ] || dvc pull --quiet data/prepared
	@vaeline ingest

retrain: remote ## retrain if a retraining is due, else say why not; FORCE=true retrains in any case
	@if [ "$$FORCE" = true ]; then vaeline retrain; else vaeline retrain --if-due; fi

overdue: $(VENV)/.locked ## the alarm: fail if no retraining succeeded for retrain.quiet_days
	@vaeline overdue

proposal: ## write what a retraining changed in git's files to reports/retrain.patch
	@scripts/proposal.sh make

take-proposal: ## apply proposal/retrain.patch to the files that a retraining may change
	@scripts/proposal.sh take

plan-promotion: $(VENV)/.locked ## say what `make promote` would do, or why it refuses
	@vaeline promote --dry-run --replaces="$$REPLACES" --reason="$$REASON" -- "$$CANDIDATE"

promote: $(VENV)/.locked ## make CANDIDATE=7 the champion if it passed the gate; REPLACES=2: only if version 2 is champion now
	@vaeline promote --replaces="$$REPLACES" --reason="$$REASON" -- "$$CANDIDATE"

plan-rollback: $(VENV)/.locked ## say what `make rollback` would do, or why it refuses
	@vaeline rollback --dry-run --to="$$TO" --reason="$$REASON"

rollback: $(VENV)/.locked ## make an earlier champion the champion again: TO=2, or the one before; the ledger keeps REASON
	@vaeline rollback --to="$$TO" --reason="$$REASON"

ledger: $(VENV)/.locked ## write every move of the champion to reports/ledger.jsonl
	@vaeline history --export reports/ledger.jsonl

report: remote ## show what a branch changes, compared with BASE: reports/change/
	@vaeline report --base="$$BASE" --out=reports/change
	@if [ -n "$$GITHUB_STEP_SUMMARY" ]; then cat reports/change/change.md >>"$$GITHUB_STEP_SUMMARY"; fi

comment: ## post reports/change/change.md as a comment on PULL_REQUEST, replacing the last one
	@gh pr comment "$$PULL_REQUEST" --edit-last --create-if-none --body-file reports/change/change.md

clean: ## remove the environment and the results of runs; the MLflow store, the DVC cache and your images stay
	@rm -rf $(VENV) .vaeline/checkpoints .vaeline/downloads .pytest_cache .ruff_cache validation-report dvc_plots
	@rm -rf data/raw data/prepared data/anomalies data/statistics.parquet models reports/comparison reports/figures reports/validation
	@rm -f reports/*.csv reports/*.parquet reports/latent_reference.json reports/heat_map_reference.json reports/registration.json reports/validation.json
