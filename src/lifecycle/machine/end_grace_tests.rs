// SPDX-License-Identifier: MPL-2.0
//! Cutting a grace period short, with made-up instants.

use super::tests::{ASKED, GONE, LEFT, TOLD, World};
use super::*;
use crate::lifecycle::StopStep;
use crate::lifecycle::readiness::Readiness;
use crate::lifecycle::restart_policy::End;
use crate::sys::signal::Signal;

const HOUR: Duration = Duration::from_secs(3600);
const KILL: [MachineAction; 1] = [MachineAction::Kill];
const KILL_AND_PROBE: [MachineAction; 2] = [MachineAction::Kill, MachineAction::ProbeGroup];
const KILLED_WHEN_THERE: [MachineAction; 2] = [MachineAction::Kill, MachineAction::Announce(Announcement::Stopping)];
const LEADER_GONE: MachineEvent = MachineEvent::Exited { group_left: true, quietly: false, end: End::Unexpected };
const ALL_GONE: MachineEvent = MachineEvent::Exited { group_left: false, quietly: true, end: End::Unexpected };
const FOUND: MachineEvent = MachineEvent::Scanned { left: true, held: false };
const NONE_FOUND: MachineEvent = MachineEvent::Scanned { left: false, held: false };

impl World {
    /// What follows the end of the grace.
    fn end_grace(&mut self) -> Vec<MachineAction> {
        assert_eq!(self.on(MachineEvent::EndGrace), []);
        assert!(self.machine.deadline().is_none_or(|deadline| deadline <= self.now), "nothing is waited for");
        self.on(MachineEvent::Timer)
    }
}

fn patient(mut world: World) -> World {
    (world.stop.grace_period, world.stop.leftover_grace) = (HOUR, HOUR);
    world
}

fn stopping() -> World {
    let mut world = patient(World::running());
    assert_eq!(world.on(MachineEvent::Stop), ASKED);
    world
}

#[test]
fn stop_under_way_kills_at_once_and_has_the_patience_of_any_kill() {
    let mut world = stopping();
    assert_eq!(world.after(1).end_grace(), KILL);
    assert_eq!(world.on(MachineEvent::EndGrace), [], "once");
    assert_eq!(world.on(MachineEvent::Stop), []);
    assert_eq!(world.after(4).on(MachineEvent::Timer), []);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [MachineAction::Stuck]);
    assert_eq!(world.on(MachineEvent::EndGrace), [], "nothing is left to be done");
    assert_eq!(world.end(), GONE);
    assert_eq!(world.machine.deadline(), None);
}

#[test]
fn no_step_comes_after_the_end_of_the_grace() {
    for done in 0..3 {
        let mut world = World::running();
        let second = Duration::from_secs(1);
        let steps = [
            StopStep::new(Signal::INT, second),
            StopStep::command(["drain"], second),
            StopStep::new(Signal::INT, second),
        ];
        world.stop = world.stop.with_steps(steps);
        world.on(MachineEvent::Stop);
        (0..done).for_each(|_| drop(world.after(1).on(MachineEvent::Timer)));
        assert_eq!(world.end_grace(), KILL);
        assert_eq!(world.on(MachineEvent::StopCommandFailed { step: 1 }), []);
        assert_eq!(world.on(MachineEvent::MoreTime { by: HOUR }), []);
        assert_eq!(world.after(5).on(MachineEvent::Timer), [MachineAction::Stuck]);
    }
}

#[test]
fn what_the_leader_has_left_is_killed_whether_it_is_found_before_or_after() {
    let mut world = stopping();
    world.on(LEADER_GONE);
    assert_eq!(world.end_grace(), KILL_AND_PROBE);
    assert_eq!(world.on(MachineEvent::Group { left: false }), [MachineAction::Scan]);
    assert_eq!(world.on(FOUND), KILL);

    let mut world = stopping();
    assert_eq!(world.on(ALL_GONE), LEFT);
    world.on(MachineEvent::EndGrace);
    assert_eq!(world.on(FOUND), KILL);
    world.on(MachineEvent::Group { left: false });
    assert_eq!(world.on(NONE_FOUND), GONE);
}

#[test]
fn process_that_has_ended_before_its_grace_is_ended_for_it_is_not_killed_and_what_it_has_left_is() {
    let mut world = stopping();
    assert_eq!(world.on(MachineEvent::EndGrace), []);
    assert_eq!(world.end(), GONE);

    let mut world = stopping();
    world.on(MachineEvent::EndGrace);
    assert_eq!(world.on(LEADER_GONE), [MachineAction::RemovePidFile]);
    assert_eq!(world.on(MachineEvent::Timer), KILL_AND_PROBE);
    assert_eq!(world.after(5).on(MachineEvent::Timer)[0], MachineAction::Stuck);
}

#[test]
fn process_that_is_being_started_is_killed_when_it_is_there() {
    let mut world = patient(World::new());
    world.on(MachineEvent::Start);
    world.on(MachineEvent::Stop);
    assert_eq!(world.on(MachineEvent::EndGrace), []);
    assert_eq!(world.after(60).on(MachineEvent::Spawned), KILLED_WHEN_THERE);
    assert_eq!(world.after(5).on(MachineEvent::Timer), [MachineAction::Stuck]);
    assert_eq!(world.end(), GONE);

    // A stop that never had anything to end leaves nothing to the next one.
    let mut world = patient(World::new());
    world.on(MachineEvent::Start);
    world.on(MachineEvent::Stop);
    world.on(MachineEvent::EndGrace);
    assert_eq!(world.on(MachineEvent::SpawnFailed { hopeless: false }), GONE);
    world.on(MachineEvent::Start);
    world.on(MachineEvent::Spawned);
    assert_eq!(world.on(MachineEvent::Stop), ASKED);
}

#[test]
fn process_that_is_being_adopted_is_killed_when_it_is_there_and_so_is_what_it_has_left() {
    let adopting = || {
        let mut world = patient(World::new());
        world.on(MachineEvent::Adopt { start_if_gone: true });
        world.on(MachineEvent::Stop);
        assert_eq!(world.on(MachineEvent::EndGrace), []);
        world
    };
    assert_eq!(adopting().on(MachineEvent::Adopted { age: None }), KILLED_WHEN_THERE);

    let mut world = adopting();
    assert_eq!(world.on(MachineEvent::AdoptionRefused { gone: true, ended: None }), LEFT);
    assert_eq!(world.after(60).on(FOUND), KILL);

    // It may live, and is not known yet.
    let mut world = adopting();
    world.on(MachineEvent::AdoptionRefused { gone: false, ended: None });
    assert_eq!(world.after(60).on(MachineEvent::Timer), [MachineAction::Adopt]);
    assert_eq!(world.on(MachineEvent::Adopted { age: None }), KILLED_WHEN_THERE);
}

#[test]
fn what_is_wanted_again_before_it_is_there_lives() {
    let mut world = patient(World::new());
    world.on(MachineEvent::Start);
    world.on(MachineEvent::Stop);
    world.on(MachineEvent::EndGrace);
    world.on(MachineEvent::Start);
    assert_eq!(world.on(MachineEvent::Spawned), []);
    assert_eq!(world.on(MachineEvent::Stop), ASKED, "and has its whole grace");
}

#[test]
fn only_the_old_process_of_a_replacement_is_killed() {
    let mut world = patient(World::running());
    assert_eq!(world.on(MachineEvent::Replace), ASKED);
    assert_eq!(world.end_grace(), KILL);
    assert_eq!(world.end(), [MachineAction::Settle, MachineAction::Spawn]);
    assert_eq!(world.on(MachineEvent::EndGrace), [], "the new one is only being started");
    assert_eq!(world.on(MachineEvent::Spawned), []);
    assert_eq!(world.on(MachineEvent::Stop), ASKED);

    let mut outdated = patient(World::new());
    outdated.on(MachineEvent::Start);
    outdated.on(MachineEvent::Replace);
    assert_eq!(outdated.on(MachineEvent::EndGrace), []);
    assert_eq!(outdated.on(MachineEvent::Spawned), KILLED_WHEN_THERE);
    assert_eq!(outdated.end(), [MachineAction::Settle, MachineAction::Spawn]);
    assert_eq!(outdated.on(MachineEvent::Spawned), []);
}

#[test]
fn what_is_not_being_ended_is_not_touched() {
    let mut unready = World::new();
    unready.readiness = Readiness::Reported { within: HOUR };
    unready.on(MachineEvent::Start);
    unready.on(MachineEvent::Spawned);
    let mut waiting = World::new();
    waiting.on(MachineEvent::Start);
    waiting.on(MachineEvent::SpawnFailed { hopeless: false });
    let mut failed = World::new();
    failed.on(MachineEvent::Start);
    failed.on(MachineEvent::SpawnFailed { hopeless: true });
    let mut starting = World::new();
    starting.on(MachineEvent::Start);
    let mut adopting = World::new();
    adopting.on(MachineEvent::Adopt { start_if_gone: false });
    for mut world in [World::new(), starting, adopting, unready, World::running(), waiting, failed] {
        let (phase, deadline) = (world.machine.phase, world.machine.deadline());
        assert_eq!(world.on(MachineEvent::EndGrace), []);
        assert_eq!((world.machine.phase, world.machine.deadline()), (phase, deadline));
        assert!(!world.machine.is_grace_ended(), "a later stop has its grace");
    }
    let mut stopped = World::running();
    stopped.on(MachineEvent::Stop);
    stopped.end();
    assert_eq!(stopped.on(MachineEvent::EndGrace), []);
    stopped.on(MachineEvent::Start);
    stopped.on(MachineEvent::Spawned);
    assert_eq!(stopped.on(MachineEvent::Stop), ASKED);
}

#[test]
fn leftovers_of_a_crash_and_a_process_that_writes_its_core_have_no_more_time() {
    let mut world = patient(World::running());
    assert_eq!(world.on(LEADER_GONE), TOLD);
    assert_eq!(world.end_grace(), KILL_AND_PROBE);
    world.on(MachineEvent::Group { left: false });
    assert_eq!(world.on(NONE_FOUND), [MachineAction::Spawn]);

    let mut unsignalled = patient(World::running());
    assert_eq!(unsignalled.on(ALL_GONE), LEFT);
    unsignalled.on(MachineEvent::EndGrace);
    assert_eq!(unsignalled.after(60).on(FOUND), KILL);

    let mut hung = patient(World::running());
    assert_eq!(hung.on(MachineEvent::WatchdogExpired)[0], MachineAction::Abort);
    assert_eq!(hung.end_grace(), KILL);
    assert_eq!(hung.on(MachineEvent::Stop), [], "SIGKILL was sent");
    assert_eq!(hung.end(), GONE);
}
