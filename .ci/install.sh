#!/usr/bin/env bash
# Installs the library as a user would, into a prefix of its own, and builds the README's programs with nothing else.
set -euo pipefail

while [[ ! -e "$CARGO_TARGET_DIR/tools/done" ]]; do sleep 1; done
if [[ $(cat "$CARGO_TARGET_DIR/tools/done") != 0 ]]; then
    cat "$CARGO_TARGET_DIR/tools/log" >&2
    exit 1
fi

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
prefix="$place/prefix"
cargo cinstall --quiet --locked --release --prefix "$prefix" --libdir lib
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig" LD_LIBRARY_PATH="$prefix/lib"

# The block of the README that is in a language and has this in it.
block() {
    awk -v language="$1" -v wanted="$2" '
        $0 == "```" language { inside = 1; text = ""; next }
        inside && $0 == "```" { if (index(text, wanted)) { printf "%s", text; exit } inside = 0 }
        inside { text = text $0 "\n" }' README.md
}
runs() {
    local output
    output=$("$@")
    [[ "$output" == "web-proxy is process "[1-9]* ]] || { echo "$*: $output" >&2; exit 1; }
}

block c 'int main' >"$place/main.c"
block cmake project >"$place/CMakeLists.txt"
mkdir "$place/go"
block go 'package main' >"$place/go/main.go"

cd "$place"
flags="-std=c11 -Wall -Wextra -Wpedantic -Werror"
echo "--- C, shared"
cc $flags main.c -o shared $(pkg-config --cflags --libs proxyprocess)
runs ./shared
[[ $(readelf -d shared) == *"libproxyprocess.so.0.1.0"* ]]
echo "--- C, static"
cc $flags main.c -o static $(pkg-config --cflags proxyprocess) $(pkg-config --variable=libdir proxyprocess)/libproxyprocess.a \
    -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc
env -u LD_LIBRARY_PATH bash -c '[[ $(ldd ./static) != *proxyprocess* ]]'
runs ./static
echo "--- C, CMake"
cmake -S . -B build -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build build >/dev/null
runs ./build/agent
echo "--- Go"
cp -r "$OLDPWD/ffi-tests/go/proxyprocess" "$OLDPWD/ffi-tests/go/go.mod" go/
(cd go && CGO_CFLAGS="-I$prefix/include" CGO_LDFLAGS="-L$prefix/lib" GOCACHE="$place/go-cache" go build -o ../with-go .)
runs ./with-go

echo "--- sizes, stripped"
strip --strip-unneeded -o library.so "$prefix"/lib/libproxyprocess.so
strip --strip-debug -o library.a "$prefix"/lib/libproxyprocess.a
stat -c '%n %s' library.so library.a
