// SPDX-License-Identifier: MPL-2.0
//! One managed proxy.

use std::sync::Arc;

use super::custom_kinds::CustomProxy;
use crate::declaration::ExecMode;
use crate::lifecycle::ProxyState;
use crate::supervisor::adoption::unrecorded_process::ConsulProcess;
use crate::supervisor::{ProxyStatus, Spec};

/// One managed proxy.
#[derive(Clone)]
pub(super) enum Managed {
    Daemon(ManagedDaemon),
    Custom(Box<CustomProxy>),
}

impl Managed {
    /// Whether it is a daemon that is declared and not to run.
    pub(super) fn is_paused(&self) -> bool {
        matches!(self, Managed::Daemon(daemon) if daemon.spec.is_paused())
    }

    /// Its status while it has no process.
    pub(super) fn status(&self, id: &str) -> ProxyStatus {
        match self {
            Managed::Daemon(_) => {
                let state = if self.is_paused() { ProxyState::Paused } else { ProxyState::Idle };
                ProxyStatus::new(id, &ExecMode::DAEMON, state)
            }
            Managed::Custom(other) => other.status(),
        }
    }
}

/// A daemon, which the supervisor looks after.
#[derive(Clone)]
pub(super) struct ManagedDaemon {
    pub(super) spec: Arc<Spec>,
    /// Until the first sync, of a daemon restored from Consul's snapshot: its process, which is compared with what is
    /// declared by what it has.
    pub(super) consul: Option<Box<ConsulProcess>>,
}
