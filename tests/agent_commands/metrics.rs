// SPDX-License-Identifier: MPL-2.0
//! The metrics of an agent, for a collector.

use super::{ask, start};
use crate::support::{Config, Proxy, Scene};

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
    agent.quit();
    assert_eq!(ask(&scene.data_dir(), &["metrics"]).code, Some(3));
    scene.finish();
}
