// SPDX-License-Identifier: MPL-2.0
//! A configuration is checked, and compared with what runs, before it comes into effect.

use std::fs;

use serde_json::json;

use super::{run, start};
use crate::support::{Config, Proxy, Scene};

#[test]
fn mistake_is_shown_by_file_line_and_column() {
    let scene = Scene::new();
    let file = scene.path("a.json");
    let path = file.to_str().unwrap();
    let proxies = |text: &str| format!("{{\n  \"proxies\": {{\n{text}\n  }}\n}}");
    let cases = [
        ("{\n  \"proxies\": {},\n  \"alow_root\": true\n}".to_owned(), "3:3: alow_root: unknown field"),
        ("{\n  \"on_exit\":\n    \"explode\"}".to_owned(), "2:3: on_exit: expected"),
        ("{\n  \"proxy_env\": [\"A=b\",\n  \"C\"]}".to_owned(), "3:3: proxy_env[1]: expected"),
        ("{\n  \"proxies\": {,}\n}".to_owned(), "2:15: not a JSON document: "),
        ("[]".to_owned(), " document: expected an object"),
        (
            proxies("    \"web\": {\"command\": [\"a\"],\n      \"comand\": 1}"),
            "4:7: proxies.web.comand: unknown field",
        ),
        (
            proxies("    \"web\": {\n      \"dir\": \"a\"}"),
            "3:5: proxies.web.command: expected a list of strings, got nothing",
        ),
        (proxies("    \"ä\": {\"dir\": \"ä\", \"command\": [\"a\", 7]}"), "3:40: proxies.ä.command[1]: expected"),
        (
            proxies(
                "    \"a.b\": {\"command\": [\"a\"]},\n    \"a\": {\"command\": [\"a\"], \"b\": 1},\n    \"a.b.c\": {}",
            ),
            "4:29: proxies.a.b: unknown field",
        ),
        (
            proxies("    \"web\": {\"command\": [\"a\"], \"dir\": \"b\",\n  \"dir\": \"c\"}"),
            "4:7: proxies: not a JSON document",
        ),
        (
            proxies("    \"web\": {\"command\": [\"a\"]},\n    \"web\": {\"command\": [\"a\"]}"),
            "4:5: proxies.web: declared twice",
        ),
        (
            proxies("    \"web\": {\"command\": [\"a\"],\n \"restart\": {\"jitter\": 2}}"),
            "4:14: proxies.web.restart.jitter: ",
        ),
        (proxies("    \"web\": {\"command\": [\"a\"], \"mode\": \"other\"}"), "3:31: proxies.web.mode: expected"),
    ];
    for (text, place) in cases {
        fs::write(&file, &text).unwrap();
        let said = run(&["check", path]).failed(1);
        assert!(said.starts_with(&format!("agent: {path}:{place}")), "{text}\n{said}{place}");
    }
    fs::write(&file, "{\"proxies\": {\"web\": {\"command\": [\"a\"]}}}").unwrap();
    assert_eq!(run(&["check", path]).ok(), format!("{path}: 1 proxies, no error\n"));
    scene.finish();
}

/// What is said is what the agent does then.
#[test]
fn difference_to_what_runs_is_what_a_reload_does() {
    let scene = Scene::new();
    let proxy = || Proxy::helper(&["run"]);
    let before = ["same", "settings", "replaced", "removed", "own_variable"]
        .iter()
        .fold(Config::new(&scene), |config, id| config.proxy(id, proxy()))
        .proxy("own_variable", proxy().env(&["TZ=UTC"]));
    let agent = start(&scene, &before);
    let mut pids: Vec<(&str, u32)> = Vec::new();
    for id in ["same", "settings", "replaced", "removed", "own_variable"] {
        pids.push((id, scene.reports.start(id).pid));
    }
    let after = before
        .without("removed")
        .proxy("settings", proxy().grace_ms(1).set("restart", json!({"jitter": 0.5})))
        .proxy("replaced", proxy().env(&["A=b"]))
        .proxy("added", proxy());
    let file = scene.path("next.json");
    let diff = |config: &Config, options: &[&str]| {
        config.write(&file);
        run(&[&["check", file.to_str().unwrap(), "--diff"], options].concat()).ok()
    };
    let changes = "added: start\nown_variable: nothing\nremoved: stop\nreplaced: replace\nsame: nothing\nsettings: settings only\n";
    assert_eq!(diff(&after, &[]), changes);
    let in_json = diff(&after, &["--json"]);
    assert_eq!(in_json.lines().next(), Some("{\"change\":\"start\",\"id\":\"added\"}"));
    // A variable for all replaces those that have none of their own.
    let with_variable = after.clone().set("proxy_env", ["TZ=UTC"].as_slice());
    let replaced = diff(&with_variable, &[]);
    assert!(replaced.contains("same: replace\n") && replaced.contains("settings: replace\n"), "{replaced}");
    assert!(replaced.contains("own_variable: nothing\n") && replaced.contains("removed: stop\n"), "{replaced}");

    agent.reload(&after);
    let (added, replaced) = (scene.reports.start("added"), scene.reports.start("replaced"));
    let status = agent.status_when(&scene, "the reload is complete", |status| {
        status.runs("added", added.pid) && status.runs("replaced", replaced.pid) && !status.is("removed", "stopping")
    });
    for id in ["same", "settings", "own_variable"] {
        let pid = pids.iter().find(|(of, _)| *of == id).unwrap().1;
        assert!(status.runs(id, pid), "{id}: {status:?}");
    }
    assert!(diff(&after, &[]).lines().all(|line| line.ends_with(": nothing")));
    agent.quit();
    assert_eq!(run(&["check", file.to_str().unwrap(), "--diff"]).code, Some(3));
    scene.finish();
}
