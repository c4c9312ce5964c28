// SPDX-License-Identifier: MPL-2.0
//! The last lines that a process wrote to a log.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::SystemTime;

use super::log_positions::LogPositions;

/// How many lines are told at the most.
const LINES: usize = 10;

/// How much of the log is read for them: ten long lines.
const BYTES: u64 = 4096;

/// Which part of a log a process has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogPart {
    /// From this offset on.
    From(u64),
    /// It is not known from where on, but what was written last before this time is not of it.
    Since(SystemTime),
}

/// The last lines of a process that is gone, without empty ones; the first of them may be cut at its front.
///
/// `until`: where the next process of the log begins, if there is one. A log that is shorter than it was has been cut off
/// meanwhile, and all that it has came later.
pub(super) fn last_lines(
    log: &File,
    part: LogPart,
    until: Option<u64>,
    positions: &LogPositions,
) -> io::Result<Vec<String>> {
    positions.reading(log, |removed| {
        let found = log.metadata()?;
        let until = until.map_or(u64::MAX, |until| until.saturating_sub(removed)).min(found.len());
        let from = match part {
            LogPart::From(offset) if offset <= found.len() + removed => offset.saturating_sub(removed),
            LogPart::From(_) => 0,
            LogPart::Since(time) if found.modified()? < time => return Ok(Vec::new()),
            LogPart::Since(_) => 0,
        };
        let first = from.max(until.saturating_sub(BYTES));
        let mut content = vec![0; usize::try_from(until.saturating_sub(first)).unwrap_or_default()];
        log.read_exact_at(&mut content, first)?;
        // What takes no space any more.
        let freed = content.iter().take_while(|byte| **byte == 0).count();
        Ok(lines(&content[freed..]))
    })
}

/// Control characters are replaced: a line is shown on terminals.
fn lines(content: &[u8]) -> Vec<String> {
    let shown = |c: char| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c };
    let lines = content.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end).filter(|line| !line.is_empty());
    let lines: Vec<&[u8]> = lines.collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    last.iter().map(|line| String::from_utf8_lossy(line).chars().map(shown).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::time::Duration;

    fn log(content: &str) -> File {
        let path = std::env::temp_dir().join(format!("proxyprocess-last-lines-{:?}", crate::sys::random::chance()));
        let mut file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file.write_all(content.as_bytes()).unwrap();
        file
    }

    #[test]
    fn lines_are_those_of_one_process_alone() {
        let none = LogPositions::default();
        let log = log("old\nfirst\nlast\nnew\n");
        assert_eq!(last_lines(&log, LogPart::From(4), Some(15), &none).unwrap(), ["first", "last"]);
        assert_eq!(last_lines(&log, LogPart::From(15), None, &none).unwrap(), ["new"]);
        assert_eq!(last_lines(&log, LogPart::From(19), None, &none).unwrap(), [""; 0]);
        // It was cut off meanwhile.
        assert_eq!(last_lines(&log, LogPart::From(500), None, &none).unwrap(), ["old", "first", "last", "new"]);
        assert_eq!(last_lines(&log, LogPart::From(15), Some(4), &none).unwrap(), [""; 0]);
    }

    #[test]
    fn a_log_that_was_written_before_the_process_has_no_lines_of_it() {
        let none = LogPositions::default();
        let log = log("old\n");
        let written = log.metadata().unwrap().modified().unwrap();
        assert_eq!(last_lines(&log, LogPart::Since(written + Duration::from_secs(1)), None, &none).unwrap(), [""; 0]);
        assert_eq!(last_lines(&log, LogPart::Since(written), None, &none).unwrap(), ["old"]);
    }

    #[test]
    fn of_many_or_long_lines_the_last_are_told() {
        let none = LogPositions::default();
        let many: String = (0..1000).map(|number| format!("{number}\n")).collect();
        let told = last_lines(&log(&many), LogPart::From(0), None, &none).unwrap();
        assert_eq!((told.len(), told[0].as_str(), told[9].as_str()), (10, "990", "999"));
        let told = last_lines(&log(&format!("{}end", "x".repeat(10_000))), LogPart::From(0), None, &none).unwrap();
        assert_eq!((told.len(), told[0].len()), (1, 4096));
    }

    #[test]
    fn lines_are_found_after_the_front_of_the_log_was_removed() {
        let positions = LogPositions::default();
        let cut = log("last\nnew\n");
        // Of "old\nfirst\nlast\nnew\n" the first ten bytes are gone.
        *positions.removed(crate::sys::file::id_of(&cut).unwrap()).lock().unwrap() = 10;
        let read = |from, until| last_lines(&cut, LogPart::From(from), until, &positions).unwrap();
        assert_eq!(read(15, None), ["new"]);
        assert_eq!(read(4, Some(15)), ["last"]);
        assert_eq!(read(19, None), [""; 0]);
        assert_eq!(positions.end_of(std::os::fd::AsFd::as_fd(&cut)), Some(19));
        // Its front takes no space.
        let freed = log("\0\0\0\0\0last\n");
        assert_eq!(last_lines(&freed, LogPart::From(2), None, &positions).unwrap(), ["last"]);
    }

    #[test]
    fn a_line_is_text_that_a_terminal_can_show() {
        assert_eq!(lines(b"\n\n \r\na\x1b[2Jb\tc\r\n\xff\n"), ["a\u{fffd}[2Jb\tc", "\u{fffd}"]);
    }
}
