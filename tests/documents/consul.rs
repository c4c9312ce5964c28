// SPDX-License-Identifier: MPL-2.0
//! Snapshots of version 1, as Consul wrote them and as it did not.

use std::fs;

use proxyprocess::ErrorCode;
use serde_json::{Value, json};

use crate::documents::told::{failures, is_fit};
use crate::inside::{Host, quick};
use crate::support::Scene;

fn whole() -> Value {
    json!({
        "Pid": 0, "CommandPath": "/usr/bin/consul", "CommandArgs": ["consul", "connect", "proxy"], "CommandDir": "",
        "CommandEnv": ["A=b=c", "CONNECT_SIDECAR_FOR=db"],
        "ProxyToken": "t", "ProxyID": "web",
    })
}

/// Restores a document with this entry and a good one; returns what was told if it was refused.
#[track_caller]
fn restore(scene: &Scene, case: &str, entry: &Value) -> Option<String> {
    let path = scene.path("consul.json");
    let good = json!({"Mode": 1, "Config": whole()});
    fs::write(&path, json!({"Version": 1, "Proxies": {"web": entry, "good": good}}).to_string()).unwrap();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.manager.restore(&path).unwrap();
    let (known, mut told) = (host.manager.status(), failures(&mut host));
    assert!(known.iter().any(|status| status.id == "good"), "{case}");
    assert_eq!(known.len() + told.len(), 2, "{case}: {told:?}");
    assert!(known.iter().all(|status| status.pid.is_none()), "{case}: {known:?}");
    host.kill();
    assert!(path.exists(), "{case}: it is not ours to set aside");
    told.pop().inspect(|text| is_fit(text, if text.contains("not registered") { "proxy web" } else { "Proxies.web" }))
}

#[test]
fn every_shape_of_an_entry_of_consul_is_taken_or_refused_by_its_place() {
    let scene = Scene::of_library();
    let with = |field: &str, value: Value| {
        let mut config = whole();
        config[field] = value;
        json!({"Mode": 1, "Config": config})
    };
    let without = |field: &str| {
        let mut config = whole();
        config.as_object_mut().unwrap().remove(field).unwrap();
        json!({"Mode": 1, "Config": config})
    };
    // What there is no process for is only declared.
    let mut taken = vec![with("Pid", json!(i32::MAX)), with("Pid", json!(0)), with("More", json!({"a": [1]}))];
    taken.extend(["CommandArgs", "CommandDir", "CommandEnv", "ProxyToken", "ProxyID", "Pid"].map(without));
    taken.extend(
        ["CommandArgs", "CommandDir", "CommandEnv", "ProxyToken", "ProxyID", "Pid"]
            .map(|field| with(field, json!(null))),
    );
    taken.push(with("CommandEnv", json!(["=odd", "A=", "no variable"])));
    taken.push(with("ProxyID", json!([7])));
    // A mode may also be named as in version 2.
    taken.push(json!({"Mode": "daemon", "Config": whole()}));
    taken.push(json!({"Mode": "noop", "Config": {"any": "thing"}}));
    for entry in &taken {
        assert_eq!(restore(&scene, &entry.to_string(), entry), None, "{entry}");
    }
    let mut refused =
        vec![without("CommandPath"), json!({}), json!(null), json!([]), json!("daemon"), json!({"Mode": 1})];
    for pid in [json!(-1), json!(1u64 << 40), json!(1e99), json!("4711"), json!([1]), json!(true), json!(1.5)] {
        refused.push(with("Pid", pid));
    }
    for wrong in [json!(7), json!({}), json!(["a=", 1]), json!("a")] {
        refused.push(with("CommandArgs", wrong.clone()));
        refused.push(with("CommandEnv", wrong));
    }
    for field in ["CommandPath", "CommandDir", "ProxyToken"] {
        refused.push(with(field, json!(["a"])));
        refused.push(with(field, json!("a\0b")));
    }
    refused.push(with("CommandPath", json!("")));
    refused.push(with("ProxyToken", json!("")));
    for mode in [
        json!(0),
        json!(2),
        json!(3),
        json!(7),
        json!(-1),
        json!("1"),
        json!("script"),
        json!(""),
        json!("Daemon"),
        json!("x".repeat(1 << 20)),
    ] {
        refused.push(json!({"Mode": mode, "Config": whole()}));
    }
    refused.push(json!({"Mode": 1, "Config": whole(), "More": 1}));
    for entry in &refused {
        let case = format!("{:.200}", entry.to_string());
        // A mode that is not registered is known to be one, and reported as such.
        let _ = restore(&scene, &case, entry).unwrap_or_else(|| panic!("{case} was taken"));
    }
    scene.finish();
}

#[test]
fn a_document_of_version_1_that_is_none_changes_nothing() {
    let scene = Scene::of_library();
    let path = scene.path("consul.json");
    for text in
        [r#"{"Version":1,"Proxies":[]}"#, r#"{"Version":1,"Proxies":{}"#, r#"{"Version":1,"Proxies":{"a":1,"a":2}}"#]
    {
        fs::write(&path, text).unwrap();
        let host = Host::new(quick(&scene.data_dir()));
        let error = host.manager.restore(&path).unwrap_err();
        assert_eq!(error.code(), ErrorCode::CorruptSnapshot, "{text}");
        is_fit(&error.to_string(), path.to_str().unwrap());
        assert_eq!(host.manager.status(), []);
        host.kill();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    scene.finish();
}
