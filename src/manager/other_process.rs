// SPDX-License-Identifier: MPL-2.0
//! The process of the other generation of a proxy, which an earlier agent left during a handover.

use crate::store::file_place::FilePlace;
use crate::store::{Record, RecordedStop};
use crate::supervisor::{Claim, OtherClaim, Spec};
use crate::sys::pid::Pid;

/// As its record tells, or its pid file alone, which has to be proven.
pub(super) enum OtherProcess {
    Recorded(FilePlace, Box<Record>),
    Filed(FilePlace, String, Pid),
}

impl OtherProcess {
    /// Its id and its pid.
    pub(super) fn names(&self) -> (&str, Pid) {
        match self {
            OtherProcess::Recorded(_, record) => (&record.id, record.identity.pid),
            OtherProcess::Filed(_, id, pid) => (id, *pid),
        }
    }

    /// Whose files it has.
    pub(super) fn place(&self) -> FilePlace {
        match self {
            OtherProcess::Recorded(place, _) | OtherProcess::Filed(place, ..) => *place,
        }
    }

    /// What is claimed of it: one of this declaration is the one that is to succeed, if it is a next one.
    pub(super) fn into_claim(self, spec: &Spec) -> OtherClaim {
        match self {
            OtherProcess::Recorded(place, record) => OtherClaim {
                place,
                stop: record.stop.clone(),
                as_declared: record.fingerprint == spec.fingerprint(),
                claim: record.into_claim(),
            },
            OtherProcess::Filed(place, _, pid) => {
                let claim = Claim::PidOnly { pid, as_declared: false };
                OtherClaim { place, stop: RecordedStop::of(&spec.config), as_declared: false, claim }
            }
        }
    }

    /// Whether it is of this proxy.
    pub(super) fn is_of(&self, id: &str) -> bool {
        self.names().0 == id
    }
}
