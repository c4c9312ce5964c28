// SPDX-License-Identifier: MPL-2.0
//! Addresses that cannot be had.

use std::net::TcpListener;
use std::time::Duration;

use super::{address, ask, serving, tcp};
use crate::inside::{Host, quick};
use crate::support::Scene;

#[test]
fn taken_address_is_in_the_status_and_tried_again_until_it_is_free() {
    let scene = Scene::of_library();
    let at = address();
    let other = TcpListener::bind(at).unwrap();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", serving(&scene, &[tcp(at)]).with_restart(retries()));
    host.run();
    host.events.waiting("web");
    let status = host.status("web");
    let expected = format!("listen on tcp:{at}: Address already in use (os error 98)");
    assert_eq!(status.last_error, Some(expected));
    drop(other);
    let start = scene.reports.start("web");
    assert_eq!(host.events.started("web"), start.pid);
    assert_eq!(ask(at).unwrap(), (start.pid, 3));
    assert_eq!(host.status("web").last_error, None);
    host.kill();
    scene.finish();
}

fn retries() -> proxyprocess::RestartSettings {
    let mut restart = proxyprocess::RestartSettings::default();
    restart.max_wait = Duration::from_millis(50);
    restart
}
