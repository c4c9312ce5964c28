// SPDX-License-Identifier: MPL-2.0
//! What is known about a process that may be alive, and why it was not adopted.

use crate::lifecycle::start_numbers::StartNumbers;
use crate::store::{Record, RecordedEnd, RecordedNotifications, RecordedSocket};
use crate::sys::pid::Pid;
use crate::sys::process_identity::Identity;

/// What identifies a process that may be alive.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Claim {
    /// A record of this data directory, with the token, the owner tag, the notification socket and the sockets that the
    /// process has.
    Recorded {
        identity: Identity,
        token: Option<Box<str>>,
        owner_tag: Option<String>,
        numbers: StartNumbers,
        notifications: Option<RecordedNotifications>,
        sockets: Box<[RecordedSocket]>,
        /// How it ended, if its proxy was not started again.
        ended: Option<Box<RecordedEnd>>,
    },
    /// A snapshot of another directory: a record is written once the process is proven.
    Snapshot { identity: Identity, owner_tag: Option<String>, numbers: StartNumbers },
    /// Only a pid: from a Consul snapshot, or from a pid file whose record cannot be read. The environment of the
    /// process must prove its identity.
    PidOnly {
        pid: Pid,
        /// Whether it runs what is declared, as far as its command shows; otherwise its record must not say so.
        as_declared: bool,
    },
}

impl Claim {
    pub(crate) fn pid(&self) -> Pid {
        match self {
            Claim::Recorded { identity, .. } | Claim::Snapshot { identity, .. } => identity.pid,
            Claim::PidOnly { pid, .. } => *pid,
        }
    }

    /// The process group that the process is or was in.
    pub(crate) fn group(&self) -> Pid {
        self.identity().map_or(self.pid(), |identity| identity.group)
    }

    /// The owner tag of the process, if it is known.
    pub(crate) fn owner_tag(&self) -> Option<&str> {
        match self {
            Claim::Recorded { owner_tag, .. } | Claim::Snapshot { owner_tag, .. } => owner_tag.as_deref(),
            Claim::PidOnly { .. } => None,
        }
    }

    /// The token of the process, if its record contains it.
    pub(crate) fn token(&self) -> Option<&str> {
        match self {
            Claim::Recorded { token, .. } => token.as_deref(),
            Claim::Snapshot { .. } | Claim::PidOnly { .. } => None,
        }
    }

    /// The numbers of the start that the process comes from.
    pub(crate) fn numbers(&self) -> StartNumbers {
        match self {
            Claim::Recorded { numbers, .. } | Claim::Snapshot { numbers, .. } => *numbers,
            Claim::PidOnly { .. } => StartNumbers::default(),
        }
    }

    /// What is known about its notifications.
    pub(crate) fn notifications(&self) -> Option<RecordedNotifications> {
        match self {
            Claim::Recorded { notifications, .. } => *notifications,
            Claim::Snapshot { .. } | Claim::PidOnly { .. } => None,
        }
    }

    /// The sockets of `listen` that the process has, if they are known.
    pub(crate) fn sockets(&self) -> &[RecordedSocket] {
        match self {
            Claim::Recorded { sockets, .. } => sockets,
            Claim::Snapshot { .. } | Claim::PidOnly { .. } => &[],
        }
    }

    /// How the process ended, if an earlier agent recorded it.
    pub(crate) fn ended(&self) -> Option<RecordedEnd> {
        match self {
            Claim::Recorded { ended, .. } => ended.as_deref().copied(),
            Claim::Snapshot { .. } | Claim::PidOnly { .. } => None,
        }
    }

    /// More than the pid, if it is known.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        match self {
            Claim::Recorded { identity, .. } | Claim::Snapshot { identity, .. } => Some(identity),
            Claim::PidOnly { .. } => None,
        }
    }
}

impl Record {
    /// What the record says about its process.
    pub(crate) fn into_claim(self) -> Claim {
        let Record { identity, token, owner_tag, numbers, notifications, sockets, ended, .. } = self;
        let (token, sockets, ended) = (token.map(String::into), sockets.into(), ended.map(Box::new));
        Claim::Recorded { identity, token, owner_tag, numbers, notifications, sockets, ended }
    }
}

/// Why a process was not adopted.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: String,
    pub(crate) verdict: Verdict,
}

/// What a refused claim says about the claimed process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has ended.
    Ended,
    /// The process with this pid is not proven to be the claimed one, which therefore counts as gone.
    Unproven,
    /// Another agent supervises it: neither it nor the processes that it left belong to this agent.
    Supervised,
    /// It may be alive, and must be neither started a second time nor signalled.
    Unknown,
}
