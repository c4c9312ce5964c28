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

    /// What is known of it while it has no process.
    pub(super) fn declared(&self) -> Declared {
        match self {
            Managed::Daemon(_) => Declared::Daemon { is_paused: self.is_paused() },
            Managed::Custom(other) => Declared::Other(Box::new(other.status())),
        }
    }

    /// Its status while it has no process.
    pub(super) fn status(&self, id: &str) -> ProxyStatus {
        self.declared().status(id)
    }
}

/// What is known of a proxy without a process, to be kept beside it: little of a daemon, of which there may be a million, and
/// nothing that is the host's of one of another kind, which that must be able to drop.
#[derive(Debug, Clone)]
pub(super) enum Declared {
    Daemon { is_paused: bool },
    Other(Box<ProxyStatus>),
}

impl Declared {
    pub(super) fn status(&self, id: &str) -> ProxyStatus {
        match self {
            Declared::Daemon { is_paused } => {
                let state = if *is_paused { ProxyState::Paused } else { ProxyState::Idle };
                ProxyStatus::new(id, &ExecMode::DAEMON, state)
            }
            Declared::Other(status) => (**status).clone(),
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
