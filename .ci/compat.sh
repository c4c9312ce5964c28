#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Known programs are played as managed proxies (tests/compat), and what they do is compared with what is expected.
#
#   .ci/compat.sh            those that are small to install, as before each change (root)
#   .ci/compat.sh all        all, which are installed first: of Debian, and of PyPI, npm and crates.io with pinned versions
#   .ci/compat.sh NAME...    these
#   .ci/compat.sh page       writes docs/proxies.md anew
#
# With --write after one of them, what was seen is written into tests/compat/programs, and the page.
#
#   PROXYPROCESS_PROGRAMS    where what is not of Debian is installed (default: /var/tmp/proxyprocess-programs)
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
export PROXYPROCESS_PROGRAMS=${PROXYPROCESS_PROGRAMS:-/var/tmp/proxyprocess-programs}
compat=$CARGO_TARGET_DIR/debug/compat
cargo build --locked --quiet -p proxyprocess-agent -p proxyprocess-compat

# Only the programs: no service of theirs may start and take a port.
install_debian() {
    local packages
    packages=$("$compat" --packages debian | awk '{for (i = 2; i <= NF; i++) print $i}' | sort -u)
    # shellcheck disable=SC2086
    dpkg-query -W $packages >/dev/null 2>&1 && return
    apt-get update
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y --no-install-recommends $packages iproute2 openssl python3-venv
}

install_others() {
    local name packages place
    mkdir -p "$PROXYPROCESS_PROGRAMS"
    while read -r name packages; do
        place=$PROXYPROCESS_PROGRAMS/$name
        [[ $(cat "$place/installed" 2>/dev/null) == "$packages" ]] && continue
        rm -rf "$place"
        # shellcheck disable=SC2086
        /usr/bin/python3 -m venv "$place" && "$place/bin/pip" install --quiet --disable-pip-version-check $packages
        echo "$packages" >"$place/installed"
    done < <("$compat" --packages pypi)
    while read -r name packages; do
        place=$PROXYPROCESS_PROGRAMS/$name
        [[ $(cat "$place/installed" 2>/dev/null) == "$packages" ]] && continue
        rm -rf "$place"
        # shellcheck disable=SC2086
        npm install --silent --no-audit --no-fund --prefix "$place" $packages
        echo "$packages" >"$place/installed"
    done < <("$compat" --packages npm)
    while read -r name packages; do
        place=$PROXYPROCESS_PROGRAMS/$name
        [[ $(cat "$place/installed" 2>/dev/null) == "$packages" ]] && continue
        rm -rf "$place"
        cargo install --quiet --locked --debug --root "$place" --target-dir "$place/build" "${packages%%==*}" --version "${packages##*==}"
        rm -rf "$place/build"
        echo "$packages" >"$place/installed"
    done < <("$compat" --packages crates | sed 's/ *$//')
    chmod -R a+rX "$PROXYPROCESS_PROGRAMS"
}

case "${1-}" in
'' | --write)
    [[ ${1-} ]] || "$compat" --page
    exec "$compat" --ci "$@"
    ;;
page) PROXYPROCESS_BLESS=1 exec "$compat" --page ;;
all)
    install_debian
    install_others
    exec "$compat" --all "${@:2}"
    ;;
*)
    exec "$compat" "$@"
    ;;
esac
