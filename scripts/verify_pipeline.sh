#!/bin/sh
# Check that dvc.lock is up to date with code, parameters and data, and that the DVC remote has all its files. Needs no data.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'verify-pipeline: %s\n' "$*" >&2; }

if ! found=$(dvc repro --allow-missing --dry 2>&1) ||
  ! printf '%s\n' "$found" | grep -q 'Data and pipelines are up to date'; then
  printf '%s\n' "$found" >&2
  say "dvc.lock is not up to date; run \`dvc repro --pull --allow-missing\` and commit it"
  exit 1
fi
if [ -n "${VAELINE_REMOTE:-}" ]; then
  lacking=$(dvc data status --not-in-remote --json)
  if printf '%s\n' "$lacking" | grep not_in_remote >&2; then
    say "the remote lacks what dvc.lock names; run \`make push\` where it was made"
    exit 1
  fi
fi
say "dvc.lock is up to date"
