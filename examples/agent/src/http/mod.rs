// SPDX-License-Identifier: MPL-2.0
//! What the agent shows over HTTP, and never takes: its status, its metrics, and a page of the proxies.

mod answer;
mod kept;
mod pages;
mod request;

use std::io::Read;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::agent::Agent;
use crate::clients::{self, Complaints, Places, Spare};
use answer::{Answer, Status};
use pages::Pages;
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

/// After how long an address that could not be had is tried again: another program may have the port, or an interface not be up.
const LISTEN_PAUSE: Duration = Duration::from_secs(1);

/// Where the agent listens, and by which names it may be called.
pub(crate) struct Server {
    address: SocketAddr,
    hosts: Vec<String>,
}

impl Server {
    /// One that is to listen at an address: of this machine alone, unless `is_public`.
    ///
    /// # Errors
    /// When the address is another one.
    pub(crate) fn new(address: SocketAddr, is_public: bool, hosts: Vec<String>) -> Result<Server> {
        if !address.ip().is_loopback() && !is_public {
            return Err(format!("http {address}: expected an address of this machine alone, or --http-public").into());
        }
        Ok(Server { address, hosts })
    }

    /// Answers until the process ends, once the address can be had: any user may have taken the port, and proxies are more than
    /// what is shown of them.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn start(self, agent: &Arc<Agent>) -> Result<()> {
        let mut complaints = Complaints::default();
        let first = self.listen(&mut complaints);
        let pages = Arc::new(Pages::of(Arc::clone(agent), self.hosts.clone()));
        let answering = Arc::clone(&pages);
        let spare = Spare::start("http-spare", move |stream: Arc<TcpStream>| serve(&stream, &answering));
        let spare = spare.map_err(|error| format!("start spare thread for http: {error}"))?;
        let serve = move || {
            let listener = first.unwrap_or_else(|| self.listen_later(&mut complaints));
            accept(&listener, &pages, &spare, &mut complaints);
        };
        let spawned = thread::Builder::new().name("http".to_owned()).spawn(serve);
        spawned.map_err(|error| format!("start thread for http: {error}"))?;
        Ok(())
    }

    fn listen(&self, complaints: &mut Complaints) -> Option<TcpListener> {
        let listening = TcpListener::bind(self.address).and_then(|listener| Ok((listener.local_addr()?, listener)));
        match listening {
            Ok((address, listener)) => {
                log::info!("serving http://{address}/");
                Some(listener)
            }
            Err(error) => {
                complaints.say("listen for http", format_args!("{}: {error}", self.address));
                None
            }
        }
    }

    fn listen_later(&self, complaints: &mut Complaints) -> TcpListener {
        loop {
            thread::sleep(LISTEN_PAUSE);
            if let Some(listener) = self.listen(complaints) {
                return listener;
            }
        }
    }
}

fn accept(listener: &TcpListener, pages: &Arc<Pages>, spare: &Spare<Arc<TcpStream>>, complaints: &mut Complaints) {
    let places = Places::new(MOST_CONNECTIONS);
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) => {
                complaints.not_accepted("accept a client of http", error);
                continue;
            }
        };
        let Some(place) = places.take() else {
            refuse(&stream);
            continue;
        };
        let stream = Arc::new(stream);
        let (answered, pages) = (Arc::clone(&stream), Arc::clone(pages));
        let answer = move || {
            let _place = place;
            serve(&answered, &pages);
        };
        if let Err(error) = thread::Builder::new().name("http-client".to_owned()).spawn(answer) {
            complaints.say("start thread for a client of http", error);
            if let Err(stream) = spare.answer(stream) {
                refuse(&stream);
            }
        }
    }
}

/// Answers that this cannot be answered now.
fn refuse(stream: &TcpStream) {
    // It may not read at all.
    let _ = stream.set_nonblocking(true);
    let _ = clients::write(stream, Answer::of(Status::Busy).bytes(true), Instant::now() + ANSWER_TIME);
}

/// Answers the one request of a connection.
fn serve(stream: &TcpStream, pages: &Pages) {
    let (answer, with_body) = match request::read(stream, Instant::now() + REQUEST_TIME) {
        Ok(request) => (pages.answer(&request), !request.is_head),
        Err(Refused::Because(status)) => (Answer::of(status), true),
        Err(Refused::Gone) => return,
    };
    if clients::write(stream, answer.bytes(with_body), Instant::now() + ANSWER_TIME).is_err() {
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
