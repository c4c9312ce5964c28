// SPDX-License-Identifier: MPL-2.0
//! The threads are shared by all managers and daemons of the program; they end with the last and begin with the next.

use std::sync::Barrier;

use proxyprocess::Daemon;

use crate::inside::{helper, library_threads, no_library_thread_is_left};
use crate::support::{Deadline, Scene, alone};

#[test]
fn they_are_there_while_anything_is_supervised() {
    alone("library::threads::they_are_there_while_anything_is_supervised", || {
        let scene = Scene::of_library();
        let daemons = ["a", "b"].map(|id| Daemon::new(id, helper(&scene, &["run"])));
        assert_eq!(library_threads(), [""; 0]);
        for daemon in &daemons {
            daemon.start().unwrap();
            scene.reports.start(&daemon.status().id);
        }
        assert!(library_threads().len() >= 2);
        for daemon in daemons {
            assert!(library_threads().len() >= 2);
            daemon.stop().unwrap();
            drop(daemon);
        }
        no_library_thread_is_left();
        scene.finish();
    });
}

/// What the ending threads leave behind is for the beginning ones to reap, also when they begin at the same time.
#[test]
fn no_zombie_is_lost_between_the_ending_ones_and_the_beginning_ones() {
    alone("library::threads::no_zombie_is_lost_between_the_ending_ones_and_the_beginning_ones", || {
        let scene = Scene::of_library();
        for _ in 0..100 {
            let (first, second) =
                (Daemon::new("a", helper(&scene, &["run"])), Daemon::new("b", helper(&scene, &["run"])));
            first.start().unwrap();
            let left = scene.reports.start("a");
            let together = Barrier::new(2);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    together.wait();
                    first.close().unwrap();
                });
                together.wait();
                second.start().unwrap();
            });
            scene.reports.start("b");
            left.process.kill();
            let deadline = Deadline::of("the reaping of a process that was left behind");
            while !left.process.is_reaped() {
                deadline.left();
                std::thread::yield_now();
            }
            second.stop().unwrap();
        }
        scene.finish();
    });
}
