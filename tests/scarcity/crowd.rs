// SPDX-License-Identifier: MPL-2.0
//! An agent with many proxies, whose limits are set from outside.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Signal, geteuid};

use crate::support::{Agent, Config, Cost, Deadline, Proxy, Scene, Start, Status, readable};

/// The longest wait between two starts of a proxy.
const MAX_WAIT_MS: u64 = 400;

/// How long a scarcity is watched.
pub(crate) const WATCHED: Duration = Duration::from_secs(2);

/// The ids of so many proxies.
pub(crate) fn ids(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("proxy-{number:02}")).collect()
}

/// So many proxies, which are tried again soon.
pub(crate) fn config(scene: &Scene, count: usize) -> Config {
    let restart = serde_json::json!({"max_wait_ms": MAX_WAIT_MS});
    let proxy = || Proxy::helper(&["run"]).set("restart", restart.clone());
    ids(count).iter().fold(Config::new(scene), |config, id| config.proxy(id, proxy()))
}

/// An agent and the processes that it should have.
#[derive(Debug)]
pub(crate) struct Crowd<'a> {
    scene: &'a Scene,
    /// The words that make a program the agent's user's.
    user: Vec<String>,
    pub(crate) agent: Agent,
    pub(crate) running: BTreeMap<String, Start>,
}

impl<'a> Crowd<'a> {
    /// An agent whose proxies run.
    #[track_caller]
    pub(crate) fn start(scene: &'a Scene, count: usize) -> Crowd<'a> {
        let mut crowd = Crowd::of(Agent::start(scene, &config(scene, count)), scene);
        crowd.come(&ids(count));
        crowd
    }

    /// An agent that may have no process yet.
    pub(crate) fn of(agent: Agent, scene: &'a Scene) -> Crowd<'a> {
        Crowd { scene, user: Vec::new(), agent, running: BTreeMap::new() }
    }

    /// As what user the agent runs.
    pub(crate) fn by(mut self, user: &[String]) -> Crowd<'a> {
        self.user = user.to_vec();
        self
    }

    /// The next agent, which adopts all that the last one had.
    #[track_caller]
    pub(crate) fn adopting(scene: &'a Scene, config: &Config, running: BTreeMap<String, Start>) -> Crowd<'a> {
        let crowd = Crowd { running, ..Crowd::of(Agent::start(scene, config), scene) };
        crowd.are_known();
        crowd
    }

    /// Sets a soft limit of the agent, as its own user, who may.
    #[track_caller]
    pub(crate) fn limit(&self, which: &str, soft: &str) {
        let (pid, limit) = (format!("--pid={}", self.agent.pid()), format!("--{which}={soft}:"));
        let mut words = self.user.clone();
        words.extend(["prlimit".to_owned(), pid, limit]);
        let set = Command::new(&words[0]).args(&words[1..]).status().expect("run prlimit");
        assert!(set.success(), "{words:?}: {set}");
    }

    /// Kills the process of every proxy.
    pub(crate) fn kill_all(&self) {
        self.running.values().for_each(|start| start.process.kill());
    }

    /// Waits until no proxy runs, and each says why.
    #[track_caller]
    pub(crate) fn all_wait_for(&self, reason: &str) {
        self.agent.status_when(self.scene, &format!("all say {reason:?}"), |status| {
            self.running.keys().all(|id| waits_for(status, id, reason))
        });
    }

    /// While the scarcity lasts, the agent does next to nothing, and does not repeat itself without end.
    #[track_caller]
    pub(crate) fn endure(&self) {
        let said = self.agent.log().lines().count();
        let cost = Cost::during(self.agent.process(), WATCHED);
        let lines = self.agent.log().lines().count() - said;
        // One try, and what is said of it, for each proxy and wait.
        let tries = self.running.len() * (WATCHED.as_millis() as usize / MAX_WAIT_MS as usize + 1);
        assert!(cost.percent(WATCHED) < 10, "{cost:?}");
        assert!(cost.sleeps() < 20 * tries as u64, "{cost:?} for {tries} tries");
        assert!(lines <= 4 * tries, "{lines} lines for {tries} tries:\n{}", self.agent.log());
    }

    /// Waits for one process of each of these proxies, and until the agent knows it.
    #[track_caller]
    pub(crate) fn come(&mut self, ids: &[String]) {
        for id in ids {
            let start = self.scene.reports.start(id);
            self.running.insert(id.clone(), start);
        }
        self.are_known();
    }

    /// Waits until the agent has exactly the processes that run.
    #[track_caller]
    pub(crate) fn are_known(&self) {
        self.agent.status_when(self.scene, "exactly these run", |status| {
            let run = self.running.iter().all(|(id, start)| status.runs(id, start.pid));
            run && status.proxies.len() == self.running.len()
        });
    }

    /// Every proxy has another process, now that the scarcity is over.
    #[track_caller]
    pub(crate) fn recovers(&mut self) {
        let ids: Vec<String> = self.running.keys().cloned().collect();
        let before = std::mem::take(&mut self.running);
        self.come(&ids);
        assert!(before.values().all(|start| start.process.is_reaped()), "zombies of the agent are left");
    }

    /// Ends the agent, which may say that for this reason the last snapshot could not be written. What it had.
    #[track_caller]
    pub(crate) fn ends_by(mut self, signal: Signal, reason: &str) -> BTreeMap<String, Start> {
        self.agent.signal(signal);
        let ended = self.agent.end();
        let told = ended.code() == Some(1) && self.agent.log().contains(reason);
        assert!(ended.success() || told, "{ended}: {}", self.agent.log());
        self.running
    }

    /// Stops everything.
    #[track_caller]
    pub(crate) fn quit(self) {
        self.agent.quit();
        assert!(self.running.values().all(|start| start.process.is_gone()));
    }
}

pub(crate) fn waits_for(status: &Status, id: &str, reason: &str) -> bool {
    let error = status.error(id).is_some_and(|error| error.contains(reason));
    // Without pidfds it may be the group of the process that cannot be looked at: it is named until it can.
    error && !status.is(id, "running") && (status[id].pid.is_none() || cfg!(proxyprocess_no_pidfd))
}

/// The words that make a program an ordinary user's, and that user the scene's; none where this is one.
pub(crate) fn as_ordinary_user(scene: &Scene, uid: u32) -> Vec<String> {
    if !geteuid().is_root() {
        return Vec::new();
    }
    fs::create_dir(scene.data_dir()).expect("make the data directory");
    chown(scene.data_dir(), Some(uid), Some(uid)).expect("give the data directory away");
    for (path, mode) in [("", 0o711), ("locks", 0o777)] {
        fs::set_permissions(scene.path(path), Permissions::from_mode(mode)).expect("let the user in");
    }
    let words = ["setpriv", &format!("--reuid={uid}"), &format!("--regid={uid}"), "--clear-groups", "--"];
    words.map(str::to_owned).to_vec()
}

/// Waits until an agent that may end instead says of all its proxies what `told` wants; false when it has ended.
#[track_caller]
pub(crate) fn has_begun(agent: &Agent, told: impl Fn(&Status) -> bool) -> bool {
    let deadline = Deadline::of("the agent to end or to have begun");
    let ended = || agent.process().is_gone();
    loop {
        let status = if agent.takes_signals() { agent.status_unless(ended) } else { None };
        if status.is_some_and(|status| told(&status)) {
            return true;
        }
        if ended() {
            return false;
        }
        readable(agent.process().fd(), deadline.left().min(Duration::from_millis(5)));
    }
}
