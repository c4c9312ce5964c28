//! The number is given away under the eyes of an agent: between two of its actions it stands still, and when it goes
//! on its process is gone, reaped by others, and the number somebody else's.

use std::fs;

use rustix::process::{Signal, WaitId, WaitIdOptions, waitid};

use crate::left::{WEB, config, run_and_kill_agent};
use crate::stranger::{Stranger, end};
use crate::support::{Agent, Config, Launch, Scene, Start, in_pid_namespace};

/// What the agent is told while it stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    /// The proxy is declared otherwise.
    Otherwise,
    /// The proxy is not wanted any more.
    Removed,
    Quit,
}

const ALL: [Told; 4] = [Told::Nothing, Told::Otherwise, Told::Removed, Told::Quit];

/// Has the agent stand still while the number of its process is given to a stranger.
#[track_caller]
fn give_away(scene: &Scene, mut agent: Agent, start: &Start, told: Told) {
    agent.status_running(scene, WEB, start.pid);
    agent.signal(Signal::STOP);
    let stopped = waitid(WaitId::PidFd(agent.process().fd()), WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT);
    stopped.expect("the agent is a child");
    end(&start.process);
    let stranger = Stranger::with(start.pid, scene, &mut Stranger::command(scene, &["stranger"]));
    match told {
        Told::Nothing => {}
        Told::Otherwise => agent.reload(&config(scene, &["run", "otherwise"])),
        Told::Removed => agent.reload(&Config::new(scene)),
        Told::Quit => agent.signal(Signal::QUIT),
    }
    agent.signal(Signal::CONT);
    match told {
        Told::Nothing => runs_anew(scene, &agent, start, "run"),
        Told::Otherwise => runs_anew(scene, &agent, start, "otherwise"),
        Told::Removed => drop(agent.status_when(scene, "the proxy is gone", |status| status.proxies.is_empty())),
        Told::Quit => assert!(agent.end().success(), "{}", agent.log()),
    }
    agent.wait_for_log(&format!("pid {} ended", start.pid));
    if told != Told::Quit {
        agent.quit();
    }
    stranger.check_unsignalled(scene);
    stranger.end();
    // Between the end of its process and what it was told the agent may have started others.
    scene.reports.forget_unread();
}

/// Waits until the proxy runs in another process, with this last word in its command.
#[track_caller]
fn runs_anew(scene: &Scene, agent: &Agent, old: &Start, last_word: &str) {
    agent.status_when(scene, "the proxy runs anew", |status| {
        let pid = status.proxies.get(WEB).and_then(|proxy| proxy.pid).filter(|pid| *pid != old.pid);
        let words = pid.and_then(|pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()).unwrap_or_default();
        words.trim_end_matches('\0').ends_with(last_word)
    });
}

#[test]
fn an_adopted_process_whose_number_is_given_away_at_once() {
    in_pid_namespace("alive::an_adopted_process_whose_number_is_given_away_at_once", || {
        let scene = Scene::new();
        for told in ALL {
            let start = run_and_kill_agent(&scene, &["run"]);
            let agent = Agent::start(&scene, &config(&scene, &["run"]));
            give_away(&scene, agent, &start, told);
        }
        scene.finish();
    });
}

/// Who ignores SIGCHLD has the kernel reap all children: the number is free before the agent knows of the end.
#[test]
fn a_child_that_was_reaped_by_others_and_whose_number_is_given_away_at_once() {
    in_pid_namespace("alive::a_child_that_was_reaped_by_others_and_whose_number_is_given_away_at_once", || {
        let scene = Scene::new();
        for told in ALL {
            let launch = Launch::new(&scene).under(&["env", "--ignore-signal=CHLD"]);
            let agent = launch.start(&config(&scene, &["run"]));
            let start = scene.reports.start(WEB);
            give_away(&scene, agent, &start, told);
        }
        scene.finish();
    });
}
