// SPDX-License-Identifier: MPL-2.0
//! The sockets of one proxy, which each of its processes gets at its start. They belong to the id, not to a process: a
//! connection that is made while no process is alive waits in the backlog.

mod socket_file;
mod stored;
pub(crate) mod take_over;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::declaration::{Listen, ListenAddress};
use crate::error::{Error, ErrorCode, Result};
use crate::store::RecordedSocket;
use crate::sys::closed_on_fork::ClosedOnFork;
use crate::sys::fail;
use crate::sys::socket::{self, BindOptions, SocketKind};
use crate::sys::socket_address::RawAddress;
use socket_file::SocketFile;
use stored::StoredDescriptors;

/// The sockets of one proxy that are open. Dropped, they are closed, and the paths of unix sockets stay: a process that runs
/// on may have them.
#[derive(Debug, Default)]
pub(crate) struct ProxySockets {
    opened: Mutex<Sockets>,
    /// What its processes have handed over.
    pub(crate) stored: StoredDescriptors,
}

#[derive(Debug, Default)]
struct Sockets {
    open: Vec<OpenSocket>,
    /// Those that only an adopted process has: they could not be taken out of it.
    untaken: Vec<RecordedSocket>,
}

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
        let is_wanted = |declared: &Listen| wanted.iter().any(|socket| socket.is_same_socket(declared));
        let mut sockets = self.lock();
        let Sockets { open, untaken } = std::mem::take(&mut *sockets);
        let (open, other_open): (_, Vec<_>) = open.into_iter().partition(|open| is_wanted(&open.declared));
        let (untaken, others): (_, Vec<_>) = untaken.into_iter().partition(|untaken| is_wanted(&untaken.declared));
        *sockets = Sockets { open, untaken };
        let closed = other_open.into_iter().map(OpenSocket::close);
        let removed = others.iter().map(|other| remove_file(&other.declared, SocketFile::of_recorded(other)));
        closed.chain(removed).filter_map(Result::err).collect()
    }

    /// Opens what is declared and not open yet, in this order, and returns all. What is open stays the same socket, with the
    /// declared backlog and permissions.
    ///
    /// # Errors
    /// [`ErrorCode::StartFailed`] with the address and the errno of the first that cannot be opened. Those before it stay open.
    pub(crate) fn open(&self, wanted: &[Listen]) -> Result<Vec<Arc<ClosedOnFork>>> {
        let mut sockets = self.lock();
        let Sockets { open: all, untaken } = &mut *sockets;
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
            untaken.retain(|untaken| !untaken.declared.is_same_socket(wanted));
            fail::point("sockets:opened");
            Ok(socket)
        };
        wanted.iter().map(socket).collect()
    }

    /// Closes all but these and removes their paths: the proxy is to be gone, or the generation of it that had others.
    ///
    /// # Errors
    /// The first path that could not be removed. The sockets are closed nevertheless.
    pub(crate) fn close_all_but(&self, kept: &[Listen]) -> Result<()> {
        self.close_others(kept).into_iter().next().map_or(Ok(()), Err)
    }

    /// Whether this one is open.
    pub(crate) fn has(&self, wanted: &Listen) -> bool {
        self.lock().open.iter().any(|open| open.declared.is_same_socket(wanted))
    }

    fn lock(&self) -> MutexGuard<'_, Sockets> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
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
        let removed = remove_file(&self.declared, self.file);
        fail::point("sockets:removed");
        removed
    }
}

fn remove_file(declared: &Listen, file: Option<SocketFile>) -> Result<()> {
    let failed = |error| Error::os(ErrorCode::Io, format_args!("remove {}", declared.address), &error);
    file.map_or(Ok(()), SocketFile::remove).map_err(failed)
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
