// SPDX-License-Identifier: MPL-2.0
//! Removes the oldest lines of a log that has become too large, while processes write to it.
//!
//! They have the file open for appending, so it must stay the same file; a rename would not affect them. The method
//! depends on the file system:
//!
//! - its first blocks are removed (`FALLOC_FL_COLLAPSE_RANGE`: ext4, XFS, F2FS), and nothing is lost;
//! - or their space is freed (`FALLOC_FL_PUNCH_HOLE`: tmpfs, btrfs, ZFS): nothing is lost, but the file begins with
//!   zeros that take no space;
//! - or it is copied and truncated: what is written between the two is lost.
//!
//! If a cut goes through a line, the line is first overwritten with spaces, so that no part of a line is ever seen at
//! the beginning, even if the agent dies in between: it then repeats the whole cut.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};

use super::bounded_log::OpenLog;
use super::log_cut_place::{choose, possible, window};
use super::log_positions::{LogPositions, locked};
use crate::command::LogLimits;
use crate::sys::fail;
use crate::sys::file::{
    data_after, data_begins, free_front, hole_after, id_of, is_not_supported, remove_front, try_lock, unlock,
};

/// What became of a log.
#[derive(Debug, Default)]
pub(crate) struct Cut {
    /// Where it begins now: what is before takes no space.
    pub(crate) begins: u64,
    /// How much that took space was taken away.
    pub(crate) removed: u64,
    /// What was written in this moment may be lost.
    pub(crate) truncated: bool,
    /// Nothing was done, for another process, or another manager of this one, has its lock.
    pub(crate) is_locked: bool,
    /// Why what was removed is not kept elsewhere, if it was to be.
    pub(crate) not_kept: Option<io::Error>,
}

/// Blocks larger than these are not asked for: a stripe of disks, or of a network, is no block.
const BLOCKS: [u64; 2] = [4096, 64 * 1024];

/// Cuts a log, if it is larger than its limit.
///
/// # Errors
/// When nothing of it could be removed.
pub(crate) fn cut(log: &OpenLog, limits: LogLimits, positions: &LogPositions) -> io::Result<Cut> {
    // Of a file system that has no such locks nothing else than this process is expected to cut its files.
    if let Ok(false) = try_lock(log.file.as_fd()) {
        return Ok(Cut { begins: data_begins(&log.file)?, is_locked: true, ..Cut::default() });
    }
    let done = cut_locked(log, limits, positions);
    unlock(log.file.as_fd());
    done
}

fn cut_locked(log: &OpenLog, limits: LogLimits, positions: &LogPositions) -> io::Result<Cut> {
    let file = &log.file;
    let found = file.metadata()?;
    // Not as the caller knows it: the same file may be the log of several streams, and of several agents.
    let begins = data_begins(file)?;
    let unchanged = Cut { begins, ..Cut::default() };
    let block = found.blksize().clamp(BLOCKS[0], BLOCKS[1]).next_power_of_two();
    let max_bytes = limits.max_bytes.unwrap_or(u64::MAX);
    if found.len().saturating_sub(begins) <= max_bytes {
        return Ok(unchanged);
    }
    let Some(possible) = possible(found.len(), begins, block, max_bytes, limits.keep > 0) else {
        return Ok(unchanged);
    };
    let window = window(&possible, begins, found.len());
    let mut content = vec![0; usize::try_from(window.end - window.start).unwrap_or_default()];
    file.read_exact_at(&mut content, window.start)?;
    let place = choose(&content, window.start, &possible, block);
    let keep = || log.keep_old(limits.keep, |old| copy(file, lines_begin(file, begins)?, place.lines_end(), old));
    let not_kept = if limits.keep > 0 { keep().err() } else { None };
    fail::point("log:kept");
    // ORDER: after the copy, which can take long. A log that was truncated meanwhile has lines that are in no copy.
    if !is_still(file, window.start, &content)? {
        return Ok(Cut { begins: data_begins(file)?, not_kept, ..unchanged });
    }
    drop(content);
    if !place.line.is_empty() {
        let blank = vec![b' '; usize::try_from(place.line.end - place.line.start).unwrap_or_default()];
        file.write_all_at(&blank, place.line.start)?;
    }
    fail::point("log:blanked");
    let removed = positions.removed(id_of(file)?);
    // ORDER: a reader that goes by a place in the log waits meanwhile, for the place moves.
    let mut removed = locked(&removed);
    if is_appended_to(file, begins, found.len())? {
        match remove_front(file, place.at) {
            Ok(()) => {
                *removed += place.at;
                fail::point("log:cut");
                return Ok(Cut { begins: 0, removed: place.at, not_kept, ..unchanged });
            }
            Err(error) if is_not_supported(&error) => {}
            Err(error) => return Err(error),
        }
    }
    if file.metadata()?.len() < found.len() {
        // It was truncated in this moment.
        return Ok(Cut { begins: data_begins(file)?, not_kept, ..unchanged });
    }
    match free_front(file, place.at) {
        Ok(()) => {
            fail::point("log:cut");
            return Ok(Cut { begins: place.at, removed: place.at.saturating_sub(begins), not_kept, ..unchanged });
        }
        Err(error) if is_not_supported(&error) => {}
        Err(error) => return Err(error),
    }
    let rest_not_kept = match limits.keep {
        0 => log.keep_old(1, |old| copy(file, place.lines_end(), u64::MAX, old)),
        _ => log.keep_more(|old| copy(file, place.lines_end(), u64::MAX, old)),
    };
    let length = file.metadata()?.len();
    *removed += length;
    file.set_len(0)?;
    let (removed, not_kept) = (length.saturating_sub(begins), not_kept.or(rest_not_kept.err()));
    Ok(Cut { begins: 0, removed, truncated: true, not_kept, ..unchanged })
}

/// Whether a part of a log is as it was.
fn is_still(log: &File, from: u64, content: &[u8]) -> io::Result<bool> {
    let mut now = vec![0; content.len()];
    match log.read_exact_at(&mut now, from) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| now == content),
    }
}

/// Whether everything that is written to a log is appended. A process that has it open without O_APPEND continues at its
/// old position after the front was removed, and leaves a hole before that; then only the space of the front is freed.
fn is_appended_to(log: &File, begins: u64, size: u64) -> io::Result<bool> {
    // In memory a block at the end that is just being written to can be taken for a hole.
    Ok(begins == 0 && hole_after(log, 0)? + BLOCKS[0] >= size)
}

/// Where the lines of a log begin: behind zeros, where a file system does not say which take no space, and behind the blanks
/// of the line that the last cut went through.
fn lines_begin(log: &File, mut begins: u64) -> io::Result<u64> {
    let mut content = [0; BLOCKS[0] as usize];
    let read = loop {
        let read = log.read_at(&mut content, begins)?;
        match content[..read].iter().position(|byte| *byte != 0) {
            Some(0) => break read,
            Some(zeros) => begins += zeros as u64,
            None if read == 0 => break read,
            None => begins += read as u64,
        }
    };
    let blanks = content[..read].iter().take_while(|byte| **byte == b' ').count();
    let is_line = blanks > 0 && content[..read].get(blanks) == Some(&b'\n');
    Ok(if is_line { begins + blanks as u64 + 1 } else { begins })
}

/// Copies a part of a log, by the kernel where that can be, without its holes.
fn copy(log: &File, from: u64, until: u64, to: &mut File) -> io::Result<()> {
    let (mut log, mut at) = (log, from);
    loop {
        // It may grow, and it may be truncated.
        let until = until.min(log.metadata()?.len());
        if at >= until {
            return Ok(());
        }
        let data = data_after(log, at)?.unwrap_or(until).min(until);
        let ends = if data < until { hole_after(log, data)?.clamp(data, until) } else { until };
        // A small one may be a block that is just being written to.
        let begins = if data - at > BLOCKS[0] { data } else { at };
        log.seek(SeekFrom::Start(begins))?;
        io::copy(&mut log.take(ends - begins), to)?;
        at = ends.max(data + 1);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::store::bounded_log::LogLocation;

    /// A directory for one test, on a file system of its own kind where there is one.
    struct Place(PathBuf);

    impl Place {
        /// In the directory for temporary files, and in memory, where no block can be removed.
        fn all() -> Vec<Place> {
            let name = format!("proxyprocess-cut-{}", crate::sys::random::uuid().unwrap());
            let all = [std::env::temp_dir(), "/dev/shm".into()].map(|place| Place(place.join(&name)));
            all.into_iter().filter(|place| std::fs::create_dir(&place.0).is_ok()).collect()
        }

        fn log(&self, content: &str) -> (PathBuf, OpenLog) {
            let path = self.0.join("web-stdout.log");
            File::options().append(true).create(true).open(&path).unwrap().write_all(content.as_bytes()).unwrap();
            let open = LogLocation::At(path.clone()).open().unwrap().unwrap();
            (path, open)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn lines(range: std::ops::Range<u32>) -> String {
        range.map(|number| format!("line {number:06} {}\n", "x".repeat(number as usize % 90))).collect()
    }

    fn limits(keep: u32) -> LogLimits {
        LogLimits { max_bytes: Some(65_536), keep }
    }

    /// What of a log is not freed, without a line of blanks.
    fn content(path: &Path) -> String {
        let open = LogLocation::At(path.to_owned()).open().unwrap().unwrap();
        let begins = data_begins(&open.file).unwrap();
        let content = String::from_utf8(std::fs::read(path).unwrap().split_off(begins as usize)).unwrap();
        without_blanks(&content)
    }

    fn without_blanks(content: &str) -> String {
        content.lines().filter(|line| !line.trim().is_empty()).map(|line| format!("{line}\n")).collect()
    }

    fn old(path: &Path, number: u32) -> PathBuf {
        path.with_extension(format!("log.{number}"))
    }

    #[test]
    fn whole_lines_stay_of_a_log_that_is_cut_again_and_again() {
        for place in Place::all() {
            let path = place.0.join("web-stdout.log");
            for round in 0..5 {
                let (_, log) = place.log(&lines(round * 1500..(round + 1) * 1500));
                let done = cut(&log, limits(0), &LogPositions::default()).unwrap();
                assert!(!done.truncated && done.not_kept.is_none());
                let left = content(&path);
                assert!(left.len() > 30_000 && left.len() <= 49_152, "{}", left.len());
                assert!(lines(0..(round + 1) * 1500).ends_with(&format!("\n{left}")), "{left:.99}");
            }
        }
    }

    #[test]
    fn lines_that_are_taken_away_are_in_the_older_files() {
        for place in Place::all() {
            let path = place.0.join("web-stdout.log");
            for round in 0..5 {
                let (_, log) = place.log(&lines(round * 1500..(round + 1) * 1500));
                cut(&log, limits(3), &LogPositions::default()).unwrap();
            }
            let kept = [3, 2, 1].map(|number| std::fs::read_to_string(old(&path, number)).unwrap());
            let all = without_blanks(&kept.concat()) + &content(&path);
            assert!(lines(0..7500).ends_with(&format!("\n{all}")) && all.len() > 3 * 65_536, "{}", all.len());
            assert!(!old(&path, 4).exists());
            // Fewer are to be kept.
            let (_, log) = place.log(&lines(7500..9000));
            cut(&log, limits(1), &LogPositions::default()).unwrap();
            assert!(old(&path, 1).exists() && !old(&path, 2).exists() && !old(&path, 3).exists());
        }
    }

    #[test]
    fn log_that_was_cut_for_one_stream_is_not_cut_again_for_the_other() {
        for place in Place::all() {
            let (path, first) = place.log(&lines(0..1500));
            let second = LogLocation::At(path.clone()).open().unwrap().unwrap();
            let begins = cut(&first, limits(2), &LogPositions::default()).unwrap().begins;
            let kept = std::fs::read_to_string(old(&path, 1)).unwrap();
            assert_eq!(cut(&second, limits(2), &LogPositions::default()).unwrap().begins, begins);
            assert!(std::fs::read_to_string(old(&path, 1)).unwrap() == kept && !old(&path, 2).exists());
        }
    }

    #[test]
    fn log_that_another_has_locked_is_cut_after_that() {
        let place = &Place::all()[0];
        let (path, log) = place.log(&lines(0..1500));
        let other = LogLocation::At(path.clone()).open().unwrap().unwrap();
        assert!(try_lock(other.file.as_fd()).unwrap());
        assert!(cut(&log, limits(0), &LogPositions::default()).unwrap().is_locked);
        assert_eq!(std::fs::read_to_string(path).unwrap(), lines(0..1500));
        unlock(other.file.as_fd());
        assert!(!cut(&log, limits(0), &LogPositions::default()).unwrap().is_locked);
        assert!(try_lock(other.file.as_fd()).unwrap());
    }

    #[test]
    fn lines_of_a_writer_that_does_not_append_are_kept_without_the_hole_before_them() {
        for place in Place::all() {
            let (path, _) = place.log("");
            let mut writer = File::options().write(true).open(&path).unwrap();
            for round in 0..4 {
                writer.write_all(lines(round * 1500..(round + 1) * 1500).as_bytes()).unwrap();
                let log = LogLocation::At(path.clone()).open().unwrap().unwrap();
                cut(&log, limits(9), &LogPositions::default()).unwrap();
            }
            let files = (1..=9).rev().map(|number| old(&path, number)).filter(|it| it.exists()).chain([path.clone()]);
            let all: String = files.map(|file| std::fs::read_to_string(file).unwrap().replace('\0', "")).collect();
            assert!(without_blanks(&all) == lines(0..6000), "{}", all.len());
            assert!((1..=9).all(|number| std::fs::metadata(old(&path, number)).map_or(0, |it| it.len()) < 200_000));
        }
    }

    #[test]
    fn log_is_cut_when_the_older_lines_cannot_be_kept() {
        for place in Place::all() {
            let (path, log) = place.log(&lines(0..1500));
            // A directory cannot be removed as a file.
            std::fs::create_dir_all(old(&path, 1).join("in the way")).unwrap();
            let done = cut(&log, limits(1), &LogPositions::default()).unwrap();
            assert!(done.not_kept.is_some());
            assert!(lines(0..1500).ends_with(&content(&path)) && content(&path).len() < 65_536);
        }
    }

    #[test]
    fn how_much_was_removed_is_known() {
        for place in Place::all() {
            let (path, log) = place.log(&lines(0..1500));
            let (before, positions) = (log.file.metadata().unwrap().len(), LogPositions::default());
            cut(&log, limits(0), &positions).unwrap();
            let removed = *locked(&positions.removed(id_of(&log.file).unwrap()));
            assert_eq!(std::fs::metadata(path).unwrap().len() + removed, before);
        }
    }

    #[test]
    fn what_is_no_log_of_the_agent_is_not_opened() {
        let places = Place::all();
        let place = &places[0].0;
        let at = |name: &str| LogLocation::At(place.join(name));
        let (path, _) = places[0].log("line\n");
        std::os::unix::fs::symlink(&path, place.join("link")).unwrap();
        assert!(at("link").find().is_err() && at("link").open().is_err());
        assert!(LogLocation::At(place.clone()).find().is_err() && at(".").open().is_err());
        std::process::Command::new("mkfifo").arg(place.join("fifo")).status().unwrap();
        assert!(at("fifo").find().is_err() && at("fifo").open().is_err());
        std::fs::hard_link(&path, place.join("other")).unwrap();
        assert_eq!(at("other").open().unwrap_err().to_string(), "a file with 2 names, expected 1");
        std::fs::remove_file(place.join("other")).unwrap();
        assert!(at("web-stdout.log").open().unwrap().is_some());
        assert!(at("missing").open().unwrap().is_none() && at("missing").find().unwrap().is_none());
        assert!(at("missing/missing").find().unwrap().is_none());
        if std::os::unix::fs::chown(&path, Some(1), None).is_ok() {
            assert!(at("web-stdout.log").open().unwrap_err().to_string().starts_with("owned by user 1"));
        }
    }
}
