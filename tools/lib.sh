# lib.sh -- what the scripts in tools/ share; sourced, never run.
#
# need_packages makes sure of Debian packages: as root or through sudo it installs what is
# missing, elsewhere it names it and ends with status 69.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C.UTF-8

BUILD_PACKAGES="gcc libc6-dev meson ninja-build pkg-config protobuf-c-compiler libprotobuf-c-dev
    libprotobuf-dev libuv1-dev libssl-dev libsqlite3-dev libyaml-dev
    libnghttp2-dev libargon2-dev zlib1g-dev protobuf-compiler
    libmosquitto-dev librabbitmq-dev libzmq3-dev liblmdb-dev"
TEST_PACKAGES="libcmocka-dev clang-14 libclang-rt-14-dev clang-format-14 cppcheck python3
    python3-pytest python3-cryptography python3-yaml python3-protobuf python3-grpcio
    protobuf-compiler protobuf-compiler-grpc golang-go golang-google-grpc-dev
    golang-github-golang-protobuf-1-3-dev nodejs faketime procps iproute2 openssl
    testssl.sh mosquitto rabbitmq-server python3-paho-mqtt python3-pika python3-zmq
    python3-pytest-xdist"
DEMO_PACKAGES="dict-foldoc python3 gzip"
BENCH_PACKAGES="redis-server libhiredis-dev g++ libgrpc++-dev protobuf-compiler
    protobuf-compiler-grpc nghttp2-client nghttp2-server node-llhttp etcd-server etcd-client"
SOAK_PACKAGES="valgrind clang-tidy-14 iproute2"

say() { printf '%s\n' "$*" >&2; }
fail() {
    say "$(basename "$0"): $1"
    exit "${2:-1}"
}

missing_packages() {
    local name
    for name in "$@"; do
        dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || echo "$name"
    done
}

need_packages() {
    command -v dpkg-query >/dev/null ||
        fail "this is not Debian; install what stands for: $*" 69
    local missing as_root=""
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null && sudo -n true 2>/dev/null ||
            fail "missing packages; install them with: apt-get install $(echo $missing)" 69
        as_root="sudo"
    fi
    say "installing $(echo $missing | wc -w) Debian packages ..."
    local log
    log=$(mktemp)
    if ! { $as_root apt-get update -q &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
            -o DPkg::Lock::Timeout=120 $missing; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        fail "apt-get could not install: $(echo $missing)" 69
    fi
    rm -f "$log"
}

# configure FOLDER OPTION... -- sets a Meson build folder up, or anew if its options changed.
configure() {
    local folder=$1 stamp
    shift
    stamp="$*"
    if [ ! -f "$folder/build.ninja" ] || [ "$(cat "$folder/.options" 2>/dev/null)" != "$stamp" ]; then
        rm -rf "$folder"
        mkdir -p "$(dirname "$folder")"
        meson setup "$folder" "$@" >"$folder.log" 2>&1 || {
            tail -n 30 "$folder.log" >&2
            fail "meson setup failed"
        }
        echo "$stamp" >"$folder/.options"
    fi
}

# compile FOLDER [TARGET...] -- quiet unless it fails.
compile() {
    local folder=$1
    shift
    ninja -C "$folder" "$@" >"$folder/compile.log" 2>&1 || {
        grep -E -A12 'FAILED|error:' "$folder/compile.log" | head -n 60 >&2
        fail "the build in $folder failed; all of it is in $folder/compile.log"
    }
}

# Release binaries at build/osirisd and build/osiris.
build_release() {
    need_packages $BUILD_PACKAGES
    configure build --buildtype=release
    compile build
    ln -sf src/bin/osirisd src/bin/osiris build/
}
