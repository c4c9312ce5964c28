// SPDX-License-Identifier: MPL-2.0
//! Stops of several steps, with made-up instants.

use super::tests::{ASKED, GONE, World};
use super::*;
use crate::lifecycle::StopStep;
use crate::lifecycle::restart_policy::End;
use crate::sys::signal::Signal;

/// Runs, and is stopped in steps of so many seconds.
fn world_of(steps: &[u64]) -> World {
    let mut world = World::running();
    let step = |seconds: &u64| StopStep::new(Signal::INT, Duration::from_secs(*seconds));
    world.stop = world.stop.with_steps(steps.iter().map(step));
    world
}

/// Runs, and has this stop, with a command or a signal in each step.
fn world_with_commands(steps: &[(&str, u64)]) -> World {
    let mut world = World::running();
    let step = |(what, seconds): &(&str, u64)| match *what {
        "command" => StopStep::command(["drain"], Duration::from_secs(*seconds)),
        _ => StopStep::new(Signal::INT, Duration::from_secs(*seconds)),
    };
    world.stop = world.stop.with_steps(steps.iter().map(step));
    world
}

fn runs(step: usize) -> MachineAction {
    MachineAction::RunStop { step }
}

fn sends(step: usize) -> MachineAction {
    MachineAction::SignalStop { step }
}

#[test]
fn each_step_has_its_time_and_sigkill_comes_after_the_last() {
    let mut world = world_of(&[3, 1, 2]);
    assert_eq!(world.on(MachineEvent::Stop), ASKED);
    assert_eq!(world.after(2).on(MachineEvent::Timer), []);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [sends(1)]);
    assert_eq!(world.machine.deadline(), Some(world.now + Duration::from_secs(1)));
    assert_eq!(world.on(MachineEvent::Stop), [], "a second stop begins no second time");
    assert_eq!(world.after(1).on(MachineEvent::Timer), [sends(2)]);
    assert_eq!(world.after(2).on(MachineEvent::Timer), [MachineAction::Kill]);
    assert_eq!(world.after(5).on(MachineEvent::Timer), [MachineAction::Stuck]);
    assert_eq!(world.end(), GONE);
}

#[test]
fn group_that_is_gone_in_any_step_ends_the_stop() {
    for gone_in in 0..3 {
        let mut world = world_of(&[1, 1, 1]);
        assert_eq!(world.on(MachineEvent::Stop), ASKED);
        for step in 1..=gone_in {
            assert_eq!(world.after(1).on(MachineEvent::Timer), [sends(step)]);
        }
        assert_eq!(world.end(), GONE);
        assert_eq!(world.machine.deadline(), None);
    }
}

#[test]
fn step_that_comes_late_has_its_whole_time() {
    let mut world = world_of(&[1, 0, 2]);
    world.on(MachineEvent::Stop);
    assert_eq!(world.after(60).on(MachineEvent::Timer), [sends(1)]);
    assert_eq!(world.on(MachineEvent::Timer), [sends(2)], "a step without time is over at once");
    assert_eq!(world.after(1).on(MachineEvent::Timer), []);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [MachineAction::Kill]);
}

#[test]
fn members_that_outlive_the_leader_get_the_steps_that_follow() {
    let mut world = world_of(&[3, 1]);
    world.on(MachineEvent::Stop);
    let left = MachineEvent::Exited { group_left: true, quietly: true, end: End::Unexpected };
    assert_eq!(world.after(1).on(left), [MachineAction::RemovePidFile]);
    assert_eq!(world.on(MachineEvent::Timer), [MachineAction::ProbeGroup]);
    assert_eq!(world.on(MachineEvent::Group { left: true }), []);
    assert_eq!(world.after(2).on(MachineEvent::Timer), [sends(1), MachineAction::ProbeGroup]);
    assert_eq!(world.on(MachineEvent::Group { left: true }), []);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [MachineAction::Kill, MachineAction::ProbeGroup]);
}

#[test]
fn what_left_the_group_gets_the_signal_of_the_step_that_is_under_way() {
    let mut world = world_of(&[3, 1]);
    world.on(MachineEvent::Stop);
    world.after(3).on(MachineEvent::Timer);
    world.on(MachineEvent::Exited { group_left: false, quietly: true, end: End::Unexpected });
    assert_eq!(world.on(MachineEvent::Scanned { left: true, held: false }), [sends(1)]);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [MachineAction::Kill, MachineAction::ProbeGroup]);
}

#[test]
fn leftovers_of_a_crash_that_have_time_begin_with_the_last_step() {
    let mut world = world_of(&[3, 1]);
    world.stop.leftover_grace = Duration::from_secs(2);
    let crash = MachineEvent::Exited { group_left: true, quietly: false, end: End::Unexpected };
    assert_eq!(world.on(crash), [sends(1), MachineAction::RemovePidFile]);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [MachineAction::ProbeGroup]);
    assert_eq!(world.on(MachineEvent::Group { left: true }), []);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [MachineAction::Kill, MachineAction::ProbeGroup]);
}

#[test]
fn stop_of_what_an_ended_leader_left_elsewhere_begins_with_the_first_step_when_it_is_found() {
    let mut world = World { machine: Machine::new(), ..world_of(&[3, 1]) };
    world.on(MachineEvent::Adopt { start_if_gone: false });
    world.on(MachineEvent::Stop);
    assert_eq!(world.on(MachineEvent::AdoptionRefused { gone: true, ended: None }), super::tests::LEFT);
    // The scan takes longer than all steps.
    for _ in 0..2 {
        world.after(60).on(MachineEvent::Timer);
    }
    assert_eq!(world.on(MachineEvent::Scanned { left: true, held: false }), [sends(0)]);
    assert_eq!(world.on(MachineEvent::Group { left: true }), []);
    assert_eq!(world.after(3).on(MachineEvent::Timer), [sends(1), MachineAction::ProbeGroup]);
}

#[test]
fn changed_steps_shorten_the_one_that_is_under_way_and_replace_those_that_follow() {
    let mut world = world_of(&[9, 9]);
    world.on(MachineEvent::Stop);
    world.stop = world_of(&[4, 1, 2]).stop;
    assert_eq!(world.after(1).on(MachineEvent::Settings), []);
    assert_eq!(world.after(3).on(MachineEvent::Timer), []);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [sends(1)]);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [sends(2)]);
    // There is no such step any more.
    world.stop = world_of(&[9]).stop;
    assert_eq!(world.on(MachineEvent::Settings), []);
    assert_eq!(world.on(MachineEvent::Timer), [MachineAction::Kill]);
}

#[test]
fn command_has_the_time_of_its_step_and_is_awaited_until_then() {
    let mut world = world_with_commands(&[("command", 3), ("signal", 2), ("command", 1)]);
    assert_eq!(world.on(MachineEvent::Stop), [runs(0), MachineAction::Announce(Announcement::Stopping)]);
    assert_eq!(world.machine.stop_step(), Some(0));
    assert_eq!(world.on(MachineEvent::Stop), [], "a second stop runs it no second time");
    assert_eq!(world.after(2).on(MachineEvent::Timer), []);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [sends(1)]);
    assert_eq!(world.after(2).on(MachineEvent::Timer), [runs(2)]);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [MachineAction::Kill]);
    assert_eq!(world.machine.stop_step(), None);
    assert_eq!(world.end(), GONE);
}

#[test]
fn command_that_fails_begins_the_next_step_at_once() {
    let mut world = world_with_commands(&[("command", 9), ("command", 9), ("signal", 2)]);
    world.on(MachineEvent::Stop);
    let failed = |step| MachineEvent::StopCommandFailed { step };
    assert_eq!(world.after(1).on(failed(0)), [runs(1)]);
    assert_eq!(world.on(failed(0)), [], "of a step that is over");
    assert_eq!(world.on(failed(1)), [sends(2)]);
    assert_eq!(world.on(failed(2)), [MachineAction::Kill], "the step was a command before the settings changed");
    assert_eq!(world.on(failed(2)), []);
    let mut alone = world_with_commands(&[("command", 9)]);
    alone.on(MachineEvent::Stop);
    assert_eq!(alone.on(failed(0)), [MachineAction::Kill]);
}

#[test]
fn no_command_is_run_for_what_a_leader_has_left() {
    let mut world = world_with_commands(&[("command", 3), ("command", 9), ("signal", 2)]);
    world.on(MachineEvent::Stop);
    let left = MachineEvent::Exited { group_left: true, quietly: true, end: End::Unexpected };
    assert_eq!(world.after(1).on(left), [MachineAction::RemovePidFile]);
    assert_eq!(world.machine.stop_step(), None);
    assert_eq!(world.on(MachineEvent::StopCommandFailed { step: 0 }), []);
    assert_eq!(world.on(MachineEvent::Group { left: false }), [MachineAction::Scan]);
    // What left the group has the rest of the time.
    assert_eq!(world.on(MachineEvent::Scanned { left: true, held: false }), []);
    assert_eq!(world.on(MachineEvent::Group { left: true }), []);
    assert_eq!(world.after(2).on(MachineEvent::Timer), [sends(2), MachineAction::ProbeGroup]);
}

#[test]
fn leftovers_of_a_crash_get_the_last_signal_and_none_where_there_is_none() {
    let crash = MachineEvent::Exited { group_left: true, quietly: false, end: End::Unexpected };
    let mut world = world_with_commands(&[("signal", 3), ("command", 9)]);
    world.stop.leftover_grace = Duration::from_secs(2);
    assert_eq!(world.on(crash), [sends(0), MachineAction::RemovePidFile]);
    assert_eq!(world.after(2).on(MachineEvent::Timer), [MachineAction::Kill, MachineAction::ProbeGroup]);
    let mut commands = world_with_commands(&[("command", 9)]);
    commands.stop.leftover_grace = Duration::from_secs(2);
    assert_eq!(commands.on(crash), super::tests::KILLED);
}
