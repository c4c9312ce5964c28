// SPDX-License-Identifier: MPL-2.0
//! The agent dies at every point, and so does the next one; a thread of it stands still at every point.

use std::collections::{BTreeMap, BTreeSet};

use crate::crashes::arm::Arm;
use crate::crashes::cases::{self, Case, Then};
use crate::crashes::chance::{Chance, some};
use crate::crashes::player::Player;
use crate::crashes::{life, points};

/// Passed only when the data directory is in use, or only where there are pidfds, or where there are none; where cgroups can be
/// made; or when another process leads, or none follows an end, of which there are tests of their own.
const NOT_IN_EVERY_LIFE: [&str; 23] = [
    "adopt:open",
    "cgroup:kill",
    "cgroup:make",
    "cgroup:open",
    "cgroup:read",
    "cgroup:remove",
    "end:recorded",
    "leader:opened",
    "leader:proven",
    "leader:recorded",
    "lock:busy",
    "log:blanked",
    "log:collapse",
    "log:cut",
    "log:kept",
    "log:lease",
    "log:measure",
    "log:punch",
    "pidfd:probe",
    "socket:take",
    "sockets:taken",
    "watch:add",
    "watch:polled",
];

/// How often each agent passes each point, by its number and the point's name.
pub(crate) type Trace = BTreeMap<(usize, String), usize>;

/// Plays the life without a cut.
pub(crate) fn trace() -> Trace {
    let mut it = Player::new(life::first(), []);
    life::play(&mut it).expect("nothing happens to the agents");
    let passed = points::passed(&it);
    it.finish();
    passed
}

/// Plays the life without a cut; what it passes of the points that are to be tried.
pub(crate) fn tried() -> Trace {
    let mut trace = trace();
    if let Ok(one) = std::env::var("PROXYPROCESS_SWEEP") {
        trace.retain(|(_, name), _| one == "all" || one == *name);
    }
    trace
}

/// Whether everything is to be tried that there is, at all points or at one, and not only what fits into a minute.
pub(crate) fn everything() -> bool {
    std::env::var_os("PROXYPROCESS_SWEEP").is_some()
}

/// Some passings of each point by each agent: the first, one in the middle and the last, or only one of them, as often
/// the first as any.
fn passings(trace: &Trace, chance: &mut Chance) -> Vec<(usize, String, usize)> {
    let chosen = trace.iter().flat_map(|((launch, point), &count)| {
        let passings = match everything() {
            true => BTreeSet::from([1, count.div_ceil(2), count]),
            false if chance.below(2) == 0 => BTreeSet::from([1]),
            false => BTreeSet::from([1 + chance.below(count)]),
        };
        passings.into_iter().map(|passing| (*launch, point.clone(), passing)).collect::<Vec<_>>()
    });
    chosen.collect()
}

/// One of each point.
fn one_each(all: Vec<Case>, point: impl Fn(&Case) -> String, chance: &mut Chance) -> Vec<Case> {
    let mut by_point: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for case in all {
        by_point.entry(point(&case)).or_default().push(case);
    }
    by_point.into_values().map(|mut cases| cases.swap_remove(chance.below(cases.len()))).collect()
}

fn thens(chance: &mut Chance) -> Vec<Then> {
    let all = [Then::Same, Then::Other, Then::Nothing];
    if everything() { all.to_vec() } else { vec![all[chance.below(all.len())]] }
}

#[test]
fn the_life_passes_every_point() {
    let Some(all) = points::in_source(&points::PASSES) else { return eprintln!("skipped: the source cannot be read") };
    let mut passed: BTreeSet<String> = trace().into_keys().map(|(_, name)| name).collect();
    passed.extend(NOT_IN_EVERY_LIFE.map(str::to_owned));
    assert_eq!(passed, all);
}

#[test]
fn the_agent_dies_at_every_point() {
    let mut chance = Chance::of_test("the agent dies");
    let mut all = Vec::new();
    for (launch, point, passing) in passings(&tried(), &mut chance) {
        for then in thens(&mut chance) {
            all.push(Case { arms: vec![(launch, Arm::dies(&point, passing))], then, disturbed: false });
        }
    }
    if !everything() {
        all = some(all, 90, &mut chance);
    }
    let cuts: usize = cases::play_all("the agent dies", &all, cases::play).into_iter().sum();
    assert!((cuts + 1) * 10 > all.len() * 9, "only {cuts} of {} agents died", all.len());
}

#[test]
fn two_agents_die_one_after_the_other() {
    let mut chance = Chance::of_test("two agents die");
    let (trace, tried) = (trace(), tried());
    let names: BTreeSet<&String> = trace.keys().map(|(_, name)| name).collect();
    let pairs = tried.keys().flat_map(|(launch, first)| names.iter().map(move |second| (*launch, first, *second)));
    let mut pairs: Vec<_> = pairs.collect();
    if !everything() {
        pairs = some(pairs, 30, &mut chance);
    }
    let case = |(launch, first, second): (usize, &String, &String)| {
        let arms = vec![(launch, Arm::dies(first, 1)), (launch + 1, Arm::dies(second, 1))];
        Case { arms, then: Then::Same, disturbed: false }
    };
    let all: Vec<Case> = pairs.into_iter().map(case).collect();
    let cuts: usize = cases::play_all("two agents die", &all, cases::play).into_iter().sum();
    // Of a few pairs no second one may die.
    assert!(cuts > all.len() || all.len() < 10, "only {cuts} agents died in {} pairs", all.len());
}

#[test]
fn a_thread_stands_still_at_every_point() {
    let mut chance = Chance::of_test("a thread stands still");
    let mut all = Vec::new();
    for (launch, point, passing) in passings(&tried(), &mut chance) {
        // A child stands still in `flight`.
        if !point.starts_with("child:") {
            let disturbed = chance.below(2) == 0;
            all.push(Case { arms: vec![(launch, Arm::stalls(&point, passing))], then: Then::Same, disturbed });
        }
    }
    if !everything() {
        let point = |case: &Case| case.arms[0].1.stall.clone().expect("it stalls").0;
        all = one_each(all, point, &mut chance);
        let most = all.len();
        all = some(all, most, &mut chance);
    }
    let cuts: usize = cases::play_all("a thread stands still", &all, cases::play).into_iter().sum();
    assert!((cuts + 1) * 10 > all.len() * 9, "only {cuts} of {} agents were stopped", all.len());
}
