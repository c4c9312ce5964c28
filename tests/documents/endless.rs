// SPDX-License-Identifier: MPL-2.0
//! Agents that start over and over, and find their files damaged every time.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::documents::told::is_fit;
use crate::inside::{Host, helper, quick};
use crate::support::{Scene, list};

/// More than are ever kept.
const ROUNDS: usize = 12;
const KEPT: usize = 8;

fn corrupt(dir: &Path) -> BTreeMap<String, String> {
    let names = list(dir).into_iter().filter(|name| name.contains("corrupt"));
    names.map(|name| (name.clone(), fs::read_to_string(dir.join(name)).unwrap())).collect()
}

#[test]
fn a_loop_of_crashes_with_damaged_files_does_not_fill_the_disk() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(&scene, &["run"]));
    host.run();
    let start = scene.reports.start("web");
    host.events.started("web");
    host.close();
    let records = scene.data_dir().join("records");
    for round in 1..=ROUNDS {
        fs::write(scene.data_dir().join("snapshot.json"), format!("snapshot {round}")).unwrap();
        fs::write(records.join("web.json"), format!("record {round}")).unwrap();
        let before = (corrupt(&scene.data_dir()), corrupt(&records));
        let mut host = Host::new(quick(&scene.data_dir()));
        let error = host.restore().unwrap_err().to_string();
        is_fit(&error, "snapshot.json");
        let expected = if round <= KEPT { "set aside as" } else { "not set aside, for there are 8" };
        assert!(error.contains(expected), "{round}: {error}");
        host.set("web", helper(&scene, &["run"]));
        host.run();
        assert_eq!(host.events.adopted("web"), start.pid, "{round}");
        host.close();
        // None is ever written over.
        let now = (corrupt(&scene.data_dir()), corrupt(&records));
        assert!(before.0.iter().all(|kept| now.0.get(kept.0) == Some(kept.1)), "{round}");
        assert!(before.1.iter().all(|kept| now.1.get(kept.0) == Some(kept.1)), "{round}");
        assert_eq!((now.0.len(), now.1.len()), (round.min(KEPT), round.min(KEPT)));
    }
    assert_eq!(corrupt(&scene.data_dir())["snapshot.json.corrupt-1"], "snapshot 1");
    Host::new(quick(&scene.data_dir())).kill();
    scene.finish();
}

/// One that does not come so far as to write a snapshot finds the same entry wrong each time.
#[test]
fn what_is_wrong_in_part_is_kept_once_however_often_it_is_read() {
    let scene = Scene::of_library();
    let path = scene.data_dir().join("snapshot.json");
    drop(Host::new(quick(&scene.data_dir())));
    let content = r#"{"Version":2,"Proxies":{"bad":{},"good":{"Mode":"noop"}}}"#;
    fs::write(&path, content).unwrap();
    for _ in 0..ROUNDS {
        let host = Host::new(quick(&scene.data_dir()));
        host.restore().unwrap();
        drop(host);
        let kept: Vec<_> = corrupt(&scene.data_dir()).into_iter().collect();
        assert_eq!(kept, [("snapshot.json.corrupt-1".to_owned(), content.to_owned())]);
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
    scene.finish();
}
