// SPDX-License-Identifier: MPL-2.0
//! One log that is kept within its limit.

use std::collections::HashMap;
use std::fmt::Display;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pace::next_look;
use crate::logging::{self, Level};
use crate::store::{BoundedLog, FileId, LogPositions, cut};
use crate::supervisor::events::Counters;
use crate::sys::file::data_begins;
use crate::sys::inotify::{Inotify, Watch};

/// How often a log is looked at that cannot be watched, or that could not be looked at.
pub(super) const UNWATCHED: Duration = Duration::from_secs(10);

/// How soon a log is looked at again that is being cut elsewhere.
const LOCKED: Duration = Duration::from_secs(1);

/// What is done with a log next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing before it is written to.
    Watched(Watch),
    /// It is looked at.
    Look(Instant),
    /// Nothing: it is not there, or cannot be kept within its limit.
    Nothing,
}

#[derive(Debug)]
pub(super) struct WatchedLog {
    pub(super) log: BoundedLog,
    counters: Arc<Counters>,
    /// The file that it was when it was looked at last.
    pub(super) file: Option<FileId>,
    pub(super) next: Next,
    /// Where it begins: what is before takes no space.
    begins: u64,
    size: u64,
    looked_at: Instant,
    /// What was said of it last, of each kind.
    said: HashMap<&'static str, String>,
}

impl WatchedLog {
    pub(super) fn new(log: BoundedLog, counters: Arc<Counters>, now: Instant) -> WatchedLog {
        let (begins, size) = (0, u64::MAX);
        let said = HashMap::new();
        WatchedLog { log, counters, file: None, next: Next::Look(now), begins, size, looked_at: now, said }
    }

    /// Something was written to it.
    pub(super) fn written(&mut self, now: Instant) {
        if let Next::Watched(_) = self.next {
            let room = self.max_bytes().saturating_sub(self.size - self.begins.min(self.size));
            self.next = Next::Look(now + next_look(room, 0, Duration::MAX));
        }
    }

    /// Looks at its size, and cuts it if that is too large.
    pub(super) fn look(&mut self, inotify: Option<&Inotify>, positions: &LogPositions) {
        self.next = match self.try_look(inotify, positions) {
            Ok(next) => next,
            // What is refused here has no errno, and stays as it is; what the system has refused may pass.
            Err(error) if error.raw_os_error().is_none() => {
                self.say("not kept within its limit before the next start", &error);
                Next::Nothing
            }
            Err(error) => {
                self.say("not kept within its limit now, and tried again every 10 s", &error);
                Next::Look(Instant::now() + UNWATCHED)
            }
        };
    }

    fn try_look(&mut self, inotify: Option<&Inotify>, positions: &LogPositions) -> io::Result<Next> {
        let now = Instant::now();
        let Some(found) = self.log.location.find()? else { return Ok(Next::Nothing) };
        let is_new = self.file != Some(found.id);
        let grown = if is_new || found.size < self.size { found.size } else { found.size - self.size };
        if is_new {
            let Some(open) = self.log.location.open()? else { return Ok(Next::Nothing) };
            (self.file, self.begins) = (Some(found.id), data_begins(&open.file)?);
        } else if found.size < self.size {
            // It was truncated, by whatever.
            self.begins = 0;
        }
        let time = now.saturating_duration_since(self.looked_at);
        (self.size, self.looked_at) = (found.size, now);
        if self.used() > self.max_bytes() {
            if !self.cut(positions)? {
                return Ok(Next::Look(now + LOCKED));
            }
        } else if grown == 0 || is_new {
            return self.watch(inotify, now);
        }
        let room = self.max_bytes().saturating_sub(self.used());
        Ok(Next::Look(now + next_look(room, grown, time)))
    }

    /// False when that cannot be now.
    fn cut(&mut self, positions: &LogPositions) -> io::Result<bool> {
        let Some(open) = self.log.location.open()? else { return Ok(true) };
        let cut = cut(&open, self.log.limits, positions)?;
        self.counters.log_bytes_cut.add(cut.removed);
        (self.begins, self.size) = (cut.begins, open.file.metadata()?.len());
        if let Some(error) = cut.not_kept {
            self.say("older lines could not be kept and are lost", &error);
        }
        if cut.truncated {
            let why = "its file system removes no part of a file";
            self.say("truncated, and lines that are written in this moment are lost", &why);
        }
        if cut.is_locked {
            self.say("not cut now", &"another process has it locked (flock(2))");
        }
        Ok(!cut.is_locked)
    }

    fn watch(&mut self, inotify: Option<&Inotify>, now: Instant) -> io::Result<Next> {
        let Some(inotify) = inotify else { return Ok(Next::Look(now + UNWATCHED)) };
        let Some(open) = self.log.location.open()? else { return Ok(Next::Nothing) };
        let watch = match inotify.watch_once(open.file.as_fd()) {
            Ok(watch) => watch,
            Err(error) => {
                self.say("looked at every 10 s, for it cannot be watched", &error);
                return Ok(Next::Look(now + UNWATCHED));
            }
        };
        // ORDER: what was written before the watch is not reported.
        if open.file.metadata()?.len() == self.size { Ok(Next::Watched(watch)) } else { Ok(Next::Look(now)) }
    }

    fn used(&self) -> u64 {
        self.size.saturating_sub(self.begins)
    }

    fn max_bytes(&self) -> u64 {
        self.log.limits.max_bytes.unwrap_or(u64::MAX)
    }

    /// Once for each reason, however often it happens one after the other.
    fn say(&mut self, what: &'static str, why: &dyn Display) {
        let why = why.to_string();
        if self.said.get(what) != Some(&why) {
            logging::write(Level::Warn, format_args!("log {}: {what}: {why}", self.log.location.path().display()));
            self.said.insert(what, why);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;
    use std::path::PathBuf;

    use super::*;
    use crate::command::LogLimits;
    use crate::store::LogLocation;

    #[test]
    fn log_that_is_not_written_to_is_not_looked_at() {
        let path = std::env::temp_dir().join(format!("proxyprocess-log-{}", crate::sys::random::uuid().unwrap()));
        let mut file = File::options().append(true).create_new(true).open(&path).unwrap();
        let limits = LogLimits { max_bytes: Some(65_536), keep: 0 };
        let bounded = BoundedLog { location: LogLocation::At(path.clone()), limits };
        let (inotify, positions, now) = (Inotify::new().unwrap(), LogPositions::default(), Instant::now());
        let mut log = WatchedLog::new(bounded, Arc::default(), now);
        for round in 0..2 {
            log.look(Some(&inotify), &positions);
            let Next::Watched(watch) = log.next else { panic!("{round}: {log:?}") };
            file.write_all(b"line\n").unwrap();
            let mut written = Vec::new();
            assert!(inotify.written(&mut written) && written == [watch]);
            log.written(now);
            assert!(matches!(log.next, Next::Look(at) if at > now), "{log:?}");
            // It has grown: it may go on.
            log.look(Some(&inotify), &positions);
            assert!(matches!(log.next, Next::Look(_)), "{log:?}");
        }
        file.write_all(&[b'x'; 70_000]).unwrap();
        log.look(Some(&inotify), &positions);
        assert!(matches!(log.next, Next::Look(_)) && log.used() <= 65_536, "{log:?}");
        std::fs::remove_file(&path).unwrap();
        log.look(Some(&inotify), &positions);
        assert_eq!(log.next, Next::Nothing);
    }

    #[test]
    fn log_is_looked_at_again_unless_it_may_not_be_cut() {
        let limits = LogLimits { max_bytes: Some(65_536), keep: 0 };
        let (inotify, positions, now) = (Inotify::new().unwrap(), LogPositions::default(), Instant::now());
        let look = |path: PathBuf, inotify: Option<&Inotify>| {
            let mut log = WatchedLog::new(BoundedLog { location: LogLocation::At(path), limits }, Arc::default(), now);
            log.look(inotify, &positions);
            log.next
        };
        let later = |next| matches!(next, Next::Look(at) if at >= now + UNWATCHED);
        // ENOTDIR: it may be a directory again by then.
        assert!(later(look("/dev/null/web.log".into(), Some(&inotify))));
        assert_eq!(look("/dev/null".into(), Some(&inotify)), Next::Nothing);
        let path = std::env::temp_dir().join(format!("proxyprocess-log-{}", crate::sys::random::uuid().unwrap()));
        std::fs::write(&path, "line\n").unwrap();
        assert!(matches!(look(path.clone(), Some(&inotify)), Next::Watched(_)));
        assert!(later(look(path.clone(), None)));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn both_streams_of_one_file_keep_its_lines() {
        // In memory no block can be removed: the space of the front is given back, and the size stays.
        for place in [std::env::temp_dir(), "/dev/shm".into()] {
            let path = place.join(format!("proxyprocess-{}.log", crate::sys::random::uuid().unwrap()));
            let Ok(mut file) = File::options().append(true).create_new(true).open(&path) else { continue };
            let limits = LogLimits { max_bytes: Some(65_536), keep: 9 };
            let bounded = BoundedLog { location: LogLocation::At(path.clone()), limits };
            let (inotify, positions, now) = (Inotify::new().unwrap(), LogPositions::default(), Instant::now());
            let mut logs = [0, 1].map(|_| WatchedLog::new(bounded.clone(), Arc::default(), now));
            let lines = |round: u32| (0..8000).map(move |line| format!("{round} a line {line}\n")).collect::<String>();
            for round in 0..3 {
                file.write_all(lines(round).as_bytes()).unwrap();
                logs.iter_mut().for_each(|log| log.look(Some(&inotify), &positions));
            }
            let older = (1..=9).rev().map(|number| path.with_extension(format!("log.{number}")));
            let older: Vec<_> = older.filter(|file| file.exists()).collect();
            assert_eq!(older.len(), 3, "{older:?}");
            let files = older.iter().chain([&path]).map(|file| std::fs::read_to_string(file).unwrap());
            let all = files.collect::<String>().replace('\0', "");
            let all: Vec<&str> = all.lines().filter(|line| !line.trim().is_empty()).collect();
            assert_eq!(all.join("\n") + "\n", (0..3).map(lines).collect::<String>());
            older.iter().chain([&path]).for_each(|file| std::fs::remove_file(file).unwrap());
        }
    }
}
