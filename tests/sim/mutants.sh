#!/bin/sh
# mutants.sh [SEEDS] [FOLDER] -- runs the simulation against the feed core without each of its
# guards in turn, and shows at which seed it notices; SEEDS (100) is how many it is given.
# FOLDER is a build folder (build-mutants, a release build, made if need be). Ends with status 1
# if a guard may be missing unnoticed.
set -eu
seeds=${1:-100}
source=$(cd "$(dirname "$0")/../.." && pwd)
folder=${2:-$source/build-mutants}
guards="ack_check duplicate_check ack_after_durable chain_check cursor_durable"

if [ ! -f "$folder/build.ninja" ]; then
    meson setup "$folder" "$source" -Dtests=true --buildtype=release >/dev/null
fi
# shellcheck disable=SC2046 # one word a guard
ninja -C "$folder" --quiet $(printf 'tests/sim/sim_feed_without_%s ' $guards)

missed=0
for guard in $guards; do
    printf '%-18s ' "$guard"
    "$folder/tests/sim/sim_feed_without_$guard" --seeds "$seeds" --must-fail 2>&1 || missed=1
done
exit $missed
