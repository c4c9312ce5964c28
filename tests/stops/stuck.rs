// SPDX-License-Identifier: MPL-2.0
//! Processes that not even SIGKILL ends, for a time: the first one of a pid namespace ends when every other one in it
//! has been reaped, and the parent of one of them stands still.

use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use proxyprocess::{ErrorCode, EventKind, ProxyConfig, ProxyState};
use rustix::process::Signal;

use crate::inside::{Host, helper, quick};
use crate::stops::common::is_root;
use crate::support::{HELPER, Process, Scene, Start, alone};

const GRACE: Duration = Duration::from_millis(50);

/// The grace period, the five seconds that SIGKILL is given, and what a loaded machine adds.
const AT_MOST: Duration = Duration::from_secs(15);

/// The variables by which a process within the namespace finds the test, whose number there is another.
fn variables(scene: &Scene) -> Vec<(&'static str, String)> {
    scene.env().into_iter().filter(|(name, _)| *name != "HELPER_WATCH_PID").collect()
}

/// A proxy whose leader starts a pid namespace by these words.
fn with_a_namespace(scene: &Scene, unshare: &[&str]) -> ProxyConfig {
    let mut config = helper(scene, &[&["starts"], unshare, &["--pid", "--fork", *HELPER, "member"]].concat());
    let mut command = proxyprocess::Command::new(*HELPER).args(&config.command.argv()[1..]);
    for (name, value) in variables(scene) {
        command = command.env(name, value);
    }
    config.command = command;
    config.stop.grace_period = GRACE;
    config
}

/// What keeps the first process of a namespace from ending.
struct Hold {
    parent: Child,
    pid: u32,
}

impl Hold {
    /// `first` says how the first process has reported.
    fn begin(scene: &Scene, first: &Start) -> Hold {
        let pid = number(&first.process);
        let mut nsenter = Command::new("nsenter");
        nsenter.args(["--pid", "--target", &pid.to_string(), *HELPER, "run"]).envs(variables(scene));
        let parent = nsenter.env("CONNECT_PROXY_ID", "held").spawn().expect("start nsenter");
        scene.reports.start("held");
        let hold = Hold { parent, pid };
        hold.signal(Signal::STOP);
        hold
    }

    fn signal(&self, signal: Signal) {
        Process::open(self.parent.id()).expect("a child that is not reaped").signal(signal);
    }

    fn end(mut self, first: &Start) {
        self.signal(Signal::CONT);
        self.parent.wait().unwrap();
        first.process.wait();
    }
}

/// The number of a process here; its own is that within its namespace.
fn number(process: &Process) -> u32 {
    use std::os::fd::AsRawFd;
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", process.fd().as_raw_fd())).unwrap();
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:")).expect("a pidfd");
    pid.trim().parse().unwrap()
}

/// The first process is of the leader's group, or of another session; the stop names it, and ends all else.
fn a_stop(unshare: &[&str], expected: impl Fn(u32, u32) -> String) {
    if !is_root() {
        return println!("skipped: only root can make a pid namespace");
    }
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("stuck", with_a_namespace(&scene, unshare));
    host.run();
    let (leader, first) = (scene.reports.start("stuck"), scene.reports.grandchild("stuck"));
    let hold = Hold::begin(&scene, &first);
    for id in ["a", "b"] {
        let mut config = helper(&scene, &["stubborn"]);
        config.stop.grace_period = GRACE;
        host.set(id, config);
    }
    let others = ["a", "b"].map(|id| scene.reports.start(id));

    // What cannot end does not hold up the others.
    for id in ["a", "b", "stuck"] {
        host.state.remove(id);
    }
    let begun = Instant::now();
    let error = host.manager.kill().unwrap_err();
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(4) && took < AT_MOST, "{took:?}");
    assert_eq!(error.code(), ErrorCode::StillRunning);
    assert!(error.to_string().starts_with(&expected(leader.pid, hold.pid)), "{error}");
    assert!(!first.process.is_gone() && leader.process.is_gone());
    assert!(others.iter().all(|other| other.process.is_gone() && other.process.is_reaped()));
    assert_eq!(host.join_ended(), Err(error));

    // The next manager is told of it as well, and sees the end of it.
    let mut next = Host::new(quick(&scene.data_dir()));
    next.restore().unwrap();
    hold.end(&first);
    next.run();
    next.follow("marker");
    next.kill();
    assert_eq!(scene.pid_files(), [""; 0]);
    scene.reports.forget_unread();
    while !first.process.reap() {
        let _ = rustix::process::wait(rustix::process::WaitOptions::NOHANG);
        std::thread::yield_now();
    }
    scene.finish();
}

#[test]
fn process_that_outlives_sigkill_is_named_and_delays_no_other_stop() {
    alone("stops::stuck::process_that_outlives_sigkill_is_named_and_delays_no_other_stop", || {
        a_stop(&["unshare"], |leader, pid| {
            format!("proxy stuck: still running: pid {pid} of the group of pid {leader}")
        });
    });
}

#[test]
fn what_outlives_sigkill_in_another_session_is_named_as_well() {
    alone("stops::stuck::what_outlives_sigkill_in_another_session_is_named_as_well", || {
        a_stop(&["setsid", "--fork", "unshare"], |_, pid| {
            format!("proxy stuck: still running: pid {pid} which left the group")
        });
    });
}

#[test]
fn kill_that_left_a_process_and_a_file_says_so_and_names_both() {
    alone("stops::stuck::kill_that_left_a_process_and_a_file_says_so_and_names_both", || {
        if !is_root() {
            return println!("skipped: only root can make a pid namespace");
        }
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
        let scene = Scene::of_library();
        let mut host = Host::new(quick(&scene.data_dir()));
        host.set("stuck", with_a_namespace(&scene, &["unshare"]));
        host.set("web", helper(&scene, &["run"]));
        host.run();
        let (leader, first) = (scene.reports.start("stuck"), scene.reports.grandchild("stuck"));
        let web = scene.reports.start("web");
        (0..2)
            .for_each(|_| drop(host.events.until("a start", |event| matches!(event.kind, EventKind::Started { .. }))));
        let hold = Hold::begin(&scene, &first);
        let pid_file = scene.data_dir().join("pids/web.pid");
        fs::remove_file(&pid_file).unwrap();
        fs::create_dir(&pid_file).unwrap();

        let error = host.manager.kill().unwrap_err();
        assert_eq!(error.code(), ErrorCode::StillRunning);
        let stuck = format!("proxy stuck: still running: pid {} of the group of pid {}", hold.pid, leader.pid);
        assert!(error.to_string().contains(&stuck) && error.to_string().contains("pids/web.pid"), "{error}");
        assert!(web.process.is_gone() && !first.process.is_gone());
        assert_eq!(host.join_ended(), Err(error));
        hold.end(&first);
        scene.reports.forget_unread();
        while !first.process.reap() {
            let _ = rustix::process::wait(rustix::process::WaitOptions::NOHANG);
            std::thread::yield_now();
        }
        scene.finish();
    });
}

/// The end is seen whenever it comes.
#[test]
fn what_outlived_a_stop_is_seen_to_end() {
    alone("stops::stuck::what_outlived_a_stop_is_seen_to_end", || {
        if !is_root() {
            return println!("skipped: only root can make a pid namespace");
        }
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
        let scene = Scene::of_library();
        let daemon = proxyprocess::Daemon::new("stuck", with_a_namespace(&scene, &["unshare"]));
        let mut events = crate::inside::Observer::of(daemon.events());
        daemon.start().unwrap();
        let (_, first) = (scene.reports.start("stuck"), scene.reports.grandchild("stuck"));
        let hold = Hold::begin(&scene, &first);
        assert_eq!(daemon.stop().unwrap_err().code(), ErrorCode::StillRunning);
        assert_eq!(daemon.status().state, ProxyState::Stopping);
        // A second stop is answered at once.
        let begun = Instant::now();
        assert_eq!(daemon.stop().unwrap_err().code(), ErrorCode::StillRunning);
        assert!(begun.elapsed() < Duration::from_secs(4));
        hold.end(&first);
        events.stopped("stuck");
        assert_eq!(daemon.stop(), Ok(()));
        scene.reports.forget_unread();
        while !first.process.reap() {
            let _ = rustix::process::wait(rustix::process::WaitOptions::NOHANG);
            std::thread::yield_now();
        }
        scene.finish();
    });
}
