// SPDX-License-Identifier: MPL-2.0
//! The manager.

use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;

use super::callback::{Inside, allowed_within};
use super::events::proxyprocess_events;
use super::failure::ErrorOut;
use super::handle::{Handle, call, call_manager, free, place};
use super::input::Text;
use super::kind::{self, ProxyKindIn};
use super::log::level_filter;
use super::logs::proxyprocess_logs;
use super::options::ManagerOptionsIn;
use super::output::OwnedText;
use super::owned_text::give;
use super::running_manager::Running;
use super::state::proxyprocess_state;
use super::status::proxyprocess_status_list;
use crate::declaration::ExecMode;
use crate::error::ErrorCode;
use crate::logging::{self, Level};
use crate::manager::{Manager, ManagerOptions};

/// Starts, stops, snapshots and restores the proxies of a state. It ends once: by proxyprocess_manager_close(), which
/// leaves the proxies running for the next agent, or by proxyprocess_manager_kill(), which stops them; the second of these
/// calls does nothing. All functions except _free can be called from any threads at the same time, and none of them from
/// a callback.
pub struct proxyprocess_manager(pub(super) Handle<Arc<Running>>);

impl Drop for proxyprocess_manager {
    /// Of the handle, not of what it holds: a run may hold that as well, and go on until it is asked to end.
    fn drop(&mut self) {
        match self.0.peek().end(Manager::close) {
            Ok(()) => {}
            Err(error) if error.code() == ErrorCode::Forked => {}
            Err(error) => logging::write(Level::Error, format_args!("close: {error}")),
        }
    }
}

/// Creates a manager of the proxies of a state, which may be filled before or after. It opens the data directory and
/// holds its lock until the manager is closed or killed. If the lock is held, it waits up to a second for it, or up to ten
/// seconds if only a process that a dead agent was starting holds it. Nothing is started or stopped yet. The environment
/// that the proxies inherit is read now: no other thread may change it meanwhile (setenv(3)).
///
/// `state`: may be freed at any time; the manager keeps the set.
///
/// `options`: NULL for the defaults, which have no data directory.
///
/// `manager`: where the handle is put; free it with proxyprocess_manager_free().
///
/// Returns 0; PROXYPROCESS_E_INVALID_CONFIG, PROXYPROCESS_E_INVALID_ARGUMENT, PROXYPROCESS_E_STRUCT_SIZE naming the
/// option; PROXYPROCESS_E_LOCKED: another manager has the data directory, and the message names its process;
/// PROXYPROCESS_E_UNTRUSTED: the data directory, or something in it, belongs to another user or is writable by others;
/// PROXYPROCESS_E_IO, PROXYPROCESS_E_EXHAUSTED: it cannot be created or read.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_new(
    state: Option<&proxyprocess_state>,
    options: ManagerOptionsIn,
    manager: Option<&mut MaybeUninit<Option<Box<proxyprocess_manager>>>>,
    err: ErrorOut<'_>,
) -> i32 {
    call("state", state.map(|state| &state.0), err, |state| {
        // As all functions of a manager, though this one waits for no callback.
        allowed_within(Inside::Nothing)?;
        let place = place("manager", manager)?;
        let options = options.get()?.map_or(Ok(ManagerOptions::default()), |options| options.options())?;
        let running = Running::new(Manager::new(state.clone(), options)?);
        place.write(Some(Box::new(proxyprocess_manager(Handle::new(Arc::new(running))))));
        Ok(())
    })
}

/// Frees a manager. If it was neither closed nor killed, it is closed, and an error of that is only logged. No other call
/// on it may be executing.
///
/// `manager`: may be NULL, which does nothing.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_free(manager: Option<Box<proxyprocess_manager>>) {
    free(manager, |manager| &manager.0);
}

/// Registers a kind of proxy under the name that declarations and snapshots have as their mode. Call it before
/// proxyprocess_manager_restore() and proxyprocess_manager_run().
///
/// `mode`: 1 to 64 of the characters a-z, 0-9, - and _.
///
/// `kind`: the functions of the kind, copied. After a failure its `destroy_user` is not called.
///
/// Returns 0; PROXYPROCESS_E_INVALID_CONFIG: the mode is already registered, as "daemon" and "noop" always are, or is not
/// a valid name; PROXYPROCESS_E_NULL_ARGUMENT naming the missing function; PROXYPROCESS_E_STRUCT_SIZE.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_register_kind(
    manager: Option<&proxyprocess_manager>,
    mode: Text,
    kind: ProxyKindIn,
    err: ErrorOut<'_>,
) -> i32 {
    call_manager(manager.map(|manager| &manager.0), err, |running| {
        let mode = ExecMode::new(mode.utf8("mode")?)?;
        kind::register(&running.manager, mode, kind.required("kind")?)
    })
}

/// Takes over the proxies of an earlier manager of the same data directory: call it with `path` NULL, after
/// proxyprocess_manager_new() and before proxyprocess_manager_run(). When it returns, living processes that are proven to be
/// the recorded ones are supervised; nothing is started. Generated tokens are put back into the state. If there is nothing to
/// take over, it does nothing.
///
/// A snapshot of the data directory that cannot be read is renamed to snapshot.json.corrupt-N; the process records are
/// not changed, and the run still finds the processes by them. So an agent should log an error and go on.
///
/// `path`: NULL is the manager's own snapshot, proxyprocess_manager_snapshot_path(); without a data directory it does nothing
/// then. Another path is for a change of directory or of agent: snapshots that proxyprocess_manager_snapshot() wrote, and those
/// of Consul 1.2 to 1.4. The snapshot of another data directory names no processes; the records beside it do, and are only
/// read. If there are none that can be trusted, each proxy gets a PROXYPROCESS_EVENT_ADOPTION_REFUSED and a last error with the
/// reason, and the run starts another process for each declared proxy.
///
/// Returns 0; PROXYPROCESS_E_CORRUPT_SNAPSHOT: the document cannot be used; PROXYPROCESS_E_LOCKED: it is in the data directory
/// of a living manager, which the message names; PROXYPROCESS_E_INVALID_CONFIG: a run has already begun;
/// PROXYPROCESS_E_CLOSED, PROXYPROCESS_E_IO, PROXYPROCESS_E_EXHAUSTED. An error does not change the manager.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_restore(
    manager: Option<&proxyprocess_manager>,
    path: Text,
    err: ErrorOut<'_>,
) -> i32 {
    call_manager(manager.map(|manager| &manager.0), err, |running| {
        let path = path.optional_path().or_else(|| running.manager.snapshot_path());
        Ok(path.map_or(Ok(()), |path| running.manager.restore(&path))?)
    })
}

/// Follows the state on the calling thread until another thread closes or kills the manager, and returns when that is
/// complete, with its result; the program can then exit. While another run is executing it returns 0 at once. The first
/// sync happens at once, later ones once there are no more changes for a while. Fill the state first: the first sync stops
/// restored or recorded processes that are not declared in it.
///
/// Returns 0; PROXYPROCESS_E_CLOSED: the manager was closed or killed before; PROXYPROCESS_E_EXHAUSTED: the threads of
/// the library cannot be started, and run can be called again; or the error of proxyprocess_manager_close() or
/// proxyprocess_manager_kill(), which both callers get.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_run(manager: Option<&proxyprocess_manager>, err: ErrorOut<'_>) -> i32 {
    call_manager(manager.map(|manager| &manager.0), err, |running| Ok(running.manager.run()?))
}

/// Follows the state on a thread of the library, named proxy-manager, and returns at once; if that thread already runs, it
/// does nothing. If the run ends by a fault of the library, this is logged, and returned by proxyprocess_manager_close() or
/// proxyprocess_manager_kill(), after which the thread is gone. An agent that must know at once can call
/// proxyprocess_manager_run() on a thread of its own.
///
/// Returns 0; PROXYPROCESS_E_EXHAUSTED: the threads of the library cannot be started; PROXYPROCESS_E_CLOSED: the manager
/// was closed or killed before.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_start(manager: Option<&proxyprocess_manager>, err: ErrorOut<'_>) -> i32 {
    call_manager(manager.map(|manager| &manager.0), err, |running| Ok(running.start()?))
}

/// Ends the manager and leaves the proxies running. When it returns, no start is in flight, every process is recorded, the
/// snapshot is written, and the data directory is free for the next manager. The thread of proxyprocess_manager_start() is
/// gone, and proxyprocess_manager_run() returns as well. After proxyprocess_manager_kill(), or called again, it does
/// nothing; if several threads call it, each call returns when the manager has ended.
///
/// Without a data directory no later manager finds the processes, except by a snapshot that
/// proxyprocess_manager_snapshot() wrote just before; their number is logged as a warning.
///
/// Returns 0; PROXYPROCESS_E_IO if the snapshot could not be written; or the error of a proxy kind or of the run of
/// proxyprocess_manager_start(). The manager is closed nevertheless.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_close(manager: Option<&proxyprocess_manager>, err: ErrorOut<'_>) -> i32 {
    call_manager(manager.map(|manager| &manager.0), err, |running| Ok(running.end(Manager::close)?))
}

/// Ends the manager and stops all proxies at the same time, including restored and recorded ones without a declaration. It
/// returns when they are gone, and so does proxyprocess_manager_run(). After proxyprocess_manager_close(), or called again,
/// it does nothing.
///
/// Returns 0; PROXYPROCESS_E_STILL_RUNNING: processes outlived SIGKILL, or may live; the message names them and everything
/// else that failed; PROXYPROCESS_E_UNPROVEN: none did, and the message names others that may belong to a proxy and were not
/// signalled; PROXYPROCESS_E_IO: they are gone, but the snapshot could not be written, or the named pid files or records
/// could not be removed; or the error of a proxy kind or of the run of proxyprocess_manager_start(). The manager has ended
/// nevertheless.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_kill(manager: Option<&proxyprocess_manager>, err: ErrorOut<'_>) -> i32 {
    call_manager(manager.map(|manager| &manager.0), err, |running| Ok(running.end(Manager::kill)?))
}

/// Ends the grace period of all current stops: their remaining processes get SIGKILL at once, whatever time and steps they
/// have. A process that is still being started or adopted, only to be stopped, gets it as soon as it exists. With this call an
/// agent that is asked twice to end need not wait for a grace period of an hour.
///
/// It applies to proxyprocess_manager_kill(), proxyprocess_manager_pause(), proxyprocess_manager_restart() and stops by the
/// state; to the generations of a handover that are being stopped; to the remains of a crash; and to a process that writes its
/// core. Commands of a stop are killed. Later stops have their full grace period, and without a current stop it does nothing.
/// It does not affect proxies of registered kinds, which are stopped by their own functions.
///
/// It returns at once. The stop returns when all processes are gone, at the latest about five seconds later, with
/// PROXYPROCESS_E_STILL_RUNNING if any outlives SIGKILL. It can be called from any thread, while others run, kill or close the
/// manager, and any number of times; not from a signal handler.
///
/// Returns 0, also after the end of the manager.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_end_grace(manager: Option<&proxyprocess_manager>, err: ErrorOut<'_>) -> i32 {
    call_manager(manager.map(|manager| &manager.0), err, |running| Ok(running.manager.end_grace()?))
}

/// Writes a snapshot to a path, atomically. Unlike the one that the manager keeps in its data directory, it names the
/// living processes, so that it can be restored by a manager of another data directory. Needed only for that: the
/// manager writes its own whenever something changed.
///
/// `path`: any bytes.
///
/// Returns 0; PROXYPROCESS_E_IO: an existing file is not changed; PROXYPROCESS_E_CLOSED.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_snapshot(
    manager: Option<&proxyprocess_manager>,
    path: Text,
    err: ErrorOut<'_>,
) -> i32 {
    call_manager(manager.map(|manager| &manager.0), err, |running| Ok(running.manager.snapshot(path.path("path")?)?))
}

/// Where the manager keeps its snapshot. The file may not exist yet.
///
/// `path`: where the path is put, or NULL without a data directory; free it with proxyprocess_text_free().
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_snapshot_path(
    manager: Option<&proxyprocess_manager>,
    path: Option<&mut MaybeUninit<OwnedText>>,
    err: ErrorOut<'_>,
) -> i32 {
    call_manager(manager.map(|manager| &manager.0), err, |running| {
        give("path", path, None, running.manager.snapshot_path().map(|path| path.into_os_string().into_vec()))
    })
}

/// Changes settings, at once: periods, environment, `allow_root`, `max_handovers` and `keep_removed`. A changed `proxy_env`
/// replaces every proxy whose environment changes by it; `allow_root` starts proxies that were refused.
///
/// `options`: all options; `data_dir`, `log_dir`, `cgroup`, `cgroup_base` and `event_capacity` must be unchanged.
///
/// Returns 0; PROXYPROCESS_E_INVALID_CONFIG and others as proxyprocess_manager_new(), naming the option;
/// PROXYPROCESS_E_CLOSED. An error changes nothing.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_reconfigure(
    manager: Option<&proxyprocess_manager>,
    options: ManagerOptionsIn,
    err: ErrorOut<'_>,
) -> i32 {
    call_manager(manager.map(|manager| &manager.0), err, |running| {
        Ok(running.manager.reconfigure(options.required("options")?.options()?)?)
    })
}

/// What every proxy is doing, at one moment, by id. Empty after the end.
///
/// `list`: where the list is put; free it with proxyprocess_status_list_free().
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_status(
    manager: Option<&proxyprocess_manager>,
    list: Option<&mut MaybeUninit<Option<Box<proxyprocess_status_list>>>>,
    err: ErrorOut<'_>,
) -> i32 {
    call_manager(manager.map(|manager| &manager.0), err, |running| {
        place("list", list)?.write(Some(Box::new(proxyprocess_status_list::new(running.manager.status()))));
        Ok(())
    })
}

/// What one proxy is doing: its entry in proxyprocess_manager_status(), without the cost of all others.
///
/// `id`: UTF-8.
///
/// `list`: where a list of this one is put; free it with proxyprocess_status_list_free().
///
/// Returns 0; PROXYPROCESS_E_NOT_FOUND: there is no proxy with this id; a removed proxy exists until its stop is complete;
/// PROXYPROCESS_E_CLOSED: the manager has ended.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_status_of(
    manager: Option<&proxyprocess_manager>,
    id: Text,
    list: Option<&mut MaybeUninit<Option<Box<proxyprocess_status_list>>>>,
    err: ErrorOut<'_>,
) -> i32 {
    call_manager(manager.map(|manager| &manager.0), err, |running| {
        let place = place("list", list)?;
        let status = running.manager.status_of(id.utf8("id")?)?;
        place.write(Some(Box::new(proxyprocess_status_list::new(vec![status]))));
        Ok(())
    })
}

/// A reader of the manager's lifecycle events from now on. Create it before proxyprocess_manager_restore() to receive the
/// events of adoptions.
///
/// `events`: where the handle is put; free it with proxyprocess_events_free(), before or after the manager.
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_events(
    manager: Option<&proxyprocess_manager>,
    events: Option<&mut MaybeUninit<Option<Box<proxyprocess_events>>>>,
    err: ErrorOut<'_>,
) -> i32 {
    call_manager(manager.map(|manager| &manager.0), err, |running| {
        place("events", events)?.write(Some(Box::new(proxyprocess_events::new(running.manager.events()))));
        Ok(())
    })
}

/// A reader of the log lines about this manager and its proxies, from now on. It does not have lines that concern all managers
/// of the program (about shared threads, and about opening a data directory); proxyprocess_logs_new() has those as well.
///
/// `level`: how much, a value of proxyprocess_log_level; PROXYPROCESS_LOG_OFF is nothing.
///
/// `logs`: where the handle is put; free it with proxyprocess_logs_free(), before or after the manager.
///
/// Returns 0; PROXYPROCESS_E_INVALID_ARGUMENT: no such level; PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_logs(
    manager: Option<&proxyprocess_manager>,
    level: i32,
    logs: Option<&mut MaybeUninit<Option<Box<proxyprocess_logs>>>>,
    err: ErrorOut<'_>,
) -> i32 {
    call_manager(manager.map(|manager| &manager.0), err, |running| {
        let place = place("logs", logs)?;
        place.write(Some(Box::new(proxyprocess_logs::new(running.manager.logs(level_filter(level)?)))));
        Ok(())
    })
}
