// SPDX-License-Identifier: MPL-2.0
//! The load: threads that open new connections as fast as they can, each for one request, and threads whose requests take
//! a second, so that some are always in flight.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::Result;

/// What every answer ends with.
pub(crate) const BODY: &str = "an answer";
/// The path of the requests that take a second.
pub(crate) const SLOW: &str = "/slow";

const OK: &[u8] = b"HTTP/1.1 200";

const FAST_THREADS: usize = 4;
const SLOW_THREADS: usize = 4;

/// What takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// What became of the connections.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    /// Requests of new connections, all told.
    pub(crate) made: u64,
    pub(crate) refused: u64,
    /// Ended without an answer, or with a broken one.
    pub(crate) reset: u64,
    pub(crate) late: u64,
    /// An answer that is none of the server's, or an error of this machine.
    pub(crate) wrong: u64,
    /// The longest time from connect(2) to the whole answer of a request that got one.
    pub(crate) slowest: Duration,
    /// The slow requests, and those of them that got no whole answer.
    pub(crate) held: u64,
    pub(crate) cut: u64,
    /// What went wrong first, in words.
    pub(crate) example: Option<String>,
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.made += other.made;
        self.refused += other.refused;
        self.reset += other.reset;
        self.late += other.late;
        self.wrong += other.wrong;
        self.slowest = self.slowest.max(other.slowest);
        self.held += other.held;
        self.cut += other.cut;
        self.example = self.example.take().or(other.example);
    }
}

/// A load that goes on.
pub(crate) struct Load {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Counts>>,
}

impl Load {
    /// Waits until the address answers, and begins.
    pub(crate) fn begin(address: SocketAddr) -> Result<Load> {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = ask(address, "/") {
            if Instant::now() > deadline {
                return Err(format!("connect {address}: {error}").into());
            }
            thread::yield_now();
        }
        let over = Arc::new(AtomicBool::new(false));
        let mut load = Load { over, threads: Vec::new() };
        for index in 0..FAST_THREADS + SLOW_THREADS {
            let over = load.over.clone();
            let play = if index < FAST_THREADS { fast } else { slow };
            load.threads.push(thread::Builder::new().spawn(move || play(address, &over))?);
        }
        Ok(load)
    }

    /// Waits for all requests that are in flight, and ends.
    pub(crate) fn end(mut self) -> Result<Counts> {
        self.over.store(true, Ordering::Release);
        let mut all = Counts::default();
        for thread in std::mem::take(&mut self.threads) {
            all.add(thread.join().map_err(|_| "a thread of the load panicked")?);
        }
        Ok(all)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
    }
}

fn fast(address: SocketAddr, over: &AtomicBool) -> Counts {
    let mut counts = Counts::default();
    while !over.load(Ordering::Acquire) {
        counts.made += 1;
        match ask(address, "/") {
            Ok(took) => counts.slowest = counts.slowest.max(took),
            Err(error) => {
                let count = match error.kind() {
                    ErrorKind::ConnectionRefused => &mut counts.refused,
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => &mut counts.reset,
                    ErrorKind::TimedOut | ErrorKind::WouldBlock => &mut counts.late,
                    _ => &mut counts.wrong,
                };
                *count += 1;
                counts.example.get_or_insert_with(|| error.to_string());
            }
        }
    }
    counts
}

fn slow(address: SocketAddr, over: &AtomicBool) -> Counts {
    let mut counts = Counts::default();
    while !over.load(Ordering::Acquire) {
        counts.held += 1;
        match ask(address, SLOW) {
            Ok(_) => {}
            // That no connection came about is counted by the fast ones.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => counts.held -= 1,
            Err(error) => {
                counts.cut += 1;
                counts.example.get_or_insert_with(|| format!("slow request: {error}"));
            }
        }
    }
    counts
}

/// One request of one connection, until the server closes that. How long it took to the end of the answer: an Envoy that drains
/// keeps a connection for seconds that it has answered and said to close.
fn ask(address: SocketAddr, path: &str) -> io::Result<Duration> {
    let began = Instant::now();
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: gapless\r\nConnection: close\r\n\r\n").as_bytes())?;
    let (mut answer, mut buffer, mut took) = (Vec::new(), [0; 2048], None);
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            count => answer.extend_from_slice(&buffer[..count]),
        }
        if took.is_none() && is_whole(&answer) {
            took = Some(began.elapsed());
        }
    }
    if let Some(took) = took.filter(|_| is_whole(&answer)) {
        return Ok(took);
    }
    if answer.is_empty() || answer.starts_with(OK) {
        return Err(io::Error::new(ErrorKind::UnexpectedEof, "the connection ended without a whole answer"));
    }
    let first = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    Err(io::Error::other(format!("unexpected answer: {}", String::from_utf8_lossy(first))))
}

fn is_whole(answer: &[u8]) -> bool {
    answer.starts_with(OK) && answer.ends_with(BODY.as_bytes())
}
