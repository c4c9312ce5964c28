// SPDX-License-Identifier: MPL-2.0
//! Starts, restarts and adoptions of the machine, with made-up instants.

use super::*;
use crate::lifecycle::readiness::Readiness;
use crate::lifecycle::restart_policy::End;
use crate::lifecycle::{RestartSettings, StopSettings};

pub(super) struct World {
    pub(super) machine: Machine,
    pub(super) now: Instant,
    pub(super) restart: RestartSettings,
    pub(super) stop: StopSettings,
    pub(super) readiness: Readiness,
    pub(super) needs_turn: bool,
}

impl World {
    pub(super) fn new() -> World {
        let (restart, stop) = (RestartSettings::default(), StopSettings::default());
        let (machine, now, readiness, needs_turn) = (Machine::new(), Instant::now(), Readiness::Started, false);
        World { machine, now, restart, stop, readiness, needs_turn }
    }

    pub(super) fn on(&mut self, event: MachineEvent) -> Vec<MachineAction> {
        let World { restart, stop, readiness, needs_turn, .. } = self;
        let settings = Settings { restart, stop, readiness: *readiness, needs_turn: *needs_turn };
        self.machine.on(event, self.now, settings, 0.5)
    }

    /// The leader ends and leaves nothing.
    pub(super) fn end(&mut self) -> Vec<MachineAction> {
        assert_eq!(self.on(MachineEvent::Exited { group_left: false, quietly: true, end: End::Unexpected }), LEFT);
        self.on(MachineEvent::Scanned { left: false, held: false })
    }

    pub(super) fn after(&mut self, seconds: u64) -> &mut World {
        self.now += Duration::from_secs(seconds);
        self
    }

    pub(super) fn running() -> World {
        let mut world = World::new();
        assert_eq!(world.on(MachineEvent::Start), [MachineAction::Spawn]);
        assert_eq!(world.on(MachineEvent::Spawned), []);
        world
    }
}

pub(super) const GONE: [MachineAction; 3] =
    [MachineAction::CleanUp, MachineAction::Announce(Announcement::Stopped), MachineAction::Settle];
pub(super) const LEFT: [MachineAction; 2] = [MachineAction::RemovePidFile, MachineAction::Scan];
pub(super) const KILLED: [MachineAction; 2] = [MachineAction::Kill, MachineAction::RemovePidFile];
pub(super) const TOLD: [MachineAction; 2] = [MachineAction::SignalStop { step: 0 }, MachineAction::RemovePidFile];
pub(super) const ASKED: [MachineAction; 2] =
    [MachineAction::SignalStop { step: 0 }, MachineAction::Announce(Announcement::Stopping)];

#[test]
fn a_crash_is_followed_by_a_start_at_once_and_later_by_waits() {
    let mut world = World::running();
    for _ in 0..3 {
        assert_eq!(world.after(1).end(), [MachineAction::Spawn]);
        world.on(MachineEvent::Spawned);
    }
    let wait = Duration::from_secs(2);
    assert_eq!(world.end(), [MachineAction::CleanUp, MachineAction::Announce(Announcement::Waiting(wait))]);
    assert_eq!(world.machine.deadline(), Some(world.now + wait));
    assert_eq!(world.after(1).on(MachineEvent::Timer), []);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [MachineAction::Spawn]);
}

#[test]
fn a_wait_without_end_is_one() {
    let mut world = World::running();
    world.restart.max_wait = Duration::MAX;
    let mut waits = (0..100).map(|_| world.machine.backoff.after_exit(&world.restart, Duration::ZERO, 0.5));
    assert_eq!(waits.nth(30), Some(Duration::from_secs(2 << 27)));
    assert_eq!(waits.last(), Some(Duration::MAX));
    assert_eq!(world.end(), [MachineAction::CleanUp, MachineAction::Announce(Announcement::Waiting(Duration::MAX))]);
    assert_eq!(world.on(MachineEvent::Settings), []);
    assert_eq!(world.after(80 * 366 * 24 * 3600).on(MachineEvent::Timer), []);
    world.restart.max_wait = Duration::from_secs(1);
    assert_eq!(world.on(MachineEvent::Settings), []);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [MachineAction::Spawn]);
}

#[test]
fn replacing_stops_the_old_and_starts_the_new_when_it_is_gone() {
    let mut world = World::running();
    assert_eq!(world.on(MachineEvent::Replace), ASKED);
    assert_eq!(world.end(), [MachineAction::Settle, MachineAction::Spawn]);
    assert_eq!(world.on(MachineEvent::Replace), [], "the new one is not there yet");
    assert_eq!(world.on(MachineEvent::Spawned), ASKED, "what was started is outdated");
    assert_eq!(world.on(MachineEvent::Stop), []);
    assert_eq!(world.end(), GONE, "the stop came last");
}

#[test]
fn a_stop_during_the_start_ends_what_was_started() {
    let mut world = World::new();
    world.on(MachineEvent::Start);
    assert_eq!(world.on(MachineEvent::Stop), []);
    assert_eq!(world.on(MachineEvent::Spawned), ASKED);
    let mut world = World::new();
    world.on(MachineEvent::Start);
    world.on(MachineEvent::Stop);
    assert_eq!(world.on(MachineEvent::SpawnFailed { hopeless: false }), GONE);
}

#[test]
fn a_failed_start_waits_and_a_hopeless_one_fails() {
    let mut world = World::new();
    world.on(MachineEvent::Start);
    let wait = Duration::from_secs(1);
    let actions = world.on(MachineEvent::SpawnFailed { hopeless: false });
    assert_eq!(actions, [MachineAction::CleanUp, MachineAction::Announce(Announcement::Waiting(wait))]);
    world.after(1).on(MachineEvent::Timer);
    let actions = world.on(MachineEvent::SpawnFailed { hopeless: true });
    assert_eq!(actions, [MachineAction::CleanUp, MachineAction::Announce(Announcement::Failed)]);
    assert_eq!(world.on(MachineEvent::Replace), [MachineAction::Spawn], "a new declaration has its chance");
}

#[test]
fn a_restored_process_that_is_gone_is_not_started_before_it_is_asked_for() {
    let mut world = World::new();
    assert_eq!(world.on(MachineEvent::Adopt { start_if_gone: false }), [MachineAction::Adopt]);
    assert_eq!(world.on(MachineEvent::AdoptionRefused { gone: true, ended: None }), LEFT);
    assert_eq!(world.on(MachineEvent::Scanned { left: false, held: false }), [MachineAction::CleanUp]);
    assert_eq!(world.machine.state(), ProxyState::Idle);
    assert_eq!(world.on(MachineEvent::Start), [MachineAction::Spawn]);
}

#[test]
fn no_successor_runs_beside_what_left_the_group() {
    let mut world = World::running();
    world.on(MachineEvent::Exited { group_left: false, quietly: true, end: End::Unexpected });
    assert_eq!(world.on(MachineEvent::Scanned { left: true, held: false }), [MachineAction::Kill]);
    assert_eq!(world.machine.state(), ProxyState::Clearing);
    world.on(MachineEvent::Group { left: false });
    assert_eq!(world.on(MachineEvent::Scanned { left: false, held: false }), [MachineAction::Spawn]);
    let mut world = World::new();
    world.on(MachineEvent::Adopt { start_if_gone: false });
    world.on(MachineEvent::AdoptionRefused { gone: true, ended: None });
    assert_eq!(world.on(MachineEvent::Scanned { left: true, held: false }), [MachineAction::Kill]);
    assert_eq!(world.on(MachineEvent::Start), [], "it waits");
    world.on(MachineEvent::Group { left: false });
    assert_eq!(world.on(MachineEvent::Scanned { left: false, held: false }), [MachineAction::Spawn]);
}

#[test]
fn a_start_is_held_while_a_process_lives_that_may_be_of_the_old_group() {
    let held = |event: MachineEvent| {
        let mut world = World::new();
        world.on(MachineEvent::Adopt { start_if_gone: true });
        world.on(MachineEvent::AdoptionRefused { gone: true, ended: None });
        assert_eq!(world.on(MachineEvent::Scanned { left: false, held: true }), []);
        assert_eq!((world.machine.state(), world.on(event)), (ProxyState::Clearing, vec![]));
        world
    };
    let mut world = held(MachineEvent::Start);
    let until = world.now + defaults::HELD_START;
    assert_eq!(world.machine.next_start(), Some(until));
    assert_eq!(world.machine.deadline(), Some(world.now + defaults::HELD_START_INTERVAL));
    assert_eq!(world.after(1).on(MachineEvent::Timer), [MachineAction::ProbeHeld]);
    assert_eq!(world.on(MachineEvent::Held { left: true }), []);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [MachineAction::ProbeHeld]);
    assert_eq!(world.on(MachineEvent::Held { left: false }), [MachineAction::Spawn], "it has ended");

    let mut world = held(MachineEvent::Replace);
    world.now += defaults::HELD_START;
    assert_eq!(world.on(MachineEvent::Timer), [MachineAction::ProbeHeld]);
    assert_eq!(
        world.on(MachineEvent::Held { left: true }),
        [MachineAction::Settle, MachineAction::Spawn],
        "the time is over"
    );

    assert_eq!(held(MachineEvent::Settings).on(MachineEvent::Stop), GONE, "a stop is not held");
}

#[test]
fn a_stop_is_not_held() {
    let mut world = World::running();
    world.on(MachineEvent::Stop);
    world.on(MachineEvent::Exited { group_left: false, quietly: true, end: End::Unexpected });
    assert_eq!(world.on(MachineEvent::Scanned { left: false, held: true }), GONE);

    let mut world = World::running();
    world.on(MachineEvent::Stop);
    world.on(MachineEvent::Start);
    world.on(MachineEvent::Exited { group_left: false, quietly: true, end: End::Unexpected });
    assert_eq!(
        world.on(MachineEvent::Scanned { left: false, held: true }),
        [MachineAction::Settle],
        "the stop is answered"
    );
    assert_eq!(world.machine.state(), ProxyState::Clearing);
}

#[test]
fn a_hold_that_begins_before_a_start_is_asked_for_holds_it_and_alone_starts_nothing() {
    for (started, expected) in [(true, MachineAction::Spawn), (false, MachineAction::CleanUp)] {
        let mut world = World::new();
        world.on(MachineEvent::Adopt { start_if_gone: false });
        world.on(MachineEvent::AdoptionRefused { gone: true, ended: None });
        assert_eq!(world.on(MachineEvent::Scanned { left: false, held: true }), []);
        if started {
            assert_eq!(world.on(MachineEvent::Start), []);
        }
        assert_eq!(world.on(MachineEvent::Held { left: false }), [expected]);
    }
}

#[test]
fn a_process_that_may_live_is_neither_doubled_nor_signalled() {
    let mut world = World::new();
    world.on(MachineEvent::Adopt { start_if_gone: true });
    let actions = world.on(MachineEvent::AdoptionRefused { gone: false, ended: None });
    assert_eq!(actions, [MachineAction::Announce(Announcement::Waiting(Duration::from_secs(1)))]);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [MachineAction::Adopt]);
    assert_eq!(world.on(MachineEvent::Stop), []);
    let actions = world.on(MachineEvent::AdoptionRefused { gone: false, ended: None });
    assert_eq!(actions[0], MachineAction::Stuck, "the waiting stop returns that it is not certain");
    assert_eq!(world.on(MachineEvent::Stop), [MachineAction::Adopt]);
    assert_eq!(world.on(MachineEvent::Adopted { age: None }), ASKED);
}

#[test]
fn new_settings_shorten_what_is_under_way() {
    let mut world = World::new();
    world.on(MachineEvent::Start);
    world.on(MachineEvent::SpawnFailed { hopeless: false });
    world.restart.max_wait = Duration::from_millis(10);
    assert_eq!(world.on(MachineEvent::Settings), []);
    assert_eq!(world.machine.deadline(), Some(world.now + world.restart.max_wait));
    let mut world = World::running();
    world.on(MachineEvent::Stop);
    world.stop.grace_period = Duration::from_secs(1);
    world.on(MachineEvent::Settings);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [MachineAction::Kill]);
    let mut world = World::new();
    world.on(MachineEvent::Start);
    world.on(MachineEvent::SpawnFailed { hopeless: true });
    assert_eq!(world.on(MachineEvent::Settings), [MachineAction::Spawn], "what was refused may be allowed now");
}

/// An adopted process, whose zombie its parent has not reaped, crashes.
fn crash_with_zombie(world: &mut World) -> Vec<MachineAction> {
    assert_eq!(world.on(MachineEvent::Unreaped), []);
    world.on(MachineEvent::Exited { group_left: false, quietly: false, end: End::Unexpected })
}

const ZOMBIE: MachineEvent = MachineEvent::Zombies { left: true, useless: false };
const REAPED: MachineEvent = MachineEvent::Zombies { left: false, useless: false };

#[test]
fn start_waits_for_zombies_to_be_reaped_and_not_for_ever() {
    let mut world = World::running();
    assert_eq!(crash_with_zombie(&mut world), [MachineAction::RemovePidFile, MachineAction::ProbeZombies]);
    assert_eq!(world.machine.state(), ProxyState::Clearing);
    assert_eq!(world.on(ZOMBIE), []);
    world.now = world.machine.deadline().unwrap();
    assert_eq!(world.on(MachineEvent::Timer), [MachineAction::ProbeZombies]);
    assert_eq!(world.on(REAPED), [MachineAction::Spawn]);
    world.on(MachineEvent::Spawned);

    let begun = world.now;
    crash_with_zombie(&mut world);
    let actions = loop {
        let actions = world.on(ZOMBIE);
        if !actions.is_empty() {
            break actions;
        }
        world.now = world.machine.deadline().unwrap();
        assert_eq!(world.on(MachineEvent::Timer), [MachineAction::ProbeZombies]);
    };
    assert_eq!(actions, [MachineAction::TellZombies, MachineAction::Spawn]);
    assert_eq!(world.now - begun, defaults::REAP_WAIT);
    world.on(MachineEvent::Spawned);

    crash_with_zombie(&mut world);
    assert_eq!(
        world.on(MachineEvent::Zombies { left: true, useless: true }),
        [MachineAction::TellZombies, MachineAction::Spawn]
    );
}

#[test]
fn stop_does_not_wait_for_zombies_and_start_after_it_does() {
    let mut world = World::running();
    crash_with_zombie(&mut world);
    world.on(ZOMBIE);
    assert_eq!(world.on(MachineEvent::Stop), GONE);
    assert_eq!(world.on(MachineEvent::Start), [MachineAction::ProbeZombies]);
    assert_eq!(world.on(ZOMBIE), []);
    // What is replaced is answered as well, and its successor waits.
    let mut world = World::running();
    world.on(MachineEvent::Replace);
    world.on(MachineEvent::Unreaped);
    assert_eq!(world.end(), [MachineAction::Settle, MachineAction::ProbeZombies]);
}

#[test]
fn wait_for_zombies_is_over_when_the_wait_for_the_next_start_was_longer() {
    let mut world = World::running();
    world.restart.attempts_before_backoff = 0;
    world.on(MachineEvent::Unreaped);
    world.end();
    assert_eq!(world.after(2).on(MachineEvent::Timer), [MachineAction::ProbeZombies]);
    assert_eq!(world.on(ZOMBIE), [MachineAction::TellZombies, MachineAction::Spawn]);
}

#[test]
fn start_that_needs_its_turn_waits_for_it_and_a_stop_does_not() {
    let mut world = World { needs_turn: true, ..World::new() };
    assert_eq!(world.on(MachineEvent::Start), [MachineAction::AskTurn]);
    for event in [MachineEvent::Start, MachineEvent::Replace, MachineEvent::Restart, MachineEvent::Settings] {
        assert_eq!(world.after(100).on(event), []);
        assert!(world.machine.awaits_turn() && !world.machine.prepares());
        assert_eq!((world.machine.state(), world.machine.deadline()), (ProxyState::Waiting, None));
    }
    assert_eq!(world.on(MachineEvent::Stop), GONE);
    assert_eq!(world.on(MachineEvent::Turn), []);
    assert_eq!(world.on(MachineEvent::Start), [MachineAction::AskTurn]);
    assert_eq!(world.on(MachineEvent::Turn), [MachineAction::Spawn]);
    assert!(world.machine.prepares());
    world.needs_turn = false;
    world.on(MachineEvent::Spawned);
    assert!(!world.machine.prepares());
}

#[test]
fn start_after_a_wait_needs_its_turn_anew() {
    let mut world = World::new();
    world.on(MachineEvent::Start);
    world.on(MachineEvent::SpawnFailed { hopeless: false });
    assert!(!world.machine.prepares());
    world.needs_turn = true;
    assert_eq!(world.after(60).on(MachineEvent::Timer), [MachineAction::AskTurn]);
    assert_eq!(world.on(MachineEvent::Turn), [MachineAction::Spawn]);
}
