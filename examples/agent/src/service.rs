// SPDX-License-Identifier: MPL-2.0
//! What a service manager is told, by sd_notify(3): that the agent is ready, reloads, stops, and is alive.

use std::env;
use std::fmt::Display;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// A service manager that wants to hear of this process, if there is one. What cannot be told is no reason to end.
pub(crate) struct ServiceManager(Option<(UnixDatagram, SocketAddr)>);

impl ServiceManager {
    /// The one that NOTIFY_SOCKET names: a path, or with `@` in front an abstract name.
    pub(crate) fn of_environment() -> ServiceManager {
        let Some(name) = env::var_os("NOTIFY_SOCKET") else { return ServiceManager(None) };
        let address = match name.as_bytes().split_first() {
            Some((b'@', name)) => SocketAddr::from_abstract_name(name),
            _ => SocketAddr::from_pathname(&name),
        };
        // A manager that is busy must not hold up the agent.
        let socket = UnixDatagram::unbound().and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
        match socket.and_then(|socket| Ok((socket, address?))) {
            Ok(manager) => ServiceManager(Some(manager)),
            Err(error) => {
                log::warn!("notify {}: {error}", name.to_string_lossy());
                ServiceManager(None)
            }
        }
    }

    /// It runs, as that line says.
    pub(crate) fn ready(&self, status: impl Display) {
        self.tell(&format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// It begins to read its configuration again: [`ServiceManager::ready`] ends that. The time is when the signal had come,
    /// at the latest.
    pub(crate) fn reloading(&self) {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros()));
    }

    /// It ends, as that line says.
    pub(crate) fn stopping(&self, status: impl Display) {
        self.tell(&format!("STOPPING=1\nSTATUS={}", one_line(status)));
    }

    /// It is alive.
    pub(crate) fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    fn tell(&self, message: &str) {
        let Some((socket, address)) = &self.0 else { return };
        if let Err(error) = socket.send_to_addr(message.as_bytes(), address) {
            log::warn!("notify the service manager: {error}");
        }
    }
}

/// How long this process may be silent: WATCHDOG_USEC, if it is meant for this one (sd_watchdog_enabled(3)).
pub(crate) fn watchdog() -> Option<Duration> {
    let number = |name| env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let of_another = number("WATCHDOG_PID").is_some_and(|pid| pid != u64::from(std::process::id()));
    number("WATCHDOG_USEC").filter(|period| *period > 0 && !of_another).map(Duration::from_micros)
}

fn one_line(text: impl Display) -> String {
    text.to_string().replace(['\n', '\r'], " ")
}
