// SPDX-License-Identifier: MPL-2.0
//! The one error type of the library: a stable code, a one-line message, and the OS error when there is one.

use std::fmt::{self, Write};
use std::io;

/// The kind of failure that an [`Error`] reports. The numbers are stable: codes are only ever added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum ErrorCode {
    /// A field of a configuration, document or argument is invalid; the message names it.
    InvalidConfig = -1,
    /// The id of a proxy is empty, too long, or contains a NUL byte.
    InvalidId = -2,
    /// A system call on a file or directory failed.
    Io = -3,
    /// The data directory is in use by a manager that is alive; the message names its process.
    Locked = -4,
    /// A file or directory has an owner, mode or type that is not trusted.
    Untrusted = -5,
    /// A snapshot or record cannot be read, or has an unknown version.
    CorruptSnapshot = -6,
    /// The proxy was stopped for good and cannot be started again.
    Stopped = -7,
    /// The manager or daemon was closed.
    Closed = -8,
    /// Processes survived a stop; the message names them.
    StillRunning = -9,
    /// The system has no more of a resource that the library needs (threads, descriptors, memory).
    Exhausted = -10,
    /// Proxies may not run as root (`allow_root` is false).
    RootRefused = -11,
    /// The execution mode is not registered.
    UnknownMode = -12,
    /// A process could not be started; the message names the step that failed.
    StartFailed = -13,
    /// A process could not be adopted; the message says why.
    AdoptionRefused = -14,
    /// The handle was created before a fork; its threads are in the other process.
    Forked = -15,
    /// A fault of this library or of a registered kind's code (a panic that was caught).
    Internal = -16,
    /// All processes that are proven to belong to the proxy are gone, but processes are alive that may belong to it;
    /// the message names them.
    Unproven = -17,
    /// The manager has no proxy with this id: it is not declared, or its declaration was not applied yet.
    NotFound = -18,
    /// The proxy has no process now, or one that cannot do what was requested yet.
    NotRunning = -19,
    /// The wait reached its timeout.
    Timeout = -20,
    /// A command that was run for a proxy failed; the message says how it ended.
    CommandFailed = -21,
    /// The proxy is paused, by its declaration or by a call.
    Paused = -22,
    /// The call would wait for itself: it was made from a logger that the library had called.
    InCallback = -105,
}

/// An error of this library.
///
/// It is cheap to clone, so that a failure can be returned and still be visible in a status.
///
/// ```
/// use proxyprocess::{ErrorCode, State};
///
/// let error = State::new().replace_all_json(r#"{"web": {"command": 7}}"#).unwrap_err();
/// assert_eq!(error.code(), ErrorCode::InvalidConfig);
/// assert!(error.to_string().starts_with("proxies.web.command: expected"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    code: ErrorCode,
    message: Box<str>,
    errno: Option<i32>,
}

/// The result of this library's fallible functions.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error for code outside the library that implements [`Proxy`](crate::Proxy).
    #[cold]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Error {
        Error { code, message: one_line(message.into()), errno: None }
    }

    /// "operation object: errno", with the errno kept.
    #[cold]
    pub(crate) fn os(code: ErrorCode, what: impl fmt::Display, source: &io::Error) -> Error {
        Error { code, message: one_line(format!("{what}: {source}")), errno: source.raw_os_error() }
    }

    /// A complete message, with the errno kept.
    #[cold]
    pub(crate) fn os_text(code: ErrorCode, message: String, errno: Option<i32>) -> Error {
        Error { code, message: one_line(message), errno }
    }

    /// The same error with a prefix that says where it happened.
    #[cold]
    pub(crate) fn within(self, place: impl fmt::Display) -> Error {
        Error { message: one_line(format!("{place}: {}", self.message)), ..self }
    }

    /// The same error with what was done about it.
    #[cold]
    pub(crate) fn followed_by(self, consequence: impl fmt::Display) -> Error {
        Error { message: one_line(format!("{}; {consequence}", self.message)), ..self }
    }

    /// The same error with `place.` in front: the field that it names is inside `place`.
    #[cold]
    pub(crate) fn joined(self, place: &str) -> Error {
        Error { message: one_line(format!("{place}.{}", self.message)), ..self }
    }

    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The operating system's error number, when a system call failed.
    pub fn errno(&self) -> Option<i32> {
        self.errno
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// The most characters of a foreign text that a message contains.
const EXCERPT: usize = 200;

/// The most bytes of a message that an error keeps: enough for the names of hundreds of proxies, but not for a declared
/// program of a megabyte in each status.
const LONGEST_MESSAGE: usize = 1 << 16;

/// A foreign text for a message: on one line and of bounded length, because it may be a megabyte.
pub(crate) fn excerpt(text: &str) -> impl fmt::Display + '_ {
    Excerpt(text)
}

struct Excerpt<'a>(&'a str);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.chars();
        for character in characters.by_ref().take(EXCERPT) {
            match character {
                breaking if breaking.is_control() => write!(f, "{}", breaking.escape_default())?,
                plain => f.write_char(plain)?,
            }
        }
        if characters.next().is_some() { f.write_str(CUT) } else { Ok(()) }
    }
}

/// A text with spaces for line breaks and with its other control characters escaped. A path, a program and an error of
/// the host may contain some; a log line, an event and an error must stay one line and must not control a terminal.
pub(crate) struct OneLine<'a>(pub(crate) &'a dyn fmt::Display);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Joining(f).write_fmt(format_args!("{}", self.0))
    }
}

struct Joining<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Joining<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(char::is_control) {
            let plain = part.trim_end_matches(char::is_control);
            self.0.write_str(plain)?;
            match part[plain.len()..].chars().next() {
                None => {}
                Some('\n' | '\r') => self.0.write_char(' ')?,
                Some(control) => write!(self.0, "{}", control.escape_default())?,
            }
        }
        Ok(())
    }
}

fn one_line(mut message: String) -> Box<str> {
    if message.contains(char::is_control) {
        message = OneLine(&message).to_string();
    }
    if message.len() > LONGEST_MESSAGE {
        cut(&mut message, LONGEST_MESSAGE);
    }
    message.into_boxed_str()
}

/// The end of a text that was cut.
pub(crate) const CUT: &str = "...";

/// Cuts a text to at most this many bytes, at a character boundary, and marks it as cut.
pub(crate) fn cut(text: &mut String, kept: usize) {
    let end = (0..=kept).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.truncate(end);
    text.push_str(CUT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_of_an_error_is_one_line_of_bounded_length() {
        let error = Error::new(ErrorCode::Io, "execute /no/such\nERROR forged").within("a\nb").followed_by("c\rd");
        assert_eq!(error.to_string(), "a b: execute /no/such ERROR forged; c d");
        let source = io::Error::from_raw_os_error(libc::ENOENT);
        assert!(Error::os(ErrorCode::Io, "open x\ny", &source).to_string().starts_with("open x y: No such file"));
        assert_eq!(OneLine(&"a\r\nb\n").to_string(), "a  b ");
        let error = Error::new(ErrorCode::Io, "open \u{1b}[2J\0\u{85}ä\t\n/x").within("\u{7f}");
        assert_eq!(error.to_string(), "\\u{7f}: open \\u{1b}[2J\\u{0}\\u{85}ä\\t /x");
        let long = Error::new(ErrorCode::Io, "ä".repeat(1 << 20)).to_string();
        assert_eq!(long, "ä".repeat(LONGEST_MESSAGE / 2) + "...");
    }

    #[test]
    fn foreign_text_stays_on_its_line_and_is_cut() {
        assert_eq!(excerpt("a\"ä\nb").to_string(), "a\"ä\\nb");
        assert_eq!(excerpt(&"x".repeat(1 << 20)).to_string(), "x".repeat(EXCERPT) + "...");
        assert_eq!(excerpt(&"x".repeat(EXCERPT)).to_string(), "x".repeat(EXCERPT));
    }
}
