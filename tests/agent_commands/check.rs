// SPDX-License-Identifier: MPL-2.0
//! A configuration is checked, and compared with what runs, before it comes into effect.

use std::fs;

use serde_json::json;

use super::{run, start};
use crate::support::{Config, HELPER, Launch, Proxy, Scene, example_agent};

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

#[test]
fn mistake_in_toml_is_shown_by_file_line_and_column() {
    let scene = Scene::new();
    let file = scene.path("a.toml");
    let path = file.to_str().unwrap();
    let cases = [
        ("# why\n\nalow_root = true\n", "3:1: alow_root: unknown field"),
        ("data_dir = \"a\"\nproxies = [\n", "2:12: not a TOML document: "),
        ("a = 1\na = 2\n", "2:1: not a TOML document: duplicate key"),
        ("proxies = 7\n", "1:1: proxies: expected an object"),
        ("proxy_env = [\"A=b\",\n  \"C\"]\n", "2:3: proxy_env[1]: expected"),
        ("[proxies.web]\ncommand = [\"a\"]\ncomand = 1\n", "3:1: proxies.web.comand: unknown field"),
        ("[proxies.web]\ndir = \"a\"\n", "1:10: proxies.web.command: expected a list of strings, got nothing"),
        ("[proxies.\"a.b\"]\ncommand = [\"a\",\n 7]\n", "3:2: proxies.a.b.command[1]: expected"),
        ("[proxies.web]\ncommand = [\"a\"]\nrestart.jitter = 2001-01-01\n", "3:18: not a configuration: expected"),
        ("[proxies.web]\ncommand = [\"a\"]\nrestart.jitter = inf\n", "3:18: not a configuration: expected"),
    ];
    for (text, place) in cases {
        fs::write(&file, text).unwrap();
        let said = run(&["check", path]).failed(1);
        assert!(said.starts_with(&format!("agent: {path}:{place}")), "{text}\n{said}{place}");
    }
    scene.finish();
}

#[test]
fn agent_runs_a_configuration_in_toml() {
    let scene = Scene::new();
    let data_dir = scene.data_dir();
    let text = |more: &str| {
        format!(
            "# a comment\ndata_dir = {data_dir:?}\nallow_root = true\nquiescent_period_ms = 0x0a\n\n\
             [proxies.web]\ncommand = [{:?}, \"run\"]\nstop = [{{ signal = \"SIGTERM\", for_ms = 1_000 }}]\n\
             restart.jitter = 0.25\n{more}",
            *HELPER
        )
    };
    let file = scene.path("agent.toml");
    fs::write(&file, text("")).unwrap();
    let words = ["/bin/sh", "-c", "exec \"$0\" \"${1%.json}.toml\""];
    let agent = Launch::of(example_agent(), &scene).under(&words).start(&Config::new(&scene));
    let web = scene.reports.start("web");
    agent.status_running(&scene, "web", web.pid);
    fs::write(&file, text(&format!("[proxies.next]\ncommand = [{:?}, \"run\"]\n", *HELPER))).unwrap();
    run(&["reload", "--config", file.to_str().unwrap()]).ok();
    scene.reports.start("next");
    agent.quit();
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
        .proxy("own_variable", proxy().env(&["TZ=UTC"]))
        .proxy("disabled", proxy().set("enabled", false))
        .proxy("noop", Proxy::command(&[]).set("mode", "noop"));
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
    let changes = "added: start\ndisabled: nothing\nnoop: nothing\nown_variable: nothing\nremoved: stop\nreplaced: replace\nsame: nothing\nsettings: settings only\n";
    assert_eq!(diff(&after, &[]), changes);
    let in_json = diff(&after, &["--json"]);
    assert_eq!(in_json.lines().next(), Some("{\"change\":\"start\",\"id\":\"added\"}"));
    // A variable for all replaces those that have none of their own.
    let with_variable = after.clone().set("proxy_env", ["TZ=UTC"].as_slice());
    let replaced = diff(&with_variable, &[]);
    assert!(replaced.contains("same: replace\n") && replaced.contains("settings: replace\n"), "{replaced}");
    assert!(replaced.contains("disabled: nothing\nnoop: nothing\n"), "{replaced}");
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
