// SPDX-License-Identifier: MPL-2.0
//! Proxies that are detached: no children of the agent, and supervised all the same.

use rustix::process::geteuid;
use serde_json::json;

use crate::support::{Agent, Config, Inspection, Proxy, Scene};

fn detached(role: &[&str]) -> Proxy {
    Proxy::helper(role).set("detached", true)
}

/// Envoy asks for that when its hot restart is on, which is the default.
#[test]
fn detached_process_that_asks_to_die_with_its_parent_survives_the_agent_and_is_adopted() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("child", Proxy::helper(&["bound"])).proxy("detached", detached(&["bound"]));
    let agent = Agent::start(&scene, &config);
    let (child, first) = (scene.reports.start("child"), scene.reports.start("detached"));
    // This test is given what has lost its parent.
    assert_eq!([child.ppid, first.ppid], [agent.pid(), std::process::id()]);
    agent.status_running(&scene, "child", child.pid);
    let status = agent.status_running(&scene, "detached", first.pid);
    assert!(!status["detached"].adopted);

    agent.kill();
    child.process.wait();
    let agent = Agent::start(&scene, &config);
    let child = scene.reports.start("child");
    agent.status_running(&scene, "child", child.pid);
    let status = agent.status_running(&scene, "detached", first.pid);
    assert!(status["detached"].adopted);

    // Its successor is detached as well.
    first.process.kill();
    let second = scene.reports.start("detached");
    assert_eq!(second.ppid, std::process::id());
    let status = agent.status_running(&scene, "detached", second.pid);
    assert!(!status["detached"].adopted);
    agent.quit();
    assert!(child.process.is_gone() && second.process.is_gone());
    scene.finish();
}

#[test]
fn detached_process_inherits_what_a_child_does() {
    let scene = Scene::new();
    let root = geteuid().is_root();
    let declare = |proxy: Proxy| match root {
        true => proxy.set("credentials", json!({"uid": 65533, "gid": 65532, "groups": [65531]})),
        false => proxy,
    };
    let config = Config::new(&scene)
        .proxy("child", declare(Proxy::helper(&["inspect"])))
        .proxy("detached", declare(detached(&["inspect"])));
    let agent = Agent::start(&scene, &config);
    let starts = ["child", "detached"].map(|id| scene.reports.start(id));
    let [child, orphan] = starts.each_ref().map(|start| start.inspection.as_ref().unwrap());
    assert_eq!([orphan.session, orphan.group], [starts[1].pid; 2]);
    if root {
        assert_eq!((orphan.uid, orphan.gid, &orphan.groups[..]), (65533, 65532, &[65531][..]));
    }
    let descriptors = |of: &Inspection| of.fds.keys().copied().collect::<Vec<_>>();
    assert_eq!(descriptors(orphan), [0, 1, 2]);
    let variables = |of: &Inspection| {
        let own = ["CONNECT_PROXY_ID", "CONNECT_PROXY_TOKEN"];
        of.env.clone().into_iter().filter(|(name, _)| !own.contains(&name.as_str())).collect::<Vec<_>>()
    };
    assert_eq!(variables(orphan), variables(child));
    let rest = |of: &Inspection| {
        (of.cwd.clone(), of.blocked, of.ignored, of.descriptors, of.uid, of.gid, of.groups.clone(), of.umask)
    };
    assert_eq!(rest(orphan), rest(child));
    agent.quit();
    scene.finish();
}

/// Its group and what left that are found where they are those of a child.
#[test]
fn stop_of_detached_process_ends_all_that_is_of_it() {
    let scene = Scene::new();
    let config = Config::new(&scene)
        .proxy("group", detached(&["grandchild", "stubborn"]).grace_ms(50))
        .proxy("session", detached(&["escaped"]).grace_ms(50))
        .proxy("other", detached(&["graceful"]));
    let agent = Agent::start(&scene, &config);
    let starts = ["group", "session", "other"].map(|id| scene.reports.start(id));
    let members = ["group", "session"].map(|id| scene.reports.grandchild(id));
    for start in &starts {
        agent.status_running(&scene, &start.id, start.pid);
    }
    agent.reload(&config.clone().without("group").without("session"));
    agent.status_when(&scene, "two are gone", |status| status.proxies.len() == 1);
    assert!(starts[..2].iter().chain(&members).all(|start| start.process.is_gone()));
    // After a crash, what is left of its group as well, before there is a successor.
    let config = config.without("session").without("other");
    agent.reload(&config);
    let (leader, member) = (scene.reports.start("group"), scene.reports.grandchild("group"));
    agent.status_running(&scene, "group", leader.pid);
    leader.process.kill();
    let (leader, next) = (scene.reports.start("group"), scene.reports.grandchild("group"));
    assert!(member.process.is_gone());
    agent.status_running(&scene, "group", leader.pid);
    agent.quit();
    assert!(leader.process.is_gone() && next.process.is_gone() && starts[2].process.is_gone());
    scene.reports.forget_signals();
    scene.finish();
}

#[test]
fn detached_process_that_cannot_start_says_why_as_a_child_does() {
    let scene = Scene::new();
    let missing = || Proxy::command(&["/no/such/program"]);
    let config = Config::new(&scene).proxy("child", missing()).proxy("detached", missing().set("detached", true));
    let agent = Agent::start(&scene, &config);
    let failed = |id: &str| {
        let status = agent.status_when(&scene, "its start has failed", |status| {
            status.proxies.get(id).is_some_and(|proxy| proxy.last_error.is_some())
        });
        status[id].last_error.clone().unwrap()
    };
    let said = failed("detached");
    assert!(said.contains("/no/such/program") && said.contains("No such file"), "{said}");
    assert_eq!(failed("child"), said);
    agent.quit();
    scene.finish();
}

/// A change of how it is started needs another process.
#[test]
fn process_is_replaced_when_it_is_declared_detached() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["run"]));
    let agent = Agent::start(&scene, &config);
    let child = scene.reports.start("web");
    agent.status_running(&scene, "web", child.pid);
    agent.reload(&config.proxy("web", detached(&["run"])));
    let orphan = scene.reports.start("web");
    assert!(child.process.is_gone());
    assert_eq!(orphan.ppid, std::process::id());
    agent.status_running(&scene, "web", orphan.pid);
    agent.quit();
    scene.finish();
}
