// SPDX-License-Identifier: MPL-2.0
//! Readiness in the machine, with made-up instants.

use super::tests::{ASKED, GONE, LEFT, World};
use super::*;
use crate::lifecycle::readiness::Readiness;
use crate::lifecycle::restart_policy::End;

const WITHIN: Duration = Duration::from_secs(90);
const WAIT: Duration = Duration::from_secs(2);
const LATE: [MachineAction; 3] = [MachineAction::Announce(Announcement::NotReady), ASKED[0], ASKED[1]];
const NOT_READY: MachineEvent = MachineEvent::NotReady { known: true };
const READY: [MachineAction; 1] = [MachineAction::Announce(Announcement::Ready)];

impl World {
    fn awaiting(readiness: Readiness) -> World {
        let mut world = World { readiness, ..World::new() };
        world.on(MachineEvent::Start);
        world.on(MachineEvent::Spawned);
        assert_eq!(world.machine.state(), ProxyState::Starting);
        world
    }

    fn probed() -> World {
        let mut world = World::awaiting(Readiness::Probed { within: WITHIN, first: Duration::ZERO });
        assert_eq!(world.on(NOT_READY), []);
        world
    }

    /// The next timer is due.
    fn at_deadline(&mut self) -> Vec<MachineAction> {
        self.now = self.machine.deadline().unwrap();
        self.on(MachineEvent::Timer)
    }

    fn adopted(readiness: Readiness, age: Option<u64>) -> (World, Vec<MachineAction>) {
        let mut world = World { readiness, ..World::new() };
        world.on(MachineEvent::Adopt { start_if_gone: true });
        let actions = world.on(MachineEvent::Adopted { age: age.map(Duration::from_secs) });
        (world, actions)
    }
}

#[test]
fn process_is_starting_until_a_probe_succeeds() {
    let mut world = World::probed();
    let begun = world.now;
    for _ in 0..7 {
        assert_eq!(world.at_deadline(), [MachineAction::ProbeReady]);
        assert_eq!(world.on(NOT_READY), []);
    }
    assert_eq!(world.now - begun, Duration::from_millis(10 + 20 + 40 + 80 + 160 + 320 + 500));
    assert!(world.machine.runs());
    assert_eq!(world.on(MachineEvent::Ready), READY);
    assert_eq!((world.machine.state(), world.machine.deadline()), (ProxyState::Running, None));
    assert_eq!(world.on(MachineEvent::Ready), [], "a second answer");
}

#[test]
fn next_process_of_a_handover_is_first_probed_when_it_has_run_for_a_while() {
    let first = Duration::from_secs(1);
    let probed_late = Readiness::Probed { within: WITHIN, first };
    let mut world = World::awaiting(probed_late);
    let begun = world.now;
    assert_eq!(world.on(MachineEvent::Settings), [], "its address may be another one");
    assert_eq!(world.at_deadline(), [MachineAction::ProbeReady]);
    assert_eq!(world.now - begun, first);
    assert_eq!(world.on(MachineEvent::Ready), READY);
    // One of an earlier agent has run for a part of it.
    let (mut world, actions) = World::adopted(Readiness::Probed { within: WITHIN, first: 3 * first }, Some(1));
    let begun = world.now;
    assert_eq!(actions, []);
    assert_eq!(world.at_deadline(), [MachineAction::ProbeReady]);
    assert_eq!(world.now - begun, 2 * first);
    let (_, actions) = World::adopted(probed_late, Some(1));
    assert_eq!(actions, [MachineAction::ProbeReady]);
}

#[test]
fn process_that_reports_is_asked_only_when_its_time_is_over() {
    let mut world = World::awaiting(Readiness::Reported { within: WITHIN });
    assert_eq!(world.machine.deadline(), Some(world.now + WITHIN));
    assert_eq!(world.at_deadline(), [MachineAction::ProbeReady]);
    assert_eq!(world.on(MachineEvent::Ready), READY, "it was in time, and the thread late");

    let mut world = World::awaiting(Readiness::Reported { within: WITHIN });
    assert_eq!(world.at_deadline(), [MachineAction::ProbeReady]);
    assert_eq!(world.on(NOT_READY), LATE);
}

#[test]
fn process_that_is_not_ready_in_time_is_stopped_and_started_again_as_after_a_crash() {
    let mut world = World::probed();
    world.restart.attempts_before_backoff = 0;
    world.after(90);
    assert_eq!(world.on(MachineEvent::Timer), [MachineAction::ProbeReady], "it may have become ready meanwhile");
    assert_eq!(world.on(NOT_READY), LATE);
    assert_eq!(world.machine.state(), ProxyState::Stopping);
    assert!(world.machine.awaits_end());
    assert_eq!(world.on(MachineEvent::Settings), [], "its grace period is that of a stop");
    assert_eq!(world.after(4).on(MachineEvent::Timer), []);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [MachineAction::Kill]);
    assert_eq!(world.end(), [MachineAction::CleanUp, MachineAction::Announce(Announcement::Waiting(WAIT))]);
    assert_eq!(world.after(2).on(MachineEvent::Timer), [MachineAction::Spawn]);

    let mut world = World::probed();
    world.after(90).on(NOT_READY);
    assert_eq!(
        world.on(MachineEvent::Exited { group_left: true, quietly: false, end: End::Unexpected }),
        [MachineAction::RemovePidFile]
    );
    assert_eq!(world.on(MachineEvent::Settings), []);
    assert_eq!(world.on(MachineEvent::Timer), [MachineAction::ProbeGroup], "what it has left has the time of a stop");
    assert_eq!(world.on(MachineEvent::Group { left: false }), [MachineAction::Scan]);
    assert_eq!(
        world.on(MachineEvent::Scanned { left: false, held: false }),
        [MachineAction::Spawn],
        "the first failure"
    );
}

#[test]
fn process_is_not_stopped_while_the_agent_cannot_ask_whether_it_is_ready() {
    let unknown = MachineEvent::NotReady { known: false };
    for readiness in
        [Readiness::Probed { within: WITHIN, first: Duration::ZERO }, Readiness::Reported { within: WITHIN }]
    {
        let mut world = World::awaiting(readiness);
        assert_eq!(world.after(90).on(unknown), []);
        assert_eq!(world.at_deadline(), [MachineAction::ProbeReady]);
        assert_eq!(world.on(unknown), []);
        assert_eq!(world.at_deadline(), [MachineAction::ProbeReady]);
        assert_eq!(world.on(NOT_READY), LATE);
    }
}

#[test]
fn request_during_the_stop_of_one_that_was_not_ready_is_followed() {
    let late = || {
        let mut world = World::probed();
        world.restart.attempts_before_backoff = 0;
        world.after(90).on(NOT_READY);
        world
    };
    let mut stopped = late();
    assert_eq!(stopped.on(MachineEvent::Stop), []);
    assert_eq!(stopped.end(), GONE);
    let mut replaced = late();
    assert_eq!(replaced.on(MachineEvent::Replace), []);
    assert_eq!(replaced.end(), [MachineAction::Settle, MachineAction::Spawn]);
    let mut started = late();
    assert_eq!(started.on(MachineEvent::Start), []);
    assert!(started.machine.is_stopped_as_failed());
    assert_eq!(started.end(), [MachineAction::CleanUp, MachineAction::Announce(Announcement::Waiting(WAIT))]);
}

#[test]
fn end_before_readiness_is_no_healthy_run_however_long_it_was() {
    let mut world = World::probed();
    let crash = MachineEvent::Exited { group_left: false, quietly: false, end: End::Unexpected };
    for _ in 0..3 {
        assert_eq!(world.after(60).on(crash), [MachineAction::Spawn]);
        world.on(MachineEvent::Spawned);
    }
    assert_eq!(world.after(60).on(crash), LEFT);
    assert_eq!(
        world.on(MachineEvent::Scanned { left: false, held: false }),
        [MachineAction::CleanUp, MachineAction::Announce(Announcement::Waiting(WAIT))]
    );
}

#[test]
fn stop_and_replacement_do_not_wait_for_readiness() {
    let mut world = World::probed();
    assert_eq!(world.on(MachineEvent::Stop), ASKED);
    assert_eq!(world.on(NOT_READY), []);
    assert_eq!(world.end(), GONE);
    let mut world = World::probed();
    assert_eq!(world.on(MachineEvent::Replace), ASKED);
    assert_eq!(world.end(), [MachineAction::Settle, MachineAction::Spawn]);
}

#[test]
fn adopted_process_has_the_rest_of_its_time_and_an_older_one_is_not_stopped() {
    let probed = Readiness::Probed { within: WITHIN, first: Duration::ZERO };
    let (mut young, actions) = World::adopted(probed, Some(80));
    assert_eq!((actions, young.machine.state()), (vec![MachineAction::ProbeReady], ProxyState::Starting));
    assert_eq!(young.after(9).on(NOT_READY), []);
    assert_eq!(young.after(1).on(NOT_READY), LATE);
    for age in [Some(90), Some(100), None] {
        let (mut old, actions) = World::adopted(probed, age);
        assert_eq!(actions, [MachineAction::ProbeReady]);
        assert_eq!(old.after(10_000).on(NOT_READY), [], "{age:?}");
        assert_eq!(old.at_deadline(), [MachineAction::ProbeReady]);
        assert_eq!(old.on(MachineEvent::Ready), READY);
    }
}

#[test]
fn adopted_process_that_reports_is_taken_as_ready() {
    let (world, actions) = World::adopted(Readiness::Reported { within: WITHIN }, Some(1));
    assert_eq!((actions, world.machine.state()), (vec![], ProxyState::Running));
}

#[test]
fn new_settings_hold_for_a_start_that_is_under_way() {
    let mut world = World::probed();
    world.readiness = Readiness::Probed { within: Duration::from_secs(1), first: Duration::ZERO };
    assert_eq!(world.on(MachineEvent::Settings), [MachineAction::ProbeReady], "the address may be another one");
    assert_eq!(world.after(1).on(NOT_READY), LATE, "its time is shorter");

    let mut world = World::probed();
    world.readiness = Readiness::Started;
    assert_eq!(world.on(MachineEvent::Settings), READY);

    let mut running = World::running();
    running.readiness = Readiness::Probed { within: WITHIN, first: Duration::ZERO };
    assert_eq!(running.on(MachineEvent::Settings), [], "it is ready as it was declared");
    assert_eq!(running.machine.state(), ProxyState::Running);
}

#[test]
fn process_that_asks_for_more_time_has_it_from_then_on_and_never_less() {
    let mut world = World::awaiting(Readiness::Reported { within: WITHIN });
    let begun = world.now;
    let deadline = |world: &World| world.machine.deadline().unwrap() - begun;
    world.now += WITHIN / 2;
    assert_eq!(world.on(MachineEvent::MoreTime { by: Duration::from_secs(1) }), []);
    assert_eq!(deadline(&world), WITHIN);
    assert_eq!(world.on(MachineEvent::MoreTime { by: WITHIN }), []);
    assert_eq!(deadline(&world), WITHIN / 2 + WITHIN);
    assert_eq!(world.at_deadline(), [MachineAction::ProbeReady]);
    // It asks at the last moment.
    world.on(MachineEvent::MoreTime { by: WITHIN });
    assert_eq!(world.on(NOT_READY), []);
    assert_eq!(world.on(MachineEvent::Ready), READY);
    assert_eq!(world.on(MachineEvent::MoreTime { by: WITHIN }), []);
    assert_eq!(world.machine.deadline(), None);
}
