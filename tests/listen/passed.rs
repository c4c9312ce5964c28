// SPDX-License-Identifier: MPL-2.0
//! What a process finds: its descriptors, variables and arguments.

use std::collections::BTreeMap;

use proxyprocess::{Listen, Ready};

use super::{address, tcp};
use crate::inside::{Host, helper, quick};
use crate::support::{Scene, Start};

/// The descriptors of a process without the standard ones.
fn passed(start: &Start) -> BTreeMap<u32, String> {
    let inspection = start.inspection.as_ref().expect("an inspection");
    inspection.fds.iter().filter(|(number, _)| **number > 2).map(|(number, to)| (*number, to.clone())).collect()
}

#[test]
fn process_gets_its_sockets_in_order_with_names_numbers_and_its_pid() {
    let scene = Scene::of_library();
    for detached in [false, true] {
        let mut options = quick(&scene.path(if detached { "detached" } else { "child" }));
        options.proxy_env = vec![("LISTEN_PID".into(), "1".into()), ("LISTEN_FDNAMES".into(), "other".into())];
        let mut host = Host::new(options);
        let mut config = helper(&scene, &["inspect", "fd@{fd:web}", "{fd:admin}{fd:web}"])
            .with_listen(tcp(address()))
            .with_listen(tcp(address()).with_name("web"))
            .with_listen(Listen::new(format!("udp:{}", address()).parse().unwrap()))
            .with_listen(Listen::new("unix:/proc/nowhere".parse().unwrap()).with_name("admin"));
        config.listen[3].address = format!("unix:{}", scene.path("socket").display()).parse().unwrap();
        config.command = config.command.env("NGINX", "{fd:web};{fd:admin};");
        if detached {
            config.command = config.command.detached();
        }
        host.set("web", config);
        host.set("other", helper(&scene, &["inspect"]));
        host.run();
        let start = scene.reports.start("web");
        let found = passed(&start);
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [3, 4, 5, 6], "{found:?}");
        assert!(found.values().all(|to| to.starts_with("socket:")), "{found:?}");
        let inspection = start.inspection.as_ref().expect("an inspection");
        assert_eq!(inspection.argv[2..], ["fd@4", "64"]);
        let variable = |name: &str| inspection.env.get(name).map(String::as_str);
        assert_eq!(variable("LISTEN_FDS"), Some("4"));
        assert_eq!(variable("LISTEN_FDNAMES"), Some("unknown:web:unknown:admin"));
        assert_eq!(variable("LISTEN_PID"), Some(&*start.pid.to_string()));
        assert_eq!(variable("NGINX"), Some("4;6;"));
        let other = scene.reports.start("other");
        assert!(passed(&other).is_empty(), "{:?}", passed(&other));
        host.kill();
        start.process.wait();
        assert!(!scene.path("socket").exists());
    }
    scene.finish();
}

/// However many there are: their numbers may be those of files that the child needs until it executes.
#[test]
fn sockets_and_descriptor_of_the_report_have_their_numbers_whatever_else_is_open() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.run();
    for count in [1, 2, 5, 20, 64] {
        for report in [3 + count, 900] {
            let mut config = helper(&scene, &["inspect"]).with_ready(Ready::Fd(report));
            config.command = config.command.descriptor_limit(1024);
            config.listen = (0..count).map(|_| tcp(address())).collect();
            let id = format!("web-{count}-{report}");
            host.set(&id, config);
            let start = scene.reports.start(&id);
            let found = passed(&start);
            let expected: Vec<u32> = (3..3 + count).chain([report]).collect();
            assert_eq!(found.keys().copied().collect::<Vec<_>>(), expected);
            assert!(found[&report].starts_with("pipe:"), "{found:?}");
            assert!((3..3 + count).all(|number| found[&number].starts_with("socket:")), "{found:?}");
            // Each restart finds the numbers as they are by then.
            start.process.kill();
            let again = passed(&scene.reports.start(&id));
            assert_eq!(again.keys().copied().collect::<Vec<_>>(), expected);
            assert!((3..3 + count).all(|number| again[&number] == found[&number]), "the same sockets");
        }
    }
    host.kill();
    scene.finish();
}
