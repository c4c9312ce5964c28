// SPDX-License-Identifier: MPL-2.0
//! Becoming ready when the test says so, in each of the ways that a declaration can ask for.

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use crate::report::Reporter;
use crate::wait::{self, Handled};

/// On SIGUSR1 becomes ready and says so; `at_once`: already when it reports its start.
pub(crate) fn become_ready(reporter: &mut Reporter, how: &str, place: &str, at_once: bool) -> ! {
    wait::without_core_files();
    let mut handled = Handled::user();
    let mut listeners: Vec<OwnedFd> = Vec::new();
    if at_once {
        listeners.extend(open(how, place));
    }
    reporter.started(None);
    loop {
        let signal = wait::signal(&mut handled);
        listeners.extend(open(how, place));
        reporter.signal(signal);
    }
}

/// What has to stay open.
fn open(how: &str, place: &str) -> Option<OwnedFd> {
    match how {
        "tcp" => Some(TcpListener::bind(place).expect("listen on the address").into()),
        "unix" => Some(UnixListener::bind(place).expect("listen on the socket").into()),
        "fd" => {
            let mut descriptor = File::options().write(true).open(format!("/proc/self/fd/{place}")).expect("open it");
            descriptor.write_all(b"ready\n").expect("write to the descriptor");
            None
        }
        "closes" => {
            nix::unistd::close(place.parse::<i32>().expect("a number")).expect("close the descriptor");
            None
        }
        _ => panic!("unknown: {how}"),
    }
}
