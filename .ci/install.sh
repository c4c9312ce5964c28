#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Installs the library as a user would, into a prefix of its own, and builds the programs of README and docs with nothing else.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
prefix="$place/prefix"

# What cargo-c does, for a machine that is too slow to build it.
install_by_hand() {
    echo "--- cargo-c is not built yet: installing by hand"
    cargo build --quiet --locked --release -p proxyprocess --lib
    mkdir -p "$prefix"/{include,lib/pkgconfig}
    cp include/proxyprocess.h "$prefix/include"
    cp "$CARGO_TARGET_DIR"/release/libproxyprocess.{a,so} "$prefix/lib"
    cat >"$prefix/lib/pkgconfig/proxyprocess.pc" <<PC
libdir=$prefix/lib
Name: proxyprocess
Description: An embeddable process supervisor
Version: 0.1.0
Libs: -L$prefix/lib -lproxyprocess
Cflags: -I$prefix/include
PC
}

while [[ ! -e "$CARGO_TARGET_DIR/tools/done" ]] && (($(date +%s) < CI_PATIENCE)); do sleep 1; done
case $(cat "$CARGO_TARGET_DIR/tools/done" 2>/dev/null || true) in
0) cargo cinstall --locked -p proxyprocess --release --prefix "$prefix" --libdir lib ;;
"") install_by_hand ;;
*)
    cat "$CARGO_TARGET_DIR/tools/log" >&2
    exit 1
    ;;
esac
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig" LD_LIBRARY_PATH="$prefix/lib"

# The block of a page that is in a language and has this in it.
block() {
    awk -v language="$2" -v wanted="$3" '
        $0 == "```" language { inside = 1; text = ""; next }
        inside && $0 == "```" { if (index(text, wanted)) { printf "%s", text; exit } inside = 0 }
        inside { text = text $0 "\n" }' "$1"
}
runs() {
    local output
    output=$("$@")
    [[ "$output" == "web-proxy is process "[1-9]* ]] || { echo "$*: $output" >&2; exit 1; }
}

# The agent of the README: it starts its proxy, leaves it at SIGTERM, and has it again when it is started again.
agent_runs() {
    local dir="$place/run" lines line pid
    mkdir "$dir"
    for expected in started adopted; do
        (cd "$dir" && mkfifo log && exec "$@" 2>log) &
        until [[ -p "$dir/log" ]]; do kill -0 $!; done
        exec {lines}<"$dir/log"
        while read -r line <&"$lines"; do
            [[ "$line" != *"proxy web-proxy: $expected, pid "* ]] || break
        done
        pid=$(cat "$dir/proxies/pids/web-proxy.pid")
        [[ "$line" == *" $expected, pid $pid" ]] || { echo "$*: $line" >&2; exit 1; }
        kill -TERM $!
        cat <&"$lines" >/dev/null
        wait $!
        exec {lines}<&-
        rm "$dir/log"
    done
    kill "$pid"
    rm -rf "$dir"
}

block docs/c.md c 'int main' >"$place/main.c"
block README.md c 'int main' >"$place/agent.c"
block docs/c.md cmake project >"$place/CMakeLists.txt"
mkdir -p "$place"/go/{daemon,agent}
block docs/go.md go 'package main' >"$place/go/daemon/main.go"
block README.md go 'package main' >"$place/go/agent/main.go"

cd "$place"
flags="-std=c11 -Wall -Wextra -Wpedantic -Werror"
echo "--- C, shared"
cc $flags main.c -o shared $(pkg-config --cflags --libs proxyprocess)
runs ./shared
cc -Wall -Wextra -Wpedantic -Werror agent.c -o agent $(pkg-config --cflags --libs proxyprocess)
agent_runs "$place/agent"
[[ $(readelf -d shared) == *libproxyprocess.so* ]]
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
(cd go && CGO_CFLAGS="-I$prefix/include" CGO_LDFLAGS="-L$prefix/lib" GOCACHE="$place/go-cache" \
    go build -o "$place/with-go/" ./daemon ./agent)
runs ./with-go/daemon
agent_runs "$place/with-go/agent"

echo "--- sizes, stripped"
strip --strip-unneeded -o library.so "$prefix"/lib/libproxyprocess.so
strip --strip-debug -o library.a "$prefix"/lib/libproxyprocess.a
stat -c '%n %s' library.so library.a
