// SPDX-License-Identifier: MPL-2.0
//! PID 1 of a container. The kernel gives it all orphans, and the library reaps its own processes alone: so PID 1 does nothing
//! but reap, and the agent is its child.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::Result;

/// Whether this process is PID 1.
pub(crate) fn is_needed() -> bool {
    std::process::id() == 1
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
    let program = std::env::current_exe().map_err(|error| format!("find own executable: {error}"))?;
    let mut arguments = std::env::args_os();
    let mut command = Command::new(program);
    command.arg0(arguments.next().unwrap_or_default()).args(arguments);
    // Else it would have a signal of the terminal twice, and end the grace of its proxies at the second.
    command.process_group(0);
    let child = command.spawn().map_err(|error| format!("start the agent as a child of PID 1: {error}"))?;
    let agent = Pid::from_raw(child.id().try_into()?);
    for signal in signals.forever() {
        if signal != SIGCHLD {
            // It is not reaped, so the number is its own.
            kill(agent, Signal::try_from(signal)?).map_err(|error| format!("send a signal to the agent: {error}"))?;
        } else if let Some(code) = reap(agent)? {
            return Ok(ExitCode::from(code));
        }
    }
    Err("wait for signals: no more of them".into())
}

/// Reaps all that have ended; the exit code of the agent, if it has.
fn reap(agent: Pid) -> Result<Option<u8>> {
    loop {
        let code = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == agent => code,
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == agent => 128 + signal as i32,
            Ok(WaitStatus::StillAlive) => return Ok(None),
            Ok(_) | Err(Errno::EINTR) => continue,
            Err(error) => return Err(format!("wait for processes: {error}").into()),
        };
        return Ok(Some(u8::try_from(code)?));
    }
}
