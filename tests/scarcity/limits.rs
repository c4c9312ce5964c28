// SPDX-License-Identifier: MPL-2.0
//! Forty processes declared where the kernel has room for twenty-five, by each of its limits. Those that fit run as if
//! nothing was, each of the others says why it waits and starts when there is room, and whatever ends something works
//! at the limit as well.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use proxyprocess::{CgroupUse, Command, Credentials, Daemon, Event, EventKind, ProxyConfig, ProxyState};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, geteuid, kill_process, test_kill_process, waitid};
use rustix::time::{ClockId, clock_gettime};

use crate::inside::{Host, Place, Stage, descriptors, inherited, library_threads, quick, stage, wait_until};
use crate::scarcity::crowd::{WATCHED, as_ordinary_user, ids};
use crate::scarcity::room::{CONTROL_GROUP, ControlGroup, Limit, helper_for_all};
use crate::support::{Deadline, HELPER, WATCHDOG};

/// So many are declared, and so many fit.
const DECLARED: usize = 40;
const ROOM: u64 = 25;
/// What else counts: a thread more, or starts that are in each other's way.
const ABOUT: u64 = 5;

/// The longest wait between two starts of a proxy.
const MAX_WAIT: Duration = Duration::from_millis(400);

/// Users who have no other process.
const LONELY: u32 = 64_322;
const LONELY_PROXIES: u32 = 64_323;

/// A host and what it was told so far.
#[derive(Debug)]
struct AtLimit {
    limit: Limit,
    host: Host,
    declared: BTreeSet<String>,
    running: BTreeMap<String, u32>,
    /// How often each that does not run was refused since the last one was started.
    refused: BTreeMap<String, u32>,
}

impl AtLimit {
    /// Reads on until an event has made it so.
    #[track_caller]
    fn until(&mut self, what: &str, holds: impl Fn(&AtLimit) -> bool) {
        // Sooner than the test gives up, which would not know why.
        let deadline = Instant::now() + WATCHDOG / 2;
        while !holds(self) {
            let now = Instant::now();
            assert!(now < deadline, "waited in vain until {what}: {self:#?}, {:#?}", self.host.manager.status());
            if let Some(event) = self.host.events.next(WATCHED.min(deadline - now)) {
                self.hear(event);
            }
        }
    }

    #[track_caller]
    fn hear(&mut self, event: Event) {
        let Some(id) = event.id.filter(|id| self.declared.contains(&**id)).map(|id| id.to_string()) else { return };
        match event.kind {
            EventKind::Started { pid } => {
                let before = self.running.insert(id.clone(), pid.expect("the pid of a daemon"));
                assert_eq!(before, None, "{id} was started beside itself");
                self.refused.clear();
            }
            EventKind::Exited { .. } => drop(self.running.remove(&id)),
            EventKind::StartFailed { error } => {
                assert!(self.limit.refuses_by(&error), "{id}: {error:?}");
                *self.refused.entry(id).or_default() += 1;
            }
            EventKind::Waiting { wait } => assert!(!wait.is_zero() && wait <= MAX_WAIT, "{id} waits for {wait:?}"),
            _ => {}
        }
    }

    fn waiting(&self) -> Vec<String> {
        self.declared.iter().filter(|id| !self.running.contains_key(*id)).cloned().collect()
    }

    /// Waits until all that find room run, which are so many at least: each of the others was refused again and again since.
    /// Once or twice it is refused for what others have open while they are tried.
    #[track_caller]
    fn settle(&mut self, least: u64) {
        self.until("all that find room run", |this| {
            let is_refused = |id: &String| this.refused.get(id).is_some_and(|times| *times >= 4);
            this.running.len() as u64 >= least && this.waiting().iter().all(is_refused)
        });
    }

    /// Those that run have their processes, and the others say why they have none.
    #[track_caller]
    fn check_status(&mut self) {
        let deadline = Deadline::of("a moment without an event");
        let all = loop {
            let status = self.host.manager.status();
            let Some(event) = self.host.events.next(Duration::ZERO) else { break status };
            self.hear(event);
            deadline.left();
        };
        for status in all.iter().filter(|status| self.declared.contains(&status.id)) {
            let error = status.last_error.as_deref();
            if let Some(pid) = self.running.get(&status.id) {
                assert_eq!((status.state, status.pid), (ProxyState::Running, Some(*pid)), "{status:?}");
                // Its own file is written by and by.
                let of_its_file = |error: &str| self.limit.refuses_by(error) && error.contains("/pids");
                assert!(error.is_none_or(of_its_file), "{status:?}");
                continue;
            }
            let waits = matches!(status.state, ProxyState::Waiting | ProxyState::Starting);
            assert!(waits && status.pid.is_none(), "{status:?}");
            assert!(status.next_start_ms.is_none_or(|wait| Duration::from_millis(wait) <= MAX_WAIT), "{status:?}");
            assert!(error.is_some_and(|error| self.limit.refuses_by(error)), "{status:?}");
        }
    }

    /// Waiting costs next to nothing, and no start is tried more often than it says.
    #[track_caller]
    fn endure(&mut self) {
        let cpu = || Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).expect("a time");
        let (before, until, mut tries) = (cpu(), Instant::now() + WATCHED, 0);
        while let Some(event) = self.host.events.next(until.saturating_duration_since(Instant::now())) {
            tries += usize::from(matches!(event.kind, EventKind::StartFailed { .. }));
            self.hear(event);
        }
        let (cost, waiting) = (cpu() - before, self.waiting().len());
        assert!(cost < WATCHED / 4, "{cost:?} of {WATCHED:?} for {tries} tries");
        let most = waiting * (WATCHED.as_millis() / MAX_WAIT.as_millis() + 1) as usize;
        assert!(tries > 0 && tries <= most, "{tries} tries by {waiting}");
    }

    /// Kills one after the other: the room that each leaves is used again, as a rule by itself.
    #[track_caller]
    fn restart(&mut self, victims: &[String]) {
        let (room, mut back) = (self.running.len(), 0);
        for id in victims.iter().filter(|id| self.running.contains_key(*id)).cloned().collect::<Vec<_>>() {
            let Some(pid) = self.running.get(&id).copied() else { continue };
            kill(pid);
            self.until("its end is seen", |this| this.running.get(&id) != Some(&pid));
            self.until("its room is used", |this| this.running.len() == room);
            back += usize::from(self.running.contains_key(&id));
        }
        // None can be sure of it, for others are tried meanwhile. But where these are refused at once, most have.
        assert!(self.limit.is_disputed() || 2 * back > room.min(victims.len()), "only {back} have their room again");
    }

    /// Is told that so many are wanted no more: others take their place.
    #[track_caller]
    fn remove(&mut self, count: usize) {
        let (room, before) = (self.running.len(), self.waiting());
        let removed: Vec<(String, u32)> = self.running.iter().take(count).map(|(id, pid)| (id.clone(), *pid)).collect();
        for (id, _) in &removed {
            self.host.state.remove(id);
        }
        for (id, _) in &removed {
            self.until("it is gone", |this| !this.running.contains_key(id));
        }
        self.declared.retain(|id| removed.iter().all(|(gone, _)| gone != id));
        self.until("others take their place", |this| this.running.len() == room);
        assert_eq!(before.iter().filter(|id| self.running.contains_key(*id)).count(), count);
    }

    /// Has all threads that the library ever has: one that it begins later takes the place of a process.
    #[track_caller]
    fn have_all_threads(&mut self, config: &ProxyConfig) {
        let most = std::thread::available_parallelism().map_or(1, |cores| cores.get()).min(4);
        let deadline = Deadline::of(format!("{most} spawner threads"));
        let warm_up: Vec<String> = (1..=2 * most).map(|number| format!("warm-up-{number}")).collect();
        while library_threads().iter().filter(|name| name.starts_with("proxy-spawner")).count() < most {
            deadline.left();
            self.declare(&warm_up, config);
            self.until("all of them run", |this| this.waiting().is_empty());
            for id in &warm_up {
                self.host.state.remove(id);
            }
            self.until("none of them runs", |this| this.running.is_empty());
            self.declared.clear();
        }
    }

    /// Declares these as well, all at once: a second sync would wait for descriptors with all that it is to begin.
    #[track_caller]
    fn declare(&mut self, ids: &[String], config: &ProxyConfig) {
        self.declared.extend(ids.iter().cloned());
        let before = self.host.state.list();
        let added = ids.iter().map(|id| (id.clone(), config.clone()));
        self.host.state.replace_all(before.into_iter().chain(added)).expect("declare proxies");
    }
}

fn number(pid: u32) -> Pid {
    Pid::from_raw(pid.try_into().expect("a pid")).expect("a pid")
}

fn kill(pid: u32) {
    kill_process(number(pid), Signal::KILL).expect("kill a process");
}

fn lives(pid: u32) -> bool {
    test_kill_process(number(pid)).is_ok()
}

fn is_in_pid_file(place: &Place, id: &str, pid: u32) -> bool {
    fs::read_to_string(place.data_dir().join(format!("pids/{id}.pid"))).is_ok_and(|text| text == format!("{pid}\n"))
}

/// A process that is tried again soon.
fn config(place: &Place, limit: Limit) -> ProxyConfig {
    let mut config = inherited(&["run"]);
    if limit == Limit::ProcessesOfTheirUser {
        let credentials = Credentials::new(LONELY_PROXIES, LONELY_PROXIES);
        config.command = Command::new(helper_for_all(place)).arg("run").dir("/").credentials(credentials);
    }
    config.restart.max_wait = MAX_WAIT;
    config
}

fn live_at(place: &Place, limit: Limit) {
    let open = descriptors();
    // A start in a cgroup needs two more descriptors for a moment: at the limit starts would be in each other's way.
    let mut options = quick(&place.data_dir()).with_cgroup(CgroupUse::Off);
    options.event_capacity = 1 << 16;
    let mut host = Host::new(options.clone());
    host.run();
    host.follow("marker");
    limit.prepare();
    // It keeps the threads: at the limit the next manager could have none.
    let keeper = Daemon::new("keeper", config(place, limit));
    keeper.start().expect("start a process");
    let (running, refused, declared) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    let mut this = AtLimit { limit, host, declared, running, refused };
    this.have_all_threads(&config(place, limit));

    let taken = limit.leave_room(ROOM, 1);
    this.declare(&ids(DECLARED), &config(place, limit));
    this.settle(ROOM - ABOUT);
    let (undisturbed, fit) = (this.running.clone(), this.running.len() as u64);
    assert!(fit <= ROOM + ABOUT, "{fit} of {DECLARED} run");
    this.check_status();
    this.endure();
    // One that was refused may have room once no other start is in its way.
    let is_undisturbed = |(id, pid): (&String, &u32)| this.running.get(id) == Some(pid);
    assert!(undisturbed.iter().all(is_undisturbed), "{:?} are disturbed by those that do not run", this.running);
    this.check_status();
    let victims: Vec<String> = undisturbed.keys().rev().take(9).cloned().collect();
    this.restart(&victims);
    this.remove(5);
    this.check_status();

    limit.lift();
    drop(taken);
    this.until("all run", |this| this.waiting().is_empty());
    let named = || this.running.iter().all(|(id, pid)| is_in_pid_file(place, id, *pid));
    wait_until(&place.data_dir(), "the pid files that could not be written", named);
    for (id, pid) in undisturbed.iter().filter(|(id, _)| !victims.contains(id)) {
        assert!(this.running.get(id).is_none_or(|now| now == pid), "{id} was {pid}");
    }
    let all = this.running.clone();
    this.check_status();

    let alive = all.len() as u64 + 1;
    let taken = limit.leave_room(0, alive);
    this.declare(&["late-1", "late-2", "late-3"].map(str::to_owned), &config(place, limit));
    this.settle(0);
    this.check_status();
    assert_eq!(this.running, all, "there was no room");
    let state = this.host.state.clone();
    this.host.close();
    assert!(all.values().all(|pid| lives(*pid)), "a close leaves them running");

    // Neither to take over nor to stop takes more than one has.
    limit.lift();
    drop(taken);
    let mut next = Host::of(state, options);
    let taken = limit.leave_room(0, alive);
    next.restore().expect("restore");
    let mut adopted = BTreeMap::new();
    let deadline = Instant::now() + WATCHDOG / 2;
    while adopted != all {
        assert!(Instant::now() < deadline, "{adopted:#?} instead of {all:#?}: {:#?}", next.manager.status());
        let Some(event) = next.events.next(WATCHED) else { continue };
        if let EventKind::Adopted { pid } = event.kind {
            adopted.extend(event.id.map(|id| (id.to_string(), pid)));
        }
    }
    next.kill();
    keeper.stop().expect("stop a process");
    drop(keeper);
    assert!(!all.values().any(|pid| lives(*pid)));
    let children = waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT);
    assert!(children.is_err_and(|error| error == rustix::io::Errno::CHILD), "children are left");
    limit.lift();
    drop(taken);
    assert_eq!(descriptors(), open, "descriptors are left");
}

/// The story: an act at a limit, in a process that was prepared by other programs.
fn play(stage: Stage, programs: &[&str], env: &[(&str, &str)]) {
    stage.begin_under(programs, "host", env).finish();
    let scene = stage.scene;
    assert!(scene.reports.processes().len() >= DECLARED, "not all have run");
    scene.reports.forget_unread();
    scene.finish();
}

fn words(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

fn descriptors_run_out(place: &Place) {
    live_at(place, Limit::Descriptors);
}

#[test]
fn more_proxies_than_descriptors() {
    let name = "scarcity::limits::more_proxies_than_descriptors";
    let Some(stage) = stage(name, &[("host", descriptors_run_out)]) else { return };
    play(stage, &[], &[]);
}

fn processes_run_out(place: &Place) {
    live_at(place, Limit::Processes);
}

/// It does not hold for root, who therefore becomes another user; and who is another user already has perhaps other
/// processes, which do not count in a user namespace.
#[test]
fn more_proxies_than_processes_of_the_user() {
    let name = "scarcity::limits::more_proxies_than_processes_of_the_user";
    let Some(stage) = stage(name, &[("host", processes_run_out)]) else { return };
    let namespace = ["unshare", "--user", "--map-current-user"].map(str::to_owned);
    let programs = if geteuid().is_root() { as_ordinary_user(&stage.scene, LONELY) } else { namespace.to_vec() };
    if let Err(why) = possible(&words(&programs)) {
        println!("skipped: no user namespace: {why}");
        return stage.end();
    }
    play(stage, &words(&programs), &[]);
}

fn processes_of_their_user_run_out(place: &Place) {
    live_at(place, Limit::ProcessesOfTheirUser);
}

#[test]
fn more_proxies_than_processes_of_their_own_user() {
    let name = "scarcity::limits::more_proxies_than_processes_of_their_own_user";
    let Some(stage) = stage(name, &[("host", processes_of_their_user_run_out)]) else { return };
    if !geteuid().is_root() {
        println!("skipped: only root can start processes of another user");
        return stage.end();
    }
    for (path, mode) in [("", 0o755), ("locks", 0o777)] {
        fs::set_permissions(stage.scene.path(path), Permissions::from_mode(mode)).expect("let the user in");
    }
    let program = stage.scene.path("helper");
    // A link, since a copy cannot be executed while any process that is just being started has it open.
    if fs::hard_link(*HELPER, &program).is_err() {
        fs::copy(*HELPER, &program).expect("copy the helper");
    }
    play(stage, &[], &[]);
}

fn pids_run_out(place: &Place) {
    live_at(place, Limit::Pids);
}

/// Since Linux 6.14 each pid namespace has its own pid_max. Before, root would set that of the whole machine.
#[test]
fn more_proxies_than_pids() {
    let Some(stage) = stage("scarcity::limits::more_proxies_than_pids", &[("host", pids_run_out)]) else { return };
    if !has_pid_max() {
        println!("skipped: pid_max is that of the whole machine");
        return stage.end();
    }
    let unshare = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let set = ["/bin/sh", "-c", "echo 4096 > /proc/sys/kernel/pid_max && echo 300 > /proc/sys/kernel/ns_last_pid"];
    if let Err(why) = possible(&[&unshare[..], &set].concat()) {
        let required = geteuid().is_root() && std::env::var_os("PROXYPROCESS_CI").is_some();
        assert!(!required, "no pid_max of a pid namespace: {why}");
        println!("skipped: no pid_max of a pid namespace: {why}");
        return stage.end();
    }
    let programs = [&unshare[..], &["/usr/bin/env", "HELPER_WATCH_PID=1"]].concat();
    play(stage, &programs, &[]);
}

fn control_group_is_full(place: &Place) {
    live_at(place, Limit::ControlGroup);
}

#[test]
fn more_proxies_than_the_control_group_may_have() {
    let name = "scarcity::limits::more_proxies_than_the_control_group_may_have";
    let Some(stage) = stage(name, &[("host", control_group_is_full)]) else { return };
    match ControlGroup::new(&stage.scene.path("")) {
        Ok(group) => play(stage, &[], &[(CONTROL_GROUP, group.path())]),
        Err(why) => {
            println!("skipped: no control group that counts processes: {why}");
            stage.end();
        }
    }
}

/// Whether these programs can prepare a process.
fn possible(programs: &[&str]) -> Result<(), String> {
    let Some((program, rest)) = programs.split_first() else { return Ok(()) };
    let ends = if programs.contains(&"/bin/sh") { &[][..] } else { &["true"][..] };
    let output = std::process::Command::new(program).args(rest).args(ends).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{programs:?}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{programs:?}: {error}")),
    }
}

/// Whether this kernel has one for each namespace (Linux 6.14).
fn has_pid_max() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (6, 14)
}
