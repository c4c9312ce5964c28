// SPDX-License-Identifier: MPL-2.0
//! Removing the logs of removed proxies that exceed the number to be kept: in small pieces, because the thread has
//! other logs to check.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::excerpt;
use crate::store::{LogsOfId, logs_by_id};
use crate::supervisor::removed_logs::RemovedLogs;

/// The least time between two looks at all logs: many proxies that are removed one after the other need few of them.
const LEAST: Duration = Duration::from_secs(1);

/// The logs of how many proxies are looked at or removed in one piece.
const PIECE: usize = 64;

/// One look at the logs of a manager, and what follows from it.
#[derive(Debug)]
pub(super) struct Sweep {
    of: Arc<RemovedLogs>,
    /// When the next piece is due.
    pub(super) at: Instant,
    stage: Stage,
    removed: usize,
    /// The first thing that could not be done, and how many.
    failed: Option<(String, usize)>,
}

#[derive(Debug)]
enum Stage {
    Due,
    /// It is found out when they were written to last.
    Dating {
        left: Vec<LogsOfId>,
        dated: Vec<((i64, i64), LogsOfId)>,
        keep: u32,
    },
    Removing {
        too_many: Vec<((i64, i64), LogsOfId)>,
        keep: u32,
    },
}

impl Sweep {
    pub(super) fn new(of: Arc<RemovedLogs>, now: Instant) -> Sweep {
        let at = of.begun().map_or(now, |begun| (begun + LEAST).max(now));
        Sweep { of, at, stage: Stage::Due, removed: 0, failed: None }
    }

    /// Does a piece of it; false when it is over.
    pub(super) fn go_on(&mut self, now: Instant) -> bool {
        match &mut self.stage {
            Stage::Due => {
                let Some(keep) = self.of.begin(now) else { return false };
                match logs_by_id(&*self.of.home) {
                    Ok(mut left) => {
                        left.retain(|logs| self.of.is_removed(&logs.id));
                        self.stage = Stage::Dating { left, dated: Vec::new(), keep };
                    }
                    Err(error) => {
                        let path = self.of.home.logs_path();
                        self.of.tell(0, Some(format!("list {}: {error}", path.display())));
                        return false;
                    }
                }
            }
            Stage::Dating { left, dated, keep } if left.is_empty() => {
                dated.sort_unstable_by_key(|(written, _)| Reverse(*written));
                // The oldest are at the end, where they are taken from.
                let kept = usize::try_from(*keep).unwrap_or(usize::MAX);
                self.stage = Stage::Removing { too_many: dated.split_off(kept.min(dated.len())), keep: *keep };
            }
            Stage::Dating { left, dated, .. } => {
                for mut logs in left.drain(left.len().saturating_sub(PIECE)..) {
                    match logs.written() {
                        Ok(written) => dated.extend(written.map(|written| (written, logs))),
                        Err(error) => {
                            note(&mut self.failed, format!("look at those of {}: {error}", excerpt(&logs.id)))
                        }
                    }
                }
            }
            Stage::Removing { too_many, .. } if too_many.is_empty() => {
                let failed = self.failed.take().map(|(first, count)| match count {
                    1 => first,
                    _ => format!("{first}; {count} failures in all"),
                });
                self.of.tell(self.removed, failed);
                return false;
            }
            Stage::Removing { too_many, keep } => {
                for (written, mut logs) in too_many.drain(too_many.len().saturating_sub(PIECE)..).rev() {
                    let id = logs.id.clone();
                    // Its proxy may have been there again meanwhile.
                    let remove = || if logs.written()? == Some(written) { logs.remove().map(Some) } else { Ok(None) };
                    match self.of.removing(&id, *keep, remove) {
                        Some(Ok(Some(true))) => self.removed += 1,
                        Some(Ok(None)) => {}
                        Some(Ok(Some(false))) => {
                            let why = format!("those of {} stay, for a process writes to them", excerpt(&id));
                            note(&mut self.failed, why);
                        }
                        Some(Err(error)) => {
                            note(&mut self.failed, format!("remove those of {}: {error}", excerpt(&id)));
                        }
                        // It is needed again.
                        None => {}
                    }
                }
            }
        }
        self.at = now;
        true
    }
}

fn note(failed: &mut Option<(String, usize)>, what: String) {
    match failed {
        Some((_, count)) => *count += 1,
        None => *failed = Some((what, 1)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::Path;

    use super::*;
    use crate::logging::Log;
    use crate::store::LogDir;

    /// Has a directory looked at as if nothing in it were declared, and says what is left.
    fn left(path: &Path, keep: u32) -> Vec<String> {
        let home = Arc::new(LogDir::open(path).unwrap());
        let logs = Arc::new(RemovedLogs::new(home, Log::new(None), |id| id == "declared"));
        assert!(logs.allow(Some(keep)));
        let now = Instant::now();
        let mut sweep = Sweep::new(logs.clone(), now);
        while sweep.go_on(now) {}
        assert_eq!(Sweep::new(logs, now).at, now + LEAST);
        let names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    fn write(path: &Path, written: i64) {
        let file = File::create(path).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(written.unsigned_abs())).unwrap();
    }

    #[test]
    fn youngest_logs_stay_and_nothing_but_logs_is_removed() {
        let path = std::env::temp_dir().join(format!("proxyprocess-sweep-{}", crate::sys::random::uuid().unwrap()));
        LogDir::open(&path).unwrap();
        for (written, name) in (1_000..).zip(["a", "b", "c", "declared"]) {
            write(&path.join(format!("{name}-stdout.log")), written);
            write(&path.join(format!("{name}-stderr.log")), 1);
        }
        // The proxy that was written to last has many.
        for name in ["a-stdout.log.1", "a-stderr.log.99", "a-stderr.log.foreign-1", ".a-stdout.log.tmp"] {
            write(&path.join(name), 2);
        }
        write(&path.join("a-stdout.log"), 2_000);
        let others = ["a.log", "b-stdout.log.1.gz", "notes.txt", "snapshot.json"];
        others.iter().for_each(|name| write(&path.join(name), 1));
        fs::create_dir(path.join("d-stdout.log")).unwrap();
        std::os::unix::fs::symlink("notes.txt", path.join("e-stdout.log")).unwrap();
        let writer = File::options().append(true).open(path.join("b-stderr.log")).unwrap();

        let all = left(&path, 9);
        assert_eq!(all.len(), 8 + 4 + others.len() + 2);
        let names = left(&path, 1);
        let gone: Vec<&String> = all.iter().filter(|name| !names.contains(name)).collect();
        assert_eq!(gone, ["c-stderr.log", "c-stdout.log"], "a process writes to one of b");
        drop(writer);
        let names = left(&path, 0);
        let kept = ["d-stdout.log", "e-stdout.log", "declared-stderr.log", "declared-stdout.log"];
        let mut expected: Vec<&str> = others.into_iter().chain(kept).collect();
        expected.sort_unstable();
        assert_eq!(names, expected);
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn sweep_ends_when_more_may_stay_and_spares_what_was_written_to_meanwhile() {
        let path = std::env::temp_dir().join(format!("proxyprocess-sweep-{}", crate::sys::random::uuid().unwrap()));
        let home = Arc::new(LogDir::open(&path).unwrap());
        let count = 3 * PIECE;
        let log = |number: usize| path.join(format!("{number}-stdout.log"));
        (0..count).for_each(|number| write(&log(number), 1_000 + number as i64));
        let logs = Arc::new(RemovedLogs::new(home, Log::new(None), |_| false));
        assert!(logs.allow(Some(0)));
        let now = Instant::now();
        let mut sweep = Sweep::new(logs.clone(), now);
        let left = || fs::read_dir(&path).unwrap().count();
        while left() == count {
            assert!(sweep.go_on(now));
        }
        // The youngest is the last to go.
        write(&log(count - 1), 9_000);
        logs.allow(None);
        let spared = left();
        assert!(spared > PIECE);
        while sweep.go_on(now) {}
        assert_eq!(left(), spared);
        logs.allow(Some(0));
        let mut sweep = Sweep::new(logs, now);
        while !matches!(sweep.stage, Stage::Removing { .. }) {
            assert!(sweep.go_on(now));
        }
        write(&log(count - 1), 10_000);
        while sweep.go_on(now) {}
        assert!(log(count - 1).exists() && left() == 1);
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn ten_thousand_removed_proxies_are_removed_in_pieces() {
        let path = std::env::temp_dir().join(format!("proxyprocess-sweep-{}", crate::sys::random::uuid().unwrap()));
        LogDir::open(&path).unwrap();
        (0..10_000).for_each(|number| drop(File::create(path.join(format!("{number}-stdout.log"))).unwrap()));
        // One in a directory of its own, for its id is too long for a name.
        let id = "ä".repeat(512);
        let home: Arc<dyn crate::store::LogHome> = Arc::new(LogDir::open(&path).unwrap());
        home.open_logs(&id, [true; 2], crate::store::LogOwner::Agent).unwrap();
        assert_eq!(left(&path, 3).iter().filter(|name| name.ends_with(".log")).count(), 2);
        assert!(home.log_paths(&id).iter().all(|log| log.exists()), "it was written to last");
        left(&path, 0);
        assert!(!home.log_paths(&id).iter().any(|log| log.exists()));
        fs::remove_dir_all(path).unwrap();
    }
}
