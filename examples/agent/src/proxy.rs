// SPDX-License-Identifier: MPL-2.0
//! A small TCP proxy: what the demonstration manages, so that nothing has to be installed for it.
//!
//! It handles no signals: the stop signal ends it as it ends most programs.

use std::convert::Infallible;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::{Result, complain, say};

/// The wait after a connection that could not be accepted: most often descriptors are exhausted, and trying again at
/// once would burn CPU until a connection ends.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where connections come from and where they go, each `HOST:PORT`.
#[derive(Debug)]
pub(crate) struct Addresses {
    listen: String,
    upstream: String,
}

impl Addresses {
    /// Reads `--listen ADDR --upstream ADDR`, in any order; the error says what is wrong.
    pub(crate) fn parse(words: &[&str]) -> std::result::Result<Addresses, String> {
        let (mut listen, mut upstream) = (None, None);
        let mut words = words.iter();
        while let Some(option) = words.next() {
            let place = match *option {
                "--listen" => &mut listen,
                "--upstream" => &mut upstream,
                other => return Err(format!("argument {other}: expected --listen or --upstream")),
            };
            let address = words.next().ok_or_else(|| format!("argument {option}: expected an address after it"))?;
            if place.replace((*address).to_owned()).is_some() {
                return Err(format!("argument {option}: expected once"));
            }
        }
        match (listen, upstream) {
            (Some(listen), Some(upstream)) => Ok(Addresses { listen, upstream }),
            _ => Err("arguments of proxy: expected --listen ADDR --upstream ADDR".to_owned()),
        }
    }
}

/// Passes connections on until the process is ended.
///
/// # Errors
/// When the address cannot be listened on.
pub(crate) fn run(addresses: &Addresses) -> Result<Infallible> {
    let wrong = |error| format!("listen {}: {error}", addresses.listen);
    let listener = TcpListener::bind(&addresses.listen).map_err(wrong)?;
    let bound = listener.local_addr().map_err(wrong)?;
    say(format_args!("listening on {bound}, upstream {}", addresses.upstream));
    let upstream = addresses.upstream.clone();
    serve(&listener, move |client| match TcpStream::connect(&upstream) {
        Ok(upstream) => relay(&client, &upstream),
        Err(error) => Err(io::Error::new(error.kind(), format!("connect {upstream}: {error}"))),
    })
}

/// Accepts connections for ever, and handles each on a thread of its own. What goes wrong is said on stderr.
pub(crate) fn serve(listener: &TcpListener, handle: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> ! {
    let handle = Arc::new(handle);
    loop {
        let client = match listener.accept() {
            Ok((client, _)) => client,
            Err(error) => {
                complain(format_args!("accept connection: {error}"));
                thread::sleep(ACCEPT_PAUSE);
                continue;
            }
        };
        let handle = Arc::clone(&handle);
        let answer = move || {
            if let Err(error) = handle(client) {
                complain(format_args!("handle connection: {error}"));
            }
        };
        if let Err(error) = thread::Builder::new().spawn(answer) {
            complain(format_args!("start thread: {error}"));
        }
    }
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
