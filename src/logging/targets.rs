// SPDX-License-Identifier: MPL-2.0
//! Which loggers and readers get a line.

use std::fmt;
use std::sync::Arc;

use log::{Level, LevelFilter};

use super::host_logger::{Logger, write_to_facade};
use super::lines::Logs;
use super::readers::Readers;
use crate::error::{OneLine, Result};
use crate::sys::fork::HomeProcess;
use crate::sys::fork_safe::SetOnce;

/// The readers of all lines.
static OF_LIBRARY: Readers = Readers::new();

/// The process that had readers of all lines. A worker that it forks does not use them: a thread that does not exist
/// there may hold their lock.
static HOME: SetOnce<HomeProcess> = SetOnce::new();

impl Logs {
    /// A reader of all lines of the library up to this level, from all managers and daemons of the program. It has no
    /// end.
    ///
    /// # Errors
    /// [`ErrorCode::Forked`](crate::ErrorCode::Forked): this process was forked by one that had such a reader.
    pub fn of_library(level: LevelFilter) -> Result<Logs> {
        HOME.get().unwrap_or_else(|| HOME.set(HomeProcess::here())).check()?;
        Ok(Logs::new(OF_LIBRARY.add(level)))
    }
}

/// Logs one line that concerns no manager, or several.
pub(crate) fn write(level: Level, message: fmt::Arguments<'_>) {
    write_to_facade(level, format_args!("{}", OneLine(&message)));
    write_to_library_readers(level, message);
}

fn write_to_library_readers(level: Level, message: fmt::Arguments<'_>) {
    if HOME.get().is_some_and(|home| home.is_here()) {
        OF_LIBRARY.write(level, message);
    }
}

/// The log of one manager or daemon.
#[derive(Debug, Clone)]
pub(crate) struct Log(Arc<Targets>);

#[derive(Debug)]
struct Targets {
    /// In place of the program's logger.
    logger: Option<Logger>,
    readers: Readers,
}

impl Log {
    pub(crate) fn new(logger: Option<Logger>) -> Log {
        Log(Arc::new(Targets { logger, readers: Readers::new() }))
    }

    /// Logs one line about a proxy.
    pub(crate) fn about(&self, level: Level, id: &str, message: fmt::Arguments<'_>) {
        self.write(level, format_args!("proxy {}: {message}", id.escape_debug()));
    }

    /// Logs one line.
    pub(crate) fn write(&self, level: Level, message: fmt::Arguments<'_>) {
        let line = OneLine(&message);
        match &self.0.logger {
            Some(logger) => logger.write(level, format_args!("{line}")),
            None => write_to_facade(level, format_args!("{line}")),
        }
        write_to_library_readers(level, message);
        self.0.readers.write(level, message);
    }

    /// A reader of the lines that are written from now on.
    pub(crate) fn subscribe(&self, level: LevelFilter) -> Logs {
        Logs::new(self.0.readers.add(level))
    }

    /// Tells the readers that no line follows.
    pub(crate) fn end(&self) {
        self.0.readers.end();
    }
}
