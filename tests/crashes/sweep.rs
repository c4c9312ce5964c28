//! The agent dies at every point.

use std::collections::{BTreeMap, BTreeSet};

use crate::cases::{self, Case, Then};
use crate::player::{Arm, Player};
use crate::{life, points};

/// Passed only when the data directory is in use.
const NOT_IN_THE_LIFE: [&str; 1] = ["lock:busy"];

/// Plays the life without a cut. How often each agent has passed each point.
fn trace() -> BTreeMap<(usize, String), usize> {
    let mut it = Player::new(life::first(), []);
    life::play(&mut it).expect("nothing happens to the agents");
    let passed = points::passed(&it);
    it.finish();
    passed
}

#[test]
fn the_life_passes_every_point() {
    let Some(mut all) = points::in_source() else { return eprintln!("skipped: the source cannot be read") };
    all.retain(|name| !NOT_IN_THE_LIFE.contains(&name.as_str()));
    let passed: BTreeSet<String> = trace().into_keys().map(|(_, name)| name).collect();
    assert_eq!(passed, all);
}

#[test]
fn the_agent_dies_at_every_point() {
    let mut all = Vec::new();
    for ((launch, point), count) in trace() {
        let passings = BTreeSet::from([1, count.div_ceil(2), count]);
        for passing in passings {
            for then in [Then::Same, Then::Other, Then::Nothing] {
                all.push(Case { arms: vec![(launch, Arm::dies(&point, passing))], then });
            }
        }
    }
    let cuts = cases::play_all("the agent dies", &all, cases::play);
    println!("cut: {}", cuts.into_iter().sum::<usize>());
}
