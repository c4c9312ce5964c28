// SPDX-License-Identifier: MPL-2.0
//! Waiting for signals, and for the end of the test.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::sys::signal::{SigSet, SigmaskHow};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Resource, Rlimit, pidfd_open, setrlimit};
use signal_hook::consts::{FORBIDDEN, SIGABRT, SIGCHLD, SIGCONT, SIGINT, SIGQUIT, SIGTERM, SIGUSR1};
use signal_hook::low_level::signal_name;

use crate::message::WATCH_PID;
use crate::sandbox::OPEN;

/// A real-time signal: what is sent twice is handled twice, where others merge.
const QUEUED: i32 = 40;

/// Signals that do not end the process but are handed to it by name.
#[derive(Debug, Default)]
pub(crate) struct Handled(Vec<(&'static str, UnixStream)>);

impl Handled {
    /// Handles SIGINT, SIGTERM and signal 40, which is told as often as it was sent.
    pub(crate) fn polite() -> Handled {
        Handled::register(&[("SIGINT", SIGINT), ("SIGTERM", SIGTERM), ("40", QUEUED)])
    }

    /// Handles all signals that are likely to be asked to end by.
    pub(crate) fn all() -> Handled {
        Handled::register(&[("SIGINT", SIGINT), ("SIGTERM", SIGTERM), ("SIGUSR1", SIGUSR1), ("SIGQUIT", SIGQUIT)])
    }

    /// Handles SIGUSR1.
    pub(crate) fn user() -> Handled {
        Handled::register(&[("SIGUSR1", SIGUSR1)])
    }

    /// Handles SIGUSR1 and SIGABRT.
    pub(crate) fn aborts() -> Handled {
        Handled::register(&[("SIGUSR1", SIGUSR1), ("SIGABRT", SIGABRT)])
    }

    /// Handles SIGCONT, and what else would end it.
    pub(crate) fn relapsing() -> Handled {
        Handled::register(&[("SIGINT", SIGINT), ("SIGTERM", SIGTERM), ("SIGCONT", SIGCONT)])
    }

    /// Handles all signals that can be handled. Only SIGCHLD says more of the children than of the sender.
    pub(crate) fn every() -> Handled {
        let mut numbers: Vec<i32> = (1..=31).filter(|number| !FORBIDDEN.contains(number)).collect();
        numbers.retain(|number| *number != SIGCHLD);
        let named = numbers.into_iter().filter_map(|number| Some((signal_name(number)?, number)));
        Handled::register(&named.collect::<Vec<_>>())
    }

    fn register(signals: &[(&'static str, i32)]) -> Handled {
        let register = |&(name, number): &(&'static str, i32)| {
            let (read, write) = UnixStream::pair().expect("make a socket pair");
            signal_hook::low_level::pipe::register(number, write).expect("register a signal handler");
            (name, read)
        };
        // Meanwhile they wait: signal-hook drops what comes between its handler and what that is to do.
        let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK).expect("block all signals");
        let handled = Handled(signals.iter().map(register).collect());
        before.thread_set_mask().expect("unblock the signals");
        handled
    }
}

/// A process that is aborted on purpose leaves none.
pub(crate) fn without_core_files() {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).expect("do without core files");
}

/// Waits until a handled signal comes, and names it. Without a test the process ends here.
pub(crate) fn signal(handled: &mut Handled) -> &'static str {
    signal_unless(watch(), handled)
}

fn signal_unless(test: Option<OwnedFd>, handled: &mut Handled) -> &'static str {
    loop {
        let handles = handled.0.iter().map(|(_, stream)| stream.as_fd());
        let mut fds: Vec<PollFd<'_>> =
            handles.chain(test.iter().map(AsFd::as_fd)).map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        // Interrupted by the very signal: its byte is there in the next round.
        let _ = poll(&mut fds, None);
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        if test.is_some() && ready.last() == Some(&true) {
            std::process::exit(0);
        }
        if let Some(at) = ready.iter().take(handled.0.len()).position(|ready| *ready) {
            let (name, stream) = &mut handled.0[at];
            let _ = stream.read(&mut [0; 1]);
            return name;
        }
    }
}

/// Waits for a signal that ends the process by its default effect.
pub(crate) fn end() -> ! {
    signal(&mut Handled::default());
    unreachable!("no signal is handled")
}

/// The same of a process that has no environment, and was told the number of the test.
pub(crate) fn end_with(test: &str) -> ! {
    signal_unless(watch_process(test), &mut Handled::default());
    unreachable!("no signal is handled")
}

/// The test process, when it is named. A test that is gone already has nothing to ask of us.
fn watch() -> Option<OwnedFd> {
    watch_process(&std::env::var(WATCH_PID).ok()?)
}

fn watch_process(number: &str) -> Option<OwnedFd> {
    let pid = number.parse().ok().and_then(Pid::from_raw)?;
    Some(pidfd_open(pid, OPEN).unwrap_or_else(|_| std::process::exit(0)))
}
