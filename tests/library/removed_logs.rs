// SPDX-License-Identifier: MPL-2.0
//! The logs of proxies that were removed: `keep_removed`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use proxyprocess::{Command, ManagerOptions, ProxyConfig, ProxyState};

use crate::inside::{Host, helper, quick};
use crate::support::{Agent, Config, Proxy, Scene, until};

fn names(logs: &Path) -> BTreeSet<String> {
    fs::read_dir(logs).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The names of both logs of these.
fn both(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().flat_map(|id| [format!("{id}-stdout.log"), format!("{id}-stderr.log")]).collect()
}

fn writes(text: &str) -> ProxyConfig {
    let mut config = ProxyConfig::new(Command::new("/bin/sh").args(["-c", &format!("echo {text}; exec sleep 1000")]));
    config.token = Some("a declared token".to_owned());
    config
}

#[test]
fn logs_go_with_the_proxy_when_its_stop_is_complete_and_those_of_declared_ones_stay() {
    let scene = Scene::of_library();
    let logs = scene.data_dir().join("logs");
    let mut host = Host::new(quick(&scene.data_dir()).with_keep_removed(0));
    let mut slow = helper(&scene, &["stubborn"]);
    slow.stop.grace_period = Duration::from_millis(1500);
    host.set("slow", slow);
    host.set("paused", helper(&scene, &["run"]).with_enabled(false));
    host.set("removed", helper(&scene, &["run"]));
    host.set("stays", helper(&scene, &["run"]));
    host.run();
    let slow = scene.reports.start("slow");
    scene.reports.start("removed");
    scene.reports.start("stays");
    let others = ["removed-stdout.log.gz", "notes"];
    for name in others.into_iter().chain(["removed-stdout.log.1", "paused-stdout.log"]) {
        fs::write(logs.join(name), "text").unwrap();
    }
    host.state.remove("slow");
    host.state.remove("removed");
    host.events.stopped("removed");
    until("the logs of the removed proxy to be gone", || {
        !names(&logs).iter().any(|name| both(&["removed"]).contains(name))
    });
    let expected = |ids: &[&str]| -> BTreeSet<String> {
        let others = others.iter().chain(&["paused-stdout.log"]).map(|name| (*name).to_owned());
        both(ids).into_iter().chain(others).collect()
    };
    // It is being stopped.
    assert_eq!((names(&logs), slow.process.is_gone()), (expected(&["slow", "stays"]), false));
    host.events.stopped("slow");
    until("the logs of both to be gone", || names(&logs) == expected(&["stays"]));
    host.kill();
    assert_eq!(names(&logs), expected(&["stays"]), "it is declared");
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn youngest_logs_of_so_many_removed_proxies_stay_and_all_without_a_setting() {
    let scene = Scene::of_library();
    let logs = scene.data_dir().join("logs");
    let options = quick(&scene.data_dir());
    let mut host = Host::new(options.clone());
    let ids = ["d", "b", "c", "a"];
    for id in ids {
        host.set(id, writes(id));
    }
    host.run();
    for (at, id) in ids.iter().enumerate() {
        let log = logs.join(format!("{id}-stdout.log"));
        until("its line", || fs::metadata(&log).is_ok_and(|found| found.len() > 0));
        let written = std::time::SystemTime::now() + Duration::from_secs(10 * u64::try_from(at).unwrap());
        fs::File::options().append(true).open(&log).unwrap().set_modified(written).unwrap();
    }
    for id in ids {
        host.state.remove(id);
    }
    host.follow("marker");
    until("all to be gone", || host.manager.status().len() == 1);
    assert_eq!(names(&logs), both(&ids));
    host.manager.reconfigure(options.clone().with_keep_removed(3)).unwrap();
    until("the oldest to be gone", || names(&logs) == both(&["b", "c", "a"]));
    host.manager.reconfigure(options.with_keep_removed(1)).unwrap();
    until("the others to be gone", || names(&logs) == both(&["a"]));
    host.kill();
    scene.finish();
}

#[test]
fn proxy_that_is_declared_again_at_once_writes_to_the_log_that_is_there() {
    let scene = Scene::of_library();
    let logs = scene.data_dir().join("logs");
    let mut options = quick(&scene.data_dir()).with_keep_removed(0);
    options.quiescent_period = Duration::ZERO;
    let mut host = Host::new(options);
    host.run();
    for round in 0..40 {
        // Another one each time, so that it is started anew also when its removal was not followed.
        let mut config = helper(&scene, &["run"]);
        config.command = config.command.env("ROUND", round.to_string());
        host.set("web", config);
        host.set("other", helper(&scene, &["run"]));
        let start = scene.reports.start("web");
        let log = logs.join("web-stdout.log");
        // One that was removed has another name there.
        let open = fs::read_link(format!("/proc/{}/fd/1", start.pid)).unwrap();
        assert_eq!((open, log.exists()), (log, true), "round {round}");
        if round % 2 == 0 {
            // Its removal has others looked at.
            host.state.remove("other");
        }
        host.state.remove("web");
        if round % 3 == 0 {
            host.events.stopped("web");
        }
    }
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn next_agent_removes_the_logs_that_an_earlier_one_has_left() {
    let scene = Scene::new();
    let logs = scene.data_dir().join("logs");
    let run = || Proxy::helper(&["run"]);
    let config = Config::new(&scene).set("keep_removed", 0).proxy("stays", run()).proxy("removed", run());
    let agent = Agent::start(&scene, &config);
    scene.reports.start("stays");
    scene.reports.start("removed");
    agent.kill();
    // It removed these, and died.
    fs::write(logs.join("%a%2Fb-stdout.log"), "").unwrap();
    fs::write(logs.join("long gone-stderr.log.7"), "").unwrap();
    let agent = Agent::start(&scene, &config.without("removed"));
    until("the logs to be gone", || names(&logs) == both(&["stays"]));
    agent.quit();
    assert_eq!(names(&logs), both(&["stays"]));
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn log_of_a_process_that_no_record_names_stays_while_it_lives() {
    let scene = Scene::of_library();
    let logs = scene.path("logs");
    let with_log_dir = || {
        let mut options: ManagerOptions = quick(&scene.data_dir()).with_keep_removed(0);
        (options.data_dir, options.log_dir) = (None, Some(logs.clone()));
        options
    };
    let mut host = Host::new(with_log_dir());
    host.set("left", helper(&scene, &["run"]));
    host.run();
    let left = scene.reports.start("left");
    host.close();
    let mut host = Host::new(with_log_dir());
    fs::write(logs.join("gone-stdout.log"), "").unwrap();
    host.run();
    until("other logs to be gone", || names(&logs) == both(&["left"]));
    left.process.kill();
    host.set("other", helper(&scene, &["run"]));
    host.events.started("other");
    assert_eq!(host.status("other").state, ProxyState::Running);
    host.state.remove("other");
    host.events.stopped("other");
    until("all logs to be gone", || names(&logs).is_empty());
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}
