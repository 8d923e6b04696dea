#!/bin/sh
# The way out of a merge or rebase that stopped at dvc.lock. A lock is written, never merged: whichever side is taken,
# `dvc repro --pull` makes what is not as the merged code, parameters and data want it, from the run cache of either side
# if one of them has done it, else anew. So merge those by hand first, and then run this.
set -eu
cd "$(dirname "$0")/.."
written="dvc.lock reports/metrics.json"

say() { printf 'resolve-lock: %s\n' "$*" >&2; }

others=$(git diff --name-only --diff-filter=U -- . ':(exclude)dvc.lock' ':(exclude)reports/metrics.json')
if [ -n "$others" ]; then
  say "merge these by hand, git add them, and run this again:" $others
  exit 1
fi
for file in $written; do
  if git ls-files --unmerged --error-unmatch "$file" >/dev/null 2>&1; then
    # A side that has no such file (it was removed there) leaves it to the other.
    git checkout --quiet --ours -- "$file" 2>/dev/null || git checkout --quiet --theirs -- "$file"
  fi
done
dvc repro --pull --allow-missing
# shellcheck disable=SC2086
git add -- $written
say "dvc.lock is that of the merged files; now \`git commit\`, or \`git rebase --continue\`, and \`make push\`"
