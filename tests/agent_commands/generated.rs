// SPDX-License-Identifier: MPL-2.0
//! Completions, the manual page and the schema are those of the commands and fields that there are.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Ran, run};
use crate::support::Scene;

const COMMANDS: [&str; 18] = [
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
    "schema",
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
fn schema_has_the_fields_that_a_configuration_may_have() {
    let scene = Scene::new();
    let schema: Value = serde_json::from_str(&run(&["schema"]).ok()).unwrap();
    let file = scene.path("a.json");
    std::fs::write(&file, "{\"nosuch\": 1}").unwrap();
    let said = run(&["check", file.to_str().unwrap()]).failed(1);
    let (_, known) = said.trim_end().split_once("unknown field, expected one of ").unwrap();
    let known: BTreeSet<&str> = known.split(", ").collect();
    let described: BTreeSet<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(described, known);
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
