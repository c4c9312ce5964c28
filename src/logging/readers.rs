// SPDX-License-Identifier: MPL-2.0
//! The readers of one log. Each has its own feed, because each has its own level.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use log::{Level, LevelFilter};

use super::lines::LogLine;
use crate::defaults::LOG_CAPACITY;
use crate::error::{CUT, OneLine, cut};
use crate::feed::{Feed, Reader};

/// A longer message is cut, so that a reader that does not read costs a bounded amount of memory.
const LONGEST: usize = 4096;

/// The readers of a log.
#[derive(Debug)]
pub(super) struct Readers {
    /// The highest level that any reader wants: lines above it are not even formatted. Changed only under the lock.
    level: AtomicUsize,
    all: Mutex<All>,
}

#[derive(Debug)]
struct All {
    readings: Vec<Reading>,
    /// No more lines will come.
    ended: bool,
}

#[derive(Debug)]
struct Reading {
    level: LevelFilter,
    /// Dropped with its reader.
    feed: Weak<Feed<LogLine>>,
}

impl Readers {
    pub(super) const fn new() -> Readers {
        Readers {
            level: AtomicUsize::new(LevelFilter::Off as usize),
            all: Mutex::new(All { readings: Vec::new(), ended: false }),
        }
    }

    pub(super) fn add(&self, level: LevelFilter) -> Reader<LogLine> {
        let feed = Feed::new(LOG_CAPACITY);
        let reader = Reader::of(&feed);
        let mut all = self.lock();
        if all.ended {
            feed.end();
        } else {
            all.readings.push(Reading { level, feed: Arc::downgrade(&feed) });
            self.tidy(&mut all);
        }
        reader
    }

    pub(super) fn write(&self, level: Level, message: fmt::Arguments<'_>) {
        if level as usize > self.level.load(Ordering::Relaxed) {
            return;
        }
        let message: Arc<str> = one_line(message).into();
        let mut all = self.lock();
        for reading in all.readings.iter().filter(|reading| level <= reading.level) {
            if let Some(feed) = reading.feed.upgrade() {
                feed.add(|number, at| LogLine { number, at, level, message: message.clone(), missed: 0 });
            }
        }
        self.tidy(&mut all);
    }

    /// Marks the end: no line follows.
    pub(super) fn end(&self) {
        let mut all = self.lock();
        all.ended = true;
        for feed in all.readings.drain(..).filter_map(|reading| reading.feed.upgrade()) {
            feed.end();
        }
        self.tidy(&mut all);
    }

    /// Removes readers that were dropped.
    fn tidy(&self, all: &mut All) {
        all.readings.retain(|reading| reading.feed.strong_count() > 0);
        let level = all.readings.iter().map(|reading| reading.level).max().unwrap_or(LevelFilter::Off);
        self.level.store(level as usize, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        // Nothing panics while it is held.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message as one line of limited length.
fn one_line(message: fmt::Arguments<'_>) -> String {
    let mut line = OneLine(&message).to_string();
    if line.len() > LONGEST {
        cut(&mut line, LONGEST - CUT.len());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(reader: &mut Reader<LogLine>) -> Vec<String> {
        std::iter::from_fn(|| reader.try_next()).map(|line| line.message.to_string()).collect()
    }

    #[test]
    fn each_reader_gets_the_lines_of_its_level_from_its_creation_on() {
        let readers = Readers::new();
        readers.write(Level::Error, format_args!("before"));
        let (mut errors, mut all) = (readers.add(LevelFilter::Error), readers.add(LevelFilter::Trace));
        readers.write(Level::Warn, format_args!("a {}", "warning"));
        readers.write(Level::Error, format_args!("two\r\nlines"));
        assert_eq!(messages(&mut errors), ["two  lines"]);
        assert_eq!(messages(&mut all), ["a warning", "two  lines"]);
        readers.end();
        readers.write(Level::Error, format_args!("after"));
        assert!(errors.is_ended() && all.is_ended() && readers.add(LevelFilter::Error).is_ended());
    }

    #[test]
    fn reader_that_fell_behind_gets_the_newest_lines_and_how_many_are_lost() {
        let readers = Readers::new();
        let mut reader = readers.add(LevelFilter::Info);
        (0..LOG_CAPACITY + 3).for_each(|count| readers.write(Level::Info, format_args!("{count}")));
        let lost = reader.try_next().unwrap();
        assert_eq!((lost.missed, lost.level, lost.number), (3, Level::Warn, 3));
        assert_eq!(&*lost.message, "3 lines of the log are lost: the reader fell behind");
        let left = messages(&mut reader);
        assert_eq!((left.len(), left[0].as_str()), (LOG_CAPACITY, "3"));
    }

    #[test]
    fn message_that_is_too_long_is_cut_between_characters() {
        let long = "\u{e4}".repeat(LONGEST);
        let line = one_line(format_args!("x{long}"));
        assert!(line.len() <= LONGEST && line.len() > LONGEST - 8 && line.ends_with("\u{e4}..."), "{}", line.len());
        assert_eq!(one_line(format_args!("{}", "y".repeat(LONGEST))).len(), LONGEST);
    }

    #[test]
    fn readers_that_are_gone_are_forgotten_and_nothing_is_formatted_for_them() {
        struct Unformatted;
        impl fmt::Display for Unformatted {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                panic!("formatted")
            }
        }
        let readers = Readers::new();
        for _ in 0..100 {
            drop(readers.add(LevelFilter::Trace));
        }
        let reader = readers.add(LevelFilter::Warn);
        assert_eq!(readers.lock().readings.len(), 1);
        readers.write(Level::Info, format_args!("{Unformatted}"));
        drop(reader);
        readers.write(Level::Error, format_args!("the last one that is formatted"));
        readers.write(Level::Error, format_args!("{Unformatted}"));
    }
}
