// SPDX-License-Identifier: MPL-2.0
//! A hundred thousand changes of the state within a second, of one proxy and then of many: each proxy is replaced once,
//! and nothing piles up meanwhile.

use std::thread;
use std::time::Duration;

use crate::Result;
use crate::agent::Agent;
use crate::figures::milliseconds;
use crate::measure::SETTLE;
use crate::options::Options;
use crate::procfs;
use crate::targets::Target;
use crate::tools::Tools;

const CHANGES: u32 = 100_000;
/// The manager may wait so long until the changes have calmed down, and the last process may come so much later.
const CALM: Duration = Duration::from_secs(2);
/// What memory may differ by from one moment to another, where nothing piles up: a queue of all changes would be more.
const FLAT_KIB: f64 = 1024.0;

pub(super) fn run(options: &Options, tools: &Tools) -> Result<Vec<Target>> {
    let mut agent = Agent::start(tools, options.n, &[])?;
    thread::sleep(SETTLE);
    let mut targets = Vec::new();
    targets.extend(burst(&mut agent, 1, FLAT_KIB, "at one proxy")?.0);
    // Declarations and processes of all are there twice for a while, so that only the second time tells what is flat.
    let (_, first_kib) = burst(&mut agent, options.n, 0.0, "")?;
    let what = format!("at {} proxies", options.n);
    let (again, second_kib) = burst(&mut agent, options.n, 0.0, &what)?;
    targets.extend(again.into_iter().filter(|target| !target.what.contains("peak")));
    let growth = second_kib - first_kib;
    targets.push(Target::at_most(format!("memory, {what}, from one burst to the next"), growth, FLAT_KIB, "KiB"));
    agent.kill()?;
    Ok(targets)
}

/// One burst: its targets, and the memory afterwards.
fn burst(agent: &mut Agent, ids: u32, peak_limit_kib: f64, what: &str) -> Result<(Vec<Target>, f64)> {
    let pid = agent.scene.pid();
    procfs::forget_peak(pid)?;
    let (before_kib, _) = procfs::resident_kib(pid);
    let heard_before = agent.scene.beacons.heard();
    let answer = agent.ask(&format!("burst {ids} {CHANGES}"))?;
    let [first_ns, last_ns] = answer[..] else { return Err(format!("burst: got {answer:?}").into()) };
    agent.scene.beacons.wait_for_count(heard_before + u64::from(ids))?;
    thread::sleep(CALM + SETTLE);
    let (after_kib, peak_kib) = procfs::resident_kib(pid);
    let begun = agent.scene.beacons.heard() - heard_before;
    let peak = peak_kib as f64 - before_kib as f64;
    let targets = vec![
        Target::told(format!("{CHANGES} changes {what}, made within"), milliseconds(last_ns - first_ns) / 1e3, "s"),
        Target::exactly(format!("new processes for each, {what}: one sync"), begun as f64 / f64::from(ids), 1.0, ""),
        Target::at_most(format!("memory, {what}, peak above before"), peak, peak_limit_kib, "KiB"),
    ];
    Ok((targets, after_kib as f64))
}
