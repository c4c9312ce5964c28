// SPDX-License-Identifier: MPL-2.0
//! Serving beside another process at the same address (`SO_REUSEPORT`), and giving up the place without losing a client.

use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};

use crate::report::Reporter;
use crate::wait::{self, Handled};

/// Accepts connections at the address and sends one byte to each; ready once it listens, which it says by the descriptor.
/// At a signal that asks it to end it serves those that are in its queue, and ends.
pub(crate) fn serve(reporter: &mut Reporter, address: &str, descriptor: &str) -> ! {
    let mut handled = Handled::polite();
    let listener = listen_beside(address.parse().expect("an address"));
    let (stopped, stop) = rustix::pipe::pipe().expect("make a pipe");
    reporter.started(None);
    let mut told = File::options().write(true).open(format!("/proc/self/fd/{descriptor}")).expect("open it");
    told.write_all(b"\n").expect("write to the descriptor");
    let server = std::thread::spawn(move || {
        loop {
            let mut fds = [PollFd::new(&listener, PollFlags::IN), PollFd::new(&stopped, PollFlags::IN)];
            let _ = poll(&mut fds, None);
            let is_stopped = !fds[1].revents().is_empty();
            while let Ok((mut client, _)) = listener.accept() {
                // The client may be gone.
                let _ = client.write_all(b"x");
            }
            if is_stopped {
                return;
            }
        }
    });
    wait::signal(&mut handled);
    drop(stop);
    server.join().expect("serve");
    std::process::exit(0)
}

fn listen_beside(address: SocketAddr) -> TcpListener {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("make a socket");
    sockopt::set_socket_reuseport(&socket, true).expect("share the address");
    bind(&socket, &address).expect("bind to the address");
    listen(&socket, 1024).expect("listen");
    let listener = TcpListener::from(socket);
    listener.set_nonblocking(true).expect("make it non-blocking");
    listener
}
