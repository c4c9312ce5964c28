// SPDX-License-Identifier: MPL-2.0
//! What is known of a process that may live, and why it was not adopted.

use crate::lifecycle::start_numbers::StartNumbers;
use crate::store::{Record, RecordedEnd, RecordedNotifications, RecordedSocket};
use crate::sys::pid::Pid;
use crate::sys::process_identity::Identity;

/// What is said of a process that may live.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Claim {
    /// By a record of this data directory, with the token, the owner tag, the socket for notifications and the sockets of its
    /// own that the process has.
    Recorded {
        identity: Identity,
        token: Option<Box<str>>,
        owner_tag: Option<String>,
        numbers: StartNumbers,
        notifications: Option<RecordedNotifications>,
        sockets: Box<[RecordedSocket]>,
        /// Of one whose proxy rested since.
        ended: Option<Box<RecordedEnd>>,
    },
    /// By a snapshot that is not this directory's: a record is written once it is proven.
    Snapshot { identity: Identity, owner_tag: Option<String>, numbers: StartNumbers },
    /// By a pid alone: of a snapshot of Consul, or of a pid file whose record cannot be read. What the process
    /// carries has to prove it.
    PidOnly {
        pid: Pid,
        /// Whether it runs what is declared, as far as its command shows; else its record must not say so.
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

    /// The group that the process is or was in.
    pub(crate) fn group(&self) -> Pid {
        self.identity().map_or(self.pid(), |identity| identity.group)
    }

    /// The owner tag that the process has, where it is known.
    pub(crate) fn owner_tag(&self) -> Option<&str> {
        match self {
            Claim::Recorded { owner_tag, .. } | Claim::Snapshot { owner_tag, .. } => owner_tag.as_deref(),
            Claim::PidOnly { .. } => None,
        }
    }

    /// The token that the process has, where its record says it.
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

    /// What is known of its notifications.
    pub(crate) fn notifications(&self) -> Option<RecordedNotifications> {
        match self {
            Claim::Recorded { notifications, .. } => *notifications,
            Claim::Snapshot { .. } | Claim::PidOnly { .. } => None,
        }
    }

    /// The sockets of `listen` that the process has, where they are known.
    pub(crate) fn sockets(&self) -> &[RecordedSocket] {
        match self {
            Claim::Recorded { sockets, .. } => sockets,
            Claim::Snapshot { .. } | Claim::PidOnly { .. } => &[],
        }
    }

    /// How the process has ended, where an earlier agent has recorded it.
    pub(crate) fn ended(&self) -> Option<RecordedEnd> {
        match self {
            Claim::Recorded { ended, .. } => ended.as_deref().copied(),
            Claim::Snapshot { .. } | Claim::PidOnly { .. } => None,
        }
    }

    /// More than the pid, where it is known.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        match self {
            Claim::Recorded { identity, .. } | Claim::Snapshot { identity, .. } => Some(identity),
            Claim::PidOnly { .. } => None,
        }
    }
}

impl Record {
    /// What the record says of its process.
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

/// What a claim that is refused says of the process that was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has ended.
    Ended,
    /// The process that has its pid is not proven to be it, and so it counts as gone.
    Unproven,
    /// Another agent supervises it: it is none of ours, nor is what it has left.
    Supervised,
    /// It may live, and must be neither doubled nor signalled.
    Unknown,
}
