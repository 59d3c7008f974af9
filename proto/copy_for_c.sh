#!/bin/sh
# copy_for_c.sh PROTOC_C OUTPUT_FOLDER FILE.proto... -- generates C from copies of the
# public .proto files with the C package added and their folders taken off.
set -eu
protoc_c=$1 output=$2
shift 2
copies=$(mktemp -d)
trap 'rm -rf "$copies"' EXIT
for file in "$@"; do
    sed -e 's|^import "osiris/v1/|import "|' \
        -e '/^package osiris.v1;/a import "protobuf-c/protobuf-c.proto";\noption (pb_c_file).c_package = "osr";' \
        "$file" >"$copies/$(basename "$file")"
done
include=$(pkg-config --variable=includedir libprotobuf-c)
"$protoc_c" -I"$copies" -I"$include" -I/usr/include --c_out="$output" "$copies"/*.proto
