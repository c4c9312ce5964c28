// SPDX-License-Identifier: MPL-2.0
//! The socket to which the processes of a proxy send their messages (sd_notify(3)): a datagram socket with an abstract
//! name (unix(7)), which tells for each message the process that sent it.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::pid::Pid;
use super::{check, fail, fd, pidfd, random};

/// `SO_PASSPIDFD` and `SCM_PIDFD` of asm-generic/socket.h and linux/socket.h: each message comes with a pidfd of its sender
/// (Linux 6.5).
const SO_PASSPIDFD: libc::c_int = 76;
const SCM_PIDFD: libc::c_int = 4;

/// How many bytes of a message are read; as many as systemd reads.
const LONGEST: usize = 4096;

/// Enough for the credentials, the pidfd and as many descriptors as one message can have (SCM_MAX_FD, 253). With less, those
/// could take the place of the pidfd.
const CONTROL_WORDS: usize = 256;

/// What the name of a socket is made of: random, because an abstract name has no owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SocketName(u128);

impl SocketName {
    pub(crate) fn random() -> io::Result<SocketName> {
        random::number().map(SocketName)
    }

    /// Reads [`SocketName::digits`].
    pub(crate) fn parse(digits: &str) -> Option<SocketName> {
        let good = digits.len() == 32 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        u128::from_str_radix(digits, 16).ok().filter(|_| good).map(SocketName)
    }

    /// 32 hexadecimal digits.
    pub(crate) fn digits(self) -> String {
        format!("{:032x}", self.0)
    }
}

impl fmt::Display for SocketName {
    /// As in `NOTIFY_SOCKET`: the `@` stands for the NUL with which an abstract name begins.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@proxyprocess/{:032x}", self.0)
    }
}

/// The socket.
#[derive(Debug)]
pub(crate) struct NotifySocket(OwnedFd);

/// One message.
#[derive(Debug)]
pub(crate) struct Datagram {
    pub(crate) text: Vec<u8>,
    /// It was longer than what is read of one.
    pub(crate) is_truncated: bool,
    /// `None` when the kernel did not say, which it always does.
    pub(crate) sender: Option<Sender>,
    /// What came with it.
    pub(crate) descriptors: Vec<OwnedFd>,
    /// More came than this process could have.
    pub(crate) lost_descriptors: bool,
}

/// The process that has sent a message, as the kernel says.
#[derive(Debug)]
pub(crate) struct Sender {
    /// `None` for a process of a pid namespace that is not seen from here, and on newer kernels for one that was reaped.
    pub(crate) pid: Option<Pid>,
    pub(crate) uid: u32,
    pub(crate) process: SenderProcess,
}

/// The process that has sent a message.
#[derive(Debug)]
pub(crate) enum SenderProcess {
    /// Its pidfd.
    Open(OwnedFd),
    /// It is gone, and the kernel gives no pidfd for it any more.
    Gone,
    /// The kernel gives no pidfds.
    Unknown,
}

impl Sender {
    /// Whether it has ended; `None` when that is not known.
    pub(crate) fn has_ended(&self) -> Option<bool> {
        match &self.process {
            SenderProcess::Open(process) => Some(pidfd::has_ended(process.as_fd())),
            SenderProcess::Gone => Some(true),
            SenderProcess::Unknown => None,
        }
    }
}

impl NotifySocket {
    /// Opens the socket of this name; reading it does not wait.
    ///
    /// # Errors
    /// EADDRINUSE: another process has the name. EMFILE, ENFILE, ENOMEM.
    pub(crate) fn bind(name: SocketName) -> io::Result<NotifySocket> {
        fail::failing("notify:bind")?;
        let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: no pointers are passed.
        let socket = fd::own(check(i64::from(unsafe { libc::socket(libc::AF_UNIX, kind, 0) }))?)?;
        switch_on(&socket, libc::SO_PASSCRED)?;
        if pidfd::is_supported() {
            // Before Linux 6.5 a sender is known by its pid alone.
            let _ = switch_on(&socket, SO_PASSPIDFD);
        }
        // SAFETY: all zero is a valid value of this struct of numbers.
        let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
        address.sun_family = libc::AF_UNIX as libc::sa_family_t;
        let text = name.to_string();
        let (_, rest) = text.as_bytes().split_at(1);
        for (to, &from) in address.sun_path.iter_mut().skip(1).zip(rest) {
            *to = from as libc::c_char;
        }
        // An abstract name has no end but that of the address.
        let length = std::mem::offset_of!(libc::sockaddr_un, sun_path) + text.len();
        let pointer = (&raw const address).cast();
        // SAFETY: `address` is live memory of at least `length` bytes, for the name has 46.
        check(i64::from(unsafe { libc::bind(socket.as_raw_fd(), pointer, length as libc::socklen_t) }))?;
        Ok(NotifySocket(socket))
    }

    /// Takes the next message if there is one.
    ///
    /// # Errors
    /// Those of recvmsg(2).
    pub(crate) fn receive(&self) -> io::Result<Option<Datagram>> {
        let (mut text, mut control) = ([0u8; LONGEST], [0u64; CONTROL_WORDS]);
        let mut part = libc::iovec { iov_base: text.as_mut_ptr().cast(), iov_len: text.len() };
        // SAFETY: all zero is a valid value of this struct of numbers and pointers.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&control) as _;
        let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
        // SAFETY: `header` names `text` and `control`, which live through the call, with their lengths.
        let length = match check(unsafe { libc::recvmsg(self.0.as_raw_fd(), &raw mut header, flags) } as i64) {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Ok(None);
            }
            length => length? as usize,
        };
        let mut control = Control::of(&header);
        let descriptors = std::mem::take(&mut control.descriptors);
        let (sender, lost_descriptors) = (control.sender(), header.msg_flags & libc::MSG_CTRUNC != 0);
        let text = text.get(..length).unwrap_or_default().to_vec();
        let is_truncated = header.msg_flags & libc::MSG_TRUNC != 0;
        Ok(Some(Datagram { text, is_truncated, sender, descriptors, lost_descriptors }))
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn switch_on(socket: &OwnedFd, option: libc::c_int) -> io::Result<()> {
    let one: libc::c_int = 1;
    let (pointer, length) = ((&raw const one).cast(), size_of_val(&one) as libc::socklen_t);
    // SAFETY: the pointer is to a live integer of this length.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, pointer, length) };
    check(i64::from(result)).map(drop)
}

/// What came beside the bytes of a message. All descriptors are owned here, whatever comes of them.
#[derive(Debug, Default)]
struct Control {
    credentials: Option<(i32, u32)>,
    /// The pidfd, or the errno that is in its place.
    pidfd: Option<Result<OwnedFd, i32>>,
    descriptors: Vec<OwnedFd>,
}

impl Control {
    fn of(header: &libc::msghdr) -> Control {
        let mut found = Control::default();
        // SAFETY: the kernel has filled the control buffer of `header` and set its length.
        let mut at = unsafe { libc::CMSG_FIRSTHDR(header) };
        while !at.is_null() {
            // SAFETY: the two functions return a complete header within the buffer, which is aligned, or null.
            let part = unsafe { at.read() };
            // SAFETY: as above.
            let data = unsafe { libc::CMSG_DATA(at) };
            // SAFETY: no pointers are passed.
            let empty = unsafe { libc::CMSG_LEN(0) } as usize;
            let whole: usize = part.cmsg_len as _;
            let length = whole.saturating_sub(empty);
            // SAFETY: the kernel writes as many bytes as it says, none beyond the end of the buffer.
            let bytes = unsafe { std::slice::from_raw_parts(data, length) };
            if part.cmsg_level == libc::SOL_SOCKET {
                found.take(part.cmsg_type, bytes);
            }
            // SAFETY: as for the first one; `at` is of the same buffer.
            at = unsafe { libc::CMSG_NXTHDR(header, at) };
        }
        found
    }

    fn take(&mut self, kind: libc::c_int, bytes: &[u8]) {
        let mut numbers = bytes.chunks_exact(4).filter_map(|number| number.try_into().ok()).map(i32::from_ne_bytes);
        match kind {
            libc::SCM_RIGHTS => {
                // SAFETY: the kernel has just created these descriptors for this call; nothing else has them.
                let own = |raw| unsafe { OwnedFd::from_raw_fd(raw) };
                let owned = numbers.filter(|raw| *raw >= 0).map(own);
                self.descriptors.extend(owned.filter_map(|owned| fd::above_standard(owned).ok()));
            }
            // struct ucred: pid, uid, gid.
            libc::SCM_CREDENTIALS => {
                self.credentials = numbers.next().zip(numbers.next()).map(|(pid, uid)| (pid, uid as u32));
            }
            SCM_PIDFD => {
                self.pidfd = numbers.next().map(|raw| match raw {
                    // SAFETY: as above.
                    0.. => Ok(unsafe { OwnedFd::from_raw_fd(raw) }),
                    errno => Err(-errno),
                });
            }
            _ => {}
        }
    }

    fn sender(self) -> Option<Sender> {
        let (pid, uid) = self.credentials?;
        let process = match self.pidfd {
            Some(Ok(process)) => SenderProcess::Open(process),
            // A sandbox or a limit may be the reason for other errors.
            Some(Err(libc::ESRCH | libc::EINVAL)) => SenderProcess::Gone,
            Some(Err(_)) | None => SenderProcess::Unknown,
        };
        Some(Sender { pid: Pid::from_raw(pid), uid, process })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::pid::{effective_uid, own_pid};
    use crate::sys::until_closed::until_closed;
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    use std::fs::File;
    use std::io::{IoSlice, Read};
    use std::mem::MaybeUninit;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    fn bound() -> (NotifySocket, SocketAddr) {
        let name = SocketName::random().unwrap();
        let address = SocketAddr::from_abstract_name(&name.to_string().as_bytes()[1..]).unwrap();
        (NotifySocket::bind(name).unwrap(), address)
    }

    #[test]
    fn name_is_read_as_it_was_written_and_no_other_text_is_one() {
        let name = SocketName::random().unwrap();
        assert_eq!(SocketName::parse(&name.digits()), Some(name));
        assert_eq!(name.to_string(), format!("@proxyprocess/{}", name.digits()));
        assert_ne!(name, SocketName::random().unwrap());
        for wrong in ["", "0", "+0000000000000000000000000000000", "A0000000000000000000000000000000", &"0".repeat(33)]
        {
            assert_eq!(SocketName::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn message_comes_with_its_sender_and_name_is_taken_once() {
        let name = SocketName::random().unwrap();
        let socket = NotifySocket::bind(name).unwrap();
        assert_eq!(NotifySocket::bind(name).unwrap_err().raw_os_error(), Some(libc::EADDRINUSE));
        assert!(socket.receive().unwrap().is_none());
        let address = SocketAddr::from_abstract_name(&name.to_string().as_bytes()[1..]).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.send_to_addr(b"READY=1", &address).unwrap();
        sender.send_to_addr(&[b'x'; LONGEST + 1], &address).unwrap();
        let first = socket.receive().unwrap().unwrap();
        assert_eq!((first.text.as_slice(), first.is_truncated), (b"READY=1".as_slice(), false));
        let who = first.sender.unwrap();
        assert_eq!((who.pid, who.uid), (Some(own_pid()), effective_uid()));
        assert!(matches!(who.has_ended(), Some(false) | None));
        let second = socket.receive().unwrap().unwrap();
        assert_eq!((second.text.len(), second.is_truncated), (LONGEST, true));
        drop(socket);
        let again = until_closed(|| NotifySocket::bind(name).ok());
        drop(again);
        let refused = |error: std::io::Error| error.raw_os_error() == Some(libc::ECONNREFUSED);
        until_closed(|| sender.send_to_addr(b"", &address).is_err_and(refused).then_some(()));
    }

    /// As many as a message can have: the pipe is at its end once none is open any more.
    #[test]
    fn descriptors_of_a_message_come_with_it_and_do_not_displace_its_sender() {
        let (socket, address) = bound();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.connect_addr(&address).unwrap();
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        let all = vec![writer.as_fd(); 253];
        assert!(rights.push(SendAncillaryMessage::ScmRights(&all)));
        sendmsg(&sender, &[IoSlice::new(b"BARRIER=1")], &mut rights, SendFlags::empty()).unwrap();
        drop(all);
        drop(writer);
        let datagram = socket.receive().unwrap().unwrap();
        let who = datagram.sender.unwrap();
        assert_eq!((who.pid, datagram.text.as_slice()), (Some(own_pid()), b"BARRIER=1".as_slice()));
        assert!(matches!(who.has_ended(), Some(false) | None));
        assert_eq!((datagram.descriptors.len(), datagram.lost_descriptors), (253, false));
        drop(datagram.descriptors);
        assert_eq!(File::from(reader).read(&mut [0]).unwrap(), 0, "no copy is open");
    }
}
