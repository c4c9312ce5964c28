// SPDX-License-Identifier: MPL-2.0
//! Where the front of a log is cut off: at the end of a block, with as little as possible of a partial line after it.

use std::ops::{Range, RangeInclusive};

/// How far from the first place that would do a better one is looked for, and how long a line may be that is known as one.
pub(super) const SEARCHED: u64 = 64 * 1024;

/// How much of a log that is too large stays, of four parts, unless all of it is kept elsewhere.
const STAYS: u64 = 3;

/// A place in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CutPlace {
    /// How much is before it.
    pub(super) at: u64,
    /// The line that begins before it and ends behind it, without its newline; empty when there is none, or its end is not to
    /// be seen.
    pub(super) line: Range<u64>,
}

impl CutPlace {
    /// Where the lines before it end.
    pub(super) fn lines_end(&self) -> u64 {
        if self.line.is_empty() { self.at } else { self.line.end + 1 }
    }
}

/// The places at which a log of this size can be cut, which are whole blocks apart; `None` when there are none. `begins`:
/// nothing is before that any more. `keeps`: what is cut off is kept elsewhere.
pub(super) fn possible(size: u64, begins: u64, block: u64, max_bytes: u64, keeps: bool) -> Option<RangeInclusive<u64>> {
    // Not all of it can be removed.
    let last = size.checked_sub(1)? / block * block;
    // Not much more than has to go, or not much less than can.
    let searched = SEARCHED.min(max_bytes / 4);
    let first = match keeps {
        true => last.saturating_sub(searched) / block * block,
        false => size.saturating_sub(max_bytes / 4 * STAYS).next_multiple_of(block).min(last),
    };
    let first = first.max(begins / block * block + block);
    let last = if keeps { last } else { last.min(first + searched) };
    (first <= last).then_some(first..=last)
}

/// What of a log has to be read to choose one of them.
pub(super) fn window(possible: &RangeInclusive<u64>, begins: u64, size: u64) -> Range<u64> {
    let (first, last) = (*possible.start(), *possible.end());
    first.saturating_sub(SEARCHED).max(begins)..(last + SEARCHED).min(size)
}

/// Chooses one. `content`: what is in the window that begins at `from`.
pub(super) fn choose(content: &[u8], from: u64, possible: &RangeInclusive<u64>, block: u64) -> CutPlace {
    let index = |at: u64| usize::try_from(at - from).unwrap_or(usize::MAX).min(content.len());
    let rated = (*possible.start()..=*possible.end()).step_by(usize::try_from(block).unwrap_or(usize::MAX)).map(|at| {
        let newline = content[index(at - 1)..].iter().position(|byte| *byte == b'\n');
        (newline.unwrap_or(usize::MAX), at)
    });
    // UNWRAP: there is one at least; of equal ones it is the first, with the most behind it.
    let (rest, at) = rated.min().unwrap_or((0, *possible.start()));
    if rest == 0 || rest == usize::MAX {
        return CutPlace { at, line: at..at };
    }
    let begins = content[..index(at)].iter().rposition(|byte| *byte == b'\n').map_or(from, |it| from + it as u64 + 1);
    CutPlace { at, line: begins..at - 1 + rest as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: u64 = 4096;

    fn chosen(content: &str, begins: u64, max_bytes: u64, keeps: bool) -> Option<CutPlace> {
        let size = content.len() as u64;
        let possible = possible(size, begins, BLOCK, max_bytes, keeps)?;
        let window = window(&possible, begins, size);
        let shown = &content.as_bytes()[window.start as usize..window.end as usize];
        Some(choose(shown, window.start, &possible, BLOCK))
    }

    #[test]
    fn cut_goes_through_no_line_where_one_ends_at_a_block() {
        // Lines of 100 bytes end at a block at every 25th block.
        let lines = format!("{}\n", "x".repeat(99)).repeat(4000);
        let cut = chosen(&lines, 0, 320_000, false).unwrap();
        assert_eq!(cut, CutPlace { at: 204_800, line: 204_800..204_800 });
        assert_eq!(cut.lines_end(), 204_800);
    }

    #[test]
    fn line_that_a_cut_goes_through_has_the_shortest_possible_rest() {
        let lines = format!("{}\n", "x".repeat(98)).repeat(1000);
        let cut = chosen(&lines, 0, 65_536, false).unwrap();
        assert!(cut.line.start % 99 == 0 && cut.line.end == cut.line.start + 98, "{cut:?}");
        assert!(cut.line.contains(&cut.at) && cut.line.end - cut.at < 20, "{cut:?}");
        assert!(lines.len() as u64 - cut.at <= 65_536 / 4 * 3 && cut.lines_end() % 99 == 0);
    }

    #[test]
    fn of_a_log_that_is_kept_elsewhere_little_stays() {
        let lines = format!("{}\n", "x".repeat(98)).repeat(3000);
        let cut = chosen(&lines, 0, 65_536, true).unwrap();
        assert!(lines.len() as u64 - cut.at <= SEARCHED + BLOCK, "{cut:?}");
    }

    #[test]
    fn log_without_newlines_is_cut_at_the_first_place() {
        let cut = chosen(&"x".repeat(1_000_000), 0, 65_536, false).unwrap();
        assert_eq!(cut, CutPlace { at: 954_368, line: 954_368..954_368 });
    }

    #[test]
    fn log_that_has_nothing_to_be_removed_is_not_cut() {
        assert_eq!(possible(0, 0, BLOCK, 65_536, false), None);
        assert_eq!(possible(4096, 0, BLOCK, 65_536, true), None);
        assert_eq!(possible(100_000, 98_304, BLOCK, 65_536, false), None);
        assert_eq!(possible(65_537, 0, 65_536, 65_536, false), Some(65_536..=65_536));
    }

    #[test]
    fn cut_stays_behind_what_was_freed_before() {
        let lines = format!("{}\n", "x".repeat(98)).repeat(3000);
        let cut = chosen(&lines, 250_000, 65_536, false).unwrap();
        assert!(cut.at > 250_000 && cut.line.start >= 250_000, "{cut:?}");
    }
}
