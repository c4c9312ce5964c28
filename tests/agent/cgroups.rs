// SPDX-License-Identifier: MPL-2.0
//! Agents whose proxies have cgroups of their own.

use crate::cgroups::base;
use crate::support::{Agent, Config, Proxy, Scene, cgroup_of};

#[test]
fn next_agent_keeps_the_cgroup_of_an_adopted_process_and_removes_it_with_the_proxy() {
    let Some(base) = base() else { return };
    let scene = Scene::new();
    let config = Config::new(&scene)
        .set("cgroup", "required")
        .set("cgroup_base", base.to_str().unwrap())
        .proxy("web", Proxy::helper(&["escaped", "stubborn"]).grace_ms(50));
    let agent = Agent::start(&scene, &config);
    let (first, escaped) = (scene.reports.start("web"), scene.reports.grandchild("web"));
    let cgroup = cgroup_of(first.pid).unwrap();
    assert!(cgroup.ends_with("web.proxy") && cgroup.starts_with(&base), "{}", cgroup.display());
    agent.kill();
    let next = Agent::start(&scene, &config);
    assert!(next.status_running(&scene, "web", first.pid)["web"].adopted);
    first.process.kill();
    let (second, again) = (scene.reports.start("web"), scene.reports.grandchild("web"));
    assert!(escaped.process.is_gone(), "the successor runs beside it");
    assert_eq!(cgroup_of(second.pid).as_ref(), Some(&cgroup));
    next.quit();
    assert!(second.process.is_gone() && again.process.is_gone());
    assert!(!cgroup.parent().unwrap().exists());
    scene.reports.forget_signals();
    scene.finish();
}
