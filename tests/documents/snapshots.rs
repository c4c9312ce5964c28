// SPDX-License-Identifier: MPL-2.0
//! The manager's own snapshot, in every bad form; no process is needed to see what is made of it.

use std::fs;
use std::path::Path;

use proxyprocess::{Command, ErrorCode, ProxyConfig};
use serde_json::json;

use crate::documents::damage::{disguises, flips, truncations};
use crate::documents::told::{failures, is_announced, is_fit};
use crate::inside::{Host, quick};
use crate::support::{Scene, list};

/// A snapshot as a manager writes it, with all that there can be in one.
fn whole(scene: &Scene) -> String {
    let told = scene.path("told");
    let host = Host::new(quick(&scene.path("first")));
    let mut daemon = ProxyConfig::new(Command::new("/bin/a").args(["b", "\u{1}\\"]).dir("/tmp").env("C", "d"));
    (daemon.token, daemon.target_service) = (Some("t".to_owned()), Some("web".to_owned()));
    daemon.stop.signal = "SIGUSR1".parse().unwrap();
    daemon.restart.jitter = 0.5;
    let config = |config: &ProxyConfig| json!({"Mode": config.mode.as_str(), "Config": config.to_json()});
    let document = json!({"Version": 2, "Proxies": {"web/ä": config(&daemon), "other": config(&daemon), "none": {"Mode": "noop"}}});
    fs::write(&told, document.to_string()).unwrap();
    host.manager.restore(&told).unwrap();
    host.manager.snapshot(&told).unwrap();
    host.kill();
    fs::read_to_string(told).unwrap()
}

/// Has a manager restore this content as its own snapshot, and checks that it is taken over whole, or set aside and told.
/// Returns whether it was taken over.
#[track_caller]
fn restore(host: &mut Host, data_dir: &Path, case: &str, content: &[u8]) -> bool {
    let path = data_dir.join("snapshot.json");
    fs::write(&path, content).unwrap();
    let Err(error) = host.restore() else { return true };
    assert_eq!(error.code(), ErrorCode::CorruptSnapshot, "{case}: {error}");
    is_fit(&error.to_string(), path.to_str().unwrap());
    is_announced(host, &error);
    assert!(error.to_string().ends_with("set aside as snapshot.json.corrupt-1"), "{case}: {error}");
    let aside = data_dir.join("snapshot.json.corrupt-1");
    assert!(fs::read(&aside).unwrap() == content, "{case}: it is kept as it was");
    assert!(!path.exists(), "{case}");
    fs::remove_file(aside).unwrap();
    assert_eq!(host.manager.status(), [], "{case}: nothing of it is taken over");
    host.events.forget();
    false
}

#[test]
fn every_truncation_of_a_snapshot_is_set_aside_and_told() {
    let scene = Scene::of_library();
    let whole = whole(&scene);
    let mut host = Host::new(quick(&scene.data_dir()));
    for content in truncations(whole.as_bytes()) {
        let case = format!("{} of {} bytes", content.len(), whole.len());
        assert!(!restore(&mut host, &scene.data_dir(), &case, &content), "{case}");
    }
    assert!(restore(&mut host, &scene.data_dir(), "the whole", whole.as_bytes()));
    assert_eq!(host.manager.status().len(), 3);
    host.kill();
    scene.finish();
}

/// Each proxy is there afterwards, under its name or another, or its loss is told and the file kept.
#[test]
fn every_flipped_bit_of_a_snapshot_is_harmless_or_told() {
    let scene = Scene::of_library();
    let whole = whole(&scene);
    let (mut refused, mut accepted) = (0, 0);
    for (at, content) in flips(whole.as_bytes()).enumerate() {
        let case = format!("byte {at}: {}", String::from_utf8_lossy(&content));
        let data_dir = scene.path(&format!("data {}", at % 2));
        let mut host = Host::new(quick(&data_dir));
        if restore(&mut host, &data_dir, &case, &content) {
            let (known, told) = (host.manager.status().len(), failures(&mut host));
            assert_eq!(known + told.len(), 3, "{case}: {told:?}");
            for text in &told {
                is_fit(text, "snapshot");
                assert!(
                    (text.contains("Proxies.") || text.contains("proxy "))
                        && text.contains("set aside as snapshot.json.corrupt-"),
                    "{text}"
                );
            }
            assert_eq!(list(&data_dir).iter().any(|name| name.contains("corrupt")), !told.is_empty(), "{case}");
            refused += usize::from(!told.is_empty());
            accepted += usize::from(told.is_empty());
        }
        host.manager.close().unwrap();
        fs::remove_dir_all(&data_dir).unwrap();
    }
    assert!(refused > 0 && accepted > 0, "{refused} refused in part, {accepted} accepted");
    scene.finish();
}

#[test]
fn strange_snapshots_are_set_aside_and_told() {
    let scene = Scene::of_library();
    let whole = whole(&scene);
    let mut host = Host::new(quick(&scene.data_dir()));
    let mut cases = disguises(&whole);
    let with_version =
        |version: &str| whole.replacen("\"Version\":2", &format!("\"Version\":{version}"), 1).into_bytes();
    let versions = ["0", "3", "-1", "1e99", "2.5", "\"2\"", "null", "[2]", "18446744073709551617", "true"];
    cases.extend(versions.map(|version| (version, with_version(version))));
    let wrong = [
        r#"{"Version":2,"Version":2,"Proxies":{}}"#,
        r#"{"Version":2,"Proxies":{"a":{"Mode":"noop"},"a":{"Mode":"noop"}}}"#,
        r#"{"Version":2,"Proxies":[]}"#,
        r#"{"Version":2,"Proxies":"none"}"#,
        r#"{"Version":2,"Proxies":{},"More":1}"#,
        r#"{"Proxies":{}}"#,
        r#"{"version":2,"proxies":{}}"#,
        r#"{"Version":1e400}"#,
    ];
    cases.extend(wrong.map(|text| (text, text.as_bytes().to_vec())));
    for (case, content) in cases {
        assert!(!restore(&mut host, &scene.data_dir(), case, &content), "{case}");
    }
    host.kill();
    scene.finish();
}

/// What a field may not be: the entry is refused, which is told with its place; the others come back, and the file is kept.
#[test]
fn an_entry_with_a_wrong_field_loses_no_other_and_is_kept() {
    let scene = Scene::of_library();
    let long = "x".repeat(1 << 20);
    let numbers = ["18446744073709551615", "18446744073709551616", "1e308", "-1", "-0.5", "1e99", "\"1\"", "[]"];
    let mut cases: Vec<(String, String)> = Vec::new();
    for number in numbers {
        for field in ["healthy_after_ms", "max_wait_ms", "attempts_before_backoff", "jitter"] {
            cases.push(("restart".to_owned(), format!("{{\"{field}\":{number}}}")));
        }
        cases.push(("grace_period_ms".to_owned(), number.to_owned()));
        cases.push(("credentials".to_owned(), format!("{{\"uid\":{number},\"gid\":1}}")));
        cases.push((
            "process".to_owned(),
            format!("{{\"pid\":{number},\"start_ticks\":1,\"boot_id\":\"b\",\"fingerprint\":\"0\"}}"),
        ));
    }
    let others = [
        ("stop_signal", "[]".to_owned()),
        ("stop_signal", "65".to_owned()),
        ("stop_signal", format!("\"{long}\"")),
        ("stop_signal", format!("{{\"{long}\":1}}")),
        ("token", "\"\"".to_owned()),
        ("token", "\"a\\u0000\"".to_owned()),
        ("command", "[[256]]".to_owned()),
        ("env", "[\"A\"]".to_owned()),
        (long.as_str(), "1".to_owned()),
        ("line\\nbreak", "1".to_owned()),
        ("mode", format!("\"{long}\"")),
        ("options", "{\"a\":1}".to_owned()),
    ];
    cases.extend(others.map(|(field, value)| (field.to_owned(), value)));
    for (field, value) in cases {
        let case = format!("{field:.40}: {value:.80}");
        let entry = format!("{{\"Mode\":\"daemon\",\"Config\":{{\"command\":[\"/bin/a\"],\"{field}\":{value}}}}}");
        // Of a name that stands twice it is not known which one holds.
        let entry = if field == "command" { entry.replacen("\"command\":[\"/bin/a\"],", "", 1) } else { entry };
        let content = format!("{{\"Version\":2,\"Proxies\":{{\"bad\":{entry},\"good\":{{\"Mode\":\"noop\"}}}}}}");
        let mut host = Host::new(quick(&scene.data_dir()));
        assert!(restore(&mut host, &scene.data_dir(), &case, content.as_bytes()), "{case}");
        let known: Vec<String> = host.manager.status().into_iter().map(|status| status.id).collect();
        assert_eq!(known, ["good"], "{case}");
        let told = failures(&mut host);
        assert_eq!(told.len(), 1, "{case}");
        is_fit(&told[0], "Proxies.bad");
        let aside = scene.data_dir().join("snapshot.json.corrupt-1");
        assert!(fs::read(&aside).unwrap() == content.as_bytes(), "{case}");
        fs::remove_file(aside).unwrap();
        host.manager.close().unwrap();
    }
    scene.finish();
}
