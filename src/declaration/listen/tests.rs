// SPDX-License-Identifier: MPL-2.0
//! Sockets as they are declared: what is read, and what is refused.

use super::*;
use crate::declaration::ProxyConfig;

fn parse(fields: &str) -> Result<ProxyConfig> {
    ProxyConfig::from_json(&format!(r#"{{"command": ["a", "{{fd:web}}"], {fields}}}"#))
}

#[test]
fn address_alone_is_a_socket_with_defaults() {
    let config = parse(r#""listen": ["tcp:[fe80::1%2]:80", {"address": "unix:/run/web", "name": "web"}]"#).unwrap();
    assert_eq!(config.listen[0], Listen::new(ListenAddress::Tcp("[fe80::1%2]:80".parse().unwrap())));
    assert_eq!(config.listen[1], Listen::new(ListenAddress::Unix("/run/web".into())).with_name("web"));
    assert!(parse(r#""listen": null"#).unwrap().listen.is_empty());
    assert!(parse(r#""listen": []"#).unwrap().listen.is_empty());
}

#[test]
fn what_can_never_work_is_refused_by_the_name_of_its_field() {
    let web = |options: &str| format!(r#"[{{"address": "tcp:127.0.0.1:1", "name": "web"{options}}}]"#);
    let of = |address: &str, options: &str| format!(r#"[{{"address": "{address}", "name": "web"{options}}}]"#);
    let long = "x".repeat(256);
    let cases = [
        ("1".to_owned(), "listen: expected a list of addresses"),
        ("[1]".to_owned(), "listen[0]: expected tcp:IP:PORT, udp:IP:PORT or unix:PATH, or an object, got 1"),
        (
            r#"["tcp:localhost:80"]"#.to_owned(),
            "listen[0].address: expected tcp:IP:PORT, udp:IP:PORT or unix:PATH, got",
        ),
        (r#"["sctp:127.0.0.1:80"]"#.to_owned(), "listen[0].address: expected tcp:IP:PORT"),
        (r#"["127.0.0.1:80"]"#.to_owned(), "listen[0].address: expected tcp:IP:PORT"),
        ("[{}]".to_owned(), "listen[0].address: expected tcp:IP:PORT, udp:IP:PORT or unix:PATH, got nothing"),
        (of("tcp:127.0.0.1:0", ""), "listen[0].address: expected a port from 1 to 65535, got 0"),
        (of("unix:run/web", ""), "listen[0].address: expected an absolute path of 2 to 107 bytes of UTF-8"),
        (of(&format!("unix:/{long}"), ""), "listen[0].address: expected an absolute path"),
        (of("unix:/a\\u0000", ""), "listen[0].address: expected an absolute path"),
        (web(r#", "port": 1"#), "listen[0].port: unknown field, expected one of address, name, backlog"),
        (web(r#", "backlog": 0"#), "listen[0].backlog: expected a whole number from 1 to 2147483647, got 0"),
        (web(r#", "backlog": 2147483648"#), "listen[0].backlog: expected a whole number from 1 to 2147483647"),
        (web(r#", "backlog": -1"#), "listen[0].backlog: expected a whole number from 1 to 2147483647, got -1"),
        (web(r#", "mode": "0600""#), "listen[0].mode: expected none for an address without a path"),
        (web(r#", "ipv6_only": true"#), "listen[0].ipv6_only: expected none for an address that is not IPv6"),
        (of("udp:[::]:1", r#", "backlog": 1"#), "listen[0].backlog: expected none for a udp address"),
        (of("unix:/a", r#", "reuse_port": true"#), "listen[0].reuse_port: expected none for a unix address"),
        (of("unix:/a", r#", "mode": "1777""#), "listen[0].mode: expected permissions from \"0000\" to \"0777\", got"),
        (of("unix:/a", r#", "mode": "0o660""#), "listen[0].mode: expected permissions"),
        (of("unix:/a", r#", "mode": 432"#), "listen[0].mode: expected permissions"),
        (
            r#"["tcp:127.0.0.1:1", "udp:127.0.0.1:1", "tcp:127.0.0.1:1"]"#.to_owned(),
            "listen[2].address: tcp:127.0.0.1:1 is that of listen[0]",
        ),
        (
            r#"[{"address": "unix:/a", "name": "web"}, {"address": "unix:/b", "name": "web"}]"#.to_owned(),
            "listen[1].name: is that of listen[0]",
        ),
        (
            r#"["unix:/a"]"#.to_owned(),
            "command[1]: expected the name of a socket of listen in {fd:web}, and none has it",
        ),
        (
            format!("{}, \"ready\": {{\"fd\": 3}}", web("")),
            "ready.fd: expected a number from 4 on, got 3: the sockets of listen are below 4",
        ),
        (
            format!("{}, \"env\": [\"LISTEN_PID=1\"]", web("")),
            "env: expected no variable that listen sets, got LISTEN_PID",
        ),
        (
            format!("{}, \"env\": [\"A={{fd:x}}\"]", web("")),
            "env: value of A: expected the name of a socket of listen in {fd:x}, and none has it",
        ),
        (format!("{}, \"unset_env\": [\"LISTEN_FDS\"]", web("")), "unset_env: expected no variable that listen sets"),
        (format!("{}, \"mode\": \"noop\"", web("")), "listen: expected none for the mode \"noop\""),
    ];
    for (listen, expected) in cases {
        let error = parse(&format!("\"listen\": {listen}")).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{listen}: {error}");
    }
    for name in ["", "a:b", "a\\u0007", "{", "}", "\u{e9}", &long] {
        let error = parse(&format!("\"listen\": {}", of("unix:/a", "").replace("\"web\"", &format!("\"{name}\""))));
        let error = error.unwrap_err().to_string();
        assert_eq!(error, "listen[0].name: expected 1 to 255 printable ASCII characters without :, { and }");
    }
    let many: Vec<String> = (1..=65).map(|port| format!("\"tcp:127.0.0.1:{port}\"")).collect();
    let error = parse(&format!("\"listen\": [{}]", many.join(","))).unwrap_err();
    assert_eq!(error.to_string(), "listen: expected at most 64 sockets, got 65");
}

#[test]
fn neither_names_nor_variables_mean_anything_without_sockets() {
    let config = parse(r#""env": ["LISTEN_PID=1", "A={fd:web}"], "unset_env": ["LISTEN_FDS"], "ready": {"fd": 3}"#);
    assert_eq!(config.unwrap().command.argv()[1], "{fd:web}");
}
