// SPDX-License-Identifier: MPL-2.0
//! How soon the host has the event that a process is ready after that has said so, and what the machine takes to wake a thread.

use std::thread;
use std::time::{Duration, Instant};

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
/// How often two threads wake each other.
const ROUND_TRIPS: usize = 2000;

/// The 50th and the 99th percentile of the times in ns, and the median of a context switch.
pub(super) fn times(manager: &Manager, count: u32) -> Result<[u64; 3]> {
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
    Ok([median(&times), percentile(&times, 0.99), context_switch()?].map(|ns| ns as u64))
}

/// Half of a round trip between two threads over pipes, which sleep until the other one has written.
fn context_switch() -> Result<f64> {
    let ((from_us, to_other), (from_other, to_us)) = (pipe()?, pipe()?);
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut byte = [0];
            while read(&from_us, &mut byte).is_ok_and(|length| length > 0) && write(&to_us, &byte).is_ok() {}
        });
        let mut times = Vec::new();
        for _ in 0..ROUND_TRIPS {
            let began = Instant::now();
            write(&to_other, &[0])?;
            read(&from_other, &mut [0])?;
            times.push(began.elapsed().as_nanos() as f64 / 2.0);
        }
        drop(to_other);
        Ok(median(&times))
    })
}
