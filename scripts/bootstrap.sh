#!/bin/sh
# Create .venv from the locks, which have hashes. Needs only Python 3.11 to 3.13; uses uv if it is on the PATH.
# PY=/path/to/python chooses the interpreter.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'bootstrap: %s\n' "$*" >&2; }
suits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; }

python=""
for candidate in ${PY:-python3 python3.13 python3.12 python3.11}; do
  if suits "$candidate"; then python=$candidate; break; fi
done
if [ -z "$python" ]; then
  found=$("${PY:-python3}" --version 2>&1) || found="no usable ${PY:-python3}"
  say "vaeline needs Python 3.11, 3.12 or 3.13, but found: $found. Install one, or name it: make PY=/path/to/python3.12"
  exit 1
fi

rm -rf .venv
if command -v uv >/dev/null 2>&1; then
  say "making .venv with uv and $("$python" --version)"
  export UV_COMPILE_BYTECODE=1
  uv venv --quiet --no-managed-python --python "$python" .venv
  uv pip install --quiet --python .venv/bin/python --no-deps --require-hashes --only-binary :all: -r build.lock
  uv pip sync --quiet --python .venv/bin/python --require-hashes --no-build-isolation \
    --only-binary :all: --no-binary antlr4-python3-runtime requirements.lock
  uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .
else
  say "making .venv with pip and $("$python" --version) (a few minutes, about 2 GB)"
  if "$python" -c 'import ensurepip' >/dev/null 2>&1; then
    "$python" -m venv .venv
    set -- .venv/bin/python -m pip
  elif "$python" -m pip --version >/dev/null 2>&1; then
    "$python" -m venv --without-pip .venv
    set -- "$python" -m pip --python .venv/bin/python
  else
    say "this Python has neither ensurepip nor pip. On Debian and Ubuntu: apt install python3-venv; then run make again"
    exit 1
  fi
  set -- "$@" install --quiet --disable-pip-version-check --no-deps
  "$@" --require-hashes --only-binary :all: -r build.lock
  "$@" --require-hashes --no-build-isolation --only-binary :all: --no-binary antlr4-python3-runtime -r requirements.lock
  "$@" --no-build-isolation -e .
fi

# A downloaded zip has no git history, and DVC needs a setting for that.
if [ ! -e .git ]; then .venv/bin/dvc config --local core.no_scm true; fi
