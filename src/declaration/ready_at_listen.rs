// SPDX-License-Identifier: MPL-2.0
//! Readiness by a connect at a socket of `listen`: it succeeds before there is a process, so it is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::fields::invalid;
use super::listen::{Listen, ListenAddress};
use super::ready::Ready;
use crate::error::Result;

/// Refuses a connect that a socket of the declaration accepts.
pub(super) fn validate(ready: &Ready, sockets: &[Listen]) -> Result<()> {
    let connects_to = |socket: &Listen| match (ready, &socket.address) {
        (Ready::Tcp(to), ListenAddress::Tcp(at)) => accepts(*at, socket.ipv6_only, *to),
        (Ready::Unix(to), ListenAddress::Unix(at)) => at == to,
        _ => false,
    };
    let Some(index) = sockets.iter().position(connects_to) else { return Ok(()) };
    let field = if matches!(ready, Ready::Tcp(_)) { "tcp" } else { "unix" };
    let why = format!("got that of listen[{index}], which accepts connections before a process does");
    let instead = r#"use "notify", {"fd": NUMBER} or {"command": LIST}"#;
    Err(invalid(format!("ready.{field}: expected no address of listen, {why}; {instead}")))
}

/// Whether a TCP socket that is bound to `at` gets the connections to `to` (ip(7), ipv6(7)). One that is bound to `::` gets
/// those of IPv4 too unless it is declared not to: what is not declared may be so.
fn accepts(at: SocketAddr, ipv6_only: Option<bool>, to: SocketAddr) -> bool {
    // IPv4 in IPv6 (::ffff:127.0.0.1) is IPv4, and a connect to no address goes to the host itself.
    let to_ip = match to.ip().to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let gets_ip = match at.ip().to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => to_ip.is_ipv4(),
        IpAddr::V6(ip) if ip.is_unspecified() => to_ip.is_ipv6() || ipv6_only != Some(true),
        ip => ip == to_ip && is_same_link(at, to),
    };
    at.port() == to.port() && gets_ip
}

/// Whether both may be addresses of the same network device: fe80::1%2 and fe80::1%3 are not.
fn is_same_link(one: SocketAddr, two: SocketAddr) -> bool {
    let (SocketAddr::V6(one), SocketAddr::V6(two)) = (one, two) else { return true };
    !one.ip().is_unicast_link_local() || one.scope_id() == two.scope_id()
}

#[cfg(test)]
mod tests {
    use crate::declaration::ProxyConfig;
    use crate::error::Result;

    fn parse(ready: &str, listen: &str) -> Result<ProxyConfig> {
        ProxyConfig::from_json(&format!(r#"{{"command": ["a"], "ready": {ready}, "listen": [{listen}]}}"#))
    }

    #[test]
    fn connect_that_a_socket_of_listen_accepts_is_refused_and_the_field_named() {
        let error = parse(r#"{"tcp": "127.0.0.1:80"}"#, r#""tcp:127.0.0.1:81", "tcp:0.0.0.0:80""#).unwrap_err();
        let expected = "ready.tcp: expected no address of listen, got that of listen[1], which accepts connections before a \
                        process does; use \"notify\", {\"fd\": NUMBER} or {\"command\": LIST}";
        assert_eq!(error.to_string(), expected);
        let error = parse(r#"{"unix": "/run//web"}"#, r#""unix:/run/web""#).unwrap_err().to_string();
        assert!(error.starts_with("ready.unix: expected no address of listen, got that of listen[0], "), "{error}");
        assert!(parse(r#"{"unix": "/run/web"}"#, r#""unix:/run/admin""#).is_ok());
        assert!(parse(r#"{"tcp": "127.0.0.1:80"}"#, r#""udp:127.0.0.1:80", "unix:/run/web""#).is_ok());
    }

    #[test]
    fn address_is_compared_as_the_kernel_does() {
        let cases = [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("0.0.0.0:80", "127.0.0.2:80", true),
            ("0.0.0.0:80", "0.0.0.0:80", true),
            ("0.0.0.0:80", "[::1]:80", false),
            ("0.0.0.0:80", "[::ffff:127.0.0.1]:80", true),
            ("127.0.0.1:80", "0.0.0.0:80", true),
            ("127.0.0.2:80", "0.0.0.0:80", false),
            ("127.0.0.1:80", "[::ffff:127.0.0.1]:80", true),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80", true),
            ("[::ffff:0.0.0.0]:80", "[::1]:80", false),
            ("[::]:80", "127.0.0.1:80", true),
            ("[::]:80", "[::1]:80", true),
            ("[::1]:80", "[::]:80", true),
            ("[::1]:80", "127.0.0.1:80", false),
            ("[fe80::1%2]:80", "[fe80::1%2]:80", true),
            ("[fe80::1%2]:80", "[fe80::1%3]:80", false),
        ];
        for (at, to, is_refused) in cases {
            let config = parse(&format!(r#"{{"tcp": "{to}"}}"#), &format!(r#""tcp:{at}""#));
            assert_eq!(config.is_err(), is_refused, "{at} {to}");
        }
        let v6_only = r#"{"address": "tcp:[::]:80", "ipv6_only": true}"#;
        assert!(parse(r#"{"tcp": "127.0.0.1:80"}"#, v6_only).is_ok());
        assert!(parse(r#"{"tcp": "[::1]:80"}"#, v6_only).is_err());
    }
}
