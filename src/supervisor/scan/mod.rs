// SPDX-License-Identifier: MPL-2.0
//! Finding processes of a proxy by the process tag in their environment, their group, their session or their open log.

pub(crate) mod escaped_process;
pub(crate) mod find_by_log;
pub(crate) mod find_by_owner_tag;
pub(crate) mod group_scan;
pub(crate) mod known_tag;
mod process_in_exec;
pub(crate) mod process_scan;
pub(crate) mod process_tag;
pub(crate) mod scan_queue;
pub(crate) mod stalled_scan;
pub(crate) mod unproven_process;
