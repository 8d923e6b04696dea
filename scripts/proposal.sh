#!/bin/sh
# Pass the changes of a retraining from the job that computes (it has secrets and may not write) to the job that proposes
# (it may write and has no secrets): proposal.sh make|take PATH...
# Only a patch is passed. It may change the named paths and nothing else, wherever it comes from.
set -eu
cd "$(dirname "$0")/.."
action=$1
shift

case $action in
  make)
    for path in "$@"; do
      if [ -e "$path" ]; then git add --intent-to-add -- "$path"; fi
    done
    mkdir -p reports
    git diff --binary --no-ext-diff -- "$@" >reports/retrain.patch
    ;;
  take)
    allowed=""
    for path in "$@"; do
      case $path in *.*) ;; *) mkdir -p "$path" ;; esac # what adds the changes wants to find every path
      allowed="$allowed --include=$path --include=$path/*"
    done
    set -f # the patterns are git's
    # shellcheck disable=SC2086
    git apply $allowed --exclude='*' proposal/retrain.patch
    ;;
  *)
    echo "proposal: make or take, not $action" >&2
    exit 2
    ;;
esac
