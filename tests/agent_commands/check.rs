// SPDX-License-Identifier: MPL-2.0
//! A configuration is checked, and compared with what runs, before it comes into effect.

use std::fs;

use rustix::process::geteuid;
use serde_json::json;

use super::{ask, run, start};
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
        ("{\"a\\n\\u001b[31mb\": 1}".to_owned(), "1:2: a\\n\\u{1b}[31mb: unknown field, expected one of "),
        ("[]".to_owned(), " document: expected an object"),
        ("# why\ndata_dir = \"a\"\n".to_owned(), "1:1: not a JSON document (a file with TOML has to be named .toml): "),
        ("{\"data-dir\": 1}".to_owned(), "1:2: data-dir: unknown field, is \"data_dir\" meant?"),
        (
            proxies("    \"web\": {\"command\": [\"a\"],\n      \"comand\": 1}"),
            "4:7: proxies.web.comand: unknown field, is \"command\" meant?",
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
    let text = "{\"data_dir\": \"/d\", \"allow_root\": true, \"proxies\": {\"web\": {\"command\": [\"/bin/true\"]}}}";
    fs::write(&file, text).unwrap();
    for words in [&["check", path] as &[&str], &["check", "--config", path]] {
        assert_eq!(run(words).ok(), format!("{path}: 1 proxy, no error\n"));
    }
    scene.finish();
}

#[test]
fn all_mistakes_of_a_file_are_said_at_once() {
    let scene = Scene::new();
    let json = "{\n \"alow_root\": true,\n \"on_exit\": \"explode\",\n \"nosuch\": 1,\n \"proxies\": {\n  \
                \"a\": {\"command\": [\"a\"], \"comand\": 1},\n  \"good\": {\"command\": [\"a\"]},\n  \
                \"ä\": {\"command\": 7}, \"good\": {},\n  \"b\": {\"command\": [\"a\"], \"mode\": \"other\"}}}";
    let toml = "alow_root = true\n[proxies.a]\ncommand = [\"a\"]\ncomand = 1\n[proxies.b]\ncommand = 7\n";
    let cases = [
        (
            "a.json",
            json,
            &[
                "3:2: on_exit: expected",
                "2:2: alow_root: unknown field",
                "4:2: nosuch: unknown field",
                "6:27: proxies.a.comand: unknown field",
                "8:9: proxies.ä.command: expected",
                "8:24: proxies.good: declared twice",
                "9:27: proxies.b.mode: expected \"daemon\" or \"noop\", got \"other\"",
            ] as &[&str],
        ),
        (
            "a.toml",
            toml,
            &[
                "1:1: alow_root: unknown field",
                "4:1: proxies.a.comand: unknown field",
                "6:1: proxies.b.command: expected",
            ],
        ),
    ];
    for (name, text, places) in cases {
        let file = scene.path(name);
        fs::write(&file, text).unwrap();
        let path = file.to_str().unwrap();
        let said = run(&["check", path]).failed(1);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), places.len(), "{said}");
        for (line, place) in lines.iter().zip(places) {
            assert!(line.starts_with(&format!("agent: {path}:{place}")), "{place}\n{said}");
        }
        // An agent says how many there are, in one line.
        let refused = run(&["run", path]).failed(1);
        let more = format!("(and {} more; `agent check` lists all)\n", places.len() - 1);
        assert!(refused.ends_with(&more) && refused.lines().count() == 1, "{refused}");
    }
    scene.finish();
}

#[test]
fn what_may_be_wrong_on_this_machine_is_a_warning() {
    let scene = Scene::new();
    let file = scene.path("a.toml");
    let path = file.to_str().unwrap();
    let text = "data_dir=\"d\"\nallow_root = true\n[proxies.a]\ncommand = [\"/no/such/program\"]\ndir = \"/no/such/directory\"\n\
                [proxies.b]\ncommand = [\"no-such-program\"]\nenv = [\"PATH=/nowhere\"]\nuser = \"no-such-user\"\n\
                [proxies.c]\ncommand = [\"/etc/passwd\"]\n[proxies.d]\ncommand = [\"sh\"]\n";
    fs::write(&file, text).unwrap();
    let ran = run(&["check", path]);
    let warnings = [
        "5:1: proxies.a.dir: no such directory: /no/such/directory",
        "4:12: proxies.a.command[0]: no such program: /no/such/program",
        "7:12: proxies.b.command[0]: no program no-such-program in /nowhere",
        "9:1: proxies.b.user: no such user: no-such-user",
        "11:12: proxies.c.command[0]: /etc/passwd is not executable",
    ];
    let warnings: String = warnings.iter().map(|warning| format!("agent: warning: {path}:{warning}\n")).collect();
    assert_eq!((ran.code, ran.stderr), (Some(0), warnings));
    assert_eq!(ran.stdout, format!("{path}: 4 proxies, no error\n"));
    fs::write(&file, "data_dir=\"d\"\n[proxies.d]\ncommand = [\"sh\"]\n").unwrap();
    let as_root = run(&["check", path]).stderr;
    let warning = format!(
        "agent: warning: {path}:2:10: proxies.d: it would run as root, and is not started without allow_root\n"
    );
    assert_eq!(as_root, if geteuid().is_root() { warning } else { String::new() });
    scene.finish();
}

#[test]
fn command_line_in_place_of_a_list_is_a_warning_that_says_how_to_write_it() {
    let scene = Scene::new();
    let file = scene.path("a.toml");
    let path = file.to_str().unwrap();
    let text = "data_dir=\"d\"\nallow_root = true\n[proxies.a]\ncommand = [\"sh -c true\"]\n\
                [proxies.b]\ncommand = [\"/bin/sh -c true\"]\n[proxies.c]\ncommand = [\"/no/sh -c true\"]\n";
    fs::write(&file, text).unwrap();
    let instead = "write each argument as a string of its own";
    let warnings = [
        format!("4:12: proxies.a.command[0]: no program \"sh -c true\", but there is sh: {instead}"),
        format!("6:12: proxies.b.command[0]: no program \"/bin/sh -c true\", but there is /bin/sh: {instead}"),
        "8:12: proxies.c.command[0]: no such program: /no/sh -c true".to_owned(),
    ];
    let warnings: String = warnings.iter().map(|warning| format!("agent: warning: {path}:{warning}\n")).collect();
    assert_eq!(run(&["check", path]).stderr, warnings);
    scene.finish();
}

#[test]
fn limits_without_cgroups_and_a_base_that_is_none_are_warnings() {
    let scene = Scene::new();
    let file = scene.path("a.toml");
    let warnings = |cgroup: &str| {
        let limits = "[proxies.a]\ncommand = [\"sh\"]\nlimits = { pids_max = 9 }\n";
        fs::write(&file, format!("data_dir = \"d\"\nallow_root = true\n{cgroup}\n{limits}")).unwrap();
        run(&["check", file.to_str().unwrap()]).stderr
    };
    let off = warnings("cgroup = \"off\"");
    assert!(off.ends_with(": proxies.a.limits: it is not started with them while cgroup is \"off\"\n"), "{off}");
    let base = warnings("cgroup_base = \"/nowhere/x\"");
    assert!(base.ends_with(": cgroup_base: /nowhere/x is no directory of cgroup version 2\n"), "{base}");
    assert_eq!(warnings(""), "");
    scene.finish();
}

#[test]
fn programs_and_directories_of_all_fields_and_what_two_proxies_have_are_warnings() {
    let scene = Scene::new();
    let file = scene.path("a.toml");
    let path = file.to_str().unwrap();
    let text = "allow_root = true\n[proxies.a]\ncommand = [\"sh\"]\nready.command = [\"/no/ready\"]\n\
                stop = [{ command = [\"/no/stop\"], for_ms = 1 }]\nreload.command = [\"/no/reload\"]\n\
                output.stdout = \"/no/such/log\"\nlisten = [\"unix:/no/such/socket\"]\n\
                [proxies.b]\ncommand = [\"sh\"]\nlisten = [\"tcp:[::1]:80\", { address = \"udp:127.0.0.1:80\", reuse_port = true }]\n\
                ready.tcp = \"127.0.0.1:81\"\noutput = { stdout = \"/tmp/\", stderr = \"/dev/null\" }\n\
                [proxies.c]\ncommand = [\"sh\"]\n\
                listen = [{ address = \"udp:127.0.0.1:80\", reuse_port = true }, \"tcp:[0:0:0:0:0:0:0:1]:80\"]\n\
                ready.tcp = \"127.0.0.1:81\"\noutput = { stdout = \"/no-such.log\", stderr = \"/no-such.log\" }\n\
                [proxies.d]\ncommand = [\"sh\"]\noutput = { stdout = \"/no-such.log\", stderr = \"/dev/null\" }\n\
                [proxies.e]\ncommand = [\"sh\"]\nenabled = false\nready.tcp = \"127.0.0.1:81\"\n";
    fs::write(&file, text).unwrap();
    let ran = run(&["check", path]);
    let warnings = [
        ": data_dir: not set: the agent takes no commands, and no later agent finds its processes",
        ":4:18: proxies.a.ready.command[0]: no such program: /no/ready",
        ":6:19: proxies.a.reload.command[0]: no such program: /no/reload",
        ":5:22: proxies.a.stop[0].command[0]: no such program: /no/stop",
        ":8:11: proxies.a.listen[0]: no such directory: /no/such",
        ":7:8: proxies.a.output.stdout: no such directory: /no/such",
        ":16:64: proxies.c.listen[1]: tcp:[::1]:80 is also that of proxies.b.listen[0]",
        ":17:7: proxies.c.ready.tcp: 127.0.0.1:81 is also that of proxies.b.ready.tcp",
        ":21:12: proxies.d.output.stdout: /no-such.log is also that of proxies.c.output.stdout",
    ];
    let warnings: String = warnings.iter().map(|warning| format!("agent: warning: {path}{warning}\n")).collect();
    assert_eq!((ran.code, ran.stderr), (Some(0), warnings));
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
        .proxy("enabled_now", proxy().set("enabled", false))
        .proxy("disabled_now", proxy())
        .proxy("paused", proxy())
        .proxy("noop", Proxy::command(&[]).set("mode", "noop"));
    let agent = start(&scene, &before);
    let mut pids: Vec<(&str, u32)> = Vec::new();
    for id in ["same", "settings", "replaced", "removed", "own_variable", "disabled_now", "paused"] {
        pids.push((id, scene.reports.start(id).pid));
    }
    ask(&scene.data_dir(), &["stop", "paused"]).ok();
    let after = before
        .without("removed")
        .proxy("settings", proxy().grace_ms(1).set("restart", json!({"jitter": 0.5})))
        .proxy("replaced", proxy().env(&["A=b"]))
        .proxy("disabled", proxy().set("enabled", false).env(&["A=b"]))
        .proxy("enabled_now", proxy())
        .proxy("disabled_now", proxy().set("enabled", false))
        .proxy("paused", proxy().env(&["A=b"]))
        .proxy("added", proxy());
    let file = scene.path("next.json");
    let diff = |config: &Config, options: &[&str]| {
        config.write(&file);
        run(&[&["check", file.to_str().unwrap(), "--diff"], options].concat()).ok()
    };
    let changes = "added: start\ndisabled: settings only\ndisabled_now: stop\nenabled_now: start\nnoop: nothing\n\
                   own_variable: nothing\npaused: settings only\nremoved: stop\nreplaced: replace\nsame: nothing\n\
                   settings: settings only\n";
    assert_eq!(diff(&after, &[]), changes);
    let in_json = diff(&after, &["--json"]);
    assert_eq!(in_json.lines().next(), Some("{\"change\":\"start\",\"id\":\"added\"}"));
    for (field, value) in [("cgroup", "required"), ("cgroup_base", "/sys/fs/cgroup")] {
        after.clone().set(field, value).write(&file);
        let refused = run(&["check", file.to_str().unwrap(), "--diff"]).failed(1);
        assert!(refused.contains(&format!(": {field}: expected no change while the agent runs: ")), "{refused}");
    }
    // A variable for all replaces those that have none of their own.
    let with_variable = after.clone().set("proxy_env", ["TZ=UTC"].as_slice());
    let replaced = diff(&with_variable, &[]);
    assert!(replaced.contains("same: replace\n") && replaced.contains("settings: replace\n"), "{replaced}");
    assert!(replaced.contains("disabled: settings only\n") && replaced.contains("noop: nothing\n"), "{replaced}");
    assert!(replaced.contains("paused: settings only\n"), "{replaced}");
    assert!(replaced.contains("own_variable: nothing\n") && replaced.contains("removed: stop\n"), "{replaced}");

    agent.reload(&after);
    let (added, replaced) = (scene.reports.start("added"), scene.reports.start("replaced"));
    scene.reports.start("enabled_now");
    let status = agent.status_when(&scene, "the reload is complete", |status| {
        status.runs("added", added.pid)
            && status.runs("replaced", replaced.pid)
            && !status.is("removed", "stopping")
            && status.is("paused", "paused")
            && status.is("disabled_now", "paused")
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
