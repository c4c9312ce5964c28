// SPDX-License-Identifier: MPL-2.0
//! The log: where its lines go, and the one place that calls the host's loggers.
//!
//! A line about a proxy or a manager is written with that manager's [`Log`]; a line about something that all managers
//! share is written with [`write()`]. A logger that panics must not end a supervisor thread.

mod host_logger;
mod lines;
mod readers;
mod targets;

pub(crate) use log::Level;

pub use host_logger::Logger;
pub use lines::{LogLine, Logs};
pub(crate) use targets::{Log, write};
