// SPDX-License-Identifier: MPL-2.0
//! The files, by name.

pub(super) const PROGRAMS: &[&str] = &[
    include_str!("../../../../tests/compat/programs/apache2.toml"),
    include_str!("../../../../tests/compat/programs/danted.toml"),
    include_str!("../../../../tests/compat/programs/dnsmasq.toml"),
    include_str!("../../../../tests/compat/programs/haproxy.toml"),
    include_str!("../../../../tests/compat/programs/haproxy-w.toml"),
    include_str!("../../../../tests/compat/programs/lighttpd.toml"),
    include_str!("../../../../tests/compat/programs/lighttpd-workers.toml"),
    include_str!("../../../../tests/compat/programs/microsocks.toml"),
    include_str!("../../../../tests/compat/programs/nginx.toml"),
    include_str!("../../../../tests/compat/programs/pgbouncer.toml"),
    include_str!("../../../../tests/compat/programs/socat.toml"),
    include_str!("../../../../tests/compat/programs/squid.toml"),
    include_str!("../../../../tests/compat/programs/squid-n.toml"),
    include_str!("../../../../tests/compat/programs/stunnel.toml"),
    include_str!("../../../../tests/compat/programs/tinyproxy.toml"),
    include_str!("../../../../tests/compat/programs/varnish.toml"),
    include_str!("../../../../tests/compat/programs/xinetd.toml"),
];
