// SPDX-License-Identifier: MPL-2.0
//! The logger of one manager.

use std::fmt;
use std::sync::Arc;

use log::{Level, Log, Record};

use crate::host_code::{HostOwned, Inside, caught, within};

/// The target of all records of the library.
const TARGET: &str = "proxyprocess";

/// A logger for one manager, in place of the one that the program has set for all its crates. It can be anything that
/// implements [`log::Log`], such as the logger of an `env_logger` that is built but not installed.
///
/// It gets the records that the manager would otherwise send to the [`log`] facade, with the target `proxyprocess`,
/// whatever [`log::max_level`] is: its `enabled` must filter them. It is called on any thread, including threads of the
/// library, and on several threads at the same time; while it runs, supervision may stand still.
///
/// A call that waits for threads of the library could wait for the logger itself. So in the logger all methods of
/// [`Manager`](crate::Manager) and [`Daemon`](crate::Daemon) that wait fail with
/// [`ErrorCode::InCallback`](crate::ErrorCode::InCallback), and [`Manager::status`](crate::Manager::status) is empty;
/// the same holds for the logger of the program. Readers of events and log lines, and the [`State`](crate::State), can
/// be used. If the last handle on a manager or daemon is dropped in the logger, another thread closes it a moment
/// later.
///
/// Clones of a logger are equal to it.
///
/// ```
/// use proxyprocess::{Logger, ManagerOptions};
///
/// #[derive(Debug)]
/// struct ToStderr;
///
/// impl log::Log for ToStderr {
///     fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
///         metadata.level() <= log::Level::Info
///     }
///     fn log(&self, record: &log::Record<'_>) {
///         eprintln!("{}: {}", record.level(), record.args());
///     }
///     fn flush(&self) {}
/// }
///
/// let options = ManagerOptions::default().with_logger(Logger::new(ToStderr));
/// ```
#[derive(Clone)]
pub struct Logger(Arc<HostOwned<Box<dyn Log>>>);

impl Logger {
    /// A logger that sends its records to this one.
    pub fn new(logger: impl Log + 'static) -> Logger {
        Logger(Arc::new(HostOwned::new(Box::new(logger))))
    }

    pub(super) fn write(&self, level: Level, message: fmt::Arguments<'_>) {
        send(&***self.0, level, message);
    }
}

impl PartialEq for Logger {
    fn eq(&self, other: &Logger) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Logger {}

impl fmt::Debug for Logger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Logger")
    }
}

/// Sends a line to the logger that the program has set.
pub(super) fn write_to_facade(level: Level, message: fmt::Arguments<'_>) {
    if level <= log::max_level() {
        send(log::logger(), level, message);
    }
}

fn send(logger: &dyn Log, level: Level, message: fmt::Arguments<'_>) {
    // A logger is code of the host; a panic in it must not end supervision.
    let _ = caught(|| {
        within(Inside::Logger, || {
            let record = Record::builder().target(TARGET).level(level).args(message).build();
            if logger.enabled(record.metadata()) {
                logger.log(&record);
            }
        })
    });
}
