// SPDX-License-Identifier: MPL-2.0
//! Sockets that are declared: how a process gets them, and what becomes of them while it is away.

mod kept;
mod overlap;
mod passed;
mod taken;
mod taken_over;

use std::io::{ErrorKind, Read, Result};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};

use proxyprocess::{Listen, ProxyConfig};

use crate::inside::helper;
use crate::support::{Deadline, Scene, WATCHDOG};

/// An address of this test alone: one of the loopback network that has the pid in it, and a port that is not ephemeral.
fn address() -> SocketAddr {
    static PORT: AtomicU16 = AtomicU16::new(19_600);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    SocketAddr::from(([127, high | 0x20, middle, low], PORT.fetch_add(1, Ordering::Relaxed)))
}

fn tcp(address: SocketAddr) -> Listen {
    Listen::new(format!("tcp:{address}").parse().expect("an address"))
}

/// A helper process that answers at these sockets.
fn serving(scene: &Scene, sockets: &[Listen]) -> ProxyConfig {
    let mut config = helper(scene, &["serve"]);
    config.listen = sockets.to_vec();
    config
}

/// The pid of the process that answers a connection, and the descriptor by which it does.
fn ask(address: SocketAddr) -> Result<(u32, u32)> {
    answer(TcpStream::connect(address)?)
}

/// Waits until a connection is refused: a process that another test is just starting has a copy of every socket until it
/// executes its program.
fn wait_until_refused(address: SocketAddr) {
    let deadline = Deadline::of("a socket to be closed");
    while !ask(address).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
        deadline.left();
        std::thread::yield_now();
    }
}

/// What comes by a connection.
fn answer(mut connection: TcpStream) -> Result<(u32, u32)> {
    connection.set_read_timeout(Some(WATCHDOG))?;
    let mut text = String::new();
    connection.read_to_string(&mut text)?;
    let (pid, number) = text.trim_end().split_once(' ').ok_or(std::io::ErrorKind::UnexpectedEof)?;
    Ok((pid.parse().expect("a pid"), number.parse().expect("a number")))
}
