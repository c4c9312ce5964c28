// SPDX-License-Identifier: MPL-2.0
//! Agents whose proxies have cgroups of their own.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cgroups::base;
use crate::support::{Agent, Config, Proxy, Scene, cgroup_of, until};

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

/// Two bases below the one of the tests.
fn two_bases() -> Option<[PathBuf; 2]> {
    let base = base()?;
    let name =
        |number: u32| base.join(format!("base-{number}-of-{}-{:?}", std::process::id(), std::thread::current().id()));
    let bases = [name(1), name(2)];
    bases.iter().for_each(|base| fs::create_dir(base).unwrap());
    Some(bases)
}

fn at(scene: &Scene, base: &Path) -> Config {
    Config::new(scene).set("cgroup", "required").set("cgroup_base", base.to_str().unwrap())
}

#[test]
fn cgroups_of_an_earlier_base_are_named_while_a_process_is_in_one_and_removed_afterwards() {
    let Some(bases) = two_bases() else { return };
    let scene = Scene::new();
    let with = |base: &Path| at(&scene, base).proxy("web", Proxy::helper(&["run"]));
    let agent = Agent::start(&scene, &with(&bases[0]).proxy("other", Proxy::helper(&["run"])));
    let (web, other) = (scene.reports.start("web"), scene.reports.start("other"));
    agent.kill();
    let home = cgroup_of(web.pid).unwrap().parent().unwrap().to_owned();
    assert!(home.starts_with(&bases[0]), "{}", home.display());
    other.process.kill();
    until("the other one to be gone", || other.process.is_gone());
    let next = Agent::start(&scene, &with(&bases[1]));
    next.wait_for_log(&format!(
        "cgroup: {home}, of an earlier base, stays, for processes are in web.proxy: it is removed when this agent or the next one \
         ends, or the next one begins, and they have ended, or by hand: rmdir {home}/*/ {home}",
        home = home.display()
    ));
    assert!(next.status_running(&scene, "web", web.pid)["web"].adopted);
    web.process.kill();
    let again = scene.reports.start("web");
    assert!(cgroup_of(again.pid).unwrap().starts_with(&bases[1]));
    next.quit();
    assert!(!home.exists(), "what was in it has ended");
    bases.iter().for_each(|base| fs::remove_dir(base).unwrap());
    scene.finish();
}

#[test]
fn cgroups_of_an_earlier_base_that_no_process_is_in_are_removed_by_the_next_agent() {
    let Some(bases) = two_bases() else { return };
    let scene = Scene::new();
    let agent = Agent::start(&scene, &at(&scene, &bases[0]).proxy("web", Proxy::helper(&["run"])));
    let web = scene.reports.start("web");
    let home = cgroup_of(web.pid).unwrap().parent().unwrap().to_owned();
    // One of another data directory is not its own, whatever is in it.
    let name = home.file_name().unwrap().to_str().unwrap();
    let of_another = home.with_file_name(format!("{name}0"));
    fs::create_dir(&of_another).unwrap();
    agent.kill();
    web.process.kill();
    until("it to be gone", || web.process.is_gone());
    let next = Agent::start(&scene, &at(&scene, &bases[1]));
    next.wait_for_log(&format!("cgroup: {}, of an earlier base, is removed", home.display()));
    assert!(!home.exists() && of_another.exists());
    next.quit();
    fs::remove_dir(of_another).unwrap();
    bases.iter().for_each(|base| fs::remove_dir(base).unwrap());
    scene.finish();
}
