// SPDX-License-Identifier: MPL-2.0
//! Sockets that are opened, kept, changed and closed, without a process.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use super::*;
use crate::sys::fd;
use crate::sys::until_closed::until_closed;

/// An address of this test alone: one of the loopback network that has the pid in it, and a port that is not ephemeral.
fn free() -> SocketAddr {
    static PORT: AtomicU16 = AtomicU16::new(18_600);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    SocketAddr::from(([127, high | 0x20, middle, low], PORT.fetch_add(1, Ordering::Relaxed)))
}

fn tcp(address: SocketAddr) -> Listen {
    Listen::new(ListenAddress::Tcp(address))
}

fn unix(path: &Path) -> Listen {
    Listen::new(ListenAddress::Unix(path.to_owned()))
}

/// Which socket it is.
fn number(socket: &Arc<ClosedOnFork>) -> fd::FileNumber {
    fd::file_number(socket.get().unwrap().as_raw_fd()).unwrap()
}

fn errno(result: Result<Vec<Arc<ClosedOnFork>>>) -> Option<i32> {
    result.unwrap_err().errno()
}

fn wait_until_refused(address: SocketAddr) {
    until_closed(|| {
        TcpStream::connect(address).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused).then_some(())
    });
}

#[test]
fn sockets_stay_the_same_while_they_are_declared_and_others_are_closed() {
    let (sockets, [first, second, third]) = (ProxySockets::default(), [free(), free(), free()]);
    let one = sockets.open(&[tcp(first), tcp(second)]).unwrap();
    let before: Vec<_> = one.iter().map(number).collect();
    // Connected before any process accepts.
    let waiting = TcpStream::connect(first).unwrap();
    let wanted = [tcp(third), tcp(first).with_name("web").with_backlog(1)];
    assert!(sockets.close_others(&wanted).is_empty());
    let two = sockets.open(&wanted).unwrap();
    assert_eq!(number(&two[1]), before[0], "in the declared order, and the same socket");
    drop((one, two));
    wait_until_refused(second);
    TcpStream::connect(third).unwrap();
    assert!(waiting.peer_addr().is_ok());
    // Another option takes another socket, for which the first one makes room.
    let wanted = [tcp(first).with_reuse_port()];
    assert!(sockets.close_others(&wanted).is_empty());
    assert_ne!(number(&until_closed(|| sockets.open(&wanted).ok())[0]), before[0]);
    sockets.close_all_but(&[]).unwrap();
    wait_until_refused(first);
}

#[test]
fn address_that_is_taken_is_named_and_opened_once_it_is_free() {
    let (sockets, taken) = (ProxySockets::default(), free());
    let other = TcpListener::bind(taken).unwrap();
    let wanted = [tcp(free()), tcp(taken)];
    let error = sockets.open(&wanted).unwrap_err();
    let expected = format!("listen on tcp:{taken}: Address already in use (os error {})", libc::EADDRINUSE);
    assert_eq!((error.code(), error.to_string()), (ErrorCode::StartFailed, expected));
    drop(other);
    assert_eq!(until_closed(|| sockets.open(&wanted).ok()).len(), 2);
    let not_ours = Listen::new("udp:192.0.2.1:9".parse().unwrap());
    assert_eq!(errno(ProxySockets::default().open(&[not_ours])), Some(libc::EADDRNOTAVAIL));
}

#[test]
fn udp_socket_receives_what_was_sent_before_it_is_read() {
    let (sockets, address) = (ProxySockets::default(), free());
    let opened = sockets.open(&[Listen::new(ListenAddress::Udp(address))]).unwrap();
    UdpSocket::bind((address.ip(), 0)).unwrap().send_to(b"early", address).unwrap();
    let socket = UdpSocket::from(opened[0].get().unwrap().try_clone().unwrap());
    let mut text = [0; 8];
    assert_eq!(socket.recv(&mut text).unwrap(), 5);
}

#[test]
fn unix_path_has_its_mode_and_goes_with_the_declaration() {
    let dir = tempfile::tempdir().unwrap();
    let (sockets, path) = (ProxySockets::default(), dir.path().join("socket"));
    let mode = || std::fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o7777;
    let first = number(&sockets.open(&[unix(&path).with_mode(0o600)]).unwrap()[0]);
    assert_eq!(mode(), 0o600);
    assert_eq!(number(&sockets.open(&[unix(&path).with_mode(0o662)]).unwrap()[0]), first);
    assert_eq!(mode(), 0o662);
    UnixStream::connect(&path).unwrap();
    sockets.close_all_but(&[]).unwrap();
    assert!(!path.exists());
    // Dropped, it leaves the path to the process that has the socket.
    drop(sockets.open(&[unix(&path)]).unwrap());
    drop(sockets);
    assert!(path.exists());
}

#[test]
fn dead_unix_socket_is_replaced_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let sockets = ProxySockets::default();
    let open = || sockets.open(&[unix(&path)]).map(drop);
    drop(UnixListener::bind(&path).unwrap());
    until_closed(|| open().ok());
    sockets.close_all_but(&[]).unwrap();
    let in_use = |what: &str| {
        assert_eq!(open().unwrap_err().errno(), Some(libc::EADDRINUSE), "{what}");
        std::fs::remove_file(&path).unwrap();
    };
    let living = UnixListener::bind(&path).unwrap();
    in_use("another socket that listens");
    drop(living);
    let datagrams = UnixDatagram::bind(&path).unwrap();
    in_use("a socket of another type");
    drop(datagrams);
    std::fs::write(&path, "precious").unwrap();
    in_use("a file");
    std::os::unix::fs::symlink("nowhere", &path).unwrap();
    in_use("a link");
}

#[test]
fn path_that_has_become_another_socket_is_not_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (sockets, path) = (ProxySockets::default(), dir.path().join("socket"));
    sockets.open(&[unix(&path)]).unwrap();
    std::fs::remove_file(&path).unwrap();
    sockets.close_all_but(&[]).unwrap();
    sockets.open(&[unix(&path)]).unwrap();
    std::fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    assert!(sockets.open(&[unix(&path).with_mode(0o600)]).is_ok());
    sockets.close_all_but(&[]).unwrap();
    UnixStream::connect(&path).unwrap();
    drop(other);
}
