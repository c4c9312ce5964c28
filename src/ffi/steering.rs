// SPDX-License-Identifier: MPL-2.0
//! Steering one proxy of a manager.

use super::failure::ErrorOut;
use super::handle::call_manager;
use super::input::Text;
use super::manager::proxyprocess_manager;

/// Restarts one proxy from the declaration that is followed: its process is stopped as a changed declaration stops it (stop
/// signal to its group, grace period, SIGKILL), and started anew when nothing of it is left.
///
/// Returns when the restart has begun, and waits neither for the stop nor for the start: events tell both. The backoff begins
/// anew, and a proxy that waits for its next start, or has failed, is started at once. A process that is being started or
/// adopted is replaced when it runs; one that is just being stopped to be started again is not stopped twice. A proxy of a
/// registered kind is created anew, after which the old one is stopped and the new one started.
///
/// `id`: UTF-8.
///
/// Returns 0; PROXYPROCESS_E_NOT_FOUND: no proxy of this id is managed, as before the first sync of the run;
/// PROXYPROCESS_E_CLOSED; of a proxy of a registered kind what its `create` fails with, and PROXYPROCESS_E_IO when the snapshot
/// cannot be written: the old one goes on.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_restart(
    manager: Option<&proxyprocess_manager>,
    id: Text,
    err: ErrorOut<'_>,
) -> i32 {
    call_manager(manager.map(|manager| &manager.0), err, |running| Ok(running.manager.restart(id.utf8("id")?)?))
}
