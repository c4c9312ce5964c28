// SPDX-License-Identifier: MPL-2.0
//! The demonstration's agent, its files and ports, and how to wait for what it does.

use std::fs::{self, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{self, Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

use super::directory::Directory;
use super::processes;
use super::upstream::{self, Conversation};
use crate::Result;

/// How long the agent may take for anything, also on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(10);

/// The id of the managed proxy.
const PROXY: &str = "echo-proxy";

/// Everything that the demonstration starts; dropped, it stops what is left of it.
pub(super) struct Stage {
    /// Where the upstream listens.
    pub(super) upstream: SocketAddr,
    /// Where the managed proxy listens.
    pub(super) listen: SocketAddr,
    /// This executable.
    program: PathBuf,
    /// The agent's working directory.
    dir: Directory,
    /// The agent while it runs.
    agent: Option<Child>,
    /// Set by a signal that ends the demonstration: it cleans up before it goes.
    interrupted: Arc<AtomicBool>,
}

/// What the agent says about the proxy.
pub(super) struct Status {
    pub(super) pid: Option<u32>,
    pub(super) adopted: bool,
}

impl Stage {
    /// Starts the upstream and writes the agent's configuration.
    pub(super) fn set() -> Result<Stage> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
        }
        let dir = Directory::create()?;
        let (upstream, listen) = (upstream::start()?, free_address()?);
        let config = json!({
            "data_dir": "data",
            "allow_root": true,
            "quiescent_period_ms": 10,
            "proxies": {
                PROXY: {
                    "command": ["{self}", "proxy", "--listen", listen, "--upstream", upstream],
                    "target_service": "echo",
                },
            },
        });
        fs::write(dir.path().join("agent.json"), format!("{config:#}\n"))?;
        Ok(Stage { upstream, listen, program: std::env::current_exe()?, dir, agent: None, interrupted })
    }

    /// Starts the agent, in a process group of its own: an interrupt from the terminal is for the demonstration alone.
    pub(super) fn start_agent(&mut self) -> Result<u32> {
        let append = |name| OpenOptions::new().create(true).append(true).open(self.dir.path().join(name));
        let mut command = Command::new(&self.program);
        command.arg("agent.json").current_dir(self.dir.path()).env("RUST_LOG", "info").process_group(0);
        command.stdin(Stdio::null()).stdout(append("agent.out")?).stderr(append("agent.log")?);
        let pid = self.agent.insert(command.spawn()?).id();
        // A SIGUSR1 that it does not handle yet would end it.
        self.wait("the agent to handle signals", |_| Ok(processes::handles(pid, SIGUSR1).then_some(pid)))
    }

    /// Kills the agent; it can do nothing about it.
    pub(super) fn kill_agent(&mut self) -> Result<()> {
        if let Some(mut agent) = self.agent.take() {
            agent.kill()?;
            agent.wait()?;
        }
        Ok(())
    }

    /// Tells the agent to stop its proxies and end, and waits until it has.
    pub(super) fn end_agent(&mut self) -> Result<()> {
        let Some(agent) = &mut self.agent else { return Ok(()) };
        processes::signal(agent.id(), Signal::SIGQUIT)?;
        let status = poll("the agent to end", || Ok(agent.try_wait()?))?;
        self.agent = None;
        if status.success() { Ok(()) } else { Err(format!("wait for the agent to end: {status}").into()) }
    }

    /// Sends a line through the proxy on a new connection, and returns the answer. The proxy may not listen yet.
    pub(super) fn ask(&mut self, line: &str) -> Result<String> {
        let ask = |stage: &mut Stage| Conversation::open(stage.listen)?.ask(line);
        self.wait("an answer through the proxy", |stage| Ok(ask(stage).ok()))
    }

    /// Asks the agent for the proxy's status until `want` finds in it what it looks for.
    pub(super) fn wait_for_status<T>(&mut self, what: &str, want: impl Fn(&Status) -> Option<T>) -> Result<T> {
        self.wait(what, |stage| Ok(want(&stage.status()?)))
    }

    /// Checks that the proxy is gone and its port closed, and removes the files.
    pub(super) fn ensure_nothing_is_left(&self) -> Result<()> {
        if let Some(pid) = self.proxies_alive().first() {
            return Err(format!("the proxy is left as process {pid}").into());
        }
        if TcpStream::connect_timeout(&self.listen, PATIENCE).is_ok() {
            return Err(format!("the port of {} is left open", self.listen).into());
        }
        self.dir.remove()
    }

    /// What the agent has logged.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("agent.log")).unwrap_or_default()
    }

    /// Has the agent print its status, and reads that line.
    fn status(&mut self) -> Result<Status> {
        let agent = self.agent.as_ref().map(Child::id).ok_or("no agent is running")?;
        let printed = self.dir.path().join("agent.out");
        let before = fs::read_to_string(&printed)?.len();
        processes::signal(agent, Signal::SIGUSR1)?;
        let line = self.wait("the agent's status", |_| {
            let printed = fs::read_to_string(&printed)?;
            Ok(printed[before..].split_once('\n').map(|(line, _)| line.to_owned()))
        })?;
        let status: Value = serde_json::from_str(&line)?;
        let proxy = &status["proxies"][PROXY];
        let pid = proxy["pid"].as_u64().and_then(|pid| pid.try_into().ok());
        Ok(Status { pid, adopted: proxy["adopted"] == true })
    }

    fn proxies_alive(&self) -> Vec<u32> {
        processes::running(&["proxy", "--listen", &self.listen.to_string()])
    }

    /// Waits for what `look` finds while the agent runs.
    ///
    /// # Errors
    /// When it takes too long, the agent ends, or the demonstration is interrupted.
    fn wait<T>(&mut self, what: &str, mut look: impl FnMut(&mut Stage) -> Result<Option<T>>) -> Result<T> {
        poll(what, || {
            let found = look(self)?;
            if found.is_none() && self.interrupted.load(Ordering::Relaxed) {
                return Err(format!("wait for {what}: interrupted").into());
            }
            match self.agent.as_mut().map(Child::try_wait).transpose()?.flatten() {
                Some(status) => Err(format!("wait for {what}: the agent ended, {status}").into()),
                None => Ok(found),
            }
        })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // A failure has been reported already, and there is no more to do about one of these.
        if self.end_agent().is_err() {
            let _ = self.kill_agent();
        }
        // Nothing starts them again now.
        for pid in self.proxies_alive() {
            let _ = processes::signal(pid, Signal::SIGKILL);
        }
    }
}

/// An address of this machine that nothing listens on. It is below the ports that the kernel chooses from by itself,
/// so that no connection takes it before the proxy does, nor while the proxy is dead.
fn free_address() -> Result<SocketAddr> {
    let first = process::id() % 10_000;
    let mut addresses = (0..10_000).map(|next| {
        let port = 20_000 + u16::try_from((first + next) % 10_000).unwrap_or(0);
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    });
    let free = addresses.find(|address| TcpListener::bind(address).is_ok());
    free.ok_or_else(|| "find a free port from 20000 to 29999: none".into())
}

/// Looks again and again until there is something to be found.
fn poll<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            return Err(format!("wait for {what}: gave up after {PATIENCE:?}").into());
        }
        thread::sleep(PAUSE);
    }
}
