// SPDX-License-Identifier: MPL-2.0
//! Hearing beacons: which process of which id began when.

use std::collections::HashMap;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use rustix::process::Pid;
use rustix::time::{ClockId, clock_gettime};

use crate::Result;

/// The environment variable that names the socket to the beacons.
pub(crate) const SOCKET_VARIABLE: &str = "BEACON_SOCKET";

/// How long a beacon may take before its supervisor is taken to have failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// And how much longer for each further one of many.
const PATIENCE_EACH: Duration = Duration::from_millis(50);

/// Nanoseconds of the clock that the beacons look at.
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// The process of an id, and when it executed its first instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Birth {
    pub(crate) pid: Pid,
    pub(crate) at_ns: u64,
}

/// Hears the beacons of one supervisor.
pub(crate) struct Beacons {
    name: String,
    births: Receiver<(u32, Birth)>,
    /// The latest process of each id.
    latest: HashMap<u32, Birth>,
    heard: u64,
}

impl Beacons {
    /// Listens from now on.
    pub(crate) fn listen() -> Result<Beacons> {
        let name = format!("beacons-{}-{}", std::process::id(), now_ns());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        let (sender, births) = crossbeam_channel::unbounded();
        // The kernel queues few datagrams, and a beacon waits where the queue is full: so they are taken at once.
        thread::Builder::new().name("beacons".to_owned()).spawn(move || {
            let mut text = [0; 128];
            while let Some(birth) = socket.recv(&mut text).ok().and_then(|length| parse(&text[..length])) {
                if sender.send(birth).is_err() {
                    return;
                }
            }
        })?;
        Ok(Beacons { name, births, latest: HashMap::new(), heard: 0 })
    }

    /// The value of [`SOCKET_VARIABLE`] for these.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How many processes began until now.
    pub(crate) fn heard(&mut self) -> u64 {
        while let Ok((id, birth)) = self.births.try_recv() {
            self.note(id, birth);
        }
        self.heard
    }

    /// Waits until this many processes began in all.
    pub(crate) fn wait_for_count(&mut self, count: u64) -> Result<()> {
        let deadline = Instant::now() + PATIENCE + PATIENCE_EACH * u32::try_from(count)?;
        while self.heard < count {
            let heard = self.heard;
            self.next(deadline).map_err(|error| format!("{heard} of {count} processes began: {error}"))?;
        }
        Ok(())
    }

    /// Waits for a process of this id that is not `old`.
    pub(crate) fn wait_for_successor(&mut self, id: u32, old: Pid) -> Result<Birth> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.latest.get(&id) {
                Some(birth) if birth.pid != old => return Ok(*birth),
                _ => self.next(deadline).map_err(|error| format!("process {id} did not come back: {error}"))?,
            }
        }
    }

    /// The process of an id that began last.
    pub(crate) fn of(&self, id: u32) -> Result<Birth> {
        Ok(*self.latest.get(&id).ok_or_else(|| format!("process {id} never began"))?)
    }

    /// All ids and their processes.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u32, Birth)> {
        self.latest.iter().map(|(id, birth)| (*id, *birth))
    }

    /// When the last of all processes began.
    pub(crate) fn last_ns(&self) -> u64 {
        self.latest.values().map(|birth| birth.at_ns).max().unwrap_or(0)
    }

    fn next(&mut self, deadline: Instant) -> std::result::Result<(), RecvTimeoutError> {
        let (id, birth) = self.births.recv_deadline(deadline)?;
        self.note(id, birth);
        Ok(())
    }

    fn note(&mut self, id: u32, birth: Birth) {
        self.heard += 1;
        self.latest.insert(id, birth);
    }
}

impl Drop for Beacons {
    fn drop(&mut self) {
        // What is no beacon ends the thread. If it cannot be sent, the thread ends with the benchmark.
        let address = SocketAddr::from_abstract_name(&self.name);
        if let (Ok(socket), Ok(address)) = (UnixDatagram::unbound(), address) {
            let _ = socket.send_to_addr(b"end", &address);
        }
    }
}

fn parse(text: &[u8]) -> Option<(u32, Birth)> {
    let mut words = std::str::from_utf8(text).ok()?.split(' ');
    let id = words.next()?.parse().ok()?;
    let pid = Pid::from_raw(words.next()?.parse().ok()?)?;
    Some((id, Birth { pid, at_ns: words.next()?.parse().ok()? }))
}
