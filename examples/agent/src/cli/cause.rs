// SPDX-License-Identifier: MPL-2.0
//! Which of the lines that a process wrote says why it has ended. Found out with what some sixty programs say when their port is
//! taken, or an option, a file or their configuration is wrong.

/// What the first line that tells the cause has of it, in lower case.
const CAUSES: [&str; 26] = [
    "already in use",
    "addrinuse",
    "no such",
    "not found",
    "cannot find",
    "can't find",
    "can't locate",
    "denied",
    "not permitted",
    "refused",
    "unknown",
    "unrecognized",
    "unrecognised",
    "unexpected",
    "invalid",
    "illegal",
    "bad option",
    "bad command",
    "not defined",
    "undefined",
    "not set",
    "syntax error",
    "no module",
    "missing",
    "no space left",
    "out of memory",
];

/// What a line has that says that something is wrong, of which programs say more in lines before it: that they end.
const FAILURES: [&str; 16] = [
    "error",
    "fatal",
    "fail",
    "emerg",
    "alert",
    "crit",
    "panic",
    "exception",
    "cannot",
    "can't",
    "could not",
    "unable",
    "abort",
    "assert",
    "terminated",
    "killed",
];

/// The place of the line that says most: the first that names a cause, or else the first that says that something is wrong.
pub(super) fn cause(lines: &[String]) -> Option<usize> {
    let first = |words: &[&str]| lines.iter().position(|line| may_tell(line) && has_any(line, words));
    first(&CAUSES).or_else(|| first(&FAILURES))
}

/// The same among what was written before, as by a program that says how it is used, or how it came there, after it has said what
/// is wrong: the last of either.
pub(super) fn last_cause(lines: &[String]) -> Option<usize> {
    lines.iter().rposition(|line| may_tell(line) && (has_any(line, &CAUSES) || has_any(line, &FAILURES)))
}

/// What is indented belongs to another line, as the frames of a trace and the options in a help; and what ends with a colon
/// introduces what follows.
fn may_tell(line: &str) -> bool {
    !line.starts_with(char::is_whitespace) && !line.trim_end().ends_with(':')
}

fn has_any(line: &str, words: &[&str]) -> bool {
    let line = line.to_lowercase();
    words.iter().any(|word| line.contains(word))
}
