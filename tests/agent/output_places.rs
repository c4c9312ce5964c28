// SPDX-License-Identifier: MPL-2.0
//! Where the output of a proxy goes, as it is declared.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::process::Command;

use rustix::process::geteuid;
use serde_json::json;

use crate::support::{Agent, Config, Launch, Proxy, Scene};

#[test]
fn outputs_go_where_they_are_declared_to_go() {
    let scene = Scene::new();
    let path = scene.path("own.log");
    fs::write(&path, "before\n").unwrap();
    let with = |output| Proxy::helper(&["inspect"]).set("output", output);
    let config = Config::new(&scene)
        .proxy("null", with(json!({"stdout": "null"})))
        .proxy("inherit", with(json!({"stdout": "file", "stderr": "inherit"})))
        .proxy("path", with(json!({"stdout": path, "stderr": {"path": path}})));
    let agent = Agent::start(&scene, &config);
    let stderr_of_agent = fs::read_link(format!("/proc/{}/fd/2", agent.pid())).unwrap();
    let found = |id: &str| {
        let fds = scene.reports.start(id).inspection.unwrap().fds;
        [1, 2].map(|fd| fds[&fd].clone())
    };
    let log = |id: &str, stream: &str| {
        scene.data_dir().join("logs").join(format!("{id}-{stream}.log")).to_str().unwrap().to_owned()
    };
    let own = path.to_str().unwrap().to_owned();
    assert_eq!(found("null"), ["/dev/null".to_owned(), log("null", "stderr")]);
    assert_eq!(found("inherit"), [log("inherit", "stdout"), stderr_of_agent.to_str().unwrap().to_owned()]);
    assert_eq!(found("path"), [own.clone(), own]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "before\n", "it is appended to");
    assert!(!fs::exists(log("null", "stdout")).unwrap(), "no log is made that is not wanted");

    // A changed output takes a new process.
    let changed = with(json!({"stdout": "null", "stderr": "null"}));
    agent.reload(&Config::new(&scene).proxy("null", changed));
    assert_eq!(found("null"), ["/dev/null", "/dev/null"]);
    agent.quit();
    scene.finish();
}

#[test]
fn an_output_that_cannot_be_opened_is_named_in_the_status() {
    let scene = Scene::new();
    let missing = scene.path("missing/own.log");
    let pipe = scene.path("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    let with = |path| Proxy::helper(&["run"]).set("output", json!({"stdout": path}));
    let config = Config::new(&scene).proxy("missing", with(&missing)).proxy("pipe", with(&pipe));
    let agent = Agent::start(&scene, &config);
    for (id, path, why) in
        [("missing", missing, "No such file or directory"), ("pipe", pipe, "No such device or address")]
    {
        let status = agent.status_when(&scene, "it is refused", |status| status.error(id).is_some());
        let expected = format!("open log file {}: {why}", path.display());
        assert!(status.error(id).unwrap().starts_with(&expected), "{status:?}");
    }
    agent.quit();
    scene.finish();
}

/// In a mount namespace, where the journal is the test's own.
#[test]
fn output_to_the_journal_has_the_id_and_waits_for_a_journal() {
    let possible = Command::new("unshare").args(["--mount", "true"]).output();
    if !geteuid().is_root() || !possible.is_ok_and(|output| output.status.success()) {
        let required = geteuid().is_root() && std::env::var_os("PROXYPROCESS_CI").is_some();
        assert!(!required, "no mount namespace");
        return println!("skipped: no mount namespace");
    }
    let scene = Scene::new();
    let journal = scene.path("journal");
    fs::create_dir(&journal).unwrap();
    let mount = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind \"$1\" /run/systemd/journal && \
                 shift && exec \"$@\"";
    let proxy = Proxy::command(&["sh", "-c", "echo line; exec sleep 1000"]).set("output", json!({"stdout": "journal"}));
    let config = Config::new(&scene).proxy("web\n0", proxy.set("restart", json!({"max_wait_ms": 0})));
    let under = ["unshare", "--mount", "sh", "-c", mount, "sh", journal.to_str().unwrap()];
    let agent = Launch::new(&scene).under(&under).start(&config);
    let status = agent.status_when(&scene, "there is no journal", |status| status.error("web\n0").is_some());
    let expected = "connect to the journal, /run/systemd/journal/stdout: No such file or directory";
    assert!(status.error("web\n0").unwrap().starts_with(expected), "{status:?}");
    let listener = UnixListener::bind(journal.join("stdout")).unwrap();
    let (stream, _) = listener.accept().unwrap();
    let lines: Vec<String> = BufReader::new(stream).lines().take(8).map(Result::unwrap).collect();
    assert_eq!(lines, ["web_0", "", "6", "1", "0", "0", "0", "line"]);
    agent.quit();
    scene.finish();
}

/// As a program opens `/dev/stdout` after it has dropped its privileges.
const REOPENS: &str = "echo again >/dev/stdout; echo \"$?\" >&9; exec sleep 1000";

#[test]
fn a_log_of_the_user_of_a_proxy_can_be_opened_by_name_and_is_taken_back() {
    if !geteuid().is_root() {
        return;
    }
    let scene = Scene::new();
    let (log, aside) = (scene.data_dir().join("logs/web-stdout.log"), scene.data_dir().join("logs"));
    let nobody = json!({"uid": 65534, "gid": 65534});
    let proxy = Proxy::command(&["sh", "-c", REOPENS]).set("dir", "/").set("credentials", nobody);
    let proxy = proxy.set("ready", json!({"fd": 9}));
    let of_proxy = proxy.clone().set("output", json!({"owner": "proxy"}));
    let owner = || {
        let found = fs::metadata(&log).unwrap();
        (found.uid(), found.gid(), found.mode() & 0o7777)
    };
    let running = |agent: &Agent, but: Option<u32>| {
        let status =
            agent.status_when(&scene, "it runs anew", |status| status.is("web", "running") && status["web"].pid != but);
        status["web"].pid
    };
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", proxy.clone()));
    let first = running(&agent, None);
    assert_eq!((scene.log("web", "stdout"), owner()), (String::new(), (0, 0, 0o600)));
    assert!(scene.log("web", "stderr").contains("Permission denied"));

    let config = Config::new(&scene).proxy("web", of_proxy.clone());
    agent.reload(&config);
    let second = running(&agent, first);
    assert_eq!((scene.log("web", "stdout"), owner()), ("again\n".to_owned(), (65534, 65534, 0o600)));

    // Its user can give it another name, through /proc/self/fd, where that user may make one.
    let elsewhere = scene.path("another-name");
    fs::hard_link(&log, &elsewhere).unwrap();
    agent.reload(&Config::new(&scene).proxy("web", of_proxy.env(&["A=1"])));
    let third = running(&agent, second);
    assert_eq!(scene.log("web", "stdout"), "again\n", "a new one");
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "again\n", "the other one is not written to any more");
    assert!(aside.join("web-stdout.log.foreign-1").exists());

    fs::remove_file(&elsewhere).unwrap();
    agent.reload(&Config::new(&scene).proxy("web", proxy));
    running(&agent, third);
    assert_eq!((scene.log("web", "stdout"), owner()), ("again\n".to_owned(), (0, 0, 0o600)));
    agent.quit();
    scene.finish();
}
