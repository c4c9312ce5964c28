// SPDX-License-Identifier: MPL-2.0
//! The life of the agent's process: from the command line to its exit code, steered by signals.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use proxyprocess::{Error, ErrorCode};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1};
use signal_hook::iterator::{Handle, Signals};

use super::{Agent, End};
use crate::Result;
use crate::service;

/// Runs the agent until a signal ends it. `serve` is called once it has its data directory, and has it answer commands; `show`
/// likewise, with or without a directory, and has it show what there is to see.
///
/// # Errors
/// When it cannot start. What fails later is logged, and is the exit code.
pub(crate) fn run(
    path: &Path,
    serve: impl FnOnce(&Arc<Agent>, &Path) -> Result<()>,
    show: impl FnOnce(&Arc<Agent>) -> Result<()>,
) -> Result<ExitCode> {
    start_logging();
    // ORDER: the handlers come before the first process, so that no signal ends the agent behind the library's back.
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR1])
        .map_err(|error| format!("register signal handlers: {error}"))?;
    let agent = Arc::new(Agent::start(path)?);
    let runner = agent.run_manager(CloseOnDrop(signals.handle()))?;
    if let Some(data_dir) = &agent.data_dir {
        if let Err(error) = serve(&agent, data_dir) {
            log::warn!("going on without commands: {error}");
        }
    }
    if let Err(error) = show(&agent) {
        log::warn!("going on without http: {error}");
    }
    feed_watchdog(&agent)?;
    log::info!("running {}", path.display());
    agent.tell_ready();
    // `None` when the manager ended by itself, which closed the handle.
    let end = agent.decide(signals.forever().find_map(|signal| obey(&agent, signal)));
    agent.service_manager.stopping(match end {
        End::Stop => "stopping all proxies",
        End::Leave => "ending, proxies run on",
    });
    let ended = match end {
        End::Stop => {
            obey_impatience(&agent, signals);
            agent.manager.kill().inspect(|()| log::info!("ended, all proxies are stopped"))
        }
        End::Leave => agent.manager.close().inspect(|()| log::info!("ended, proxies run on")),
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

/// Does what a signal asks for; a signal that ends the agent says what becomes of the proxies.
fn obey(agent: &Agent, signal: i32) -> Option<End> {
    match signal {
        SIGQUIT => return Some(End::Stop),
        SIGINT | SIGTERM => return Some(agent.end()),
        // What comes of it is in the log.
        SIGHUP => drop(agent.reload()),
        _ => {
            if let Err(error) = print_status(agent) {
                log::warn!("print status: {error}");
            }
        }
    }
    None
}

/// While the proxies are stopped, another SIGINT or SIGQUIT ends their grace. SIGTERM does not: a service manager may send it
/// more than once. The thread ends when the manager has.
fn obey_impatience(agent: &Arc<Agent>, mut signals: Signals) {
    let agent = Arc::clone(agent);
    let obey = move || {
        for signal in signals.forever() {
            let name = match signal {
                SIGINT => "SIGINT",
                SIGQUIT => "SIGQUIT",
                _ => continue,
            };
            log::warn!("{name} during the stop: what is left gets SIGKILL now");
            if let Err(error) = agent.manager.end_grace() {
                log::error!("end grace: {error}");
            }
        }
    };
    if let Err(error) = thread::Builder::new().name("signals".to_owned()).spawn(obey) {
        log::warn!("start thread for signals: {error}");
    }
}

/// Tells the service manager that the agent is alive, twice in each period that it has to, as long as the library answers. The
/// thread ends with the process.
fn feed_watchdog(agent: &Arc<Agent>) -> Result<()> {
    let Some(period) = service::watchdog() else { return Ok(()) };
    let agent = Arc::clone(agent);
    let feed = move || {
        loop {
            agent.manager.status();
            agent.service_manager.alive();
            thread::sleep(period / 2);
        }
    };
    let spawned = thread::Builder::new().name("watchdog".to_owned()).spawn(feed);
    spawned.map_err(|error| format!("start thread of the watchdog: {error}"))?;
    Ok(())
}

/// Ends the wait for signals, also when the manager's thread panics.
struct CloseOnDrop(Handle);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Prints the status in one line.
fn print_status(agent: &Agent) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("{}\n", agent.status()?).as_bytes())?;
    Ok(stdout.flush()?)
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
