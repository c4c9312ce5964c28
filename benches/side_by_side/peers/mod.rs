// SPDX-License-Identifier: MPL-2.0
//! The supervisors that are compared: how each is set up, started and told to stop everything.

mod circus;
mod external;
mod horust;
mod pm2;
mod role;
mod service_directories;
mod supervisor;
mod systemd;

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::Result;
use crate::machine;
use crate::scene::quiet;
use crate::tools::{SPARE_DESCRIPTORS, Tools, lacks_processes};

use external::{External, Order};
pub(crate) use role::role;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Floor,
    FloorWithFiles,
    Proxyprocess,
    Cgroups,
    Threads,
    Tokio,
    ProcessWrap,
    Runit,
    S6,
    Systemd,
    Supervisor,
    NewSupervisor,
    Circus,
    Pm2,
    Horust,
}

impl Peer {
    pub(crate) const ALL: [Peer; 15] = [
        Peer::Floor,
        Peer::FloorWithFiles,
        Peer::Proxyprocess,
        Peer::Cgroups,
        Peer::Threads,
        Peer::Tokio,
        Peer::ProcessWrap,
        Peer::Runit,
        Peer::S6,
        Peer::Systemd,
        Peer::Supervisor,
        Peer::NewSupervisor,
        Peer::Circus,
        Peer::Pm2,
        Peer::Horust,
    ];

    /// What is said of it, where it is a program of its own.
    fn external(self) -> Option<External> {
        Some(match self {
            Peer::Runit => service_directories::RUNIT,
            Peer::S6 => service_directories::S6,
            Peer::Systemd => systemd::SYSTEMD,
            Peer::Supervisor => supervisor::DEBIAN,
            Peer::NewSupervisor => supervisor::PYPI,
            Peer::Circus => circus::CIRCUS,
            Peer::Pm2 => pm2::PM2,
            Peer::Horust => horust::HORUST,
            Peer::Floor
            | Peer::FloorWithFiles
            | Peer::Proxyprocess
            | Peer::Cgroups
            | Peer::Threads
            | Peer::Tokio
            | Peer::ProcessWrap => return None,
        })
    }

    /// Its name on the command line.
    pub(crate) fn option(self) -> &'static str {
        match self {
            Peer::Floor => "floor",
            Peer::FloorWithFiles => "floor-with-files",
            Peer::Proxyprocess => "proxyprocess",
            Peer::Cgroups => "proxyprocess-cgroups",
            Peer::Threads => "threads",
            Peer::Tokio => "tokio",
            Peer::ProcessWrap => "process-wrap",
            other => other.external().map_or("", |external| external.option),
        }
    }

    /// Its name in tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Peer::FloorWithFiles => "floor, with files",
            Peer::Cgroups => "proxyprocess, cgroups",
            Peer::Threads => "std, a thread each",
            Peer::Tokio => "tokio, a task each",
            Peer::ProcessWrap => "process-wrap, a task each",
            Peer::NewSupervisor => "supervisor of PyPI",
            other => other.option(),
        }
    }

    /// What it is, and which version, for who reads the table.
    pub(crate) fn about(self, tools: &Tools) -> String {
        let about = match self {
            Peer::Floor => "the least a supervisor can do: one thread, clone, epoll over pidfds (`floor.c`)",
            Peer::FloorWithFiles => {
                "the same with two logs and a pid file for each process, which is removed when it was stopped"
            }
            Peer::Proxyprocess => "this library in a minimal agent: records, logs, snapshot and lock, no cgroups",
            Peer::Cgroups => "the same with a cgroup for each process (`cgroup` is `required`)",
            Peer::Threads => "a thread for each process, which starts it with `std::process::Command` and waits",
            Peer::Tokio => {
                "a task for each process, which starts it with `tokio::process::Command` and waits, in the runtime of `#[tokio::main]`"
            }
            Peer::ProcessWrap => {
                "the same with `CommandWrap` of process-wrap 10.0.1 over that of tokio, and a group for each process"
            }
            other => return other.external().map_or_else(String::new, |external| external.about(tools)),
        };
        about.to_owned()
    }

    /// Why it cannot be measured here with `n` processes.
    pub(crate) fn lacks(self, n: u32, tools: &Tools) -> Option<String> {
        let lacks = match self {
            Peer::Cgroups => machine::lacks_cgroups(),
            other => other.external().and_then(|external| external.lacks(tools)),
        };
        let descriptors_each = self.external().map_or(1, |external| external.descriptors_each);
        let descriptors = || tools.lacks_descriptors(u64::from(n) * descriptors_each + SPARE_DESCRIPTORS);
        // Some have a process or a thread of their own for each.
        lacks.or_else(|| lacks_processes(u64::from(n) * 2)).or_else(descriptors)
    }

    /// The signal that has it stop everything and end.
    pub(crate) fn stop_signal(self) -> Signal {
        self.external().map_or(Signal::TERM, |external| external.stop_signal)
    }

    /// How many restarts are measured at the most: fewer of one that waits before each.
    pub(crate) fn most_kills(self) -> u32 {
        self.external().map_or(u32::MAX, |external| external.most_kills)
    }

    /// Sets it up in an empty directory for `n` processes; what is returned runs it in the foreground.
    pub(crate) fn set_up(self, tools: &Tools, directory: &Path, n: u32) -> Result<Command> {
        let mut command = match self {
            Peer::Floor => role::floor(tools, directory, n),
            Peer::FloorWithFiles => with_word(role::floor(tools, directory, n), "files"),
            Peer::Proxyprocess => role("host", tools, directory, n),
            Peer::Cgroups => with_word(role("host", tools, directory, n), "cgroup=required"),
            Peer::Threads => role("threads", tools, directory, n),
            Peer::Tokio => role("tokio", tools, directory, n),
            Peer::ProcessWrap => role("process-wrap", tools, directory, n),
            other => {
                let external = other.external().ok_or("no such supervisor")?;
                let program = external.program(tools).ok_or_else(|| format!("{}: not found", external.program))?;
                (external.set_up)(&Order { program: &program, beacon: &tools.beacon, directory, n })?
            }
        };
        quiet(&mut command, directory)?;
        Ok(command)
    }
}

fn with_word(mut command: Command, word: &str) -> Command {
    command.arg(word);
    command
}
