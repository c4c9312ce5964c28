// SPDX-License-Identifier: MPL-2.0
//! Answering at the sockets that the process was started with.

use std::os::fd::OwnedFd;
use std::thread;

use rustix::net::accept;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use crate::report::Reporter;
use crate::wait;

/// Answers each connection with its pid, a space, the number of the descriptor, and a newline.
pub(crate) fn serve(reporter: &mut Reporter) -> ! {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("no {name}"));
    assert_eq!(variable("LISTEN_PID"), std::process::id().to_string());
    let count: i32 = variable("LISTEN_FDS").parse().expect("a number");
    // The descriptors as values of the standard library, without unsafe code.
    let own = pidfd_open(getpid(), PidfdFlags::empty()).expect("open the own pidfd");
    for number in 3..3 + count {
        let socket = pidfd_getfd(&own, number, PidfdGetfdFlags::empty()).expect("a descriptor that was passed");
        thread::spawn(move || answer(&socket, number));
    }
    reporter.started(None);
    wait::end()
}

fn answer(socket: &OwnedFd, number: i32) {
    let text = format!("{} {number}\n", std::process::id());
    loop {
        let connection = accept(socket).expect("accept a connection");
        // The other end may have gone.
        let _ = rustix::io::write(&connection, text.as_bytes());
    }
}
