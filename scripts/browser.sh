#!/bin/sh
# A Chromium for the tests of the MLflow UI. Where none can be had, say so and end well: those tests skip.
set -eu

say() { printf 'browser: %s\n' "$*" >&2; }

for name in chromium chromium-browser google-chrome google-chrome-stable; do
  if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done

why=""
as_root=""
if ! command -v apt-get >/dev/null 2>&1; then
  why="there is no apt-get here"
elif [ "$(id -u)" -ne 0 ]; then
  as_root="sudo -n"
  if ! sudo -n true >/dev/null 2>&1; then why="installing it takes root"; fi
fi

if [ -z "$why" ]; then
  say "installing Debian's chromium, for the tests of the MLflow UI"
  export DEBIAN_FRONTEND=noninteractive
  if ! answer=$($as_root apt-get update --quiet 2>&1 &&
    $as_root apt-get install --quiet --yes --no-install-recommends chromium 2>&1); then
    why="apt-get failed: $(printf '%s\n' "$answer" | tail -n 1)"
  fi
fi

if [ -n "$why" ]; then
  say "no Chromium, and none could be installed ($why); the tests of the MLflow UI are skipped"
fi
