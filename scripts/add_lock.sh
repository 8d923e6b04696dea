#!/bin/sh
# Install the packages of a lock into the .venv that bootstrap.sh made: add_lock.sh LOCK [OPTION OF PIP ...].
set -eu
lock=$1
shift
cd "$(dirname "$0")/.."

set -- install --quiet --no-deps --require-hashes --only-binary :all: "$@" -r "$lock"
if command -v uv >/dev/null 2>&1; then
  UV_COMPILE_BYTECODE=1 uv pip "$@" --python .venv/bin/python
elif .venv/bin/python -m pip --version >/dev/null 2>&1; then
  .venv/bin/python -m pip "$@" --disable-pip-version-check
else
  python=$(.venv/bin/python -c 'import sys; print(sys._base_executable)')
  "$python" -m pip --python .venv/bin/python "$@" --disable-pip-version-check
fi
