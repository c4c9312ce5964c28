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

/// Of the help of a command, what begins its lines: commands, arguments, options.
fn first_words(help: &str, heading: &str) -> Vec<String> {
    let rows = help.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.is_empty());
    let first = rows.filter(|row| row.starts_with("  ") && !row.starts_with("        ")).map(|row| row.trim_start());
    first.filter_map(|row| row.split("  ").next().map(str::to_owned)).collect()
}

#[test]
fn manual_page_has_every_command_with_its_options_in_the_order_of_an_operator() {
    let page = run(&["man"]).ok();
    assert!(page.starts_with(".TH agent 1 "), "{page}");
    let sections = page.lines().filter_map(|line| line.strip_prefix(".SS agent "));
    let commands: Vec<&str> = sections.map(|usage| usage.split(' ').next().unwrap()).collect();
    let help = run(&["--help"]).ok();
    let known: Vec<String> = first_words(&help, "Commands:").into_iter().filter(|name| name != "help").collect();
    assert_eq!(commands, known, "as the help has them");
    assert_eq!(commands[..4], ["run", "check", "init", "status"]);
    for name in commands {
        let help = run(&[name, "--help"]).ok();
        let (_, section) = page.split_once(&format!("\n.SS agent {name}")).unwrap();
        let section = section
            .split("\n.SS ")
            .next()
            .unwrap()
            .split("\n.SH ")
            .next()
            .unwrap()
            .replace("\\-", "-")
            .replace("\\fB", " ");
        let words: Vec<&str> = section.split(|c: char| !c.is_alphanumeric() && c != '-').collect();
        let asks_an_agent = help.contains("--data-dir");
        let options = first_words(&help, "Options:");
        for option in options.iter().flat_map(|row| row.split([' ', ','])).filter(|word| word.starts_with('-')) {
            let is_elsewhere = asks_an_agent && ["--data-dir", "--config"].contains(&option);
            let is_left_out = is_elsewhere || ["-h", "--help"].contains(&option);
            assert_eq!(words.contains(&option), !is_left_out, "{name} {option}: {section}");
        }
    }
    for once in [
        ".TP\n\\fB\\-\\-data\\-dir",
        ".SH SIGNALS TO A RUNNING AGENT",
        ".SH EXIT CODES",
        "no such proxy",
        ".SH ENVIRONMENT",
    ] {
        assert_eq!(page.matches(once).count(), 1, "{once}");
    }
}
