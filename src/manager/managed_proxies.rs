// SPDX-License-Identifier: MPL-2.0
//! The managed proxies, by id, and which of them changed since they were last written.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::Arc;

use super::managed::Managed;
use crate::declaration::ExecMode;

/// The fraction of the set that may be written after a snapshot before the snapshot is rewritten, so that the cost of
/// both is proportional to the changes.
const AHEAD_PART: usize = 8;

/// All changes go through here, so that none of them is forgotten by a snapshot that writes down only what changed.
#[derive(Default)]
pub(super) struct ManagedProxies {
    by_id: BTreeMap<Arc<str>, Managed>,
    unwritten: Unwritten,
    /// How many there are whose stored state may change without a change of the declared set.
    changeable: usize,
}

/// What was added, removed or changed since it was written down.
enum Unwritten {
    These(BTreeSet<Arc<str>>),
    /// Too many to be told one by one.
    Many,
}

impl Default for Unwritten {
    fn default() -> Unwritten {
        Unwritten::These(BTreeSet::new())
    }
}

impl Deref for ManagedProxies {
    type Target = BTreeMap<Arc<str>, Managed>;

    fn deref(&self) -> &BTreeMap<Arc<str>, Managed> {
        &self.by_id
    }
}

impl ManagedProxies {
    pub(super) fn insert(&mut self, id: Arc<str>, managed: Managed) -> Option<Managed> {
        self.changeable += usize::from(is_changeable(&managed));
        let old = self.by_id.insert(id.clone(), managed);
        self.changeable -= usize::from(old.as_ref().is_some_and(is_changeable));
        self.note(id);
        old
    }

    pub(super) fn remove(&mut self, id: &Arc<str>) -> Option<Managed> {
        let old = self.by_id.remove(id)?;
        self.changeable -= usize::from(is_changeable(&old));
        self.note(id.clone());
        Some(old)
    }

    /// For a change of one, which stays what it is.
    pub(super) fn get_mut(&mut self, id: &Arc<str>) -> Option<&mut Managed> {
        if self.by_id.contains_key(id) {
            self.note(id.clone());
        }
        self.by_id.get_mut(id)
    }

    pub(super) fn retain(&mut self, keep: impl FnMut(&Arc<str>, &mut Managed) -> bool) {
        self.by_id.retain(keep);
        self.changeable = self.by_id.values().filter(|managed| is_changeable(managed)).count();
        self.unwritten = Unwritten::Many;
    }

    pub(super) fn clear(&mut self) {
        *self = ManagedProxies { unwritten: Unwritten::Many, ..ManagedProxies::default() };
    }

    /// Whether there are proxies whose stored state may change without a change of the declared set.
    pub(super) fn has_changeable(&self) -> bool {
        self.changeable > 0
    }

    /// Those that changed since they were written down; `None` when they are too many, beside so many that were written after the
    /// snapshot, to be written there as well.
    pub(super) fn unwritten(&self, ahead: usize) -> Option<&BTreeSet<Arc<str>>> {
        match &self.unwritten {
            Unwritten::These(ids) if self.may_follow(ahead + ids.len()) => Some(ids),
            Unwritten::These(_) | Unwritten::Many => None,
        }
    }

    /// Whether this many may be written after the snapshot before it is rewritten.
    pub(super) fn may_follow(&self, count: usize) -> bool {
        count <= self.by_id.len() / AHEAD_PART
    }

    /// These are written down as they are.
    pub(super) fn wrote<'a>(&mut self, these: impl IntoIterator<Item = &'a Arc<str>>) {
        if let Unwritten::These(ids) = &mut self.unwritten {
            for id in these {
                ids.remove(id);
            }
        }
    }

    /// All are written down as they are.
    pub(super) fn wrote_all(&mut self) {
        self.unwritten = Unwritten::default();
    }

    fn note(&mut self, id: Arc<str>) {
        if let Unwritten::These(ids) = &mut self.unwritten {
            ids.insert(id);
            if ids.len() > self.by_id.len() / AHEAD_PART {
                self.unwritten = Unwritten::Many;
            }
        }
    }
}

fn is_changeable(managed: &Managed) -> bool {
    matches!(managed, Managed::Custom(other) if other.mode != ExecMode::NOOP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::declaration::ProxyConfig;
    use crate::manager::managed::ManagedDaemon;
    use crate::supervisor::Spec;

    fn managed(id: &str) -> Managed {
        let spec = Arc::new(Spec::for_tests(id, ProxyConfig::new(Command::new("a"))));
        Managed::Daemon(ManagedDaemon { spec, consul: None })
    }

    fn of(count: usize) -> ManagedProxies {
        let mut proxies = ManagedProxies::default();
        for number in 0..count {
            let id = number.to_string();
            proxies.insert(id.as_str().into(), managed(&id));
        }
        proxies.wrote_all();
        proxies
    }

    fn told(proxies: &ManagedProxies, ahead: usize) -> Option<Vec<&str>> {
        proxies.unwritten(ahead).map(|ids| ids.iter().map(|id| &**id).collect())
    }

    #[test]
    fn each_change_is_unwritten_until_it_was_written() {
        let mut proxies = of(40);
        assert_eq!(told(&proxies, 0), Some(vec![]));
        proxies.insert("new".into(), managed("new"));
        assert!(proxies.remove(&"7".into()).is_some() && proxies.remove(&"absent".into()).is_none());
        assert!(proxies.get_mut(&"9".into()).is_some() && proxies.get_mut(&"absent".into()).is_none());
        assert_eq!(told(&proxies, 0), Some(vec!["7", "9", "new"]));
        proxies.wrote(&["7".into(), "new".into()]);
        assert_eq!(told(&proxies, 0), Some(vec!["9"]));
        proxies.wrote_all();
        assert_eq!(told(&proxies, 0), Some(vec![]));
    }

    #[test]
    fn more_than_an_eighth_together_with_what_was_written_after_the_snapshot_is_too_much() {
        let mut proxies = of(40);
        for id in ["1", "2", "3"] {
            proxies.get_mut(&id.into());
        }
        assert!(told(&proxies, 2).is_some() && told(&proxies, 3).is_none());
        for id in ["4", "5", "6"] {
            proxies.get_mut(&id.into());
        }
        // It is not known any more which.
        proxies.wrote(&["1".into(), "2".into(), "3".into(), "4".into(), "5".into(), "6".into()]);
        assert_eq!(told(&proxies, 0), None);
        proxies.wrote_all();
        proxies.retain(|_, _| true);
        assert_eq!(told(&proxies, 0), None);
    }
}
