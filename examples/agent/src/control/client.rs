// SPDX-License-Identifier: MPL-2.0
//! Asks a running agent.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{self, Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

use super::protocol::{Answer, Line, RefusalCode, Request};
use super::socket;
use crate::Result;
use crate::failure::{Exit, Failure};

/// How long an agent may be silent: it is stopped (SIGSTOP), or the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait for the socket of an agent that has its data directory: it takes over what an earlier one left before it
/// takes commands.
const START_TIME: Duration = Duration::from_secs(10);

/// How long an agent may live after it has closed a connection as one that ends: it has to close the rest.
const ENDING_TIME: Duration = Duration::from_secs(10);

/// Between two looks for it.
const CONNECT_PAUSE: Duration = Duration::from_millis(20);

/// A connection to the agent of a data directory.
pub(crate) struct Connection {
    stream: BufReader<UnixStream>,
    data_dir: PathBuf,
    /// The file of the socket.
    socket: Option<(u64, u64)>,
    /// How long the agent may be silent.
    patience: Duration,
}

impl Connection {
    /// Connects, and waits a while for an agent that has the directory and is just starting.
    ///
    /// # Errors
    /// With [`Exit::NoAgent`]: no agent runs there.
    pub(crate) fn open(data_dir: &Path) -> Result<Connection> {
        let begun = Instant::now();
        loop {
            let error = match Connection::open_now(data_dir) {
                Ok(connection) => return Ok(connection),
                Err(error) => error,
            };
            let place = data_dir.display();
            let is_refused =
                matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory);
            if !is_refused {
                return Err(Failure::new(Exit::Failure, format!("connect agent.sock in {place}: {error}")).into());
            }
            let Some(pid) = socket::holder(data_dir) else {
                // A relative one is meant from the working directory, which may not be the agent's.
                let place = path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned());
                let message = format!("no agent runs in {}: connect agent.sock: {error}", place.display());
                return Err(Failure::new(Exit::NoAgent, message).into());
            };
            if begun.elapsed() >= START_TIME {
                let message = format!(
                    "agent {pid} in {place} takes no commands: it is still starting, or cannot make its socket: \
                     connect agent.sock: {error}"
                );
                return Err(Failure::new(Exit::Failure, message).into());
            }
            thread::sleep(CONNECT_PAUSE);
        }
    }

    /// Connects to an agent that takes commands now.
    ///
    /// # Errors
    /// Those of connect(2).
    pub(crate) fn open_now(data_dir: &Path) -> io::Result<Connection> {
        let socket = socket::file(data_dir);
        let stream = BufReader::new(socket::connect(data_dir)?);
        Ok(Connection { stream, data_dir: data_dir.to_owned(), socket, patience: PATIENCE })
    }

    /// The data directory of the agent.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// From now on the agent may be silent for no longer than this.
    pub(crate) fn limit_patience(&mut self, longest: Duration) {
        // A timeout of zero would mean none.
        self.patience = self.patience.min(longest).max(Duration::from_millis(1));
    }

    /// The pid of the agent; none where it is not seen, as in another pid namespace.
    pub(crate) fn pid(&self) -> Option<u32> {
        let peer = getsockopt(self.stream.get_ref(), PeerCredentials).ok()?;
        u32::try_from(peer.pid()).ok().filter(|pid| *pid != 0)
    }

    /// Whether the agent has ended, by its socket alone.
    pub(crate) fn has_ended(&self) -> bool {
        socket::file(&self.data_dir) != self.socket || !socket::is_listened_to(&self.data_dir)
    }

    /// Asks, and hands each line of the answer but the last to `each`, once the whole answer is there: `each` may print to
    /// a slow reader, and the agent closes the connection of a client that is slow to read. The answer may take as long as
    /// `longer` in addition to what any answer may take.
    ///
    /// # Errors
    /// What `each` fails with; why the agent refuses; with [`Exit::TimedOut`] also when it does not answer.
    pub(crate) fn ask(
        &mut self,
        request: &Request,
        longer: Duration,
        each: impl FnMut(Answer) -> Result<()>,
    ) -> Result<()> {
        let mut answers = Vec::new();
        self.follow(request, longer, |answer| {
            answers.push(answer);
            Ok(())
        })?;
        answers.into_iter().try_for_each(each)
    }

    /// The same for an answer without an end: `each` gets a line when it comes.
    ///
    /// # Errors
    /// As [`Connection::ask`].
    pub(crate) fn follow(
        &mut self,
        request: &Request,
        longer: Duration,
        mut each: impl FnMut(Answer) -> Result<()>,
    ) -> Result<()> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.stream.get_ref().set_read_timeout(Some(self.patience.saturating_add(longer)))?;
        self.stream.get_ref().set_write_timeout(Some(self.patience))?;
        // One that refuses the connection does not read the request, and its answer can be read nevertheless.
        let written = self.stream.get_mut().write_all(&line);
        loop {
            let mut line = Vec::new();
            let read = self.stream.read_until(b'\n', &mut line).map_err(|error| self.failed(&error))?;
            if read == 0 {
                written.map_err(|error| self.failed(&error))?;
                return Err(self.failed(&ErrorKind::ConnectionReset.into()).into());
            }
            let line = serde_json::from_slice(&line).map_err(|error| format!("answer of the agent: {error}"))?;
            let Line::Known(answer) = line else { continue };
            match answer {
                Answer::Done {} => return Ok(()),
                Answer::Error(refusal) => {
                    let exit = match refusal.code {
                        RefusalCode::NoSuchProxy => Exit::NoSuchProxy,
                        RefusalCode::NotRunning => Exit::NotRunning,
                        RefusalCode::TimedOut => Exit::TimedOut,
                        RefusalCode::BadRequest | RefusalCode::Busy | RefusalCode::Failed => Exit::Failure,
                    };
                    return Err(Failure::new(exit, refusal.message).into());
                }
                answer => each(answer)?,
            }
        }
    }

    /// Asks for what is answered by the last line alone; `longer` as of [`Connection::ask`].
    pub(crate) fn command(&mut self, request: &Request, longer: Duration) -> Result<()> {
        self.ask(request, longer, |_| Ok(()))
    }

    fn failed(&self, error: &io::Error) -> Failure {
        let place = self.data_dir.display();
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                Failure::new(Exit::TimedOut, format!("the agent in {place} does not answer"))
            }
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                let begun = Instant::now();
                while !self.has_ended() {
                    if begun.elapsed() >= ENDING_TIME {
                        let message = format!("the agent in {place} runs, and has closed the connection");
                        return Failure::new(Exit::Failure, message);
                    }
                    thread::sleep(CONNECT_PAUSE);
                }
                Failure::new(Exit::NoAgent, format!("the agent in {place} has ended"))
            }
            _ => Failure::new(Exit::Failure, format!("ask the agent in {place}: {error}")),
        }
    }
}
