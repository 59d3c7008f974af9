#!/bin/sh
# copy_for_c.sh PROTOC_C OUTPUT_FOLDER FILE.proto... -- generates C from copies of the
# public .proto files, with a C package added and their folders taken off: osiris.v1 becomes
# "osr", every other package its name with "_" for ".". The two well-known types that they use
# are generated along with them. Services are left out: what protoc-c makes of them knows nothing
# of streams.
set -eu
protoc_c=$1 output=$2
shift 2
copies=$(mktemp -d)
trap 'rm -rf "$copies"' EXIT
include=$(pkg-config --variable=includedir libprotobuf-c)
for file in "$@" /usr/include/google/protobuf/any.proto /usr/include/google/protobuf/duration.proto; do
    name=$(sed -n 's/^package \(.*\);/\1/p' "$file" | tr . _)
    [ "$name" != osiris_v1 ] || name=osr
    sed -e 's#^import "\(osiris/v1\|google/rpc\|google/protobuf\)/#import "#' \
        -e '/^package /a import "protobuf-c/protobuf-c.proto";\noption (pb_c_file).c_package = "'"$name"'";' \
        -e '/^service /,/^}/d' "$file" >"$copies/$(basename "$file")"
done
"$protoc_c" -I"$copies" -I"$include" -I/usr/include --c_out="$output" "$copies"/*.proto
