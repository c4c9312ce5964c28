// SPDX-License-Identifier: MPL-2.0
//! Processes that start processes faster than a scan can list them.

use std::fs;
use std::time::{Duration, Instant};

use proxyprocess::{Daemon, ErrorCode};

use crate::inside::{Place, inherited, stage, wait_until};
use crate::stops::common::is_root;
use crate::support::Deadline;

const GRACE: Duration = Duration::from_millis(600);

/// How many processes live at a time.
const MANY: &str = "100";

/// The grace period, the time that SIGKILL is given, and what a loaded machine adds.
const AT_MOST: Duration = Duration::from_secs(20);

/// Those that live within this pid namespace and are of the proxy.
fn alive() -> Vec<u32> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let ours = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|line| line == b"CONNECT_PROXY_ID=bomb")
    };
    pids.filter(ours).collect()
}

fn stopping_a_bomb(place: &Place, role: &[&str]) -> proxyprocess::Result<()> {
    let mut config = inherited(role);
    config.stop.grace_period = GRACE;
    // Which changes nothing: it goes on until it is killed.
    config.stop.signal = "SIGURG".parse().unwrap();
    let daemon = Daemon::new("bomb", config);
    daemon.start().unwrap();
    wait_until(&place.path(""), "the bomb to go off", || place.path("go").exists());
    let begun = Instant::now();
    let stopped = daemon.stop();
    let took = begun.elapsed();
    assert!(took < AT_MOST, "{took:?}");
    // The last field is the number of the last process.
    let load = fs::read_to_string("/proc/loadavg").unwrap();
    let made: u32 = load.split_whitespace().last().unwrap().parse().unwrap();
    println!("it took {took:?}, {made} processes were made, and it said {stopped:?}");
    assert!(made > 100, "no bomb: only {made} processes were made");
    stopped
}

fn in_its_group(place: &Place) {
    stopping_a_bomb(place, &["bomb", MANY]).unwrap();
    assert_eq!(alive(), [0; 0], "the stop was said to be done");
}

fn in_sessions_of_their_own(place: &Place) {
    are_gone_or_named(place, MANY);
}

fn one_after_the_other(place: &Place) {
    are_gone_or_named(place, "2");
}

fn are_gone_or_named(place: &Place, at_once: &str) {
    match stopping_a_bomb(place, &["bomb", at_once, "escaped"]) {
        Ok(()) => assert_eq!(alive(), [0; 0], "the stop was said to be done"),
        Err(error) => {
            assert_eq!(error.code(), ErrorCode::StillRunning);
            assert!(error.to_string().contains("pid"), "{error}");
            // One that is being executed shows no environment for a moment.
            let deadline = Deadline::of("the sight of a process that the stop has named");
            while alive().is_empty() {
                deadline.left();
                std::thread::yield_now();
            }
        }
    }
}

/// All of it is in a pid namespace and ends with that, whatever the stop does. Its init ignores SIGCHLD, so that the
/// kernel reaps what is left to it.
fn in_a_namespace(test: &'static str, act: fn(&Place)) {
    let Some(stage) = stage(test, &[("bomb", act)]) else { return };
    if !is_root() {
        println!("skipped: only root can make a pid namespace");
        return stage.end();
    }
    let unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let init = ["/usr/bin/env", "--ignore-signal=CHLD", "HELPER_WATCH_PID=1"];
    let act = stage.begin_under(&[&unshare[..], &init].concat(), "bomb", &[]);
    stage.scene.reports.start("bomb");
    fs::write(stage.scene.path("go"), "").unwrap();
    act.finish();
    stage.end();
}

#[test]
fn a_group_that_forks_as_fast_as_it_can_is_gone_when_the_stop_is_done() {
    in_a_namespace("stops::bombs::a_group_that_forks_as_fast_as_it_can_is_gone_when_the_stop_is_done", in_its_group);
}

#[test]
fn sessions_that_fork_as_fast_as_they_can_are_gone_or_named_when_the_stop_is_done() {
    let name = "stops::bombs::sessions_that_fork_as_fast_as_they_can_are_gone_or_named_when_the_stop_is_done";
    in_a_namespace(name, in_sessions_of_their_own);
}

/// Each ends as soon as it has started the next, so that a list of processes has one that is gone when it is examined.
#[test]
fn sessions_that_each_start_the_next_and_end_are_gone_or_named_when_the_stop_is_done() {
    let name = "stops::bombs::sessions_that_each_start_the_next_and_end_are_gone_or_named_when_the_stop_is_done";
    in_a_namespace(name, one_after_the_other);
}
