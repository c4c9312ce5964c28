// SPDX-License-Identifier: MPL-2.0
//! What a process has beside its program: the sockets of its declaration, the pipe of its report, and the socket for its
//! notifications.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use crate::error::{Error, ErrorCode, Result};
use crate::logging::Level;
use crate::store;
use crate::store::file_place::FilePlace;
use crate::supervisor::adoption::claim::Claim;
use crate::supervisor::reaper::process::Process;
use crate::supervisor::sockets::ProxySockets;
use crate::supervisor::sockets::take_over::not_taken;
use crate::supervisor::spec::Spec;
use crate::sys::closed_on_fork::ClosedOnFork;
use crate::sys::notify_socket::{NotifySocket, SocketName};
use crate::sys::report_pipe::{self, ReportReader};

/// What the record says of the sockets.
pub(super) fn recorded(spec: &Spec, sockets: Option<&ProxySockets>) -> Vec<store::RecordedSocket> {
    sockets.map(|sockets| sockets.recorded(&spec.config.listen)).unwrap_or_default()
}

/// Takes the sockets out of a process that is adopted; the first that could not be, and why.
pub(super) fn take_over(spec: &Spec, claim: &Claim, process: &Process, sockets: &ProxySockets) -> Option<Error> {
    let pidfd = process.pidfd.as_ref().map(AsFd::as_fd);
    let mut untaken = sockets.take_over(process.pid, pidfd, claim.sockets());
    if let Claim::Snapshot { .. } = claim {
        let unknown = io::Error::new(io::ErrorKind::NotFound, "it is not in the record");
        untaken.extend(spec.config.listen.iter().map(|socket| not_taken(socket, process.pid, &unknown)));
    }
    for error in &untaken {
        spec.context.log.about(Level::Warn, &spec.id, format_args!("{error}"));
    }
    untaken.into_iter().next()
}

/// The sockets that are declared, and no others: what is not declared any more is closed, unless another generation still
/// serves there.
pub(super) fn open_sockets(spec: &Spec, sockets: &ProxySockets) -> Result<Vec<Arc<ClosedOnFork>>> {
    if spec.place == FilePlace::Current {
        for error in sockets.close_others(&spec.config.listen) {
            spec.context.log.about(Level::Warn, &spec.id, format_args!("{error}"));
        }
    }
    sockets.open(&spec.config.listen)
}

/// Both ends of the pipe by which a process reports that it is ready, if it does.
pub(super) fn report_pipe(spec: &Spec) -> Result<Option<(ReportReader, OwnedFd)>> {
    let pipe = spec.config.ready.fd().map(|_| report_pipe::new()).transpose();
    pipe.map_err(|error| Error::os(ErrorCode::StartFailed, "create the pipe for its report", &error))
}

/// The socket to which a process sends notifications, if it does. Each has a name of its own, so that none of an earlier
/// process of the proxy counts for it.
pub(super) fn notify_socket(spec: &Spec) -> Result<Option<(SocketName, NotifySocket)>> {
    if !spec.config.takes_notifications() {
        return Ok(None);
    }
    let bound = SocketName::random().and_then(|name| NotifySocket::bind(name).map(|socket| Some((name, socket))));
    bound.map_err(|error| Error::os(ErrorCode::StartFailed, "open the socket for its notifications", &error))
}
