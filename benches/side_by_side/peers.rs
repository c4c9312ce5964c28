// SPDX-License-Identifier: MPL-2.0
//! The supervisors that are compared: how each is set up, started and told to stop everything.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::Result;
use crate::machine;
use crate::scene::quiet;
use crate::tools::{Tools, is_installed};

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Floor,
    FloorWithFiles,
    Proxyprocess,
    Cgroups,
    Threads,
    Runit,
    S6,
    Supervisor,
}

impl Peer {
    pub(crate) const ALL: [Peer; 8] = [
        Peer::Floor,
        Peer::FloorWithFiles,
        Peer::Proxyprocess,
        Peer::Cgroups,
        Peer::Threads,
        Peer::Runit,
        Peer::S6,
        Peer::Supervisor,
    ];

    /// Its name on the command line.
    pub(crate) fn option(self) -> &'static str {
        match self {
            Peer::Floor => "floor",
            Peer::FloorWithFiles => "floor-with-files",
            Peer::Proxyprocess => "proxyprocess",
            Peer::Cgroups => "proxyprocess-cgroups",
            Peer::Threads => "threads",
            Peer::Runit => "runit",
            Peer::S6 => "s6",
            Peer::Supervisor => "supervisor",
        }
    }

    /// Its name in tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Peer::FloorWithFiles => "floor, with files",
            Peer::Cgroups => "proxyprocess, cgroups",
            Peer::Threads => "std, a thread each",
            other => other.option(),
        }
    }

    /// What it is, and which version, for who reads the table.
    pub(crate) fn about(self) -> String {
        match self {
            Peer::Floor => "the least a supervisor can do: one thread, clone, epoll over pidfds (`floor.c`)".to_owned(),
            Peer::FloorWithFiles => {
                "the same with two logs and a pid file for each process, which is removed when it was stopped"
                    .to_owned()
            }
            Peer::Proxyprocess => {
                "this library in a minimal agent: records, logs, snapshot and lock, no cgroups".to_owned()
            }
            Peer::Cgroups => "the same with a cgroup for each process (`cgroup` is `required`)".to_owned(),
            Peer::Threads => {
                "a thread for each process, which starts it with `std::process::Command` and waits".to_owned()
            }
            Peer::Runit | Peer::S6 | Peer::Supervisor => {
                let version = machine::package_version(self.option());
                let version =
                    version.map_or_else(|| "unknown version".to_owned(), |version| format!("Debian {version}"));
                format!("{version}, without logs")
            }
        }
    }

    /// Why it cannot be measured here.
    pub(crate) fn lacks(self) -> Option<String> {
        let program = match self {
            Peer::Floor | Peer::FloorWithFiles | Peer::Proxyprocess | Peer::Threads => return None,
            Peer::Cgroups => return machine::lacks_cgroups(),
            Peer::Runit => "runsvdir",
            Peer::S6 => "s6-svscan",
            Peer::Supervisor => "supervisord",
        };
        (!is_installed(program)).then(|| format!("{program} is not installed (package {})", self.option()))
    }

    /// The signal that has it stop everything and end.
    pub(crate) fn stop_signal(self) -> Signal {
        match self {
            Peer::Runit => Signal::HUP,
            _ => Signal::TERM,
        }
    }

    /// Whether it waits about a second before each restart.
    pub(crate) fn waits_to_restart(self) -> bool {
        matches!(self, Peer::S6 | Peer::Supervisor)
    }

    /// Sets it up in an empty directory for `n` processes; what is returned runs it in the foreground.
    pub(crate) fn set_up(self, tools: &Tools, directory: &Path, n: u32) -> Result<Command> {
        let mut command = match self {
            Peer::Floor => with_arguments(Command::new(&tools.floor), tools, directory, n),
            Peer::FloorWithFiles => {
                let mut command = with_arguments(Command::new(&tools.floor), tools, directory, n);
                command.arg("files");
                command
            }
            Peer::Proxyprocess => role("host", tools, directory, n),
            Peer::Cgroups => {
                let mut command = role("host", tools, directory, n);
                command.arg("cgroup=required");
                command
            }
            Peer::Threads => role("threads", tools, directory, n),
            Peer::Runit => {
                let mut command = Command::new("runsvdir");
                command.arg(service_directories(tools, directory, n)?);
                command
            }
            Peer::S6 => {
                let mut command = Command::new("s6-svscan");
                // Without this it looks after 500 services.
                command.arg("-c").arg((n + 10).to_string()).arg(service_directories(tools, directory, n)?);
                command
            }
            Peer::Supervisor => {
                let mut command = Command::new("supervisord");
                command.arg("--nodaemon").arg("--configuration").arg(configuration(tools, directory, n)?);
                command
            }
        };
        quiet(&mut command, directory)?;
        Ok(command)
    }
}

/// This program in a role.
pub(crate) fn role(name: &str, tools: &Tools, directory: &Path, n: u32) -> Command {
    let mut command = Command::new(&tools.roles);
    command.args(["--role", name]);
    with_arguments(command, tools, directory, n)
}

fn with_arguments(mut command: Command, tools: &Tools, directory: &Path, n: u32) -> Command {
    command.arg(n.to_string()).arg(&tools.beacon).arg(directory);
    command
}

/// Directories with a `run` script, as runit and s6 want them.
fn service_directories(tools: &Tools, directory: &Path, n: u32) -> Result<std::path::PathBuf> {
    let services = directory.join("services");
    for id in 0..n {
        let service = services.join(id.to_string());
        fs::create_dir_all(&service)?;
        let script = service.join("run");
        fs::write(&script, format!("#!/bin/sh\nexec {} {id}\n", tools.beacon.display()))?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    }
    Ok(services)
}

/// The configuration file of supervisord.
fn configuration(tools: &Tools, directory: &Path, n: u32) -> Result<std::path::PathBuf> {
    let path = directory.join("supervisord.conf");
    let place = directory.display();
    let mut text = format!(
        "[supervisord]\nlogfile={place}/log\npidfile={place}/pid\nchildlogdir={place}\nminfds={}\n",
        descriptors_for(n)
    );
    for id in 0..n {
        let program = tools.beacon.display();
        write!(text, "[program:beacon-{id}]\ncommand={program} {id}\nautorestart=true\nstartsecs=0\n")?;
        text.push_str("stdout_logfile=NONE\nstderr_logfile=NONE\n");
    }
    fs::write(&path, text)?;
    Ok(path)
}

/// How many descriptors are enough for any of these supervisors: supervisord has several pipes a process.
pub(crate) fn descriptors_for(n: u32) -> u64 {
    u64::from(n) * 8 + 100
}
