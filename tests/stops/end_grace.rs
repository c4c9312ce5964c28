// SPDX-License-Identifier: MPL-2.0
//! The end of a grace period that is far too long for a test: what is being stopped is killed then, and nothing else is.
//! Each process says that it had its stop signal, so its grace has begun.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use proxyprocess::{Daemon, EventKind, ExitStatus, ProxyConfig, ProxyState, Ready, Replace, Result, StopStep};
use rustix::process::{Signal, getpid, set_child_subreaper};

use crate::inside::{Host, helper, quick};
use crate::support::{Agent, Config, Deadline, Launch, OVERLAPS, Proxy, Scene, Start, agent_with_fail_points, alone};

const HOUR: Duration = Duration::from_secs(3600);
const KILLED: ExitStatus = ExitStatus::Signaled { signal: 9, core_dumped: false };

fn patient(scene: &Scene, role: &[&str]) -> ProxyConfig {
    let mut config = helper(scene, role);
    (config.stop.grace_period, config.stop.leftover_grace) = (HOUR, HOUR);
    config
}

fn host(scene: &Scene) -> Host {
    Host::new(quick(&scene.data_dir()))
}

/// Has another thread stop all.
fn killing(host: &Host) -> JoinHandle<Result<()>> {
    let manager = host.manager.clone();
    std::thread::spawn(move || manager.kill())
}

#[track_caller]
fn told(scene: &Scene, starts: &[&Start]) {
    starts.iter().for_each(|start| assert_eq!(scene.reports.signal(start), "SIGINT"));
}

#[track_caller]
fn ends(scene: Scene, mut host: Host, killing: JoinHandle<Result<()>>, starts: &[&Start]) {
    killing.join().unwrap().unwrap();
    assert!(starts.iter().all(|start| start.process.is_gone()));
    // Some are no child of the library's, but of this process once their leader had ended.
    assert!(starts.iter().all(|start| start.process.reap()));
    assert_eq!(scene.pid_files(), [""; 0]);
    host.join();
    scene.reports.forget_signals();
    scene.finish();
}

#[test]
fn kill_of_leaders_groups_and_sessions_returns_when_another_thread_ends_the_grace() {
    alone("stops::end_grace::kill_of_leaders_groups_and_sessions_returns_when_another_thread_ends_the_grace", || {
        set_child_subreaper(Some(getpid())).unwrap();
        let scene = Scene::of_library();
        let mut host = host(&scene);
        host.set("alone", patient(&scene, &["stubborn"]));
        host.set("group", patient(&scene, &["grandchild", "stubborn"]));
        host.set("leaves", patient(&scene, &["leader-exits"]));
        host.set("escaped", patient(&scene, &["escaped", "stubborn"]));
        host.run();
        let leaders = ["alone", "group", "leaves", "escaped"].map(|id| scene.reports.start(id));
        let members = ["group", "leaves", "escaped"].map(|id| scene.reports.grandchild(id));
        let killing = killing(&host);
        told(&scene, &[&leaders[0], &members[0], &members[1], &members[2]]);
        host.manager.end_grace().unwrap();
        let all: Vec<&Start> = leaders.iter().chain(&members).collect();
        ends(scene, host, killing, &all);
    });
}

#[test]
fn kill_of_adopted_processes_returns_when_another_thread_ends_the_grace() {
    alone("stops::end_grace::kill_of_adopted_processes_returns_when_another_thread_ends_the_grace", || {
        set_child_subreaper(Some(getpid())).unwrap();
        let scene = Scene::of_library();
        let mut earlier = host(&scene);
        earlier.set("alone", patient(&scene, &["stubborn"]));
        earlier.set("group", patient(&scene, &["grandchild", "stubborn"]));
        earlier.run();
        let leaders = ["alone", "group"].map(|id| scene.reports.start(id));
        let member = scene.reports.grandchild("group");
        let state = earlier.state.clone();
        earlier.close();
        let mut next = Host::of(state, quick(&scene.data_dir()));
        next.restore().unwrap();
        next.run();
        let killing = killing(&next);
        told(&scene, &[&leaders[0], &member]);
        next.manager.end_grace().unwrap();
        ends(scene, next, killing, &[&leaders[0], &leaders[1], &member]);
    });
}

/// Ready at once, or never.
fn generation(scene: &Scene, version: &str, check: &str) -> ProxyConfig {
    let ready = Ready::Command { argv: vec![check.into()], timeout: HOUR };
    let mut config = patient(scene, &["stubborn"]).with_ready(ready).with_replace(Replace::Overlap);
    config.command = config.command.env("VERSION", version).env(OVERLAPS, "1");
    config.with_start_timeout(HOUR)
}

#[test]
fn both_generations_of_a_handover_that_is_stopped_are_killed() {
    let scene = Scene::of_library();
    let mut host = host(&scene);
    host.set("web", generation(&scene, "1", "true"));
    host.run();
    let first = scene.reports.start("web");
    host.events.ready("web");
    host.set("web", generation(&scene, "2", "false"));
    let second = scene.reports.start("web");
    let killing = killing(&host);
    told(&scene, &[&first, &second]);
    host.manager.end_grace().unwrap();
    ends(scene, host, killing, &[&first, &second]);
}

#[test]
fn only_the_generation_of_a_handover_that_is_being_stopped_is_killed() {
    let scene = Scene::of_library();
    let mut host = host(&scene);
    host.set("web", generation(&scene, "1", "true"));
    host.run();
    let first = scene.reports.start("web");
    host.events.ready("web");
    host.set("web", generation(&scene, "2", "true"));
    let second = scene.reports.start("web");
    // It drains, which may take an hour.
    told(&scene, &[&first]);
    host.manager.end_grace().unwrap();
    assert_eq!(host.events.exited("web"), KILLED);
    assert!(first.process.is_gone());
    let deadline = Deadline::of("the one generation alone");
    while host.status("web").other.is_some() {
        deadline.left();
        std::thread::yield_now();
    }
    assert_eq!(host.status("web").pid, Some(second.pid));
    let killing = killing(&host);
    told(&scene, &[&second]);
    assert!(!second.process.is_gone(), "it has its grace");
    host.manager.end_grace().unwrap();
    ends(scene, host, killing, &[&first, &second]);
}

#[test]
fn other_proxies_and_later_stops_are_not_touched() {
    let scene = Scene::of_library();
    let mut host = host(&scene);
    for id in ["removed", "stays"] {
        host.set(id, patient(&scene, &["stubborn"]));
    }
    host.manager.end_grace().unwrap();
    host.run();
    let [removed, stays] = ["removed", "stays"].map(|id| scene.reports.start(id));
    host.manager.end_grace().unwrap();
    assert!(host.state.remove("removed"));
    told(&scene, &[&removed]);
    host.manager.end_grace().unwrap();
    host.events.stopped("removed");
    assert!(removed.process.is_gone());
    assert_eq!((host.status("stays").state, host.status("stays").pid), (ProxyState::Running, Some(stays.pid)));
    let killing = killing(&host);
    told(&scene, &[&stays]);
    assert!(!stays.process.is_gone());
    stays.process.kill();
    ends(scene, host, killing, &[&removed, &stays]);
}

#[test]
fn command_of_a_stop_is_killed_and_no_later_step_is_taken() {
    let scene = Scene::of_library();
    let mut host = host(&scene);
    let mut config = helper(&scene, &["stubborn"]);
    let begun = scene.path("begun");
    let script = format!(": >{}; exec sleep 1000", begun.display());
    let steps = [StopStep::command(["/bin/sh", "-c", &script], HOUR), StopStep::new("SIGTERM".parse().unwrap(), HOUR)];
    config.stop = config.stop.with_steps(steps);
    host.set("web", config);
    host.run();
    let start = scene.reports.start("web");
    let killing = killing(&host);
    await_file(&begun);
    host.manager.end_grace().unwrap();
    killing.join().unwrap().unwrap();
    assert_eq!(host.events.exited("web"), KILLED);
    assert!(start.process.is_gone());
    host.join();
    assert_eq!(scene.reports.unread(), [""; 0], "SIGTERM was sent");
    scene.finish();
}

#[track_caller]
fn await_file(path: &Path) {
    let deadline = Deadline::of(format!("{}", path.display()));
    while !path.exists() {
        deadline.left();
        std::thread::yield_now();
    }
}

/// That it was killed says nothing of what its program obeys.
#[test]
fn daemon_whose_grace_is_ended_at_each_stop_is_killed_and_gets_no_hint() {
    let scene = Scene::of_library();
    let daemon = Daemon::new("web", patient(&scene, &["stubborn"]));
    daemon.end_grace().unwrap();
    for _ in 0..3 {
        daemon.start().unwrap();
        let start = scene.reports.start("web");
        daemon.end_grace().unwrap();
        std::thread::scope(|scope| {
            let stopping = scope.spawn(|| daemon.stop());
            told(&scene, &[&start]);
            daemon.end_grace().unwrap();
            stopping.join().unwrap().unwrap();
        });
        assert!(start.process.is_gone());
        let status = daemon.status();
        assert_eq!((status.state, status.last_exit, status.hint), (ProxyState::Stopped, Some(KILLED), None));
    }
    daemon.close().unwrap();
    daemon.end_grace().unwrap();
    scene.reports.forget_signals();
    scene.finish();
}

#[test]
fn what_a_crash_has_left_has_no_more_time() {
    alone("stops::end_grace::what_a_crash_has_left_has_no_more_time", || {
        set_child_subreaper(Some(getpid())).unwrap();
        let scene = Scene::of_library();
        let mut host = host(&scene);
        host.set("web", patient(&scene, &["grandchild", "stubborn"]));
        host.run();
        let (leader, member) = (scene.reports.start("web"), scene.reports.grandchild("web"));
        leader.process.kill();
        told(&scene, &[&member]);
        host.manager.end_grace().unwrap();
        let again = scene.reports.start("web");
        assert!(member.process.is_gone());
        let next_member = scene.reports.grandchild("web");
        let killing = killing(&host);
        told(&scene, &[&next_member]);
        host.manager.end_grace().unwrap();
        ends(scene, host, killing, &[&leader, &member, &again, &next_member]);
    });
}

#[test]
fn close_is_not_made_a_kill() {
    let scene = Scene::of_library();
    let mut host = host(&scene);
    host.set("web", patient(&scene, &["stubborn"]));
    host.run();
    let start = scene.reports.start("web");
    let pid = Some(start.pid);
    host.events.until("the start", |event| event.kind == EventKind::Started { pid });
    std::thread::scope(|scope| {
        let closing = scope.spawn(|| host.manager.close());
        while !closing.is_finished() {
            host.manager.end_grace().unwrap();
        }
        closing.join().unwrap().unwrap();
    });
    host.manager.end_grace().unwrap();
    assert!(!start.process.is_gone());
    start.process.kill();
    host.join();
    // The last manager of the program has left it to the next one, if there is any.
    start.process.wait_reaped();
    scene.finish();
}

/// An agent of a proxy that stands still at a point, until it is released.
struct Held {
    agent: Agent,
    trace: PathBuf,
    release: PathBuf,
}

impl Held {
    fn at(scene: &Scene, point: &str) -> Held {
        let (trace, release) = (scene.path("passed"), scene.path("release"));
        let text = |path: &PathBuf| path.to_str().expect("a path in UTF-8").to_owned();
        let config = Config::new(scene).proxy("web", Proxy::helper(&["stubborn"]).grace_ms(3_600_000));
        let agent = Launch::of(agent_with_fail_points(), scene)
            .env("PROXYPROCESS_FAIL", &format!("{point}#1=hold"))
            .env("PROXYPROCESS_FAIL_TRACE", &text(&trace))
            .env("PROXYPROCESS_FAIL_RELEASE", &text(&release))
            .start(&config);
        Held { agent, trace, release }
    }

    #[track_caller]
    fn until(&self, point: &str) {
        let deadline = Deadline::of(format!("the agent at {point}"));
        while !fs::read_to_string(&self.trace).is_ok_and(|passed| passed.lines().any(|line| line == point)) {
            deadline.left();
            std::thread::yield_now();
        }
    }

    /// The grace is ended while the agent stops its proxies, and has come to this point.
    #[track_caller]
    fn end_grace_at(&self, point: &str) {
        self.agent.signal(Signal::QUIT);
        self.until(point);
        self.agent.signal(Signal::INT);
        self.agent.wait_for_log("SIGINT during the stop: what is left gets SIGKILL now");
    }

    #[track_caller]
    fn ends_well(mut self, scene: Scene) {
        fs::write(self.release, "").unwrap();
        assert!(self.agent.end().success(), "{}", self.agent.log());
        scene.reports.forget_unread();
        scene.finish();
    }
}

#[test]
fn grace_that_is_ended_before_any_process_was_asked_to_end_is_over_for_all() {
    let scene = Scene::new();
    let held = Held::at(&scene, "kill:begun");
    scene.reports.start("web");
    held.end_grace_at("kill:begun");
    held.ends_well(scene);
}

#[test]
fn process_that_is_only_being_started_is_killed_when_it_is_there() {
    let scene = Scene::new();
    let held = Held::at(&scene, "start:prepared");
    held.until("start:prepared");
    held.end_grace_at("kill:asked");
    held.ends_well(scene);
}

/// Without that its caller would wait for an hour and five seconds.
#[test]
fn start_that_hangs_is_waited_for_no_longer_than_a_process_that_was_killed() {
    let scene = Scene::new();
    let mut held = Held::at(&scene, "start:prepared");
    held.until("start:prepared");
    held.end_grace_at("kill:asked");
    assert!(!held.agent.end().success());
    let log = held.agent.log();
    assert!(log.contains("proxy web: its start has not come to an end"), "{log}");
    scene.reports.forget_unread();
    scene.finish();
}
