// SPDX-License-Identifier: MPL-2.0
//! Calls of the agent fail, once or for a while: nothing is lost, it recovers by itself, and it says so.

use std::collections::BTreeSet;

use crate::crashes::arm::{Arm, Cut};
use crate::crashes::cases;
use crate::crashes::chance::{Chance, some};
use crate::crashes::player::Player;
use crate::crashes::sweep::{everything, trace, tried};
use crate::crashes::wanted::{CONSUL, Kind, Wanted};
use crate::crashes::{consul, life, points};
use crate::support::{Changes, Deadline, list};

const EPERM: i32 = 1;
const ESRCH: i32 = 3;
const EIO: i32 = 5;
const EAGAIN: i32 = 11;
const ENOMEM: i32 = 12;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const EFBIG: i32 = 27;
const ENOSPC: i32 = 28;
const ENOLCK: i32 = 37;
const EADDRINUSE: i32 = 98;

/// The calls that can fail, and how they do.
const CALLS: [(&str, &[i32]); 55] = [
    ("adopt:open", &[EMFILE, ENOMEM]),
    ("ahead:open", &[ENOSPC, EMFILE, EIO]),
    ("ahead:write", &[ENOSPC, EFBIG, EIO]),
    ("aside:rename", &[ENOSPC, EIO]),
    ("boot-id:read", &[EMFILE, ENOMEM]),
    ("cgroup:kill", &[ENOMEM, EIO]),
    ("cgroup:make", &[EAGAIN, ENOMEM]),
    ("cgroup:open", &[EMFILE, ENOMEM]),
    ("cgroup:read", &[EMFILE, EIO]),
    ("cgroup:remove", &[EIO]),
    ("child:between", &[EAGAIN, ENOMEM, EMFILE]),
    ("child:cloned", &[EMFILE, ENOMEM]),
    ("child:divide", &[EPERM, ENOMEM]),
    ("child:execute", &[ENOMEM, EAGAIN]),
    ("child:record-open", &[ENOSPC, EMFILE, EIO]),
    ("child:record-rename", &[ENOSPC, EIO]),
    ("child:record-renamed", &[EMFILE, ENOMEM]),
    ("child:record-write", &[ENOSPC, EIO]),
    ("child:session", &[EMFILE, ENOMEM]),
    ("cmdline:read", &[EMFILE, ENOMEM]),
    ("descriptors:list", &[EMFILE, ENOMEM]),
    ("dir:list", &[EMFILE, EIO]),
    ("dir:look", &[ENOMEM, EIO]),
    ("dir:make", &[ENOSPC, EIO]),
    ("dir:open", &[EMFILE, ENOMEM]),
    ("environ:read", &[EMFILE, ENOMEM]),
    ("epoll:new", &[EMFILE, ENOMEM]),
    ("eventfd:new", &[EMFILE, ENOMEM]),
    ("exit:seen", &[EIO]),
    ("inode", &[ENOMEM, EIO]),
    ("lock:try", &[ENOLCK]),
    ("lock:write", &[ENOSPC, EIO]),
    ("logs:open", &[EMFILE, ENOSPC, EIO]),
    ("notify:bind", &[EMFILE, ENOMEM]),
    ("notify:receive", &[ENOMEM]),
    ("null:open", &[EMFILE, ENFILE]),
    ("orphans:list", &[EMFILE, ENOMEM]),
    ("pidfd:probe", &[EMFILE, ENOMEM]),
    ("proc:list", &[EMFILE, ENOMEM]),
    ("processes:list", &[EMFILE, ENOMEM]),
    ("read:open", &[EMFILE, EIO]),
    ("remove", &[EIO]),
    ("replace:open", &[ENOSPC, EMFILE, EIO]),
    ("replace:rename", &[ENOSPC, EIO]),
    ("replace:write", &[ENOSPC, EFBIG, EIO]),
    ("socket:bind", &[EMFILE, ENOMEM, EADDRINUSE]),
    ("socket:listen", &[ENOMEM, EADDRINUSE]),
    ("socket:take", &[EMFILE, EPERM, ESRCH]),
    ("stack:map", &[ENOMEM]),
    ("start:clone", &[EAGAIN, ENOMEM, EMFILE]),
    ("start:pipe", &[EMFILE]),
    ("stat:read", &[EMFILE, ENOMEM]),
    ("thread:start", &[EAGAIN]),
    ("signal:send", &[EMFILE, ENOMEM]),
    ("watch:add", &[ENOMEM, ENOSPC]),
];

/// Calls that some do only to look, and then look again; or that can be done without. A status looks before there is
/// anybody of whom it could tell.
const JUST_REPEATED: [&str; 10] = [
    "cgroup:read",
    "child:divide",
    "dir:look",
    "exit:seen",
    "inode",
    "orphans:list",
    "proc:list",
    "processes:list",
    "read:open",
    "stat:read",
];

/// Which call of which agent fails, from which time on, how often, and how.
#[derive(Debug, Clone)]
struct Failure {
    launch: usize,
    point: String,
    from: usize,
    times: usize,
    errno: i32,
}

fn play(failure: &Failure) -> bool {
    let Failure { launch, point, from, times, errno } = failure;
    let to = from + times - 1;
    let actions = format!("{point}#{from}-{to}=fail:{errno}");
    let mut it = Player::new(life::first(), [(*launch, Arm { actions, may_refuse: true, ..Arm::default() })]);
    let refused = match life::play(&mut it) {
        Ok(()) => false,
        Err(Cut) => {
            it.recover();
            true
        }
    };
    let error = format!("(os error {errno})");
    let said = it.logs.contains(&error) || it.told.borrow().iter().any(|told| told.contains(&error));
    // How often a call is made can be left to chance: who ends a process looks at it until it is gone.
    let passed = points::passed(&it).get(&(*launch, point.clone())).copied().unwrap_or(0);
    let sums = it.finish();
    assert!(said || passed < *from || JUST_REPEATED.contains(&point.as_str()), "the failure was not reported");
    assert_eq!(sums.cuts > 0, refused);
    refused
}

#[test]
fn every_call_that_can_fail_does_so_in_some_life() {
    let Some(calls) = points::in_source(&["failing(\"", "(\"child:"]) else {
        return eprintln!("skipped: the source cannot be read");
    };
    // Between these no call is made that could fail; and the logs of a life have no limit, and none is removed.
    let elsewhere = ["child:begun", "log:collapse", "log:lease", "log:punch"];
    let calls: BTreeSet<_> = calls.into_iter().filter(|call| !elsewhere.contains(&call.as_str())).collect();
    assert_eq!(CALLS.iter().map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<_>>(), calls);
}

/// Without memory for epoll a process is looked at now and then, and without descriptors nothing can be seen of it.
#[test]
fn an_adopted_process_that_cannot_be_looked_at_is_not_taken_for_dead() {
    let looks = Arm { actions: "watch:add#1-9=fail:12,stat:read#4-60=fail:24".to_owned(), ..Arm::default() };
    let mut it = Player::new(Wanted::default().with("web", Kind::Runs, 1), [(2, looks)]);
    it.launch().expect("nothing happens to this agent");
    it.settle().expect("nothing happens to this agent");
    it.kill_agent();
    it.launch().expect("calls fail, but it lives");
    let looks = |it: &Player| points::passed(it).get(&(2, "watch:polled".to_owned())).copied().unwrap_or(0);
    let changes = Changes::of(&it.scene.path("traces"));
    let deadline = Deadline::of("the agent to have looked 20 times");
    while looks(&it) < 20 {
        changes.wait(deadline.left());
    }
    it.settle().expect("calls fail, but it lives");
    assert_eq!(it.finish().adoptions, 1);
}

/// It is adopted later, and the agent is killed before. Its snapshot names the process no more.
#[test]
fn a_process_of_consul_that_could_not_be_recorded_is_known_by_its_pid_file() {
    let actions = "replace:write#1=fail:28,sync:performed#1=die".to_owned();
    let wanted = Wanted::default().with(CONSUL, Kind::Polite, 1);
    let mut it = Player::new(wanted, [(1, Arm { actions, ..Arm::default() })]);
    consul::leave(&it.scene);
    assert!(it.launch().and_then(|()| it.settle()).is_err(), "it dies");
    let data_dir = it.scene.data_dir();
    assert_eq!(list(&data_dir.join("records")), [""; 0]);
    assert_eq!(list(&data_dir.join("pids")), ["consul.pid"]);
    it.recover();
    assert_eq!(it.finish().adoptions, 1);
}

#[test]
fn a_call_that_fails_loses_nothing() {
    let mut chance = Chance::of_test("a call fails");
    let mut all = Vec::new();
    for ((launch, point), count) in tried() {
        let Some((_, errors)) = CALLS.iter().find(|(name, _)| *name == point) else { continue };
        for &errno in *errors {
            let froms = BTreeSet::from([1, 1 + chance.below(count)]);
            for from in froms {
                for times in [1, 4] {
                    all.push(Failure { launch, point: point.clone(), from, times, errno });
                }
            }
        }
    }
    if !everything() {
        all = some(all, 40, &mut chance);
    }
    let refused = cases::play_all("a call fails", &all, play).into_iter().filter(|refused| *refused).count();
    println!("of which {refused} agents refused to start");
}

/// Among them is what followed a snapshot that was replaced: it only lies about, and has to go nevertheless.
#[test]
fn whatever_could_not_be_removed_is_removed_later_and_told() {
    let passings = trace().remove(&(1, "remove".to_owned())).expect("a first agent that removes files");
    let failure = |from| Failure { launch: 1, point: "remove".to_owned(), from, times: 1, errno: EIO };
    cases::play_all("a file stays", &(1..=passings).map(failure).collect::<Vec<_>>(), play);
}
