// SPDX-License-Identifier: MPL-2.0
//! The entry of one proxy in a snapshot.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use crate::declaration::{ExecMode, Fingerprint, ProxyConfig, ProxySnapshot};
use crate::lifecycle::start_numbers::StartNumbers;
use crate::sys::pid::Pid;
use crate::sys::process_identity::Identity;

/// One proxy of a snapshot.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Entry {
    Daemon(DaemonEntry),
    /// Of any other mode, with what its own code stored.
    Other(ExecMode, ProxySnapshot),
}

/// A daemon of a snapshot.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DaemonEntry {
    pub(crate) config: Arc<ProxyConfig>,
    pub(crate) process: StoredProcess,
    /// A call has paused it. Not in snapshots of earlier versions.
    pub(crate) paused: bool,
}

/// The process of a daemon, as a snapshot names it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum StoredProcess {
    /// It names none: there is none, or the records beside the snapshot name it.
    Unnamed,
    /// There is none.
    None,
    Known(KnownProcess),
    /// Consul's own: a pid alone, to be proven by what the process carries.
    Version1(Version1Process),
}

/// A process and what it was started from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownProcess {
    pub(crate) identity: Identity,
    pub(crate) fingerprint: Fingerprint,
    /// The owner tag that the process has: by it, what left its group is known. Not in snapshots of earlier versions.
    pub(crate) owner_tag: Option<String>,
    /// Those of the start that it comes from. Not in snapshots of earlier versions.
    pub(crate) numbers: StartNumbers,
}

/// A process of Consul's manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version1Process {
    pub(crate) pid: Pid,
    /// The first argument, where the command's first word is the resolved path.
    pub(crate) argv0: OsString,
    /// All that it has but its id and token, whether it was declared or inherited.
    pub(crate) environment: BTreeMap<OsString, OsString>,
}
