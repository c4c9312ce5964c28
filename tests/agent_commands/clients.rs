// SPDX-License-Identifier: MPL-2.0
//! Clients of the socket that are slow, many, or say what is no request: the agent works on, and answers others.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use super::{ask, start};
use crate::support::{Agent, Config, Deadline, Proxy, Scene, WATCHDOG, example_agent};

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

/// What a pause is waited for by was called `stopped`.
#[test]
fn client_of_an_earlier_version_waits_for_a_pause_as_one_of_this() {
    let scene = Scene::new();
    let agent = start(&scene, &Config::new(&scene).proxy("web", Proxy::helper(&["run"]).set("enabled", false)));
    for until in ["stopped", "paused"] {
        let mut stream = connect(&scene);
        let request = json!({"command": "wait", "id": "web", "timeout_ms": 30_000, "until": until});
        stream.write_all(format!("{request}\n").as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(rest(stream), [json!({"done": {}})], "{until}");
    }
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

/// How many connections the agent answers: each has a thread.
fn answered(agent: &Agent) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", agent.pid())).expect("the agent lives");
    tasks
        .flatten()
        .filter(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name == "command\n"))
        .count()
}

#[track_caller]
fn until_answered(agent: &Agent, wanted: usize) {
    let deadline = Deadline::of(format!("the agent to answer {wanted} connections"));
    while answered(agent) != wanted {
        deadline.left();
        std::thread::yield_now();
    }
}

#[test]
fn connection_beyond_the_64th_is_told_busy_until_another_ends_and_the_agent_works_on() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::command(&["/no/such/program"]));
    let agent = start(&scene, &config);
    let request = json!({"command": "wait", "id": "web", "timeout_ms": 3_600_000});
    let mut waiting = Vec::new();
    for number in 1..=64 {
        let mut stream = connect(&scene);
        stream.write_all(format!("{request}\n").as_bytes()).unwrap();
        waiting.push(stream);
        until_answered(&agent, number);
    }
    for _ in 0..100 {
        let answers = rest(connect(&scene));
        assert_eq!(answers[0]["error"]["code"], "busy", "{answers:?}");
    }
    // What the agent is for goes on.
    agent.reload(&config.proxy("next", Proxy::helper(&["run"])));
    scene.reports.start("next");
    drop(waiting);
    until_answered(&agent, 0);
    ask(&scene.data_dir(), &["version"]).ok();
    agent.quit();
    scene.finish();
}

#[test]
fn connections_that_say_nothing_are_closed_after_a_while() {
    let scene = Scene::new();
    let agent = start(&scene, &Config::new(&scene));
    let silent: Vec<UnixStream> = (0..64).map(|_| connect(&scene)).collect();
    for stream in silent {
        assert_eq!(rest(stream), Vec::<Value>::new());
    }
    until_answered(&agent, 0);
    agent.quit();
    scene.finish();
}

/// The agent closes the connection of a client that is slow to read, and a pager is slow.
#[test]
fn slow_reader_of_a_command_gets_the_whole_answer() {
    let scene = Scene::new();
    let disabled = Proxy::command(&["/bin/true", &"x".repeat(200)]).set("enabled", false);
    let config = (0..1000).fold(Config::new(&scene), |config, number| {
        config.proxy(&format!("{}-{number}", "a".repeat(150)), disabled.clone())
    });
    let agent = start(&scene, &config);
    let mut command = std::process::Command::new(example_agent());
    command.args(["status", "--json", "--data-dir"]).arg(scene.data_dir());
    let mut command = command.stdout(Stdio::piped()).spawn().expect("run the agent");
    let mut printed = command.stdout.take().expect("a pipe");
    let mut first = [0];
    printed.read_exact(&mut first).unwrap();
    until_answered(&agent, 0);
    let mut all = String::new();
    printed.read_to_string(&mut all).unwrap();
    assert_eq!((all.lines().count(), command.wait().unwrap().code()), (1000, Some(0)));
    agent.quit();
    scene.finish();
}

#[test]
fn lines_and_codes_of_a_later_agent_are_no_error() {
    let scene = Scene::new();
    std::fs::create_dir(scene.data_dir()).unwrap();
    let listener = UnixListener::bind(scene.data_dir().join("agent.sock")).unwrap();
    let answering = std::thread::spawn(move || {
        let answers = [
            "{\"news\":{\"a\":[1]}}\n{\"done\":{\"more\":1}}\n",
            "{\"error\":{\"code\":\"new\",\"message\":\"why\"}}\n",
        ];
        for answer in answers {
            let (stream, _) = listener.accept().unwrap();
            BufReader::new(&stream).read_line(&mut String::new()).unwrap();
            (&stream).write_all(answer.as_bytes()).unwrap();
        }
    });
    ask(&scene.data_dir(), &["reload"]).ok();
    assert_eq!(ask(&scene.data_dir(), &["reload"]).failed(1), "agent: why\n");
    answering.join().unwrap();
    scene.finish();
}

#[test]
fn wait_of_a_client_that_goes_away_is_given_up() {
    let scene = Scene::new();
    let agent = start(&scene, &Config::new(&scene).proxy("web", Proxy::command(&["/no/such/program"])));
    agent.status_when(&scene, "web waits", |status| status.is("web", "waiting"));
    let request = json!({"command": "wait", "id": "web", "timeout_ms": 3_600_000});
    let mut stream = connect(&scene);
    stream.write_all(format!("{request}\n").as_bytes()).unwrap();
    until_answered(&agent, 1);
    drop(stream);
    until_answered(&agent, 0);
    agent.quit();
    scene.finish();
}
