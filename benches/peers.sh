#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Installs pinned versions of the supervisors that `side_by_side` compares, and that no package of Debian has, into a directory:
# its `bin` has the program of each, and beside it its version, for not all can be asked. Run by hand and not by CI, for it downloads and compiles for many minutes.
#
#   benches/peers.sh DIR [NAME...]     of circus, supervisor, pm2, horust (all)
#
# It needs python3 with venv, npm, cargo, and for horust protoc (package protobuf-compiler). Then:
#
#   cargo bench -p proxyprocess-benches --bench side_by_side -- --peers-dir DIR
set -euo pipefail

(($#)) || { sed -n 's/^# \{0,1\}//p' "$0" | sed 1d >&2; exit 2; }
mkdir -p "$1/bin"
dir=$(cd "$1" && pwd)
shift
(($#)) || set -- circus supervisor pm2 horust

# A package of PyPI in an environment of its own: NAME VERSION PROGRAM
of_pypi() {
    python3 -m venv "$dir/$1"
    "$dir/$1/bin/pip" install --quiet "$1==$2"
    ln -sfn "../$1/bin/$3" "$dir/bin/$3"
    echo "$2" >"$dir/bin/$3.version"
}

# A package of npm: NAME VERSION PROGRAM
of_npm() {
    npm install --silent --no-fund --no-audit --prefix "$dir/$1" "$1@$2"
    ln -sfn "../$1/node_modules/.bin/$3" "$dir/bin/$3"
    echo "$2" >"$dir/bin/$3.version"
}

# A crate, which puts its program into `bin` itself: NAME VERSION PROGRAM
of_crates() {
    cargo install --quiet --locked --root "$dir" --version "$2" "$1"
    echo "$2" >"$dir/bin/$3.version"
}

for name; do
    case $name in
        circus) of_pypi circus 0.19.0 circusd ;;
        supervisor) of_pypi supervisor 4.3.0 supervisord ;;
        pm2) of_npm pm2 7.0.4 pm2-runtime ;;
        horust) of_crates horust 0.1.14 horust ;;
        *) echo "$0: unknown name $name" >&2; exit 2 ;;
    esac
done
