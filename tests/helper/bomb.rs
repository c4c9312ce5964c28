// SPDX-License-Identifier: MPL-2.0
//! A process that starts processes as fast as it can, and so do these. How many live at a time is bounded by a pipe: a
//! process takes a byte out of it for each one that it starts, and puts one back when it ends.
//!
//! It goes on without its leader. A test has it in a pid namespace, with which it ends.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, ExitCode, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::setsid;

use crate::report::Reporter;
use crate::roles::{own_program, start_another};

/// The role of the processes that are started. The pipe is their standard input and output.
pub(crate) const SPARK: &str = "spark";

/// How many each of them starts before it ends.
const EACH: usize = 2;

/// How many the first one has started when it reports.
const REPORTED: usize = 50;

/// Goes off and goes on until it is killed. `at_once`: how many processes live at a time.
pub(crate) fn go_off(reporter: &mut Reporter, at_once: usize, escaped: bool) -> ! {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).expect("make a pipe");
    let share = |fd: &OwnedFd| Stdio::from(fd.try_clone().expect("duplicate a descriptor"));
    rustix::io::write(&write, &vec![0; at_once]).expect("fill the pipe");
    let mut started = 0;
    loop {
        let _ = poll(&mut [PollFd::new(&read.as_fd(), PollFlags::IN)], None);
        if rustix::io::read(&read, &mut [0; 1]).is_err() {
            continue; // another process was faster
        }
        start_another(spark(escaped).stdin(share(&read)).stdout(share(&write)));
        started += 1;
        if started == REPORTED {
            reporter.started(None);
        }
    }
}

/// Starts others while there is room for them, and ends.
pub(crate) fn burn(args: &[OsString]) -> ExitCode {
    let escaped = !args.is_empty();
    if escaped {
        setsid().expect("leave for a session of its own");
    }
    for _ in 0..EACH {
        if std::io::stdin().lock().read_exact(&mut [0; 1]).is_ok() {
            start_another(&mut spark(escaped));
        }
    }
    let mut stdout = std::io::stdout().lock();
    // A process that puts back nothing leaves less room for all.
    let _ = stdout.write_all(&[0]).and_then(|()| stdout.flush());
    ExitCode::SUCCESS
}

fn spark(escaped: bool) -> Command {
    let mut command = Command::new(own_program());
    command.arg(SPARK).args(escaped.then_some("escaped"));
    command
}
