// SPDX-License-Identifier: MPL-2.0
//! A host that traces its own processes, as a crash reporter or a profiler does: each stop of one is a child's news to
//! waitid(2), whatever that was asked for.

use std::time::Duration;

use nix::sys::ptrace;
use nix::sys::ptrace::Options;
use proxyprocess::{Daemon, ExitStatus, ProxyState};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};

use crate::hosts::life::in_a_host;
use crate::inside::{Observer, Place, context_switches, helper};
use crate::support::{Deadline, HELPER, Process, Scene};

/// What stops a process for its tracer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Interrupt,
    Signal,
    Group,
    /// It is about to end, and has not.
    Exit,
}

fn that_traces(_: &Place) {
    for stop in [Stop::Interrupt, Stop::Signal, Stop::Group, Stop::Exit] {
        let scene = Scene::of_library();
        let mut config = helper(&scene, &["run"]);
        config.stop.grace_period = Duration::from_millis(50);
        let daemon = Daemon::new("web", config);
        let mut events = Observer::of(daemon.events());
        daemon.start().unwrap();
        let first = scene.reports.start("web");
        let pid = Pid::from_raw(first.pid.try_into().unwrap()).unwrap();
        let traced = nix::unistd::Pid::from_raw(pid.as_raw_nonzero().get());
        ptrace::seize(traced, if stop == Stop::Exit { Options::PTRACE_O_TRACEEXIT } else { Options::empty() }).unwrap();
        match stop {
            Stop::Interrupt => ptrace::interrupt(traced).unwrap(),
            Stop::Signal => first.process.signal(Signal::USR1),
            Stop::Group => first.process.signal(Signal::STOP),
            Stop::Exit => first.process.signal(Signal::KILL),
        }
        let news = |options| waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT | options);
        news(WaitIdOptions::empty()).unwrap().expect("a stop");
        look_some_times();
        let status = daemon.status();
        assert_eq!((status.state, status.pid), (ProxyState::Running, Some(first.pid)), "{stop:?}");
        assert!(news(WaitIdOptions::NOHANG).unwrap().is_some(), "{stop:?} was taken from its tracer");
        if stop == Stop::Exit {
            ptrace::cont(traced, None).unwrap();
            assert_eq!(events.exited("web"), ExitStatus::Signaled { signal: 9, core_dumped: false });
            let second = scene.reports.start("web");
            daemon.stop().unwrap();
            assert!(second.process.is_reaped());
        } else {
            // It does not obey while it is stopped, and is looked at when the grace period ends.
            daemon.stop().unwrap();
            assert_eq!(events.exited("web"), ExitStatus::Signaled { signal: 9, core_dumped: false }, "{stop:?}");
        }
        assert!(first.process.is_reaped());
        drop(daemon);
        scene.finish();
    }
}

/// Lets the supervisor look at its processes, where it does so without being told.
fn look_some_times() {
    let polls = Process::open(std::process::id()).is_none() || cfg!(proxyprocess_no_pidfd);
    let sleeps = || context_switches().into_values().find(|(name, _)| name == "proxy-superv").expect("a supervisor").1;
    let (before, deadline) = (sleeps(), Deadline::of("the supervisor to look at its processes"));
    while polls && sleeps() < before + 5 {
        deadline.left();
        std::thread::yield_now();
    }
}

#[test]
fn host_that_traces_its_processes_has_them_supervised_and_keeps_its_stops() {
    const TEST: &str = "hosts::tracing::host_that_traces_its_processes_has_them_supervised_and_keeps_its_stops";
    in_a_host(TEST, &[], that_traces);
}

#[test]
fn host_without_pidfds_that_traces_its_processes_keeps_its_stops() {
    const TEST: &str = "hosts::tracing::host_without_pidfds_that_traces_its_processes_keeps_its_stops";
    in_a_host(TEST, &[*HELPER, "sandbox", "pidfd_open=ENOSYS"], that_traces);
}
