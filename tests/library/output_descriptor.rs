// SPDX-License-Identifier: MPL-2.0
//! Descriptors of the host as outputs of proxies.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use log::LevelFilter;
use proxyprocess::{Command, Output, ProxyConfig};

use crate::inside::{Host, quick};
use crate::support::{Deadline, Process, Scene};

/// Says its pid at each start.
fn says(stdout: Output) -> ProxyConfig {
    let command = Command::new("/bin/sh").args(["-c", "echo $$; exec sleep 1000"]);
    let mut config = ProxyConfig::new(command.stdout(stdout).stderr(Output::Null));
    config.token = Some("a declared token".to_owned());
    config
}

#[track_caller]
fn kill(pid: u32) {
    Process::open(pid).expect("it lives").kill();
}

/// Waits until this process is that of the proxy: it can write before the supervisor hears of its start.
#[track_caller]
fn until_runs(host: &Host, id: &str, pid: u32) {
    let deadline = Deadline::of(format!("{pid} to be the process of {id}"));
    while host.status(id).pid != Some(pid) {
        deadline.left();
        std::thread::yield_now();
    }
}

/// What each line of a stream must be, in a thread that a test which fails leaves behind.
fn lines(reader: impl Read + Send + 'static) -> impl FnMut() -> u32 {
    let (sender, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(reader).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    move || lines.recv_timeout(Duration::from_secs(30)).expect("a line").parse().expect("a pid")
}

#[test]
fn each_start_writes_to_the_pipe_socket_or_file_of_a_host_that_has_closed_its_own() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let (reader, writer) = pipe().unwrap();
    let (end, other_end) = UnixStream::pair().unwrap();
    let path = scene.path("own.log");
    fs::write(&path, "before\n").unwrap();
    let file = File::options().append(true).open(&path).unwrap();
    let all: [(&str, OwnedFd); 3] = [("pipe", writer.into()), ("socket", other_end.into()), ("file", file.into())];
    for (id, fd) in all {
        host.set(id, says(Output::descriptor(fd.as_fd()).unwrap()));
        // A hundred more share it.
        for number in 0..100 {
            host.set(&format!("{id}-{number}"), says(Output::descriptor(&fd).unwrap()).with_enabled(false));
        }
    }
    let (mut of_pipe, mut of_socket) = (lines(reader), lines(end));
    host.run();
    for _ in 0..2 {
        let pids = [of_pipe(), of_socket()];
        until_runs(&host, "pipe", pids[0]);
        until_runs(&host, "socket", pids[1]);
        pids.into_iter().for_each(kill);
    }
    let before = of_pipe();
    of_socket();
    until_runs(&host, "pipe", before);
    host.manager.restart("pipe").unwrap();
    assert_ne!(of_pipe(), before);
    let last_of_file = |count: usize| {
        let deadline = Deadline::of(format!("{count} lines"));
        loop {
            let text = fs::read_to_string(&path).unwrap();
            if text.ends_with('\n') && text.lines().count() == count {
                return text.lines().last().unwrap().parse().expect("a pid");
            }
            deadline.left();
            std::thread::yield_now();
        }
    };
    let first = last_of_file(2);
    until_runs(&host, "file", first);
    let status = host.status("file");
    assert_eq!((status.stdout_log, status.stderr_log), (None, None));
    kill(first);
    until_runs(&host, "file", last_of_file(3));
    assert!(fs::read_to_string(&path).unwrap().starts_with("before\n"));
    assert!(!scene.data_dir().join("logs/file-stdout.log").exists());
    host.kill();
    scene.finish();
}

#[test]
fn adopted_process_keeps_what_it_has_and_its_successor_writes_to_the_log_until_a_descriptor_is_declared() {
    let scene = Scene::of_library();
    let (reader, writer) = pipe().unwrap();
    let mut of_pipe = lines(reader);
    let declared = || says(Output::descriptor(&writer).unwrap());
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("stays", declared());
    host.set("crashes", declared());
    host.run();
    of_pipe();
    of_pipe();
    let pid = |host: &Host, id: &str| host.status(id).pid.expect("it runs");
    let runs = |id: &str| host.status(id).pid.is_some();
    let deadline = Deadline::of("both to run");
    while !(runs("stays") && runs("crashes")) {
        deadline.left();
        std::thread::yield_now();
    }
    let [stays, crashes] = ["stays", "crashes"].map(|id| pid(&host, id));
    host.close();

    let mut host = Host::new(quick(&scene.data_dir()));
    let mut said = host.manager.logs(LevelFilter::Warn);
    host.restore().unwrap();
    assert_eq!(["stays", "crashes"].map(|id| pid(&host, id)), [stays, crashes]);
    kill(crashes);
    let again = host.events.started("crashes");
    let log = scene.data_dir().join("logs/crashes-stdout.log");
    let deadline = Deadline::of("its line in the log");
    while fs::read_to_string(&log).unwrap_or_default() != format!("{again}\n") {
        deadline.left();
        std::thread::yield_now();
    }
    let why = "its stdout goes to its log, for the descriptor of the earlier agent is not declared again yet";
    while !said.next_timeout(Duration::from_secs(30)).expect("a line that says so").message.ends_with(why) {}

    // Whichever it is, no process is replaced for it.
    let (another_reader, another) = pipe().unwrap();
    let mut of_another = lines(another_reader);
    host.set("stays", says(Output::descriptor(&another).unwrap()));
    host.set("crashes", declared());
    host.run();
    host.follow("marker");
    assert_eq!(["stays", "crashes"].map(|id| pid(&host, id)), [stays, again]);
    kill(stays);
    kill(again);
    until_runs(&host, "stays", of_another());
    until_runs(&host, "crashes", of_pipe());
    host.kill();
    scene.finish();
}
