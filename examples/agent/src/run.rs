// SPDX-License-Identifier: MPL-2.0
//! The agent: a manager on a thread of its own, and signals that tell it what to do.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use proxyprocess::{Error, ErrorCode, Manager, ProxyStatus, State};
use serde_json::{Map, Value, json};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1};
use signal_hook::iterator::{Handle, Signals};

use crate::Result;
use crate::config::{Config, OnExit};

/// Runs the agent until a signal ends it.
///
/// # Errors
/// When it cannot start. What fails later is logged, and is the exit code.
pub(crate) fn run(path: &Path) -> Result<ExitCode> {
    start_logging();
    // ORDER: the handlers come before the first process, so that no signal ends the agent behind the library's back.
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR1])
        .map_err(|error| format!("register signal handlers: {error}"))?;
    let mut agent = Agent::start(path)?;
    let runner = agent.run(signals.handle())?;
    log::info!("running {}", path.display());
    // `None` when the manager ended by itself, which closed the handle.
    let ended = match signals.forever().find_map(|signal| agent.obey(signal)) {
        Some(OnExit::Stop) => agent.manager.kill().inspect(|()| log::info!("ended, all proxies are stopped")),
        Some(OnExit::Leave) | None => agent.manager.close().inspect(|()| log::info!("ended, proxies run on")),
    };
    let ran = match runner.join() {
        // A signal has ended the manager before it began to run.
        Ok(Err(error)) if error.code() == ErrorCode::Closed => Ok(()),
        Ok(ran) => ran,
        Err(_) => Err(Error::new(ErrorCode::Internal, "run manager: its thread panicked")),
    };
    let mut failures: Vec<Error> = [ran, ended].into_iter().filter_map(|result| result.err()).collect();
    // The run has the result of the end.
    failures.dedup();
    for error in &failures {
        log::error!("{error}");
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The manager and all that a reload needs.
struct Agent {
    path: PathBuf,
    /// This executable, asked for once: the kernel names a file that was replaced since "... (deleted)".
    program: PathBuf,
    /// Fixed as long as the agent runs.
    data_dir: Option<PathBuf>,
    state: State,
    manager: Arc<Manager>,
    on_exit: OnExit,
}

impl Agent {
    /// Reads the configuration and takes over what an earlier agent left.
    fn start(path: &Path) -> Result<Agent> {
        let program = std::env::current_exe().map_err(|error| format!("find own executable: {error}"))?;
        let config = Config::load(path, &program)?;
        raise_descriptor_limit();
        // ORDER: what is wanted comes before the manager runs, else it would stop all that it restored.
        let state = State::new();
        state.replace_all_json(&config.proxies)?;
        let data_dir = config.options.data_dir.clone();
        let manager = Manager::new(state.clone(), config.options)?;
        if let Some(snapshot) = manager.snapshot_path() {
            if let Err(error) = manager.restore(&snapshot) {
                log::error!("restore: {error}");
            }
        }
        let manager = Arc::new(manager);
        Ok(Agent { path: path.to_owned(), program, data_dir, state, manager, on_exit: config.on_exit })
    }

    /// Runs the manager on a thread; when it ends, so do the signals.
    fn run(&self, signals: Handle) -> Result<JoinHandle<proxyprocess::Result<()>>> {
        let manager = Arc::clone(&self.manager);
        let runner = move || {
            let _closed = CloseOnDrop(signals);
            manager.run()
        };
        let spawned = thread::Builder::new().name("manager".to_owned()).spawn(runner);
        Ok(spawned.map_err(|error| format!("start thread of the manager: {error}"))?)
    }

    /// Does what a signal asks for; a signal that ends the agent says what becomes of the proxies.
    fn obey(&mut self, signal: i32) -> Option<OnExit> {
        match signal {
            SIGQUIT => return Some(OnExit::Stop),
            SIGINT | SIGTERM => return Some(self.on_exit),
            SIGHUP => match self.reload() {
                Ok(()) => log::info!("reloaded {}", self.path.display()),
                Err(error) => log::error!("reload, nothing changed: {error}"),
            },
            _ => {
                if let Err(error) = print_status(self.manager.status()) {
                    log::warn!("print status: {error}");
                }
            }
        }
        None
    }

    /// Reads the file again. An error leaves everything as it is.
    fn reload(&mut self) -> Result<()> {
        let config = Config::load(&self.path, &self.program)?;
        if config.options.data_dir != self.data_dir {
            return Err(format!("{}: data_dir: expected no change while the agent runs", self.path.display()).into());
        }
        // ORDER: new options hold at once, so they come last: a proxy whose command and environment both changed is
        // replaced once, and one that is no longer wanted is not started again first.
        self.state.replace_all_json(&config.proxies)?;
        self.manager.reconfigure(config.options)?;
        self.on_exit = config.on_exit;
        Ok(())
    }
}

/// Ends the wait for signals, also when the manager's thread panics.
struct CloseOnDrop(Handle);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Prints `{"proxies":{"<id>":{...}}}` in one line.
fn print_status(status: Vec<ProxyStatus>) -> Result<()> {
    let mut proxies = Map::new();
    for proxy in status {
        let mut fields = serde_json::to_value(&proxy)?;
        if let Value::Object(fields) = &mut fields {
            fields.remove("id");
        }
        proxies.insert(proxy.id, fields);
    }
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("{}\n", json!({ "proxies": proxies })).as_bytes())?;
    Ok(stdout.flush()?)
}

/// The library keeps a descriptor a process, and the usual soft limit of 1024 is for the sake of programs that use
/// select(2). It is the host's to raise; the library gives the processes the limit that the agent was started with.
fn raise_descriptor_limit() {
    const DESCRIPTORS: Resource = Resource::RLIMIT_NOFILE;
    let raised = getrlimit(DESCRIPTORS).and_then(|(_, hard)| setrlimit(DESCRIPTORS, hard, hard));
    if let Err(error) = raised {
        log::warn!("raise descriptor limit: {error}");
    }
}

/// Logs on standard error what RUST_LOG says, or else from the level info on.
fn start_logging() {
    let mut logger = env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info"));
    logger.format(|out, record| {
        let time = humantime::format_rfc3339_seconds(SystemTime::now());
        writeln!(out, "[{time} {:<5} {}] {}", record.level(), record.target(), record.args())
    });
    logger.init();
}
