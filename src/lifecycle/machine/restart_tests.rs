// SPDX-License-Identifier: MPL-2.0
//! Restarts by a call, with made-up instants.

use super::tests::{ASKED, GONE, World};
use super::*;

#[test]
fn restart_stops_the_process_once_and_starts_it_again() {
    let mut world = World::running();
    assert_eq!(world.on(MachineEvent::Restart), ASKED);
    assert_eq!(world.on(MachineEvent::Restart), [], "it is being stopped");
    assert_eq!(world.end(), [MachineAction::Settle, MachineAction::Spawn]);
    assert_eq!(world.on(MachineEvent::Restart), [], "what is being started may be the old program");
    assert_eq!(world.on(MachineEvent::Spawned), ASKED);
    assert_eq!(world.end(), [MachineAction::Settle, MachineAction::Spawn]);
    assert_eq!(world.on(MachineEvent::Spawned), []);
}

#[test]
fn restart_of_waiting_or_failed_process_starts_it_at_once_with_a_new_backoff() {
    let mut world = World::running();
    for _ in 0..3 {
        world.end();
        world.on(MachineEvent::Spawned);
    }
    world.end();
    assert_eq!(world.machine.state(), ProxyState::Waiting);
    assert_eq!(world.on(MachineEvent::Restart), [MachineAction::Spawn]);
    world.on(MachineEvent::Spawned);
    assert_eq!(world.end(), [MachineAction::Spawn], "the attempts are counted anew");
    world.on(MachineEvent::SpawnFailed { hopeless: true });
    assert_eq!(world.machine.state(), ProxyState::Failed);
    assert_eq!(world.on(MachineEvent::Restart), [MachineAction::Spawn]);
}

#[test]
fn restart_does_not_bring_back_a_process_that_is_to_be_gone() {
    assert_eq!(World::new().on(MachineEvent::Restart), [], "never started");
    let mut world = World::running();
    world.on(MachineEvent::Stop);
    assert_eq!(world.on(MachineEvent::Restart), []);
    assert_eq!(world.end(), GONE);
    assert_eq!(world.on(MachineEvent::Restart), []);
    assert_eq!(world.machine.state(), ProxyState::Stopped);
}

#[test]
fn restart_of_process_that_cannot_be_identified_now_adopts_and_replaces_it() {
    let mut world = World::new();
    world.on(MachineEvent::Adopt { start_if_gone: true });
    world.on(MachineEvent::AdoptionRefused { gone: false, ended: None });
    assert_eq!(world.machine.state(), ProxyState::Waiting);
    assert_eq!(world.on(MachineEvent::Restart), [MachineAction::Adopt], "no second process beside it");
    assert_eq!(world.on(MachineEvent::Adopted { age: None }), ASKED);
    assert_eq!(world.end(), [MachineAction::Settle, MachineAction::Spawn]);
}
