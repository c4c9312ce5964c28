// SPDX-License-Identifier: MPL-2.0
//! Connecting to a stream socket without waiting: to find out whether a process accepts connections (connect(2)).

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use super::socket_address::RawAddress;
use super::{check, fd};

/// An attempt to connect. It ends, and the connection with it, when it is dropped.
#[derive(Debug)]
pub(crate) enum Connecting {
    Tcp(TcpStream),
    /// One to a socket in the file system is there at once or not at all.
    Unix(OwnedFd),
}

impl Connecting {
    /// Begins to connect to an address.
    ///
    /// # Errors
    /// Those of connect(2), as far as they are known at once.
    pub(crate) fn to_tcp(address: SocketAddr) -> io::Result<Connecting> {
        connect(&RawAddress::of_ip(address)).map(|socket| Connecting::Tcp(socket.into()))
    }

    /// Connects to a socket in the file system.
    ///
    /// # Errors
    /// Those of connect(2). EAGAIN: its backlog is full. ENAMETOOLONG: the path is too long.
    pub(crate) fn to_unix(path: &Path) -> io::Result<Connecting> {
        connect(&RawAddress::of_path(path)?).map(Connecting::Unix)
    }

    /// Whether the connection is there; if not, it may be later: then a poll reports the descriptor as writable.
    ///
    /// # Errors
    /// Why there is no connection, and none will come of this attempt.
    pub(crate) fn is_connected(&self) -> io::Result<bool> {
        let Connecting::Tcp(socket) = self else { return Ok(true) };
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
        match socket.peer_addr() {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            // A connect to a free port of the ephemeral range can get that port itself, and is its own peer then (RFC 9293,
            // simultaneous open).
            Ok(peer) if socket.local_addr()? == peer => Err(io::Error::from_raw_os_error(libc::ECONNREFUSED)),
            peer => peer.map(|_| true),
        }
    }
}

impl AsFd for Connecting {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Connecting::Tcp(socket) => socket.as_fd(),
            Connecting::Unix(socket) => socket.as_fd(),
        }
    }
}

fn connect(address: &RawAddress) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no pointers are passed.
    let socket = fd::own(check(i64::from(unsafe { libc::socket(address.family(), kind, 0) }))?)?;
    let (pointer, length) = address.as_raw();
    // SAFETY: `address` is live memory of `length` bytes.
    match check(i64::from(unsafe { libc::connect(socket.as_raw_fd(), pointer, length) })) {
        // One that is interrupted goes on like one that is in progress.
        Err(error) if !matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR)) => Err(error),
        _ => Ok(socket),
    }
}

#[cfg(test)]
mod tests {
    use super::super::socket_address::LONGEST_SOCKET_PATH;
    use super::*;
    use crate::sys::until_closed::until_closed;
    use rustix::net::{AddressFamily, SocketType};
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
    use std::os::unix::net::UnixListener;
    use std::time::{Duration, Instant};

    /// The end of an attempt, which on the loopback device is there at once, unless the machine is busy.
    fn end(connecting: &Connecting) -> io::Result<()> {
        let begun = Instant::now();
        while !connecting.is_connected()? {
            assert!(begun.elapsed() < Duration::from_secs(30), "no answer");
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Why there is no connection. There may be one to a port that was given to a listener of another test meanwhile.
    fn errno(connecting: io::Result<Connecting>) -> Option<i32> {
        connecting.and_then(|connecting| end(&connecting)).err()?.raw_os_error()
    }

    #[test]
    fn listener_is_connected_to_and_closed_port_refused() {
        for ip in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
            let Ok(listener) = TcpListener::bind(SocketAddr::new(ip, 0)) else {
                continue; // no IPv6
            };
            let address = listener.local_addr().unwrap();
            end(&Connecting::to_tcp(address).unwrap()).unwrap();
            drop(listener);
            until_closed(|| (errno(Connecting::to_tcp(address)) == Some(libc::ECONNREFUSED)).then_some(()));
        }
    }

    #[test]
    fn connection_to_itself_is_none() {
        // Bound to a port, a socket that connects to it has a peer: itself.
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        rustix::net::connect(&socket, &rustix::net::getsockname(&socket).unwrap()).unwrap();
        assert_eq!(errno(Ok(Connecting::Tcp(socket.into()))), Some(libc::ECONNREFUSED));
    }

    #[test]
    fn unix_socket_is_connected_to_and_full_backlog_does_not_wait() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        assert_eq!(errno(Connecting::to_unix(&path)), Some(libc::ENOENT));
        let listener = UnixListener::bind(&path).unwrap();
        // SAFETY: no pointers are passed. A shorter backlog takes effect at once (listen(2)).
        assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
        let first = Connecting::to_unix(&path).unwrap();
        assert!(first.is_connected().unwrap());
        assert_eq!(errno(Connecting::to_unix(&path)), Some(libc::EAGAIN));
        drop(listener);
        until_closed(|| (errno(Connecting::to_unix(&path)) == Some(libc::ECONNREFUSED)).then_some(()));
        let long = dir.path().join("x".repeat(LONGEST_SOCKET_PATH));
        assert_eq!(errno(Connecting::to_unix(&long)), Some(libc::ENAMETOOLONG));
    }
}
