// SPDX-License-Identifier: MPL-2.0
//! Real programs as managed proxies. HAProxy and nginx together: traffic on loopback goes on whatever happens to them and
//! to the agent; and others one by one.
//!
//! Needs the Debian packages that `.ci/packages.sh` names and, in the directory `PROXYPROCESS_WHEELS`, what
//! `.ci/wheels.sh` unpacks. Where a program is missing, its tests pass without having tested anything, and say so; with
//! `PROXYPROCESS_CI=1` they fail instead.

mod background;
mod each;
mod known;
mod own;
mod programs;
mod traffic;

use rustix::process::Signal;

use programs::{HAPROXY, NGINX, Programs};

#[test]
fn a_killed_haproxy_is_back_and_carries_traffic() {
    let Some(it) = Programs::start() else { return };
    for _ in 0..3 {
        let killed = it.process(HAPROXY);
        killed.kill();
        it.wait_for_another(HAPROXY, &killed);
        it.check_traffic();
    }
    it.quit();
}

#[test]
fn a_killed_nginx_master_is_back_without_its_old_workers_and_carries_traffic() {
    let Some(it) = Programs::start() else { return };
    let master = it.process(NGINX);
    let workers = it.workers(&master);
    master.kill();
    // Leaderless workers would go on serving what the old configuration said, beside the new ones.
    it.wait_for_another(NGINX, &master);
    assert!(workers.iter().all(|worker| worker.is_gone()), "old workers beside the new master");
    it.check_traffic();
    it.quit();
}

#[test]
fn a_killed_agent_is_followed_by_one_with_the_same_processes_and_connections() {
    let Some(mut it) = Programs::start() else { return };
    let before = [it.process(HAPROXY), it.process(NGINX)];
    let mut open = it.connect(HAPROXY);
    assert_eq!(traffic::echo(&mut open, "before"), "before");
    for _ in 0..2 {
        it.kill_agent();
        assert_eq!(traffic::echo(&mut open, "without an agent"), "without an agent");
        it.start_agent();
        for (id, process) in [HAPROXY, NGINX].into_iter().zip(&before) {
            assert_eq!(it.process(id).pid(), process.pid(), "{id}");
            assert!(it.agent().status()[id].adopted, "{id}");
        }
        assert_eq!(traffic::echo(&mut open, "after"), "after");
        it.check_traffic();
    }
    // And the one that was taken over is looked after like an own child.
    before[0].kill();
    it.wait_for_another(HAPROXY, &before[0]);
    it.check_traffic();
    it.quit();
}

/// The workers of nginx outlive their master and hold its port, so the next one could not even start beside them.
#[test]
fn an_nginx_master_that_died_without_an_agent_is_back_without_its_old_workers() {
    let Some(mut it) = Programs::start() else { return };
    let master = it.process(NGINX);
    let workers = it.workers(&master);
    it.kill_agent();
    master.kill();
    assert!(!workers.iter().any(|worker| worker.is_gone()));

    it.start_agent();
    it.wait_for_another(NGINX, &master);
    assert!(workers.iter().all(|worker| worker.is_gone()), "old workers beside the new master");
    it.check_traffic();
    it.quit();
}

#[test]
fn a_changed_command_replaces_just_that_proxy() {
    let Some(mut it) = Programs::start() else { return };
    let (haproxy, nginx) = (it.process(HAPROXY), it.process(NGINX));
    let mut open = it.connect(HAPROXY);
    assert_eq!(traffic::echo(&mut open, "before"), "before");

    it.change_nginx();
    it.wait_for_another(NGINX, &nginx);
    it.check_traffic();
    assert!(it.agent().status().runs(HAPROXY, haproxy.pid()));
    assert_eq!(traffic::echo(&mut open, "after"), "after");
    it.quit();
}

#[test]
fn sigquit_leaves_nothing_behind() {
    let Some(mut it) = Programs::start() else { return };
    let master = it.process(NGINX);
    let all = [it.workers(&master), vec![master, it.process(HAPROXY)]].concat();
    let addresses = [it.address(HAPROXY), it.address(NGINX)];
    let _open = it.connect(HAPROXY);
    it.end_agent(Signal::QUIT);

    assert!(all.iter().all(|process| process.is_gone()), "the agent ended before them");
    for address in addresses {
        assert!(traffic::is_refused(address), "{address} is still served");
    }
    it.finish();
}
