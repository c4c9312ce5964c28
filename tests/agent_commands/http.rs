// SPDX-License-Identifier: MPL-2.0
//! What the agent shows over HTTP, to whom, and what clients cannot do to it.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use serde_json::Value;

use super::run;
use crate::support::{Agent, Config, Deadline, Launch, Proxy, Scene, WATCHDOG, example_agent};

/// An agent that shows its proxies, and where.
pub(super) fn start(scene: &Scene, config: &Config, options: &str) -> (Agent, String) {
    start_at(scene, config, "127.0.0.1:0", options)
}

/// The same at an address.
pub(super) fn start_at(scene: &Scene, config: &Config, address: &str, options: &str) -> (Agent, String) {
    let script = format!("shift; exec \"$0\" run \"$1\" --http {address} {options}");
    let words = ["/bin/sh", "-c", &script, example_agent().to_str().unwrap()];
    let agent = Launch::of(example_agent(), scene).under(&words).start(config);
    agent.wait_for_log("] running ");
    let log = agent.log();
    let (_, rest) = log.split_once("serving http://").expect("the address");
    let address = rest.split('/').next().unwrap().to_owned();
    (agent, address)
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connect to the agent");
    stream.set_read_timeout(Some(WATCHDOG)).expect("set a timeout");
    stream
}

/// Status line, headers and body of the answer; none where the connection was reset before.
fn answer(mut stream: TcpStream) -> Option<(String, String, String)> {
    let mut read = Vec::new();
    match stream.read_to_end(&mut read) {
        // What was not read of a request is lost.
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("read the answer: {error}"),
        _ => {}
    }
    let text = String::from_utf8(read).expect("UTF-8");
    let (head, body) = text.split_once("\r\n\r\n")?;
    let (status, headers) = head.split_once("\r\n").expect("headers");
    Some((status.to_owned(), headers.to_owned(), body.to_owned()))
}

fn try_to_ask(address: &str, request: &str) -> Option<(String, String, String)> {
    let mut stream = connect(address);
    // It may be answered before it is read as a whole.
    let _ = stream.write_all(request.as_bytes());
    answer(stream)
}

#[track_caller]
fn ask(address: &str, request: &str) -> (String, String, String) {
    try_to_ask(address, request).expect("an answer")
}

fn get(address: &str, path: &str) -> (String, String, String) {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n"))
}

#[test]
fn status_metrics_and_page_are_shown_and_refer_to_no_other_server() {
    let scene = Scene::new();
    let (agent, address) = start(&scene, &Config::new(&scene).proxy("web", Proxy::helper(&["run"])), "");
    let web = scene.reports.start("web");
    agent.status_running(&scene, "web", web.pid);
    let (status, headers, body) = get(&address, "/status.json?x=1");
    let shown: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status.as_str(), &shown["proxies"]["web"]["pid"]), ("HTTP/1.1 200 OK", &web.pid.into()));
    assert!(headers.contains("Content-Type: application/json\r\n") && headers.contains("Cache-Control: no-store"));
    let (_, headers, metrics) = get(&address, "/metrics");
    assert!(headers.contains("Content-Type: text/plain; version=0.0.4;"), "{headers}");
    assert!(metrics.contains("proxyprocess_proxy_ready{proxy=\"web\"} 1\n"), "{metrics}");
    for (path, kind) in [("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")] {
        let (status, headers, body) = get(&address, path);
        assert_eq!(status, "HTTP/1.1 200 OK", "{path}");
        assert!(headers.contains(&format!("Content-Type: {kind}; charset=utf-8\r\n")), "{headers}");
        assert!(headers.contains("Content-Security-Policy: default-src 'none';"), "{headers}");
        assert!(!body.contains("://") && !body.contains("innerHTML"), "{path}");
    }
    let (status, headers, body) = ask(&address, "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!((status.as_str(), body.as_str()), ("HTTP/1.1 200 OK", ""));
    assert!(!headers.contains("Content-Length: 0\r\n"), "{headers}");
    agent.quit();
    scene.finish();
}

#[test]
fn requests_for_other_servers_and_what_is_no_request_are_refused() {
    let scene = Scene::new();
    let (agent, address) = start(&scene, &Config::new(&scene), "--http-host proxies.example");
    let port = address.rsplit(':').next().unwrap();
    let status = |request: &str| ask(&address, request).0;
    let of_host = |host: &str| status(&format!("GET /status.json HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    for host in ["localhost", "LOCALHOST:80", "[::1]:9", "192.0.2.1", "proxies.example", &format!("127.0.0.1:{port}")] {
        assert_eq!(of_host(host), "HTTP/1.1 200 OK", "{host}");
    }
    // A name that resolves to an address of this machine is another server's.
    let others =
        ["rebound.example", "localhost.rebound.example", "127.0.0.1.rebound.example", "[::1].example", "", "a:b"];
    for host in others.into_iter().chain(["localhost:99999", "127.0.0.1:1:2"]) {
        assert_eq!(of_host(host), "HTTP/1.1 421 Misdirected Request", "{host}");
    }
    let long = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(20_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(101));
    for (request, expected) in [
        ("GET / HTTP/1.1\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\n folded: x\r\n\r\n", "400 Bad Request"),
        ("GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", "400 Bad Request"),
        ("nonsense\r\n\r\n", "400 Bad Request"),
        ("GET /nosuch HTTP/1.1\r\nHost: localhost\r\n\r\n", "404 Not Found"),
        ("GET /../agent.json HTTP/1.1\r\nHost: localhost\r\n\r\n", "404 Not Found"),
        ("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", "405 Method Not Allowed"),
        (&long, "431 Request Header Fields Too Large"),
        (&many, "431 Request Header Fields Too Large"),
        ("GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", "505 HTTP Version Not Supported"),
    ] {
        assert_eq!(status(request), format!("HTTP/1.1 {expected}"), "{request}");
    }
    agent.quit();
    scene.finish();
}

#[test]
fn clients_that_say_nothing_keep_others_out_for_a_while_and_not_the_agent() {
    let scene = Scene::new();
    let config = Config::new(&scene);
    let (agent, address) = start(&scene, &config, "");
    let deadline = Deadline::of("no place");
    // They are accepted in turn, and kept for a while only.
    let silent = loop {
        let silent: Vec<TcpStream> = (0..16).map(|_| connect(&address)).collect();
        if answer(connect(&address)).is_some_and(|(status, ..)| status == "HTTP/1.1 503 Service Unavailable") {
            break silent;
        }
        deadline.left();
    };
    agent.reload(&config.proxy("next", Proxy::helper(&["run"])));
    scene.reports.start("next");
    drop(silent);
    // One that is refused for the want of a place is not read, and its connection may be reset.
    let deadline = Deadline::of("a place");
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    while try_to_ask(&address, request).is_none_or(|(status, ..)| status != "HTTP/1.1 200 OK") {
        deadline.left();
    }
    agent.quit();
    scene.finish();
}

/// The state of the proxy has lasted longer in each answer that is made.
#[test]
fn status_is_made_at_most_once_a_second_however_often_it_is_asked_for() {
    let scene = Scene::new();
    let (agent, address) = start(&scene, &Config::new(&scene).proxy("web", Proxy::helper(&["run"])), "");
    scene.reports.start("web");
    let begun = Instant::now();
    let answers: BTreeSet<String> = (0..100).map(|_| get(&address, "/status.json").2).collect();
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap();
    assert!(answers.len() <= seconds + 2, "{} in {seconds} s", answers.len());
    agent.quit();
    scene.finish();
}

#[test]
fn agent_whose_port_is_taken_runs_its_proxies_and_shows_them_once_it_has_the_port() {
    let scene = Scene::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let script = format!("shift; exec \"$0\" run \"$1\" --http {address}");
    let words = ["/bin/sh", "-c", &script, example_agent().to_str().unwrap()];
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["run"]));
    let agent = Launch::of(example_agent(), &scene).under(&words).start(&config);
    scene.reports.start("web");
    agent.wait_for_log(&format!("listen for http: {address}: Address already in use (os error 98)"));
    drop(taken);
    agent.wait_for_log(&format!("serving http://{address}/"));
    assert_eq!(get(&address, "/").0, "HTTP/1.1 200 OK");
    agent.quit();
    scene.finish();
}

#[test]
fn address_that_others_reach_has_to_be_wanted() {
    let scene = Scene::new();
    let file = scene.path("agent.json");
    Config::new(&scene).write(&file);
    let said = run(&["run", file.to_str().unwrap(), "--http", "0.0.0.0:0"]).failed(1);
    assert_eq!(said, "agent: http 0.0.0.0:0: expected an address of this machine alone, or --http-public\n");
    assert_eq!(run(&["run", file.to_str().unwrap(), "--http-public"]).code, Some(2));
    scene.finish();
}
