// SPDX-License-Identifier: MPL-2.0
//! Clients of the socket that are slow, many, or say what is no request: the agent works on, and answers others.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::{ask, start};
use crate::support::{Config, Deadline, Proxy, Scene, WATCHDOG};

fn connect(scene: &Scene) -> UnixStream {
    let stream = UnixStream::connect(scene.data_dir().join("agent.sock")).expect("connect to the agent");
    stream.set_read_timeout(Some(WATCHDOG)).expect("set a timeout");
    stream
}

/// All that is answered until the agent closes the connection.
#[track_caller]
fn rest(stream: UnixStream) -> Vec<Value> {
    let mut answers = Vec::new();
    for line in BufReader::new(stream).lines() {
        match line {
            Ok(line) => answers.push(serde_json::from_str(&line).expect("a line of JSON")),
            // What it had not read is lost.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("read the answer: {error}"),
        }
    }
    answers
}

#[test]
fn what_is_no_request_is_refused_and_ends_the_connection() {
    let scene = Scene::new();
    let agent = start(&scene, &Config::new(&scene));
    let wrong =
        ["\n", "{}\n", "nonsense\n", "[1]\n", "{\"command\":\"explode\"}\n", "{\"command\":\"restart\"}\n", "\u{0}\n"];
    for text in wrong.into_iter().chain(["{\"command\":\"status\",\"id\":\"a\",\"more\":1}\n"]) {
        let mut stream = connect(&scene);
        stream.write_all(text.as_bytes()).unwrap();
        let answers = rest(stream);
        assert_eq!(answers.len(), 1, "{text}: {answers:?}");
        assert_eq!(answers[0]["error"]["code"], "bad_request", "{text}: {answers:?}");
    }
    agent.quit();
    scene.finish();
}

#[test]
fn line_without_an_end_is_not_kept() {
    let scene = Scene::new();
    let agent = start(&scene, &Config::new(&scene));
    let mut stream = connect(&scene);
    let mut sent = 0;
    // The agent ends the connection long before.
    while sent < 64 << 20 {
        match stream.write(&[b'x'; 4096]) {
            Ok(length) => sent += length,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
                break;
            }
        }
    }
    assert!(sent < 64 << 20, "the agent reads on");
    ask(&scene.data_dir(), &["version"]).ok();
    agent.quit();
    scene.finish();
}

#[test]
fn several_requests_on_a_connection_are_answered_in_turn() {
    let scene = Scene::new();
    let agent = start(&scene, &Config::new(&scene).proxy("web", Proxy::helper(&["run"])));
    let web = scene.reports.start("web");
    agent.status_running(&scene, "web", web.pid);
    let mut stream = connect(&scene);
    let requests =
        [json!({"command": "status"}), json!({"command": "status", "id": "no"}), json!({"command": "version"})];
    stream.write_all(requests.map(|request| format!("{request}\n")).concat().as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let answers = rest(stream);
    assert_eq!(answers.len(), 5, "{answers:?}");
    assert_eq!((&answers[0]["proxy"]["pid"], &answers[1]), (&json!(web.pid), &json!({"done": {}})));
    assert_eq!(answers[2]["error"]["code"], "no_such_proxy");
    assert_eq!((&answers[3]["agent"]["pid"], &answers[4]), (&json!(agent.pid()), &json!({"done": {}})));
    agent.quit();
    scene.finish();
}

/// It asks and asks, and reads nothing.
#[test]
fn client_that_does_not_read_is_left_and_others_are_answered() {
    let scene = Scene::new();
    let agent = start(&scene, &Config::new(&scene));
    let mut stream = connect(&scene);
    stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let requests = "{\"command\":\"version\"}\n".repeat(1000);
    let deadline = Deadline::of("the agent to close the connection");
    loop {
        deadline.left();
        match stream.write(requests.as_bytes()) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                ask(&scene.data_dir(), &["version"]).ok();
            }
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
                break;
            }
        }
    }
    agent.quit();
    scene.finish();
}

/// Connections that say nothing take the places of others for a short time only.
#[test]
fn thousand_connections_at_once_are_refused_and_then_forgotten() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["run"]));
    let agent = start(&scene, &config);
    scene.reports.start("web");
    let silent: Vec<UnixStream> = (0..400).map(|_| connect(&scene)).collect();
    let refused = |stream: &UnixStream| {
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).expect("read the answer");
        answer.contains("\"busy\"")
    };
    assert!(refused(silent.last().expect("there are some")));
    // What the agent is for goes on.
    agent.reload(&config.proxy("next", Proxy::helper(&["run"])));
    scene.reports.start("next");
    // The agent ends those that say nothing.
    let first = silent.into_iter().next().expect("there are some");
    assert_eq!(rest(first), Vec::<Value>::new());
    let deadline = Deadline::of("the agent to answer again");
    while ask(&scene.data_dir(), &["version"]).code != Some(0) {
        deadline.left();
    }
    agent.quit();
    scene.finish();
}

#[test]
fn wait_of_a_client_that_goes_away_is_given_up() {
    let scene = Scene::new();
    let agent = start(&scene, &Config::new(&scene).proxy("web", Proxy::command(&["/no/such/program"])));
    agent.status_when(&scene, "web waits", |status| status.is("web", "waiting"));
    let threads = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", agent.pid())).expect("the agent lives");
        tasks
            .flatten()
            .filter(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name == "command\n"))
            .count()
    };
    let request = json!({"command": "wait", "id": "web", "timeout_ms": 3_600_000});
    let mut stream = connect(&scene);
    stream.write_all(format!("{request}\n").as_bytes()).unwrap();
    let deadline = Deadline::of("the request to be taken");
    while threads() == 0 {
        deadline.left();
        std::thread::yield_now();
    }
    drop(stream);
    let deadline = Deadline::of("the wait to be given up");
    while threads() > 0 {
        deadline.left();
        std::thread::yield_now();
    }
    agent.quit();
    scene.finish();
}
