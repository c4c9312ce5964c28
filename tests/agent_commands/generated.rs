// SPDX-License-Identifier: MPL-2.0
//! Completions and the manual page are those of the commands that there are.

use std::process::{Command, Stdio};

use super::{Ran, run};
use crate::support::Scene;

const COMMANDS: [&str; 17] = [
    "run",
    "check",
    "status",
    "quit",
    "restart",
    "stop",
    "start",
    "reload",
    "signal",
    "wait",
    "logs",
    "events",
    "metrics",
    "version",
    "completions",
    "man",
    "proxy",
];

#[test]
fn bash_completes_commands_and_options() {
    let scene = Scene::new();
    let file = scene.path("completions");
    std::fs::write(&file, run(&["completions", "bash"]).ok()).unwrap();
    let complete = |words: &[&str]| {
        let script = "source \"$0\"; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _agent agent \"${!#}\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
        let mut bash = Command::new("bash");
        bash.args(["-c", script, file.to_str().unwrap()]).args(words).stdin(Stdio::null());
        Ran::of(bash.output().expect("run bash")).ok()
    };
    let all = complete(&["agent", ""]);
    assert!(COMMANDS.iter().all(|name| all.lines().any(|line| line == *name)), "{all}");
    assert_eq!(complete(&["agent", "stat"]), "status\n");
    assert_eq!(complete(&["agent", "wait", "--time"]), "--timeout\n");
    scene.finish();
}

#[test]
fn manual_page_has_every_command_with_its_options() {
    let page = run(&["man"]).ok();
    assert!(page.contains(".TH agent 1"), "{page}");
    for name in COMMANDS {
        assert!(page.contains(&format!(".SH AGENT {}\n", name.to_uppercase())), "{name}: {page}");
    }
    assert!(page.contains("no such proxy") && page.contains("data\\-dir"), "{page}");
    assert!(!page.contains("agent\\-status(1)"), "there is one page");
}
