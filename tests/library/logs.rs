// SPDX-License-Identifier: MPL-2.0
//! The log of a manager: its own logger, its readers, and the readers of the whole library.

use std::fmt::Write;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use log::{Level, LevelFilter, Log, Metadata, Record};
use proxyprocess::{
    Command, Daemon, ErrorCode, ExecMode, LogLine, Logger, Logs, Manager, ManagerOptions, Proxy, ProxyConfig,
    ProxySnapshot, Result, Signal, State, WaitFor,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::inside::Bomb;
use crate::support::{Process, Scene, WATCHDOG};

/// A logger that remembers, up to the level info.
#[derive(Debug, Default, Clone)]
struct Memory(Arc<Mutex<String>>);

impl Log for Memory {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Info
    }

    fn log(&self, record: &Record<'_>) {
        let mut text = self.0.lock().expect("no panic");
        writeln!(text, "{} {} {}", record.target(), record.level(), record.args()).expect("write to a string");
    }

    fn flush(&self) {}
}

impl Memory {
    fn text(&self) -> String {
        self.0.lock().expect("no panic").clone()
    }
}

fn options() -> ManagerOptions {
    let quick = Duration::from_millis(5);
    ManagerOptions::default().with_allow_root(true).with_quiescent_period(quick).with_snapshot_period(quick)
}

fn sleeper() -> ProxyConfig {
    ProxyConfig::new(Command::new("sleep").arg("1000")).with_token("a token")
}

/// Waits for a line with this in it; others are read over.
#[track_caller]
fn until(logs: &mut Logs, part: &str) -> LogLine {
    loop {
        let line = logs.next_timeout(WATCHDOG).unwrap_or_else(|| panic!("waited in vain for a line with {part:?}"));
        if line.message.contains(part) {
            return line;
        }
    }
}

#[test]
fn lines_of_manager_go_to_its_own_logger_and_its_readers() {
    let own = Memory::default();
    let (state, other_state) = (State::new(), State::new());
    let manager = Manager::new(state.clone(), options().with_logger(Logger::new(own.clone()))).unwrap();
    let other = Manager::new(other_state.clone(), options()).unwrap();
    let (mut logs, others) = (manager.logs(LevelFilter::Info), other.logs(LevelFilter::Info));
    let mut library = Logs::of_library(LevelFilter::Info).unwrap();
    state.set("mine", sleeper()).unwrap();
    other_state.set("theirs", sleeper()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| manager.run());
        scope.spawn(|| other.run());
        assert_eq!(until(&mut logs, "proxy mine: started, pid ").level, Level::Info);
        until(&mut library, "proxy theirs: started, pid ");
        manager.kill().unwrap();
        other.kill().unwrap();
    });
    let lines: Vec<LogLine> = logs.by_ref().collect();
    assert!(lines.iter().any(|line| &*line.message == "proxy mine: stopped"), "{lines:?}");
    assert!(logs.is_ended() && manager.logs(LevelFilter::Trace).is_ended());
    assert!(others.into_iter().all(|line| !line.message.contains("mine")));
    let text = own.text();
    assert!(text.contains("proxyprocess INFO proxy mine: started, pid "), "{text}");
    assert!(text.contains("proxyprocess INFO proxy mine: stopped\n"), "{text}");
    assert!(!text.contains("theirs") && !text.contains("DEBUG"), "{text}");
    until(&mut library, "proxy theirs: stopped");
    assert!(!library.is_ended());
}

#[test]
fn logger_that_panics_ends_no_supervision() {
    #[derive(Debug)]
    struct Panics;
    impl Log for Panics {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn log(&self, _: &Record<'_>) {
            panic!("on purpose");
        }
        fn flush(&self) {}
    }
    let state = State::new();
    let manager = Manager::new(state.clone(), options().with_logger(Logger::new(Panics))).unwrap();
    let mut logs = manager.logs(LevelFilter::Info);
    state.set("web", sleeper()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| manager.run());
        until(&mut logs, "proxy web: started, pid ");
        manager.kill().unwrap();
    });
    assert!(logs.any(|line| &*line.message == "proxy web: stopped"));
}

/// The payload of its panics panics again when it is dropped, and so does the logger itself.
#[test]
fn logger_whose_panic_cannot_be_dropped_ends_no_supervision() {
    #[derive(Debug)]
    struct Panics {
        _dropped: Bomb,
    }
    impl Log for Panics {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn log(&self, _: &Record<'_>) {
            std::panic::panic_any(Bomb);
        }
        fn flush(&self) {}
    }
    let state = State::new();
    let logger = Logger::new(Panics { _dropped: Bomb });
    let manager = Manager::new(state.clone(), options().with_logger(logger)).unwrap();
    let mut logs = manager.logs(LevelFilter::Info);
    let mut events = manager.events();
    state.set("web", sleeper()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| manager.run());
        until(&mut logs, "proxy web: started, pid ");
        events.find(|event| event.kind.as_str() == "started").expect("the supervisor goes on");
        manager.kill().unwrap();
    });
    assert!(logs.any(|line| &*line.message == "proxy web: stopped"));
}

/// A logger that calls a manager and a daemon, and remembers what came of it.
#[derive(Default)]
struct Caller {
    handles: OnceLock<(Weak<Manager>, Daemon)>,
    made: Mutex<Vec<(&'static str, Option<ErrorCode>)>>,
}

impl Caller {
    fn call(&self, manager: &Manager, daemon: &Daemon) {
        let calls: [(&str, &dyn Fn() -> Result<()>); 17] = [
            ("new", &|| Manager::new(State::new(), options()).map(drop)),
            ("register_kind", &|| manager.register_kind(ExecMode::new("own")?, |_| unreachable!())),
            ("restore", &|| manager.restore("/is/not/there")),
            ("run", &|| manager.run()),
            ("snapshot", &|| manager.snapshot("/is/not/there")),
            ("reconfigure", &|| manager.reconfigure(options())),
            ("restart", &|| manager.restart("web")),
            ("wait_until", &|| manager.wait_until("web", WaitFor::Running, Duration::MAX)),
            ("reload", &|| manager.reload("web")),
            ("signal", &|| manager.signal("web", Signal::KILL)),
            ("close", &|| manager.close()),
            ("kill", &|| manager.kill()),
            ("start of a daemon", &|| daemon.start()),
            ("unmarshal", &|| daemon.unmarshal_snapshot(&ProxySnapshot::new())),
            ("stop", &|| daemon.stop()),
            ("stop for good", &|| Proxy::stop(daemon)),
            ("close of a daemon", &|| daemon.close()),
        ];
        for (name, call) in calls {
            self.made.lock().unwrap().push((name, call().err().map(|error| error.code())));
        }
        let known = manager.status();
        self.made.lock().unwrap().push(("status", known.is_empty().then_some(ErrorCode::InCallback)));
        let _ = (daemon.status(), daemon.marshal_snapshot());
        // Readers need no answer.
        assert!(!manager.events().is_ended() && !manager.logs(LevelFilter::Info).is_ended());
        self.made.lock().unwrap().push(("readers", Some(ErrorCode::InCallback)));
    }
}

struct Calls(Arc<Caller>);

impl Log for Calls {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn log(&self, _: &Record<'_>) {
        let Some((manager, daemon)) = self.0.handles.get() else { return };
        if let Some(manager) = manager.upgrade() {
            self.0.call(&manager, daemon);
        }
    }
    fn flush(&self) {}
}

#[test]
fn call_of_a_logger_that_would_wait_for_it_is_refused() {
    let caller = Arc::new(Caller::default());
    let state = State::new();
    let options = options().with_logger(Logger::new(Calls(caller.clone())));
    let manager = Arc::new(Manager::new(state.clone(), options).unwrap());
    let daemon = Daemon::new("alone", sleeper());
    daemon.start().unwrap();
    assert!(caller.handles.set((Arc::downgrade(&manager), daemon)).is_ok());
    let mut logs = manager.logs(LevelFilter::Info);
    state.set("web", sleeper()).unwrap();
    let runner = std::thread::spawn({
        let manager = manager.clone();
        move || manager.run()
    });
    until(&mut logs, "proxy web: started, pid ");
    assert_eq!(manager.status().len(), 1);
    manager.kill().unwrap();
    runner.join().unwrap().unwrap();
    let made = caller.made.lock().unwrap();
    assert!(made.len() >= 19 && made.len() % 19 == 0, "{made:?}");
    let accepted: Vec<_> = made.iter().filter(|(_, code)| *code != Some(ErrorCode::InCallback)).collect();
    assert!(accepted.is_empty(), "{accepted:?}");
    // The stops for good that were refused have stopped nothing.
    let (_, daemon) = caller.handles.get().unwrap();
    let pid = daemon.status().pid.expect("it runs");
    let process = Process::open(pid).expect("it runs");
    daemon.stop().unwrap();
    assert!(process.is_gone());
}

/// Drops what it has at the first line.
struct Drops(Mutex<Option<(Manager, Daemon)>>);

impl Log for Drops {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &Record<'_>) {
        if record.args().to_string().contains("proxy web: started") {
            drop(self.0.lock().unwrap().take());
        }
    }
    fn flush(&self) {}
}

#[test]
fn manager_and_daemon_dropped_in_a_logger_are_closed() {
    let scene = Scene::of_library();
    let with_dir = || Manager::new(State::new(), options().with_data_dir(scene.data_dir()));
    let other = with_dir().unwrap();
    let daemon = Daemon::new("alone", sleeper());
    daemon.start().unwrap();
    let process = Process::open(daemon.status().pid.expect("it runs")).expect("it runs");
    let (of_manager, of_daemon) = (other.events(), daemon.events());
    let state = State::new();
    let drops = Logger::new(Drops(Mutex::new(Some((other, daemon)))));
    let manager = Arc::new(Manager::new(state.clone(), options().with_logger(drops)).unwrap());
    state.set("web", sleeper()).unwrap();
    let runner = std::thread::spawn({
        let manager = manager.clone();
        move || manager.run()
    });
    for mut events in [of_manager, of_daemon] {
        while events.next_timeout(WATCHDOG).is_some() {}
        assert!(events.is_ended());
    }
    with_dir().unwrap().close().unwrap();
    manager.kill().unwrap();
    runner.join().unwrap().unwrap();
    // The daemon was closed, not stopped.
    assert!(!process.is_gone());
    process.kill();
    process.wait();
    scene.finish();
}

#[test]
fn logger_cannot_be_changed_while_the_manager_lives() {
    let logger = Logger::new(Memory::default());
    let manager = Manager::new(State::new(), options().with_logger(logger.clone())).unwrap();
    manager.reconfigure(options().with_logger(logger)).unwrap();
    for changed in [options(), options().with_logger(Logger::new(Memory::default()))] {
        let error = manager.reconfigure(changed).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfig);
        assert!(error.to_string().starts_with("logger: expected no change"), "{error}");
    }
    manager.close().unwrap();
}

#[test]
fn descriptor_of_logs_is_readable_while_a_line_is_unread_and_after_the_end() {
    let manager = Manager::new(State::new(), options()).unwrap();
    let mut logs = manager.logs(LevelFilter::Error);
    let is_readable = |logs: &Logs| {
        let descriptor = logs.descriptor().unwrap();
        poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&Timespec::default())).unwrap() == 1
    };
    assert!(!is_readable(&logs));
    assert_eq!(logs.try_next(), None);
    manager.close().unwrap();
    assert!(is_readable(&logs) && logs.is_ended());
    assert_eq!(logs.next(), None);
}

#[test]
fn opened_manager_takes_over_and_goes_on_without_a_snapshot_that_cannot_be_read() {
    let scene = Scene::of_library();
    let state = || {
        let state = State::new();
        state.set("web", sleeper()).unwrap();
        state
    };
    let open = || Manager::open(state(), options().with_data_dir(scene.data_dir())).unwrap();
    let first = open();
    let mut events = first.events();
    let pid = std::thread::scope(|scope| {
        scope.spawn(|| first.run());
        let started = events.find(|event| event.kind.as_str() == "started").expect("a start");
        first.close().unwrap();
        started.to_string().rsplit(' ').next().unwrap().parse::<u32>().unwrap()
    });
    let process = Process::open(pid).expect("it runs on");

    // Without a run: what is supervised now was taken over by the open.
    let second = open();
    let status = second.status();
    assert_eq!(status.len(), 1);
    assert_eq!(status[0].to_string(), format!("proxy web: running, pid {pid}, adopted"));
    second.close().unwrap();

    std::fs::write(scene.data_dir().join("snapshot.json"), "{").unwrap();
    let logger = Memory::default();
    let third =
        Manager::open(state(), options().with_data_dir(scene.data_dir()).with_logger(Logger::new(logger.clone())))
            .unwrap();
    let text = logger.text();
    assert!(text.contains("ERROR open: going on without the snapshot: "), "{text}");
    third.kill().unwrap();
    process.wait();
    scene.finish();
}
