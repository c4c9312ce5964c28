// SPDX-License-Identifier: MPL-2.0
//! A host that waits for any child, and so takes the status of those that are the library's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{WaitOptions, wait};

use crate::hosts::life::{Told, in_a_host, live};
use crate::inside::Place;

fn that_waits_for_any_child(_: &Place) {
    let (ended, stolen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let thief = {
        let (ended, stolen) = (ended.clone(), stolen.clone());
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                match wait(WaitOptions::empty()) {
                    Ok(Some(_)) => drop(stolen.fetch_add(1, Ordering::Relaxed)),
                    // There is no child to wait for at this moment.
                    _ => std::thread::park_timeout(Duration::from_micros(100)),
                }
            }
        })
    };
    for _ in 0..10 {
        live(Told::Kernel);
    }
    ended.store(true, Ordering::Relaxed);
    thief.join().unwrap();
    assert!(stolen.load(Ordering::Relaxed) > 0, "the test is about stolen children");
}

#[test]
fn a_host_that_waits_for_any_child() {
    in_a_host("hosts::waiting::a_host_that_waits_for_any_child", &[], that_waits_for_any_child);
}
