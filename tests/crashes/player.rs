// SPDX-License-Identifier: MPL-2.0
//! Plays the life of agents, one after the other, and looks at all that they do from outside.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use crate::crashes::arm::{Arm, Cut, Played};
use crate::crashes::outside::Living;
use crate::crashes::wanted::{Kind, Wanted, socket_of};
use crate::support::{Agent, Changes, Deadline, Launch, Scene, Start, agent_with_fail_points, list};

/// How long until something is read again whose change is not reported.
const AGAIN: Duration = Duration::from_millis(5);

/// What happened.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sums {
    /// Agents that died before they were asked to.
    pub(crate) cuts: usize,
    /// Processes that outlived an agent.
    pub(crate) adoptions: usize,
}

/// The agents of one scene.
#[derive(Debug)]
pub(crate) struct Player {
    pub(crate) scene: Scene,
    program: PathBuf,
    pub(crate) wanted: Wanted,
    pub(crate) agent: Option<Agent>,
    /// What happens to the first agent, the second, and so on.
    arms: BTreeMap<usize, Arm>,
    pub(crate) launches: usize,
    /// A process that no agent may touch, though files name it.
    pub(crate) stranger: Start,
    /// What lived when the last agent was started, and those before it that were cut.
    pub(crate) before: Vec<Living>,
    /// All are being stopped, and none needs to survive.
    stopping: bool,
    pub(crate) sums: Sums,
    /// The log of the agents that have ended.
    pub(crate) logs: String,
    /// The errors that a status told.
    pub(crate) told: RefCell<BTreeSet<String>>,
}

impl Player {
    /// With the agent that has fail points.
    pub(crate) fn new(wanted: Wanted, arms: impl IntoIterator<Item = (usize, Arm)>) -> Player {
        Player::of(agent_with_fail_points().to_owned(), wanted, arms)
    }

    pub(crate) fn of(program: PathBuf, wanted: Wanted, arms: impl IntoIterator<Item = (usize, Arm)>) -> Player {
        let scene = Scene::new();
        let stranger = scene.stranger();
        Player {
            scene,
            program,
            wanted,
            agent: None,
            arms: arms.into_iter().collect(),
            launches: 0,
            stranger,
            before: Vec::new(),
            stopping: false,
            sums: Sums::default(),
            logs: String::new(),
            told: RefCell::default(),
        }
    }

    /// The trace of an agent; the first is 1.
    pub(crate) fn trace(&self, launch: usize) -> PathBuf {
        self.scene.path("traces").join(launch.to_string())
    }

    /// The file whose being there lets a child go on that stands still between clone and exec.
    pub(crate) fn release(&self) -> PathBuf {
        self.scene.path("release")
    }

    /// Starts the next agent and waits until it takes signals.
    pub(crate) fn launch(&mut self) -> Played {
        self.begin();
        self.launch_goes_on()
    }

    /// Waits until the agent that was just started takes signals.
    #[track_caller]
    pub(crate) fn launch_goes_on(&mut self) -> Played {
        let changes = Changes::of(&self.scene.data_dir());
        let deadline = Deadline::of(format!("agent {} to come up", self.launches));
        while !self.agent().is_ready(&self.scene.data_dir()) && !self.has_the_lock_untold() {
            self.check_cut()?;
            changes.wait(deadline.left().min(AGAIN));
        }
        Ok(())
    }

    /// Whether the agent takes signals and has the lock, though it may not have been able to write so.
    fn has_the_lock_untold(&self) -> bool {
        self.has_passed("lock:told") > 0 && self.agent().takes_signals()
    }

    /// How often the agent has passed a point.
    fn has_passed(&self, point: &str) -> usize {
        let trace = fs::read_to_string(self.trace(self.launches)).unwrap_or_default();
        trace.lines().filter(|line| *line == point).count()
    }

    /// Starts the next agent.
    pub(crate) fn begin(&mut self) {
        assert!(self.agent.is_none(), "one agent at a time");
        match std::mem::take(&mut self.stopping) {
            true => self.before.clear(),
            false => {
                let known: BTreeSet<u32> = self.before.iter().map(Living::pid).collect();
                self.before.extend(self.living().0.into_iter().filter(|living| !known.contains(&living.pid())));
            }
        }
        self.launches += 1;
        let trace = self.trace(self.launches);
        fs::create_dir_all(trace.parent().expect("a directory of traces")).expect("make it");
        let arm = self.arms.entry(self.launches).or_default();
        let (trace, release) = (trace.display().to_string(), self.scene.path("release").display().to_string());
        let launch = Launch::of(&self.program, &self.scene)
            .env("PROXYPROCESS_FAIL", &arm.actions)
            .env("PROXYPROCESS_FAIL_TRACE", &trace)
            .env("PROXYPROCESS_FAIL_RELEASE", &release);
        self.agent = Some(launch.spawn(&self.wanted.config(&self.scene)));
    }

    /// Waits until all is as wanted, and checks who has survived the start of this agent. The leaders, by id.
    #[track_caller]
    pub(crate) fn settle(&mut self) -> Played<BTreeMap<String, Living>> {
        let changes = Changes::of(&self.scene.data_dir());
        let deadline = Deadline::of(format!("agent {} to have all as wanted", self.launches));
        loop {
            let seen = self.look();
            self.scene.reports.forget_unread(); // and panics if two of one id lived at a time
            match seen {
                Ok(leaders) => {
                    self.check_survivors(&leaders);
                    return Ok(leaders);
                }
                Err(why) => {
                    self.check_cut()?;
                    if deadline.is_over() {
                        panic!("agent {}: waited in vain: {why}", self.launches);
                    }
                }
            }
            changes.wait(AGAIN);
        }
    }

    /// Kills the leader of a proxy.
    pub(crate) fn kill(&mut self, leader: &Living) {
        leader.process.kill();
        self.before.retain(|old| old.pid() != leader.pid());
    }

    /// Has the agent follow another set.
    pub(crate) fn reload(&mut self, wanted: Wanted) {
        self.wanted = wanted;
        self.agent().reload(&self.wanted.config(&self.scene));
    }

    /// Has the agent end, and waits for it.
    #[track_caller]
    pub(crate) fn end(&mut self, signal: Signal) -> Played {
        self.ask_to_end(signal);
        let deadline = Deadline::of(format!("the end of agent {}", self.launches));
        while !self.agent().process().is_gone() {
            if self.stands_still() {
                return Err(Cut);
            }
            let _ = crate::support::readable(self.agent().process().fd(), deadline.left().min(AGAIN));
        }
        self.bury()
    }

    /// Tells the agent to end.
    pub(crate) fn ask_to_end(&mut self, signal: Signal) {
        self.stopping |= signal == Signal::QUIT;
        self.agent().signal(signal);
    }

    /// Waits for what is left of an agent that has ended.
    fn bury(&mut self) -> Played {
        let mut agent = self.agent.take().expect("an agent");
        if self.arms.get(&self.launches).is_some_and(|arm| arm.child_in_flight) {
            return Err(Cut);
        }
        let status = agent.end();
        self.logs.push_str(&agent.log());
        if status.success() {
            return Ok(());
        }
        if status.code() == Some(1) && self.arms.get(&self.launches).is_some_and(|arm| arm.may_refuse) {
            return Err(Cut);
        }
        assert_eq!(status.signal(), Some(9), "agent {} ended with {status}:\n{}", self.launches, agent.log());
        Err(Cut)
    }

    /// After a cut: whatever is left of the agent is killed, the next one comes, and all must be as wanted.
    #[track_caller]
    pub(crate) fn recover(&mut self) {
        let last = self.arms.last_key_value().map_or(0, |(launch, _)| *launch);
        loop {
            self.sums.cuts += 1;
            self.kill_agent();
            match self.launch().and_then(|()| self.settle()) {
                Ok(_) => return,
                Err(Cut) => assert!(self.launches <= last, "an agent that nothing happens to goes on"),
            }
        }
    }

    /// Asks much of an agent in which a thread stands still, and lets the other threads do some of it.
    pub(crate) fn disturb(&mut self) {
        let data_dir = self.scene.data_dir();
        if !self.agent.as_ref().is_some_and(|agent| agent.is_ready(&data_dir)) {
            return;
        }
        let changes = Changes::of(&data_dir);
        self.reload(self.wanted.clone().without("plain").with("late", Kind::Runs, 5).with("other", Kind::Polite, 5));
        changes.wait(AGAIN * 4);
        self.agent().signal(Signal::TERM);
        changes.wait(AGAIN);
    }

    /// Kills the agent, as the kernel does when memory is short.
    #[track_caller]
    pub(crate) fn kill_agent(&mut self) {
        let Some(mut agent) = self.agent.take() else { return };
        agent.signal(Signal::KILL);
        agent.end();
        self.logs.push_str(&agent.log());
    }

    /// Has the agent stop everything, and checks that nothing is left of the scene.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Sums {
        while self.agent.is_some() && self.end(Signal::QUIT).is_err() {
            self.recover();
        }
        let (living, others) = self.living();
        assert!(living.is_empty() && others == 0, "ORPHANS: {living:?}, and {others} that have not executed");
        for folder in ["records", "pids"] {
            assert_eq!(list(&self.scene.data_dir().join(folder)), [""; 0], "{folder} of processes that are gone");
        }
        let socket = socket_of(&self.scene, "listens");
        // An agent that dies between bind(2) and the record, or that cannot read the record, leaves a dead one.
        let nothing_happened = self.sums.cuts == 0 && self.arms.values().all(|arm| arm.actions.is_empty());
        assert!(!(nothing_happened && socket.exists()), "{} is left", socket.display());
        self.scene.reports.forget_unread();
        assert!(!self.stranger.process.is_gone(), "a stranger was signalled");
        self.stranger.process.kill();
        let Player { scene, sums, .. } = self;
        scene.finish();
        sums
    }

    pub(crate) fn agent(&self) -> &Agent {
        self.agent.as_ref().expect("an agent")
    }

    /// Whether the agent is dead or stands still.
    pub(crate) fn is_cut(&self) -> bool {
        self.agent().process().is_gone() || self.stands_still()
    }

    /// Whether a thread of the agent has come to where it is to stand still.
    fn stands_still(&self) -> bool {
        let arm = self.arms.get(&self.launches);
        let stall = arm.and_then(|arm| arm.stall.as_ref());
        stall.is_some_and(|(point, passing)| self.has_passed(point) >= *passing)
    }

    #[track_caller]
    fn check_cut(&mut self) -> Played {
        if !self.is_cut() {
            return Ok(());
        }
        if self.agent().process().is_gone() {
            self.bury()?;
            panic!("agent {} has ended by itself:\n{}", self.launches, self.logs);
        }
        Err(Cut)
    }
}
