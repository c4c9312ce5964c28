// SPDX-License-Identifier: MPL-2.0
//! `max_handovers`: how many proxies prepare their next process at the same time. The others wait for their turn.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};

use proxyprocess::{ErrorCode, Manager, ManagerOptions, OtherGeneration, ProxyConfig, ProxyState, State, WaitFor};
use rustix::process::Signal;

use super::overlap::{gone, overlapping};
use crate::inside::{Host, helper, quick};
use crate::support::{Deadline, OVERLAPS, Scene, Start, WATCHDOG, list};

const LIMIT: usize = 3;

/// One that is ready when it reports its start.
fn ready_at_once(scene: &Scene) -> ProxyConfig {
    let mut config = overlapping(scene, "first");
    config.command = helper(scene, &["ready", "fd", "3", "at-once"]).command.env(OVERLAPS, "1");
    config
}

fn limited(scene: &Scene, limit: usize) -> ManagerOptions {
    quick(&scene.data_dir()).with_max_handovers(limit).with_event_capacity(1 << 16)
}

/// These proxies run, and are ready.
#[track_caller]
fn begun(scene: &Scene, host: &mut Host, ids: &[impl AsRef<str>]) -> Vec<Start> {
    ids.iter().for_each(|id| host.set(id.as_ref(), ready_at_once(scene)));
    host.run();
    let starts = ids.iter().map(|id| scene.reports.start(id.as_ref())).collect();
    for id in ids {
        host.manager.wait_until(id.as_ref(), WaitFor::Running, WATCHDOG).unwrap();
    }
    starts
}

/// All of these are changed, and that is followed.
#[track_caller]
fn changed(scene: &Scene, host: &mut Host, ids: &[impl AsRef<str>]) {
    ids.iter().for_each(|id| host.set(id.as_ref(), overlapping(scene, "next")));
    followed(host);
}

/// All that was declared so far is followed.
#[track_caller]
fn followed(host: &mut Host) {
    static MARKERS: AtomicU32 = AtomicU32::new(0);
    let marker = format!("marker {}", MARKERS.fetch_add(1, Ordering::Relaxed));
    host.follow(&marker);
    host.state.remove(&marker);
}

/// The other generation of a proxy once it is as is wanted.
#[track_caller]
fn other(host: &Host, id: &str, wanted: impl Fn(Option<&OtherGeneration>) -> bool) {
    let deadline = Deadline::of(format!("the other generation of {id}"));
    while !wanted(host.status(id).other.as_ref()) {
        assert!(!deadline.is_over(), "{:?}", host.status(id));
        std::thread::yield_now();
    }
}

fn waits(other: Option<&OtherGeneration>) -> bool {
    other.is_some_and(|other| (other.state, other.pid) == (ProxyState::Waiting, None))
}

#[track_caller]
fn becomes_ready(host: &Host, start: &Start) {
    start.process.signal(Signal::USR1);
    let deadline = Deadline::of(format!("{} to be handed over", start.id));
    while host.status(&start.id).pid != Some(start.pid) {
        assert!(!deadline.is_over(), "{:?}", host.status(&start.id));
        std::thread::yield_now();
    }
}

#[track_caller]
fn ends(scene: Scene, host: Host) {
    host.kill();
    assert_eq!(list(&scene.data_dir().join("records")), [""; 0]);
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn of_two_hundred_changed_at_once_no_more_than_the_limit_prepare_and_all_are_replaced_in_order() {
    let ids: Vec<String> = (0..200).map(|number| format!("p{number:03}")).collect();
    let scene = Scene::of_library();
    let mut host = Host::new(limited(&scene, LIMIT));
    let first = begun(&scene, &mut host, &ids);
    changed(&scene, &mut host, &ids);
    let mut preparing = VecDeque::new();
    for (number, id) in ids.iter().enumerate() {
        while preparing.len() < LIMIT.min(ids.len() - number) {
            let next: Start = scene.reports.any_start();
            // Of those that are started at the same time any may be the first.
            let turn = ids.iter().position(|id| *id == next.id).unwrap();
            assert!(turn < number + LIMIT, "{} is started before its turn: {number} are replaced", next.id);
            preparing.push_back(next);
        }
        if number == 0 {
            let all = host.manager.status();
            let with =
                |state| all.iter().filter(|it| it.other.as_ref().is_some_and(|other| other.state == state)).count();
            assert_eq!((with(ProxyState::Starting), with(ProxyState::Waiting)), (LIMIT, ids.len() - LIMIT));
            assert!(all.iter().all(|it| it.state == ProxyState::Running && it.ready));
        }
        let at = preparing.iter().position(|next| next.id == *id).expect("the one whose turn came first");
        // ORDER: what is started because of it is reported after it is ready.
        let next = preparing.remove(at).unwrap();
        next.process.signal(Signal::USR1);
    }
    for id in &ids {
        host.manager.wait_until(id, WaitFor::Running, WATCHDOG).unwrap();
        assert_eq!(host.status(id).generation, Some(2));
    }
    ids.iter().for_each(|id| other(&host, id, |other| other.is_none()));
    assert!(first.iter().all(|start| start.process.is_gone()));
    ends(scene, host);
}

#[test]
fn proxy_that_waits_for_its_turn_can_be_removed_reverted_and_stopped() {
    let scene = Scene::of_library();
    let mut host = Host::new(limited(&scene, 1));
    let ids = ["a", "b", "c", "d"];
    let first = begun(&scene, &mut host, &ids);
    changed(&scene, &mut host, &ids);
    let next = scene.reports.start("a");
    ids[1..].iter().for_each(|id| other(&host, id, waits));
    assert!(host.state.remove("b"));
    gone(&mut host, &first[1]);
    host.set("c", ready_at_once(&scene));
    other(&host, "c", |other| other.is_none());
    assert_eq!(host.status("c").pid, Some(first[2].pid));
    // Neither has taken the turn of the one that waits on.
    other(&host, "d", waits);
    becomes_ready(&host, &next);
    let last = scene.reports.start("d");
    assert!(!first[3].process.is_gone());
    becomes_ready(&host, &last);
    changed(&scene, &mut host, &["c"]);
    scene.reports.start("c");
    host.set("d", overlapping(&scene, "another"));
    followed(&mut host);
    other(&host, "d", waits);
    // What waits is stopped with the rest.
    ends(scene, host);
}

#[test]
fn process_that_ends_while_its_successor_waits_is_succeeded_out_of_turn() {
    let scene = Scene::of_library();
    let mut host = Host::new(limited(&scene, 1));
    let first = begun(&scene, &mut host, &["a", "b"]);
    changed(&scene, &mut host, &["a", "b"]);
    scene.reports.start("a");
    other(&host, "b", waits);
    first[1].process.kill();
    let next = scene.reports.start("b");
    becomes_ready(&host, &next);
    other(&host, "b", |other| other.is_none());
    ends(scene, host);
}

#[test]
fn next_process_that_waits_after_failures_lets_others_go_first() {
    let scene = Scene::of_library();
    let mut host = Host::new(limited(&scene, 1));
    let first = begun(&scene, &mut host, &["a", "b"]);
    changed(&scene, &mut host, &["a", "b"]);
    // It is started again at once three times.
    for _ in 0..4 {
        let next = scene.reports.start("a");
        other(&host, "b", waits);
        next.process.kill();
        gone(&mut host, &next);
    }
    let next = scene.reports.start("b");
    other(&host, "a", waits);
    assert_eq!(host.status("a").pid, Some(first[0].pid));
    becomes_ready(&host, &next);
    becomes_ready(&host, &scene.reports.start("a"));
    ends(scene, host);
}

#[test]
fn limit_that_is_raised_starts_what_waits() {
    let scene = Scene::of_library();
    let mut host = Host::new(limited(&scene, 1));
    let ids = ["a", "b", "c"];
    begun(&scene, &mut host, &ids);
    changed(&scene, &mut host, &ids);
    let a = scene.reports.start("a");
    ids[1..].iter().for_each(|id| other(&host, id, waits));
    host.manager.reconfigure(limited(&scene, 2)).unwrap();
    let b = scene.reports.start("b");
    other(&host, "c", waits);
    host.manager.reconfigure(limited(&scene, 1)).unwrap();
    followed(&mut host);
    becomes_ready(&host, &b);
    other(&host, "c", waits);
    becomes_ready(&host, &a);
    scene.reports.start("c");
    ends(scene, host);
}

#[test]
fn next_manager_goes_on_with_those_that_waited() {
    let scene = Scene::of_library();
    let mut host = Host::new(limited(&scene, 1));
    let ids = ["a", "b", "c"];
    begun(&scene, &mut host, &ids);
    changed(&scene, &mut host, &ids);
    scene.reports.start("a");
    ids[1..].iter().for_each(|id| other(&host, id, waits));
    host.close();

    let mut host = Host::new(limited(&scene, 1));
    ids.iter().for_each(|id| host.set(id, overlapping(&scene, "next")));
    host.run();
    let mut left = ids.to_vec();
    while !left.is_empty() {
        // The first one is started anew: it was not known whether it was ready.
        let next = scene.reports.any_start();
        left.retain(|id| *id != next.id);
        let all = host.manager.status();
        let prepares = |other: &&OtherGeneration| other.pid.is_some() && other.generation > Some(1);
        let count = all.iter().filter_map(|it| it.other.as_ref()).filter(prepares).count();
        assert!(count <= 1, "{all:?}");
        becomes_ready(&host, &next);
    }
    ids.iter().for_each(|id| other(&host, id, |other| other.is_none()));
    ends(scene, host);
}

#[test]
fn limit_out_of_range_is_refused_by_name() {
    for wrong in [0, (1 << 20) + 1, usize::MAX] {
        let refused = Manager::new(State::new(), ManagerOptions::default().with_max_handovers(wrong)).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidConfig);
        let message = format!("max_handovers: expected a number from 1 to 1048576, got {wrong}");
        assert_eq!(refused.to_string(), message);
    }
    assert!((1..=3).contains(&ManagerOptions::default().max_handovers));
    Manager::new(State::new(), ManagerOptions::default().with_max_handovers(1 << 20)).unwrap();
}
