// SPDX-License-Identifier: MPL-2.0
//! Proxies that report by a descriptor when they are ready.

use proxyprocess::{Daemon, ProxyState, Ready};
use rustix::process::{Signal, getpid, set_child_subreaper};

use super::{awaited, is_ready, is_starting};
use crate::inside::{Host, Observer, helper, quick, settled_descriptors};
use crate::support::{Scene, alone};

#[test]
fn proxy_is_ready_when_it_has_written_a_newline_to_its_descriptor() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", awaited(&scene, Ready::Fd(3)));
    host.run();
    let start = scene.reports.start("web");
    host.events.started("web");
    is_starting(&host, &start);
    start.process.signal(Signal::USR1);
    assert_eq!(scene.reports.signal(&start), "SIGUSR1");
    host.events.ready("web");
    is_ready(&host, &start);
    // What it writes later is read by no process, and is no error.
    start.process.signal(Signal::USR1);
    assert_eq!(scene.reports.signal(&start), "SIGUSR1");
    is_ready(&host, &start);
    host.kill();
    scene.finish();
}

/// Whatever the number: it may be that of a file that the child needs until it executes.
#[test]
fn process_gets_the_descriptor_and_no_other() {
    alone("readiness::reports::process_gets_the_descriptor_and_no_other", || {
        // So what is detached is a child of this process, and the library reaps it.
        set_child_subreaper(Some(getpid())).unwrap();
        let scene = Scene::of_library();
        for detached in [false, true] {
            for number in [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 64, 900] {
                let mut config = helper(&scene, &["inspect"]).with_ready(Ready::Fd(number));
                if detached {
                    config.command = config.command.detached();
                }
                config.command = config.command.descriptor_limit(1024);
                let daemon = Daemon::new("web", config);
                daemon.start().unwrap();
                let start = scene.reports.start("web");
                let descriptors = start.inspection.as_ref().expect("an inspection").fds.clone();
                assert_eq!(descriptors.keys().copied().collect::<Vec<_>>(), [0, 1, 2, number]);
                assert!(descriptors[&number].starts_with("pipe:"), "{descriptors:?}");
                daemon.stop().unwrap();
                start.process.wait();
            }
        }
        scene.finish();
    });
}

#[test]
fn descriptor_above_the_limit_of_the_process_is_a_failed_start_that_names_it() {
    let scene = Scene::of_library();
    let mut config = helper(&scene, &["run"]).with_ready(Ready::Fd(64));
    config.command = config.command.descriptor_limit(64);
    let daemon = Daemon::new("web", config);
    daemon.start().unwrap();
    let error = daemon.status().last_error.unwrap();
    assert_eq!(error, "open descriptor 64: Bad file descriptor (os error 9)");
    daemon.stop().unwrap();
    scene.finish();
}

#[test]
fn daemon_without_a_manager_is_awaited_as_well() {
    let scene = Scene::of_library();
    let daemon = Daemon::new("web", awaited(&scene, Ready::Fd(9)));
    let mut events = Observer::of(daemon.events());
    daemon.start().unwrap();
    let start = scene.reports.start("web");
    assert_eq!((daemon.status().state, daemon.status().ready), (ProxyState::Starting, false));
    start.process.signal(Signal::USR1);
    scene.reports.signal(&start);
    events.ready("web");
    assert_eq!((daemon.status().state, daemon.status().ready), (ProxyState::Running, true));
    daemon.stop().unwrap();
    start.process.wait();
    scene.finish();
}

#[test]
fn pipe_of_a_process_that_ends_before_its_report_is_closed() {
    alone("readiness::reports::pipe_of_a_process_that_ends_before_its_report_is_closed", || {
        let scene = Scene::of_library();
        let mut config = awaited(&scene, Ready::Fd(3));
        config.restart.attempts_before_backoff = 100;
        let daemon = Daemon::new("web", config);
        let mut events = Observer::of(daemon.events());
        daemon.start().unwrap();
        let mut start = scene.reports.start("web");
        events.started("web");
        let before = settled_descriptors();
        for _ in 0..20 {
            start.process.kill();
            events.exited("web");
            start = scene.reports.start("web");
            events.started("web");
        }
        // It is answered after what the supervisor did for the last start.
        daemon.status();
        // The reports of the helpers hold a pidfd for each, which are the test's.
        assert_eq!(settled_descriptors(), before + 20);
        daemon.stop().unwrap();
        start.process.wait();
        scene.finish();
    });
}
