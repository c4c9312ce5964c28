// SPDX-License-Identifier: MPL-2.0
//! The commands of the host: one a line on its standard input, each answered by a line of numbers.
//!
//! | command | what it does | answer |
//! |---|---|---|
//! | `set ID VERSION` | declares another process | when it was declared |
//! | `status COUNT` | asks for the status so often | the median in ns, how many proxies, how many run, restarts of the crashing one |
//! | `metrics COUNT` | asks for the metrics so often | the median of the processor time in ns, that of the first, the median of the [reads alone](super::reads), how many bytes |
//! | `readiness COUNT` | restarts the first process so often | the [50th and 99th percentile](super::readiness) of the times from its word that it is ready to the event, in ns, the median of the same with the [least between](super::readiness), and that of a context switch |
//! | `burst IDS COUNT` | so many changes among so many ids, within a second if it can | when the first and the last were made |
//! | `close` | ends and leaves the processes | when it began |
//! | `kill` | ends with the processes; so does SIGTERM | when it began |
//! | `kill-asked` | the same, and asks for the status again and again | when it began, and on a second line the 50th and the 99th percentile of the times in ns, and the longest |
//!
//! "When" is in nanoseconds of the monotonic clock.

use std::hint::black_box;
use std::io::{BufRead, Write, stdin, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use proxyprocess::{Manager, ProxyState, State};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use super::declared::{CRASHING, Declared};
use super::readiness::{self, Times};
use super::reads::Reads;
use crate::Result;
use crate::beacons::now_ns;
use crate::figures::{median, percentile};

/// The question itself is not to be what keeps the machine busy.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(3);

/// So many changes are made without looking at the clock.
const BATCH: u64 = 100;

/// Tells the benchmark some numbers.
pub(super) fn answer(numbers: &[u64]) -> Result<()> {
    let words: Vec<String> = numbers.iter().map(u64::to_string).collect();
    let mut stdout = stdout().lock();
    writeln!(stdout, "{}", words.join(" "))?;
    Ok(stdout.flush()?)
}

/// Does what it is told, until that is to end.
pub(super) fn serve(manager: &Manager, state: &State, declared: &Declared, told_to_end: &OwnedFd) -> Result<()> {
    let stdin = stdin();
    let mut commands_come = true;
    loop {
        let events = if commands_come { PollFlags::IN } else { PollFlags::empty() };
        let mut sources = [PollFd::new(told_to_end, PollFlags::IN), PollFd::new(&stdin, events)];
        let sources = if commands_come { &mut sources[..] } else { &mut sources[..1] };
        match poll(sources, None) {
            // By the signal that is to be read from the other one.
            Err(Errno::INTR) => continue,
            polled => polled?,
        };
        if !sources[0].revents().is_empty() {
            return Ok(());
        }
        let mut line = String::new();
        // One command at a time: the benchmark waits for the answer, so that none is left in the buffer unseen.
        commands_come = stdin.lock().read_line(&mut line)? > 0;
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            ["set", id, version] => {
                let config = declared.beacon(id.parse()?, Some(version.parse()?));
                state.set(id, config)?;
                answer(&[now_ns()])?;
            }
            ["status", count] => status(manager, count.parse()?)?,
            ["metrics", count] => metrics(manager, count.parse()?)?,
            ["readiness", count] => {
                let Times { event: [p50, p99], least, switch } =
                    readiness::times(manager, &declared.beacon, count.parse()?)?;
                answer(&[p50, p99, least, switch])?;
            }
            ["burst", ids, count] => burst(state, declared, ids.parse()?, count.parse()?)?,
            ["close"] => {
                answer(&[now_ns()])?;
                return Ok(manager.close()?);
            }
            ["kill"] => {
                answer(&[now_ns()])?;
                return Ok(manager.kill()?);
            }
            ["kill-asked"] => {
                answer(&[now_ns()])?;
                return kill_asked(manager);
            }
            _ => return Err(format!("unknown command {line:?}").into()),
        }
    }
}

fn status(manager: &Manager, count: u32) -> Result<()> {
    let mut times = Vec::new();
    let mut last = Vec::new();
    for _ in 0..count {
        let began = Instant::now();
        last = manager.status();
        times.push(began.elapsed().as_nanos() as f64);
    }
    let running = last.iter().filter(|status| status.state == ProxyState::Running).count();
    let crashes = last.iter().find(|status| status.id == CRASHING).map_or(0, |status| status.restarts);
    answer(&[median(&times) as u64, last.len() as u64, running as u64, crashes])
}

fn metrics(manager: &Manager, count: u32) -> Result<()> {
    let reads = Reads::of(&manager.status())?;
    let (mut times, mut of_reads, mut bytes) = (Vec::new(), Vec::new(), 0);
    // In turns.
    for _ in 0..count {
        times.push(processor_time(|| {
            bytes = manager.metrics().len();
            Ok(())
        })?);
        of_reads.push(processor_time(|| reads.make())?);
    }
    let first = times.first().copied().unwrap_or_default();
    answer(&[median(&times) as u64, first as u64, median(&of_reads) as u64, bytes as u64])
}

/// While the manager stops all.
fn kill_asked(manager: &Manager) -> Result<()> {
    let has_ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut times = Vec::new();
            while !has_ended.load(Ordering::Relaxed) {
                let began = Instant::now();
                black_box(manager.status());
                times.push(began.elapsed().as_nanos() as f64);
                thread::sleep(BETWEEN_QUESTIONS);
            }
            times
        });
        let killed = manager.kill();
        has_ended.store(true, Ordering::Relaxed);
        let times = asking.join().map_err(|_| "the asking thread panicked")?;
        answer(&[0.5, 0.99, 1.0].map(|share| percentile(&times, share) as u64))?;
        Ok(killed?)
    })
}

/// That of all threads of this process, in nanoseconds.
fn processor_time(what: impl FnOnce() -> Result<()>) -> Result<f64> {
    let now = || clock_gettime(ClockId::ProcessCPUTime);
    let began = now();
    what()?;
    Ok(Duration::try_from(now() - began)?.as_nanos() as f64)
}

/// Spread evenly over a second, as far as the machine can do that many.
fn burst(state: &State, declared: &Declared, ids: u32, count: u64) -> Result<()> {
    let ids: Vec<(u32, String)> = (0..ids).map(|id| (id, id.to_string())).collect();
    let pause = Duration::from_secs(1) / u32::try_from(count)?;
    let (began, first_ns) = (Instant::now(), now_ns());
    for (change, (id, name)) in (0..count).zip(ids.iter().cycle()) {
        state.set(name, declared.beacon(*id, Some(first_ns + change)))?;
        if change % BATCH == BATCH - 1 {
            let due = began + pause * u32::try_from(change)?;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }
    answer(&[first_ns, now_ns()])
}
