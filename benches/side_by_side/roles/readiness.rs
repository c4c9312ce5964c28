// SPDX-License-Identifier: MPL-2.0
//! How soon the host has the event that a process is ready after that has said so, and what the machine takes to wake a thread.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use proxyprocess::{EventKind, Manager};
use rustix::io::{read, write};
use rustix::pipe::pipe;

use crate::Result;
use crate::beacons::now_ns;
use crate::figures::{median, percentile};

/// The process that is restarted.
const ID: &str = "0";
/// Longer than any start takes.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a thread is woken, and how long all sleep before: as long as a process until it says that it is ready.
const WAKE_UPS: usize = 101;
const SLEEP: Duration = Duration::from_millis(20);

/// What was measured, in ns.
pub(super) struct Times {
    /// From the word of a process to the event: the 50th and the 99th percentile.
    pub(super) event: [u64; 2],
    /// The same to a thread of a program that does nothing but hear it and hand it on: the 50th percentile.
    pub(super) least: u64,
    /// A context switch.
    pub(super) switch: u64,
}

pub(super) fn times(manager: &Manager, beacon: &Path, count: u32) -> Result<Times> {
    let mut events = manager.events();
    let mut times = Vec::new();
    for _ in 0..count {
        manager.restart(ID)?;
        loop {
            let event = events.next_timeout(PATIENCE).ok_or("no event of readiness")?;
            if event.kind == EventKind::Ready {
                break;
            }
        }
        let heard = now_ns();
        // With its word comes what the clock said.
        let said: u64 = manager.status_of(ID)?.status_text.ok_or("it has not said when")?.parse()?;
        times.push(heard.saturating_sub(said) as f64);
    }
    let event = [0.5, 0.99].map(|share| percentile(&times, share) as u64);
    Ok(Times { event, least: least(beacon)? as u64, switch: context_switch()? as u64 })
}

/// A thread hears a process of the same kind and tells another one, as a supervisor's thread does with its host's. No process is
/// proven, known or recorded.
fn least(beacon: &Path) -> Result<f64> {
    let name = format!("least-{}-{}", std::process::id(), now_ns());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
    let (tell, told) = crossbeam_channel::unbounded();
    thread::Builder::new().name("least".to_owned()).spawn(move || {
        let mut text = [0; 128];
        while let Ok(length) = socket.recv(&mut text) {
            // An empty one is the last.
            if length == 0 || tell.send(text[..length].to_vec()).is_err() {
                return;
            }
        }
    })?;
    let mut times = Vec::new();
    for _ in 0..WAKE_UPS {
        let mut command = Command::new(beacon);
        let mut process = command.args([ID, "notify-later"]).env("NOTIFY_SOCKET", format!("@{name}")).spawn()?;
        let text = told.recv_timeout(PATIENCE);
        let heard = now_ns();
        process.kill()?;
        process.wait()?;
        let text = String::from_utf8(text?)?;
        let said: u64 = text.rsplit('=').next().unwrap_or_default().parse()?;
        times.push(heard.saturating_sub(said) as f64);
    }
    UnixDatagram::unbound()?.send_to_addr(&[], &SocketAddr::from_abstract_name(&name)?)?;
    Ok(median(&times))
}

/// From the word of a thread that has slept until the one that waits for it runs, when nothing else does: as in a host that is idle
/// when its process becomes ready. Two threads that wake each other over and over take a tenth of it.
fn context_switch() -> Result<f64> {
    let (heard, said) = pipe()?;
    thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..WAKE_UPS {
                thread::sleep(SLEEP);
                let _ = write(&said, &now_ns().to_ne_bytes());
            }
        });
        let (mut times, mut at) = (Vec::new(), [0; 8]);
        while read(&heard, &mut at)? == at.len() {
            times.push(now_ns().saturating_sub(u64::from_ne_bytes(at)) as f64);
        }
        Ok(median(&times))
    })
}
