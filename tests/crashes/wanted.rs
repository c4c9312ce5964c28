// SPDX-License-Identifier: MPL-2.0
//! What is wanted of an agent: ids, the kind of each, and a version by which its processes are known from outside.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::json;

use crate::support::{Config, OVERLAPS, Proxy, Scene};

/// The id of the proxy that Consul has started, and its token.
pub(crate) const CONSUL: &str = "consul";
pub(crate) const TOKEN: &str = "secret";

/// What a proxy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Runs until a signal ends it.
    Runs,
    /// The same, as an orphan that asks to be killed when its parent ends.
    Detached,
    /// The same, and says by a notification that it is ready; it has a watchdog, which does not expire.
    Notifies,
    /// The same, and a command of its stop ends it.
    Drains,
    /// The same, and has a socket that is open while the agent lives.
    Listens,
    /// The same, and its next process is started beside it.
    Overlaps,
    /// Handles the stop signal, and ends.
    Polite,
    /// Has to be killed.
    Stubborn,
    /// Leads a group whose other process has to be killed.
    Leads,
    /// Ends by itself, again and again.
    Ends,
    /// Ends by itself, and is not run again.
    Once,
    /// Is declared, and not run.
    Paused,
    /// Has no program.
    Missing,
}

impl Kind {
    /// Whether it has a process whenever all is well.
    pub(crate) fn lives(self) -> bool {
        !matches!(self, Kind::Ends | Kind::Once | Kind::Paused | Kind::Missing)
    }
}

/// One proxy as it is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Want {
    pub(crate) kind: Kind,
    /// Its processes have it in their last argument.
    pub(crate) version: u32,
    /// What can be changed without another process.
    pub(crate) grace_ms: u64,
}

/// The path of the socket of a proxy that has one.
pub(crate) fn socket_of(scene: &Scene, id: &str) -> PathBuf {
    scene.path(&format!("{id}.socket"))
}

/// All proxies that are wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted(pub(crate) BTreeMap<String, Want>);

impl Wanted {
    /// Wants a proxy, in place of an earlier one of this id.
    pub(crate) fn with(mut self, id: &str, kind: Kind, version: u32) -> Wanted {
        self.0.insert(id.to_owned(), Want { kind, version, grace_ms: 50 });
        self
    }

    /// Another setting of a proxy that needs no other process for it.
    pub(crate) fn grace(mut self, id: &str, grace_ms: u64) -> Wanted {
        self.0.get_mut(id).expect("it is wanted").grace_ms = grace_ms;
        self
    }

    pub(crate) fn without(mut self, id: &str) -> Wanted {
        self.0.remove(id);
        self
    }

    /// The configuration of an agent.
    pub(crate) fn config(&self, scene: &Scene) -> Config {
        // Where none can be made there are none.
        self.0.iter().fold(Config::new(scene).set("cgroup", "auto"), |config, (id, want)| match id.as_str() {
            CONSUL => config.proxy(id, want.proxy().set("token", TOKEN)),
            _ if want.kind == Kind::Listens => config
                .proxy(id, want.proxy().set("listen", json!([format!("unix:{}", socket_of(scene, id).display())]))),
            _ => config.proxy(id, want.proxy()),
        })
    }
}

impl Want {
    fn proxy(self) -> Proxy {
        let version = format!("v{}", self.version);
        let words: &[&str] = match self.kind {
            Kind::Runs | Kind::Listens | Kind::Overlaps | Kind::Drains | Kind::Paused => &["run", &version],
            Kind::Detached => &["bound", &version],
            Kind::Notifies => &["notifies", "at-once", "READY=1", &version],
            Kind::Polite => &["graceful", &version],
            Kind::Stubborn => &["stubborn", &version],
            Kind::Leads => &["grandchild", "stubborn", &version],
            Kind::Ends => &["exit", "3", &version],
            Kind::Once => &["exit", "0", &version],
            Kind::Missing => return Proxy::command(&["/no/such/program", &version]),
        };
        let restart = match self.kind {
            Kind::Ends => json!({"attempts_before_backoff": 1, "max_wait_ms": 60_000}),
            Kind::Once => json!({"policy": "never"}),
            // However often it was killed, no test waits for it.
            _ => json!({"max_wait_ms": 20}),
        };
        let proxy = Proxy::helper(words).set("restart", restart);
        if self.kind == Kind::Drains {
            let drain = json!(["/bin/sh", "-c", "kill -TERM $MAINPID"]);
            let steps = json!([{"command": drain, "for_ms": 1000}, {"signal": "SIGTERM", "for_ms": self.grace_ms}]);
            return proxy.set("stop", steps);
        }
        let proxy = proxy.grace_ms(self.grace_ms);
        match self.kind {
            Kind::Detached => proxy.set("detached", true),
            Kind::Paused => proxy.set("enabled", false),
            Kind::Notifies => proxy.set("ready", "notify").set("watchdog_ms", 3_600_000),
            Kind::Overlaps => proxy.set("replace", "overlap").env(&[&format!("{OVERLAPS}=1")]),
            _ => proxy,
        }
    }
}
