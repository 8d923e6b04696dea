#!/bin/sh
# Pass the changes of a retraining from the job that computes (it has secrets and may not write) to the job that proposes
# (it may write and has no secrets): proposal.sh make|take
# Only a patch is passed. It may change the paths in proposed.txt and nothing else, wherever it comes from.
set -eu
cd "$(dirname "$0")/.."
action=$1
proposed=src/vaeline/retraining/proposed.txt # one path a line

case $action in
  make)
    while read -r path; do
      if [ -e "$path" ]; then git add --intent-to-add -- "$path"; fi
    done <$proposed
    mkdir -p reports
    # shellcheck disable=SC2046
    git diff --binary --no-ext-diff -- $(cat $proposed) >reports/retrain.patch
    ;;
  take)
    allowed=""
    while read -r path; do
      case $path in *.*) ;; *) mkdir -p "$path" ;; esac # what adds the changes wants to find every path
      allowed="$allowed --include=$path --include=$path/*"
    done <$proposed
    set -f # the patterns are git's
    # shellcheck disable=SC2086
    git apply $allowed --exclude='*' proposal/retrain.patch
    if [ -n "${GITHUB_OUTPUT:-}" ]; then echo "paths=$(paste -s -d , $proposed)" >>"$GITHUB_OUTPUT"; fi
    ;;
  *)
    echo "proposal: make or take, not $action" >&2
    exit 2
    ;;
esac
