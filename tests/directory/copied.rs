// SPDX-License-Identifier: MPL-2.0
//! A copy of a data directory (a backup, a staging copy) names the living processes of the first one. Two agents must not
//! have the same processes, and neither of them ends those of the other.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use proxyprocess::{EventKind, Manager, State};
use rustix::process::Signal;

use crate::inside::{Host, helper, quick};
use crate::support::{Agent, Changes, Config, Deadline, Launch, Proxy, Scene, Start};

/// Where the helper processes of the other agent have their locks: two of one id are right here, one an agent.
const LOCKS: &str = "HELPER_LOCKS";

fn copy(scene: &Scene, name: &str) -> PathBuf {
    let to = scene.path(name);
    let copied = Command::new("cp").arg("-a").arg(scene.data_dir()).arg(&to).status();
    assert!(copied.is_ok_and(|status| status.success()));
    fs::create_dir(scene.path(&format!("{name}-locks"))).expect("make a directory of locks");
    to
}

fn config(scene: &Scene, data_dir: &str, last_word: &str) -> Config {
    let config = Config::new(scene).set("data_dir", scene.path(data_dir).to_str().unwrap());
    // One with a declared token, and one whose generated token the copy has as well.
    let declared = Proxy::helper(&["graceful", last_word]).set("token", "declared");
    config.proxy("web", declared).proxy("generated", Proxy::helper(&["graceful", last_word]))
}

/// Starts an agent on a copy, and waits until it has it.
#[track_caller]
fn start_on(scene: &Scene, name: &str, config: &Config) -> Agent {
    let locks = scene.path(&format!("{name}-locks"));
    let agent = Launch::new(scene).env(LOCKS, locks.to_str().unwrap()).spawn(config);
    let (changes, deadline) = (Changes::of(&scene.path(name)), Deadline::of("the agent on the copy"));
    while !agent.is_ready(&scene.path(name)) {
        assert!(!agent.process().is_gone(), "{}", agent.log());
        changes.wait(deadline.left().min(std::time::Duration::from_millis(5)));
    }
    agent
}

fn both(scene: &Scene) -> [Start; 2] {
    ["web", "generated"].map(|id| scene.reports.start(id))
}

#[track_caller]
fn run_as(scene: &Scene, agent: &Agent, starts: &[Start], adopted: bool) {
    for start in starts {
        let status = agent.status_running(scene, &start.id, start.pid);
        assert_eq!(status[&start.id].adopted, adopted, "{status:?}");
    }
}

/// What is in the copy: all, no pid files, or nothing but those.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copied {
    All,
    Records,
    PidFiles,
}

#[test]
fn agent_on_a_copy_leaves_the_processes_of_the_first_one_alone() {
    for copied in [Copied::All, Copied::Records, Copied::PidFiles] {
        let scene = Scene::new();
        let undeclared = Proxy::helper(&["graceful"]).set("token", "declared");
        let first = Agent::start(&scene, &config(&scene, "data", "1").proxy("undeclared", undeclared));
        let (starts, undeclared) = (both(&scene), scene.reports.start("undeclared"));
        run_as(&scene, &first, &starts, false);
        first.status_running(&scene, "undeclared", undeclared.pid);
        let place = copy(&scene, "copy");
        match copied {
            Copied::All => {}
            Copied::Records => fs::remove_dir_all(place.join("pids")).unwrap(),
            Copied::PidFiles => fs::remove_dir_all(place.join("records")).unwrap(),
        }
        let second = start_on(&scene, "copy", &config(&scene, "copy", "1"));
        let others = both(&scene);
        run_as(&scene, &second, &others, false);
        let log = second.log();
        // Of one that is neither declared nor recorded no token is known, so nothing is proven of it.
        let known = (copied != Copied::PidFiles).then_some(&undeclared);
        for start in starts.iter().chain(known) {
            let told = format!(
                "pid {} was started from another data directory {}, which process {} has",
                start.pid,
                scene.data_dir().display(),
                first.pid()
            );
            assert!(log.contains(&told), "{copied:?}: {told}: {log}");
        }
        // What the second one replaces and stops are its own.
        second.reload(&config(&scene, "copy", "2"));
        let changed = both(&scene);
        run_as(&scene, &second, &changed, false);
        second.end_by(Signal::TERM);
        let second = start_on(&scene, "copy", &config(&scene, "copy", "2"));
        run_as(&scene, &second, &changed, true);
        second.quit();
        assert!(others.iter().chain(&changed).all(|start| start.process.is_gone()), "{copied:?}");
        for start in others.iter().chain(&changed) {
            assert_eq!(scene.reports.signal(start), "SIGINT");
        }
        // A signal for one of these would be a report that is not expected.
        run_as(&scene, &first, &starts, false);
        first.status_running(&scene, "undeclared", undeclared.pid);
        assert_eq!(scene.reports.unread(), [""; 0]);
        first.quit();
        for start in starts.iter().chain([&undeclared]) {
            assert_eq!(scene.reports.signal(start), "SIGINT");
        }
        scene.finish();
    }
}

#[test]
#[cfg_attr(proxyprocess_no_pidfd, ignore = "without inodes nothing tells which agent has adopted a process")]
fn processes_of_an_agent_that_is_gone_are_of_the_first_agent_that_comes() {
    let scene = Scene::new();
    let first = Agent::start(&scene, &config(&scene, "data", "1"));
    let starts = both(&scene);
    run_as(&scene, &first, &starts, false);
    copy(&scene, "copy");
    copy(&scene, "third");
    first.kill();
    let second = start_on(&scene, "copy", &config(&scene, "copy", "1"));
    run_as(&scene, &second, &starts, true);
    for name in ["data", "third"] {
        let _ = fs::create_dir(scene.path(&format!("{name}-locks")));
        let late = start_on(&scene, name, &config(&scene, name, "1"));
        let others = both(&scene);
        run_as(&scene, &late, &others, false);
        for start in &starts {
            let told = format!("pid {} is supervised by the agent of process {}", start.pid, second.pid());
            assert!(late.log().contains(&told), "{told}: {}", late.log());
        }
        // Those of the first one have the very same tag as those that the agent of its directory starts.
        late.quit();
        for start in &others {
            assert_eq!(scene.reports.signal(start), "SIGINT");
        }
        run_as(&scene, &second, &starts, true);
        assert_eq!(scene.reports.unread(), [""; 0]);
    }
    // What it had claimed is free when it is gone.
    second.kill();
    let next = start_on(&scene, "copy", &config(&scene, "copy", "1"));
    run_as(&scene, &next, &starts, true);
    next.quit();
    for start in &starts {
        assert_eq!(scene.reports.signal(start), "SIGINT");
    }
    scene.finish();
}

#[test]
#[cfg_attr(proxyprocess_no_pidfd, ignore = "without inodes nothing tells which agent has adopted a process")]
fn of_many_copies_started_at_once_one_has_the_process() {
    let scene = Scene::new();
    let only_web = |name: &str| config(&scene, name, "1").without("generated");
    let first = Agent::start(&scene, &only_web("data"));
    let start = scene.reports.start("web");
    first.status_running(&scene, "web", start.pid);
    let names: Vec<String> = (0..6).map(|number| format!("copy-{number}")).collect();
    names.iter().for_each(|name| drop(copy(&scene, name)));
    first.kill();
    let spawn = |name: &String| {
        let locks = scene.path(&format!("{name}-locks"));
        let agent = Launch::new(&scene).env(LOCKS, locks.to_str().unwrap()).spawn(&only_web(name));
        let deadline = Deadline::of("the agent on the copy");
        // They have one configuration file, which each has read when it has its directory.
        while !agent.is_ready(&scene.path(name)) {
            deadline.left();
            std::thread::yield_now();
        }
        agent
    };
    let agents: Vec<Agent> = names.iter().map(spawn).collect();
    let runs =
        |agent: &Agent| agent.status_when(&scene, "it runs", |status| status.is("web", "running"))["web"].adopted;
    let adopted = agents.iter().filter(|agent| runs(agent)).count();
    assert_eq!(adopted, 1);
    assert!(!start.process.is_gone());
    agents.into_iter().for_each(Agent::quit);
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn snapshot_of_a_manager_that_lives_is_restored_without_its_processes() {
    let scene = Scene::of_library();
    let mut first = Host::new(quick(&scene.path("one")));
    first.set("web", helper(&scene, &["graceful"]));
    first.run();
    let web = scene.reports.start("web");
    first.events.started("web");
    let told = scene.path("told");
    first.manager.snapshot(&told).unwrap();

    let mut second = Host::new(quick(&scene.path("two")));
    second.manager.restore(&told).unwrap();
    let reason = second.events.refused("web");
    let place = scene.path("one").display().to_string();
    assert!(reason.contains(&place) && reason.contains(&std::process::id().to_string()), "{reason}");
    let locks = scene.path("other-locks");
    fs::create_dir(&locks).unwrap();
    let mut other = helper(&scene, &["graceful"]);
    other.command = other.command.env(LOCKS, &locks);
    second.set("web", other);
    second.run();
    let another = scene.reports.start("web");
    assert_eq!(second.events.started("web"), another.pid);
    second.kill();
    assert_eq!(scene.reports.signal(&another), "SIGINT");
    assert!(!web.process.is_gone());
    assert_eq!(scene.reports.unread(), [""; 0]);

    // Closed first, it hands them over.
    first.manager.snapshot(&told).unwrap();
    first.close();
    let third = Manager::new(State::new(), quick(&scene.path("three"))).unwrap();
    let mut events = crate::inside::Observer::of(third.events());
    third.restore(&told).unwrap();
    let adopted = events.until("an adoption", |event| matches!(event.kind, EventKind::Adopted { .. }));
    assert_eq!(adopted.kind, EventKind::Adopted { pid: web.pid });
    third.kill().unwrap();
    assert_eq!(scene.reports.signal(&web), "SIGINT");
    scene.finish();
}
