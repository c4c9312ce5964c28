// SPDX-License-Identifier: MPL-2.0
//! The agent is killed while a child of it is between clone and exec, and the child takes its time.

use std::fs;

use crate::crashes::arm::{Arm, Cut};
use crate::crashes::cases;
use crate::crashes::player::Player;
use crate::crashes::wanted::{Kind, Wanted};
use crate::support::{Changes, Deadline};

/// Where the process stands still that executes.
const POINTS: [&str; 7] = [
    "child:begun",
    "child:session",
    "child:record-open",
    "child:record-write",
    "child:record-rename",
    "child:record-renamed",
    "child:execute",
];

/// Where the intermediate child does, before it clones the process and after that.
const OF_INTERMEDIATE: [&str; 2] = ["child:between", "child:cloned"];

/// Plays it for one point. The next agent wants the proxy as it is being started, or does not want it any more.
fn play(&(point, kind, still_wanted): &(&str, Kind, bool)) {
    let wanted = Wanted::default().with("web", kind, 1);
    let mut it = Player::new(wanted, [(1, Arm::leaves_in_flight(point))]);
    let began = it.launch().and_then(|()| it.settle());
    assert!(matches!(began, Err(Cut)), "the child kills the agent");
    let in_flight = it.in_flight();
    assert_eq!(in_flight.len(), if point == "child:cloned" { 2 } else { 1 }, "{in_flight:?}");
    if !still_wanted {
        it.wanted = Wanted::default().with("other", Kind::Runs, 1);
    }

    it.begin();
    let traces = Changes::of(&it.scene.path("traces"));
    let deadline = Deadline::of("the next agent to find the data directory in use");
    while !fs::read_to_string(it.trace(2)).is_ok_and(|trace| trace.contains("lock:busy")) {
        traces.wait(deadline.left());
    }
    assert!(!it.agent().is_ready(&it.scene.data_dir()), "two agents in one data directory");
    assert!(!in_flight[0].is_gone());
    fs::write(it.release(), "").expect("release the child");
    it.launch_goes_on().expect("nothing happens to this agent");
    let leaders = it.settle().expect("nothing happens to this agent");
    let adopted = still_wanted.then(|| leaders["web"].pid());
    if still_wanted {
        assert!(it.agent().status()["web"].adopted, "what was on its way is adopted");
    }
    assert!(
        in_flight.iter().any(|process| Some(process.pid()) == adopted) || point == "child:between" || !still_wanted
    );
    in_flight.iter().filter(|process| Some(process.pid()) != adopted).for_each(|process| process.wait());
    it.finish();
}

#[test]
fn a_child_in_flight_keeps_the_next_agent_waiting_and_is_managed_by_it() {
    let plain = POINTS.iter().map(|point| (*point, Kind::Runs));
    let detached = POINTS.iter().chain(&OF_INTERMEDIATE).map(|point| (*point, Kind::Detached));
    let all: Vec<_> =
        plain.chain(detached).flat_map(|(point, kind)| [(point, kind, true), (point, kind, false)]).collect();
    cases::play_all("a child in flight", &all, play);
}
