// SPDX-License-Identifier: MPL-2.0
//! Ids that are meant to escape the directory, or to share files with others.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proxyprocess::ProxyState;

use crate::inside::{Host, helper, json, quick};
use crate::support::{Launch, Scene};

/// Near each other by every rule by which names are made, or look alike, or are names of other files.
fn neighbours() -> Vec<String> {
    let named =
        ["lock", "snapshot.json", ".snapshot.json.tmp", "records", "logs", "pids", "con", "NUL", "~", "*", "$(id)"];
    let suffixed =
        ["a", "a-stdout", "a-stdout.log", "a-stdout.log-stdout", "a-stderr", "a.json", "a.pid", "a.tmp", "a+"];
    let encoded =
        ["%a", "%%a", "%25a", "%.a.tmp", ".a.tmp", ".a", "a%2Fb", "a%2fb", "%a%2Fb", "a/b", "a//b", "a\\b", "%2F"];
    let walking =
        ["../records/a.json", "../../etc/passwd", "/etc/passwd", "a/../b", "a/./b", "./a", "..a", "...", "a/"];
    let alike =
        ["A", "\u{410}", "\u{430}", "\u{e1}", "a\u{301}", "a\u{200b}", "a ", " a", "a\t", "a\u{85}", "\u{202e}a", "ａ"];
    let all = named.into_iter().chain(suffixed).chain(encoded).chain(walking).chain(alike);
    let mut ids: Vec<String> = all.map(String::from).collect();
    for length in [198, 199, 200, 201, 1024] {
        ids.push("y".repeat(length));
        // Encoded it is thrice as long, and cut.
        ids.push("/".repeat(length));
    }
    // Where one ends, the name of the other's directory begins.
    let cut = "z".repeat(199);
    ids.extend([format!("%{cut}+"), format!("%{cut}"), format!("{cut}zz"), format!("{cut}+/%z")]);
    ids
}

/// The content of every file below a directory.
fn contents(dir: &Path, suffix: &str) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(contents(&path, suffix));
        } else if path.to_str().unwrap().ends_with(suffix) {
            all.push(fs::read_to_string(path).unwrap());
        }
    }
    all
}

#[test]
fn ids_that_nearly_share_a_name_share_nothing_and_come_back() {
    let scene = Scene::of_library();
    let data_dir = scene.data_dir();
    let ids = neighbours();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    let mut host = Host::new(quick(&data_dir));
    for (number, id) in ids.iter().enumerate() {
        host.set(id, helper(&scene, &["log", &format!("line {number}.")]));
    }
    host.run();
    let starts: Vec<_> = ids.iter().map(|id| scene.reports.start(id)).collect();
    ids.iter().for_each(|_| {
        drop(host.events.until("a start", |event| matches!(event.kind, proxyprocess::EventKind::Started { .. })))
    });
    host.close();

    let lines: BTreeSet<String> = (0..ids.len()).map(|number| format!("line {number}.\n")).collect();
    for suffix in ["-stdout.log", "-stderr.log"] {
        let found = contents(&data_dir.join("logs"), suffix);
        assert_eq!((found.len(), found.into_iter().collect()), (ids.len(), lines.clone()), "{suffix}");
    }
    let pids: BTreeSet<String> = starts.iter().map(|start| format!("{}\n", start.pid)).collect();
    assert_eq!(contents(&data_dir.join("pids"), "").into_iter().collect::<BTreeSet<_>>(), pids);
    assert_eq!(contents(&data_dir.join("records"), ".json").len(), ids.len());
    // At the top there is what always is, and beside it nothing.
    assert_eq!(crate::support::list(&data_dir), ["lock", "logs", "pids", "records", "snapshot.json"]);
    assert_eq!(crate::support::list(&scene.path("")), ["data", "locks"]);
    let declared = json(&data_dir.join("snapshot.json"))["Proxies"].as_object().unwrap().len();
    assert_eq!(declared, ids.len());

    // By their records, and then by their pid files alone.
    for lose in ["nothing", "the records"] {
        if lose == "the records" {
            fs::remove_dir_all(data_dir.join("records")).unwrap();
        }
        let next = Host::new(quick(&data_dir));
        next.restore().unwrap();
        for (id, start) in ids.iter().zip(&starts) {
            let status = next.status(id);
            let expected = (ProxyState::Running, Some(start.pid));
            assert_eq!((status.state, status.pid), expected, "{id:?} without {lose}: {:?}", status.last_error);
        }
        if lose == "nothing" {
            next.close();
            continue;
        }
        next.kill();
    }
    assert!(starts.iter().all(|start| start.process.is_gone()));
    for part in ["pids", "records"] {
        assert_eq!(contents(&data_dir.join(part), ""), [""; 0], "{part}");
    }
    scene.finish();
}

/// From a file: what no id can be is refused by name, and nothing is made of it.
#[test]
fn bytes_that_are_no_id_make_nothing() {
    let scene = Scene::new();
    let data_dir = scene.data_dir();
    let long = "x".repeat(10_000);
    let ids: [&[u8]; 7] = [b"", b"a\\u0000b", b"a\0b", b"a\xffb", b"\xc0\xaf..", b"\\ud800", long.as_bytes()];
    for id in ids {
        let shown = String::from_utf8_lossy(&id[..id.len().min(20)]).into_owned();
        let mut agent = Launch::new(&scene).spawn_with(|path| {
            let head = format!("{{\"data_dir\": \"{}\", \"proxies\": {{\"", data_dir.display());
            fs::write(path, [head.as_bytes(), id, b"\": {\"command\": [\"true\"]}}}"].concat()).unwrap();
        });
        assert_eq!(agent.end().code(), Some(1), "{shown}: {}", agent.log());
        assert!(agent.log().contains("agent.json") || agent.log().contains("proxies"), "{shown}: {}", agent.log());
        assert!(!data_dir.exists(), "{shown}");
    }
    scene.finish();
}
