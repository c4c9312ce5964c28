// SPDX-License-Identifier: MPL-2.0
//! A stream to the journal of systemd, like that of sd_journal_stream_fd(3): each line that is written to it becomes an
//! entry.

use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Where the journal listens.
pub(crate) const JOURNAL: &str = "/run/systemd/journal/stdout";

/// The priority of a line that does not begin with one of its own (syslog(3), `LOG_INFO`).
const INFO: u8 = 6;

/// Opens a stream whose entries have this identifier.
///
/// # Errors
/// Those of connect(2): ENOENT and ECONNREFUSED where there is no journal. The connection is waited for, by a thread that may
/// block.
pub(crate) fn connect(path: &Path, identifier: &str) -> io::Result<OwnedFd> {
    let mut stream = UnixStream::connect(path)?;
    stream.shutdown(Shutdown::Read)?;
    stream.write_all(&header(identifier))?;
    Ok(stream.into())
}

/// Identifier, unit (the journal knows it by the sender), priority, whether lines may begin with a priority, and whether they are
/// passed on to syslog, the kernel log and the console; each ends with a newline, which the identifier must not have.
fn header(identifier: &str) -> Vec<u8> {
    let identifier = identifier.chars().map(|char| if char.is_control() { '_' } else { char });
    format!("{}\n\n{INFO}\n1\n0\n0\n0\n", identifier.collect::<String>()).into_bytes()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn lines_follow_the_header_and_an_identifier_cannot_change_it() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("stdout");
        assert_eq!(connect(&path, "web").unwrap_err().raw_os_error(), Some(libc::ENOENT));
        let listener = UnixListener::bind(&path).unwrap();
        let mut stream = File::from(connect(&path, "web\n\n0").unwrap());
        stream.write_all(b"<3>line\n").unwrap();
        let (mut journal, _) = listener.accept().unwrap();
        let expected = b"web__0\n\n6\n1\n0\n0\n0\n<3>line\n";
        let mut text = vec![0; expected.len()];
        journal.read_exact(&mut text).unwrap();
        assert_eq!(text, expected);
    }
}
