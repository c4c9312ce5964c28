// SPDX-License-Identifier: MPL-2.0
//! One supervised process by itself.

use std::mem::MaybeUninit;

use super::events::proxyprocess_events;
use super::failure::{ErrorOut, Failure};
use super::handle::{Handle, call, enter, free, place};
use super::input::Text;
use super::json::{encode, object};
use super::options::{DaemonFiles, DaemonOptionsIn};
use super::output::OwnedText;
use super::owned_text::give;
use super::proxy_options::ProxyOptionsIn;
use super::status::proxyprocess_status_list;
use crate::daemon::Daemon;
use crate::declaration::ProxyConfig;

/// Keeps one process running without a manager: starts it, restarts it with backoff when it ends, and stops it. Unlike
/// a manager, it generates no token when none is declared, and it may run as root. All functions except _free can be
/// called from any thread, several at the same time, and from the functions of a proxy kind.
pub struct proxyprocess_daemon(Handle<Daemon>);

fn daemon(id: Text, config: ProxyConfig, options: DaemonOptionsIn) -> Result<Daemon, Failure> {
    let files = options.get()?.map_or(Ok(DaemonFiles::default()), |options| options.files())?;
    let mut daemon = Daemon::new(id.utf8("id")?, config);
    if let Some(path) = files.pid {
        daemon = daemon.with_pid_path(path);
    }
    if let Some(path) = files.stdout {
        daemon = daemon.with_stdout(path);
    }
    if let Some(path) = files.stderr {
        daemon = daemon.with_stderr(path);
    }
    Ok(daemon)
}

/// Creates a daemon and does not start it.
///
/// `id`: 1 to 1024 bytes of UTF-8.
///
/// `options`: the declaration. A declaration that can never work is reported by proxyprocess_daemon_start().
///
/// `files`: where the pid file and the output of the process are written; NULL for no files.
///
/// `daemon`: receives the handle; free it with proxyprocess_daemon_free().
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT, PROXYPROCESS_E_INVALID_CONFIG, PROXYPROCESS_E_INVALID_ARGUMENT,
/// PROXYPROCESS_E_INVALID_UTF8, PROXYPROCESS_E_STRUCT_SIZE, naming the field.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_daemon_new(
    id: Text,
    options: ProxyOptionsIn,
    files: DaemonOptionsIn,
    daemon: Option<&mut MaybeUninit<Option<Box<proxyprocess_daemon>>>>,
    err: ErrorOut<'_>,
) -> i32 {
    enter(err, || {
        let place = place("daemon", daemon)?;
        let config = options.required("options")?.config()?;
        place.write(Some(Box::new(proxyprocess_daemon(Handle::new(self::daemon(id, config, files)?)))));
        Ok(())
    })
}

/// Creates a daemon from the JSON form of a declaration and does not start it.
///
/// `json`, `json_length`: an object like {"command": ["/bin/a"]}; it need not end with NUL.
///
/// Other parameters and return values: as for proxyprocess_daemon_new().
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_daemon_new_json(
    id: Text,
    json: Text,
    json_length: usize,
    files: DaemonOptionsIn,
    daemon: Option<&mut MaybeUninit<Option<Box<proxyprocess_daemon>>>>,
    err: ErrorOut<'_>,
) -> i32 {
    enter(err, || {
        let place = place("daemon", daemon)?;
        let config = ProxyConfig::from_json(json.utf8_of_length("json", json_length)?)?;
        place.write(Some(Box::new(proxyprocess_daemon(Handle::new(self::daemon(id, config, files)?)))));
        Ok(())
    })
}

/// Frees a daemon. A daemon that was neither stopped nor closed is closed: its process keeps running. No other call on
/// the daemon may be executing.
///
/// `daemon`: may be NULL, which does nothing.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_daemon_free(daemon: Option<Box<proxyprocess_daemon>>) {
    free(daemon, |daemon| &daemon.0);
}

/// Starts the process and keeps it running. Starting a daemon that is already started does nothing; a stopped daemon is
/// started again.
///
/// Returns as soon as the first attempt succeeded. If it failed for a reason that may pass (missing program, process
/// limit reached, disk full), the call also succeeds: the next attempt is scheduled, and the failure is in the status
/// and the log.
///
/// Returns 0; PROXYPROCESS_E_INVALID_CONFIG, PROXYPROCESS_E_INVALID_ID: the declaration can never work;
/// PROXYPROCESS_E_CLOSED; PROXYPROCESS_E_STOPPED: another thread stopped the daemon during the call;
/// PROXYPROCESS_E_EXHAUSTED: the library cannot start its own threads.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_daemon_start(daemon: Option<&proxyprocess_daemon>, err: ErrorOut<'_>) -> i32 {
    call("daemon", daemon.map(|daemon| &daemon.0), err, |daemon| Ok(daemon.start()?))
}

/// Stops the process: sends the stop signal to its process group, and SIGKILL after the grace period. Returns when the
/// whole group is gone. Stopping a daemon that is not started, or stopping it twice, is no error. After
/// proxyprocess_daemon_close() the call has no effect. proxyprocess_daemon_start() starts the daemon again.
///
/// Returns 0; PROXYPROCESS_E_STILL_RUNNING: processes survived SIGKILL, and the message names them;
/// PROXYPROCESS_E_UNPROVEN: all processes that are proven to belong to the proxy are gone, and the message names others
/// that may belong to it and were not signalled; PROXYPROCESS_E_IO: all processes are gone, but the pid file could not
/// be removed.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_daemon_stop(daemon: Option<&proxyprocess_daemon>, err: ErrorOut<'_>) -> i32 {
    call("daemon", daemon.map(|daemon| &daemon.0), err, |daemon| Ok(daemon.stop()?))
}

/// Cuts short the grace period of a proxyprocess_daemon_stop() that is executing in another thread, as
/// proxyprocess_manager_end_grace() does: the remaining processes get SIGKILL now. Does nothing if no process is being
/// stopped.
///
/// Returns 0.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_daemon_end_grace(daemon: Option<&proxyprocess_daemon>, err: ErrorOut<'_>) -> i32 {
    call("daemon", daemon.map(|daemon| &daemon.0), err, |daemon| Ok(daemon.end_grace()?))
}

/// Ends the supervision and leaves the process running. From then on proxyprocess_daemon_stop() has no effect.
///
/// Returns 0; PROXYPROCESS_E_FORKED.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_daemon_close(daemon: Option<&proxyprocess_daemon>, err: ErrorOut<'_>) -> i32 {
    call("daemon", daemon.map(|daemon| &daemon.0), err, |daemon| Ok(daemon.close()?))
}

/// Compares what two daemons declare about their process: id, command, directory, environment, token, credentials and
/// files. Stop and restart settings and the agent's own environment are not compared. A daemon restored from a Consul
/// snapshot is equal to one whose declared variables are in the environment of its process; further variables there do
/// not count.
///
/// `equal`: receives 1 or 0.
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_daemon_equal(
    daemon: Option<&proxyprocess_daemon>,
    other: Option<&proxyprocess_daemon>,
    equal: Option<&mut MaybeUninit<u8>>,
    err: ErrorOut<'_>,
) -> i32 {
    call("daemon", daemon.map(|daemon| &daemon.0), err, |daemon| {
        let other = other.ok_or_else(|| Failure::null("other"))?.0.get()?;
        place("equal", equal)?.write(u8::from(daemon.equal(other)));
        Ok(())
    })
}

/// Returns what proxyprocess_daemon_unmarshal_snapshot() needs to take over the process, also in another agent: a JSON
/// object with the declaration, the token in clear text, and the process if one is alive.
///
/// `json`: receives the text; free it with proxyprocess_text_free().
///
/// `json_length`: receives its length; may be NULL.
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_daemon_marshal_snapshot(
    daemon: Option<&proxyprocess_daemon>,
    json: Option<&mut MaybeUninit<OwnedText>>,
    json_length: Option<&mut MaybeUninit<usize>>,
    err: ErrorOut<'_>,
) -> i32 {
    call("daemon", daemon.map(|daemon| &daemon.0), err, |daemon| {
        give("json", json, json_length, Some(encode(daemon.marshal_snapshot())?))
    })
}

/// Turns this daemon into the daemon of a snapshot. If the process of the snapshot is alive and proven to be the same
/// process, it is supervised immediately; if it is gone, proxyprocess_daemon_start() starts it.
///
/// `json`, `json_length`: a snapshot from proxyprocess_daemon_marshal_snapshot(), or from Daemon.MarshalSnapshot of
/// Consul 1.2 to 1.4 (`CommandArgs`, `CommandDir`, `CommandEnv`, `CommandPath`, `Pid`, `ProxyID`, `ProxyToken`).
/// Consul's names no files; the daemon then keeps its own. The text need not end with NUL.
///
/// Returns 0; PROXYPROCESS_E_INVALID_CONFIG, naming the field, or because this daemon was already started;
/// PROXYPROCESS_E_INVALID_UTF8; PROXYPROCESS_E_IO and PROXYPROCESS_E_EXHAUSTED if the process of a Consul snapshot
/// cannot be examined now. On failure nothing is changed.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_daemon_unmarshal_snapshot(
    daemon: Option<&proxyprocess_daemon>,
    json: Text,
    json_length: usize,
    err: ErrorOut<'_>,
) -> i32 {
    call("daemon", daemon.map(|daemon| &daemon.0), err, |daemon| {
        Ok(daemon.unmarshal_snapshot(&object("snapshot", json.utf8_of_length("json", json_length)?)?)?)
    })
}

/// Returns the status of the daemon, as a list with one entry.
///
/// `list`: receives the list; free it with proxyprocess_status_list_free().
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_daemon_status(
    daemon: Option<&proxyprocess_daemon>,
    list: Option<&mut MaybeUninit<Option<Box<proxyprocess_status_list>>>>,
    err: ErrorOut<'_>,
) -> i32 {
    call("daemon", daemon.map(|daemon| &daemon.0), err, |daemon| {
        place("list", list)?.write(Some(Box::new(proxyprocess_status_list::new(vec![daemon.status()]))));
        Ok(())
    })
}

/// Creates a reader of the daemon's lifecycle events, starting now.
///
/// `events`: receives the handle; free it with proxyprocess_events_free(), before or after the daemon.
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_daemon_events(
    daemon: Option<&proxyprocess_daemon>,
    events: Option<&mut MaybeUninit<Option<Box<proxyprocess_events>>>>,
    err: ErrorOut<'_>,
) -> i32 {
    call("daemon", daemon.map(|daemon| &daemon.0), err, |daemon| {
        place("events", events)?.write(Some(Box::new(proxyprocess_events::new(daemon.events()))));
        Ok(())
    })
}
