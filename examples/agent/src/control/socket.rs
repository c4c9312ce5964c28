// SPDX-License-Identifier: MPL-2.0
//! The socket of an agent, in its data directory.

use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr};

/// The name of the socket.
const NAME: &str = "agent.sock";

/// The name that it has until it can be connected to. Names like it are those of unfinished files of the data directory.
const TEMPORARY: &str = ".agent.sock.tmp";

/// A directory that is open, and the path of a file in it. A data directory may have a longer path than the 107 bytes of a
/// socket's (unix(7)), and the one by its descriptor is short.
fn within(directory: &File, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd()))
}

/// The socket of the agent that has locked the data directory.
pub(super) struct Socket {
    /// It does not block.
    pub(super) listener: UnixListener,
    /// Device and inode of its file.
    file: (u64, u64),
    /// Is readable when the file or its directory may have gone; none where there is no inotify(7) left.
    pub(super) watch: Option<Inotify>,
}

impl Socket {
    /// Makes it, in place of the one that an earlier agent left.
    pub(super) fn make(data_dir: &Path) -> io::Result<Socket> {
        let directory = File::open(data_dir)?;
        let (temporary, path) = (within(&directory, TEMPORARY), within(&directory, NAME));
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&temporary)?;
        listener.set_nonblocking(true)?;
        // Only the agent's user can enter the directory, so no client connects before this.
        fs::set_permissions(&temporary, Permissions::from_mode(0o600))?;
        let file = identity(&fs::symlink_metadata(&temporary)?);
        fs::rename(&temporary, &path)?;
        // ORDER: whether it is there is asked after this, so that nothing comes in between.
        let watch = watch(&within(&directory, "."), &path).ok();
        Ok(Socket { listener, file, watch })
    }

    /// Whether it is in the directory, or it cannot be seen that it is not.
    pub(super) fn is_in(&self, data_dir: &Path) -> bool {
        match fs::symlink_metadata(data_dir.join(NAME)) {
            Ok(found) => identity(&found) == self.file,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }
}

/// Watches for the end of a file, and that of its directory, and for other paths of either. The file of a socket that is open
/// does not end when it is unlinked: its attributes change then.
fn watch(directory: &Path, file: &Path) -> nix::Result<Inotify> {
    let watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    let gone = AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF;
    watch.add_watch(directory, gone)?;
    watch.add_watch(file, gone | AddWatchFlags::IN_ATTRIB)?;
    Ok(watch)
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// The pid of the agent that has the data directory: its lock file names a process that has the file open. To try the lock
/// instead could keep an agent from it that is just starting. What is open in an agent with capabilities is not shown to a client
/// without them, and then it is asked who has locked the file.
pub(super) fn holder(data_dir: &Path) -> Option<u32> {
    let lock = data_dir.join("lock");
    let pid: u32 = fs::read_to_string(&lock).ok()?.trim().parse().ok()?;
    let locked = identity(&fs::metadata(&lock).ok()?);
    let mut open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let has_open = open.any(|file| fs::metadata(file.path()).is_ok_and(|file| identity(&file) == locked));
    (has_open || has_locked(pid, locked.1)).then_some(pid)
}

/// Whether a process has locked a file of this inode, by a line such as `1: FLOCK  ADVISORY  WRITE 4711 fe:00:42 0 EOF`
/// (proc_locks(5)). The device is not that of stat(2) on every file system.
fn has_locked(pid: u32, inode: u64) -> bool {
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    locks.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        matches!(words[..], [_, "FLOCK", _, "WRITE", holder, file, ..] if holder.parse() == Ok(pid)
            && file.rsplit(':').next().is_some_and(|number| number.parse() == Ok(inode)))
    })
}

/// Device and inode of the socket; the next agent makes its own beside it, which has another inode.
pub(super) fn file(data_dir: &Path) -> Option<(u64, u64)> {
    Some(identity(&fs::symlink_metadata(data_dir.join(NAME)).ok()?))
}

/// Whether a process has the socket, or it cannot be seen that none has. It is not waited for one that accepts no connection.
pub(super) fn is_listened_to(data_dir: &Path) -> bool {
    let connecting = || -> nix::Result<()> {
        let directory = File::open(data_dir).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let stream = nix::sys::socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        nix::sys::socket::connect(stream.as_raw_fd(), &UnixAddr::new(&within(&directory, NAME))?)
    };
    !matches!(connecting(), Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ECONNREFUSED))
}

/// Connects to the agent of a data directory.
pub(super) fn connect(data_dir: &Path) -> io::Result<UnixStream> {
    let directory = File::open(data_dir)?;
    UnixStream::connect(within(&directory, NAME))
}
