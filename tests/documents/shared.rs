// SPDX-License-Identifier: MPL-2.0
//! Two records of one process.

use std::fs;

use serde_json::{Value, json};

use crate::documents::told::{failures, is_fit};
use crate::inside::{Host, helper, quick};
use crate::support::Scene;

/// One of them is wrong, and nothing in them says which. Taken at its word, the stop of the one proxy would be the end of
/// the other's process, and its own would be lost.
#[test]
fn records_that_name_the_same_process_are_not_believed() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let ids = ["one", "two", "three"];
    ids.iter().for_each(|id| host.set(id, helper(&scene, &["run"])));
    host.run();
    let starts = ids.map(|id| scene.reports.start(id));
    host.events.snapshot_written();
    host.follow("marker");
    host.state.remove("marker");
    host.close();
    let path = |id: &str| scene.data_dir().join(format!("records/{id}.json"));
    let mut record: Value = serde_json::from_str(&fs::read_to_string(path("one")).unwrap()).unwrap();
    record["id"] = json!("two");
    record.as_object_mut().unwrap().remove("check").unwrap();
    fs::write(path("two"), record.to_string()).unwrap();

    let mut next = Host::new(quick(&scene.data_dir()));
    next.restore().unwrap();
    let told = failures(&mut next);
    assert_eq!(told.len(), 2, "{told:?}");
    told.iter().for_each(|text| is_fit(text, &format!("names pid {}", starts[0].pid)));
    for start in &starts {
        assert_eq!(next.status(&start.id).pid, Some(start.pid), "{}", start.id);
    }
    ids.iter().for_each(|id| next.set(id, helper(&scene, &["run"])));
    next.run();
    next.follow("marker");
    // The one can go without the other.
    next.state.remove("two");
    next.events.stopped("two");
    assert!(starts[1].process.is_gone() && !starts[0].process.is_gone());
    next.kill();
    scene.finish();
}
