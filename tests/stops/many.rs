// SPDX-License-Identifier: MPL-2.0
//! The time that many take, and what is answered meanwhile.

use std::fs;
use std::time::{Duration, Instant, SystemTime};

use proxyprocess::{EventKind, ProxyState};
use rustix::process::Signal;
use serde_json::json;

use crate::inside::{Host, helper, quick};
use crate::stops::common::wait_for_state_of;
use crate::support::{
    Agent, Config, Deadline, Launch, Proxy, Scene, Start, Status, agent_with_fail_points, alone, until,
};

const MANY: usize = 200;
const GRACE: Duration = Duration::from_secs(1);
const PROMISED: Duration = Duration::from_secs(2);

/// Measured by the times of the events: from the first signal to the end of the last process.
#[test]
fn two_hundred_stubborn_ones_with_a_second_of_grace_are_gone_within_two() {
    alone("stops::many::two_hundred_stubborn_ones_with_a_second_of_grace_are_gone_within_two", || {
        let scene = Scene::of_library();
        let mut host = Host::new(quick(&scene.data_dir()));
        for number in 0..MANY {
            let mut config = helper(&scene, &["stubborn"]);
            config.stop.grace_period = GRACE;
            host.set(&format!("p{number}"), config);
        }
        host.run();
        let starts: Vec<_> = (0..MANY).map(|_| scene.reports.any_start()).collect();
        host.manager.kill().unwrap();
        assert!(starts.iter().all(|start| start.process.is_gone() && start.process.is_reaped()));
        let times = |wanted: fn(&EventKind) -> bool, host: &mut Host| -> Vec<SystemTime> {
            let of_kind = host.events.seen().iter().filter(|event| wanted(&event.kind));
            of_kind.map(|event| event.at).collect()
        };
        let told = times(|kind| matches!(kind, EventKind::Stopping { .. }), &mut host);
        let gone = times(|kind| *kind == EventKind::Stopped, &mut host);
        assert_eq!((told.len(), gone.len()), (MANY, MANY));
        let took = gone.iter().max().unwrap().duration_since(*told.iter().min().unwrap()).unwrap();
        println!("{MANY} took {took:?}");
        assert!((GRACE..PROMISED).contains(&took), "{took:?}");
        host.join();
        scene.reports.forget_signals();
        scene.finish();
    });
}

/// Their grace is longer than the test may take, so each answer came while they were being stopped.
#[test]
fn status_and_metrics_are_answered_while_many_stubborn_ones_are_being_stopped() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let ids: Vec<String> = (0..MANY / 10).map(|number| format!("p{number}")).collect();
    for id in &ids {
        let mut config = helper(&scene, &["stubborn"]);
        config.stop.grace_period = Duration::from_secs(3600);
        host.set(id, config);
    }
    host.run();
    let starts: Vec<_> = ids.iter().map(|id| scene.reports.start(id)).collect();
    for id in &ids {
        host.state.remove(id);
    }
    let stopping = |host: &Host| {
        let all = host.manager.status();
        all.iter().filter(|status| status.state == ProxyState::Stopping && status.pid.is_some()).count()
    };
    let deadline = Deadline::of("all to be asked to end");
    while stopping(&host) < ids.len() {
        deadline.left();
        std::thread::yield_now();
    }
    let metrics = host.manager.metrics();
    let line = format!("proxyprocess_proxies{{state=\"stopping\"}} {}\n", ids.len());
    assert!(metrics.contains(&line), "{metrics}");
    assert!(starts.iter().all(|start| !start.process.is_gone()));
    starts.iter().for_each(|start| start.process.kill());
    host.kill();
    scene.reports.forget_signals();
    scene.finish();
}

/// How many are handled before the supervisor stands still for a moment, and how many before it does so for ever.
const HELD_AFTER: usize = 10;
const STALLED_AFTER: usize = 15;
/// How long it stands still: messages that come are heard at most each two milliseconds, and the last time may be that short ago.
const HELD_FOR: Duration = Duration::from_millis(10);

/// An agent whose supervisor has a lot to do at once, for each of so many processes, and stands still at a point of that.
struct Busy<'a> {
    scene: &'a Scene,
    point: &'a str,
    agent: Agent,
    starts: Vec<Start>,
}

impl Busy<'_> {
    /// `passed`: how often the point is passed before.
    fn with<'a>(scene: &'a Scene, point: &'a str, passed: usize, config: &Config) -> Busy<'a> {
        let (held, stalled) = (passed + HELD_AFTER, passed + STALLED_AFTER);
        let path = |name: &str| scene.path(name).to_str().expect("a path in UTF-8").to_owned();
        let agent = Launch::of(agent_with_fail_points(), scene)
            .env("PROXYPROCESS_FAIL", &format!("{point}#{held}=hold,{point}#{stalled}=stall"))
            .env("PROXYPROCESS_FAIL_TRACE", &path("passed"))
            .env("PROXYPROCESS_FAIL_RELEASE", &path("release"))
            .start(config);
        let starts: Vec<_> = (0..MANY / 10).map(|_| scene.reports.any_start()).collect();
        agent.status_when(scene, "all run", |status| starts.iter().all(|start| status.runs(&start.id, start.pid)));
        Busy { scene, point, agent, starts }
    }

    /// All at once: nothing of it is handled while the agent stands still.
    fn while_it_stands_still(&self, happens: impl FnOnce(&[Start])) {
        self.agent.signal(Signal::STOP);
        wait_for_state_of(self.agent.pid(), "T");
        happens(&self.starts);
        self.agent.signal(Signal::CONT);
    }

    /// The question is there when the supervisor goes on, and not all is handled when it stalls.
    #[track_caller]
    fn answers(self, held: usize) -> Status {
        let passed = || fs::read_to_string(self.scene.path("passed")).unwrap_or_default();
        until(format!("the supervisor at {}", self.point), || {
            passed().lines().filter(|line| *line == self.point).count() >= held + HELD_AFTER
        });
        let stands_still = Instant::now();
        // The thread that asks waits for the answer, and not for a signal any more.
        let (syscall, futex) = (format!("/proc/{}/syscall", self.agent.pid()), format!("{} ", nix::libc::SYS_futex));
        let released = self.scene.path("release");
        let release = move || {
            until("the question", || fs::read_to_string(&syscall).is_ok_and(|text| text.starts_with(&futex)));
            until("the next hearing", || stands_still.elapsed() >= HELD_FOR);
            fs::write(released, "").expect("release the supervisor");
        };
        let status = std::thread::scope(|scope| {
            scope.spawn(release);
            self.agent.status()
        });
        self.agent.kill();
        self.starts.iter().for_each(|start| start.process.kill());
        status
    }
}

#[test]
fn status_is_answered_between_the_ends_of_many() {
    let scene = Scene::new();
    let waits = json!({"attempts_before_backoff": 0, "max_wait_ms": 3_600_000});
    let proxy = || Proxy::helper(&["run"]).set("restart", waits.clone());
    let config =
        (0..MANY / 10).fold(Config::new(&scene), |config, number| config.proxy(&format!("p{number}"), proxy()));
    let busy = Busy::with(&scene, "exit:told", 0, &config);
    busy.while_it_stands_still(|starts| {
        starts.iter().for_each(|start| start.process.kill());
        starts.iter().for_each(|start| start.process.wait());
    });
    let status = busy.answers(0);
    let running = status.proxies.values().filter(|proxy| proxy.state == "running").count();
    assert!((MANY / 10 - STALLED_AFTER..=MANY / 10 - HELD_AFTER).contains(&running), "{running} are not told of");
    scene.finish();
}

#[test]
fn status_is_answered_between_the_timers_of_many() {
    let scene = Scene::new();
    let stubborn = || Proxy::helper(&["stubborn"]).grace_ms(GRACE.as_millis() as u64);
    let with = |config, number| Config::proxy(config, &format!("p{number}"), stubborn());
    let busy = Busy::with(&scene, "signal:sent", MANY / 10, &(0..MANY / 10).fold(Config::new(&scene), with));
    busy.agent.reload(&Config::new(&scene));
    busy.starts.iter().for_each(|start| assert_eq!(scene.reports.signal(start), "SIGINT"));
    busy.while_it_stands_still(|_| std::thread::sleep(GRACE));
    let status = busy.answers(MANY / 10);
    assert!(status.proxies.values().all(|proxy| proxy.state == "stopping"), "{status:?}");
    scene.finish();
}
