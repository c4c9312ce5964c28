// SPDX-License-Identifier: MPL-2.0
//! Restart policies of the machine: what completes, what is given up, and what starts it again.

use super::tests::{ASKED, GONE, LEFT, World};
use super::*;
use crate::lifecycle::readiness::Readiness;
use crate::lifecycle::restart_policy::End;
use crate::lifecycle::{GiveUpAfter, RestartWhen};

const LIMIT: GiveUpAfter = GiveUpAfter { failures: 3, within: Duration::from_secs(60) };

fn with(policy: RestartWhen) -> World {
    let mut world = World::running();
    world.restart.policy = policy;
    world
}

/// The process ends by itself and leaves nothing.
fn exit(world: &mut World, end: End) -> Vec<MachineAction> {
    let mut actions = world.on(MachineEvent::Exited { group_left: false, quietly: true, end });
    actions.extend(world.on(MachineEvent::Scanned { left: false, held: false }));
    actions
}

/// What follows an end after which the proxy rests.
fn rested(rest: Rest) -> Vec<MachineAction> {
    let announced = MachineAction::Announce(Announcement::Rests { rest, by_exit: true });
    [MachineAction::RecordEnd(rest)]
        .into_iter()
        .chain(LEFT)
        .chain([MachineAction::CleanUpButRecord, announced])
        .collect()
}

#[test]
fn an_expected_end_completes_unless_the_policy_is_always() {
    for policy in [RestartWhen::OnFailure, RestartWhen::Never] {
        let mut world = with(policy);
        assert_eq!(exit(&mut world, End::Expected), rested(Rest::Completed));
        assert_eq!(world.machine.state(), ProxyState::Completed);
        assert_eq!(world.machine.deadline(), None);
        assert_eq!(world.on(MachineEvent::Start), [], "it is still what is declared");
        assert_eq!(world.on(MachineEvent::Settings), []);
        assert_eq!(world.on(MachineEvent::Restart), [MachineAction::Spawn]);
    }
    let mut world = with(RestartWhen::Always);
    assert_eq!(exit(&mut world, End::Expected)[2..], [MachineAction::Spawn]);
}

#[test]
fn another_end_fails_once_and_for_all_with_never_and_is_started_again_on_failure() {
    for end in [End::Unexpected, End::Unknown] {
        let mut world = with(RestartWhen::Never);
        assert_eq!(exit(&mut world, end), rested(Rest::NotRestarted));
        assert_eq!(world.machine.state(), ProxyState::Failed);
        let mut world = with(RestartWhen::OnFailure);
        assert_eq!(exit(&mut world, end)[2..], [MachineAction::Spawn]);
    }
}

#[test]
fn what_a_completed_process_has_left_is_ended_before_it_is_completed() {
    let mut world = with(RestartWhen::Never);
    let actions = world.on(MachineEvent::Exited { group_left: true, quietly: true, end: End::Expected });
    let record = MachineAction::RecordEnd(Rest::Completed);
    assert_eq!(actions, [record, MachineAction::Kill, MachineAction::RemovePidFile]);
    assert_eq!(world.machine.state(), ProxyState::Clearing);
    assert_eq!(world.on(MachineEvent::Group { left: false }), [MachineAction::Scan]);
    world.on(MachineEvent::Scanned { left: false, held: false });
    assert_eq!(world.machine.state(), ProxyState::Completed);
}

#[test]
fn failures_of_every_kind_count_until_it_is_given_up() {
    let mut world = with(RestartWhen::Always);
    world.restart.give_up_after = Some(LIMIT);
    exit(&mut world, End::Expected);
    world.on(MachineEvent::Spawned);
    exit(&mut world, End::Unexpected);
    world.on(MachineEvent::SpawnFailed { hopeless: false });
    world.after(60).on(MachineEvent::Timer);
    world.on(MachineEvent::Spawned);
    world.on(MachineEvent::WatchdogExpired);
    let crash = MachineEvent::Exited { group_left: false, quietly: false, end: End::Unexpected };
    assert_eq!(world.on(crash), LEFT);
    let rest = Rest::GaveUp(LIMIT);
    let gave_up = [MachineAction::CleanUp, MachineAction::Announce(Announcement::Rests { rest, by_exit: false })];
    assert_eq!(world.on(MachineEvent::Scanned { left: false, held: false }), gave_up);
    assert_eq!(world.machine.state(), ProxyState::Failed);
    assert_eq!(world.on(MachineEvent::Settings), [MachineAction::Spawn], "another declaration has its own attempts");
    let mut actions = vec![];
    for _ in 0..3 {
        actions = world.on(MachineEvent::SpawnFailed { hopeless: false });
        world.after(1).on(MachineEvent::Timer);
    }
    assert_eq!(actions, gave_up, "the program never ran");
}

#[test]
fn failures_that_are_far_apart_do_not_count() {
    let mut world = with(RestartWhen::Always);
    world.restart.give_up_after = Some(LIMIT);
    for _ in 0..10 {
        assert_eq!(exit(world.after(31), End::Unexpected)[2..], [MachineAction::Spawn]);
        world.on(MachineEvent::Spawned);
    }
}

#[test]
fn an_end_before_it_is_ready_is_a_failure_however_it_ended() {
    let mut world = World::new();
    (world.restart.policy, world.readiness) = (RestartWhen::OnFailure, Readiness::Reported { within: LIMIT.within });
    world.on(MachineEvent::Start);
    world.on(MachineEvent::Spawned);
    assert_eq!(exit(&mut world, End::Expected)[2..], [MachineAction::Spawn]);
    world.restart.policy = RestartWhen::Never;
    world.on(MachineEvent::Spawned);
    assert_eq!(exit(&mut world, End::Expected), rested(Rest::NotRestarted));
}

#[test]
fn a_process_that_is_not_ready_in_time_is_recorded_as_failed_when_it_has_ended() {
    let mut world = World::new();
    (world.restart.policy, world.readiness) = (RestartWhen::Never, Readiness::Reported { within: LIMIT.within });
    world.on(MachineEvent::Start);
    world.on(MachineEvent::Spawned);
    world.after(60).on(MachineEvent::NotReady { known: true });
    let ended = MachineEvent::Exited { group_left: false, quietly: true, end: End::Expected };
    assert_eq!(world.on(ended)[0], MachineAction::RecordEnd(Rest::NotRestarted));
    world.on(MachineEvent::Scanned { left: false, held: false });
    assert_eq!(world.machine.state(), ProxyState::Failed);
}

#[test]
fn an_end_that_no_agent_saw_is_judged_as_it_was_recorded() {
    let adopt = |policy: RestartWhen, ended: Option<End>, start_if_gone: bool| {
        let mut world = World::new();
        world.restart.policy = policy;
        world.on(MachineEvent::Adopt { start_if_gone });
        assert_eq!(world.on(MachineEvent::AdoptionRefused { gone: true, ended }), LEFT);
        world.on(MachineEvent::Scanned { left: false, held: false });
        world.machine.state()
    };
    for start_if_gone in [false, true] {
        let started = if start_if_gone { ProxyState::Starting } else { ProxyState::Idle };
        let state = |policy, ended| adopt(policy, ended, start_if_gone);
        assert_eq!(state(RestartWhen::Never, Some(End::Unknown)), ProxyState::Failed, "it may have done its work");
        assert_eq!(state(RestartWhen::Never, Some(End::Expected)), ProxyState::Completed);
        assert_eq!(state(RestartWhen::Never, None), started, "nothing of this declaration has run");
        assert_eq!(state(RestartWhen::OnFailure, Some(End::Unknown)), started);
        assert_eq!(state(RestartWhen::OnFailure, Some(End::Unexpected)), started);
        assert_eq!(state(RestartWhen::OnFailure, Some(End::Expected)), ProxyState::Completed);
        assert_eq!(state(RestartWhen::Always, Some(End::Expected)), started);
    }
}

#[test]
fn a_claim_that_is_outdated_is_started_anew_whatever_became_of_its_process() {
    let mut world = World::new();
    world.restart.policy = RestartWhen::Never;
    world.on(MachineEvent::Adopt { start_if_gone: true });
    world.on(MachineEvent::Replace);
    world.on(MachineEvent::AdoptionRefused { gone: true, ended: Some(End::Expected) });
    assert_eq!(world.on(MachineEvent::Scanned { left: false, held: false }), [MachineAction::Spawn]);
}

#[test]
fn another_policy_starts_what_it_would_not_have_let_rest() {
    let mut world = with(RestartWhen::Never);
    exit(&mut world, End::Unexpected);
    world.restart.policy = RestartWhen::OnFailure;
    assert_eq!(world.on(MachineEvent::Settings), [MachineAction::Spawn]);
    world.on(MachineEvent::Spawned);
    exit(&mut world, End::Expected);
    world.restart.policy = RestartWhen::Never;
    assert_eq!(world.on(MachineEvent::Settings), []);
    world.restart.policy = RestartWhen::Always;
    assert_eq!(world.on(MachineEvent::Settings), [MachineAction::Spawn]);
}

#[test]
fn a_changed_policy_leaves_a_process_alone_that_runs() {
    for policy in RestartWhen::ALL {
        let mut world = with(RestartWhen::Always);
        world.restart.policy = policy;
        assert_eq!(world.on(MachineEvent::Settings), []);
        assert_eq!(world.machine.state(), ProxyState::Running);
    }
}

#[test]
fn a_stop_ends_a_rest_and_an_end_that_was_asked_for_is_not_judged() {
    let mut world = with(RestartWhen::Never);
    exit(&mut world, End::Expected);
    assert_eq!(world.on(MachineEvent::Stop), GONE);
    let mut world = with(RestartWhen::Never);
    assert_eq!(world.on(MachineEvent::Replace), ASKED);
    let ended = exit(&mut world, End::Unexpected);
    assert_eq!(ended[2..], [MachineAction::Settle, MachineAction::Spawn]);
}

#[test]
fn a_retry_ends_a_wait_and_a_failure_and_nothing_else() {
    let mut world = World::new();
    world.restart.give_up_after = Some(LIMIT);
    world.on(MachineEvent::Start);
    for _ in 0..2 {
        world.on(MachineEvent::SpawnFailed { hopeless: false });
        assert_eq!(world.machine.state(), ProxyState::Waiting);
        assert_eq!(world.on(MachineEvent::Retry), [MachineAction::Spawn]);
        assert_eq!(world.on(MachineEvent::Retry), [], "it is being started");
    }
    // Each retry grants all attempts anew.
    for _ in 0..2 {
        world.on(MachineEvent::SpawnFailed { hopeless: false });
        world.after(10).on(MachineEvent::Timer);
    }
    world.on(MachineEvent::SpawnFailed { hopeless: false });
    assert_eq!(world.machine.state(), ProxyState::Failed);
    assert_eq!(world.on(MachineEvent::Retry), [MachineAction::Spawn]);
    world.on(MachineEvent::SpawnFailed { hopeless: true });
    assert_eq!(world.machine.state(), ProxyState::Failed);
    assert_eq!(world.on(MachineEvent::Retry), [MachineAction::Spawn]);
    world.on(MachineEvent::Spawned);
    assert_eq!(world.on(MachineEvent::Retry), [], "it runs");
    world.restart.policy = RestartWhen::Never;
    exit(&mut world, End::Expected);
    assert_eq!(world.on(MachineEvent::Retry), [], "it has not failed");
    world.on(MachineEvent::Stop);
    assert_eq!(world.on(MachineEvent::Retry), [], "it is not wanted");
}

#[test]
fn a_retry_does_not_start_beside_what_may_live() {
    let mut world = World::new();
    world.on(MachineEvent::Adopt { start_if_gone: true });
    world.on(MachineEvent::AdoptionRefused { gone: false, ended: None });
    assert_eq!(world.on(MachineEvent::Retry), [MachineAction::Adopt]);
    world.on(MachineEvent::AdoptionRefused { gone: true, ended: None });
    world.on(MachineEvent::Scanned { left: false, held: true });
    assert_eq!(world.on(MachineEvent::Retry), [], "the start is held");
}

#[test]
fn crashes_that_are_forgotten_leave_the_free_attempts() {
    let mut world = with(RestartWhen::Always);
    world.restart.give_up_after = Some(LIMIT);
    for _ in 0..10 {
        assert_eq!(exit(&mut world, End::Unexpected)[2..], [MachineAction::Spawn]);
        world.on(MachineEvent::Spawned);
        assert_eq!(world.on(MachineEvent::ResetCrashes), []);
    }
}
