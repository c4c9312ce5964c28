// SPDX-License-Identifier: MPL-2.0
//! The number is given away under the eyes of an agent: between two of its actions it stands still, and when it goes
//! on its process is gone, reaped by others, and its pid recycled.

use std::fs;

use rustix::process::{Signal, WaitId, WaitIdOptions, waitid};

use crate::strangers::left::{WEB, config, config_with_grace, run_and_kill_agent, starts_anew, stops_nothing};
use crate::strangers::stranger::{Stranger, end};
use crate::support::{
    Agent, Changes, Config, Deadline, Launch, Scene, Start, agent_with_fail_points, in_pid_namespace,
};

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
fn adopted_process_whose_pid_is_recycled_at_once() {
    in_pid_namespace("strangers::alive::adopted_process_whose_pid_is_recycled_at_once", || {
        let scene = Scene::new();
        for told in ALL {
            let start = run_and_kill_agent(&scene, &["run"]);
            let agent = Agent::start(&scene, &config(&scene, &["run"]));
            give_away(&scene, agent, &start, told);
        }
        scene.finish();
    });
}

/// The kernel reaps all children of an agent that ignores SIGCHLD: the pid is free before the agent sees the exit.
#[test]
fn child_reaped_by_the_kernel_whose_pid_is_recycled_at_once() {
    in_pid_namespace("strangers::alive::child_reaped_by_the_kernel_whose_pid_is_recycled_at_once", || {
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

/// An agent that never looks at a process of which it hears that it may have ended. It hears so now and then and not
/// all the time, for its process could not be added to those that report their end.
struct Blind<'a> {
    scene: &'a Scene,
    agent: Agent,
    process: Start,
}

impl Blind<'_> {
    /// An agent that has adopted the proxy, or has started it and does not reap it.
    #[track_caller]
    fn start(scene: &Scene, adopts: bool) -> Blind<'_> {
        let adopted = adopts.then(|| run_and_kill_agent(scene, &["run"]));
        let trace = scene.path("trace");
        fs::write(&trace, "").expect("begin the trace");
        let launch = Launch::of(agent_with_fail_points(), scene).under(&["env", "--ignore-signal=CHLD"]);
        let launch = launch.env("PROXYPROCESS_FAIL", "watch:add#1=fail:28,exit:seen#1-999999=fail:4");
        let agent = launch.env("PROXYPROCESS_FAIL_TRACE", trace.to_str().unwrap()).start(&config(scene, &["run"]));
        let process = adopted.unwrap_or_else(|| scene.reports.start(WEB));
        agent.status_running(scene, WEB, process.pid);
        Blind { scene, agent, process }
    }

    fn give_away(&self) -> Stranger {
        end(&self.process.process);
        Stranger::with(self.process.pid, self.scene, &mut Stranger::command(self.scene, &["stranger"]))
    }

    fn passed(&self, point: &str) -> usize {
        let trace = fs::read_to_string(self.scene.path("trace")).expect("read the trace");
        trace.lines().filter(|line| *line == point).count()
    }

    /// Has the agent follow a configuration, until it has passed a point so often in its life.
    #[track_caller]
    fn follows(&self, config: &Config, point: &str, times: usize) {
        let changes = Changes::of(&self.scene.path(""));
        let deadline = Deadline::of(format!("{point} to be passed"));
        self.agent.reload(config);
        while self.passed(point) < times {
            changes.wait(deadline.left());
        }
    }
}

#[test]
fn pid_recycled_before_the_exit_is_seen_is_not_signalled() {
    agent_with_fail_points();
    in_pid_namespace("strangers::alive::pid_recycled_before_the_exit_is_seen_is_not_signalled", || {
        let scene = Scene::new();
        for adopts in [true, false] {
            let blind = Blind::start(&scene, adopts);
            let stranger = blind.give_away();
            // The stop signal, and SIGKILL after the grace period.
            blind.follows(&Config::new(&scene), "signal:sent", 2);
            blind.agent.kill();
            stops_nothing(&scene, &["belongs to another process"]);
            stranger.end();
        }
        scene.finish();
    });
}

/// The record is written again when settings change that it says; who is in it must be the process all along.
#[test]
fn pid_recycled_before_the_exit_is_seen_is_not_recorded() {
    agent_with_fail_points();
    in_pid_namespace("strangers::alive::pid_recycled_before_the_exit_is_seen_is_not_recorded", || {
        let scene = Scene::new();
        for adopts in [true, false] {
            let blind = Blind::start(&scene, adopts);
            let stranger = blind.give_away();
            // After the start or the adoption.
            blind.follows(&config_with_grace(&scene, &["run"], 200), "job:told", 2);
            let pid = blind.process.pid;
            blind.agent.kill();
            starts_anew(&scene, Launch::new(&scene), &["run"], pid, &["belongs to another process"]);
            stranger.end();
        }
        scene.finish();
    });
}
