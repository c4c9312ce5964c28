// SPDX-License-Identifier: MPL-2.0
//! The supervisor that one writes in an afternoon: a thread for each process, which starts it with the standard library
//! and waits for its end.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use super::work::{Work, termination};
use crate::Result;

/// The process of each thread, and whether there may be further ones.
#[derive(Default)]
struct Shared {
    running: Vec<Option<Pid>>,
    ending: bool,
}

pub(super) fn run(work: &Work) -> Result<()> {
    let told_to_end = termination()?;
    let shared = Mutex::new(Shared { running: vec![None; work.n as usize], ending: false });
    thread::scope(|scope| -> Result<()> {
        for id in 0..work.n {
            let shared = &shared;
            thread::Builder::new().spawn_scoped(scope, move || look_after(id, &work.beacon, shared))?;
        }
        rustix::io::read(&told_to_end, &mut [0])?;
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.ending = true;
        for pid in shared.running.iter().flatten() {
            kill_process(*pid, Signal::KILL)?;
        }
        Ok(())
    })
}

fn look_after(id: u32, beacon: &Path, shared: &Mutex<Shared>) {
    loop {
        let mut child = {
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            if shared.ending {
                return;
            }
            let mut command = Command::new(beacon);
            command.arg(id.to_string()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let Ok(child) = command.spawn().inspect_err(|error| eprintln!("start process {id}: {error}")) else {
                return;
            };
            shared.running[id as usize] = Some(Pid::from_child(&child));
            child
        };
        // It is reaped by this: a signal could hit another process of its number from then on.
        let ended = child.wait();
        shared.lock().unwrap_or_else(PoisonError::into_inner).running[id as usize] = None;
        if let Err(error) = ended {
            return eprintln!("wait for process {id}: {error}");
        }
    }
}
