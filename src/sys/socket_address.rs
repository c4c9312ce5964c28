// SPDX-License-Identifier: MPL-2.0
//! Addresses of sockets in the kernel's form: ip(7), ipv6(7), unix(7).

use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The longest path of a socket, in bytes: that of unix(7) without the NUL at its end.
pub(crate) const LONGEST_SOCKET_PATH: usize = 107;

/// An address as bind(2) and connect(2) take it.
pub(crate) struct RawAddress {
    storage: libc::sockaddr_storage,
    length: libc::socklen_t,
}

impl RawAddress {
    pub(crate) fn of_ip(address: SocketAddr) -> RawAddress {
        match address {
            SocketAddr::V4(v4) => {
                // SAFETY: all zero is a valid value of this struct of numbers.
                let mut raw: libc::sockaddr_in = unsafe { std::mem::zeroed() };
                raw.sin_family = libc::AF_INET as libc::sa_family_t;
                raw.sin_port = v4.port().to_be();
                raw.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
                RawAddress::of(raw)
            }
            SocketAddr::V6(v6) => {
                // SAFETY: as above.
                let mut raw: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
                raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                raw.sin6_port = v6.port().to_be();
                raw.sin6_addr.s6_addr = v6.ip().octets();
                raw.sin6_flowinfo = v6.flowinfo();
                raw.sin6_scope_id = v6.scope_id();
                RawAddress::of(raw)
            }
        }
    }

    /// That of a socket in the file system.
    ///
    /// # Errors
    /// ENAMETOOLONG: the path has more than [`LONGEST_SOCKET_PATH`] bytes.
    pub(crate) fn of_path(path: &Path) -> io::Result<RawAddress> {
        // SAFETY: all zero is a valid value of this struct of numbers.
        let mut raw: libc::sockaddr_un = unsafe { std::mem::zeroed() };
        raw.sun_family = libc::AF_UNIX as libc::sa_family_t;
        let bytes = path.as_os_str().as_bytes();
        if bytes.len() > LONGEST_SOCKET_PATH {
            return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
        }
        for (to, &from) in raw.sun_path.iter_mut().zip(bytes) {
            *to = from as libc::c_char;
        }
        Ok(RawAddress::of(raw))
    }

    fn of<T: Copy>(address: T) -> RawAddress {
        const { assert!(size_of::<T>() <= size_of::<libc::sockaddr_storage>()) };
        // SAFETY: all zero is a valid value of this struct of numbers.
        let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        // SAFETY: the storage is as large, as is checked above, and aligned for each address (RFC 3493, 3.10).
        unsafe { (&raw mut storage).cast::<T>().write(address) };
        RawAddress { storage, length: size_of::<T>() as libc::socklen_t }
    }

    /// AF_INET, AF_INET6 or AF_UNIX.
    pub(super) fn family(&self) -> libc::c_int {
        self.storage.ss_family.into()
    }

    /// The address and its length, for a system call that reads it while this value lives.
    pub(super) fn as_raw(&self) -> (*const libc::sockaddr, libc::socklen_t) {
        ((&raw const self.storage).cast(), self.length)
    }
}
