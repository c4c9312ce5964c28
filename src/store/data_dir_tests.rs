//! The data directory, its files and who may use them.

use super::*;
use crate::declaration::Fingerprint;
use crate::lifecycle::StopSettings;
use crate::store::encode::FileName;
use crate::store::record::Origin;
use crate::sys::identity::{Identity, Pid};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

fn identity() -> Identity {
    Identity { pid: Pid::from_raw(42).unwrap(), start_ticks: 7, boot_id: "boot".into(), inode: None }
}

fn origin(id: &str) -> Origin<'_> {
    let stop = StopSettings::default();
    Origin { id, fingerprint: Fingerprint::new(), token: None, token_generated: false, stop }
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().mode() & 0o777
}

#[test]
fn a_second_manager_is_refused_and_told_who_has_it() {
    let place = tempfile::tempdir().unwrap();
    let first = DataDir::open(place.path()).unwrap();
    let error = DataDir::open(place.path()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Locked);
    assert!(error.to_string().ends_with(&format!("is in use by process {}", std::process::id())), "{error}");
    first.unlock();
    DataDir::open(place.path()).unwrap();
}

#[test]
fn removing_the_lock_file_lets_nobody_in() {
    let place = tempfile::tempdir().unwrap();
    let _first = DataDir::open(place.path()).unwrap();
    std::fs::remove_file(place.path().join("lock")).unwrap();
    assert_eq!(DataDir::open(place.path()).unwrap_err().code(), ErrorCode::Locked);
}

#[test]
fn what_a_dead_agent_was_writing_is_removed_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let long = "ä/".repeat(300);
    let parents = {
        let dir = DataDir::open(place.path()).unwrap();
        dir.write_pid("web", identity().pid).unwrap();
        dir.write_pid(&long, identity().pid).unwrap();
        FileName::of(&long).parents
    };
    let below = parents.iter().map(|parent| parent.to_str().unwrap()).collect::<Vec<_>>().join("/");
    let left = [
        ".snapshot.json.tmp".to_owned(),
        "records/.web.tmp".to_owned(),
        "pids/.gone.tmp".to_owned(),
        format!("pids/{below}/.%x.tmp"),
    ];
    let others = [".mine.tmp".to_owned(), "pids/web.pid".to_owned()];
    left.iter().chain(&others[..1]).for_each(|name| std::fs::write(place.path().join(name), "half").unwrap());
    DataDir::open(place.path()).unwrap();
    assert!(left.iter().all(|name| !place.path().join(name).exists()));
    assert!(others.iter().all(|name| place.path().join(name).exists()));
}

#[test]
fn a_pid_file_without_a_record_is_told() {
    let place = tempfile::tempdir().unwrap();
    let dir = DataDir::open(place.path()).unwrap();
    let long = "a long id/".repeat(60);
    for id in ["web", "a/b", "known", &long] {
        dir.write_pid(id, identity().pid).unwrap();
    }
    dir.write_record(origin("known"), &identity()).unwrap();
    std::fs::write(place.path().join("pids/broken.pid"), "x").unwrap();
    let lost = dir.strays(&dir.records().unwrap().0).unwrap();
    let mut lost: Vec<_> = lost.into_iter().map(|(id, stray)| (id, stray.pid)).collect();
    lost.sort();
    assert_eq!(lost, [&long, "a/b", "web"].map(|id| (id.to_owned(), identity().pid)));
}

#[test]
fn records_of_any_id_are_found_again_and_forgotten() {
    let place = tempfile::tempdir().unwrap();
    let dir = DataDir::open(&place.path().join("new")).unwrap();
    let ids = ["web", "../../escape", ".hidden", "a.json", "b+", &"ä/".repeat(300)];
    for id in ids {
        dir.write_record(origin(id), &identity()).unwrap();
        dir.write_pid(id, identity().pid).unwrap();
        dir.open_logs(id).unwrap();
    }
    let (mut found, bad) = dir.records().unwrap();
    found.sort_by(|one, other| one.id.cmp(&other.id));
    let mut expected = ids.map(str::to_owned);
    expected.sort();
    assert_eq!(found.into_iter().map(|record| record.id).collect::<Vec<_>>(), expected);
    assert_eq!(bad, []);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "nothing escaped");
    for id in ids {
        dir.forget(id).unwrap();
        dir.forget(id).unwrap();
    }
    assert_eq!(dir.records().unwrap().0, []);
}

#[test]
fn everything_is_the_owners_alone() {
    let place = tempfile::tempdir().unwrap();
    std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let dir = DataDir::open(place.path()).unwrap();
    dir.write_record(origin("web"), &identity()).unwrap();
    dir.write_pid("web", identity().pid).unwrap();
    dir.open_logs("web").unwrap();
    dir.write_snapshot(|file| file.write_all(b"{}")).unwrap();
    for name in ["", "logs", "pids", "records"] {
        assert_eq!(mode(&place.path().join(name)), 0o700, "{name}");
    }
    let files =
        ["lock", "snapshot.json", "logs/web-stdout.log", "logs/web-stderr.log", "pids/web.pid", "records/web.json"];
    for name in files {
        assert_eq!(mode(&place.path().join(name)), 0o600, "{name}");
    }
    std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o770)).unwrap();
    assert_eq!(DataDir::open(place.path()).unwrap_err().code(), ErrorCode::Untrusted);
}

#[test]
fn a_record_that_is_torn_or_in_anothers_place_counts_for_nothing() {
    let place = tempfile::tempdir().unwrap();
    let dir = DataDir::open(place.path()).unwrap();
    dir.write_record(origin("web"), &identity()).unwrap();
    let records = place.path().join("records");
    std::fs::copy(records.join("web.json"), records.join("other.json")).unwrap();
    std::fs::write(records.join("empty.json"), "").unwrap();
    symlink("web.json", records.join("link.json")).unwrap();
    let (found, bad) = dir.records().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(bad.len(), 3, "{bad:?}");
    assert!(bad.iter().any(|error| error.to_string().contains("of another id, \"web\"")), "{bad:?}");
}

#[test]
fn links_planted_for_any_file_are_not_followed() {
    let place = tempfile::tempdir().unwrap();
    let victim = place.path().join("victim");
    std::fs::write(&victim, "mine").unwrap();
    let data = place.path().join("data");
    let dir = DataDir::open(&data).unwrap();
    for name in ["logs/web-stdout.log", "pids/web.pid", "pids/.web.tmp", "snapshot.json", ".snapshot.json.tmp"] {
        symlink(&victim, data.join(name)).unwrap();
    }
    assert!(dir.open_logs("web").is_err());
    assert!(dir.read_snapshot().is_err());
    // What was planted for their temporary files, or in their place, is removed.
    dir.write_pid("web", identity().pid).unwrap();
    dir.write_snapshot(|file| file.write_all(b"x")).unwrap();
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "mine");
}

#[test]
fn a_bad_snapshot_is_set_aside_under_a_free_name() {
    let place = tempfile::tempdir().unwrap();
    let dir = DataDir::open(place.path()).unwrap();
    for number in 1..=3 {
        dir.write_snapshot(|file| file.write_all(b"bad")).unwrap();
        assert_eq!(dir.set_snapshot_aside().unwrap(), format!("snapshot.json.corrupt-{number}"));
    }
    assert_eq!(dir.read_snapshot().unwrap(), None);
}
