// SPDX-License-Identifier: MPL-2.0
//! How soon the host has the event that a process is ready after that has said so, and what the machine takes to wake a thread.

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
