// SPDX-License-Identifier: MPL-2.0
//! SIGHUP: the file is read again, and only what is declared otherwise is touched.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Agent, Config, Proxy, Scene};

#[test]
fn only_the_changed_proxy_is_replaced() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("a", Proxy::helper(&["run"])).proxy("b", Proxy::helper(&["run"]));
    let agent = Agent::start(&scene, &config);
    let (a, b) = (scene.reports.start("a"), scene.reports.start("b"));

    agent.reload(&config.clone().proxy("b", Proxy::helper(&["inspect", "changed"])));
    let next = scene.reports.start("b");
    assert!(b.process.is_gone(), "the old one goes before the new one comes");
    assert_eq!(next.inspection.unwrap().argv[2], "changed");
    agent.status_running(&scene, "b", next.pid);
    let status = agent.status_running(&scene, "a", a.pid);
    assert_eq!((status["a"].restarts, scene.log("b", "stderr").as_str()), (0, ""));
    agent.quit();
    scene.finish();
}

#[test]
fn environment_directory_and_token_are_part_of_the_declaration() {
    let scene = Scene::new();
    let plain = Proxy::helper(&["inspect"]).set("token", "one");
    let config = Config::new(&scene).proxy("web", plain.clone());
    let agent = Agent::start(&scene, &config);
    let mut last = scene.reports.start("web");
    let changes =
        [plain.clone().env(&["A=b"]), plain.clone().set("dir", "/"), plain.clone().set("token", "two"), plain];
    for proxy in changes {
        agent.reload(&config.clone().proxy("web", proxy));
        let next = scene.reports.start("web");
        assert!(last.process.is_gone() && next.pid != last.pid);
        last = next;
    }
    assert_eq!(last.inspection.unwrap().env["CONNECT_PROXY_TOKEN"], "one");
    agent.quit();
    scene.finish();
}

#[test]
fn a_proxy_that_is_taken_out_is_stopped_and_one_put_in_is_started() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("a", Proxy::helper(&["run"])).proxy("b", Proxy::helper(&["graceful"]));
    let agent = Agent::start(&scene, &config);
    let (a, b) = (scene.reports.start("a"), scene.reports.start("b"));

    agent.reload(&config.without("b").proxy("c", Proxy::helper(&["run"])));
    assert_eq!(scene.reports.signal(&b), "SIGINT");
    b.process.wait();
    let c = scene.reports.start("c");
    agent.status_when(&scene, "b is gone", |status| !status.proxies.contains_key("b"));
    agent.status_running(&scene, "a", a.pid);
    agent.status_running(&scene, "c", c.pid);
    scene.wait_for_pid_files(&["a.pid", "c.pid"]);
    agent.quit();
    scene.finish();
}

#[test]
fn how_to_stop_and_restart_applies_without_a_new_process() {
    let scene = Scene::new();
    let (stubborn, polite) = (Proxy::helper(&["stubborn"]), Proxy::helper(&["graceful"]));
    let config = Config::new(&scene);
    let config = config.proxy("a", stubborn.clone().grace_ms(600_000)).proxy("b", polite.clone());
    let agent = Agent::start(&scene, &config);
    let (a, b) = (scene.reports.start("a"), scene.reports.start("b"));

    let polite = polite.set("stop_signal", "SIGUSR1").set("restart", json!({"max_wait_ms": 7}));
    let config = config.proxy("a", stubborn.grace_ms(1)).proxy("b", polite);
    agent.reload(&config.proxy("applied", Proxy::helper(&["run"])));
    scene.reports.start("applied");
    agent.status_running(&scene, "a", a.pid);
    agent.status_running(&scene, "b", b.pid);

    let begun = Instant::now();
    agent.quit();
    assert!(begun.elapsed() < Duration::from_secs(600));
    assert_eq!(scene.reports.signal(&b), "SIGUSR1");
    scene.reports.forget_signals();
    scene.finish();
}

#[test]
fn a_stubborn_proxy_is_replaced_after_its_grace_period_and_delays_no_other_proxy() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("slow", Proxy::helper(&["stubborn"]).grace_ms(700));
    let agent = Agent::start(&scene, &config);
    let slow = scene.reports.start("slow");
    let config = config.proxy("slow", Proxy::helper(&["run"]).grace_ms(700)).proxy("quick", Proxy::helper(&["run"]));
    agent.reload(&config);
    assert_eq!(scene.reports.signal(&slow), "SIGINT");

    let quick = scene.reports.start("quick");
    let next = scene.reports.start("slow");
    assert!(slow.process.is_gone());
    assert!(quick.at_ns < next.at_ns, "it waited for the slow one");
    agent.quit();
    scene.finish();
}

#[test]
fn the_last_of_many_changes_holds() {
    let scene = Scene::new();
    let config = |number: u32| {
        let argument = number.to_string();
        Config::new(&scene).set("quiescent_period_ms", 100).proxy("web", Proxy::helper(&["inspect", &argument]))
    };
    let agent = Agent::start(&scene, &config(0));
    scene.reports.start("web");
    (1..=20).for_each(|number| agent.reload(&config(number)));
    // Some of the earlier ones may have been started; signals that come together are one.
    while scene.reports.start("web").inspection.unwrap().argv[2] != "20" {}
    agent.quit();
    scene.finish();
}

#[test]
fn a_bad_file_changes_nothing_and_says_why() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["run"]));
    let agent = Agent::start(&scene, &config);
    let web = scene.reports.start("web");

    let bad = Proxy::helper(&["run"]).set("comand", "x");
    agent.reload(&config.clone().without("web").proxy("bad", bad).proxy("good", Proxy::helper(&["run"])));
    agent.wait_for_log("proxies.bad.comand");
    agent.reload(&config.clone().set("data_dir", scene.path("elsewhere").to_str().unwrap()).without("web"));
    agent.wait_for_log("data_dir");
    agent.reload(&config.clone().set("on_exit", "explode").without("web"));
    agent.wait_for_log("on_exit");

    agent.reload(&config.proxy("applied", Proxy::helper(&["run"])));
    scene.reports.start("applied");
    let status = agent.status_running(&scene, "web", web.pid);
    assert_eq!(status.proxies.keys().collect::<Vec<_>>(), ["applied", "web"]);
    agent.quit();
    scene.finish();
}
