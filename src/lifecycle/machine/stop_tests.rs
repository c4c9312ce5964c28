// SPDX-License-Identifier: MPL-2.0
//! Stops, and what a crash leaves of its group, with made-up instants.

use super::tests::{ASKED, GONE, KILLED, LEFT, TOLD, World};
use super::*;
use crate::lifecycle::restart_policy::End;

#[test]
fn a_stop_is_settled_when_the_process_is_gone_and_not_before() {
    let mut world = World::running();
    assert_eq!(world.on(MachineEvent::Stop), ASKED);
    assert_eq!(world.after(4).on(MachineEvent::Timer), []);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [MachineAction::Kill]);
    assert_eq!(world.end(), GONE);
    assert_eq!(world.on(MachineEvent::Stop), [MachineAction::Settle]);
    assert_eq!(world.machine.deadline(), None);
}

/// A grace period that was too long to be added to the time ended the step, and the caller that waited for its answer waited on.
#[test]
fn with_a_grace_period_without_end_nothing_is_ever_killed() {
    let a_lifetime = 80 * 366 * 24 * 3600;
    let forever = || {
        let mut world = World::running();
        world.stop.grace_period = Duration::MAX;
        world
    };
    let mut stopped = forever();
    assert_eq!(stopped.on(MachineEvent::Stop), ASKED);
    assert_eq!(stopped.on(MachineEvent::Settings), []);
    assert_eq!(stopped.after(a_lifetime).on(MachineEvent::Timer), []);
    assert_eq!(stopped.end(), GONE);

    let mut crashed = forever();
    crashed.stop.leftover_grace = Duration::MAX;
    assert_eq!(crashed.on(MachineEvent::Exited { group_left: true, quietly: false, end: End::Unexpected }), TOLD);
    assert_eq!(crashed.after(a_lifetime).on(MachineEvent::Timer), [MachineAction::ProbeGroup]);
    assert_eq!(crashed.on(MachineEvent::Group { left: false }), [MachineAction::Scan]);
    assert_eq!(crashed.on(MachineEvent::Scanned { left: false, held: false }), [MachineAction::Spawn]);

    let mut adopted = World { machine: Machine::new(), ..forever() };
    adopted.stop.leftover_grace = Duration::MAX;
    assert_eq!(adopted.on(MachineEvent::Adopt { start_if_gone: true }), [MachineAction::Adopt]);
    assert_eq!(adopted.on(MachineEvent::AdoptionRefused { gone: true, ended: None }), LEFT);
    assert_eq!(adopted.after(a_lifetime).on(MachineEvent::Timer), []);

    let mut shortened = forever();
    assert_eq!(shortened.on(MachineEvent::Stop), ASKED);
    shortened.stop.grace_period = Duration::from_secs(1);
    assert_eq!(shortened.on(MachineEvent::Settings), []);
    assert_eq!(shortened.after(1).on(MachineEvent::Timer), [MachineAction::Kill]);
}

#[test]
fn a_leader_that_goes_first_does_not_end_the_escalation() {
    let mut world = World::running();
    world.on(MachineEvent::Stop);
    assert_eq!(
        world.after(1).on(MachineEvent::Exited { group_left: true, quietly: false, end: End::Unexpected }),
        [MachineAction::RemovePidFile]
    );
    assert_eq!(world.on(MachineEvent::Timer), [MachineAction::ProbeGroup]);
    assert_eq!(world.on(MachineEvent::Group { left: true }), []);
    assert_eq!(world.after(4).on(MachineEvent::Timer), [MachineAction::Kill, MachineAction::ProbeGroup]);
    assert_eq!(world.on(MachineEvent::Group { left: false }), [MachineAction::Scan]);
    assert_eq!(world.on(MachineEvent::Scanned { left: false, held: false }), GONE);
}

#[test]
fn what_a_crash_leaves_of_the_group_is_killed_at_once_and_before_the_restart() {
    // Whatever the leader has returned: it was not told to end.
    for quietly in [false, true] {
        let mut world = World::running();
        assert_eq!(world.on(MachineEvent::Exited { group_left: true, quietly, end: End::Unexpected }), KILLED);
        assert_eq!(world.machine.state(), ProxyState::Clearing);
        assert_eq!(world.on(MachineEvent::Timer), [MachineAction::ProbeGroup]);
        assert_eq!(world.on(MachineEvent::Group { left: true }), []);
        assert_eq!(
            world.after(5).on(MachineEvent::Timer),
            [MachineAction::Stuck, MachineAction::ProbeGroup],
            "it outlives SIGKILL"
        );
        assert_eq!(world.on(MachineEvent::Group { left: false }), [MachineAction::Scan]);
        assert_eq!(
            world.on(MachineEvent::Scanned { left: true, held: false }),
            [MachineAction::Kill],
            "it had started others"
        );
        assert_eq!(world.on(MachineEvent::Group { left: false }), [MachineAction::Scan]);
        assert_eq!(world.on(MachineEvent::Scanned { left: false, held: false }), [MachineAction::Spawn]);
    }
}

impl World {
    /// As [`World::running`], with a leftover grace of three seconds.
    fn running_with_leftover_grace() -> World {
        let mut world = World::running();
        world.stop.leftover_grace = Duration::from_secs(3);
        world
    }
}

#[test]
fn leftovers_that_are_declared_to_have_time_get_the_stop_signal_first() {
    let mut world = World::running_with_leftover_grace();
    assert_eq!(world.on(MachineEvent::Exited { group_left: true, quietly: false, end: End::Unexpected }), TOLD);
    assert_eq!(world.after(2).on(MachineEvent::Timer), [MachineAction::ProbeGroup]);
    assert_eq!(world.on(MachineEvent::Group { left: true }), []);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [MachineAction::Kill, MachineAction::ProbeGroup]);
    assert_eq!(world.on(MachineEvent::Group { left: false }), [MachineAction::Scan]);
    assert_eq!(world.on(MachineEvent::Scanned { left: false, held: false }), [MachineAction::Spawn]);

    let mut adopted = World { machine: Machine::new(), ..World::running_with_leftover_grace() };
    adopted.on(MachineEvent::Adopt { start_if_gone: true });
    adopted.on(MachineEvent::AdoptionRefused { gone: true, ended: None });
    assert_eq!(adopted.on(MachineEvent::Scanned { left: true, held: false }), [MachineAction::SignalStop { step: 0 }]);
    adopted.on(MachineEvent::Group { left: true });
    assert_eq!(adopted.after(3).on(MachineEvent::Timer), [MachineAction::Kill, MachineAction::ProbeGroup]);
}

#[test]
fn leftovers_that_a_long_scan_finds_have_their_whole_time_from_then_on() {
    let scanning = |event| {
        let mut world = World::running_with_leftover_grace();
        world.on(MachineEvent::Exited { group_left: false, quietly: true, end: End::Unexpected });
        world.on(event);
        world.after(60).on(MachineEvent::Timer);
        world
    };
    let found = MachineEvent::Scanned { left: true, held: false };
    let mut world = scanning(MachineEvent::Settings);
    assert_eq!(world.on(found), [MachineAction::SignalStop { step: 0 }]);
    world.on(MachineEvent::Group { left: true });
    assert_eq!(world.after(2).on(MachineEvent::Timer), [MachineAction::ProbeGroup]);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [MachineAction::Kill, MachineAction::ProbeGroup]);

    let mut stopped = scanning(MachineEvent::Stop);
    stopped.stop.grace_period = Duration::from_secs(1);
    assert_eq!(stopped.on(found), [MachineAction::SignalStop { step: 0 }]);
    assert_eq!(
        stopped.after(1).on(MachineEvent::Timer),
        [MachineAction::Kill, MachineAction::ProbeGroup],
        "no more than a stop gives"
    );

    // What a second scan finds has had the signal, or is of what has.
    let mut world = scanning(MachineEvent::Settings);
    world.on(found);
    world.after(3).on(MachineEvent::Timer);
    world.on(MachineEvent::Group { left: false });
    assert_eq!(world.on(found), [MachineAction::Kill]);
}

#[test]
fn a_stop_gives_leftovers_of_a_crash_no_more_time_than_its_own_grace_period() {
    for event in [MachineEvent::Stop, MachineEvent::Replace] {
        let mut world = World::running_with_leftover_grace();
        world.on(MachineEvent::Exited { group_left: true, quietly: false, end: End::Unexpected });
        world.stop.grace_period = Duration::from_secs(1);
        assert_eq!(world.on(event), []);
        assert_eq!(
            world.after(1).on(MachineEvent::Timer),
            [MachineAction::Kill, MachineAction::ProbeGroup],
            "{event:?}"
        );
    }
    let mut world = World::running_with_leftover_grace();
    world.on(MachineEvent::Exited { group_left: true, quietly: false, end: End::Unexpected });
    world.after(2).on(MachineEvent::Stop);
    assert_eq!(
        world.after(1).on(MachineEvent::Timer),
        [MachineAction::Kill, MachineAction::ProbeGroup],
        "nor more than they had"
    );
}

#[test]
fn a_leftover_grace_that_is_taken_away_is_over() {
    let mut world = World::running_with_leftover_grace();
    world.on(MachineEvent::Exited { group_left: true, quietly: false, end: End::Unexpected });
    world.stop.leftover_grace = Duration::ZERO;
    assert_eq!(world.on(MachineEvent::Settings), []);
    assert_eq!(world.on(MachineEvent::Timer), [MachineAction::Kill, MachineAction::ProbeGroup]);
}

#[test]
fn what_outlives_sigkill_is_admitted_once_and_still_awaited() {
    let mut world = World::running();
    world.on(MachineEvent::Stop);
    world.after(5).on(MachineEvent::Timer);
    assert_eq!(world.after(5).on(MachineEvent::Timer), [MachineAction::Stuck]);
    assert_eq!(world.after(60).on(MachineEvent::Timer), []);
    assert_eq!(world.on(MachineEvent::Stop), [MachineAction::Stuck], "a second stop is told at once");
    assert_eq!(world.end(), GONE);
}

#[test]
fn what_left_the_group_is_ended_like_the_group() {
    let mut world = World::running();
    world.on(MachineEvent::Stop);
    assert_eq!(world.on(MachineEvent::Exited { group_left: false, quietly: true, end: End::Unexpected }), LEFT);
    assert_eq!(world.on(MachineEvent::Scanned { left: true, held: false }), [MachineAction::SignalStop { step: 0 }]);
    assert_eq!(world.on(MachineEvent::Group { left: true }), []);
    assert_eq!(
        world.after(5).on(MachineEvent::Timer),
        [MachineAction::Kill, MachineAction::ProbeGroup],
        "no second grace period"
    );
    assert_eq!(world.on(MachineEvent::Group { left: false }), [MachineAction::Scan], "they may have started others");
    assert_eq!(
        world.on(MachineEvent::Scanned { left: true, held: false }),
        [MachineAction::Kill],
        "their time is over"
    );
    assert_eq!(world.after(5).on(MachineEvent::Timer), [MachineAction::Stuck, MachineAction::ProbeGroup]);
    assert_eq!(world.on(MachineEvent::Group { left: false }), [MachineAction::Scan]);
    assert_eq!(world.on(MachineEvent::Scanned { left: false, held: false }), GONE);
}

#[test]
fn a_search_that_does_not_end_does_not_hold_up_the_answer() {
    let mut world = World::running();
    world.on(MachineEvent::Stop);
    world.on(MachineEvent::Exited { group_left: false, quietly: true, end: End::Unexpected });
    assert_eq!(world.after(5).on(MachineEvent::Timer), [MachineAction::Kill]);
    assert_eq!(world.after(5).on(MachineEvent::Timer), [MachineAction::Stuck]);
    assert_eq!(world.on(MachineEvent::Scanned { left: false, held: false }), GONE);
}

#[test]
fn a_crash_is_not_searched_for_what_it_left_before_a_successor_has_to_wait() {
    let crash = MachineEvent::Exited { group_left: false, quietly: false, end: End::Unexpected };
    let mut world = World::running();
    for _ in 0..3 {
        assert_eq!(world.on(crash), [MachineAction::Spawn]);
        world.on(MachineEvent::Spawned);
    }
    assert_eq!(world.on(crash), LEFT);
    assert_eq!(world.on(MachineEvent::Scanned { left: true, held: false }), [MachineAction::Kill]);
    world.on(MachineEvent::Group { left: false });
    let wait = MachineAction::Announce(Announcement::Waiting(Duration::from_secs(2)));
    assert_eq!(world.on(MachineEvent::Scanned { left: false, held: false }), [MachineAction::CleanUp, wait]);
}
