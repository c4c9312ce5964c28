#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The Debian packages that the tests use.
set -euo pipefail

missing=()
command -v haproxy >/dev/null || missing+=(haproxy)
command -v nginx >/dev/null || missing+=(nginx-light)
command -v squid >/dev/null || missing+=(squid)
command -v dnsmasq >/dev/null || missing+=(dnsmasq-base)
command -v apache2 >/dev/null || missing+=(apache2-bin)
command -v lighttpd >/dev/null || missing+=(lighttpd)
command -v pgbouncer >/dev/null || missing+=(pgbouncer)
command -v socat >/dev/null || missing+=(socat)
command -v tinyproxy >/dev/null || missing+=(tinyproxy-bin)
command -v xinetd >/dev/null || missing+=(xinetd)
command -v microsocks >/dev/null || missing+=(microsocks)
command -v redir >/dev/null || missing+=(redir)
command -v ip >/dev/null || missing+=(iproute2)
command -v strace >/dev/null || missing+=(strace)
command -v fish >/dev/null || missing+=(fish)
command -v zsh >/dev/null || missing+=(zsh)
python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
command -v bindfs >/dev/null || missing+=(bindfs)
command -v setpriv >/dev/null || missing+=(util-linux)
command -v script >/dev/null || missing+=(bsdutils)
command -v g++ >/dev/null || missing+=(g++)
command -v make >/dev/null || missing+=(make)
command -v valgrind >/dev/null || missing+=(valgrind)
command -v go >/dev/null || missing+=(golang-go)
command -v etcd >/dev/null || missing+=(etcd-server)
command -v etcdctl >/dev/null || missing+=(etcd-client)
[[ -d /usr/share/gocode/src/go.etcd.io/etcd/clientv3 ]] || missing+=(golang-etcd-server-dev)
command -v cmake >/dev/null || missing+=(cmake)
command -v pkg-config >/dev/null || missing+=(pkg-config)
# For hosts.sh.
command -v ruby >/dev/null || missing+=(ruby)
command -v php >/dev/null || missing+=(php-cli)
command -v luajit >/dev/null || missing+=(luajit)
perl -MFFI::Platypus -e 1 2>/dev/null || missing+=(libffi-platypus-perl)
[[ -e /usr/include/jansson.h ]] || missing+=(libjansson-dev)
[[ -e /usr/include/openssl/ssl.h ]] || missing+=(libssl-dev) # for cargo-c
promtool=
command -v promtool >/dev/null || promtool=missing
if ((${#missing[@]})) || [[ $promtool ]]; then apt-get update; fi
if ((${#missing[@]})); then
    # Only the programs: no service of theirs may start and take a port.
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y --no-install-recommends "${missing[@]}"
fi
# The tool alone: its package is a service, with 90 MB.
if [[ $promtool ]]; then
    unpacked=$(mktemp -d)
    trap 'rm -rf "$unpacked"' EXIT
    (cd "$unpacked" && apt-get -o APT::Sandbox::User=root download prometheus)
    dpkg-deb --fsys-tarfile "$unpacked"/prometheus_*.deb | tar -x -C "$unpacked" ./usr/bin/promtool
    install "$unpacked/usr/bin/promtool" /usr/local/bin/
fi
