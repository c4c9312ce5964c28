// SPDX-License-Identifier: MPL-2.0
//! The same proxy under other supervisors, by which its figures can be judged.

mod plain;
mod supervisord;
mod systemd;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Pid;
use serde_json::Value;

use crate::Result;
use crate::programs::{Place, Program, Sockets};

/// The program that is played: it is one process. Of a program with workers, some supervisors leave those behind that serve on
/// after a SIGKILL of the first process, and their next one finds the address taken.
pub(crate) const PROGRAM: &str = "haproxy";

/// How long a process may take to be there.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long until a supervisor is asked again, each time by a process that takes time away from the proxy.
const AGAIN: Duration = Duration::from_millis(20);

/// One proxy under another supervisor. Both are ended when it is dropped.
pub(crate) trait Supervised {
    /// The process of the proxy, if there is one now.
    fn pid(&mut self) -> Result<Option<Pid>>;
    /// Replaces the proxy, and waits until the supervisor says that it has.
    fn restart(&mut self) -> Result<()>;
}

/// Another supervisor.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// Whose sockets a proxy can have under it.
    pub(crate) sockets: &'static [Sockets],
    is_installed: fn() -> bool,
    start: fn(&Place<'_>, &Launch) -> Result<Box<dyn Supervised>>,
}

static ALL: [Peer; 3] = [
    Peer {
        name: "systemd",
        sockets: &[Sockets::Own, Sockets::Inherited],
        is_installed: systemd::is_installed,
        start: systemd::start,
    },
    Peer {
        name: "supervisord",
        sockets: &[Sockets::Own],
        is_installed: || in_path("supervisord").is_some() && in_path("supervisorctl").is_some(),
        start: supervisord::start,
    },
    Peer { name: "stop and start", sockets: &[Sockets::Own], is_installed: || true, start: plain::start },
];

/// Those that are installed.
pub(crate) fn installed() -> impl Iterator<Item = &'static Peer> {
    ALL.iter().filter(|peer| (peer.is_installed)())
}

impl Peer {
    /// Has the proxy run.
    pub(crate) fn start(&self, program: &Program, place: &Place<'_>) -> Result<Box<dyn Supervised>> {
        let launch = Launch::of(&program.declaration(place, 0)?)?;
        let mut supervised = (self.start)(place, &launch)?;
        running(&mut *supervised, None)?;
        Ok(supervised)
    }
}

/// Waits until the proxy has a process, another one than this.
pub(crate) fn running(supervised: &mut dyn Supervised, but: Option<Pid>) -> Result<Pid> {
    let begun = Instant::now();
    loop {
        if let Some(pid) = supervised.pid()?.filter(|pid| Some(*pid) != but) {
            return Ok(pid);
        }
        if begun.elapsed() > PATIENCE {
            return Err("the proxy does not run".into());
        }
        thread::sleep(AGAIN);
    }
}

/// What a proxy is started with, as its declaration says it.
struct Launch {
    command: Vec<String>,
    env: Vec<String>,
    stop_signal: String,
}

impl Launch {
    fn of(declaration: &Value) -> Result<Launch> {
        let words = |field: &str| -> Option<Vec<String>> {
            // The first descriptor of sd_listen_fds(3).
            let word = |word: &Value| Some(word.as_str()?.replace("{fd:web}", "3"));
            declaration[field].as_array()?.iter().map(word).collect()
        };
        let stop_signal = declaration["stop_signal"].as_str().map(str::to_owned);
        let launch = words("command").zip(words("env")).zip(stop_signal);
        let ((command, env), stop_signal) = launch.ok_or("a declaration that no other supervisor can have")?;
        Ok(Launch { command, env, stop_signal })
    }
}

/// How long the proxy has to finish its requests, in seconds.
const GRACE_SECONDS: u32 = 20;

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// What a command of a supervisor prints.
///
/// # Errors
/// When it cannot be run, or fails.
fn ask(command: &mut Command) -> Result<String> {
    let Output { status, stdout, stderr } = command.output()?;
    if !status.success() {
        return Err(format!("{command:?}: {status}: {}", String::from_utf8_lossy(&stderr).trim_end()).into());
    }
    Ok(String::from_utf8_lossy(&stdout).trim_end().to_owned())
}

/// Waits until a file is there.
fn appears(path: &Path) -> Result<()> {
    let begun = Instant::now();
    while !path.exists() {
        if begun.elapsed() > PATIENCE {
            return Err(format!("{} does not appear", path.display()).into());
        }
        thread::sleep(AGAIN);
    }
    Ok(())
}
