#!/bin/sh
# mutants.sh [SEEDS] [FOLDER] -- runs the simulations against the feed core and the datagram pipe
# without each of their guards in turn, and shows at which seed it notices; SEEDS (100) is how many it is given.
# FOLDER is a build folder (build-mutants, a release build, made if need be). Ends with status 1
# if a guard may be missing unnoticed.
set -eu
seeds=${1:-100}
source=$(cd "$(dirname "$0")/../.." && pwd)
folder=${2:-$source/build-mutants}
mutants="feed_without_ack_check feed_without_duplicate_check feed_without_ack_after_durable
feed_without_chain_check feed_without_cursor_durable datagram_without_lost_pieces
datagram_without_path_nonce"

if [ ! -f "$folder/build.ninja" ]; then
    meson setup "$folder" "$source" -Dtests=true --buildtype=release >/dev/null
fi
# shellcheck disable=SC2046 # one word a mutant
ninja -C "$folder" --quiet $(printf 'tests/sim/sim_%s ' $mutants)

missed=0
for mutant in $mutants; do
    printf '%-32s ' "$mutant"
    "$folder/tests/sim/sim_$mutant" --seeds "$seeds" --must-fail 2>&1 || missed=1
done
exit $missed
