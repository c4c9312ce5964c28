// SPDX-License-Identifier: MPL-2.0
//! What the record of a process contains besides its declaration.

use std::sync::Arc;

use super::leader::Source;
use super::supervised::Supervised;
use crate::store::RecordedNotifications;
use crate::supervisor::adoption::claim::Claim;
use crate::supervisor::spawner::job::{Given, Job};

impl Supervised {
    /// The owner tag that its process has.
    pub(crate) fn owner_tag(&self) -> Arc<str> {
        match self.leader.as_ref().map(|leader| &leader.source) {
            Some(Source::Claimed(tag)) => String::from_utf8_lossy(&tag.owner_tag).into(),
            Some(Source::Started(spec)) => spec.context.owner_tag.clone(),
            None => self.spec.context.owner_tag.clone(),
        }
    }

    /// What its process was given at its start.
    pub(crate) fn given(&self) -> Given {
        let claimed = || self.claim.as_deref().and_then(Claim::notifications);
        let heard = self.rare.notifications.as_ref().map(|heard| RecordedNotifications {
            name: heard.name(),
            watchdog_period: Some(heard.watchdog.period())
                .filter(|period| *period != self.spec.config.watchdog_period()),
        });
        let (owner_tag, sockets) = (self.owner_tag(), self.rare.sockets.clone());
        Given { owner_tag, numbers: self.numbers, notifications: heard.or_else(claimed), sockets }
    }

    /// Has its process recorded as its declaration is now.
    pub(crate) fn record_job(&self) -> Job {
        Job::Record { key: self.key, spec: self.spec.clone(), given: self.given() }
    }

    /// Has its process recorded if it is not.
    pub(crate) fn record_missing_job(&self) -> Job {
        Job::RecordMissing { key: self.key, spec: self.spec.clone(), given: self.given() }
    }
}
