// SPDX-License-Identifier: MPL-2.0
//! The sockets of one proxy, which it is given at each start. They are of its id and not of a process: a connection
//! that is made while no process lives waits in the backlog.

mod socket_file;
pub(crate) mod take_over;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::declaration::{Listen, ListenAddress};
use crate::error::{Error, ErrorCode, Result};
use crate::sys::closed_on_fork::ClosedOnFork;
use crate::sys::socket::{self, BindOptions, SocketKind};
use crate::sys::socket_address::RawAddress;
use socket_file::SocketFile;

/// The sockets of one proxy that are open. Dropped, they are closed, and the paths of unix sockets stay: a process that runs
/// on may have them.
#[derive(Debug, Default)]
pub(crate) struct ProxySockets(Mutex<Vec<OpenSocket>>);

/// One of them.
#[derive(Debug)]
struct OpenSocket {
    /// As it is declared.
    declared: Listen,
    socket: Arc<ClosedOnFork>,
    /// Of a unix socket.
    file: Option<SocketFile>,
}

impl ProxySockets {
    /// Closes what is not declared any more, and removes the paths of that. Which of those could not be removed is returned:
    /// it keeps no process from being started.
    pub(crate) fn close_others(&self, wanted: &[Listen]) -> Vec<Error> {
        let is_wanted = |open: &OpenSocket| wanted.iter().any(|socket| socket.is_same_socket(&open.declared));
        let mut open = self.lock();
        let (kept, others) = std::mem::take(&mut *open).into_iter().partition(is_wanted);
        *open = kept;
        others.into_iter().filter_map(|other: OpenSocket| other.close().err()).collect()
    }

    /// Opens what is declared and not open yet, in this order, and returns all. What is open stays the same socket, with the
    /// declared backlog and permissions.
    ///
    /// # Errors
    /// [`ErrorCode::StartFailed`] with the address and the errno of the first that cannot be opened. Those before it stay open.
    pub(crate) fn open(&self, wanted: &[Listen]) -> Result<Vec<Arc<ClosedOnFork>>> {
        let mut all = self.lock();
        let socket = |wanted: &Listen| {
            let failed =
                |error| Error::os(ErrorCode::StartFailed, format_args!("listen on {}", wanted.address), &error);
            if let Some(open) = all.iter_mut().find(|open| open.declared.is_same_socket(wanted)) {
                open.follow(wanted).map_err(failed)?;
                return Ok(open.socket.clone());
            }
            let (socket, file) = open(wanted).map_err(failed)?;
            let socket = Arc::new(ClosedOnFork::new(socket));
            all.push(OpenSocket { declared: wanted.clone(), socket: socket.clone(), file });
            Ok(socket)
        };
        wanted.iter().map(socket).collect()
    }

    /// Closes all and removes their paths: the proxy is to be gone.
    ///
    /// # Errors
    /// The first path that could not be removed. All sockets are closed nevertheless.
    pub(crate) fn close(&self) -> Result<()> {
        self.close_others(&[]).into_iter().next().map_or(Ok(()), Err)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<OpenSocket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenSocket {
    /// Takes over what can change while it is open.
    fn follow(&mut self, wanted: &Listen) -> io::Result<()> {
        if let Some(socket) =
            self.socket.get().filter(|_| wanted.backlog_or_default() != self.declared.backlog_or_default())
        {
            socket::listen(socket.as_fd(), wanted.backlog_or_default())?;
        }
        if let (Some(file), Some(mode)) = (&self.file, wanted.mode.filter(|mode| self.declared.mode != Some(*mode))) {
            file.set_mode(mode)?;
        }
        self.declared = wanted.clone();
        Ok(())
    }

    /// ORDER: the path before the socket, so that no other agent finds a dead one there and takes it for its own to replace.
    fn close(self) -> Result<()> {
        let removed = self.file.map_or(Ok(()), |file| file.remove());
        let failed = |error| Error::os(ErrorCode::Io, format_args!("remove {}", self.declared.address), &error);
        removed.map_err(failed)
    }
}

fn open(declared: &Listen) -> io::Result<(OwnedFd, Option<SocketFile>)> {
    let options = BindOptions {
        reuse_address: matches!(declared.address, ListenAddress::Tcp(_)),
        reuse_port: declared.reuse_port,
        ipv6_only: declared.ipv6_only,
    };
    let (socket, file) = match &declared.address {
        ListenAddress::Tcp(address) => {
            (socket::bound(SocketKind::Stream, &RawAddress::of_ip(*address), options)?, None)
        }
        ListenAddress::Udp(address) => {
            return Ok((socket::bound(SocketKind::Datagram, &RawAddress::of_ip(*address), options)?, None));
        }
        ListenAddress::Unix(path) => {
            let (socket, file) = socket_file::bind(path, options)?;
            (socket, Some(file))
        }
    };
    // ORDER: the permissions first, for nothing can be connected before it listens.
    let mode = file.as_ref().zip(declared.mode).map_or(Ok(()), |(file, mode)| file.set_mode(mode));
    match mode.and_then(|()| socket::listen(socket.as_fd(), declared.backlog_or_default())) {
        Ok(()) => Ok((socket, file)),
        Err(error) => {
            // What cannot be removed now is replaced by the next attempt: it is dead.
            let _ = file.map(SocketFile::remove);
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests;
