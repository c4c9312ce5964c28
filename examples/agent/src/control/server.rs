// SPDX-License-Identifier: MPL-2.0
//! Accepts the connections of an agent's socket: only of its own user and of root, and only so many at a time.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::Inotify;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;

use super::answering::refuse;
use super::connection;
use super::protocol::RefusalCode;
use super::socket::{self, Socket};
use crate::Result;
use crate::agent::Agent;
use crate::clients::{Complaints, Places, Spare};

/// How many connections are answered at the same time, each by a thread.
const MOST_CONNECTIONS: usize = 64;

/// After how many milliseconds a socket that is not there is tried to be made again: the library makes a data directory that
/// was removed anew when it writes to it.
const ABSENT: u16 = 1000;

/// After how many milliseconds the socket is looked for that nothing is said of: there may be no inotify(7) left, and a parent of
/// the directory that is renamed, a link that is changed and a mount over it give no event.
const UNSEEN: u16 = 5000;

/// Has an agent answer commands until its process ends.
///
/// # Errors
/// When the socket cannot be made in the data directory, or no thread be started.
pub(crate) fn start(agent: &Arc<Agent>, data_dir: &Path) -> Result<()> {
    let made = Socket::make(data_dir).map_err(|error| format!("make socket in {}: {error}", data_dir.display()))?;
    let answering = Arc::clone(agent);
    let spare = Spare::start("command-spare", move |stream: Arc<UnixStream>| connection::serve(&stream, &answering));
    let spare = spare.map_err(|error| format!("start spare thread for commands: {error}"))?;
    let (agent, data_dir) = (Arc::clone(agent), data_dir.to_owned());
    let accept = move || accept(made, &data_dir, &agent, &spare);
    let spawned = thread::Builder::new().name("control".to_owned()).spawn(accept);
    spawned.map_err(|error| format!("start thread for commands: {error}"))?;
    Ok(())
}

/// Accepts connections, and makes the socket anew when it was removed.
fn accept(mut socket: Socket, data_dir: &Path, agent: &Arc<Agent>, spare: &Spare<Arc<UnixStream>>) {
    let places = Places::new(MOST_CONNECTIONS);
    let mut complaints = Complaints::default();
    loop {
        let is_there = socket.is_in(data_dir);
        // The directory may be another agent's by now.
        if !is_there && socket::holder(data_dir) == Some(std::process::id()) {
            match Socket::make(data_dir) {
                Ok(made) => {
                    log::info!("made the socket in {} anew", data_dir.display());
                    socket = made;
                    continue;
                }
                Err(error) => complaints.say("make the socket anew", error),
            }
        }
        wait(&socket, is_there);
        match socket.listener.accept() {
            Ok((stream, _)) => begin(stream, agent, &places, spare, &mut complaints),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => complaints.not_accepted("accept a command", error),
        }
    }
}

/// Waits for a connection, or until the socket may have gone, or may be made.
fn wait(socket: &Socket, is_there: bool) {
    let mut ready = vec![PollFd::new(socket.listener.as_fd(), PollFlags::POLLIN)];
    ready.extend(socket.watch.iter().map(|watch| PollFd::new(watch.as_fd(), PollFlags::POLLIN)));
    let timeout = PollTimeout::from(if is_there { UNSEEN } else { ABSENT });
    // What comes of it is seen by the calls that follow, also of a wait that a signal has ended.
    let _ = poll(&mut ready, timeout);
    let _ = socket.watch.as_ref().map(Inotify::read_events);
}

fn begin(
    stream: UnixStream,
    agent: &Arc<Agent>,
    places: &Places,
    spare: &Spare<Arc<UnixStream>>,
    complaints: &mut Complaints,
) {
    match peer_may_command(&stream) {
        Ok(true) => {}
        Ok(false) => return refuse(&stream, RefusalCode::Failed, "expected the agent's user or root"),
        Err(error) => return complaints.say("find out the user of a command", error),
    }
    let Some(place) = places.take() else {
        return refuse(&stream, RefusalCode::Busy, "the agent answers as many commands as it can already");
    };
    let stream = Arc::new(stream);
    let (answered, agent) = (Arc::clone(&stream), Arc::clone(agent));
    let answer = move || {
        let _place = place;
        connection::serve(&answered, &agent);
    };
    if let Err(error) = thread::Builder::new().name("command".to_owned()).spawn(answer) {
        complaints.say("start thread for a command", error);
        if let Err(stream) = spare.answer(stream) {
            refuse(&stream, RefusalCode::Busy, "the agent can start no thread for a command, and answers another one");
        }
    }
}

/// The directory keeps all others out; this holds also where a descriptor of the socket was passed on.
fn peer_may_command(stream: &UnixStream) -> io::Result<bool> {
    let peer = getsockopt(stream, PeerCredentials)?.uid();
    Ok(peer == 0 || peer == geteuid().as_raw())
}
