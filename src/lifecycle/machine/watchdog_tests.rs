// SPDX-License-Identifier: MPL-2.0
//! What the machine does with a process that does not feed its watchdog, and with one that requests more time to stop.

use super::tests::{ASKED, GONE, KILLED, LEFT, World};
use super::*;
use crate::lifecycle::StopStep;
use crate::lifecycle::readiness::Readiness;
use crate::lifecycle::restart_policy::End;
use crate::sys::signal::Signal;

const GRACE: Duration = Duration::from_secs(5);
const ABORTED: [MachineAction; 2] = [MachineAction::Abort, MachineAction::Announce(Announcement::Stopping)];
const CRASH: MachineEvent = MachineEvent::Exited { group_left: false, quietly: false, end: End::Unexpected };
const REST_LEFT: MachineEvent = MachineEvent::Exited { group_left: true, quietly: false, end: End::Unexpected };

fn hung() -> World {
    let mut world = World::running();
    assert_eq!(world.after(1).on(MachineEvent::WatchdogExpired), ABORTED);
    assert_eq!(world.machine.state(), ProxyState::Stopping);
    assert!(world.machine.is_stopped_as_failed() && !world.machine.runs());
    world
}

#[test]
fn hung_process_is_aborted_and_started_again_as_after_a_crash() {
    let mut world = hung();
    for _ in 0..2 {
        assert_eq!(world.on(CRASH), [MachineAction::Spawn]);
        world.on(MachineEvent::Spawned);
        assert_eq!(world.after(1).on(MachineEvent::WatchdogExpired), ABORTED);
    }
    assert_eq!(world.on(REST_LEFT), KILLED, "what is left of its group is killed at once");
    assert_eq!(world.machine.state(), ProxyState::Clearing);
    world.on(MachineEvent::Group { left: false });
    assert_eq!(world.on(MachineEvent::Scanned { left: false, held: false }), [MachineAction::Spawn]);
    world.on(MachineEvent::Spawned);
    // The fourth in a row waits.
    assert_eq!(world.after(1).on(MachineEvent::WatchdogExpired), ABORTED);
    assert_eq!(world.on(CRASH), LEFT);
    let waiting = Announcement::Waiting(Duration::from_secs(2));
    let actions = world.on(MachineEvent::Scanned { left: false, held: false });
    assert_eq!(actions, [MachineAction::CleanUp, MachineAction::Announce(waiting)]);
}

#[test]
fn healthy_run_resets_the_backoff_also_if_it_ends_by_the_watchdog() {
    let mut world = World::running();
    for _ in 0..10 {
        assert_eq!(world.after(10).on(MachineEvent::WatchdogExpired), ABORTED);
        assert_eq!(world.after(1).on(CRASH), [MachineAction::Spawn]);
        world.on(MachineEvent::Spawned);
    }
}

#[test]
fn one_that_does_not_obey_the_abort_is_killed_after_the_time_of_the_last_step() {
    let mut world = hung();
    assert_eq!(world.machine.deadline(), Some(world.now + GRACE));
    assert_eq!(world.after(4).on(MachineEvent::Timer), []);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [MachineAction::Kill]);
    assert_eq!(world.on(CRASH), [MachineAction::Spawn]);

    let mut killed = World::running();
    killed.stop.leftover_grace = GRACE;
    killed.on(MachineEvent::WatchdogExpired);
    killed.after(5).on(MachineEvent::Timer);
    assert_eq!(killed.on(REST_LEFT), KILLED, "what is left was sent SIGKILL already");

    let mut world = World::running();
    let step = |seconds| StopStep::new(Signal::INT, Duration::from_secs(seconds));
    world.stop.steps = vec![step(60), step(2)];
    world.on(MachineEvent::WatchdogExpired);
    assert_eq!(world.machine.deadline(), Some(world.now + Duration::from_secs(2)));
    world.stop.steps = vec![step(1)];
    assert_eq!(world.on(MachineEvent::Settings), []);
    assert_eq!(world.machine.deadline(), Some(world.now + Duration::from_secs(1)));
    assert_eq!(world.on(MachineEvent::MoreTime { by: GRACE }), []);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [MachineAction::Kill], "an abort is not extended");
}

#[test]
fn stop_of_one_that_is_aborted_begins_with_its_steps_and_replacement_waits_for_nothing() {
    let mut stopped = hung();
    assert_eq!(stopped.on(MachineEvent::Stop), [MachineAction::SignalStop { step: 0 }]);
    assert!(!stopped.machine.is_stopped_as_failed());
    assert_eq!(stopped.machine.deadline(), Some(stopped.now + GRACE));
    assert_eq!(stopped.end(), GONE);

    let mut killed = hung();
    killed.after(5).on(MachineEvent::Timer);
    assert_eq!(killed.on(MachineEvent::Stop), [], "it is killed already");
    assert_eq!(killed.end(), GONE);

    for request in [MachineEvent::Replace, MachineEvent::Restart] {
        let mut replaced = World::running();
        replaced.restart.attempts_before_backoff = 0;
        replaced.on(MachineEvent::WatchdogExpired);
        assert_eq!(replaced.on(request), []);
        assert_eq!(replaced.on(CRASH), [MachineAction::Spawn]);
    }
    let mut started = hung();
    assert_eq!(started.on(MachineEvent::Start), []);
    assert_eq!(started.on(CRASH), [MachineAction::Spawn]);
}

#[test]
fn trigger_before_readiness_counts_and_is_no_healthy_run_and_without_a_process_it_is_ignored() {
    let mut world = World::new();
    world.readiness = Readiness::Reported { within: Duration::from_secs(90) };
    assert_eq!(world.on(MachineEvent::WatchdogExpired), []);
    world.on(MachineEvent::Start);
    assert_eq!(world.on(MachineEvent::WatchdogExpired), []);
    for _ in 0..3 {
        world.on(MachineEvent::Spawned);
        assert_eq!(world.after(60).on(MachineEvent::WatchdogExpired), ABORTED);
        assert_eq!(world.on(MachineEvent::WatchdogExpired), [], "once is enough");
        assert_eq!(world.on(CRASH), [MachineAction::Spawn]);
    }
    world.on(MachineEvent::Spawned);
    world.after(60).on(MachineEvent::WatchdogExpired);
    assert_eq!(world.on(CRASH), LEFT);
}

#[test]
fn process_that_asks_for_more_time_to_stop_has_it_from_then_on_and_never_less() {
    let mut world = World::running();
    assert_eq!(world.on(MachineEvent::MoreTime { by: GRACE * 9 }), []);
    assert_eq!(world.on(MachineEvent::Stop), ASKED);
    let begun = world.now;
    let deadline = |world: &World| world.machine.deadline().unwrap() - begun;
    assert_eq!(deadline(&world), GRACE, "what it asked for before the stop was not for the stop");
    world.after(4).on(MachineEvent::MoreTime { by: Duration::from_secs(1) / 2 });
    assert_eq!(deadline(&world), GRACE);
    world.on(MachineEvent::MoreTime { by: GRACE });
    assert_eq!(deadline(&world), Duration::from_secs(9));
    assert_eq!(world.after(4).on(MachineEvent::Timer), []);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [MachineAction::Kill]);
    let killed = deadline(&world);
    world.on(MachineEvent::MoreTime { by: GRACE });
    assert_eq!(deadline(&world), killed, "it is killed already");
    assert_eq!(world.end(), GONE);
}
