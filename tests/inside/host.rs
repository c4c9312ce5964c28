// SPDX-License-Identifier: MPL-2.0
//! A host program in this process: a state, and a manager that a thread runs.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use proxyprocess::{
    CgroupUse, Command, ErrorCode, EventKind, ExecMode, Manager, ManagerOptions, ProxyConfig, ProxyStatus, Result,
    State,
};

use super::look::context_switches;
use super::observer::Observer;
use crate::support::{HELPER, Scene, without_cgroups};

/// Options with short periods, under which root may run proxies.
pub(crate) fn quick(data_dir: &Path) -> ManagerOptions {
    let mut options = ManagerOptions::default();
    options.data_dir = Some(data_dir.to_owned());
    options.allow_root = true;
    options.snapshot_period = Duration::from_millis(20);
    options.coalesce_period = Duration::from_millis(200);
    options.quiescent_period = Duration::from_millis(10);
    if without_cgroups() { options.with_cgroup(CgroupUse::Off) } else { options }
}

/// A helper process in a role, which reports to this scene. It dies at once when it is killed, and its token is
/// declared, so that the next manager knows it.
pub(crate) fn helper(scene: &Scene, role: &[&str]) -> ProxyConfig {
    let mut config = inherited(role);
    config.command = scene.env().into_iter().fold(config.command, |command, (name, value)| command.env(name, value));
    config
}

/// The same in an act, whose own environment says where to report.
pub(crate) fn inherited(role: &[&str]) -> ProxyConfig {
    let mut config = ProxyConfig::new(Command::new(*HELPER).args(role));
    config.token = Some("a declared token".to_owned());
    config
}

/// A manager with its state and its events. Dropped by a test that fails, it stops its proxies.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) state: State,
    pub(crate) manager: Arc<Manager>,
    pub(crate) events: Observer,
    runner: Option<JoinHandle<Result<()>>>,
}

impl Host {
    /// A host that does nothing yet.
    #[track_caller]
    pub(crate) fn new(options: ManagerOptions) -> Host {
        Host::of(State::new(), options)
    }

    /// A host of a state that is there already.
    #[track_caller]
    pub(crate) fn of(state: State, options: ManagerOptions) -> Host {
        let manager = Arc::new(Manager::new(state.clone(), options).expect("create a manager"));
        let events = Observer::of(manager.events());
        Host { state, manager, events, runner: None }
    }

    /// Declares a proxy.
    #[track_caller]
    pub(crate) fn set(&self, id: &str, config: ProxyConfig) {
        self.state.set(id, config).expect("declare a proxy");
    }

    /// Restores from the manager's own snapshot.
    pub(crate) fn restore(&self) -> Result<()> {
        self.manager.restore(self.manager.snapshot_path().expect("a data directory"))
    }

    /// Has a thread run the manager.
    pub(crate) fn run(&mut self) {
        let manager = self.manager.clone();
        let thread = std::thread::Builder::new().name("proxy-run".to_owned());
        self.runner = Some(thread.spawn(move || manager.run()).expect("start a thread"));
    }

    /// What a proxy is doing.
    #[track_caller]
    pub(crate) fn status(&self, id: &str) -> ProxyStatus {
        let status = self.manager.status();
        let found = status.iter().find(|status| status.id == id).cloned();
        found.unwrap_or_else(|| panic!("no proxy {id} in {status:?}"))
    }

    /// Waits until all that was declared so far is followed, and begun as far as it begins at once.
    #[track_caller]
    pub(crate) fn follow(&mut self, marker: &str) {
        self.set(marker, ProxyConfig::of_mode(ExecMode::NOOP));
        let started = EventKind::Started { pid: None };
        self.events.until("the marker", |event| event.id.as_deref() == Some(marker) && event.kind == started);
        // It is answered by the thread that looks after the processes, after what it was told by the sync.
        let _ = self.manager.status();
    }

    /// No thread wakes up while nothing happens: so an exit that is seen is an event and not the find of a poll. The time
    /// is longer than the second between two polls of the original.
    #[track_caller]
    pub(crate) fn nothing_ticks(&mut self) {
        if cfg!(proxyprocess_no_pidfd) {
            return; // without pidfds there is no event, and looking now and then is the promised fallback
        }
        const LONG: Duration = Duration::from_millis(1300);
        // What the start has left to do may fall into the first round.
        let mut rounds = Vec::new();
        for _ in 0..3 {
            let before = context_switches();
            assert!(before.len() >= 3, "{before:?}");
            while self.events.next(LONG).is_some() {}
            let after = context_switches();
            if before == after {
                return;
            }
            rounds.push((before, after));
        }
        panic!("something ticks: {rounds:#?}");
    }

    /// Ends the manager and leaves its proxies running.
    #[track_caller]
    pub(crate) fn close(mut self) {
        self.manager.close().expect("close the manager");
        self.join();
    }

    /// Ends the manager and its proxies.
    #[track_caller]
    pub(crate) fn kill(mut self) {
        self.manager.kill().expect("kill the manager");
        self.join();
    }

    /// The run has returned by now, or never began because the end came first.
    #[track_caller]
    pub(crate) fn join(&mut self) {
        let result = self.join_ended();
        let came_late = result.as_ref().is_err_and(|error| error.code() == ErrorCode::Closed);
        assert!(result.is_ok() || came_late, "{result:?}");
    }

    /// The result of the run, if there was one: that of the end.
    #[track_caller]
    pub(crate) fn join_ended(&mut self) -> Result<()> {
        self.runner.take().map_or(Ok(()), |runner| runner.join().expect("the run does not panic"))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.manager.kill();
        }
    }
}
