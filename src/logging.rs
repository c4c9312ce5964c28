//! The one place that writes to the host's log: a logger that panics must not end a supervisor thread.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub(crate) use log::Level;

/// Logs one line about a proxy.
pub(crate) fn about(level: Level, id: &str, message: fmt::Arguments<'_>) {
    // An id may hold anything but a NUL byte; a line of the log stays one line.
    write(level, format_args!("proxy {}: {message}", id.escape_debug()));
}

/// Logs one line.
pub(crate) fn write(level: Level, message: fmt::Arguments<'_>) {
    // The host's logger is foreign code; what it does must not decide whether processes are supervised.
    let _ = catch_unwind(AssertUnwindSafe(|| log::log!(target: "proxyprocess", level, "{message}")));
}
