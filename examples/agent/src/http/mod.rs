// SPDX-License-Identifier: MPL-2.0
//! What the agent shows over HTTP, and never takes: its status, its metrics, and a page of the proxies.

mod answer;
mod pages;
mod request;

use std::io::Read;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::agent::Agent;
use crate::clients::{self, Complaints, Places};
use answer::{Answer, Status};
use request::Refused;

/// How many connections are answered at the same time, each by a thread.
const MOST_CONNECTIONS: usize = 16;

/// How long a client may take for its request.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// How long a client may take to read an answer.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// How long, and for how many bytes, is read on what was not read of a request: a connection that is closed with that
/// unread is reset, and the answer may be lost.
const REST_TIME: Duration = Duration::from_secs(1);
const REST: u64 = 64 << 10;

/// Where the agent listens, and by which names it may be called.
pub(crate) struct Server {
    listener: TcpListener,
    hosts: Arc<[String]>,
}

impl Server {
    /// Listens at an address: of this machine alone, unless `is_public`.
    ///
    /// # Errors
    /// When that cannot be.
    pub(crate) fn bind(address: SocketAddr, is_public: bool, hosts: Vec<String>) -> Result<Server> {
        if !address.ip().is_loopback() && !is_public {
            return Err(format!("http {address}: expected an address of this machine alone, or --http-public").into());
        }
        let listener = TcpListener::bind(address).map_err(|error| format!("http {address}: listen: {error}"))?;
        Ok(Server { listener, hosts: hosts.into() })
    }

    /// Answers until the process ends.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn start(self, agent: &Arc<Agent>) -> Result<()> {
        log::info!("serving http://{}/", self.listener.local_addr()?);
        let agent = Arc::clone(agent);
        let spawned = thread::Builder::new().name("http".to_owned()).spawn(move || self.accept(&agent));
        spawned.map_err(|error| format!("start thread for http: {error}"))?;
        Ok(())
    }

    fn accept(&self, agent: &Arc<Agent>) {
        let (places, mut complaints) = (Places::new(MOST_CONNECTIONS), Complaints::default());
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) => {
                    complaints.not_accepted("accept a client of http", error);
                    continue;
                }
            };
            let Some(place) = places.take() else {
                // It may not read at all.
                let _ = stream.set_nonblocking(true);
                let _ = clients::write(&stream, &Answer::of(Status::Busy).bytes(true), Instant::now() + ANSWER_TIME);
                continue;
            };
            let (agent, hosts) = (Arc::clone(agent), Arc::clone(&self.hosts));
            let answer = move || {
                let _place = place;
                serve(&stream, &agent, &hosts);
            };
            if let Err(error) = thread::Builder::new().name("http-client".to_owned()).spawn(answer) {
                complaints.say("start thread for a client of http", error);
            }
        }
    }
}

/// Answers the one request of a connection.
fn serve(stream: &TcpStream, agent: &Agent, hosts: &[String]) {
    let (answer, with_body) = match request::read(stream, Instant::now() + REQUEST_TIME) {
        Ok(request) => (pages::answer(&request, agent, hosts), !request.is_head),
        Err(Refused::Because(status)) => (Answer::of(status), true),
        Err(Refused::Gone) => return,
    };
    if clients::write(stream, &answer.bytes(with_body), Instant::now() + ANSWER_TIME).is_err() {
        return;
    }
    // It may be gone by now.
    let _ = stream.shutdown(Shutdown::Write);
    read_rest(stream);
}

fn read_rest(stream: &TcpStream) {
    let (by, mut rest) = (Instant::now() + REST_TIME, stream.take(REST));
    let mut part = [0; 4096];
    while let Some(left) = by.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        if stream.set_read_timeout(Some(left)).is_err() || !rest.read(&mut part).is_ok_and(|length| length > 0) {
            return;
        }
    }
}
