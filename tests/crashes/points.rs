// SPDX-License-Identifier: MPL-2.0
//! The fail points: those that are in the source, and those that a life has passed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::crashes::player::Player;

/// How the source passes a point, up to its name.
pub(crate) const PASSES: [&str; 3] = ["fail::point(\"", "failing(\"", "(\"child:"];

/// The names of the points in the source that are passed so; `None` where the source cannot be read.
pub(crate) fn in_source(so: &[&str]) -> Option<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), so, &mut names)?;
    Some(names)
}

fn collect(dir: &Path, so: &[&str], names: &mut BTreeSet<String>) -> Option<()> {
    for entry in fs::read_dir(dir).ok()? {
        let path = entry.ok()?.path();
        if path.is_dir() {
            collect(&path, so, names)?;
            continue;
        }
        let text = fs::read_to_string(&path).ok()?;
        for place in so {
            for (at, _) in text.match_indices(place) {
                let name = text[at..].split('"').nth(1).expect("a literal");
                names.insert(name.to_owned());
            }
        }
    }
    Some(())
}

/// How often each point was passed, by the number of the agent and the name.
pub(crate) fn passed(it: &Player) -> BTreeMap<(usize, String), usize> {
    let mut passed = BTreeMap::new();
    for launch in 1..=it.launches {
        for name in fs::read_to_string(it.trace(launch)).unwrap_or_default().lines() {
            *passed.entry((launch, name.to_owned())).or_default() += 1;
        }
    }
    passed
}
