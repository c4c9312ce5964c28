// SPDX-License-Identifier: MPL-2.0
//! What a manager tells as metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::inside::{Host, helper, quick};
use proxyprocess::{Command, Output};

use crate::support::{Deadline, Scene};

/// The samples by name and labels. Each has a family, which was named before, and none stands twice.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let (mut families, mut samples) = (BTreeSet::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            assert!(families.insert(family.split(' ').next().unwrap().to_owned()), "{family} stands twice");
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
            let family = name.split('{').next().unwrap();
            let of_histogram = ["_bucket", "_sum", "_count"].iter().filter_map(|end| family.strip_suffix(end));
            assert!([family].into_iter().chain(of_histogram).any(|name| families.contains(name)), "{line}");
            assert!(samples.insert(name.to_owned(), value.parse().expect(line)).is_none(), "{name} stands twice");
        }
    }
    assert!(text.ends_with('\n'));
    samples
}

#[test]
fn metrics_tell_what_has_happened_and_what_the_proxies_are_doing() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let mut crashing = helper(&scene, &["exit", "3"]);
    crashing.restart.attempts_before_backoff = 1;
    crashing.restart.max_wait = Duration::from_secs(3600);
    host.set("ends\"", crashing);
    host.set("runs", helper(&scene, &["run"]));
    host.run();
    let start = scene.reports.start("runs");
    assert_eq!(host.events.started("runs"), start.pid);
    while host.status("ends\"").next_start_ms.is_none() {
        host.events.waiting("ends\"");
    }
    let all = samples(&host.manager.metrics());
    let get = |name: &str| *all.get(name).unwrap_or_else(|| panic!("no {name} in {all:?}"));
    assert_eq!(get("proxyprocess_starts_total"), 3.0);
    assert_eq!(get(r#"proxyprocess_exits_total{expected="false",kind="code"}"#), 2.0);
    assert_eq!(get(r#"proxyprocess_exits_total{expected="true",kind="signal"}"#), 0.0);
    assert_eq!(get("proxyprocess_waits_total"), 1.0);
    assert_eq!(get(r#"proxyprocess_proxies{state="running"}"#), 1.0);
    assert_eq!(get("proxyprocess_proxies_ready"), 1.0);
    assert_eq!(get(r#"proxyprocess_proxy_state{proxy="ends\"",state="waiting"}"#), 1.0);
    assert_eq!(get(r#"proxyprocess_proxy_restarts_total{proxy="ends\""}"#), 1.0);
    assert_eq!(get(r#"proxyprocess_proxy_ready{proxy="runs"}"#), 1.0);
    assert!(get(r#"proxyprocess_proxy_resident_bytes{proxy="runs"}"#) > 10_000.0);
    assert!(all.contains_key(r#"proxyprocess_proxy_cpu_seconds_total{proxy="runs"}"#));
    assert!(!all.contains_key(r#"proxyprocess_proxy_resident_bytes{proxy="ends\""}"#));
    assert_eq!(get(r#"proxyprocess_start_seconds_bucket{le="+Inf"}"#), 3.0);
    assert_eq!(get("proxyprocess_start_seconds_count"), 3.0);
    assert!(get("proxyprocess_start_seconds_sum") > 0.0);
    assert_eq!(get("proxyprocess_ready_seconds_count"), 0.0);
    assert_eq!(get(r#"proxyprocess_proxy_log_bytes{proxy="runs",stream="stderr"}"#), 0.0);
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn memory_is_that_of_now_after_a_process_has_run() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(&scene, &["grows"]));
    host.run();
    let start = scene.reports.start("web");
    assert_eq!(host.events.started("web"), start.pid);
    let resident = || samples(&host.manager.metrics())[r#"proxyprocess_proxy_resident_bytes{proxy="web"}"#];
    let mut before = resident();
    for _ in 0..2 {
        host.manager.signal("web", "SIGUSR1".parse().unwrap()).unwrap();
        assert_eq!(scene.reports.signal(&start), "SIGUSR1");
        let now = resident();
        assert!(now > before + f64::from(30 << 20), "{now} bytes after {before}");
        before = now;
    }
    host.kill();
    scene.finish();
}

#[test]
fn sizes_of_logs_are_what_they_take_and_what_was_cut_is_counted() {
    const LIMIT: u64 = 65_536;
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let (own, log) = (scene.path("own.log"), scene.data_dir().join("logs/web-stdout.log"));
    std::fs::write(&own, "six hundred").unwrap();
    let script = "head -c 1000000 /dev/zero | tr '\\0' '\\n'; exec sleep 1000";
    let mut config = proxyprocess::ProxyConfig::new(Command::new("/bin/sh").args(["-c", script]));
    config.command = config.command.stderr(Output::Path(own)).output_max_bytes(LIMIT);
    host.set("web", config);
    let mut nowhere = helper(&scene, &["run"]);
    nowhere.command = nowhere.command.stdout(Output::Null).stderr(Output::Path("/dev/null".into()));
    host.set("nowhere", nowhere);
    host.run();
    scene.reports.start("nowhere");
    let name = |stream: &str| format!("proxyprocess_proxy_log_bytes{{proxy=\"web\",stream=\"{stream}\"}}");
    let deadline = Deadline::of("the log to be written and cut");
    loop {
        deadline.left();
        let all = samples(&host.manager.metrics());
        assert!(!all.keys().any(|name| name.contains("log_bytes{proxy=\"nowhere\"")), "{all:?}");
        let (Some(size), cut) = (all.get(&name("stdout")), all["proxyprocess_log_cut_bytes_total"]) else { continue };
        // All that was written is there or was taken away, but for a block where only the space of the front was given back.
        if (1_000_000.0..=1_004_096.0).contains(&(size + cut)) && *size <= LIMIT as f64 {
            assert_eq!(all[&name("stderr")], 11.0);
            break;
        }
    }
    assert!(std::fs::metadata(log).unwrap().len() > 0);
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn time_to_readiness_is_counted() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let socket = scene.data_dir().with_file_name("ready.sock");
    let ready = helper(&scene, &["ready", "unix", socket.to_str().unwrap(), "at-once"]);
    host.set("web", ready.with_ready(proxyprocess::Ready::Unix(socket)));
    host.run();
    host.events.until("its readiness", |event| event.kind == proxyprocess::EventKind::Ready);
    let all = samples(&host.manager.metrics());
    assert_eq!(all["proxyprocess_ready_seconds_count"], 1.0);
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}
