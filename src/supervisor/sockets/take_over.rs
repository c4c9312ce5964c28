// SPDX-License-Identifier: MPL-2.0
//! The sockets of a process that an earlier agent started, taken out of the process while it is alive (pidfd_getfd(2),
//! Linux 5.6).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use super::socket_file::SocketFile;
use super::{OpenSocket, ProxySockets, Sockets};
use crate::declaration::{FIRST_DESCRIPTOR, Listen};
use crate::error::{Error, ErrorCode};
use crate::store::RecordedSocket;
use crate::sys::closed_on_fork::ClosedOnFork;
use crate::sys::pid::Pid;
use crate::sys::proc::fdinfo;
use crate::sys::{fail, pidfd, socket};

impl ProxySockets {
    /// Takes the sockets out of a process that was adopted. What cannot be taken is returned with the reason: it is opened
    /// anew by the next start.
    pub(crate) fn take_over(&self, pid: Pid, pidfd: Option<BorrowedFd<'_>>, recorded: &[RecordedSocket]) -> Vec<Error> {
        let mut sockets = self.lock();
        let Sockets { open, untaken } = &mut *sockets;
        let take = |(number, recorded): (u32, &RecordedSocket)| {
            if open.iter().any(|open| open.declared.is_same_socket(&recorded.declared)) {
                return None;
            }
            let taken = pidfd.map_or_else(
                || Err(io::Error::from_raw_os_error(libc::ENOSYS)),
                |pidfd| take(pid, pidfd, number as RawFd, recorded.cookie),
            );
            match taken {
                Ok(socket) => {
                    let (declared, file) = (recorded.declared.clone(), SocketFile::of_recorded(recorded));
                    open.push(OpenSocket { declared, socket: Arc::new(ClosedOnFork::new(socket)), file });
                    fail::point("sockets:taken");
                    None
                }
                Err(error) => {
                    untaken.retain(|untaken| !untaken.declared.is_same_socket(&recorded.declared));
                    untaken.push(recorded.clone());
                    Some(not_taken(&recorded.declared, pid, &error))
                }
            }
        };
        (FIRST_DESCRIPTOR..).zip(recorded).filter_map(take).collect()
    }

    /// What the record of a process says of its sockets, in the order in which they are declared, also of those that could
    /// not be taken: a later agent may be able to. What the kernel cannot tell from others is left out.
    pub(crate) fn recorded(&self, declared: &[Listen]) -> Vec<RecordedSocket> {
        let sockets = self.lock();
        let recorded = |wanted: &Listen| {
            let Some(open) = sockets.open.iter().find(|open| open.declared.is_same_socket(wanted)) else {
                return sockets.untaken.iter().find(|untaken| untaken.declared.is_same_socket(wanted)).cloned();
            };
            let cookie = socket::cookie(open.socket.get()?.as_fd()).ok()?;
            Some(RecordedSocket { declared: wanted.clone(), cookie, file: open.file.as_ref().map(SocketFile::number) })
        };
        declared.iter().filter_map(recorded).collect()
    }
}

/// The error of a socket that the next start opens again.
pub(crate) fn not_taken(declared: &Listen, pid: Pid, error: &io::Error) -> Error {
    let what = format_args!("take {} over from pid {pid}", declared.address);
    let error = Error::os(ErrorCode::Io, what, error);
    error.followed_by("the next start opens it anew, and a crash refuses connections until then")
}

/// The socket with this cookie: under its number, or under another one if the program has moved it.
fn take(pid: Pid, pidfd: BorrowedFd<'_>, number: RawFd, cookie: u64) -> io::Result<OwnedFd> {
    if let Some(socket) = take_if(pidfd, number, cookie)? {
        return Ok(socket);
    }
    for number in fdinfo::sockets(pid.as_raw())? {
        if let Some(socket) = take_if(pidfd, number, cookie)? {
            return Ok(socket);
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "the process has closed it"))
}

fn take_if(pidfd: BorrowedFd<'_>, number: RawFd, cookie: u64) -> io::Result<Option<OwnedFd>> {
    let taken = match pidfd::take_descriptor(pidfd, number) {
        Err(error) if error.raw_os_error() == Some(libc::EBADF) => return Ok(None),
        taken => taken?,
    };
    // What is no socket has no cookie.
    Ok(socket::cookie(taken.as_fd()).is_ok_and(|its| its == cookie).then_some(taken))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declaration::ListenAddress;
    use crate::sys::pid::own_pid;
    use crate::sys::until_closed::until_closed;
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;

    #[test]
    fn socket_is_taken_from_any_number_by_its_cookie_alone() {
        pidfd::probe().unwrap();
        if !pidfd::is_supported() {
            return;
        }
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let cookies = listeners.each_ref().map(|listener| socket::cookie(listener.as_fd()).unwrap());
        assert_ne!(cookies[0], cookies[1]);
        let own = pidfd::open(own_pid()).unwrap();
        let other_number = listeners[0].as_raw_fd();
        for number in [other_number, 0, RawFd::MAX] {
            let taken = take(own_pid(), own.as_fd(), number, cookies[1]).unwrap();
            assert_eq!(socket::cookie(taken.as_fd()).unwrap(), cookies[1]);
        }
        drop(listeners);
        let error = take(own_pid(), own.as_fd(), other_number, cookies[1]).unwrap_err();
        assert_eq!(error.to_string(), "the process has closed it");
    }

    #[test]
    fn without_a_pidfd_each_socket_is_named_with_the_reason() {
        let declared = Listen::new("tcp:127.0.0.1:80".parse().unwrap());
        let recorded = [RecordedSocket { declared, cookie: 7, file: None }];
        let sockets = ProxySockets::default();
        let untaken: Vec<String> =
            sockets.take_over(own_pid(), None, &recorded).iter().map(ToString::to_string).collect();
        let pid = own_pid();
        let expected = format!(
            "take tcp:127.0.0.1:80 over from pid {pid}: Function not implemented (os error 38); the next start opens it \
             anew, and a crash refuses connections until then"
        );
        assert_eq!(untaken, [expected]);
        assert_eq!(sockets.recorded(&[recorded[0].declared.clone()]), recorded, "a later agent may take it");
    }
    #[test]
    fn socket_that_is_not_taken_stays_recorded_until_it_is_opened_anew_and_its_path_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let declared = [Listen::new(ListenAddress::Unix(path.clone()))];
        let left_by_an_earlier_agent = || {
            let earlier = ProxySockets::default();
            earlier.open(&declared).unwrap();
            let recorded = earlier.recorded(&declared);
            let next = ProxySockets::default();
            assert_eq!(next.take_over(own_pid(), None, &recorded).len(), 1);
            assert_eq!(next.recorded(&declared), recorded);
            (next, recorded)
        };
        let (sockets, _) = left_by_an_earlier_agent();
        sockets.close_all_but(&[]).unwrap();
        assert!(!path.exists());
        assert_eq!(sockets.recorded(&declared), []);
        let (sockets, old) = left_by_an_earlier_agent();
        until_closed(|| sockets.open(&declared).ok());
        let new = sockets.recorded(&declared);
        assert_eq!(new.len(), 1);
        assert_ne!(new, old);
        sockets.close_all_but(&[]).unwrap();
        assert!(!path.exists());
    }
}
