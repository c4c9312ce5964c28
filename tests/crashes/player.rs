//! Plays the life of agents, one after the other, and looks at all that they do from outside.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use super::outside::{self, Living};
use super::wanted::{Kind, Wanted};
use crate::support::{Agent, Changes, Deadline, HELPER, Launch, Process, Scene, Start, Status, agent_with_fail_points};

/// What happens to one of the agents.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arm {
    /// What PROXYPROCESS_FAIL says.
    pub(crate) actions: String,
    /// The point, and its passing, at which a thread stands still.
    pub(crate) stall: Option<(String, usize)>,
    /// A child between clone and exec outlives the agent, and has its standard error.
    pub(crate) child_in_flight: bool,
    /// It may end at once and say why.
    pub(crate) may_refuse: bool,
}

impl Arm {
    /// It dies at a passing of a point.
    pub(crate) fn dies(point: &str, passing: usize) -> Arm {
        Arm { actions: format!("{point}#{passing}=die"), ..Arm::default() }
    }

    /// A thread of it stands still at a passing of a point.
    pub(crate) fn stalls(point: &str, passing: usize) -> Arm {
        Arm { actions: format!("{point}#{passing}=stall"), stall: Some((point.to_owned(), passing)), ..Arm::default() }
    }

    /// It dies at a point of its first child, which stands still there until it is released.
    pub(crate) fn leaves_in_flight(point: &str) -> Arm {
        Arm { actions: format!("{point}#1=stall"), child_in_flight: true, ..Arm::default() }
    }
}

/// The agent has died, or does not go on.
#[derive(Debug)]
pub(crate) struct Cut;

pub(crate) type Played<T = ()> = Result<T, Cut>;

/// How long until something is looked at again that tells nobody that it changed.
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
    before: Vec<Living>,
    /// All are being stopped, and none needs to survive.
    stopping: bool,
    pub(crate) sums: Sums,
    /// The log of the agents that have ended.
    pub(crate) logs: String,
}

impl Player {
    /// With the agent that has fail points.
    pub(crate) fn new(wanted: Wanted, arms: impl IntoIterator<Item = (usize, Arm)>) -> Player {
        Player::of(agent_with_fail_points().to_owned(), wanted, arms)
    }

    pub(crate) fn of(program: PathBuf, wanted: Wanted, arms: impl IntoIterator<Item = (usize, Arm)>) -> Player {
        let scene = Scene::new();
        let mut stranger = Command::new(*HELPER);
        stranger.arg("graceful").envs(scene.env()).env("CONNECT_PROXY_ID", "stranger").stdin(Stdio::null());
        stranger.spawn().expect("start the stranger");
        let stranger = scene.reports.start("stranger");
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
        while !self.agent().is_ready(&self.scene.data_dir()) {
            self.check_cut()?;
            changes.wait(deadline.left().min(AGAIN));
        }
        Ok(())
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

    /// Whether all is as wanted, and if not, what is not. It may be on its way.
    fn look(&self) -> Result<BTreeMap<String, Living>, String> {
        let status = self.agent().status_unless(|| self.is_cut()).ok_or("the agent does not answer")?;
        let (living, others) = self.living();
        if others > 0 {
            return Err(format!("{others} processes that have not executed yet"));
        }
        let leaders = outside::check_processes(&self.wanted, living)?;
        check_status(&self.wanted, &status, &leaders)?;
        outside::check_files(&self.scene.data_dir(), &self.wanted, &leaders)?;
        if self.agent().process().is_gone() {
            return Err("the agent is gone".to_owned());
        }
        Ok(leaders)
    }

    /// What lived when this agent was started and is wanted as it was has the same processes.
    fn check_survivors(&mut self, leaders: &BTreeMap<String, Living>) {
        for old in std::mem::take(&mut self.before).into_iter().filter(Living::leads) {
            let want = self.wanted.0.get(&old.id).filter(|want| old.version == Some(want.version));
            if want.is_some_and(|want| want.kind.lives()) {
                let new = leaders.get(&old.id).map(Living::pid);
                assert_eq!(new, Some(old.pid()), "{} needed no other process", old.id);
                self.sums.adoptions += 1;
            }
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
            self.check_cut()?;
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

    fn living(&self) -> (Vec<Living>, usize) {
        let nobody = OnceCell::new();
        let agent = self.agent.as_ref().map_or_else(|| nobody.get_or_init(own_process), Agent::process);
        let (mut living, others) = outside::living(&self.scene, agent);
        living.retain(|process| process.pid() != self.stranger.pid);
        (living, others)
    }

    /// The leaders that live.
    pub(crate) fn leaders(&self) -> Vec<Living> {
        self.living().0.into_iter().filter(Living::leads).collect()
    }

    /// While there is no agent: its children that have not executed yet.
    pub(crate) fn in_flight(&self) -> Vec<Process> {
        let known: BTreeSet<u32> = self.living().0.iter().map(Living::pid).chain([self.stranger.pid]).collect();
        self.scene.alive().into_iter().filter(|process| !known.contains(&process.pid())).collect()
    }

    /// Whether the agent is dead or stands still.
    fn is_cut(&self) -> bool {
        if self.agent().process().is_gone() {
            return true;
        }
        let arm = self.arms.get(&self.launches);
        arm.and_then(|arm| arm.stall.as_ref()).is_some_and(|(point, passing)| {
            let trace = fs::read_to_string(self.trace(self.launches)).unwrap_or_default();
            trace.lines().filter(|line| line == point).count() >= *passing
        })
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

use crate::support::list;

fn own_process() -> Process {
    Process::open(std::process::id()).expect("this process")
}

/// Checks that the status is of exactly what is wanted, and names the processes that live.
fn check_status(wanted: &Wanted, status: &Status, leaders: &BTreeMap<String, Living>) -> Result<(), String> {
    if !status.proxies.keys().eq(wanted.0.keys()) {
        return Err(format!("the status is of {:?}", status.proxies.keys()));
    }
    for (id, want) in &wanted.0 {
        let (said, pid) = (&status[id], leaders.get(id).map(Living::pid));
        let expected = match want.kind {
            Kind::Ends => said.state == "waiting" && said.last_exit.as_deref() == Some("exit code 3"),
            Kind::Missing => said.last_error.as_ref().is_some_and(|error| error.contains("No such file")),
            _ => said.state == "running",
        };
        if !expected || said.pid != pid {
            return Err(format!("{id}, which is process {pid:?}: {said:?}"));
        }
    }
    Ok(())
}
