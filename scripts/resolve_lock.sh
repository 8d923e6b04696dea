#!/bin/sh
# Resolve a conflict in dvc.lock in a merge or rebase. DVC writes the lock; git must not merge it. First merge code,
# parameters and data by hand, then run this script. It takes one side's lock and runs `dvc repro --pull`, which redoes what
# does not fit the merged inputs: from the run cache if one side has done it, else by running the stage.
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
