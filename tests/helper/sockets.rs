// SPDX-License-Identifier: MPL-2.0
//! Answering at the sockets that the process was started with.

use std::os::fd::OwnedFd;
use std::thread;

use listenfd::ListenFd;
use rustix::net::accept;

use crate::report::Reporter;
use crate::wait;

/// Answers each connection with its pid, a space, the number of the descriptor, and a newline.
pub(crate) fn serve(reporter: &mut Reporter) -> ! {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("no {name}"));
    assert_eq!(variable("LISTEN_PID"), std::process::id().to_string());
    let mut sockets = ListenFd::from_env();
    for index in 0..sockets.len() {
        let socket: OwnedFd = match sockets.take_tcp_listener(index) {
            Ok(listener) => listener.expect("a socket that was passed").into(),
            Err(_) => sockets.take_unix_listener(index).expect("a socket").expect("a socket that was passed").into(),
        };
        thread::spawn(move || answer(&socket, 3 + index));
    }
    reporter.started(None);
    wait::end()
}

fn answer(socket: &OwnedFd, number: usize) {
    let text = format!("{} {number}\n", std::process::id());
    loop {
        let connection = accept(socket).expect("accept a connection");
        // The other end may have gone.
        let _ = rustix::io::write(&connection, text.as_bytes());
    }
}
