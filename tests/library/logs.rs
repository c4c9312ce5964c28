// SPDX-License-Identifier: MPL-2.0
//! The log of a manager: its own logger, its readers, and the readers of the whole library.

use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use log::{Level, LevelFilter, Log, Metadata, Record};
use proxyprocess::{Command, ErrorCode, LogLine, Logger, Logs, Manager, ManagerOptions, ProxyConfig, State};
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
