// SPDX-License-Identifier: MPL-2.0
//! The logs of a proxy in the data directory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The longest name without an ending that an id stands for itself in; `docs/files.md` of the library has the rules.
const LONGEST_PLAIN: usize = 200;

/// How much of the end of a log is read for its last lines.
const TAIL: u64 = 8 << 10;

/// One of the two outputs of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// Where the log of a proxy is.
pub(crate) fn path(data_dir: &Path, id: &str, stream: Stream) -> PathBuf {
    let mut path = data_dir.join("logs");
    let ending = format!("-{}.log", stream.as_str());
    let is_plain = id.len() <= LONGEST_PLAIN
        && !id.starts_with(['.', '%'])
        && !id.contains(|character: char| character == '/' || character.is_control());
    if is_plain {
        path.push(format!("{id}{ending}"));
        return path;
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    let mut encoded: String = id.bytes().map(encode).collect();
    while encoded.len() > LONGEST_PLAIN - 1 {
        let rest = encoded.split_off(LONGEST_PLAIN - 1);
        path.push(format!("%{encoded}+"));
        encoded = rest;
    }
    path.push(format!("%{encoded}{ending}"));
    path
}

/// The last lines of a log, as far as they are among its last bytes; none when it is empty or not there.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn last_lines(path: &Path, count: usize) -> io::Result<Vec<String>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail)?;
    let text = String::from_utf8_lossy(&tail);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(count)..].iter().map(|line| (*line).to_owned()).collect())
}
