// SPDX-License-Identifier: MPL-2.0
//! The least agent that embeds this library with all that it guarantees: a data directory with its lock, records, logs
//! and snapshot. It takes over what an earlier one left there.
//!
//! Settings: `role=stubborn` of the beacons, `grace_ms=N` when they are stopped, `resident_mib=N` of its own memory, and
//! `crash=backoff` or `crash=at-once` for one further process that ends whenever it is started; `cgroup=required` for a cgroup
//! each, `data=off` for no data directory but logs, `output=null` for no logs, `ready=notify` for processes that have to say so,
//! `listen=unix` for a socket each, and `declared=N` for as many declarations, of which the further ones are not enabled.
//!
//! Its commands are in `control.rs`.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

use proxyprocess::{CgroupUse, Manager, ManagerOptions, State};

use super::control;
use super::declared::{CRASHING, Declared};
use super::work::{Work, termination};
use crate::Result;
use crate::beacons::now_ns;

const PAGE: usize = 4096;

pub(super) fn run(work: &Work) -> Result<()> {
    let settings: BTreeMap<&str, &str> = work.settings.iter().map(|(name, value)| (&**name, &**value)).collect();
    let number = |name| settings.get(name).map(|value: &&str| value.parse::<u64>()).transpose();
    let is = |name, value| settings.get(name) == Some(&value);
    let ballast = touched(number("resident_mib")?.unwrap_or(0));
    let declared = Declared {
        beacon: work.beacon.clone(),
        role: settings.get("role").filter(|role| !role.is_empty()).map(|role| (*role).to_owned()),
        grace_period: number("grace_ms")?.map(Duration::from_millis),
        has_logs: !is("output", "null"),
        says_ready: is("ready", "notify"),
        sockets: is("listen", "unix").then(|| work.directory.clone()),
    };
    let told_to_end = termination()?;
    let state = State::new();
    let crashing = settings.get("crash").map(|how| (CRASHING.to_owned(), declared.crashing(how)));
    let beacons = (0..work.n).map(|id| (id.to_string(), declared.beacon(id, None)));
    let declared_in_all = u32::try_from(number("declared")?.unwrap_or(0))?;
    let disabled = (work.n..declared_in_all).map(|id| (id.to_string(), declared.beacon(id, None).with_enabled(false)));
    state.replace_all(beacons.chain(crashing).chain(disabled))?;

    let options = options(&work.directory, is("cgroup", "required"), !is("data", "off"));
    let manager = Manager::new(state.clone(), options)?;
    if let Some(path) = manager.snapshot_path() {
        manager.restore(&path)?;
    }
    control::answer(&[now_ns()])?;
    let end = thread::scope(|scope| {
        let running = scope.spawn(|| manager.run());
        let controlled = control::serve(&manager, &state, &declared, &told_to_end);
        // Whatever became of the control, nothing is left.
        let ended = manager.kill();
        let ran = running.join().map_err(|_| "the manager's thread panicked")?;
        ran.or_else(|error| if error.code() == proxyprocess::ErrorCode::Closed { Ok(()) } else { Err(error) })?;
        controlled.and_then(|()| Ok(ended?))
    });
    drop(ballast);
    end
}

fn options(directory: &Path, has_cgroups: bool, has_data: bool) -> ManagerOptions {
    let mut options = ManagerOptions::default();
    options.data_dir = has_data.then(|| directory.join("data"));
    options.log_dir = (!has_data).then(|| directory.join("logs"));
    options.allow_root = true;
    options.cgroup = if has_cgroups { CgroupUse::Required } else { CgroupUse::Off };
    options
}

/// So much memory, every page of it in use.
fn touched(mib: u64) -> Vec<u8> {
    let mut ballast = vec![0; usize::try_from(mib << 20).unwrap_or(0)];
    ballast.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
    std::hint::black_box(ballast)
}
