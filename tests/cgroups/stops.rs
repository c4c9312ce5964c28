// SPDX-License-Identifier: MPL-2.0
//! What a stop, a crash and a replacement end: all that is in the cgroup, whatever it has made of itself.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{self, Stdio};
use std::time::Duration;

use proxyprocess::{CgroupUse, Command, ProxyConfig, ProxyState};
use rustix::process::Signal;

use super::{as_reaper, base, contained, home_of, names_in, running, until_names};
use crate::inside::{Exhausted, Host, helper, quick};
use crate::library::overlap::{becomes_ready, gone, overlapping, serves};
use crate::support::{Config, Launch, Proxy, Scene, agent_with_fail_points, cgroup_of, until};

fn with_grace(mut config: ProxyConfig, grace: Duration) -> ProxyConfig {
    config.stop.grace_period = grace;
    config
}

/// Nothing in its environment, in its session or among its parents says whose it is.
#[test]
fn stop_ends_a_process_with_a_cleared_environment() {
    as_reaper("cgroups::stops::stop_ends_a_process_with_a_cleared_environment", || {
        let scene = Scene::of_library();
        let proxies = [("web", helper(&scene, &["grandchild", "cleared"]))];
        let Some(host) = running(&scene, proxies) else { return scene.finish() };
        let (leader, left) = (scene.reports.start("web"), scene.reports.grandchild("web"));
        let home = home_of(&leader.process);
        assert_eq!(cgroup_of(left.pid), cgroup_of(leader.pid));
        host.kill();
        assert!(leader.process.is_gone() && left.process.is_gone());
        assert!(!home.exists());
        left.process.wait_reaped();
        scene.finish();
    });
}

#[test]
fn stop_signal_reaches_what_left_for_another_session_and_sigkill_ends_what_ignores_it() {
    as_reaper(
        "cgroups::stops::stop_signal_reaches_what_left_for_another_session_and_sigkill_ends_what_ignores_it",
        || {
            let scene = Scene::of_library();
            let proxies = [
                ("polite", with_grace(helper(&scene, &["escaped"]), Duration::from_secs(600))),
                ("stubborn", with_grace(helper(&scene, &["escaped", "stubborn"]), Duration::from_millis(1500))),
            ];
            let Some(host) = running(&scene, proxies) else { return scene.finish() };
            let leaders = ["polite", "stubborn"].map(|id| scene.reports.start(id));
            let escaped = ["polite", "stubborn"].map(|id| scene.reports.grandchild(id));
            host.kill();
            assert!(leaders.iter().chain(&escaped).all(|start| start.process.is_gone()));
            for one in &escaped {
                assert_eq!(scene.reports.signal(one), "SIGINT", "{}", one.id);
                one.process.wait_reaped();
            }
            scene.finish();
        },
    );
}

/// Also at the first restarts, which do not wait: without a cgroup those are made without a scan.
#[test]
fn no_successor_is_started_beside_what_a_crash_has_left_for_another_session() {
    as_reaper("cgroups::stops::no_successor_is_started_beside_what_a_crash_has_left_for_another_session", || {
        let scene = Scene::of_library();
        let proxies = [("web", helper(&scene, &["escaped", "stubborn"]))];
        let Some(host) = running(&scene, proxies) else { return scene.finish() };
        let (mut leader, mut escaped) = (scene.reports.start("web"), scene.reports.grandchild("web"));
        for _ in 0..3 {
            leader.process.kill();
            leader = scene.reports.start("web");
            assert!(escaped.process.is_gone(), "the successor runs beside it");
            escaped.process.wait_reaped();
            escaped = scene.reports.grandchild("web");
        }
        host.kill();
        assert!(leader.process.is_gone() && escaped.process.is_gone());
        escaped.process.wait_reaped();
        scene.reports.forget_signals();
        scene.finish();
    });
}

/// It waits after its first crash.
fn patient(mut config: ProxyConfig) -> ProxyConfig {
    config.restart.attempts_before_backoff = 0;
    config.restart.max_wait = Duration::from_secs(600);
    config
}

/// As without cgroups.
#[test]
fn what_a_crash_has_left_for_another_session_is_told() {
    as_reaper("cgroups::stops::what_a_crash_has_left_for_another_session_is_told", || {
        let scene = Scene::of_library();
        let config = patient(helper(&scene, &["escaped", "stubborn"]));
        let Some(host) = running(&scene, [("web", config)]) else { return scene.finish() };
        let (leader, escaped) = (scene.reports.start("web"), scene.reports.grandchild("web"));
        leader.process.kill();
        until("it waits", || host.status("web").state == ProxyState::Waiting);
        let told = format!("pid {} left the group for another session: ended as well", escaped.pid);
        assert_eq!(host.status("web").last_error, Some(told));
        assert!(escaped.process.is_gone());
        escaped.process.wait_reaped();
        host.kill();
        scene.reports.forget_signals();
        scene.finish();
    });
}

/// Whether or not what it leaves has left its group yet.
#[test]
fn program_that_puts_itself_into_the_background_gets_a_hint() {
    let scene = Scene::of_library();
    // It reports nothing, for it may be ended before it could.
    let daemonizes = ProxyConfig::new(Command::new("/bin/sh").args(["-c", "sleep 1000 & exit 0"]));
    let Some(mut host) = running(&scene, [("web", patient(daemonizes))]) else { return scene.finish() };
    host.events.started("web");
    until("it waits", || host.status("web").state == ProxyState::Waiting);
    let hint = host.status("web").hint;
    assert!(hint.as_ref().is_some_and(|hint| hint.contains("puts itself into the background")), "{hint:?}");
    host.kill();
    scene.finish();
}

/// SIGKILL of its cgroup ends a process that stands still.
#[test]
fn stop_ends_a_frozen_cgroup() {
    let scene = Scene::of_library();
    let proxies = [("web", with_grace(helper(&scene, &["run"]), Duration::from_millis(100)))];
    let Some(host) = running(&scene, proxies) else { return scene.finish() };
    let leader = scene.reports.start("web");
    fs::write(cgroup_of(leader.pid).unwrap().join("cgroup.freeze"), "1").unwrap();
    host.kill();
    assert!(leader.process.is_gone());
    scene.finish();
}

#[test]
fn cgroups_that_a_process_has_made_in_its_own_go_with_it() {
    as_reaper("cgroups::stops::cgroups_that_a_process_has_made_in_its_own_go_with_it", || {
        let scene = Scene::of_library();
        let proxies = [("web", helper(&scene, &["grandchild", "cleared"]))];
        let Some(mut host) = running(&scene, proxies) else { return scene.finish() };
        let (leader, left) = (scene.reports.start("web"), scene.reports.grandchild("web"));
        let home = home_of(&leader.process);
        let below = home.join("web.proxy").join("a").join("b");
        fs::create_dir_all(&below).unwrap();
        fs::write(below.join("cgroup.procs"), left.pid.to_string()).unwrap();
        host.state.remove("web");
        host.events.stopped("web");
        assert!(left.process.is_gone());
        until_names(&home, &[]);
        left.process.wait_reaped();
        host.kill();
        scene.finish();
    });
}

/// Each generation has its own, or the end of the old one would be that of the new one.
#[test]
fn predecessor_is_ended_without_its_successor() {
    let scene = Scene::of_library();
    let proxies = [("web", overlapping(&scene, "1"))];
    let Some(mut host) = running(&scene, proxies) else { return scene.finish() };
    let mut current = scene.reports.start("web");
    becomes_ready(&scene, &mut host, &current, 1);
    let home = home_of(&current.process);
    for generation in 2..5u64 {
        host.set("web", overlapping(&scene, &generation.to_string()));
        let next = scene.reports.start("web");
        assert_ne!(cgroup_of(next.pid), cgroup_of(current.pid));
        becomes_ready(&scene, &mut host, &next, generation);
        gone(&mut host, &current);
        serves(&host, &next, generation);
        current = next;
    }
    host.kill();
    assert!(!home.exists());
    scene.reports.forget_unread();
    scene.finish();
}

/// It gets SIGABRT, which is no stop, and is started again at once.
#[test]
fn no_successor_is_started_beside_what_a_process_has_left_that_its_watchdog_ended() {
    as_reaper("cgroups::stops::no_successor_is_started_beside_what_a_process_has_left_that_its_watchdog_ended", || {
        let scene = Scene::of_library();
        let web = helper(&scene, &["escaped", "stubborn"]).with_watchdog(Duration::from_secs(1));
        let proxies = [("web", web)];
        let Some(host) = running(&scene, proxies) else { return scene.finish() };
        let (first, escaped) = (scene.reports.start("web"), scene.reports.grandchild("web"));
        let second = scene.reports.start("web");
        assert!(first.process.is_gone() && escaped.process.is_gone(), "the successor runs beside it");
        escaped.process.wait_reaped();
        let again = scene.reports.grandchild("web");
        host.kill();
        assert!(second.process.is_gone() && again.process.is_gone());
        again.process.wait_reaped();
        scene.reports.forget_unread();
        scene.finish();
    });
}

/// What enters a frozen cgroup stands still, and so would what starts it.
#[test]
fn process_is_started_again_when_its_cgroup_is_frozen() {
    let scene = Scene::of_library();
    let proxies = [("web", helper(&scene, &["run"]))];
    let Some(host) = running(&scene, proxies) else { return scene.finish() };
    let first = scene.reports.start("web");
    let cgroup = cgroup_of(first.pid).unwrap();
    fs::write(cgroup.join("cgroup.freeze"), "1").unwrap();
    first.process.kill();
    let second = scene.reports.start("web");
    assert_eq!(cgroup_of(second.pid), Some(cgroup));
    host.kill();
    scene.finish();
}

/// Its next process begins in one, and a scan alone would be blind.
/// No process is known that leads it, and nothing is closed meanwhile: the clean-up has the descriptor in reserve alone.
#[test]
fn stop_without_a_free_descriptor_ends_what_is_in_the_cgroup_of_a_proxy_that_has_no_process() {
    let name =
        "cgroups::stops::stop_without_a_free_descriptor_ends_what_is_in_the_cgroup_of_a_proxy_that_has_no_process";
    as_reaper(name, || {
        let scene = Scene::of_library();
        let Some(base) = base() else { return scene.finish() };
        let base = base.join(format!("proxyprocess-test-{}", std::process::id()));
        fs::create_dir(&base).unwrap();
        let options = quick(&scene.data_dir()).with_cgroup(CgroupUse::Required).with_cgroup_base(base.clone());
        let mut host = Host::new(options);
        host.set("web", patient(ProxyConfig::new(Command::new("/nowhere/program"))));
        host.run();
        host.events.start_failed("web");
        until("it waits", || host.status("web").state == ProxyState::Waiting);
        let cgroup = base.join(names_in(&base).pop().unwrap()).join("web.proxy/below/it");
        fs::create_dir_all(&cgroup).unwrap();
        let mut sleep = process::Command::new("sleep");
        let mut inside = sleep.arg("1000").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        fs::write(cgroup.join("cgroup.procs"), inside.id().to_string()).unwrap();
        let exhausted = Exhausted::begin();
        let stopped = host.manager.kill();
        exhausted.end();
        stopped.unwrap();
        assert_eq!(inside.wait().unwrap().signal(), Some(libc::SIGKILL));
        assert_eq!(names_in(&base), Vec::<String>::new());
        fs::remove_dir(&base).unwrap();
        scene.finish();
    });
}

#[test]
fn what_is_in_the_cgroup_of_a_proxy_that_was_not_started_in_one_is_ended_as_well() {
    as_reaper("cgroups::stops::what_is_in_the_cgroup_of_a_proxy_that_was_not_started_in_one_is_ended_as_well", || {
        let scene = Scene::of_library();
        let Some(options) = contained(&scene) else { return scene.finish() };
        let mut first = Host::new(quick(&scene.data_dir()).with_cgroup(CgroupUse::Off));
        first.set("web", helper(&scene, &["run"]));
        first.run();
        let outside = scene.reports.start("web");
        first.events.started("web");
        first.close();
        let mut host = Host::new(options);
        host.restore().unwrap();
        host.set("web", helper(&scene, &["run"]));
        host.run();
        assert_eq!(host.events.adopted("web"), outside.pid);
        host.set("web", helper(&scene, &["grandchild", "cleared"]));
        let (leader, left) = (scene.reports.start("web"), scene.reports.grandchild("web"));
        assert!(outside.process.is_gone());
        leader.process.kill();
        let (second, again) = (scene.reports.start("web"), scene.reports.grandchild("web"));
        assert!(left.process.is_gone(), "the successor runs beside it");
        left.process.wait_reaped();
        host.kill();
        assert!(second.process.is_gone() && again.process.is_gone());
        again.process.wait_reaped();
        scene.reports.forget_unread();
        scene.finish();
    });
}

/// The base is that of the agent's own session, for one, and the process is in that of the session before. A scan has to find
/// what it has left.
#[test]
fn stop_ends_what_left_a_process_that_is_in_a_cgroup_of_another_base() {
    as_reaper("cgroups::stops::stop_ends_what_left_a_process_that_is_in_a_cgroup_of_another_base", || {
        let scene = Scene::of_library();
        let config = with_grace(helper(&scene, &["escaped", "stubborn"]), Duration::from_millis(100));
        let proxies = [("web", config.clone())];
        let Some(mut first) = running(&scene, proxies) else { return scene.finish() };
        let (leader, escaped) = (scene.reports.start("web"), scene.reports.grandchild("web"));
        first.events.started("web");
        let home = home_of(&leader.process);
        first.close();
        let other_base = home.with_file_name(format!("other-base-{}", std::process::id()));
        fs::create_dir(&other_base).unwrap();
        let options = quick(&scene.data_dir()).with_cgroup(CgroupUse::Required).with_cgroup_base(other_base.clone());
        let mut host = Host::new(options);
        host.restore().unwrap();
        host.set("web", config);
        host.run();
        assert_eq!(host.events.adopted("web"), leader.pid);
        assert_eq!(host.status("web").cgroup, None, "it is in none of this manager");
        host.kill();
        assert!(leader.process.is_gone() && escaped.process.is_gone());
        escaped.process.wait_reaped();
        scene.reports.forget_signals();
        assert!(!home.exists(), "no manager has it as its base any more");
        fs::remove_dir(other_base).unwrap();
        scene.finish();
    });
}

/// The removal of its cgroup stands still.
#[test]
fn stop_is_answered_when_its_clean_up_does_not_come_to_an_end() {
    let Some(base) = base() else { return };
    let scene = Scene::new();
    let config = Config::new(&scene)
        .set("cgroup", "required")
        .set("cgroup_base", base.to_str().unwrap())
        .proxy("web", Proxy::helper(&["run"]).grace_ms(50));
    let launch = Launch::of(agent_with_fail_points(), &scene).env("PROXYPROCESS_FAIL", "cgroup:remove#1=stall");
    let mut agent = launch.start(&config);
    let start = scene.reports.start("web");
    agent.status_running(&scene, "web", start.pid);
    let home = home_of(&start.process);
    agent.signal(Signal::QUIT);
    assert_eq!(agent.end().code(), Some(1));
    assert!(agent.log().contains("proxy web: its clean-up has not come to an end"), "{}", agent.log());
    assert!(start.process.is_gone());
    // At its end the manager removes what it can.
    assert!(!home.exists());
    scene.finish();
}

/// A scan of /proc takes the longer the more processes there are, and can be blind.
#[test]
fn no_restart_and_no_stop_lists_the_processes_of_the_machine() {
    let Some(base) = base() else { return };
    let scene = Scene::new();
    let trace = scene.path("passed");
    let config = Config::new(&scene)
        .set("cgroup", "required")
        .set("cgroup_base", base.to_str().unwrap())
        .proxy("web", Proxy::helper(&["escaped", "stubborn"]).grace_ms(50));
    let launch = Launch::of(agent_with_fail_points(), &scene);
    let agent = launch.env("PROXYPROCESS_FAIL_TRACE", trace.to_str().unwrap()).start(&config);
    agent.status_when(&scene, "web runs", |status| status.is("web", "running"));
    // An agent that finds no record looks for processes of its data directory.
    let begun = fs::read_to_string(&trace).unwrap().lines().count();
    for _ in 0..2 {
        let (leader, escaped) = (scene.reports.start("web"), scene.reports.grandchild("web"));
        agent.status_running(&scene, "web", leader.pid);
        leader.process.kill();
        escaped.process.wait();
    }
    scene.reports.start("web");
    let changed = config.clone().proxy("web", Proxy::helper(&["run"]));
    agent.reload(&changed);
    let last = scene.reports.start("web");
    agent.status_running(&scene, "web", last.pid);
    agent.quit();
    let passed = fs::read_to_string(&trace).unwrap();
    let lists = ["orphans:list", "processes:list", "scan:reads", "environ:read"];
    let listed: Vec<&str> = passed.lines().skip(begun).filter(|point| lists.contains(point)).collect();
    assert_eq!(listed, [""; 0]);
    assert!(passed.lines().any(|point| point == "cgroup:kill"), "{passed}");
    scene.reports.forget_unread();
    scene.finish();
}
