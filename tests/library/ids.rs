// SPDX-License-Identifier: MPL-2.0
//! Ids are names and never paths.

use std::fs;
use std::path::Path;

use proxyprocess::{ErrorCode, ProxyState};

use crate::inside::{Host, helper, quick};
use crate::support::Scene;

fn odd_ids() -> Vec<String> {
    let mut ids: Vec<String> =
        ["a/b", "../../escape", "..", ".", ".hidden", "/absolute", "%41", "A", "a b", "ä€𝄞", "a\nb", "\u{7f}", "-rf"]
            .map(String::from)
            .into();
    ids.extend(["x".repeat(200), "x".repeat(201), "y".repeat(300), "/".repeat(300), "ä".repeat(512)]);
    ids
}

fn count_files(dir: &Path) -> usize {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { count_files(&path) } else { 1 }).sum()
}

#[test]
fn any_id_has_its_own_files_and_comes_back() {
    let scene = Scene::of_library();
    let ids = odd_ids();
    let mut host = Host::new(quick(&scene.data_dir()));
    for id in &ids {
        host.set(id, helper(&scene, &["log", "a line"]));
    }
    host.run();
    let starts: Vec<_> = ids.iter().map(|id| scene.reports.start(id)).collect();
    host.close();
    for (dir, each) in [("logs", 2), ("pids", 1), ("records", 1)] {
        assert_eq!(count_files(&scene.data_dir().join(dir)), each * ids.len(), "{dir}");
    }
    // Nothing was made beside the data directory.
    let beside = fs::read_dir(scene.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut beside: Vec<_> = beside.collect();
    beside.sort();
    assert_eq!(beside, ["data", "locks"]);

    let mut next = Host::new(quick(&scene.data_dir()));
    next.restore().unwrap();
    for (id, start) in ids.iter().zip(&starts) {
        let status = next.status(id);
        assert_eq!((status.state, status.pid), (ProxyState::Running, Some(start.pid)), "{id:?}");
    }
    next.set("a/b", helper(&scene, &["log", "a line"]));
    next.run();
    for id in ids.iter().filter(|id| *id != "a/b") {
        let start = starts.iter().find(|start| start.id == *id).unwrap();
        start.process.wait();
    }
    next.kill();
    assert_eq!(count_files(&scene.data_dir().join("pids")), 0);
    assert_eq!(count_files(&scene.data_dir().join("records")), 0);
    scene.finish();
}

#[test]
fn what_is_no_id_is_refused_where_it_is_declared() {
    let scene = Scene::of_library();
    let host = Host::new(quick(&scene.data_dir()));
    for id in ["", "a\0b", &"x".repeat(1025)] {
        let error = host.state.set(id, helper(&scene, &["run"])).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidId);
    }
    host.set(&"x".repeat(1024), helper(&scene, &["run"]));
    assert_eq!(host.state.list().len(), 1);
    host.kill();
    scene.finish();
}
