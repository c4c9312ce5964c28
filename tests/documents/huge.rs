// SPDX-License-Identifier: MPL-2.0
//! Documents that are larger than anybody means them to be: bounded in time, in memory, and in what is said of them.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use proxyprocess::{ErrorCode, State};

use crate::documents::told::{failures, is_fit};
use crate::inside::{Host, quick};
use crate::support::{Scene, alone};

const MIB: usize = 1 << 20;

/// No build on any machine comes near it.
const PATIENCE: Duration = Duration::from_secs(300);

/// The most memory that this process ever had, in bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn a_gigabyte_is_not_read_into_memory() {
    alone("documents::huge::a_gigabyte_is_not_read_into_memory", || {
        let scene = Scene::of_library();
        let (snapshot, record) = (scene.data_dir().join("snapshot.json"), scene.data_dir().join("records/web.json"));
        drop(Host::new(quick(&scene.data_dir())));
        let gigabyte = |path: &Path| fs::File::create(path).unwrap().set_len(1 << 30).unwrap();
        gigabyte(&snapshot);
        gigabyte(&record);
        gigabyte(&scene.data_dir().join("pids/web.pid"));
        let elsewhere = scene.path("told");
        gigabyte(&elsewhere);
        let before = peak();
        let mut host = Host::new(quick(&scene.data_dir()));
        let error = host.restore().unwrap_err();
        is_fit(&error.to_string(), snapshot.to_str().unwrap());
        assert!(
            error.to_string().contains("larger than 268435456 bytes; set aside as snapshot.json.corrupt-1"),
            "{error}"
        );
        let told = failures(&mut host);
        assert!(
            told.iter().any(|text| text.contains("records/web.json") && text.contains("larger than 1048576")),
            "{told:?}"
        );
        let error = host.manager.restore(&elsewhere).unwrap_err();
        assert!(error.to_string().contains("larger than 268435456 bytes"), "{error}");
        host.kill();
        assert!(peak() - before < 16 * MIB, "{} bytes more", peak() - before);
        scene.finish();
    });
}

/// It would be the message of an error, of an event, of a line of the log, and of a status.
#[test]
fn a_document_of_100_mebibytes_does_not_make_a_large_message() {
    let scene = Scene::of_library();
    let begun = Instant::now();
    let mut host = Host::new(quick(&scene.data_dir()));
    let name = vec![b'x'; 100 * MIB];
    let path = scene.data_dir().join("snapshot.json");
    let parts: [&[u8]; 3] = [b"{\"Version\":2,\"", &name, b"\":1}"];
    let mut file = fs::File::create(&path).unwrap();
    parts.iter().for_each(|part| file.write_all(part).unwrap());
    drop(file);
    let error = host.restore().unwrap_err();
    assert_eq!(error.code(), ErrorCode::CorruptSnapshot);
    is_fit(&error.to_string(), path.to_str().unwrap());
    assert!(failures(&mut host).iter().all(|text| text.len() < 4096));
    host.kill();
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    scene.finish();
}

#[test]
fn no_document_that_is_handed_over_makes_a_large_message() {
    let name = "x".repeat(MIB);
    let documents = [
        format!("{{\"{name}\":1}}"),
        format!("{{\"{name}\":1,\"{name}\":1}}"),
        format!("{{\"a\":{{\"command\":[\"b\"],\"{name}\":1}}}}"),
        format!("{{\"a\":{{\"command\":[\"b\"],\"mode\":\"{name}\"}}}}"),
        format!("{{\"a\":{{\"command\":[\"b\"],\"stop_signal\":\"{name}\"}}}}"),
        format!("{{\"a\":{{\"command\":[\"b\"],\"stop_signal\":[\"{name}\"]}}}}"),
        format!("{{\"a\":{{\"command\":[\"b\"],\"env\":[\"{name}=\\u0000\"]}}}}"),
        format!("{{\"a\":{{\"command\":[\"b\"],\"env\":[\"{name}\\u0000=\"]}}}}"),
        format!("{{\"a\":{name}}}"),
        format!("{{\"a\\nb\":{{\"command\":[\"b\"],\"restart\":{{\"jitter\":2,\"{name}\":1}}}}}}"),
    ];
    for document in documents {
        let error = State::new().replace_all_json(&document).unwrap_err();
        is_fit(&error.to_string(), "proxies");
    }
}

#[test]
fn a_hundred_thousand_bad_entries_are_counted_and_not_listed() {
    let scene = Scene::of_library();
    let told = scene.path("told");
    let entries: Vec<String> = (0..100_000).map(|number| format!("\"{number}\":7")).collect();
    fs::write(&told, format!("{{\"Version\":2,\"Proxies\":{{{}}}}}", entries.join(","))).unwrap();
    let begun = Instant::now();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.manager.restore(&told).unwrap();
    let said = failures(&mut host);
    assert_eq!(said.len(), 17, "{said:?}");
    assert!(said[16].ends_with("99984 more, 100000 in all"), "{}", said[16]);
    host.kill();
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    scene.finish();
}

#[test]
fn a_hundred_thousand_proxies_come_back_in_bounded_time() {
    let scene = Scene::of_library();
    drop(Host::new(quick(&scene.data_dir())));
    let entry = |number| format!("\"proxy {number}\":{{\"Mode\":\"daemon\",\"Config\":{{\"command\":[\"/bin/a\"]}}}}");
    let entries: Vec<String> = (0..100_000).map(entry).collect();
    let content = format!("{{\"Version\":2,\"Proxies\":{{{}}}}}", entries.join(","));
    fs::write(scene.data_dir().join("snapshot.json"), content).unwrap();
    let begun = Instant::now();
    let host = Host::new(quick(&scene.data_dir()));
    host.restore().unwrap();
    assert_eq!(host.manager.status().len(), 100_000);
    let told = scene.path("told");
    host.manager.snapshot(&told).unwrap();
    assert!(fs::metadata(told).unwrap().len() > 5 << 20);
    host.manager.close().unwrap();
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    scene.finish();
}

/// A pipe would be read for ever.
#[test]
fn what_is_no_file_is_not_waited_for() {
    let scene = Scene::of_library();
    let pipe = scene.path("pipe");
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).unwrap();
    let host = Host::new(quick(&scene.data_dir()));
    for path in [pipe.as_path(), "/dev/zero".as_ref(), "/dev/null".as_ref()] {
        let error = host.manager.restore(path).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Io);
        is_fit(&error.to_string(), path.to_str().unwrap());
    }
    host.kill();
    scene.finish();
}
