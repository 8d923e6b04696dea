#!/bin/sh
# Provide a program that some tests need: provide.sh PACKAGE TESTS PROGRAM... installs Debian's package if none of the
# programs is there. If it cannot install it, it says so and ends with status 0, and the tests skip.
set -eu
package=$1 tests=$2
shift 2

say() { printf 'provide: %s\n' "$*" >&2; }

for program in "$@"; do
  if command -v "$program" >/dev/null 2>&1; then exit 0; fi
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
  say "installing Debian's $package, for $tests"
  export DEBIAN_FRONTEND=noninteractive
  if ! answer=$($as_root apt-get update --quiet 2>&1 &&
    $as_root apt-get install --quiet --yes --no-install-recommends "$package" 2>&1); then
    why="apt-get failed: $(printf '%s\n' "$answer" | tail -n 1)"
  fi
fi

if [ -n "$why" ]; then
  say "no $package, and none could be installed ($why); $tests are skipped"
fi
