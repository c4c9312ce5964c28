// SPDX-License-Identifier: MPL-2.0
//! Sockets that wait for connections or datagrams: socket(2), bind(2), listen(2).

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::socket_address::RawAddress;
use super::{check, fail, fd};

/// What a socket carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SocketKind {
    Stream,
    Datagram,
}

/// What is set before the socket is bound.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BindOptions {
    /// SO_REUSEADDR: connections that have ended do not keep the address of a stream socket (TIME_WAIT, socket(7)).
    pub(crate) reuse_address: bool,
    /// SO_REUSEPORT.
    pub(crate) reuse_port: bool,
    /// IPV6_V6ONLY; absent, it is what /proc/sys/net/ipv6/bindv6only says.
    pub(crate) ipv6_only: Option<bool>,
}

/// A new socket, close-on-exec and bound.
///
/// # Errors
/// Those of socket(2), setsockopt(2) and bind(2).
pub(crate) fn bound(kind: SocketKind, address: &RawAddress, options: BindOptions) -> io::Result<OwnedFd> {
    let kind = match kind {
        SocketKind::Stream => libc::SOCK_STREAM,
        SocketKind::Datagram => libc::SOCK_DGRAM,
    };
    fail::failing("socket:bind")?;
    // SAFETY: no pointers are passed.
    let socket = unsafe { libc::socket(address.family(), kind | libc::SOCK_CLOEXEC, 0) };
    let socket = fd::own(check(i64::from(socket))?)?;
    let chosen = [
        (libc::SOL_SOCKET, libc::SO_REUSEADDR, options.reuse_address.then_some(true)),
        (libc::SOL_SOCKET, libc::SO_REUSEPORT, options.reuse_port.then_some(true)),
        (libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, options.ipv6_only),
    ];
    for (level, option, value) in chosen {
        if let Some(value) = value {
            set(&socket, level, option, value.into())?;
        }
    }
    let (pointer, length) = address.as_raw();
    // SAFETY: the address is live memory of this length.
    check(i64::from(unsafe { libc::bind(socket.as_raw_fd(), pointer, length) }))?;
    Ok(socket)
}

/// Lets so many connections wait that are not accepted yet; the kernel allows for no more than net.core.somaxconn. A socket
/// that listens already keeps those that wait.
///
/// # Errors
/// Those of listen(2). EADDRINUSE: two sockets were bound to the address (SO_REUSEADDR), and the other one was first.
pub(crate) fn listen(socket: BorrowedFd<'_>, backlog: u32) -> io::Result<()> {
    fail::failing("socket:listen")?;
    // SAFETY: no pointers are passed.
    let result = unsafe { libc::listen(socket.as_raw_fd(), c_int::try_from(backlog).unwrap_or(c_int::MAX)) };
    check(i64::from(result)).map(drop)
}

/// What no other socket of this boot has (SO_COOKIE, Linux 4.12).
///
/// # Errors
/// Those of getsockopt(2): ENOTSOCK, and ENOPROTOOPT where the kernel has none.
pub(crate) fn cookie(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let (mut cookie, mut length) = (0u64, size_of::<u64>() as libc::socklen_t);
    let (level, option, pointer) = (libc::SOL_SOCKET, libc::SO_COOKIE, (&raw mut cookie).cast());
    // SAFETY: the pointer and length are of one live value, and so is `length`.
    let result = unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, pointer, &raw mut length) };
    check(i64::from(result)).map(|_| cookie)
}

fn set(socket: &OwnedFd, level: c_int, option: c_int, value: c_int) -> io::Result<()> {
    let (pointer, length) = ((&raw const value).cast(), size_of::<c_int>() as libc::socklen_t);
    // SAFETY: the pointer and length are of one live value.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, pointer, length) };
    check(i64::from(result)).map(drop)
}
