#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Known programs are played as managed proxies (tests/compat), and what they do is compared with what is expected.
#
#   .ci/compat.sh            those that are small to install, as before each change (root)
#   .ci/compat.sh all        all, which are installed first: of Debian, and of PyPI, npm and crates.io with pinned versions
#   .ci/compat.sh NAME...    these
#   .ci/compat.sh trixie [NAME...]
#                            those of Debian, all or these, with the packages of Debian 13 in a root file system of theirs;
#                            by hand and not by CI, for it downloads that (root, debootstrap)
#   .ci/compat.sh page       writes docs/proxies.md anew
#
# With --write after one of them, what was seen is written into tests/compat/programs, and the page.
#
#   PROXYPROCESS_PROGRAMS    where what is not of Debian is installed (default: /var/tmp/proxyprocess-programs)
#   PROXYPROCESS_TRIXIE      where the root file system of Debian 13 is kept (default: /var/tmp/proxyprocess-trixie)
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

# Each has the packages, of which there is one of a crate, and a directory of its own.
of_pypi() {
    /usr/bin/python3 -m venv "$place"
    # shellcheck disable=SC2086
    "$place/bin/pip" install --quiet --disable-pip-version-check $packages
}
of_npm() {
    # shellcheck disable=SC2086
    npm install --silent --no-audit --no-fund --prefix "$place" $packages
}
of_crates() {
    cargo install --quiet --locked --debug --root "$place" --target-dir "$place/build" "${packages%%==*}" --version "${packages##*==}"
    rm -rf "$place/build"
}

install_others() {
    local source name packages place
    mkdir -p "$PROXYPROCESS_PROGRAMS"
    for source in pypi npm crates; do
        while read -r name packages; do
            place=$PROXYPROCESS_PROGRAMS/$name
            [[ $(cat "$place/installed" 2>/dev/null) == "$packages" ]] && continue
            rm -rf "$place"
            "of_$source" </dev/null
            echo "$packages" >"$place/installed"
        done < <("$compat" --packages "$source")
    done
    chmod -R a+rX "$PROXYPROCESS_PROGRAMS"
}

# Packages that are not in it are passed over, and said.
install_trixie() {
    local root=$1 package packages=()
    if [[ ! -e $root/usr/local/.complete ]]; then
        rm -rf "$root"
        debootstrap --variant=minbase trixie "$root" "$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)" >&2
        touch "$root/usr/local/.complete"
    fi
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    chroot "$root" apt-get update >&2
    for package in $("$compat" --packages debian | awk '{for (i = 2; i <= NF; i++) print $i}' | sort -u); do
        if chroot "$root" apt-cache show "$package" >/dev/null 2>&1; then
            packages+=("$package")
        else
            echo "not in trixie: $package"
        fi
    done
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        chroot "$root" apt-get install -y --no-install-recommends "${packages[@]}" iproute2 openssl >&2
}

# In mounts of its own, which go with it. The runner and the agent are those of this machine.
play_in() {
    local root=$1
    shift
    mkdir -p "$root$PWD" "$root$CARGO_TARGET_DIR"
    # shellcheck disable=SC2016
    exec unshare --mount /bin/bash -ec '
        root=$1 tree=$2 target=$3
        mount --bind "$root" "$root"
        for folder in /proc /sys /dev "$tree" "$target"; do mount --rbind "$folder" "$root$folder"; done
        exec chroot "$root" "$target/debug/compat" --installed "${@:4}"
    ' bash "$root" "$PWD" "$CARGO_TARGET_DIR" "$@"
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
trixie)
    root=${PROXYPROCESS_TRIXIE:-/var/tmp/proxyprocess-trixie}
    install_trixie "$root"
    shift
    [[ ${1-} && $1 != --* ]] || set -- --all "$@"
    play_in "$root" "$@"
    ;;
*)
    exec "$compat" "$@"
    ;;
esac
