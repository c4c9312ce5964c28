// SPDX-License-Identifier: MPL-2.0
//! Readiness: proxies that are started and not ready yet, in each of the ways that a declaration can say when they are.

mod adoption;
mod commands;
mod confirmed_reload;
mod connects;
mod leader_changes;
mod leader_changes_cut;
mod notifications;
mod notifications_of_adopted;
mod reports;
mod stored;
mod timeouts;
mod watchdog;
mod watchdog_of_adopted;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};

use proxyprocess::{ProxyConfig, ProxyState, Ready};

use crate::inside::{Host, helper};
use crate::support::{Scene, Start};

/// An address of this test alone: one of the loopback network that has the pid in it, and a port that is not ephemeral.
fn address() -> SocketAddr {
    static PORT: AtomicU16 = AtomicU16::new(17_600);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    SocketAddr::from(([127, high | 0x40, middle, low], PORT.fetch_add(1, Ordering::Relaxed)))
}

/// A helper process that becomes ready so on SIGUSR1, with what its role is told.
fn awaited(scene: &Scene, ready: Ready) -> ProxyConfig {
    let (how, place) = match &ready {
        Ready::Tcp(address) => ("tcp", address.to_string()),
        Ready::Unix(path) => ("unix", path.to_str().expect("a path in UTF-8").to_owned()),
        Ready::Fd(number) => ("fd", number.to_string()),
        other => panic!("{other:?} is not awaited"),
    };
    helper(scene, &["ready", how, &place]).with_ready(ready)
}

/// Checks that the proxy runs in this process and is not ready.
#[track_caller]
fn is_starting(host: &Host, start: &Start) {
    let status = host.status(&start.id);
    assert_eq!((status.state, status.ready, status.pid), (ProxyState::Starting, false, Some(start.pid)));
}

/// Checks that the proxy runs in this process and is ready.
#[track_caller]
fn is_ready(host: &Host, start: &Start) {
    let status = host.status(&start.id);
    assert_eq!((status.state, status.ready, status.pid), (ProxyState::Running, true, Some(start.pid)));
}
