#!/bin/sh
# Builds and runs the ring beside iceoryx2, Aeron, pipe and Unix socket, in the same turns: benches/peers.sh [SECONDS]
#
# The build takes about three minutes on two cores, the first time; the run 50 seconds, or as many as are said.
# Aeron is C, which needs a C and a C++ compiler, CMake 3.30 or later, and libclang for its bindings. Nothing is installed here.
set -eu
cd "$(dirname "$0")/peers"

missing=
lacks() { missing="$missing
  $1"; }
for compiler in cc c++; do
    command -v $compiler >/dev/null || lacks "$compiler: apt-get install build-essential"
done
version=$("${CMAKE:-cmake}" --version 2>/dev/null | sed -n '1s/[^0-9]*//p') || :
if [ "$(printf '%s\n3.30\n' "${version:-0}" | sort -V | head -n 1)" != 3.30 ]; then
    lacks "CMake 3.30 or later (here: ${version:-none}): apt-get install cmake where that is recent enough, else
    python3 -m venv DIRECTORY && DIRECTORY/bin/pip install 'cmake<4', and CMAKE=DIRECTORY/bin/cmake in the environment"
fi
if [ -z "${LIBCLANG_PATH:-}" ] && ! ls /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* >/dev/null 2>&1; then
    lacks "libclang: apt-get install libclang-dev, or LIBCLANG_PATH in the environment"
fi
if [ -n "$missing" ]; then
    echo "benches/peers.sh: missing$missing" >&2
    exit 1
fi

cargo build --release --locked
exec "${CARGO_TARGET_DIR:-target}/release/ringway-peers" "$@"
