// SPDX-License-Identifier: MPL-2.0
//! The spawner threads: they do all that may block on a disk or on an exec, so that the supervisor thread never does.

mod busy_timer;
pub(crate) mod job;
mod known_host;
pub(crate) mod last_words;
mod process_resources;
mod spawn_tools;
mod start;
pub(crate) mod threads;
mod work;
