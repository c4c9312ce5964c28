// SPDX-License-Identifier: MPL-2.0
//! Reloads that the process confirms by its notifications (`Type=notify-reload` of systemd.service(5)).

use std::io::ErrorKind;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::thread::JoinHandle;
use std::time::Duration;

use proxyprocess::{Error, ErrorCode, ProxyConfig, Ready, Reload, Replace, Result};

use super::notifications::{notifies, send_next, socket_of, status_when};
use crate::inside::{Host, quick};
use crate::support::{Deadline, OVERLAPS, Scene, Start};

const BEGINS: &str = "RELOADING=1\nMONOTONIC_USEC=now";
const DONE: &str = "READY=1";

/// A helper that is ready at once, and sends these on SIGUSR1, by which it is reloaded.
fn reloads(scene: &Scene, texts: &[&str]) -> ProxyConfig {
    by_sigusr1(notifies(scene, "at-once", &[&[DONE], texts].concat()))
}

fn by_sigusr1(config: ProxyConfig) -> ProxyConfig {
    config.with_reload(Reload::Notify("SIGUSR1".parse().expect("a signal")))
}

fn overlaps(mut config: ProxyConfig) -> ProxyConfig {
    config.command = config.command.env(OVERLAPS, "1");
    config.with_replace(Replace::Overlap)
}

fn ready(scene: &Scene, config: ProxyConfig) -> (Host, Start) {
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", config);
    host.run();
    let start = scene.reports.start("web");
    host.events.ready("web");
    (host, start)
}

/// Another thread calls for the reload; when this returns the process has got the signal, and has sent its next text.
#[track_caller]
fn reload(scene: &Scene, host: &Host, start: &Start) -> JoinHandle<Result<()>> {
    let manager = host.manager.clone();
    let thread = std::thread::spawn(move || manager.reload("web"));
    assert_eq!(scene.reports.signal(start), "SIGUSR1");
    thread
}

/// A process that another test is just starting has a copy of the socket until it executes its program.
#[track_caller]
fn wait_until_free(address: &SocketAddr) {
    let deadline = Deadline::of("the name of the socket to be free");
    let connect = || UnixDatagram::unbound().expect("make a socket").connect_addr(address);
    while !connect().is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
        deadline.left();
        std::thread::yield_now();
    }
}

#[track_caller]
fn failed(thread: JoinHandle<Result<()>>) -> Error {
    thread.join().expect("the call does not panic").expect_err("it fails")
}

#[test]
fn reload_returns_once_the_process_has_confirmed_it() {
    let scene = Scene::of_library();
    let (mut host, start) = ready(&scene, reloads(&scene, &[BEGINS, DONE]));
    let thread = reload(&scene, &host, &start);
    assert!(!status_when(&host, "web", |status| !status.ready).adopted);
    assert!(!thread.is_finished());
    send_next(&scene, &start);
    assert_eq!(thread.join().unwrap(), Ok(()));
    host.events.ready("web");
    let status = host.status("web");
    assert_eq!((status.ready, status.pid), (true, Some(start.pid)));
    host.kill();
    scene.finish();
}

#[test]
fn each_of_two_reloads_is_confirmed_by_one_that_began_after_it_was_asked_for() {
    let scene = Scene::of_library();
    let (host, start) = ready(&scene, reloads(&scene, &[BEGINS, DONE, BEGINS, DONE]));
    let first = reload(&scene, &host, &start);
    let second = reload(&scene, &host, &start);
    assert_eq!(first.join().unwrap(), Ok(()));
    assert!(!second.is_finished());
    send_next(&scene, &start);
    status_when(&host, "web", |status| !status.ready);
    assert!(!second.is_finished());
    send_next(&scene, &start);
    assert_eq!(second.join().unwrap(), Ok(()));
    host.kill();
    scene.finish();
}

#[test]
fn reload_that_is_not_confirmed_in_time_is_an_error_and_leaves_the_process() {
    let scene = Scene::of_library();
    let config = reloads(&scene, &["STATUS=ignores it"]);
    let (mut host, start) = ready(&scene, config.clone());
    send_next(&scene, &start);
    status_when(&host, "web", |status| status.status_text.is_some());
    host.set("web", config.with_start_timeout(Duration::from_millis(50)));
    host.follow("short");
    let error = host.manager.reload("web").unwrap_err();
    assert_eq!(scene.reports.signal(&start), "SIGUSR1");
    assert_eq!(error.code(), ErrorCode::Timeout);
    let missing = "no RELOADING=1; its status is \"ignores it\"";
    assert_eq!(error.to_string(), format!("proxy web: reload: not confirmed in 50 ms: {missing}"));
    assert_eq!(host.status("web").pid, Some(start.pid));
    host.kill();
    scene.finish();
}

#[test]
fn reload_is_refused_while_the_process_is_not_ready() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", by_sigusr1(notifies(&scene, "self", &[DONE])));
    host.run();
    let start = scene.reports.start("web");
    host.events.started("web");
    let error = host.manager.reload("web").unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotRunning);
    assert_eq!(error.to_string(), "proxy web: reload: its process is not ready, its state is starting");
    send_next(&scene, &start);
    host.events.ready("web");
    // It has no text left, and was sent no signal before.
    let thread = reload(&scene, &host, &start);
    host.kill();
    assert_eq!(failed(thread).code(), ErrorCode::NotRunning);
    scene.finish();
}

#[test]
fn reload_of_a_process_that_ends_meanwhile_says_so() {
    let scene = Scene::of_library();
    let (mut host, start) = ready(&scene, reloads(&scene, &[BEGINS]));
    let thread = reload(&scene, &host, &start);
    start.process.kill();
    let error = failed(thread);
    assert_eq!(error.code(), ErrorCode::NotRunning);
    let ended = format!("proxy web: reload: pid {} has ended meanwhile: signal SIGKILL", start.pid);
    assert_eq!(error.to_string(), ended);
    scene.reports.start("web");
    host.events.ready("web");
    host.kill();
    scene.finish();
}

#[test]
fn reload_goes_on_in_the_process_that_is_being_replaced_until_it_ends() {
    let scene = Scene::of_library();
    let (mut host, start) = ready(&scene, overlaps(reloads(&scene, &[BEGINS, DONE])));
    let begun = reload(&scene, &host, &start);
    // The next one is ready when it says so.
    host.set("web", overlaps(by_sigusr1(notifies(&scene, "self", &[DONE]))));
    let next = scene.reports.start("web");
    send_next(&scene, &start);
    assert_eq!(begun.join().unwrap(), Ok(()));
    let late = reload(&scene, &host, &start);
    send_next(&scene, &next);
    let error = failed(late).to_string();
    assert_eq!(error, format!("proxy web: reload: pid {} has ended meanwhile: signal SIGINT", start.pid));
    host.events.exited("web");
    host.kill();
    scene.finish();
}

#[test]
fn close_answers_a_reload_and_the_next_manager_reloads_the_same_process() {
    let scene = Scene::of_library();
    let (host, start) = ready(&scene, reloads(&scene, &[BEGINS, BEGINS, DONE]));
    let address = socket_of(&start);
    let thread = reload(&scene, &host, &start);
    host.close();
    assert_eq!(failed(thread).code(), ErrorCode::Closed);
    wait_until_free(&address);
    let mut next = Host::new(quick(&scene.data_dir()));
    next.restore().unwrap();
    assert_eq!(next.events.adopted("web"), start.pid);
    let thread = reload(&scene, &next, &start);
    send_next(&scene, &start);
    assert_eq!(thread.join().unwrap(), Ok(()));
    next.kill();
    scene.finish();
}

#[test]
fn reload_of_a_process_that_is_not_heard_is_refused() {
    let scene = Scene::of_library();
    let (host, start) = ready(&scene, reloads(&scene, &[]));
    let address = socket_of(&start);
    host.close();
    wait_until_free(&address);
    let another = UnixDatagram::bind_addr(&address).unwrap();
    let mut next = Host::new(quick(&scene.data_dir()));
    next.restore().unwrap();
    assert_eq!(next.events.adopted("web"), start.pid);
    let error = next.manager.reload("web").unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotRunning);
    let why = "the notifications of its process are not heard, since an earlier agent has started it";
    assert_eq!(error.to_string(), format!("proxy web: reload: {why}"));
    drop(another);
    next.kill();
    scene.finish();
}

#[test]
fn process_with_a_watchdog_alone_confirms_as_well() {
    let scene = Scene::of_library();
    let config = by_sigusr1(notifies(&scene, "feeds", &[BEGINS, DONE]).with_watchdog(Duration::from_secs(3600)));
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", config.with_ready(Ready::Started));
    host.run();
    let start = scene.reports.start("web");
    host.events.started("web");
    let thread = reload(&scene, &host, &start);
    send_next(&scene, &start);
    assert_eq!(thread.join().unwrap(), Ok(()));
    host.events.ready("web");
    host.kill();
    scene.finish();
}
