// SPDX-License-Identifier: MPL-2.0
//! What the proxies write, and what happens to them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::{ask, start};
use crate::support::{Config, Proxy, Scene, example_agent};

/// A command that goes on until it is dropped.
struct Following {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Following {
    fn start(data_dir: &Path, words: &[&str]) -> Following {
        let mut command = Command::new(example_agent());
        command.args(words).arg("--data-dir").arg(data_dir).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("start the command");
        let lines = BufReader::new(child.stdout.take().expect("a pipe"));
        Following { child, lines }
    }

    /// Waits for a line; the runner of the tests gives up for this one.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("read a line");
        line
    }

    /// Waits for a line with this in it.
    fn until(&mut self, wanted: &str) -> String {
        loop {
            let line = self.line();
            assert_ne!(line, "", "it has ended without {wanted:?}");
            if line.contains(wanted) {
                return line;
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn last_lines_of_a_log_are_so_many_and_of_one_output_or_both() {
    let scene = Scene::new();
    let agent = start(&scene, &Config::new(&scene).proxy("a/b", Proxy::helper(&["log", "a line"])));
    scene.reports.start("a/b");
    let data_dir = scene.data_dir();
    ask(&data_dir, &["wait", "a/b"]).ok();
    let log = data_dir.join("logs/%a%2Fb-stdout.log");
    assert_eq!(ask(&data_dir, &["logs", "a/b"]).ok(), "==> stdout <==\na line\n==> stderr <==\na line\n");
    assert_eq!(ask(&data_dir, &["logs", "a/b", "--stderr"]).ok(), "a line\n");
    // Longer than what is read at once, and without an end of the last line.
    let lines: Vec<String> = (0..40_000).map(|number| format!("line {number}")).collect();
    for ending in ["", "\n"] {
        fs::write(&log, lines.join("\n") + ending).unwrap();
        let last = |count: &str| ask(&data_dir, &["logs", "a/b", "--stdout", "-n", count]).ok();
        assert_eq!(last("0"), "");
        assert_eq!(last("1"), format!("line 39999{ending}"));
        assert_eq!(last("2"), format!("line 39998\nline 39999{ending}"));
        assert_eq!(last("39999"), lines[1..].join("\n") + ending);
        for all in ["40000", "50000"] {
            assert_eq!(last(all), lines.join("\n") + ending);
        }
    }
    assert_eq!(ask(&data_dir, &["logs", "nosuch"]).code, Some(4));
    agent.quit();
    scene.finish();
}

#[test]
fn followed_log_shows_what_is_written_also_after_it_was_moved_or_truncated() {
    let scene = Scene::new();
    let agent = start(&scene, &Config::new(&scene).proxy("web", Proxy::helper(&["log", "a line"])));
    let web = scene.reports.start("web");
    let data_dir = scene.data_dir();
    ask(&data_dir, &["wait", "web"]).ok();
    let log = data_dir.join("logs/web-stdout.log");
    let mut follow = Following::start(&data_dir, &["logs", "web", "-f", "--stdout"]);
    assert_eq!(follow.line(), "a line\n");
    web.process.kill();
    let web = scene.reports.start("web");
    assert_eq!(follow.line(), "a line\n");
    fs::rename(&log, data_dir.join("logs/old")).unwrap();
    web.process.kill();
    let web = scene.reports.start("web");
    assert_eq!(follow.line(), "a line\n");
    fs::write(&log, "").unwrap();
    web.process.kill();
    scene.reports.start("web");
    assert_eq!(follow.line(), "a line\n");
    drop(follow);
    agent.quit();
    scene.finish();
}

#[test]
fn followed_log_goes_on_where_it_was_when_its_oldest_lines_are_removed() {
    let scene = Scene::new();
    let output = serde_json::json!({"max_bytes": 65536});
    let agent = start(&scene, &Config::new(&scene).proxy("web", Proxy::helper(&["run"]).set("output", output)));
    scene.reports.start("web");
    let data_dir = scene.data_dir();
    ask(&data_dir, &["wait", "web"]).ok();
    let path = data_dir.join("logs/web-stdout.log");
    let mut log = fs::File::options().append(true).open(&path).unwrap();
    log.write_all(b"the first line\n").unwrap();
    let mut follow = Following::start(&data_dir, &["logs", "web", "-f", "--stdout"]);
    assert_eq!(follow.line(), "the first line\n");
    let mut number = 0_u32;
    for round in 0..12 {
        let lines: String = (number..number + 500).map(|number| format!("a line with the number {number}\n")).collect();
        log.write_all(lines.as_bytes()).unwrap();
        // Fewer than stay in any case.
        for _ in 0..500 {
            assert_eq!(follow.line(), format!("a line with the number {number}\n"), "{round}");
            number += 1;
        }
    }
    // It is truncated twice, and has a line again that it had before.
    for lines in ["listening\n", "a new start\nlistening\nerror\n"] {
        fs::write(&path, lines).unwrap();
        lines.split_inclusive('\n').for_each(|line| assert_eq!(follow.line(), line));
    }
    drop(follow);
    agent.quit();
    scene.finish();
}

#[test]
fn events_are_those_that_were_and_then_those_that_come() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["run"]));
    let agent = start(&scene, &config);
    let web = scene.reports.start("web");
    let data_dir = scene.data_dir();
    ask(&data_dir, &["wait", "web"]).ok();
    let started = format!(" proxy web: started, pid {}\n", web.pid);
    for _ in 0..2 {
        let events = ask(&data_dir, &["events"]).ok();
        assert_eq!(events.matches(&started).count(), 1, "{events}");
    }
    assert_eq!(ask(&data_dir, &["events", "-n", "0"]).ok(), "");
    let last = ask(&data_dir, &["events", "-n", "1"]).ok();
    assert!(last.lines().count() == 1 && ask(&data_dir, &["events"]).ok().ends_with(&last), "{last}");
    let mut new = Following::start(&data_dir, &["events", "-n", "1", "-f"]);
    assert_eq!(new.line(), last);
    let mut text = Following::start(&data_dir, &["events", "--follow"]);
    let mut json = Following::start(&data_dir, &["events", "--follow", "--json"]);
    text.until(&started);
    json.until(&format!("\"pid\":{}", web.pid));
    web.process.kill();
    let next = scene.reports.start("web");
    assert!(new.line().ends_with(&format!(" proxy web: exited, pid {}: signal SIGKILL\n", web.pid)));
    text.until(&format!(" proxy web: exited, pid {}: signal SIGKILL\n", web.pid));
    text.until(&format!(" proxy web: started, pid {}\n", next.pid));
    let event: Value = serde_json::from_str(&json.until("\"exited\"")).unwrap();
    assert_eq!(
        (&event["id"], &event["exit"], &event["pid"]),
        (&"web".into(), &"signal SIGKILL".into(), &web.pid.into())
    );
    let mut numbers: Vec<u64> = Vec::new();
    for line in ask(&data_dir, &["events", "--json"]).ok().lines() {
        numbers.push(serde_json::from_str::<Value>(line).unwrap()["number"].as_u64().unwrap());
    }
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
    agent.quit();
    // It is over with the agent, and the exit code says so.
    while !text.line().is_empty() {}
    assert_eq!(text.child.wait().unwrap().code(), Some(3));
    scene.finish();
}
