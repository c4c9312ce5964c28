// SPDX-License-Identifier: MPL-2.0
//! The agent: a manager on a thread of its own, with the configuration that it follows. Signals and commands use it from
//! several threads.

mod descriptor_limit;
mod recent_events;
mod run;
mod shutdown;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proxyprocess::{Event, Manager, ManagerOptions, ProxyConfig, State};
use serde_json::{Map, Value, json};

use crate::Result;
use crate::config::{Config, OnExit};
use crate::service::ServiceManager;
use recent_events::RecentEvents;
pub(crate) use run::run;

/// The manager and all that a reload needs.
pub(crate) struct Agent {
    path: PathBuf,
    /// This executable, asked for once: the kernel names a file that was replaced since "... (deleted)".
    program: PathBuf,
    /// Fixed as long as the agent runs.
    data_dir: Option<PathBuf>,
    state: State,
    pub(crate) manager: Arc<Manager>,
    /// Held while the file is read again, so that of two reloads the later one has the later file.
    reloading: Mutex<()>,
    followed: Mutex<Followed>,
    recent: Mutex<RecentEvents>,
    service_manager: ServiceManager,
    ending: Mutex<Ending>,
}

/// What becomes of the proxies when the agent ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Leave,
    Stop,
}

/// How the agent is to end.
#[derive(Default)]
struct Ending {
    /// A command has asked for the end of the proxies too.
    with_stop: bool,
    /// Since then nothing changes it.
    decided: Option<End>,
}

/// What the accepted configuration says.
#[derive(Clone)]
pub(crate) struct Followed {
    pub(crate) on_exit: OnExit,
    /// Each `NAME=value`.
    pub(crate) proxy_env: Vec<String>,
    pub(crate) fixed: BTreeMap<String, String>,
    pub(crate) proxies: BTreeMap<String, ProxyConfig>,
}

impl Followed {
    fn of(config: &Config) -> Followed {
        let Config { options, on_exit, proxies } = config;
        let (proxy_env, fixed) = (variables(options), fixed(options));
        Followed { on_exit: *on_exit, proxy_env, fixed, proxies: proxies.clone() }
    }
}

/// What no reload changes, by its name.
pub(crate) fn fixed(options: &ManagerOptions) -> BTreeMap<String, String> {
    let base = options.cgroup_base.as_ref().map(|base| base.display().to_string());
    let all = [("cgroup", Some(options.cgroup.as_str().to_owned())), ("cgroup_base", base)];
    all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// The variables for all proxies, which were read from JSON and are UTF-8.
pub(crate) fn variables(options: &ManagerOptions) -> Vec<String> {
    let line = |(name, value): &(OsString, OsString)| format!("{}={}", name.to_string_lossy(), value.to_string_lossy());
    options.proxy_env.iter().map(line).collect()
}

impl Agent {
    /// Reads the configuration and takes over what an earlier agent left.
    fn start(path: &Path) -> Result<Agent> {
        let program = std::env::current_exe().map_err(|error| format!("find own executable: {error}"))?;
        let config = Config::load(path, &program)?;
        let followed = Followed::of(&config);
        let Config { options, proxies, .. } = config;
        descriptor_limit::raise();
        // ORDER: what is wanted comes before the manager runs, else it would stop all that it restored.
        let state = State::new();
        state.replace_all(proxies)?;
        let data_dir = options.data_dir.clone();
        let manager = Manager::new(state.clone(), options)?;
        // ORDER: before the restore, so that adoptions are among them.
        let recent = RecentEvents::of(manager.events());
        if let Some(snapshot) = manager.snapshot_path() {
            if let Err(error) = manager.restore(&snapshot) {
                log::error!("restore: {error}");
            }
        }
        Ok(Agent {
            path: path.to_owned(),
            program,
            data_dir,
            state,
            manager: Arc::new(manager),
            reloading: Mutex::new(()),
            followed: Mutex::new(followed),
            recent: Mutex::new(recent),
            service_manager: ServiceManager::of_environment(),
            ending: Mutex::default(),
        })
    }

    /// Runs the manager on a thread; `ended` is dropped when it ends.
    fn run_manager<T: Send + 'static>(&self, ended: T) -> Result<JoinHandle<proxyprocess::Result<()>>> {
        let manager = Arc::clone(&self.manager);
        let runner = move || {
            let _ended = ended;
            manager.run()
        };
        let spawned = thread::Builder::new().name("manager".to_owned()).spawn(runner);
        Ok(spawned.map_err(|error| format!("start thread of the manager: {error}"))?)
    }

    /// Reads the file again, and says what came of it in the log and to the service manager.
    ///
    /// # Errors
    /// Why it was not accepted. Everything is as it was then.
    pub(crate) fn reload(&self) -> Result<()> {
        let _one_at_a_time = lock(&self.reloading);
        self.service_manager.reloading();
        let reloaded = self.read_again();
        match &reloaded {
            Ok(()) => {
                log::info!("reloaded {}", self.path.display());
                self.tell_ready();
            }
            Err(error) => {
                log::error!("reload, nothing changed: {error}");
                self.service_manager.ready(format_args!("reload, nothing changed: {error}"));
            }
        }
        reloaded
    }

    /// Tells the service manager that it runs.
    fn tell_ready(&self) {
        let proxies = lock(&self.followed).proxies.len();
        self.service_manager.ready(format_args!("{} with {proxies} proxies", self.path.display()));
    }

    fn read_again(&self) -> Result<()> {
        let config = Config::load(&self.path, &self.program)?;
        let followed = Followed::of(&config);
        let Config { options, proxies, .. } = config;
        if options.data_dir != self.data_dir {
            return Err(format!("{}: data_dir: expected no change while the agent runs", self.path.display()).into());
        }
        // ORDER: new options hold at once, so they come last: a proxy whose command and environment both changed is
        // replaced once, and one that is no longer wanted is not started again first.
        self.state.replace_all(proxies)?;
        self.manager.reconfigure(options)?;
        *lock(&self.followed) = followed;
        Ok(())
    }

    /// What all proxies are doing: `{"proxies":{"<id>":{...}}}`.
    ///
    /// # Errors
    /// What no status has: one that is no JSON.
    pub(crate) fn status(&self) -> Result<Value> {
        let mut proxies = Map::new();
        for proxy in self.manager.status() {
            let mut fields = serde_json::to_value(&proxy)?;
            if let Value::Object(fields) = &mut fields {
                fields.remove("id");
            }
            proxies.insert(proxy.id, fields);
        }
        Ok(json!({ "proxies": proxies }))
    }

    /// Ends the agent by the signal that its main thread waits for. It is the one that says nothing more to an agent that is
    /// stopping its proxies already.
    ///
    /// # Errors
    /// When it already ends and leaves the proxies that were to be stopped.
    pub(crate) fn quit(&self, stop: bool) -> Result<()> {
        let mut ending = lock(&self.ending);
        if stop && ending.decided == Some(End::Leave) {
            return Err("the agent ends already, and leaves its proxies running".into());
        }
        // The main thread may have had another signal, and not see this one any more.
        ending.with_stop |= stop;
        Ok(kill(Pid::this(), Signal::SIGTERM)?)
    }

    /// Decides how the agent ends, when a signal has said so or the manager has ended.
    fn decide(&self, wanted: Option<End>) -> End {
        let mut ending = lock(&self.ending);
        let decided = if ending.with_stop { End::Stop } else { wanted.unwrap_or(End::Leave) };
        ending.decided = Some(decided);
        decided
    }

    /// This executable.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// As it is configured; empty without one.
    pub(crate) fn data_dir(&self) -> &Path {
        self.data_dir.as_deref().unwrap_or(Path::new(""))
    }

    /// The last events, in order.
    pub(crate) fn recent_events(&self) -> Vec<Event> {
        lock(&self.recent).all()
    }

    /// The configuration that was accepted last.
    pub(crate) fn followed(&self) -> Followed {
        lock(&self.followed).clone()
    }

    /// What becomes of the proxies now that the agent is to end.
    fn end(&self) -> End {
        if lock(&self.ending).with_stop {
            return End::Stop;
        }
        let on_exit = lock(&self.followed).on_exit;
        match on_exit {
            OnExit::Leave => End::Leave,
            OnExit::Stop => End::Stop,
            OnExit::Auto if shutdown::is_under_way() => End::Stop,
            OnExit::Auto => End::Leave,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What it guards is whole at any time.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
