// SPDX-License-Identifier: MPL-2.0
//! The metrics of an agent, for a collector.

use std::io::Write;
use std::process::{Command, Stdio};

use super::{ask, start};
use crate::support::{Config, Launch, Proxy, Scene, agent_with_fail_points};

#[test]
fn metrics_of_the_agent_and_its_proxies_are_printed_as_they_are() {
    let scene = Scene::new();
    let config = Config::new(&scene)
        .proxy("web", Proxy::helper(&["run"]))
        .proxy("line\nbreak", Proxy::command(&["/no/such/program"]));
    let agent = start(&scene, &config);
    ask(&scene.data_dir(), &["wait", "web"]).ok();
    scene.reports.start("web");
    let text = ask(&scene.data_dir(), &["metrics"]).ok();
    let ready = ["proxyprocess_proxy_ready{proxy=\"web\"} 1", "proxyprocess_proxy_ready{proxy=\"line\\nbreak\"} 0"];
    for line in ready.into_iter().chain(["proxyprocess_starts_total 1"]) {
        assert!(text.lines().any(|printed| printed == line), "{line}\n{text}");
    }
    assert!(text.starts_with("# HELP ") && text.ends_with('\n') && !text.contains("\n\n"), "{text}");
    is_clean(&text);
    agent.quit();
    assert_eq!(ask(&scene.data_dir(), &["metrics"]).code, Some(3));
    scene.finish();
}

#[test]
fn metrics_are_answered_without_the_sizes_of_logs_while_these_cannot_be_found_out() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["run"]));
    let agent =
        Launch::of(agent_with_fail_points(), &scene).env("PROXYPROCESS_FAIL", "log:measure#4=stall").start(&config);
    let web = scene.reports.start("web");
    ask(&scene.data_dir(), &["wait", "web"]).ok();
    let metrics = || ask(&scene.data_dir(), &["metrics"]).ok();
    let sizes = |text: &str| text.matches("proxyprocess_proxy_log_bytes{").count();
    assert_eq!(sizes(&metrics()), 2);
    for _ in 0..3 {
        let text = metrics();
        assert!(text.contains("\nproxyprocess_proxy_resident_bytes{proxy=\"web\"} "), "{text}");
        assert_eq!(sizes(&text), 0, "{text}");
    }
    agent.kill();
    web.process.kill();
    scene.finish();
}

/// What Prometheus' own tool says of them: nothing. It is installed by .ci/packages.sh.
fn is_clean(metrics: &str) {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = promtool.spawn() else {
        assert!(std::env::var_os("PROXYPROCESS_CI").is_none(), "not installed: promtool");
        return println!("skipped, not installed: promtool");
    };
    child.stdin.take().expect("its input").write_all(metrics.as_bytes()).expect("write to promtool");
    let output = child.wait_with_output().expect("wait for promtool");
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success() && said.is_empty(), "{}: {said}\n{metrics}", output.status);
}
