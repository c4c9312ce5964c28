// SPDX-License-Identifier: MPL-2.0
//! What the status says, for people and for programs.

use std::net::TcpListener;

use serde_json::Value;

use super::{Ran, ask, start};
use crate::support::{Config, Deadline, Proxy, Scene, example_agent};

/// Asks until the status says all this.
#[track_caller]
fn until(scene: &Scene, said: &[&str]) -> String {
    let deadline = Deadline::of("the status to be so");
    loop {
        let status = ask(&scene.data_dir(), &["status"]).ok();
        if said.iter().all(|text| status.contains(text)) {
            return status;
        }
        assert!(!deadline.is_over(), "waited in vain for {said:?}:\n{status}");
    }
}

#[test]
fn taken_port_and_missing_program_are_named_by_the_status_alone() {
    let scene = Scene::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().to_string();
    let program = example_agent().to_str().unwrap();
    let config = Config::new(&scene)
        .proxy("good", Proxy::helper(&["run"]))
        .proxy("taken", Proxy::command(&[program, "proxy", "--listen", &port, "--upstream", "127.0.0.1:1"]))
        .proxy("missing", Proxy::command(&["/no/such/program"]));
    let agent = start(&scene, &config);
    let good = scene.reports.start("good");
    let address = format!("\tstderr: agent: listen {port}: Address already in use (os error 98)\n");
    let reason = "\terror: execute /no/such/program: no such file: No such file or directory (os error 2)\n";
    let status = until(&scene, &[&address, reason, "\texit code 1\n", "good\trunning\t", "missing\twaiting\t"]);
    let heads: Vec<&str> = status.lines().next().unwrap().split('\t').collect();
    assert_eq!(heads, ["PROXY", "STATE", "FOR", "READY", "PID", "GENERATION", "RESTARTS", "LAST EXIT"]);
    let row = |id: &str| {
        let row = status.lines().find(|line| line.starts_with(&format!("{id}\t"))).expect("a row");
        let cells: Vec<&str> = row.split('\t').collect();
        (cells[1], cells[3], cells[4].to_owned(), cells[7])
    };
    assert_eq!(row("good"), ("running", "yes", good.pid.to_string(), "-"));
    assert_eq!(row("missing"), ("waiting", "no", "-".to_owned(), "-"));
    assert_eq!(row("taken").3, "exit code 1");
    assert!(!status.contains('\x1b'), "colours are for terminals: {status:?}");
    agent.quit();
    scene.finish();
}

#[test]
fn status_in_json_is_one_object_a_line_and_that_of_one_proxy_is_one_line() {
    let scene = Scene::new();
    let proxy = || Proxy::helper(&["run"]);
    let agent = start(&scene, &Config::new(&scene).proxy("a", proxy()).proxy("b", proxy()));
    let pids = ["a", "b"].map(|id| scene.reports.start(id).pid);
    agent.status_when(&scene, "both run", |status| status.runs("a", pids[0]) && status.runs("b", pids[1]));
    let status = ask(&scene.data_dir(), &["status", "--json"]).ok();
    let parsed: Vec<Value> = status.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<(&Value, &Value)> = parsed.iter().map(|proxy| (&proxy["id"], &proxy["pid"])).collect();
    assert_eq!(told, [(&"a".into(), &pids[0].into()), (&"b".into(), &pids[1].into())]);
    let one = ask(&scene.data_dir(), &["status", "b", "--json"]).ok();
    let one: Value = serde_json::from_str(&one).unwrap();
    // All but how long it has been so.
    let fields = ["id", "pid", "state", "generation", "stdout_log", "last_stderr"];
    assert!(fields.iter().all(|field| one.get(field).is_some() && one[field] == parsed[1][field]), "{one}");
    let none = ask(&scene.data_dir(), &["status", "c"]).failed(4);
    assert_eq!(none, "agent: proxy c: not managed\n");
    agent.quit();
    scene.finish();
}

#[test]
fn program_that_reports_on_its_standard_output_is_quoted_from_there() {
    let scene = Scene::new();
    let proxy = Proxy::command(&["/bin/sh", "-c", "seq 5; echo why; exit 3"]);
    let agent = start(&scene, &Config::new(&scene).proxy("a/b", proxy));
    let status = until(&scene, &["\tstdout: why\n", "\texit code 3\n"]);
    assert!(!status.contains("stdout: 5"), "of all proxies there is one line each: {status}");
    let deadline = Deadline::of("all lines");
    while !ask(&scene.data_dir(), &["status", "a/b"]).ok().contains("\tstdout: 4\n\tstdout: 5\n\tstdout: why\n") {
        deadline.left();
    }
    agent.quit();
    scene.finish();
}

#[test]
fn line_of_the_table_is_the_one_that_says_why() {
    let scene = Scene::new();
    let script = "echo 1 >&2; echo 'bind(): Permission denied' >&2; echo usage >&2; echo bye >&2; exit 1";
    let agent = start(&scene, &Config::new(&scene).proxy("web", Proxy::command(&["/bin/sh", "-c", script])));
    let status = until(&scene, &["\tstderr: bind(): Permission denied\n"]);
    assert_eq!(status.matches("stderr: ").count(), 1, "{status}");
    // An end that was just noted has its lines a moment later.
    let deadline = Deadline::of("all lines");
    let all = "\tprobably why: bind(): Permission denied\n\tstderr: 1\n\tstderr: bind(): Permission denied\n\tstderr: usage\n\tstderr: bye\n";
    while !ask(&scene.data_dir(), &["status", "web"]).ok().contains(all) {
        deadline.left();
    }
    agent.quit();
    scene.finish();
}

/// As they were written by these programs; more than a status keeps, some of them.
#[test]
fn line_that_says_why_is_found_in_what_real_programs_write() {
    let scene = Scene::new();
    let mut config = Config::new(&scene);
    let mut wanted = Vec::new();
    for section in include_str!("causes.txt").split("\n== ").skip(1) {
        let (name, lines) = section.split_once('\n').unwrap();
        let why = lines.lines().find_map(|line| line.strip_prefix("> ")).unwrap_or_else(|| panic!("{name}: no cause"));
        let written: Vec<&str> = lines.lines().map(|line| line.strip_prefix("> ").unwrap_or(line)).collect();
        let file = scene.path(name);
        std::fs::write(&file, written.join("\n") + "\n").unwrap();
        let script = format!("cat {} >&2; exit 1", file.display());
        config = config.proxy(name, Proxy::command(&["/bin/sh", "-c", &script]));
        wanted.push((name, why, written.iter().filter(|line| !line.is_empty()).count()));
    }
    assert!(wanted.len() > 30, "{wanted:?}");
    let agent = start(&scene, &config);
    let (deadline, data_dir) = (Deadline::of("all causes"), scene.data_dir());
    // Each has ended by then, and its lines are read a moment later.
    let found = loop {
        let status = ask(&data_dir, &["status"]).ok();
        let found: Vec<&str> = status.lines().filter_map(|line| line.strip_prefix("\tstderr: ")).collect();
        if found.len() == wanted.len() {
            break found.into_iter().map(str::to_owned).collect::<Vec<_>>();
        }
        deadline.left();
    };
    wanted.sort_unstable();
    for ((name, why, count), found) in wanted.iter().zip(&found) {
        assert_eq!(found, why, "{name}");
        let all = loop {
            let all = ask(&data_dir, &["status", name]).ok();
            if all.contains("\tstderr: ") {
                break all;
            }
            deadline.left();
        };
        let is_marked = all.contains(&format!("\tprobably why: {why}\n"));
        assert_eq!(is_marked, *count > 1, "{all}");
    }
    agent.quit();
    scene.finish();
}

#[test]
fn control_characters_of_a_proxy_do_not_reach_the_terminal() {
    let scene = Scene::new();
    let proxy = Proxy::command(&["/bin/sh", "-c", "printf '\\033[2Jgone\\n'; exit 1"]);
    let agent = start(&scene, &Config::new(&scene).proxy("a\u{1b}[2J", proxy));
    let status = until(&scene, &["\\u{1b}[2Jgone", "a\\u{1b}[2J\t"]);
    assert!(!status.contains('\x1b'), "{status:?}");
    agent.quit();
    scene.finish();
}

#[test]
fn columns_and_colours_are_for_a_terminal() {
    let scene = Scene::new();
    let agent = start(&scene, &Config::new(&scene).proxy("web", Proxy::helper(&["run"])));
    let web = scene.reports.start("web");
    agent.status_running(&scene, "web", web.pid);
    let command = format!("{} status --data-dir {}", example_agent().display(), scene.data_dir().display());
    let on_a_terminal = |no_color: &str| {
        let mut script = std::process::Command::new("script");
        script.args(["-qec", &command, "/dev/null"]).env("NO_COLOR", no_color).stdin(std::process::Stdio::null());
        Ran::of(script.output().expect("run script(1)")).ok().replace('\r', "")
    };
    for (no_color, state) in [("", "\x1b[32mrunning\x1b[0m"), ("1", "running")] {
        let said = on_a_terminal(no_color);
        let row = said.lines().nth(1).expect("a row").to_owned();
        assert!(row.starts_with(&format!("web    {state}  ")), "{said:?}");
        let at = |line: &str, text: &str| line.replace("\x1b[32m", "").replace("\x1b[0m", "").find(text).expect(text);
        assert_eq!(at(&row, &web.pid.to_string()), at(said.lines().next().expect("heads"), "PID"), "{said:?}");
    }
    agent.quit();
    scene.finish();
}
