// SPDX-License-Identifier: MPL-2.0
//! The machine with made-up instants, and a random walk against its invariants.

use proptest::prelude::*;

use super::*;
use crate::lifecycle::{RestartSettings, StopSettings};

struct World {
    machine: Machine,
    now: Instant,
    restart: RestartSettings,
    stop: StopSettings,
}

impl World {
    fn new() -> World {
        let (restart, stop) = (RestartSettings::default(), StopSettings::default());
        World { machine: Machine::new(), now: Instant::now(), restart, stop }
    }

    fn on(&mut self, event: MachineEvent) -> Vec<MachineAction> {
        let settings = Settings { restart: &self.restart, stop: &self.stop };
        self.machine.on(event, self.now, settings, 0.5)
    }

    /// The leader ends and leaves nothing.
    fn end(&mut self) -> Vec<MachineAction> {
        assert_eq!(self.on(MachineEvent::Exited { group_left: false, quietly: true }), LEFT);
        self.on(MachineEvent::Scanned { left: false, held: false })
    }

    fn after(&mut self, seconds: u64) -> &mut World {
        self.now += Duration::from_secs(seconds);
        self
    }

    fn running() -> World {
        let mut world = World::new();
        assert_eq!(world.on(MachineEvent::Start), [MachineAction::Spawn]);
        assert_eq!(world.on(MachineEvent::Spawned), []);
        world
    }
}

const GONE: [MachineAction; 3] =
    [MachineAction::CleanUp, MachineAction::Announce(Announcement::Stopped), MachineAction::Settle];
const LEFT: [MachineAction; 2] = [MachineAction::RemovePidFile, MachineAction::Scan];
const KILLED: [MachineAction; 2] = [MachineAction::Kill, MachineAction::RemovePidFile];
const TOLD: [MachineAction; 2] = [MachineAction::SignalStop, MachineAction::RemovePidFile];
const ASKED: [MachineAction; 2] = [MachineAction::SignalStop, MachineAction::Announce(Announcement::Stopping)];

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
    assert_eq!(crashed.on(MachineEvent::Exited { group_left: true, quietly: false }), TOLD);
    assert_eq!(crashed.after(a_lifetime).on(MachineEvent::Timer), [MachineAction::ProbeGroup]);
    assert_eq!(crashed.on(MachineEvent::Group { left: false }), [MachineAction::Scan]);
    assert_eq!(crashed.on(MachineEvent::Scanned { left: false, held: false }), [MachineAction::Spawn]);

    let mut adopted = World { machine: Machine::new(), ..forever() };
    adopted.stop.leftover_grace = Duration::MAX;
    assert_eq!(adopted.on(MachineEvent::Adopt { start_if_gone: true }), [MachineAction::Adopt]);
    assert_eq!(adopted.on(MachineEvent::AdoptionRefused { gone: true }), LEFT);
    assert_eq!(adopted.after(a_lifetime).on(MachineEvent::Timer), []);

    let mut shortened = forever();
    assert_eq!(shortened.on(MachineEvent::Stop), ASKED);
    shortened.stop.grace_period = Duration::from_secs(1);
    assert_eq!(shortened.on(MachineEvent::Settings), []);
    assert_eq!(shortened.after(1).on(MachineEvent::Timer), [MachineAction::Kill]);
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
fn a_leader_that_goes_first_does_not_end_the_escalation() {
    let mut world = World::running();
    world.on(MachineEvent::Stop);
    assert_eq!(
        world.after(1).on(MachineEvent::Exited { group_left: true, quietly: false }),
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
        assert_eq!(world.on(MachineEvent::Exited { group_left: true, quietly }), KILLED);
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
    assert_eq!(world.on(MachineEvent::Exited { group_left: true, quietly: false }), TOLD);
    assert_eq!(world.after(2).on(MachineEvent::Timer), [MachineAction::ProbeGroup]);
    assert_eq!(world.on(MachineEvent::Group { left: true }), []);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [MachineAction::Kill, MachineAction::ProbeGroup]);
    assert_eq!(world.on(MachineEvent::Group { left: false }), [MachineAction::Scan]);
    assert_eq!(world.on(MachineEvent::Scanned { left: false, held: false }), [MachineAction::Spawn]);

    let mut adopted = World { machine: Machine::new(), ..World::running_with_leftover_grace() };
    adopted.on(MachineEvent::Adopt { start_if_gone: true });
    adopted.on(MachineEvent::AdoptionRefused { gone: true });
    assert_eq!(adopted.on(MachineEvent::Scanned { left: true, held: false }), [MachineAction::SignalStop]);
    adopted.on(MachineEvent::Group { left: true });
    assert_eq!(adopted.after(3).on(MachineEvent::Timer), [MachineAction::Kill, MachineAction::ProbeGroup]);
}

#[test]
fn a_stop_gives_leftovers_of_a_crash_no_more_time_than_its_own_grace_period() {
    for event in [MachineEvent::Stop, MachineEvent::Replace] {
        let mut world = World::running_with_leftover_grace();
        world.on(MachineEvent::Exited { group_left: true, quietly: false });
        world.stop.grace_period = Duration::from_secs(1);
        assert_eq!(world.on(event), []);
        assert_eq!(
            world.after(1).on(MachineEvent::Timer),
            [MachineAction::Kill, MachineAction::ProbeGroup],
            "{event:?}"
        );
    }
    let mut world = World::running_with_leftover_grace();
    world.on(MachineEvent::Exited { group_left: true, quietly: false });
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
    world.on(MachineEvent::Exited { group_left: true, quietly: false });
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
    assert_eq!(world.on(MachineEvent::AdoptionRefused { gone: true }), LEFT);
    assert_eq!(world.on(MachineEvent::Scanned { left: false, held: false }), [MachineAction::CleanUp]);
    assert_eq!(world.machine.state(), ProxyState::Idle);
    assert_eq!(world.on(MachineEvent::Start), [MachineAction::Spawn]);
}

#[test]
fn what_left_the_group_is_ended_like_the_group() {
    let mut world = World::running();
    world.on(MachineEvent::Stop);
    assert_eq!(world.on(MachineEvent::Exited { group_left: false, quietly: true }), LEFT);
    assert_eq!(world.on(MachineEvent::Scanned { left: true, held: false }), [MachineAction::SignalStop]);
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
    world.on(MachineEvent::Exited { group_left: false, quietly: true });
    assert_eq!(world.after(5).on(MachineEvent::Timer), [MachineAction::Kill]);
    assert_eq!(world.after(5).on(MachineEvent::Timer), [MachineAction::Stuck]);
    assert_eq!(world.on(MachineEvent::Scanned { left: false, held: false }), GONE);
}

#[test]
fn a_crash_is_not_searched_for_what_it_left_before_a_successor_has_to_wait() {
    let crash = MachineEvent::Exited { group_left: false, quietly: false };
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

#[test]
fn no_successor_runs_beside_what_left_the_group() {
    let mut world = World::running();
    world.on(MachineEvent::Exited { group_left: false, quietly: true });
    assert_eq!(world.on(MachineEvent::Scanned { left: true, held: false }), [MachineAction::Kill]);
    assert_eq!(world.machine.state(), ProxyState::Clearing);
    world.on(MachineEvent::Group { left: false });
    assert_eq!(world.on(MachineEvent::Scanned { left: false, held: false }), [MachineAction::Spawn]);
    let mut world = World::new();
    world.on(MachineEvent::Adopt { start_if_gone: false });
    world.on(MachineEvent::AdoptionRefused { gone: true });
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
        world.on(MachineEvent::AdoptionRefused { gone: true });
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
    world.on(MachineEvent::Exited { group_left: false, quietly: true });
    assert_eq!(world.on(MachineEvent::Scanned { left: false, held: true }), GONE);

    let mut world = World::running();
    world.on(MachineEvent::Stop);
    world.on(MachineEvent::Start);
    world.on(MachineEvent::Exited { group_left: false, quietly: true });
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
        world.on(MachineEvent::AdoptionRefused { gone: true });
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
    let actions = world.on(MachineEvent::AdoptionRefused { gone: false });
    assert_eq!(actions, [MachineAction::Announce(Announcement::Waiting(Duration::from_secs(1)))]);
    assert_eq!(world.after(1).on(MachineEvent::Timer), [MachineAction::Adopt]);
    assert_eq!(world.on(MachineEvent::Stop), []);
    let actions = world.on(MachineEvent::AdoptionRefused { gone: false });
    assert_eq!(actions[0], MachineAction::Stuck, "the waiting stop returns that it is not certain");
    assert_eq!(world.on(MachineEvent::Stop), [MachineAction::Adopt]);
    assert_eq!(world.on(MachineEvent::Adopted), ASKED);
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
    world.on(MachineEvent::Exited { group_left: false, quietly: false })
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

#[derive(Debug, Clone, Copy)]
enum Move {
    Start,
    Settings,
    Adopt(bool),
    Replace,
    Stop,
    Finish { well: bool, hopeless: bool },
    Exit { group_left: bool, escaped: bool, zombie: bool },
    Empty,
    Reap,
    Useless(bool),
    Time(u64),
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        2 => Just(Move::Start),
        1 => any::<bool>().prop_map(Move::Adopt),
        2 => Just(Move::Replace),
        1 => Just(Move::Settings),
        3 => Just(Move::Stop),
        6 => (any::<bool>(), any::<bool>()).prop_map(|(well, hopeless)| Move::Finish { well, hopeless }),
        4 => (any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(group_left, escaped, zombie)| Move::Exit { group_left, escaped, zombie }),
        3 => Just(Move::Empty),
        2 => Just(Move::Reap),
        1 => any::<bool>().prop_map(Move::Useless),
        6 => (0u64..90_000).prop_map(Move::Time),
    ]
}

/// The world outside: one leader at the most, a group that outlives it, one job in flight.
#[derive(Default)]
struct Outside {
    job: Option<MachineAction>,
    leader: bool,
    group: bool,
    /// Who left the group, and whether they were found.
    escaped: bool,
    found: bool,
    stop_wanted: bool,
    waiters: u32,
    /// There is a pid file. That of a leader which has ended is written over by a start that follows at once.
    pid_file: bool,
    /// Since when there is a zombie, and whether it is useless to wait for its parent.
    zombie: Option<Instant>,
    useless: bool,
}

impl Outside {
    fn apply(&mut self, world: &mut World, actions: Vec<MachineAction>) {
        for action in actions {
            match action {
                MachineAction::ProbeZombies => {
                    assert!(!self.stop_wanted, "a stop waits for zombies");
                    let (left, useless) = (self.zombie.is_some(), self.useless);
                    let more = world.on(MachineEvent::Zombies { left, useless });
                    self.apply(world, more);
                }
                MachineAction::TellZombies => {
                    let since = self.zombie.take().expect("told of a zombie that is not there");
                    let waited = world.now.saturating_duration_since(since);
                    assert!(self.useless || waited >= defaults::REAP_WAIT, "waited only {waited:?}");
                }
                MachineAction::Scan => {
                    assert_eq!(self.job, None, "two jobs at once");
                    assert!(!self.leader && !self.group, "searched too early");
                    self.found = false;
                    self.job = Some(action);
                }
                MachineAction::Spawn | MachineAction::Adopt => {
                    assert_eq!(self.job, None, "two jobs at once");
                    assert!(action == MachineAction::Adopt || self.has_no_process(), "a second process of one id");
                    assert!(
                        action == MachineAction::Adopt || self.zombie.is_none(),
                        "a start beside a zombie that is not told"
                    );
                    assert!(action == MachineAction::Adopt || !self.stop_wanted, "a start after a stop");
                    self.job = Some(action);
                }
                MachineAction::SignalStop | MachineAction::Kill => {
                    // A group may have emptied unnoticed; its handle then says so, and no process is hit.
                    assert!(self.leader || self.clearing(world), "a signal to no process");
                    let has_time = self.leader
                        || world.machine.state() == ProxyState::Stopping
                        || !world.stop.leftover_grace.is_zero();
                    assert!(action == MachineAction::Kill || has_time, "what a crash left was given time");
                }
                MachineAction::ProbeGroup => {
                    assert!(!self.leader);
                    let left = self.group || self.escaped && self.found;
                    let more = world.on(MachineEvent::Group { left });
                    self.apply(world, more);
                }
                MachineAction::RemovePidFile => {
                    assert!(!self.leader, "a process lost its pid file");
                    self.pid_file = false;
                }
                MachineAction::ProbeHeld => {
                    assert!(self.has_no_process());
                    let more = world.on(MachineEvent::Held { left: true });
                    self.apply(world, more);
                }
                MachineAction::CleanUp => {
                    assert!(self.has_no_process() && self.job.is_none());
                    self.pid_file = false;
                }
                MachineAction::Settle => {
                    assert!(self.has_no_process() && self.job.is_none(), "settled too early");
                    self.waiters = 0;
                }
                MachineAction::Stuck => self.waiters = 0,
                MachineAction::Announce(Announcement::Waiting(wait)) => assert!(wait <= world.restart.max_wait),
                MachineAction::Announce(_) => {}
            }
        }
    }

    fn has_no_process(&self) -> bool {
        !self.leader && !self.group && !self.escaped
    }

    fn clearing(&self, world: &World) -> bool {
        matches!(world.machine.state(), ProxyState::Clearing | ProxyState::Stopping)
    }

    fn step(&mut self, world: &mut World, next: Move) {
        let actions = match next {
            Move::Start => {
                self.stop_wanted = false;
                world.on(MachineEvent::Start)
            }
            Move::Adopt(start_if_gone) => {
                if matches!(world.machine.state(), ProxyState::Idle | ProxyState::Stopped | ProxyState::Failed) {
                    self.stop_wanted = false;
                }
                world.on(MachineEvent::Adopt { start_if_gone })
            }
            Move::Settings => world.on(MachineEvent::Settings),
            Move::Replace => {
                self.stop_wanted = false;
                world.on(MachineEvent::Replace)
            }
            Move::Stop => {
                self.stop_wanted = true;
                self.waiters += 1;
                world.on(MachineEvent::Stop)
            }
            Move::Finish { well, hopeless } => match self.job.take() {
                None => vec![],
                Some(MachineAction::Scan) => {
                    self.found = self.escaped;
                    world.on(MachineEvent::Scanned { left: self.escaped, held: hopeless })
                }
                Some(job) => {
                    self.leader = well;
                    // An adoption that fails leaves the pid file of a process that may live.
                    self.pid_file = well || job == MachineAction::Adopt;
                    world.on(match (job, well) {
                        (MachineAction::Spawn, true) => MachineEvent::Spawned,
                        (MachineAction::Spawn, false) => MachineEvent::SpawnFailed { hopeless },
                        (_, true) => MachineEvent::Adopted,
                        (_, false) => MachineEvent::AdoptionRefused { gone: hopeless },
                    })
                }
            },
            Move::Reap => {
                self.zombie = None;
                vec![]
            }
            Move::Useless(useless) => {
                self.useless = useless;
                vec![]
            }
            Move::Exit { group_left, escaped, zombie } if self.leader => {
                if zombie {
                    self.zombie = Some(world.now);
                    assert_eq!(world.on(MachineEvent::Unreaped), []);
                }
                (self.leader, self.group, self.escaped) = (false, group_left, escaped);
                world.on(MachineEvent::Exited { group_left, quietly: escaped })
            }
            Move::Exit { .. } => vec![],
            Move::Empty => {
                (self.group, self.escaped) = (false, false);
                vec![]
            }
            Move::Time(milliseconds) => {
                world.now += Duration::from_millis(milliseconds);
                match world.machine.deadline() {
                    Some(deadline) if deadline <= world.now => world.on(MachineEvent::Timer),
                    _ => vec![],
                }
            }
        };
        self.apply(world, actions);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// At most one process, no start after a stop, every waiter is answered, and everything comes to rest.
    #[test]
    fn random_walks_keep_the_invariants(walk in proptest::collection::vec(moves(), 1..120), leftover_grace in 0u64..3) {
        let (mut world, mut outside) = (World::new(), Outside::default());
        world.stop.leftover_grace = Duration::from_secs(leftover_grace);
        for next in walk {
            outside.step(&mut world, next);
            prop_assert!(world.machine.state() != ProxyState::Running || outside.leader);
            let clears = matches!(world.machine.state(), ProxyState::Clearing | ProxyState::Stopping);
            prop_assert!(!(clears && outside.pid_file && !outside.leader), "a pid file names a process that is gone");
            prop_assert!(!outside.leader || matches!(world.machine.state(), ProxyState::Running | ProxyState::Stopping));
        }
        outside.step(&mut world, Move::Stop);
        for _ in 0..6 {
            for next in [Move::Finish { well: false, hopeless: true }, Move::Exit { group_left: false, escaped: false, zombie: false }, Move::Empty] {
                outside.step(&mut world, next);
                outside.step(&mut world, Move::Time(61_000));
            }
        }
        prop_assert_eq!(world.machine.state(), ProxyState::Stopped);
        prop_assert_eq!(outside.waiters, 0);
        prop_assert_eq!(world.machine.deadline(), None);
    }
}
