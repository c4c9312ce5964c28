// SPDX-License-Identifier: MPL-2.0
//! PID 1 of a container. The kernel gives it all orphans, and the library reaps its own processes alone: so PID 1 does nothing
//! but reap, and the agent is its child.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::io::Errno;
use rustix::process::{WaitOptions, wait};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::Result;

/// Whether this process is PID 1 of a container. systemd, which makes one by `PrivatePIDs=yes`, hears the main process of a unit
/// alone, and that has to be the agent then.
pub(crate) fn is_needed() -> bool {
    std::process::id() == 1 && std::env::var_os("NOTIFY_SOCKET").is_none()
}

/// Runs this program again with the same arguments, hands the signals of an agent on to it, and reaps whatever ends, until it
/// has ended. Its exit code is the result; of one that a signal has killed, 128 and the number of that.
///
/// # Errors
/// When it cannot be started, or waited for.
pub(crate) fn run_child() -> Result<ExitCode> {
    // ORDER: before it is started, so that none is lost.
    let mut signals = Signals::new([SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1])
        .map_err(|error| format!("register signal handlers: {error}"))?;
    let mut arguments = std::env::args_os();
    // Its file may have another name by now, or none.
    let mut command = Command::new("/proc/self/exe");
    command.arg0(arguments.next().unwrap_or_default()).args(arguments);
    // Else it would have a signal of the terminal twice, and end the grace of its proxies at the second.
    command.process_group(0);
    let child = command.spawn().map_err(|error| format!("start the agent as a child of PID 1: {error}"))?;
    let agent = Pid::from_raw(child.id().try_into()?);
    for signal in signals.forever() {
        if signal != SIGCHLD {
            // Before it handles them they would end it, as they do not end PID 1.
            if matches!(signal, SIGHUP | SIGUSR1) && !handles(agent, signal) {
                continue;
            }
            // It is not reaped, so the number is its own.
            kill(agent, Signal::try_from(signal)?).map_err(|error| format!("send a signal to the agent: {error}"))?;
        } else if let Some(code) = reap(agent)? {
            return Ok(ExitCode::from(code));
        }
    }
    Err("wait for signals: no more of them".into())
}

/// Whether the agent has a handler for a signal by now (proc_pid_status(5)).
fn handles(agent: Pid, signal: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{agent}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_none_or(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Reaps all that have ended; the exit code of the agent, if it has.
fn reap(agent: Pid) -> Result<Option<u8>> {
    loop {
        let (pid, status) = match wait(WaitOptions::NOHANG) {
            Ok(Some(ended)) => ended,
            Ok(None) => return Ok(None),
            Err(Errno::INTR) => continue,
            Err(error) => return Err(format!("wait for processes: {error}").into()),
        };
        if pid.as_raw_nonzero().get() != agent.as_raw() {
            continue;
        }
        // Of a signal also those that have no name.
        let code = status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal));
        if let Some(code) = code {
            return Ok(Some(u8::try_from(code)?));
        }
    }
}
