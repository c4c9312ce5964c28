// SPDX-License-Identifier: MPL-2.0
//! A small TCP proxy: what the demonstration manages, so that nothing has to be installed for it.
//!
//! It listens on the socket that it was given for its address, if there is one (sd_listen_fds(3)). SIGTERM ends it when
//! all connections have ended; any other signal as it ends most programs.

use std::io::{self, ErrorKind};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use listenfd::ListenFd;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::SIGTERM;

use crate::{Result, complain, say};

/// The wait after a connection that could not be accepted: most often descriptors are exhausted, and trying again at
/// once would burn CPU until a connection ends.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Passes connections on from one `HOST:PORT` to another until SIGTERM comes and all of them have ended.
///
/// # Errors
/// When the address cannot be listened on.
pub(crate) fn run(listen: &str, upstream: &str) -> Result<()> {
    let wrong = |error| format!("listen {listen}: {error}");
    let (told, teller) = UnixStream::pair().map_err(wrong)?;
    signal_hook::low_level::pipe::register(SIGTERM, teller).map_err(wrong)?;
    let listener = match given(listen).map_err(wrong)? {
        Some(listener) => listener,
        None => TcpListener::bind(listen).map_err(wrong)?,
    };
    // Another process may have the same socket, and be faster than this one when a connection comes.
    listener.set_nonblocking(true).map_err(wrong)?;
    let bound = listener.local_addr().map_err(wrong)?;
    say(format_args!("listening on {bound}, upstream {upstream}"));
    serve(listener, Some(&told), |client| match TcpStream::connect(upstream) {
        Ok(upstream) => relay(&client, &upstream),
        Err(error) => Err(io::Error::new(error.kind(), format!("connect {upstream}: {error}"))),
    });
    Ok(())
}

/// The socket of this address that the process was started with.
fn given(address: &str) -> io::Result<Option<TcpListener>> {
    let mut sockets = ListenFd::from_env();
    for index in 0..sockets.len() {
        if let Some(listener) = sockets.take_tcp_listener(index)? {
            if listener.local_addr()?.to_string() == address {
                return Ok(Some(listener));
            }
        }
    }
    Ok(None)
}

/// Accepts connections and handles each on a thread of its own, for ever or until a byte can be read: then it waits for
/// all that it has accepted. What goes wrong is said on stderr.
pub(crate) fn serve(
    listener: TcpListener,
    until: Option<&UnixStream>,
    handle: impl Fn(TcpStream) -> io::Result<()> + Sync,
) {
    let handle = &handle;
    thread::scope(|scope| {
        while until.is_none_or(|until| is_called(&listener, until)) {
            let client = match listener.accept() {
                Ok((client, _)) => client,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => {
                    complain(format_args!("accept connection: {error}"));
                    thread::sleep(ACCEPT_PAUSE);
                    continue;
                }
            };
            let answer = move || {
                if let Err(error) = handle(client) {
                    complain(format_args!("handle connection: {error}"));
                }
            };
            if let Err(error) = thread::Builder::new().spawn_scoped(scope, answer) {
                complain(format_args!("start thread: {error}"));
            }
        }
        // While it waits, nothing else is to come.
        drop(listener);
    });
}

/// Waits until a connection comes; false when it is over before.
fn is_called(listener: &TcpListener, until: &UnixStream) -> bool {
    let mut sources = [listener.as_fd(), until.as_fd()].map(|source| PollFd::new(source, PollFlags::POLLIN));
    // An interrupted wait is like one for a connection that another process has accepted.
    poll(&mut sources, PollTimeout::NONE).is_err() || sources[1].any() != Some(true)
}

/// Passes bytes both ways until both directions have ended.
fn relay(client: &TcpStream, upstream: &TcpStream) -> io::Result<()> {
    // Small messages must not wait for the acknowledgement of those before them.
    client.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    thread::scope(|scope| {
        thread::Builder::new().spawn_scoped(scope, || pass(client, upstream))?;
        pass(upstream, client);
        Ok(())
    })
}

/// Passes bytes one way. The end of the stream is passed on as such, and the other way stays open; a connection that
/// broke takes the other one down with it.
fn pass(mut from: &TcpStream, mut to: &TcpStream) {
    // The results are of no use: a side that cannot be shut down is gone already.
    match io::copy(&mut from, &mut to) {
        Ok(_) => {
            let _ = to.shutdown(Shutdown::Write);
        }
        Err(_) => {
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        }
    }
}
