// SPDX-License-Identifier: MPL-2.0
//! Proxies that are ready when a command succeeds.

use std::fs;
use std::path::Path;
use std::time::Duration;

use proxyprocess::{EventKind, Ready};
use rustix::process::Signal;

use super::{is_ready, is_starting};
use crate::inside::{Host, Place, helper, inherited, park, quick, stage};
use crate::support::{Deadline, Scene, alone};

fn shell(script: &str) -> Ready {
    Ready::command(["/bin/sh", "-c", script])
}

/// Succeeds once the file is there, and writes a line at each run.
fn until_there(file: &Path) -> Ready {
    shell(&format!("echo $MAINPID $CONNECT_PROXY_ID; [ -e '{}' ]", file.display()))
}

/// Waits until the log of the proxy has at least so many lines.
#[track_caller]
fn wait_for_lines(scene: &Scene, count: usize) -> String {
    let deadline = Deadline::of(format!("{count} lines in the log"));
    loop {
        let log = scene.log("web", "stdout");
        if log.lines().count() >= count {
            return log;
        }
        deadline.left();
        std::thread::yield_now();
    }
}

#[test]
fn proxy_is_ready_when_its_command_succeeds() {
    let scene = Scene::of_library();
    let file = scene.path("ready");
    let mut host = Host::new(quick(&scene.data_dir()));
    host.run();
    host.set("web", helper(&scene, &["run"]).with_ready(until_there(&file)));
    let start = scene.reports.start("web");
    assert_eq!(host.events.started("web"), start.pid);
    let log = wait_for_lines(&scene, 3);
    assert!(log.lines().all(|line| line == format!("{} web", start.pid)), "{log}");
    is_starting(&host, &start);
    fs::write(&file, "").unwrap();
    host.events.ready("web");
    is_ready(&host, &start);
    let seen = host.events.of_proxy("web");
    assert_eq!(seen, [EventKind::Started { pid: Some(start.pid) }, EventKind::Ready]);
    host.kill();
    scene.finish();
}

#[test]
fn idle_is_idle_again_when_the_command_has_succeeded() {
    alone("readiness::commands::idle_is_idle_again_when_the_command_has_succeeded", || {
        let scene = Scene::of_library();
        let mut host = Host::new(quick(&scene.data_dir()));
        host.run();
        host.set("web", helper(&scene, &["run"]).with_ready(shell("exit 0")));
        let start = scene.reports.start("web");
        host.events.ready("web");
        host.nothing_ticks();
        is_ready(&host, &start);
        host.kill();
        scene.finish();
    });
}

/// Each run has a lock, and tells of one that has it already.
#[test]
fn command_that_hangs_is_killed_and_run_again_once_at_a_time() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.run();
    let (lock, log) = (scene.path("lock"), scene.data_dir().join("logs/web-stdout.log"));
    let hangs = format!(
        "exec 9>'{}'; flock -n 9 || echo twice; echo run; [ $(wc -l < '{}') -ge 3 ] || exec sleep 1000",
        lock.display(),
        log.display()
    );
    let argv = ["/bin/sh", "-c", &hangs].map(Into::into).to_vec();
    let ready = Ready::Command { argv, timeout: Duration::from_millis(100) };
    host.set("web", helper(&scene, &["run"]).with_ready(ready));
    let start = scene.reports.start("web");
    host.events.ready("web");
    is_ready(&host, &start);
    let runs = scene.log("web", "stdout");
    assert!(runs.lines().count() >= 3 && runs.lines().all(|line| line == "run"), "{runs}");
    host.kill();
    scene.finish();
}

#[test]
fn proxy_whose_command_fails_until_it_is_too_late_is_stopped_and_says_why() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.run();
    const HANGS: &str = "its command has not ended";
    let cases = [
        ("fails", shell("exit 3"), "/bin/sh: exit code 3"),
        ("hangs", shell("exec sleep 1000"), HANGS),
        ("missing", Ready::command(["/is/not/there"]), "/is/not/there: "),
    ];
    for (id, ready, reason) in cases {
        host.set(id, helper(&scene, &["run"]).with_ready(ready).with_start_timeout(Duration::from_millis(300)));
        let start = scene.reports.start(id);
        let mut said = host.events.not_ready(id);
        // On a busy machine not even a program that does nothing has ended by then, the first time.
        while !said.starts_with(reason) {
            assert_eq!(said, HANGS);
            said = host.events.not_ready(id);
        }
        host.state.remove(id);
        host.events.stopped(id);
        assert!(start.process.is_gone());
    }
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn command_ends_with_the_process_that_it_is_run_for() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.run();
    host.set("web", helper(&scene, &["run"]).with_ready(shell("echo began; exec sleep 1000")));
    let first = scene.reports.start("web");
    wait_for_lines(&scene, 1);
    // It crashes: the command is gone before the next process begins.
    first.process.signal(Signal::KILL);
    let second = scene.reports.start("web");
    assert_eq!(host.events.started("web"), first.pid);
    assert_eq!(host.events.started("web"), second.pid);
    wait_for_lines(&scene, 2);
    let alive = scene.alive();
    assert_eq!(alive.iter().filter(|process| process.pid() != second.pid).count(), 1, "{alive:?}");
    // It is stopped.
    host.state.remove("web");
    host.events.stopped("web");
    let alive = scene.alive();
    assert!(alive.is_empty(), "{alive:?}");
    host.kill();
    scene.finish();
}

#[test]
fn changed_command_takes_the_place_of_the_one_that_runs() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.run();
    let config = helper(&scene, &["run"]);
    host.set("web", config.clone().with_ready(shell("echo began; exec sleep 1000")));
    let start = scene.reports.start("web");
    wait_for_lines(&scene, 1);
    host.set("web", config.with_ready(shell("exit 0")));
    host.events.ready("web");
    is_ready(&host, &start);
    host.kill();
    scene.finish();
}

#[test]
fn closed_manager_leaves_the_process_and_kills_the_command() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.run();
    let config = helper(&scene, &["run"]).with_ready(shell("echo began; exec sleep 1000"));
    host.set("web", config.clone());
    let start = scene.reports.start("web");
    wait_for_lines(&scene, 1);
    host.close();
    let alive = scene.alive();
    assert_eq!(alive.iter().map(|process| process.pid()).collect::<Vec<_>>(), [start.pid]);
    let mut next = Host::new(quick(&scene.data_dir()));
    next.restore().unwrap();
    next.set("web", config.with_ready(shell("exit 0")));
    next.run();
    next.events.ready("web");
    is_ready(&next, &start);
    next.kill();
    scene.finish();
}

/// An agent that is killed before its proxy is ready.
fn an_agent_that_asks(place: &Place) {
    let mut host = Host::new(quick(&place.data_dir()));
    host.set("web", inherited(&["run"]).with_ready(shell("echo began; exec sleep 1000")));
    host.run();
    host.events.started("web");
    park();
}

#[test]
fn next_agent_runs_the_command_anew_and_ends_that_of_the_last_one_with_the_proxy() {
    let name = "readiness::commands::next_agent_runs_the_command_anew_and_ends_that_of_the_last_one_with_the_proxy";
    let Some(stage) = stage(name, &[("agent", an_agent_that_asks)]) else { return };
    let agent = stage.begin("agent", &[]);
    let start = stage.scene.reports.start("web");
    wait_for_lines(&stage.scene, 1);
    agent.kill();
    // It lost its parent, as the proxy did, and is this process's to reap.
    let alive = stage.scene.alive();
    let [command] = alive.iter().filter(|process| process.pid() != start.pid).collect::<Vec<_>>()[..] else {
        panic!("the proxy and the command live, and nothing else: {alive:?}");
    };
    stage.scene.reports.adopt(command);
    let mut next = Host::new(quick(&stage.scene.data_dir()));
    next.restore().unwrap();
    assert_eq!(next.events.adopted("web"), start.pid);
    next.set("web", inherited(&["run"]).with_ready(shell("exit 0")));
    next.run();
    next.events.ready("web");
    is_ready(&next, &start);
    next.kill();
    assert!(start.process.is_gone() && command.is_gone());
    stage.scene.finish();
}
