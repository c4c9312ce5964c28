// SPDX-License-Identifier: MPL-2.0
//! The configuration file of an agent.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::cgroups::without_cgroups;
use super::programs::HELPER;
use super::scene::Scene;

/// A configuration: short periods, and root may run proxies unless the test says otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    fields: Map<String, Value>,
    proxies: Map<String, Value>,
}

impl Config {
    pub(crate) fn new(scene: &Scene) -> Config {
        let fields = json!({
            "data_dir": scene.data_dir(),
            "allow_root": true,
            "snapshot_period_ms": 20,
            "coalesce_period_ms": 200,
            "quiescent_period_ms": 10,
        });
        let Value::Object(fields) = fields else { unreachable!("an object") };
        let config = Config { fields, proxies: Map::new() };
        if without_cgroups() { config.set("cgroup", "off") } else { config }
    }

    /// The same of an agent that has no cgroups: it finds by scans what has left a group.
    pub(crate) fn scanning(scene: &Scene) -> Config {
        Config::new(scene).set("cgroup", "off")
    }

    /// Sets a field beside `proxies`.
    pub(crate) fn set(mut self, field: &str, value: impl Into<Value>) -> Config {
        self.fields.insert(field.to_owned(), value.into());
        self
    }

    /// Declares a proxy, in place of an earlier one of this id.
    pub(crate) fn proxy(mut self, id: &str, proxy: Proxy) -> Config {
        self.proxies.insert(id.to_owned(), proxy.0.into());
        self
    }

    /// Declares no proxy of this id.
    pub(crate) fn without(mut self, id: &str) -> Config {
        self.proxies.remove(id);
        self
    }

    /// Writes the file, so that a reader sees the old one or the new one.
    pub(crate) fn write(&self, path: &Path) {
        let mut document = self.fields.clone();
        document.insert("proxies".to_owned(), self.proxies.clone().into());
        let temporary = path.with_extension("tmp");
        fs::write(&temporary, Value::from(document).to_string()).expect("write configuration");
        fs::rename(&temporary, path).expect("rename configuration");
    }
}

/// The declaration of a proxy.
#[derive(Debug, Clone)]
pub(crate) struct Proxy(Map<String, Value>);

impl Proxy {
    /// A helper process in a role.
    pub(crate) fn helper(role: &[&str]) -> Proxy {
        let command: Vec<&str> = [*HELPER].iter().chain(role).copied().collect();
        Proxy::command(&command)
    }

    /// Any command.
    pub(crate) fn command(command: &[&str]) -> Proxy {
        Proxy(Map::new()).set("command", command)
    }

    /// Sets a field of the declaration.
    pub(crate) fn set(mut self, field: &str, value: impl Into<Value>) -> Proxy {
        self.0.insert(field.to_owned(), value.into());
        self
    }

    /// Declares environment variables, each `NAME=value`.
    pub(crate) fn env(self, variables: &[&str]) -> Proxy {
        self.set("env", variables)
    }

    pub(crate) fn grace_ms(self, ms: u64) -> Proxy {
        self.set("grace_period_ms", ms)
    }
}
