// SPDX-License-Identifier: MPL-2.0
//! The reaper with real processes.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use super::*;
use crate::sys::proc::stat;
use crate::sys::signal::Signal;

/// As where the last descriptor was gone when the process had been started: also on a kernel that signals groups
/// through pidfds, this one's can be signalled only while its leader is unreaped.
#[test]
#[expect(clippy::zombie_processes, reason = "the reaper reaps it")]
fn group_of_a_process_without_a_pidfd_is_kept() {
    let reaper = Reaper::new().unwrap();
    let mut shell = Command::new("/bin/sh");
    let shell = shell.args(["-c", "sleep 1000 & echo $!; wait"]).process_group(0).stdout(Stdio::piped());
    let mut child = shell.spawn().unwrap();
    let mut member = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut member).unwrap();
    let (pid, key) = (Pid::from_raw(child.id() as i32).unwrap(), new_key());
    reaper.insert(key, Process { pid, pidfd: None, identity: Identity::of(pid, None).unwrap().map(Box::new) });
    reaper.watch(key);
    child.kill().unwrap();
    let mut ready = Vec::new();
    let exit = loop {
        reaper.wait(None, &mut ready);
        if let Some(exit) = ready.iter().find_map(|key| reaper.take_exit(*key, Leftovers::Leave)) {
            break exit;
        }
    };
    assert!(exit.group_left && reaper.group_left(key).unwrap() == Group::Alive);
    assert!(stat::is_alive(member.trim().parse().unwrap()));
    reaper.signal_group(key, Signal::KILL).unwrap();
    while reaper.group_left(key).unwrap() == Group::Alive {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(!stat::is_alive(member.trim().parse().unwrap()));
    assert_eq!(wait::try_wait(wait::Target::Pid(pid), Reap::Yes).unwrap(), Waited::NotOurs, "a zombie is left");
}
