// SPDX-License-Identifier: MPL-2.0
//! Unit tests of [`super`]: scans of real processes.

use super::*;
use crate::supervisor::spec::Spec;
use crate::sys::pidfd;
use crate::sys::proc::environ;
use crate::sys::proc::held_exec::HeldExec;
use crate::sys::proc::without_first_thread::WithoutFirstThread;
use crate::sys::signal::{self, Signal};
use std::ffi::{CStr, CString};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// A leader of this declaration that ended before anything else that lives was started.
fn ancestor(program: &str) -> Ancestor {
    let config = crate::ProxyConfig::new(crate::Command::new(program));
    Ancestor { pid: None, since: Some(0), spec: Arc::new(Spec::for_tests("web", config)) }
}

struct World {
    progress: ScanProgress,
    unreadable: UnreadableProcesses,
    ancestor: Ancestor,
    supervised: HashSet<i32>,
}

impl World {
    fn new(ancestor: Ancestor) -> World {
        pidfd::probe().unwrap();
        let (progress, unreadable) = (ScanProgress::default(), UnreadableProcesses::default());
        World { progress, unreadable, ancestor, supervised: HashSet::new() }
    }

    fn find(&self, tag: &ProcessTag) -> ScanResult {
        let wanted = ScanScope::of([(&self.ancestor, true)]);
        let scan = Scan::at_all_but(&self.supervised, &wanted, &self.progress, &self.unreadable);
        scan.unwrap().with(&Wanted::all(tag.clone()), &self.ancestor).unwrap()
    }
}

fn start(command: &mut Command) -> Child {
    let child = command.arg("1000").process_group(0).spawn().unwrap();
    environ::wait_until_told(child.id() as i32);
    child
}

#[test]
fn a_scan_finds_only_processes_with_the_exact_tag_outside_of_supervised_sessions() {
    let start = |owner_tag: &str| {
        let variables =
            [("CONNECT_PROXY_ID", "web"), ("CONNECT_PROXY_TOKEN", "t"), ("CONNECT_PROXY_ORIGIN", owner_tag)];
        start(Command::new("sleep").envs(variables))
    };
    let tag = ProcessTag::new("web", "t", &crate::sys::random::uuid().unwrap());
    let owner_tag = String::from_utf8(tag.owner_tag.to_vec()).unwrap();
    let (mut ours, mut others) = (start(&owner_tag), start("another agent's"));
    let mut world = World::new(ancestor("/nonexistent"));
    let found: Vec<String> = world.find(&tag).escaped.iter().map(|found| found.to_string()).collect();
    assert_eq!(found, [ours.id().to_string()]);
    world.supervised.insert(ours.id() as i32);
    assert!(!world.find(&tag).seen);
    world.supervised.clear();
    let pid = Pid::from_raw(ours.id() as i32).unwrap();
    let held_up = ScanProgress::default();
    held_up.read(pid, || world.unreadable.insert(pid, &held_up)).unwrap();
    assert!(!world.find(&tag).seen, "it is passed over");
    world.unreadable.remove(pid);
    let wanted = ScanScope::of([(&world.ancestor, true)]);
    let scan = Scan::at_all_but(&world.supervised, &wanted, &world.progress, &world.unreadable);
    ours.kill().unwrap();
    ours.wait().unwrap();
    let sighting = scan.unwrap().with(&Wanted::all(tag.clone()), &world.ancestor).unwrap();
    assert!(sighting.seen && sighting.escaped.is_empty(), "it has ended since");
    others.kill().unwrap();
    others.wait().unwrap();
}

/// A session of its own, led by a shell, with a member that has nothing of a proxy and one of another proxy.
fn start_session() -> (Child, [Pid; 2]) {
    let script = "sleep 1000 & echo $!; CONNECT_PROXY_ID=another sleep 1000 & echo $!; exec sleep 1000";
    let shell = Command::new("setsid").args(["sh", "-c", script]).stdout(Stdio::piped()).spawn();
    let mut shell = shell.unwrap();
    let mut lines = BufReader::new(shell.stdout.take().unwrap()).lines();
    let members = [(); 2].map(|()| Pid::from_raw(lines.next().unwrap().unwrap().parse().unwrap()).unwrap());
    while members.iter().any(|pid| stat::name(pid.as_raw()).as_deref() != Some("sleep")) {
        std::thread::yield_now();
    }
    members.iter().for_each(|pid| environ::wait_until_told(pid.as_raw()));
    (shell, members)
}

#[test]
fn member_of_the_old_session_is_unproven_unless_the_pid_was_recycled_or_it_is_of_another_proxy() {
    let tag = ProcessTag::new("web", "t", "o");
    let (mut leader, [silent, foreign]) = start_session();
    let number = Pid::from_raw(leader.id() as i32).unwrap();
    let mut world = World::new(Ancestor { pid: Some(number), ..ancestor("/nonexistent") });
    assert!(world.find(&tag).unproven.is_empty(), "a process has the number");
    leader.kill().unwrap();
    leader.wait().unwrap();
    let found = world.find(&tag);
    let told: Vec<String> = found.unproven.iter().map(ToString::to_string).collect();
    assert_eq!(told, [format!("pid {silent} (sleep: in the session of pid {number}, which has ended)")]);
    assert!(found.unproven[0].holds_start() && found.unproven[0].lives() && !found.seen);
    world.ancestor.since = Some(u64::MAX);
    assert!(world.find(&tag).unproven.is_empty(), "started before the leader");
    for pid in [silent, foreign] {
        signal::kill_process(pid, Signal::KILL).unwrap();
    }
    while found.unproven[0].lives() {
        std::thread::yield_now();
    }
}

/// What a scan finds that has read the process before it has executed; it executes at the given moment.
fn found_after_exec(owner_tag: &str, environment: &[&CStr], while_it_is_read_again: bool) -> (ScanResult, Pid) {
    let process = HeldExec::new(environment);
    let world = World::new(Ancestor { pid: Some(process.leader), ..ancestor("/nonexistent") });
    let wanted = ScanScope::of([(&world.ancestor, true)]);
    let scan = Scan::at_all_but(&world.supervised, &wanted, &world.progress, &world.unreadable);
    let mut scan = scan.unwrap();
    let found = std::thread::scope(|scope| {
        if while_it_is_read_again {
            let read = world.progress.steps() + 2;
            let (process, progress) = (&process, &world.progress);
            scope.spawn(move || {
                while progress.steps() < read {
                    std::thread::yield_now();
                }
                process.release();
            });
        } else {
            process.release();
            while !process.has_executed() {
                std::thread::yield_now();
            }
        }
        scan.with(&Wanted::all(ProcessTag::new("web", "t", owner_tag)), &world.ancestor).unwrap()
    });
    (found, process.pid)
}

#[test]
fn process_that_was_read_before_its_exec_is_judged_by_what_it_shows_after_it() {
    // Not that of this test in another run at the same time.
    let owner_tag = crate::sys::random::uuid().unwrap();
    let origin = CString::new(format!("CONNECT_PROXY_ORIGIN={owner_tag}")).unwrap();
    let own_tag = [c"CONNECT_PROXY_ID=web", c"CONNECT_PROXY_TOKEN=t", &origin];
    for while_it_is_read_again in [false, true] {
        let found = |environment: &[&CStr]| found_after_exec(&owner_tag, environment, while_it_is_read_again);
        let (of_another, _) = found(&[c"CONNECT_PROXY_ID=api", own_tag[1], own_tag[2]]);
        assert!(of_another.unproven.is_empty() && of_another.escaped.is_empty() && !of_another.seen, "{of_another:?}");
        let (foreign, _) = found(&[c"CONNECT_PROXY_ID=web"]);
        assert!(foreign.unproven.is_empty() && foreign.escaped.is_empty() && !foreign.seen, "{foreign:?}");
        let (own, pid) = found(&own_tag);
        let escaped: Vec<String> = own.escaped.iter().map(ToString::to_string).collect();
        assert_eq!((own.seen, escaped, own.unproven.len()), (true, vec![pid.to_string()], 0));
        for silent in [&[][..], &[c"HOME=/"]] {
            let (found, pid) = found(silent);
            let unproven: Vec<Pid> = found.unproven.iter().map(|unproven| unproven.pid).collect();
            assert_eq!((found.seen, found.escaped.len(), unproven), (false, 0, vec![pid]), "{silent:?}");
        }
    }
}

#[test]
fn process_without_its_first_thread_that_names_no_proxy_may_be_of_one() {
    let process = WithoutFirstThread::start();
    let ancestor = ancestor(std::env::current_exe().unwrap().to_str().unwrap());
    let of_session = Ancestor { pid: Pid::from_raw(process.pid), ..ancestor.clone() };
    let world = World::new(of_session);
    let wanted = ScanScope::of([(&world.ancestor, true)]);
    let scan = Scan::at_all_but(&world.supervised, &wanted, &world.progress, &world.unreadable).unwrap();
    let untold = scan.untold.iter().find(|untold| untold.pid.as_raw() == process.pid).expect("it is seen");
    // As if it had lost its parent.
    let orphan = Untold::new(untold.pid, untold.session, untold.start_ticks, true, false);
    let unproven = orphan.of(&ancestor, &mut Programs::default()).unwrap().expect("it is named");
    assert!(unproven.lives() && unproven.to_string().contains("runs its executable"), "{unproven}");
}
