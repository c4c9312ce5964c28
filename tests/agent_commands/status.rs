// SPDX-License-Identifier: MPL-2.0
//! What the status says, for people and for programs.

use std::fs;
use std::net::TcpListener;

use serde_json::Value;

use super::{Ran, ask, start};
use crate::support::{Config, Deadline, Proxy, Scene, example_agent};

/// Asks until the status says all this.
#[track_caller]
fn until(scene: &Scene, said: &[&str]) -> String {
    until_it(scene, &format!("the status to say {said:?}"), |status| said.iter().all(|text| status.contains(text)))
}

#[track_caller]
fn until_it(scene: &Scene, what: &str, says: impl Fn(&str) -> bool) -> String {
    let deadline = Deadline::of(what);
    loop {
        let status = ask(&scene.data_dir(), &["status"]).ok();
        if says(&status) {
            return status;
        }
        assert!(!deadline.is_over(), "waited in vain for {what}:\n{status}");
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
    let missing = "missing\twaiting\tno\t-\t-\t0\t-\n";
    let reason = "\terror: execute /no/such/program: no such file: No such file or directory (os error 2)\n";
    let exit = "\texit code 1\n";
    let running = format!("good\trunning\tyes\t{}\t1\t0\t-\n", good.pid);
    let status = until(&scene, &[&address, missing, reason, exit, "taken\twaiting\tno\t-\t", &running]);
    assert!(status.starts_with("PROXY\tSTATE\tREADY\tPID\tGENERATION\tRESTARTS\tLAST EXIT\n"), "{status}");
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
    assert_eq!(serde_json::from_str::<Value>(&one).unwrap(), parsed[1]);
    let none = ask(&scene.data_dir(), &["status", "c"]).failed(4);
    assert_eq!(none, "agent: proxy c: not managed\n");
    agent.quit();
    scene.finish();
}

/// The names of logs are those that `docs/files.md` promises.
#[test]
fn last_output_is_found_whatever_the_id_is() {
    let scene = Scene::new();
    let ids = ["plain", "a/b", ".hidden", "100%", "%41", "line\nbreak", "ä ö", &"ä".repeat(512)];
    let config = ids.iter().fold(Config::new(&scene), |config, id| {
        config.proxy(
            id,
            Proxy::command(&["/bin/sh", "-c", "echo \"why $CONNECT_PROXY_ID\" | tail -n1 | cut -c1-9 >&2; exit 3"]),
        )
    });
    let agent = start(&scene, &config);
    let data_dir = scene.data_dir();
    until_it(&scene, "all last lines", |status| {
        status.matches("\tstderr: ").count() >= ids.len() && status.matches("exit code 3").count() == ids.len()
    });
    assert!(fs::read_dir(data_dir.join("logs")).unwrap().count() >= ids.len());
    agent.quit();
    scene.finish();
}

#[test]
fn control_characters_of_a_proxy_do_not_reach_the_terminal() {
    let scene = Scene::new();
    let proxy = Proxy::command(&["/bin/sh", "-c", "printf '\\033[2Jgone\\n' >&2; exit 1"]);
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
    let row = |state: &str| format!("web    {state}  yes    {}", web.pid);
    assert!(on_a_terminal("").contains(&row("\x1b[32mrunning\x1b[0m")), "{:?}", on_a_terminal(""));
    assert!(on_a_terminal("1").contains(&row("running")), "{:?}", on_a_terminal("1"));
    agent.quit();
    scene.finish();
}
