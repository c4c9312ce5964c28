// SPDX-License-Identifier: MPL-2.0
//! What the documentation of the library promises, item by item, with real processes: a daemon alone, other kinds of
//! proxies, the state, and the manager.

mod bounded_logs;
mod coalescing;
mod consul;
mod daemon;
mod daemon_failures;
mod daemon_snapshot;
mod detached;
mod elsewhere;
mod ends;
mod environment;
mod epoch;
mod events;
mod files;
mod generation;
mod handover_turns;
mod ids;
mod impossible;
mod kinds;
mod last_end;
mod locked;
mod log_dir;
mod logs;
mod metrics;
mod output_descriptor;
pub(crate) mod overlap;
mod overlap_adopted;
mod overlap_faults;
mod overlap_interplay;
mod overlap_load;
mod overlap_takeover;
mod pause;
mod periods;
mod policy;
mod reload;
mod removed_logs;
mod replace;
mod restart;
mod restore;
mod signal;
mod status_of;
mod threads;
mod users;
mod waits;
