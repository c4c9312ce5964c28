// SPDX-License-Identifier: MPL-2.0
//! Steering one proxy of a manager.

use std::time::Duration;

use super::failure::{ErrorOut, Failure};
use super::handle::call_manager;
use super::input::Text;
use super::manager::proxyprocess_manager;
use crate::lifecycle::WaitFor;
use crate::sys::signal::Signal;

/// What proxyprocess_manager_wait_until() waits for. Numbers are only ever added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum proxyprocess_wait_for {
    /// The proxy is in the state PROXYPROCESS_PROXY_RUNNING.
    PROXYPROCESS_WAIT_RUNNING = 1,
    /// The proxy is in the state PROXYPROCESS_PROXY_COMPLETED, which it never is with PROXYPROCESS_RESTART_ALWAYS.
    PROXYPROCESS_WAIT_COMPLETED = 2,
    /// The proxy is in the state PROXYPROCESS_PROXY_PAUSED: nothing of it runs.
    PROXYPROCESS_WAIT_PAUSED = 3,
}

/// Restarts one proxy from the declaration that is followed: its process is stopped as a changed declaration stops it (stop
/// signal to its group, grace period, SIGKILL), and started anew when nothing of it is left; with PROXYPROCESS_REPLACE_OVERLAP
/// the next one is started first, and this one stopped when that is ready.
///
/// Returns when the restart has begun, and waits neither for the stop nor for the start: proxyprocess_manager_wait_until()
/// does, and events tell both. The backoff begins anew, and a proxy that waits for its next start, or has failed, is started at
/// once; a start that waits for what is left of its predecessor goes on waiting for that. A process that is being started or
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

/// Tries now what one proxy waits for: a start that is due later, or the identification of a process that may live; and starts
/// one that has failed, or was given up, which has all its failures before it again. The backoff goes on where it was.
///
/// Nothing happens to a proxy that runs, is being started or stopped, or has completed; and no start begins beside what holds
/// it. Returns when it has begun. A proxy of a registered kind that has failed is restarted. A declaration that is set again
/// unchanged retries nothing.
///
/// `id`: UTF-8.
///
/// Returns as proxyprocess_manager_restart().
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_retry(
    manager: Option<&proxyprocess_manager>,
    id: Text,
    err: ErrorOut<'_>,
) -> i32 {
    call_manager(manager.map(|manager| &manager.0), err, |running| Ok(running.manager.retry(id.utf8("id")?)?))
}

/// Forgets how often one proxy has crashed and how often its starts have failed: the backoff begins anew with the next crash,
/// failures count anew for giving up, and `restarts` of its status is 0. A wait that is under way goes on, and a proxy that has
/// failed stays so: see proxyprocess_manager_retry().
///
/// `id`: UTF-8.
///
/// Returns 0; PROXYPROCESS_E_NOT_FOUND: no proxy of this id is managed, as before the first sync of the run;
/// PROXYPROCESS_E_CLOSED.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_reset_crashes(
    manager: Option<&proxyprocess_manager>,
    id: Text,
    err: ErrorOut<'_>,
) -> i32 {
    call_manager(manager.map(|manager| &manager.0), err, |running| Ok(running.manager.reset_crashes(id.utf8("id")?)?))
}

/// Pauses one proxy: its process is stopped as declared, and not started again, while the proxy stays declared and is shown as
/// PROXYPROCESS_PROXY_PAUSED. Its `listen` sockets are closed, and what its processes have stored is forgotten. Returns when the
/// stop has begun; proxyprocess_manager_wait_until() waits for its end.
///
/// It is paused until proxyprocess_manager_resume(), also under a changed declaration and, with a data directory, by the next
/// agent; until it is removed; or until it is declared with `enabled` 0, which holds from then on. A proxy that is paused stays so.
///
/// `id`: UTF-8.
///
/// Returns 0; PROXYPROCESS_E_NOT_FOUND: no proxy of this id is managed, as before the first sync of the run;
/// PROXYPROCESS_E_INVALID_CONFIG: it is of another kind than "daemon"; PROXYPROCESS_E_IO: that could not be written down for the
/// next agent, and nothing is stopped; PROXYPROCESS_E_CLOSED.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_pause(
    manager: Option<&proxyprocess_manager>,
    id: Text,
    err: ErrorOut<'_>,
) -> i32 {
    call_manager(manager.map(|manager| &manager.0), err, |running| Ok(running.manager.pause(id.utf8("id")?)?))
}

/// Runs one proxy again that proxyprocess_manager_pause() has paused, with a backoff that begins anew. Returns when that has
/// begun. A proxy that is not paused stays as it is.
///
/// `id`: UTF-8.
///
/// Returns as proxyprocess_manager_pause(), and PROXYPROCESS_E_PAUSED: it is declared with `enabled` 0.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_resume(
    manager: Option<&proxyprocess_manager>,
    id: Text,
    err: ErrorOut<'_>,
) -> i32 {
    call_manager(manager.map(|manager| &manager.0), err, |running| Ok(running.manager.resume(id.utf8("id")?)?))
}

/// Sends a signal to the process of one proxy, for what the program makes of it: SIGHUP to reload, SIGUSR1 to open its logs
/// anew. Only the leader gets it, no other process of its group, and never a process that has a recycled pid.
///
/// Returns when the kernel has taken the signal. A process that ends by it has ended by itself: it is restarted as after a
/// crash. A proxy that is being stopped can be sent one as well, also when it was removed from the state.
///
/// `id`: UTF-8.
///
/// `signal`: 1 to 64.
///
/// Returns 0; PROXYPROCESS_E_INVALID_ARGUMENT: no such signal; PROXYPROCESS_E_NOT_FOUND: there is no proxy of this id;
/// PROXYPROCESS_E_NOT_RUNNING: it has no process now, or is of a registered kind; PROXYPROCESS_E_IO: the kernel refuses, with
/// EPERM because the agent may not signal the process; PROXYPROCESS_E_CLOSED.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_signal(
    manager: Option<&proxyprocess_manager>,
    id: Text,
    signal: i32,
    err: ErrorOut<'_>,
) -> i32 {
    call_manager(manager.map(|manager| &manager.0), err, |running| {
        let id = id.utf8("id")?;
        let unknown = || Failure::argument(format!("signal: expected a number from 1 to 64, got {signal}"));
        Ok(running.manager.signal(id, Signal::from_raw(signal).ok_or_else(unknown)?)?)
    })
}

/// Has the process of one proxy reload its configuration, as its declaration says (`reload`): by a signal to its leader,
/// which it may have to confirm, or by a command, which is run with the environment, directory and credentials of the proxy, and
/// with the pid of the leader in MAINPID. Its output goes to the logs of the proxy.
///
/// Returns when the kernel has taken the signal; or when the process has confirmed by its notifications that it has reloaded
/// ("notify"), or the command has exited, which this thread waits for. Without a confirmation, what the process makes of the
/// signal is not known. The declaration is the one that is followed. A stop of the proxy that comes meanwhile ends the command,
/// a close does not. The process stays what it is, confirmed or not.
///
/// `id`: UTF-8.
///
/// Returns 0: the signal was sent or the reload confirmed, or the command has exited with code 0; PROXYPROCESS_E_COMMAND_FAILED:
/// it ended otherwise; PROXYPROCESS_E_TIMEOUT: it took longer than its timeout_ms and was killed with its group, or the process
/// has not confirmed its reload within the declared start_timeout_ms; PROXYPROCESS_E_STILL_RUNNING: the command outlived that;
/// PROXYPROCESS_E_START_FAILED and PROXYPROCESS_E_ROOT_REFUSED: it was not started;
/// PROXYPROCESS_E_INVALID_CONFIG: the proxy declares no `reload`; PROXYPROCESS_E_NOT_FOUND: there is no proxy of this id;
/// PROXYPROCESS_E_NOT_RUNNING: it has no process now, or is of a registered kind; or, where it is to confirm, its process is not
/// ready, or has ended before it did; PROXYPROCESS_E_IO: the kernel refuses the signal, or a log cannot be opened;
/// PROXYPROCESS_E_CLOSED, also when the manager is closed before the process has confirmed.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_reload(
    manager: Option<&proxyprocess_manager>,
    id: Text,
    err: ErrorOut<'_>,
) -> i32 {
    call_manager(manager.map(|manager| &manager.0), err, |running| Ok(running.manager.reload(id.utf8("id")?)?))
}

/// Waits until one proxy is as wanted, as it is declared when this is called: a declaration that was changed before is followed
/// first. So after proxyprocess_state_set() it waits for the new process, and after proxyprocess_manager_restart() for the next
/// one. Nothing is polled, and no event is missed. Before the run nothing is followed, so it waits for the first sync.
///
/// `id`: UTF-8.
///
/// `what`: a value of proxyprocess_wait_for.
///
/// `timeout_ms`: 0 does not wait; UINT64_MAX waits without limit.
///
/// Returns 0; PROXYPROCESS_E_TIMEOUT; PROXYPROCESS_E_INVALID_ARGUMENT: `what` is none of the values; PROXYPROCESS_E_NOT_FOUND:
/// the proxy is not declared, or was removed meanwhile; the code with which the proxy has failed, such as
/// PROXYPROCESS_E_ROOT_REFUSED and PROXYPROCESS_E_START_FAILED: it cannot be started as it is declared;
/// PROXYPROCESS_E_NOT_RUNNING: it has completed and was to run, or has failed with its exit and is not started again;
/// PROXYPROCESS_E_CLOSED, also when the manager is closed or killed meanwhile.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_wait_until(
    manager: Option<&proxyprocess_manager>,
    id: Text,
    what: i32,
    timeout_ms: u64,
    err: ErrorOut<'_>,
) -> i32 {
    call_manager(manager.map(|manager| &manager.0), err, |running| {
        let id = id.utf8("id")?;
        use proxyprocess_wait_for as C;
        let all = [
            (C::PROXYPROCESS_WAIT_RUNNING, WaitFor::Running),
            (C::PROXYPROCESS_WAIT_COMPLETED, WaitFor::Completed),
            (C::PROXYPROCESS_WAIT_PAUSED, WaitFor::Paused),
        ];
        let known = all.into_iter().find(|(number, _)| *number as i32 == what);
        let unknown = || Failure::argument(format!("what: expected a value of proxyprocess_wait_for, got {what}"));
        let (_, what) = known.ok_or_else(unknown)?;
        Ok(running.manager.wait_until(id, what, Duration::from_millis(timeout_ms))?)
    })
}
