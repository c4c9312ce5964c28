// SPDX-License-Identifier: MPL-2.0
//! The plan of a sync: the difference between what is managed and what is declared. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How what is managed relates to what is wanted under the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// Nothing changed.
    Same,
    /// It goes on running, under other settings.
    Settings,
    /// It has to be another one.
    Different,
}

/// What to do for one id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlanStep {
    Start,
    Update,
    Replace,
    Remove,
}

/// The steps from `current` to `wanted`, by id. What did not change takes none. `among`: only these may have changed, and
/// of the others `wanted` says nothing.
pub(super) fn plan<C, W>(
    current: &BTreeMap<Arc<str>, C>,
    wanted: &BTreeMap<Arc<str>, W>,
    among: Option<&BTreeSet<Arc<str>>>,
    relation: impl Fn(&C, &W) -> Relation,
) -> Vec<(Arc<str>, PlanStep)> {
    let all = among.is_none().then(|| current.keys()).into_iter().flatten();
    let changed = among.into_iter().flatten().filter(|id| current.contains_key(*id));
    let removed = all.chain(changed).filter(|id| !wanted.contains_key(*id)).map(|id| (id.clone(), PlanStep::Remove));
    let others = wanted.iter().filter_map(|(id, wanted)| {
        let step = match current.get(id).map(|current| relation(current, wanted)) {
            None => PlanStep::Start,
            Some(Relation::Same) => return None,
            Some(Relation::Settings) => PlanStep::Update,
            Some(Relation::Different) => PlanStep::Replace,
        };
        Some((id.clone(), step))
    });
    // ORDER: what is not wanted goes first, and frees its ports and files for what comes.
    removed.chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A process is the tens, a setting the ones.
    fn relation(current: &u8, wanted: &u8) -> Relation {
        match (current == wanted, current / 10 == wanted / 10) {
            (true, _) => Relation::Same,
            (false, true) => Relation::Settings,
            (false, false) => Relation::Different,
        }
    }

    fn set(values: &[(&str, u8)]) -> BTreeMap<Arc<str>, u8> {
        values.iter().map(|(id, value)| ((*id).into(), *value)).collect()
    }

    #[test]
    fn each_id_gets_the_one_step_that_it_needs() {
        let current = set(&[("gone", 1), ("same", 10), ("settings", 10), ("other", 10)]);
        let wanted = set(&[("new", 1), ("same", 10), ("settings", 11), ("other", 20)]);
        let steps = plan(&current, &wanted, None, relation);
        let steps: Vec<(&str, PlanStep)> = steps.iter().map(|(id, step)| (&**id, *step)).collect();
        let expected = [
            ("gone", PlanStep::Remove),
            ("new", PlanStep::Start),
            ("other", PlanStep::Replace),
            ("settings", PlanStep::Update),
        ];
        assert_eq!(steps, expected);
    }

    proptest! {
        #[test]
        fn the_steps_lead_from_one_set_to_the_other(
            current in proptest::collection::btree_map("[a-e]", 0u8..40, 0..6),
            wanted in proptest::collection::btree_map("[a-e]", 0u8..40, 0..6),
        ) {
            let arcs = |map: BTreeMap<String, u8>| map.into_iter().map(|(id, value)| (id.into(), value)).collect();
            let (mut current, wanted): (BTreeMap<Arc<str>, u8>, BTreeMap<Arc<str>, u8>) = (arcs(current), arcs(wanted));
            let steps = plan(&current, &wanted, None, relation);
            let changed: BTreeSet<Arc<str>> =
                current.keys().chain(wanted.keys()).filter(|id| current.get(*id) != wanted.get(*id)).cloned().collect();
            let part = wanted.iter().filter(|(id, _)| changed.contains(*id)).map(|(id, value)| (id.clone(), *value));
            prop_assert_eq!(&plan(&current, &part.collect(), Some(&changed), relation), &steps);
            for (id, step) in steps {
                match step {
                    PlanStep::Remove => prop_assert!(current.remove(&id).is_some()),
                    PlanStep::Start => prop_assert!(current.insert(id.clone(), wanted[&id]).is_none()),
                    PlanStep::Update | PlanStep::Replace => prop_assert!(current.insert(id.clone(), wanted[&id]).is_some()),
                }
            }
            prop_assert_eq!(&current, &wanted);
            prop_assert!(plan(&current, &wanted, None, relation).is_empty());
        }
    }
}
