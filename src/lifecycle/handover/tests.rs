// SPDX-License-Identifier: MPL-2.0
//! Handovers step by step.

use super::HandoverAction::{Promote, ReplaceCurrent, StartNext, StopCurrent, StopOther};
use super::HandoverEvent::{
    CurrentEnded, NextReady, NotPromoted, OtherGone, Promoted, Reverted, Stop, Wanted, WantedAlone,
};
use super::*;

/// What leads to each phase with two generations that are not both ending.
const PHASES: [&[HandoverEvent]; 5] = [
    &[Wanted],
    &[Wanted, NextReady],
    &[Wanted, NextReady, Promoted],
    &[Wanted, NextReady, Promoted, Wanted],
    &[Wanted, Reverted],
];

/// What a sequence of events leads to, each with its actions.
fn walk(events: &[(HandoverEvent, &[HandoverAction])]) -> Handover {
    let mut handover = Handover::new();
    for (at, (event, expected)) in events.iter().enumerate() {
        assert_eq!(handover.on(*event), *expected, "{at}: {event:?}");
    }
    handover
}

#[test]
fn predecessor_is_stopped_when_the_next_one_is_ready_and_not_before() {
    let after = walk(&[(Wanted, &[StartNext]), (NextReady, &[Promote]), (Promoted, &[StopOther]), (OtherGone, &[])]);
    assert!(after.is_over());
}

#[test]
fn change_during_a_handover_replaces_the_next_one_and_never_the_current_one() {
    let after =
        walk(&[(Wanted, &[StartNext]), (Wanted, &[StartNext]), (Wanted, &[StartNext]), (NextReady, &[Promote])]);
    assert!(after.has_next());
}

#[test]
fn change_back_stops_the_next_one_and_one_more_starts_it_again() {
    walk(&[(Wanted, &[StartNext]), (Reverted, &[StopOther]), (NextReady, &[]), (Wanted, &[StartNext])]);
    assert!(walk(&[(Wanted, &[StartNext]), (Reverted, &[StopOther]), (OtherGone, &[])]).is_over());
}

#[test]
fn current_one_that_ends_is_succeeded_at_once_by_the_next_one() {
    walk(&[(Wanted, &[StartNext]), (CurrentEnded, &[StopCurrent, Promote]), (Promoted, &[StopOther])]);
    walk(&[(Wanted, &[StartNext]), (NextReady, &[Promote]), (CurrentEnded, &[StopCurrent]), (Promoted, &[StopOther])]);
}

#[test]
fn files_that_are_not_exchanged_leave_a_next_one_that_can_be_superseded() {
    let failed = [(Wanted, &[StartNext][..]), (NextReady, &[Promote]), (NotPromoted, &[])];
    walk(&[&failed[..], &[(NextReady, &[Promote]), (Promoted, &[StopOther])]].concat());
    walk(&[&failed[..], &[(Wanted, &[StartNext])]].concat());
    walk(&[(Wanted, &[StartNext]), (NextReady, &[Promote]), (Wanted, &[]), (NotPromoted, &[StartNext])]);
    let stopped = [(Wanted, &[StartNext][..]), (NextReady, &[Promote]), (Stop, &[StopOther, StopCurrent])];
    assert!(walk(&[&stopped[..], &[(NotPromoted, &[]), (OtherGone, &[])]].concat()).is_over());
}

#[test]
fn third_generation_waits_until_the_first_one_is_gone() {
    let begin = [(Wanted, &[StartNext][..]), (NextReady, &[Promote])];
    let drained: [(HandoverEvent, &[HandoverAction]); 4] =
        [(Wanted, &[]), (Promoted, &[StopOther]), (Wanted, &[]), (OtherGone, &[StartNext])];
    walk(&[&begin[..], &drained].concat());
    let unwanted: [(HandoverEvent, &[HandoverAction]); 4] =
        [(Promoted, &[StopOther]), (Wanted, &[]), (Reverted, &[]), (OtherGone, &[])];
    assert!(walk(&[&begin[..], &unwanted].concat()).is_over());
    // With the second one gone as well there is nothing to be started beside.
    let crashed: [(HandoverEvent, &[HandoverAction]); 4] =
        [(Promoted, &[StopOther]), (Wanted, &[]), (CurrentEnded, &[ReplaceCurrent]), (OtherGone, &[])];
    assert!(walk(&[&begin[..], &crashed].concat()).is_over());
}

#[test]
fn stop_ends_both_in_every_phase() {
    for events in PHASES {
        let mut handover = Handover::new();
        events.iter().for_each(|event| drop(handover.on(*event)));
        let actions = handover.on(Stop);
        assert!(actions.contains(&StopCurrent), "{events:?}");
        assert!(actions.contains(&StopOther) || events.last() == Some(&Reverted), "{events:?}");
        assert_eq!(handover.on(Promoted), []);
        assert_eq!(handover.on(OtherGone), []);
        assert!(handover.is_over());
    }
    assert_eq!(walk(&[]).on(Stop), [StopCurrent]);
}

#[test]
fn proxy_that_is_declared_again_while_both_end_is_replaced() {
    let after = walk(&[
        (Wanted, &[StartNext]),
        (Stop, &[StopOther, StopCurrent]),
        (Wanted, &[ReplaceCurrent]),
        (OtherGone, &[]),
    ]);
    assert!(after.is_over());
}

#[test]
fn proxy_that_is_declared_again_while_files_are_exchanged_is_replaced_when_that_is_done() {
    let stopped = [(Wanted, &[StartNext][..]), (NextReady, &[Promote]), (Stop, &[StopOther, StopCurrent])];
    let again: [(HandoverEvent, &[HandoverAction]); 4] =
        [(Wanted, &[]), (Reverted, &[]), (Promoted, &[]), (OtherGone, &[ReplaceCurrent])];
    assert!(walk(&[&stopped[..], &again].concat()).is_over());
    let gone_before: [(HandoverEvent, &[HandoverAction]); 2] = [(Wanted, &[]), (OtherGone, &[ReplaceCurrent])];
    assert!(walk(&[&stopped[..], &gone_before].concat()).is_over());
    let stopped_again: [(HandoverEvent, &[HandoverAction]); 4] =
        [(Wanted, &[]), (Stop, &[]), (Promoted, &[]), (OtherGone, &[])];
    assert!(walk(&[&stopped[..], &stopped_again].concat()).is_over());
}

#[test]
fn process_that_must_not_overlap_is_started_when_both_are_gone_in_every_phase() {
    for events in PHASES.into_iter().chain([&[Wanted, Stop][..]]) {
        let mut handover = Handover::new();
        let mut actions: Vec<HandoverAction> = events.iter().flat_map(|event| handover.on(*event)).collect();
        actions.extend(handover.on(WantedAlone));
        assert!(actions.contains(&StopCurrent) && actions.contains(&StopOther), "{events:?}");
        assert!(handover.awaits_next());
        assert_eq!(handover.on(Promoted), []);
        assert_eq!(handover.on(OtherGone), [ReplaceCurrent], "{events:?}");
        assert!(handover.is_over());
    }
    assert_eq!(walk(&[]).on(WantedAlone), [ReplaceCurrent]);
}
