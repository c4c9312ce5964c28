// SPDX-License-Identifier: MPL-2.0
//! Accepts the connections of an agent's socket: only of its own user and of root, and only so many at a time.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;

use super::answering::refuse;
use super::connection;
use super::protocol::RefusalCode;
use super::socket;
use crate::Result;
use crate::agent::Agent;

/// How many connections are answered at the same time, each by a thread.
const MOST_CONNECTIONS: usize = 64;

/// The wait after a connection that could not be accepted: most often descriptors are exhausted, and trying again at
/// once would burn CPU until one is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Has an agent answer commands until its process ends.
///
/// # Errors
/// When the socket cannot be made in the data directory, or no thread be started.
pub(crate) fn start(agent: &Arc<Agent>, data_dir: &Path) -> Result<()> {
    let listener = socket::listen(data_dir);
    let listener = listener.map_err(|error| format!("make socket in {}: {error}", data_dir.display()))?;
    let agent = Arc::clone(agent);
    let spawned = thread::Builder::new().name("control".to_owned()).spawn(move || accept(&listener, &agent));
    spawned.map_err(|error| format!("start thread for commands: {error}"))?;
    Ok(())
}

fn accept(listener: &UnixListener, agent: &Arc<Agent>) {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        match listener.accept() {
            Ok((stream, _)) => begin(stream, agent, &open),
            Err(error) => {
                log::warn!("accept a command: {error}");
                thread::sleep(ACCEPT_PAUSE);
            }
        }
    }
}

fn begin(stream: UnixStream, agent: &Arc<Agent>, open: &Arc<AtomicUsize>) {
    match peer_may_command(&stream) {
        Ok(true) => {}
        Ok(false) => return refuse(&stream, RefusalCode::Failed, "expected the agent's user or root"),
        Err(error) => return log::warn!("find out the user of a command: {error}"),
    }
    let place = Place::take(open);
    if place.before >= MOST_CONNECTIONS {
        return refuse(&stream, RefusalCode::Busy, "the agent answers as many commands as it can already");
    }
    let agent = Arc::clone(agent);
    let answer = move || {
        let _place = place;
        connection::serve(&stream, &agent);
    };
    if let Err(error) = thread::Builder::new().name("command".to_owned()).spawn(answer) {
        log::warn!("start thread for a command: {error}");
    }
}

/// The directory keeps all others out; this holds also where a descriptor of the socket was passed on.
fn peer_may_command(stream: &UnixStream) -> io::Result<bool> {
    let peer = getsockopt(stream, PeerCredentials)?.uid();
    Ok(peer == 0 || peer == geteuid().as_raw())
}

/// One of the open connections, until it is dropped.
struct Place {
    open: Arc<AtomicUsize>,
    /// How many there were before.
    before: usize,
}

impl Place {
    fn take(open: &Arc<AtomicUsize>) -> Place {
        Place { open: Arc::clone(open), before: open.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}
