#!/bin/sh
# run.sh TARGET CORPUS -- fuzzes for OSIRIS_FUZZ_SECONDS (20), beginning from the corpus. What is
# found on the way is thrown away; an input that fails is left in OSIRIS_FUZZ_FOUND, if that is set.
set -eu
target=$1 corpus=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
"$target" -max_total_time="${OSIRIS_FUZZ_SECONDS:-20}" -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix="${OSIRIS_FUZZ_FOUND:-$work}/" "$work" "$corpus"
