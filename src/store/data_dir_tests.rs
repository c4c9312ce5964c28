// SPDX-License-Identifier: MPL-2.0
//! The data directory, its files and who may use them.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::LazyLock;

use super::super::external_files::read_file;
use super::super::file_place::FilePlace;
use super::super::id_file_names::FileName;
use super::super::process_record::RecordHeader;
use super::super::record_recovery::{Lost, Records};
use super::*;
use crate::declaration::Fingerprint;
use crate::defaults::MAX_SET_ASIDE;
use crate::lifecycle::start_numbers::StartNumbers;
use crate::store::recorded_stop::RecordedStop;
use crate::store::{LogHome, LogOwner};
use crate::sys::pid::Pid;
use crate::sys::process_identity::Identity;

fn identity() -> Identity {
    let pid = Pid::from_raw(42).unwrap();
    Identity { pid, group: pid, start_ticks: 7, boot_id: "boot".into(), inode: None }
}

fn header(id: &str) -> RecordHeader<'_> {
    static STOP: LazyLock<RecordedStop> = LazyLock::new(RecordedStop::default);
    RecordHeader {
        id,
        fingerprint: Fingerprint::new(),
        token: None,
        token_generated: false,
        stop: STOP.as_header(),
        owner_tag: None,
        numbers: StartNumbers::default(),
        notifications: None,
        sockets: &[],
        ended: None,
    }
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
fn data_dir_whose_lock_file_was_removed_is_still_locked() {
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
        dir.write_pid(FilePlace::Current, "web", identity().pid).unwrap();
        dir.write_pid(FilePlace::Current, &long, identity().pid).unwrap();
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
        dir.write_pid(FilePlace::Current, id, identity().pid).unwrap();
    }
    dir.write_record(FilePlace::Current, header("known"), &identity()).unwrap();
    std::fs::write(place.path().join("pids/broken.pid"), "x").unwrap();
    let mut records = dir.records().unwrap();
    let lost = dir.lost(&mut records).unwrap();
    let told: Vec<_> = lost.iter().map(|lost| (lost.id.as_str(), lost.pid)).collect();
    let pid = Some(identity().pid);
    assert_eq!(told, [(&*long, pid), ("a/b", pid), ("broken", None), ("web", pid)]);
    assert!(records.bad[0].to_string().ends_with("pids/broken.pid: expected a pid and a newline"));
}

#[test]
fn records_of_any_id_are_found_again_and_forgotten() {
    let place = tempfile::tempdir().unwrap();
    let dir = DataDir::open(&place.path().join("new")).unwrap();
    let ids = ["web", "../../escape", ".hidden", "a.json", "b+", &"ä/".repeat(300)];
    for (pid, id) in (1..).zip(ids) {
        let identity = Identity { pid: Pid::from_raw(pid).unwrap(), ..identity() };
        dir.write_record(FilePlace::Current, header(id), &identity).unwrap();
        dir.write_pid(FilePlace::Current, id, identity.pid).unwrap();
        dir.open_logs(id, [true; 2], LogOwner::Agent).unwrap();
    }
    let Records { mut found, bad, .. } = dir.records().unwrap();
    found.sort_by(|one, other| one.id.cmp(&other.id));
    let mut expected = ids.map(str::to_owned);
    expected.sort();
    assert_eq!(found.into_iter().map(|record| record.id).collect::<Vec<_>>(), expected);
    assert_eq!(bad, []);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "nothing escaped");
    for id in ids {
        dir.forget(FilePlace::Current, id).unwrap();
        dir.forget(FilePlace::Current, id).unwrap();
    }
    assert_eq!(dir.records().unwrap().found, []);
}

#[test]
fn everything_is_the_owners_alone() {
    let place = tempfile::tempdir().unwrap();
    std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let dir = DataDir::open(place.path()).unwrap();
    dir.write_record(FilePlace::Current, header("web"), &identity()).unwrap();
    dir.write_pid(FilePlace::Current, "web", identity().pid).unwrap();
    dir.open_logs("web", [true; 2], LogOwner::Agent).unwrap();
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
fn a_directory_is_opened_again_only_when_something_has_happened_to_it() {
    let place = tempfile::tempdir().unwrap();
    let dir = DataDir::open(place.path()).unwrap();
    for part in Subdirectory::ALL {
        let path = place.path().join(part.as_str());
        let first = dir.part(part).unwrap();
        assert!(Arc::ptr_eq(&first, &dir.part(part).unwrap()));
        assert!(Arc::ptr_eq(&first, &dir.part_as_it_is(part).unwrap().unwrap()));
        std::fs::rename(&path, place.path().join("elsewhere")).unwrap();
        assert!(dir.part_as_it_is(part).unwrap().is_none());
        let second = dir.part(part).unwrap();
        assert_ne!(first.own_inode().unwrap(), second.own_inode().unwrap());
        assert!(Arc::ptr_eq(&second, &dir.part(part).unwrap()));
        std::fs::remove_dir(&path).unwrap();
        std::fs::rename(place.path().join("elsewhere"), &path).unwrap();
        assert_eq!(dir.part(part).unwrap().own_inode().unwrap(), first.own_inode().unwrap());
    }
    // All of it is made anew.
    let logs = dir.part(Subdirectory::Logs).unwrap();
    std::fs::remove_dir_all(place.path()).unwrap();
    assert_ne!(dir.part(Subdirectory::Logs).unwrap().own_inode().unwrap(), logs.own_inode().unwrap());
    dir.write_pid(FilePlace::Current, "web", identity().pid).unwrap();
    assert!(place.path().join("pids/web.pid").exists());
}

#[test]
fn a_record_that_is_torn_or_in_anothers_place_counts_for_nothing() {
    let place = tempfile::tempdir().unwrap();
    let dir = DataDir::open(place.path()).unwrap();
    dir.write_record(FilePlace::Current, header("web"), &identity()).unwrap();
    let records_dir = place.path().join("records");
    std::fs::copy(records_dir.join("web.json"), records_dir.join("other.json")).unwrap();
    std::fs::write(records_dir.join("empty.json"), "").unwrap();
    symlink("web.json", records_dir.join("link.json")).unwrap();
    let mut records = dir.records().unwrap();
    assert_eq!(records.found.len(), 1);
    let lost = dir.lost(&mut records).unwrap();
    assert_eq!(lost.iter().map(|lost| lost.id.as_str()).collect::<Vec<_>>(), ["empty", "link", "other"]);
    let bad = records.bad;
    assert_eq!(bad.len(), 3, "{bad:?}");
    for name in ["empty", "link", "other"] {
        let aside = format!("{name}.json.corrupt-1");
        assert!(bad.iter().any(|error| error.to_string().ends_with(&format!("set aside as {aside}"))), "{bad:?}");
        assert!(records_dir.join(aside).symlink_metadata().is_ok());
    }
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
    assert!(dir.open_logs("web", [true; 2], LogOwner::Agent).is_err());
    assert!(dir.read_snapshot().is_err());
    // What was planted for their temporary files, or in their place, is removed.
    dir.write_pid(FilePlace::Current, "web", identity().pid).unwrap();
    dir.write_snapshot(|file| file.write_all(b"x")).unwrap();
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "mine");
}

#[test]
fn records_of_the_same_process_count_for_nothing() {
    let place = tempfile::tempdir().unwrap();
    let dir = DataDir::open(place.path()).unwrap();
    let other = Identity { pid: Pid::from_raw(43).unwrap(), ..identity() };
    for (id, identity) in [("one", identity()), ("two", identity()), ("three", other)] {
        dir.write_record(FilePlace::Current, header(id), &identity).unwrap();
    }
    let mut records = dir.records().unwrap();
    assert_eq!(records.found.iter().map(|record| record.id.as_str()).collect::<Vec<_>>(), ["three"]);
    assert_eq!(records.bad.len(), 2);
    let lost = ["one", "two"].map(|id| Lost { id: id.to_owned(), place: FilePlace::Current, pid: None });
    assert_eq!(dir.lost(&mut records).unwrap(), lost);
}

#[test]
fn bad_files_are_set_aside_under_free_names_and_not_without_end() {
    let place = tempfile::tempdir().unwrap();
    let dir = DataDir::open(place.path()).unwrap();
    let bad = || Error::new(ErrorCode::CorruptSnapshot, "bad");
    let aside = |number: u32| place.path().join(format!("snapshot.json.corrupt-{number}"));
    for number in 1..=MAX_SET_ASIDE {
        dir.write_snapshot(|file| file.write_all(format!("bad {number}").as_bytes())).unwrap();
        let said = dir.set_snapshot_aside(bad()).to_string();
        assert_eq!(said, format!("bad; set aside as snapshot.json.corrupt-{number}"));
        assert_eq!(dir.read_snapshot().unwrap(), None);
    }
    for _ in 0..3 {
        dir.write_snapshot(|file| file.write_all(b"one too many")).unwrap();
        let said = dir.set_snapshot_aside(bad()).to_string();
        assert_eq!(said, "bad; not set aside, for there are 8 of snapshot.json already");
        assert!(dir.keep_snapshot().starts_with("not set aside"));
    }
    for number in 1..=MAX_SET_ASIDE {
        assert_eq!(std::fs::read_to_string(aside(number)).unwrap(), format!("bad {number}"));
    }
    assert!(!aside(MAX_SET_ASIDE + 1).exists());
}

#[test]
fn what_is_bad_in_part_is_kept_once() {
    let place = tempfile::tempdir().unwrap();
    let dir = DataDir::open(place.path()).unwrap();
    dir.write_snapshot(|file| file.write_all(b"first")).unwrap();
    for _ in 0..3 {
        assert_eq!(dir.keep_snapshot(), "set aside as snapshot.json.corrupt-1");
    }
    dir.write_snapshot(|file| file.write_all(b"second")).unwrap();
    assert_eq!(dir.keep_snapshot(), "set aside as snapshot.json.corrupt-2");
    dir.write_snapshot(|file| file.write_all(b"third")).unwrap();
    for (number, content) in [(1, "first"), (2, "second")] {
        let kept = std::fs::read_to_string(place.path().join(format!("snapshot.json.corrupt-{number}")));
        assert_eq!(kept.unwrap(), content);
    }
}

#[test]
fn what_is_too_large_is_neither_read_nor_written() {
    let place = tempfile::tempdir().unwrap();
    let dir = DataDir::open(place.path()).unwrap();
    // It takes no room: only its size is large.
    std::fs::File::create(place.path().join("snapshot.json")).unwrap().set_len(1 << 30).unwrap();
    let said = dir.read_snapshot().unwrap_err().to_string();
    assert!(said.ends_with("larger than 268435456 bytes"), "{said}");
    assert!(read_file(&place.path().join("snapshot.json")).is_err());
}
