// SPDX-License-Identifier: MPL-2.0
//! Telling the test: the socket, the lock, and who we are.

use std::fmt::Write;
use std::fs::File;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{getpid, pidfd_open};
use rustix::time::{ClockId, clock_gettime};

use crate::message::{Event, Inspection, LOCKS, Message, OVERLAPS, SOCKET};
use crate::sandbox::OPEN;

/// The process at its first instruction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Birth {
    at_ns: u64,
    ppid: u32,
}

impl Birth {
    pub(crate) fn now() -> Birth {
        Birth { at_ns: monotonic_ns(), ppid: std::os::unix::process::parent_id() }
    }
}

/// The way to the test. It holds the lock of the id for as long as the process lives.
#[derive(Debug)]
pub(crate) struct Reporter {
    socket: Option<UnixDatagram>,
    lock: Option<File>,
    role: String,
    id: String,
    birth: Birth,
}

impl Reporter {
    /// Connects to the socket that the environment names; without one there is nothing to report to.
    ///
    /// A test that is gone is no error but the end of this process.
    pub(crate) fn connect(role: &str, birth: Birth) -> Reporter {
        let id = std::env::var("CONNECT_PROXY_ID").unwrap_or_default();
        let socket = std::env::var(SOCKET).ok().map(|name| {
            let connected = UnixDatagram::unbound().and_then(|socket| {
                socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?;
                Ok(socket)
            });
            connected.unwrap_or_else(|_| std::process::exit(0))
        });
        Reporter { socket, lock: None, role: role.to_owned(), id, birth }
    }

    /// Says that the role is taken, with a pidfd of this process: a pid alone may name another one later.
    pub(crate) fn started(&mut self, inspection: Option<Inspection>) {
        let duplicate = !self.lock();
        let event = Event::Started { duplicate, inspection: inspection.map(Box::new) };
        self.send(event, self.birth.at_ns, true);
    }

    /// Says that a signal has come.
    pub(crate) fn signal(&self, name: &str) {
        self.send(Event::Signal(name.to_owned()), monotonic_ns(), false);
    }

    /// Takes the lock of this id and kind of process. It is released by the end of the process, before anybody can
    /// see that end, so who finds it taken runs beside a living one.
    fn lock(&mut self) -> bool {
        let Some(dir) = std::env::var_os(LOCKS) else { return true };
        let kind = if self.role == "grandchild" { "grandchild" } else { "leader" };
        let places: &[&str] = if std::env::var_os(OVERLAPS).is_some() { &["", ".2"] } else { &[""] };
        places.iter().any(|place| {
            let path = Path::new(&dir).join(format!("{}.{kind}{place}", file_name(&self.id)));
            // Where it cannot be made, as another user, there is nothing to detect.
            let Ok(file) = File::options().create(true).append(true).open(path) else { return true };
            let locked = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
            self.lock = Some(file);
            locked
        })
    }

    fn send(&self, event: Event, at_ns: u64, with_pidfd: bool) {
        let Some(socket) = &self.socket else { return };
        let pid = std::process::id();
        let (role, id) = (self.role.clone(), self.id.clone());
        let message = Message { role, id, pid, ppid: self.birth.ppid, at_ns, event };
        let text = serde_json::to_vec(&message).expect("a message is plain data");
        let pidfd = with_pidfd.then(|| pidfd_open(getpid(), OPEN).expect("open own pidfd"));
        let fds = pidfd.as_ref().map(|fd| [fd.as_fd()]);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if let Some(fds) = &fds {
            control.push(SendAncillaryMessage::ScmRights(fds));
        }
        if sendmsg(socket, &[IoSlice::new(&text)], &mut control, SendFlags::empty()).is_err() {
            std::process::exit(0); // the test is gone
        }
    }
}

fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// An id as a file name: hexadecimal where it is not alphanumeric.
fn file_name(id: &str) -> String {
    id.bytes().fold(String::new(), |mut name, byte| {
        if byte.is_ascii_alphanumeric() {
            name.push(byte.into());
        } else {
            let _ = write!(name, "-{byte:02x}");
        }
        name
    })
}
