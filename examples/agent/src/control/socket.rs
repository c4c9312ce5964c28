// SPDX-License-Identifier: MPL-2.0
//! The socket of an agent, in its data directory.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The name of the socket.
const NAME: &str = "agent.sock";

/// The name that it has until it can be connected to. Names like it are those of unfinished files of the data directory.
const TEMPORARY: &str = ".agent.sock.tmp";

/// A directory that is open, and the path of a file in it. A data directory may have a longer path than the 107 bytes of a
/// socket's (unix(7)), and the one by its descriptor is short.
fn within(directory: &File, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd()))
}

/// Makes the socket of the agent that has locked the data directory, in place of the one that an earlier agent left.
pub(super) fn listen(data_dir: &Path) -> io::Result<UnixListener> {
    let directory = File::open(data_dir)?;
    let (temporary, path) = (within(&directory, TEMPORARY), within(&directory, NAME));
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&temporary)?;
    // Only the agent's user can enter the directory, so no client connects before this.
    fs::set_permissions(&temporary, Permissions::from_mode(0o600))?;
    fs::rename(&temporary, &path)?;
    Ok(listener)
}

/// Connects to the agent of a data directory.
pub(super) fn connect(data_dir: &Path) -> io::Result<UnixStream> {
    let directory = File::open(data_dir)?;
    UnixStream::connect(within(&directory, NAME))
}
