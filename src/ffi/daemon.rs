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

/// A process that is kept running, without a manager: started, restarted with backoff when it ends, and stopped. Unlike
/// with a manager, no token is generated when none is declared, and it may run as root. All functions but _free can be
/// called from any threads at the same time, and from the functions of a proxy kind.
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

/// Makes a daemon that is not started.
///
/// `id`: 1 to 1024 bytes of UTF-8.
///
/// `options`: the declaration. What can never work is an error of proxyprocess_daemon_start().
///
/// `files`: where its pid and its output go; NULL is nowhere.
///
/// `daemon`: where the handle is put; free it with proxyprocess_daemon_free().
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

/// Makes a daemon that is not started, from the JSON form of a declaration.
///
/// `json`, `json_length`: an object like {"command": ["/bin/a"]}; no NUL is needed at its end.
///
/// Others and result: as proxyprocess_daemon_new().
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

/// Frees a daemon. If it was neither stopped nor closed it is closed: its process runs on. No other call on it may be
/// executing.
///
/// `daemon`: may be NULL, which does nothing.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_daemon_free(daemon: Option<Box<proxyprocess_daemon>>) {
    free(daemon, |daemon| &daemon.0);
}

/// Starts the process and keeps it running. Starting a started daemon is no error; a stopped one is started anew.
///
/// It returns when the first attempt succeeded; or, after a failure that may pass (missing program, exhausted processes,
/// full disk), with the next attempt scheduled and the failure in the status and the log.
///
/// Returns 0; PROXYPROCESS_E_INVALID_CONFIG, PROXYPROCESS_E_INVALID_ID: it can never work; PROXYPROCESS_E_CLOSED;
/// PROXYPROCESS_E_STOPPED: another thread stopped it meanwhile; PROXYPROCESS_E_EXHAUSTED: the library's own threads
/// cannot be started.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_daemon_start(daemon: Option<&proxyprocess_daemon>, err: ErrorOut<'_>) -> i32 {
    call("daemon", daemon.map(|daemon| &daemon.0), err, |daemon| Ok(daemon.start()?))
}

/// Stops the process: the stop signal to its group, SIGKILL after the grace period. It returns when the whole group is
/// gone. Stopping a daemon that is not started, or twice, is no error; after proxyprocess_daemon_close() it has no
/// effect. proxyprocess_daemon_start() starts it again.
///
/// Returns 0; PROXYPROCESS_E_STILL_RUNNING, naming what outlived SIGKILL; PROXYPROCESS_E_UNPROVEN: all that is proven to be of
/// the proxy is gone, and the message names other processes that may be and were not signalled; PROXYPROCESS_E_IO: all is
/// gone but the pid file, which could not be removed.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_daemon_stop(daemon: Option<&proxyprocess_daemon>, err: ErrorOut<'_>) -> i32 {
    call("daemon", daemon.map(|daemon| &daemon.0), err, |daemon| Ok(daemon.stop()?))
}

/// Ends the grace of a proxyprocess_daemon_stop() that is under way in another thread, as proxyprocess_manager_end_grace() does:
/// what is left of the process gets SIGKILL now. While nothing is being ended it does nothing.
///
/// Returns 0.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_daemon_end_grace(daemon: Option<&proxyprocess_daemon>, err: ErrorOut<'_>) -> i32 {
    call("daemon", daemon.map(|daemon| &daemon.0), err, |daemon| Ok(daemon.end_grace()?))
}

/// Ends the supervision and leaves the process running. From now on proxyprocess_daemon_stop() has no effect.
///
/// Returns 0; PROXYPROCESS_E_FORKED.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_daemon_close(daemon: Option<&proxyprocess_daemon>, err: ErrorOut<'_>) -> i32 {
    call("daemon", daemon.map(|daemon| &daemon.0), err, |daemon| Ok(daemon.close()?))
}

/// Whether two daemons are the same process as declared: id, command, directory, environment, token, credentials and
/// files. How they are stopped and restarted, and the agent's own environment, do not count. A daemon out of a snapshot of
/// Consul's equals one whose declared variables its process has, whichever others that has.
///
/// `equal`: where 1 or 0 is put.
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

/// What proxyprocess_daemon_unmarshal_snapshot() needs to take the process over, in another agent as well: a JSON object
/// with the declaration, the token in the clear, and the process if one lives.
///
/// `json`: where the text is put; free it with proxyprocess_text_free().
///
/// `json_length`: where its length is put; may be NULL.
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

/// Becomes the daemon of a snapshot. A process that lives, and is proven to be the one of the snapshot, is supervised at
/// once; one that is gone is started by proxyprocess_daemon_start().
///
/// `json`, `json_length`: what proxyprocess_daemon_marshal_snapshot() gave, or the Daemon.MarshalSnapshot of Consul 1.2 to
/// 1.4 (`CommandArgs`, `CommandDir`, `CommandEnv`, `CommandPath`, `Pid`, `ProxyID`, `ProxyToken`), which names no files: the
/// files of this daemon are kept then. No NUL is needed at its end.
///
/// Returns 0; PROXYPROCESS_E_INVALID_CONFIG naming the field, or because this daemon was started already;
/// PROXYPROCESS_E_INVALID_UTF8; PROXYPROCESS_E_IO and PROXYPROCESS_E_EXHAUSTED when Consul's process cannot be examined
/// now. Nothing is changed then.
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

/// What the daemon is doing: a list of one.
///
/// `list`: where the list is put; free it with proxyprocess_status_list_free().
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

/// A reader of the daemon's lifecycle events from now on.
///
/// `events`: where the handle is put; free it with proxyprocess_events_free(), before or after the daemon.
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
