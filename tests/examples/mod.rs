// SPDX-License-Identifier: MPL-2.0
//! The short examples, in Rust and in C: each is built, does its job with real processes, and ends.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::c_abi::build::{Build, root};
use crate::support::{Deadline, Process, Scene, example, readable};

/// A run of an example in a directory.
struct Run {
    child: Child,
    process: Process,
    work: PathBuf,
}

impl Run {
    fn of(program: &Path, work: &Path) -> Run {
        fs::create_dir_all(work).expect("make a directory");
        let mut command = Command::new(program);
        command.current_dir(work).stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let process = Process::open(child.id()).expect("a child that is not reaped");
        Run { child, process, work: work.to_owned() }
    }

    /// The process that it keeps running.
    fn proxy(&self) -> Process {
        let deadline = Deadline::of("the pid file of web-proxy");
        loop {
            let pid = fs::read_to_string(self.pid_file()).unwrap_or_default();
            if let Some(proxy) = pid.trim().parse().ok().and_then(Process::open) {
                return proxy;
            }
            let ended = readable(self.process.fd(), deadline.left().min(Duration::from_millis(5)));
            assert!(!ended, "the example has ended");
        }
    }

    fn pid_file(&self) -> PathBuf {
        self.work.join("proxies/pids/web-proxy.pid")
    }

    /// Waits for a line of its output.
    fn said(&mut self) -> String {
        let mut line = String::new();
        let stdout = self.child.stdout.as_mut().expect("the output is a pipe");
        BufReader::with_capacity(1, stdout).read_line(&mut line).expect("read the output");
        line
    }

    /// Waits until it has ended, which must be a success; what it has written.
    #[track_caller]
    fn end(mut self) -> String {
        self.process.wait();
        let mut said = String::new();
        self.child.stdout.take().expect("the output is a pipe").read_to_string(&mut said).expect("read the output");
        let status = self.child.wait().expect("wait for the example");
        assert!(status.success(), "{status}: {said}");
        said
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.process.is_gone() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn minimal(program: &Path) {
    let scene = Scene::new();
    let mut run = Run::of(program, &scene.path("work"));
    let (proxy, pid_file) = (run.proxy(), run.pid_file());
    drop(run.child.stdin.take());
    run.end();
    proxy.wait_reaped();
    assert!(!pid_file.exists());
    scene.finish();
}

fn ctrl_c(program: &Path) {
    let scene = Scene::new();
    let mut first = Run::of(program, &scene.path("work"));
    first.said();
    let proxy = first.proxy();
    first.process.signal(Signal::TERM);
    first.end();
    assert!(!proxy.is_gone(), "SIGTERM leaves it running");
    let mut second = Run::of(program, &scene.path("work"));
    second.said();
    assert_eq!(second.proxy().pid(), proxy.pid(), "it is taken over");
    second.process.signal(Signal::INT);
    second.end();
    proxy.wait_reaped();
    scene.finish();
}

fn events(program: &Path) {
    let scene = Scene::new();
    let said = Run::of(program, &scene.path("work")).end();
    let (json, text): (Vec<&str>, Vec<&str>) = said.lines().partition(|line| line.starts_with('{'));
    assert_eq!(json.len(), text.len(), "{said}");
    let events: Vec<Value> =
        json.into_iter().map(|line| serde_json::from_str(line).expect("one event a line")).collect();
    let of_kind = |kind: &str| events.iter().filter(|event| event["kind"] == kind).collect::<Vec<_>>();
    // The first start and three restarts without a wait.
    assert_eq!((of_kind("started").len(), of_kind("exited").len(), of_kind("waiting").len()), (4, 4, 1), "{said}");
    assert!(
        of_kind("exited").iter().all(|event| event["exit"] == "exit code 1" && event["id"] == "web-proxy"),
        "{said}"
    );
    assert!(text.iter().filter(|line| line.contains("exited") && line.contains("exit code 1")).count() == 4, "{said}");
    assert_eq!(events.last().expect("events")["kind"], "stopped", "{said}");
    scene.finish();
}

fn gapless(program: &Path) {
    let scene = Scene::new();
    let said = Run::of(program, &scene.path("work")).end();
    assert_eq!(said, "10 replacements, and every connection was made\n");
    assert!(!scene.path("work/web.socket").exists());
    scene.finish();
}

fn in_c(name: &str, job: fn(&Path)) {
    for build in [Build::Plain, Build::Sanitized] {
        if let Some(programs) = build.programs() {
            job(&programs.join(format!("example-{name}")));
        }
    }
}

#[test]
fn minimal_in_rust_keeps_a_process_until_its_input_ends() {
    minimal(&example("minimal"));
}

#[test]
fn minimal_in_c_keeps_a_process_until_its_input_ends() {
    in_c("minimal", minimal);
}

#[test]
fn ctrl_c_in_rust_stops_the_process_that_sigterm_leaves() {
    ctrl_c(&example("ctrl_c"));
}

#[test]
fn ctrl_c_in_c_stops_the_process_that_sigterm_leaves() {
    in_c("ctrl_c", ctrl_c);
}

#[test]
fn events_in_rust_are_text_and_json() {
    events(&example("events"));
}

#[test]
fn events_in_c_are_text_and_json() {
    in_c("events", events);
}

#[test]
fn gapless_in_rust_replaces_a_process_and_no_connection_is_refused() {
    gapless(&example("gapless"));
}

#[test]
fn gapless_in_c_replaces_a_process_and_no_connection_is_refused() {
    in_c("gapless", gapless);
}

#[test]
fn examples_have_at_most_thirty_lines_of_code_and_say_their_license() {
    for (folder, extension) in [("examples", "rs"), ("ffi-tests/examples", "c")] {
        let files = fs::read_dir(root().join(folder)).expect("list the examples").flatten().map(|file| file.path());
        let files: Vec<PathBuf> =
            files.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
        assert_eq!(files.len(), 4, "{files:?}");
        for path in files {
            let text = fs::read_to_string(&path).expect("read an example");
            assert!(text.starts_with("// SPDX-License-Identifier: MPL-2.0\n"), "{}", path.display());
            let is_code = |line: &&str| !["//", "/*", "#include", "use "].iter().any(|other| line.starts_with(other));
            assert!(text.lines().filter(is_code).count() <= 30, "{}", path.display());
        }
    }
}
