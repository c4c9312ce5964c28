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

/// Restarts one proxy with its current declaration. The process is stopped as after a changed declaration (stop signal to its
/// group, grace period, SIGKILL), and started again when all its processes are gone; with PROXYPROCESS_REPLACE_OVERLAP the next
/// process is started first, and this one is stopped when the next one is ready.
///
/// Returns when the restart has begun, and waits neither for the stop nor for the start: proxyprocess_manager_wait_until()
/// does, and events report both. The backoff is reset, and a proxy that waits for its next start, or has failed, is started at
/// once; a start that waits for remaining processes of its predecessor keeps waiting for them. A process that is being started
/// or adopted is replaced once it runs; one that is already being stopped to be started again is not stopped twice. A proxy of
/// a registered kind is created again; then the old one is stopped and the new one started.
///
/// `id`: UTF-8.
///
/// Returns 0; PROXYPROCESS_E_NOT_FOUND: no proxy with this id is managed, as before the first sync of the run;
/// PROXYPROCESS_E_CLOSED; for a proxy of a registered kind the error of its `create`, and PROXYPROCESS_E_IO if the snapshot
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

/// Tries at once what one proxy waits for: its next start, or the identification of a process that may live. It also starts a
/// proxy that has failed or was given up, whose failures are then counted from zero. The backoff continues where it was.
///
/// It has no effect on a proxy that runs, is being started or stopped, or has completed, and a start that is delayed by a
/// living process stays delayed. Returns when it has begun. A proxy of a registered kind that has failed is restarted. Setting
/// the same declaration again retries nothing.
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

/// Forgets how often one proxy has crashed and how often its starts have failed: the backoff and the count of failures for
/// giving up start at zero, and `restarts` of its status is 0. A current wait goes on, and a proxy that has failed stays
/// failed: see proxyprocess_manager_retry().
///
/// `id`: UTF-8.
///
/// Returns 0; PROXYPROCESS_E_NOT_FOUND: no proxy with this id is managed, as before the first sync of the run;
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

/// Sends a signal to the process of one proxy, for example SIGHUP to reload or SIGUSR1 to reopen its logs. Only the leader gets
/// it, no other process of its group, and never a process with a recycled pid.
///
/// Returns when the kernel has accepted the signal. A process that ends by it is restarted as after a crash. The process of a
/// proxy that is being stopped can be signalled too, also if the proxy was removed from the state.
///
/// `id`: UTF-8.
///
/// `signal`: 1 to 64.
///
/// Returns 0; PROXYPROCESS_E_INVALID_ARGUMENT: no such signal; PROXYPROCESS_E_NOT_FOUND: there is no proxy with this id;
/// PROXYPROCESS_E_NOT_RUNNING: it has no process now, or is of a registered kind; PROXYPROCESS_E_IO: the kernel refused, with
/// EPERM if the agent may not signal the process; PROXYPROCESS_E_CLOSED.
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

/// Makes the process of one proxy reload its configuration as declared (`reload`): by a signal to its leader, with or without
/// a confirmation, or by a command, which is run with the environment, directory and credentials of the proxy, and with the pid
/// of the leader in MAINPID. The output of the command goes to the logs of the proxy.
///
/// Returns when the kernel has accepted the signal, when the process has confirmed the reload by its notifications ("notify"),
/// or when the command has exited; this thread waits for it. Without a confirmation it is not known what the process does with
/// the signal. The current declaration is used. A stop of the proxy that comes meanwhile ends the command, a close does not.
/// The process is not replaced, whether it confirms or not.
///
/// `id`: UTF-8.
///
/// Returns 0: the signal was sent or the reload confirmed, or the command has exited with code 0; PROXYPROCESS_E_COMMAND_FAILED:
/// it ended otherwise; PROXYPROCESS_E_TIMEOUT: it took longer than its timeout_ms and was killed with its group, or the process
/// has not confirmed its reload within the declared start_timeout_ms; PROXYPROCESS_E_STILL_RUNNING: the command outlived that;
/// PROXYPROCESS_E_START_FAILED and PROXYPROCESS_E_ROOT_REFUSED: it was not started;
/// PROXYPROCESS_E_INVALID_CONFIG: the proxy declares no `reload`; PROXYPROCESS_E_NOT_FOUND: there is no proxy with this id;
/// PROXYPROCESS_E_NOT_RUNNING: it has no process now, or is of a registered kind; or, with a confirmation, its process is not
/// ready, or has ended before it confirmed; PROXYPROCESS_E_IO: the kernel refused the signal, or a log cannot be opened;
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

/// Waits until one proxy has reached `what`, with its declaration at the time of the call: earlier changes are applied first.
/// So after proxyprocess_state_set() it waits for the new process, and after proxyprocess_manager_restart() for the next one.
/// The state is not polled, and no change is missed. Before the run no declaration is applied, so it waits for the first sync.
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
/// PROXYPROCESS_E_NOT_RUNNING: it has completed instead of running, or has failed with its exit and is not started again;
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
