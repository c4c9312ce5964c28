// SPDX-License-Identifier: MPL-2.0
//! No processes left, and no threads, which count as such. The limit does not hold for root.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use rustix::process::geteuid;

use crate::scarcity::crowd::{Crowd, as_ordinary_user, config, has_begun, ids, waits_for};
use crate::support::{Deadline, Launch, Scene, Status, WATCHDOG, example_agent};

const EAGAIN: &str = "Resource temporarily unavailable";
/// More than any agent here has.
const MANY: &str = "1000";
const NOBODY: u32 = 65534;
/// A user that has no other process, so that it is known how many there are.
const LONELY: u32 = 64_321;
const BESIDE: u32 = 64_324;

#[test]
fn processes_run_out_while_proxies_are_started_again() {
    let scene = Scene::new();
    let user = as_ordinary_user(&scene, NOBODY);
    let words: Vec<&str> = user.iter().map(String::as_str).collect();
    let agent = Launch::new(&scene).under(&words).start(&config(&scene, 20));
    let mut crowd = Crowd::of(agent, &scene).by(&user);
    crowd.come(&ids(20));
    crowd.limit("nproc", "1");
    crowd.kill_all();
    crowd.all_wait_for(EAGAIN);
    crowd.endure();
    crowd.limit("nproc", MANY);
    crowd.recovers();
    crowd.quit();
    scene.finish();
}

/// From an agent that can have no thread to one that can have all it wants.
#[test]
fn an_agent_that_finds_few_threads_and_processes_says_so_and_recovers() {
    if !geteuid().is_root() {
        return eprintln!("skipped: only root can become a user that has no other process");
    }
    let (mut refused, mut recovered) = (0, 0);
    for most in 1..=9 {
        let scene = Scene::new();
        let user = as_ordinary_user(&scene, LONELY);
        let limit = ["prlimit".to_owned(), format!("--nproc={most}:{MANY}")];
        let words: Vec<&str> = user.iter().chain(&limit).map(String::as_str).collect();
        let mut agent = Launch::new(&scene).under(&words).spawn(&config(&scene, 4));
        let told = |status: &Status| ids(4).iter().all(|id| status.is(id, "running") || waits_for(status, id, EAGAIN));
        if has_begun(&agent, told) {
            recovered += 1;
            let mut crowd = Crowd::of(agent, &scene).by(&user);
            crowd.limit("nproc", MANY);
            crowd.come(&ids(4));
            crowd.quit();
        } else {
            refused += 1;
            assert_eq!(agent.end().code(), Some(1), "{}", agent.log());
            assert!(agent.log().contains(EAGAIN), "{}", agent.log());
        }
        scene.finish();
    }
    assert!(refused >= 3 && recovered >= 3, "{refused} refused, {recovered} recovered");
}

/// Asks the socket of the agent, and keeps the connection. One that is refused need not be asked.
fn ask(scene: &Scene, request: &str) -> (BufReader<UnixStream>, String) {
    let mut stream = UnixStream::connect(scene.data_dir().join("agent.sock")).expect("connect to the agent");
    stream.set_read_timeout(Some(WATCHDOG)).expect("set a timeout");
    let _ = stream.write_all(request.as_bytes());
    let (mut stream, mut line) = (BufReader::new(stream), String::new());
    // One that was closed with a request unread may be reset.
    let _ = stream.read_line(&mut line);
    (stream, line)
}

/// The same of a page, of which there is one connection for each.
fn get(address: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("connect to the agent");
    let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// What is shown to people and to probes of a container that has no processes left.
#[test]
fn agent_without_a_thread_for_its_clients_answers_one_at_a_time() {
    if !geteuid().is_root() {
        return eprintln!("skipped: only root can become a user that has no other process");
    }
    let scene = Scene::new();
    let user = as_ordinary_user(&scene, BESIDE);
    let script = "shift; exec \"$0\" run \"$1\" --http 127.0.0.1:0";
    let shell = ["/bin/sh", "-c", script, example_agent().to_str().expect("a path in UTF-8")];
    let words: Vec<&str> = user.iter().map(String::as_str).chain(shell).collect();
    let agent = Launch::of(example_agent(), &scene).under(&words).start(&config(&scene, 2));
    agent.wait_for_log("] running ");
    let log = agent.log();
    let address = log.split_once("serving http://").and_then(|(_, rest)| rest.split('/').next()).expect("the address");
    let mut crowd = Crowd::of(agent, &scene).by(&user);
    crowd.come(&ids(2));
    crowd.limit("nproc", "1");
    let version = || ask(&scene, "{\"command\":\"version\"}\n");
    let is_answered = |line: &str| line.contains("\"version\"");
    for _ in 0..3 {
        // The thread may still be about to see that the client before this one has gone.
        let deadline = Deadline::of("an answer");
        let kept = loop {
            let (stream, line) = version();
            if is_answered(&line) {
                break stream;
            }
            deadline.left();
        };
        let (_, line) = ask(&scene, "");
        assert!(line.contains("\"busy\"") && line.contains("can start no thread"), "{line}");
        crowd.limit("nproc", MANY);
        let (_, line) = version();
        assert!(is_answered(&line), "{line}");
        crowd.limit("nproc", "1");
        drop(kept);
    }
    for _ in 0..3 {
        let deadline = Deadline::of("a page");
        while !get(address).starts_with("HTTP/1.1 200 OK\r\n") {
            deadline.left();
        }
    }
    crowd.limit("nproc", MANY);
    crowd.quit();
    scene.finish();
}
