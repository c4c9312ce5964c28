// SPDX-License-Identifier: MPL-2.0
//! The status that an agent prints.

use std::collections::BTreeMap;
use std::ops::Index;

use serde::Deserialize;

/// All proxies, by id.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Status {
    pub(crate) proxies: BTreeMap<String, ProxyStatus>,
}

/// What one proxy is doing.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ProxyStatus {
    pub(crate) mode: String,
    pub(crate) state: String,
    pub(crate) pid: Option<u32>,
    pub(crate) adopted: bool,
    pub(crate) restarts: u64,
    pub(crate) last_exit: Option<String>,
    pub(crate) next_start_ms: Option<u64>,
    pub(crate) last_error: Option<String>,
    pub(crate) unproven: Vec<Unproven>,
    pub(crate) hint: Option<String>,
    pub(crate) ready: bool,
    pub(crate) status_text: Option<String>,
}

/// A process that may be of a proxy.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Unproven {
    pub(crate) pid: u32,
    pub(crate) program: String,
    pub(crate) why: String,
}

impl Status {
    /// Whether the proxy is known by now and is in this state.
    pub(crate) fn is(&self, id: &str, state: &str) -> bool {
        self.proxies.get(id).is_some_and(|proxy| proxy.state == state)
    }

    /// Whether the proxy runs in this process.
    pub(crate) fn runs(&self, id: &str, pid: u32) -> bool {
        self.is(id, "running") && self[id].pid == Some(pid)
    }

    /// The last error of the proxy, if it is known by now and has one.
    pub(crate) fn error(&self, id: &str) -> Option<&str> {
        self.proxies.get(id)?.last_error.as_deref()
    }
}

impl Index<&str> for Status {
    type Output = ProxyStatus;

    #[track_caller]
    fn index(&self, id: &str) -> &ProxyStatus {
        self.proxies.get(id).unwrap_or_else(|| panic!("no proxy {id} in {self:?}"))
    }
}
