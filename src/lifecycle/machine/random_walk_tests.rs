// SPDX-License-Identifier: MPL-2.0
//! A random walk of the machine against its invariants.

use proptest::prelude::*;

use super::tests::World;
use super::*;
use crate::lifecycle::readiness::Readiness;
use crate::lifecycle::restart_policy::End;
use crate::lifecycle::{GiveUpAfter, RestartWhen, StopStep};
use crate::sys::signal::Signal;

#[derive(Debug, Clone, Copy)]
enum Move {
    Start,
    /// A start that waits for its turn has it.
    Turn,
    Settings,
    Adopt(bool),
    Replace,
    Restart,
    Retry,
    ResetCrashes,
    Stop,
    EndGrace,
    Finish {
        well: bool,
        hopeless: bool,
    },
    Exit {
        group_left: bool,
        escaped: bool,
        zombie: bool,
        end: End,
    },
    Empty,
    Reap,
    Useless(bool),
    /// Another restart policy is declared.
    Policy(RestartWhen),
    /// It answers when it is probed, from now on or no longer.
    Answers(bool),
    Report,
    CommandFails,
    /// Its watchdog expires.
    Hang,
    /// It asks for more time.
    Ask(u64),
    Time(u64),
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        2 => Just(Move::Start),
        4 => Just(Move::Turn),
        1 => any::<bool>().prop_map(Move::Adopt),
        2 => Just(Move::Replace),
        2 => Just(Move::Restart),
        2 => Just(Move::Retry),
        1 => Just(Move::ResetCrashes),
        1 => Just(Move::Settings),
        3 => Just(Move::Stop),
        1 => Just(Move::EndGrace),
        6 => (any::<bool>(), any::<bool>()).prop_map(|(well, hopeless)| Move::Finish { well, hopeless }),
        4 => (any::<bool>(), any::<bool>(), any::<bool>(), ends())
            .prop_map(|(group_left, escaped, zombie, end)| Move::Exit { group_left, escaped, zombie, end }),
        1 => proptest::sample::select(&RestartWhen::ALL[..]).prop_map(Move::Policy),
        3 => Just(Move::Empty),
        2 => Just(Move::Reap),
        1 => any::<bool>().prop_map(Move::Useless),
        2 => any::<bool>().prop_map(Move::Answers),
        1 => Just(Move::Report),
        2 => Just(Move::CommandFails),
        1 => Just(Move::Hang),
        1 => (0u64..10_000).prop_map(Move::Ask),
        6 => (0u64..90_000).prop_map(Move::Time),
        2 => (0u64..1000).prop_map(Move::Time),
    ]
}

fn ends() -> impl Strategy<Value = End> {
    proptest::sample::select(&[End::Expected, End::Unexpected, End::Unknown][..])
}

fn readiness() -> impl Strategy<Value = Readiness> {
    let within = Duration::from_secs(5);
    prop_oneof![
        Just(Readiness::Started),
        Just(Readiness::Probed { within, first: Duration::ZERO }),
        Just(Readiness::Reported { within })
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
    answers: bool,
    /// How a process that is not adopted has ended.
    unseen: Option<End>,
    /// The record of the last process says that it has ended.
    recorded_end: bool,
    /// The step whose command has failed.
    command: Option<usize>,
    /// The last step whose signal was sent, or command run, in the stop or clearing that is under way, and when; SIGKILL is after all of them.
    signalled: Option<(usize, Instant)>,
}

impl Outside {
    /// No step is left out, comes twice with less than all of its time, or comes after SIGKILL; and once a grace is ended
    /// there is nothing but SIGKILL.
    fn check_order_of_signals(&mut self, world: &World, action: MachineAction) {
        let count = world.stop.steps.len().max(1);
        if world.machine.is_grace_ended() {
            assert_eq!(action, MachineAction::Kill, "time after the end of the grace");
            self.signalled = Some((count, world.now));
            return;
        }
        // A command is run for a leader that lives alone.
        let comes = |step: usize| self.leader || world.stop.step(step).is_none_or(|step| !step.is_command());
        let step = match action {
            MachineAction::SignalStop { step } => {
                assert!(world.stop.step(step).is_some_and(|step| !step.is_command()), "no step with a signal");
                step
            }
            MachineAction::RunStop { step } => {
                assert!(world.stop.step(step).is_some_and(|step| step.is_command()), "no step with a command");
                assert!(self.leader, "a command for a leader that is gone");
                step
            }
            _ => count,
        };
        match self.signalled {
            // Of what was found only now, or that is left of a crash.
            None => {}
            Some((last, _)) if last == step => {}
            Some((last, at)) => {
                let next = (last + 1..).find(|step| comes(*step));
                assert_eq!(Some(step), next, "after step {last}");
                let had = world.now.saturating_duration_since(at);
                let whole = world.stop.step(last).map_or(Duration::ZERO, |step| step.duration);
                // What a crash has left begins with the last step, and has the time of leftovers.
                let least = if self.command.take() == Some(last) {
                    Duration::ZERO
                } else if step == count {
                    whole.min(world.stop.leftover_grace)
                } else {
                    whole
                };
                assert!(had >= least, "step {last} had only {had:?}");
            }
        }
        if self.signalled.is_none_or(|(last, _)| last != step) {
            self.signalled = Some((step, world.now));
        }
    }

    fn apply(&mut self, world: &mut World, actions: Vec<MachineAction>) {
        for action in actions {
            match action {
                MachineAction::ProbeZombies => {
                    assert!(!self.stop_wanted, "a stop waits for zombies");
                    let (left, useless) = (self.zombie.is_some(), self.useless);
                    let more = world.on(MachineEvent::Zombies { left, useless });
                    self.apply(world, more);
                }
                MachineAction::ProbeReady => {
                    assert!(self.leader, "no process is probed");
                    let more = world.on(if self.answers {
                        MachineEvent::Ready
                    } else {
                        MachineEvent::NotReady { known: true }
                    });
                    self.apply(world, more);
                }
                MachineAction::Announce(Announcement::NotReady) => {
                    assert!(self.leader && !self.answers, "stopped though it was ready");
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
                MachineAction::AskTurn => {
                    assert!(world.needs_turn && self.job.is_none() && !self.stop_wanted, "a turn that is not needed");
                }
                MachineAction::Spawn | MachineAction::Adopt => {
                    assert!(action == MachineAction::Adopt || !world.needs_turn, "a start before its turn");
                    assert_eq!(self.job, None, "two jobs at once");
                    assert!(action == MachineAction::Adopt || self.has_no_process(), "a second process of one id");
                    assert!(
                        action == MachineAction::Adopt || self.zombie.is_none(),
                        "a start beside a zombie that is not told"
                    );
                    assert!(action == MachineAction::Adopt || !self.stop_wanted, "a start after a stop");
                    self.job = Some(action);
                }
                MachineAction::Abort => {
                    assert!(
                        self.leader && self.signalled.is_none() && !self.stop_wanted,
                        "an abort of what is stopped"
                    );
                }
                MachineAction::SignalStop { .. } | MachineAction::RunStop { .. } | MachineAction::Kill => {
                    self.check_order_of_signals(world, action);
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
                MachineAction::RecordEnd(rest) => {
                    assert!(!self.leader && rest.is_recorded());
                    self.recorded_end = true;
                }
                MachineAction::CleanUpButRecord => {
                    assert!(self.has_no_process() && self.job.is_none());
                    assert!(self.recorded_end || self.unseen.is_some(), "the next agent would run it again");
                    self.pid_file = false;
                }
                MachineAction::Announce(Announcement::Rests { rest, .. }) => {
                    assert!(self.has_no_process() && !self.stop_wanted && world.machine.rests());
                    let limit = world.restart.give_up_after;
                    assert!(!matches!(rest, Rest::GaveUp(gave_up) if Some(gave_up) != limit), "it may go on");
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
                self.unseen = start_if_gone.then_some(End::Unknown);
                let is_at_rest = world.machine.rests();
                let state = world.machine.state();
                if is_at_rest || matches!(state, ProxyState::Idle | ProxyState::Stopped | ProxyState::Failed) {
                    self.stop_wanted = false;
                }
                world.on(MachineEvent::Adopt { start_if_gone })
            }
            Move::Settings => world.on(MachineEvent::Settings),
            Move::Turn if world.machine.awaits_turn() => {
                world.needs_turn = false;
                world.on(MachineEvent::Turn)
            }
            Move::Turn => world.on(MachineEvent::Turn),
            Move::Replace => {
                self.stop_wanted = false;
                world.on(MachineEvent::Replace)
            }
            Move::Restart => {
                let (state, wanted) = (world.machine.state(), world.machine.wanted);
                let actions = world.on(MachineEvent::Restart);
                let unchanged = actions.is_empty() && (world.machine.state(), world.machine.wanted) == (state, wanted);
                assert!(wanted == Wanted::Up || unchanged, "a restart of what is to be gone");
                actions
            }
            Move::Retry => {
                let actions = world.on(MachineEvent::Retry);
                assert!(actions.is_empty() || !self.stop_wanted, "a retry of what is to be gone");
                actions
            }
            Move::ResetCrashes => world.on(MachineEvent::ResetCrashes),
            Move::Stop => {
                self.stop_wanted = true;
                self.waiters += 1;
                world.on(MachineEvent::Stop)
            }
            Move::EndGrace => {
                let before = world.machine.phase;
                let actions = world.on(MachineEvent::EndGrace);
                assert_eq!(actions, []);
                let is_ending = matches!(
                    before,
                    MachinePhase::Stopping { .. } | MachinePhase::Clearing { .. } | MachinePhase::Scanning { .. }
                );
                assert!(is_ending || world.machine.phase == before, "it was not being ended");
                let (MachinePhase::Stopping { escalation, .. }
                | MachinePhase::Clearing { escalation, .. }
                | MachinePhase::Scanning { escalation, .. }) = world.machine.phase
                else {
                    return;
                };
                let due = escalation.deadline().is_some_and(|deadline| deadline <= world.now);
                assert!(escalation.has_killed() || due, "it has time");
                actions
            }
            Move::Finish { well, hopeless } => match self.job.take() {
                None => vec![],
                Some(MachineAction::Scan) => {
                    self.found = self.escaped;
                    if matches!(world.machine.phase, MachinePhase::Scanning { unsignalled: Some(_), .. }) {
                        self.signalled = None;
                    }
                    world.on(MachineEvent::Scanned { left: self.escaped, held: hopeless })
                }
                Some(job) => {
                    (self.leader, self.signalled) = (well, None);
                    self.recorded_end &= !well;
                    // An adoption that fails leaves the pid file of a process that may live.
                    self.pid_file = well || job == MachineAction::Adopt;
                    world.on(match (job, well) {
                        (MachineAction::Spawn, true) => MachineEvent::Spawned,
                        (MachineAction::Spawn, false) => MachineEvent::SpawnFailed { hopeless },
                        (_, true) => MachineEvent::Adopted { age: hopeless.then_some(Duration::from_secs(1)) },
                        (_, false) => MachineEvent::AdoptionRefused { gone: hopeless, ended: None },
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
            Move::Answers(answers) => {
                self.answers = answers;
                vec![]
            }
            // A report of a process that has ended is not read.
            Move::Report if self.leader => {
                self.answers = true;
                world.on(MachineEvent::Ready)
            }
            Move::Report => vec![],
            Move::CommandFails => match self.signalled.filter(|_| self.leader) {
                Some((step, _)) if world.stop.step(step).is_some_and(|step| step.is_command()) => {
                    self.command = Some(step);
                    world.on(MachineEvent::StopCommandFailed { step })
                }
                _ => vec![],
            },
            Move::Policy(policy) => {
                world.restart.policy = policy;
                world.on(MachineEvent::Settings)
            }
            // Nor any other message.
            Move::Hang if self.leader => world.on(MachineEvent::WatchdogExpired),
            Move::Ask(milliseconds) if self.leader => {
                let by = Duration::from_millis(milliseconds);
                world.on(MachineEvent::MoreTime { by })
            }
            Move::Hang | Move::Ask(_) => vec![],
            Move::Exit { group_left, escaped, zombie, end } if self.leader => {
                if zombie {
                    self.zombie = Some(world.now);
                    assert_eq!(world.on(MachineEvent::Unreaped), []);
                }
                (self.leader, self.group, self.escaped) = (false, group_left, escaped);
                world.on(MachineEvent::Exited { group_left, quietly: escaped, end })
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

/// At most one process, no start after a stop or before its turn, every waiter is answered, and everything comes to rest.
fn assert_invariants(walk: Vec<Move>, leftover_grace: u64, readiness: Readiness, steps: Vec<StopStep>, turns: bool) {
    let (mut world, mut outside) = (World::new(), Outside::default());
    world.restart.give_up_after = Some(GiveUpAfter::new(4, Duration::from_secs(30)));
    world.needs_turn = turns;
    world.stop.leftover_grace = Duration::from_secs(leftover_grace);
    world.readiness = readiness;
    world.stop.steps = steps;
    for next in walk {
        outside.step(&mut world, next);
        // A turn lasts until it is ready, or waits.
        world.needs_turn |= turns && !world.machine.prepares();
        assert!(world.machine.state() != ProxyState::Running || outside.leader);
        let clears = matches!(world.machine.state(), ProxyState::Clearing | ProxyState::Stopping);
        assert!(!(clears && outside.pid_file && !outside.leader), "a pid file names a process that is gone");
        assert!(!outside.leader || world.machine.runs() || world.machine.state() == ProxyState::Stopping);
        assert!(outside.leader || !world.machine.runs());
        assert!(readiness != Readiness::Started || !world.machine.awaits_ready());
    }
    outside.step(&mut world, Move::Stop);
    for _ in 0..6 {
        for next in [Move::Finish { well: false, hopeless: true }, exit(false), Move::Empty] {
            outside.step(&mut world, next);
            outside.step(&mut world, Move::Time(61_000));
        }
    }
    assert_eq!(world.machine.state(), ProxyState::Stopped);
    assert_eq!(outside.waiters, 0);
    assert_eq!(world.machine.deadline(), None);
}

fn exit(zombie: bool) -> Move {
    Move::Exit { group_left: false, escaped: false, zombie, end: End::Unexpected }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn random_walks_keep_the_invariants(
        walk in proptest::collection::vec(moves(), 1..120), leftover_grace in 0u64..3, readiness in readiness(),
        steps in proptest::collection::vec((0u64..4, 0..3), 0..4), turns: bool,
    ) {
        let steps = steps.into_iter().map(|(seconds, kind)| {
            let duration = Duration::from_secs(seconds);
            match kind {
                0 => StopStep::new(Signal::INT, duration),
                1 => StopStep::new(Signal::INT, duration).leader_only(),
                _ => StopStep::command(["a"], duration),
            }
        });
        assert_invariants(walk, leftover_grace, readiness, steps.collect(), turns);
    }
}

#[test]
fn walks_that_once_broke_the_invariants_keep_them() {
    let finished = |well| Move::Finish { well, hopeless: false };
    let group_outlives_leader = vec![
        Move::Start,
        finished(true),
        Move::Exit { group_left: true, escaped: false, zombie: false, end: End::Unexpected },
        Move::Empty,
    ];
    let zombie_of_a_replaced_process =
        vec![Move::Start, Move::Start, exit(false), Move::Replace, finished(false), finished(true), exit(true)];
    for walk in [group_outlives_leader, zombie_of_a_replaced_process] {
        assert_invariants(walk, 0, Readiness::Started, vec![], false);
    }
}
