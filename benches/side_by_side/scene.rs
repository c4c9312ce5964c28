// SPDX-License-Identifier: MPL-2.0
//! One supervisor that runs, and that nothing is left of afterwards, however the measuring ends.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, pidfd_open, pidfd_send_signal, waitid,
    waitpid,
};
use tempfile::TempDir;

use crate::Result;
use crate::beacons::{Beacons, SOCKET_VARIABLE, now_ns};
use crate::figures::milliseconds;
use crate::procfs;
use crate::tools::Tools;

/// How long a supervisor may take to stop everything.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// A supervisor, its processes and its files.
pub(crate) struct Scene {
    pub(crate) beacons: Beacons,
    pub(crate) child: Child,
    /// When it was started.
    pub(crate) began_ns: u64,
    beacon: PathBuf,
    directory: TempDir,
}

impl Scene {
    /// Starts what `command` makes of a new directory. Its output goes to a file there, unless `command` says otherwise.
    pub(crate) fn start(tools: &Tools, command: impl FnOnce(&Path) -> Result<Command>) -> Result<Scene> {
        let directory = tools.directory()?;
        let beacons = Beacons::listen()?;
        let mut command = command(directory.path())?;
        command.env(SOCKET_VARIABLE, beacons.name());
        // What was written before is no business of this supervisor.
        rustix::fs::sync();
        let (child, began_ns) = spawn(&mut command, directory.path())?;
        Ok(Scene { beacons, child, began_ns, beacon: tools.beacon.clone(), directory })
    }

    /// Waits for the process that ended, and starts another supervisor in its place, over the same processes.
    pub(crate) fn succeed(&mut self, command: impl FnOnce(&Path) -> Result<Command>) -> Result<()> {
        self.child.wait()?;
        let mut command = command(self.directory.path())?;
        command.env(SOCKET_VARIABLE, self.beacons.name());
        (self.child, self.began_ns) = spawn(&mut command, self.directory.path())?;
        Ok(())
    }

    /// The supervisor's process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The processes of the supervisor: see [`procfs::tree`].
    pub(crate) fn tree(&self) -> Vec<Pid> {
        procfs::tree(self.pid())
    }

    /// What the supervisor wrote last to its output.
    pub(crate) fn last_words(&self) -> String {
        let output = std::fs::read(self.directory.path().join(OUTPUT)).unwrap_or_default();
        String::from_utf8_lossy(&output).lines().last().unwrap_or("nothing").to_owned()
    }

    /// Kills `count` processes out of `n`, one after the other and far from each other, and says how many milliseconds it
    /// took each time from the signal to the first instruction of the successor.
    pub(crate) fn restarts(&mut self, n: u32, count: u32) -> Result<Vec<f64>> {
        let count = count.min(n);
        rustix::fs::sync();
        let victims = (0..count).map(|number| u32::try_from(u64::from(number) * u64::from(n) / u64::from(count)));
        victims.map(|id| self.restart(id?)).collect()
    }

    /// The same of one.
    pub(crate) fn restart(&mut self, id: u32) -> Result<f64> {
        let old = self.beacons.of(id)?.pid;
        let killed_ns = now_ns();
        kill_process(old, Signal::KILL)?;
        // If it was left to us by an agent that is gone; else it is none of our children.
        let _ = waitpid(Some(old), WaitOptions::empty());
        let birth = self.beacons.wait_for_successor(id, old)?;
        Ok(milliseconds(birth.at_ns.saturating_sub(killed_ns)))
    }

    /// Sends the supervisor a signal, and says how many milliseconds it took until it and all beacons were gone.
    pub(crate) fn stop(&mut self, signal: Signal) -> Result<f64> {
        self.beacons.heard();
        let watched: Vec<OwnedFd> = self.beacons.all().filter_map(|(_, birth)| watch(birth.pid)).collect();
        let began_ns = now_ns();
        kill_process(self.pid(), signal)?;
        self.wait_for_end(watched, began_ns)
    }

    /// The same when it was told otherwise, at `began_ns`.
    pub(crate) fn wait_for_end(&mut self, watched: Vec<OwnedFd>, began_ns: u64) -> Result<f64> {
        let deadline = Instant::now() + STOP_PATIENCE;
        let supervisor = watch(self.pid());
        let late = || format!("it did not stop all within {STOP_PATIENCE:?}");
        for pidfd in &watched {
            if !ends_until(pidfd, deadline)? {
                return Err(late().into());
            }
            // Those that an agent has left to us are ours to reap.
            let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        }
        if supervisor.is_some_and(|pidfd| !ends_until(&pidfd, deadline).unwrap_or(false)) {
            return Err(late().into());
        }
        let ended_ns = now_ns();
        self.child.wait()?;
        Ok(milliseconds(ended_ns - began_ns))
    }

    /// A watch on each beacon that lives.
    pub(crate) fn watch_all(&mut self) -> Vec<OwnedFd> {
        self.beacons.heard();
        self.beacons.all().filter_map(|(_, birth)| watch(birth.pid)).collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            for pid in self.tree() {
                // It may end by itself meanwhile.
                let _ = kill_process(pid, Signal::KILL);
            }
            let _ = self.child.wait();
        }
        kill_all_of(&self.beacon);
    }
}

/// The file in a supervisor's directory that has its output.
const OUTPUT: &str = "output";

/// How often it is looked for beacons that are left.
const LOOKS: usize = 500;

fn spawn(command: &mut Command, directory: &Path) -> Result<(Child, u64)> {
    let output = File::options().create(true).append(true).open(directory.join(OUTPUT))?;
    command.stderr(output).process_group(0);
    let began_ns = now_ns();
    let child = command.spawn().map_err(|error| format!("run {}: {error}", command.get_program().to_string_lossy()))?;
    Ok((child, began_ns))
}

/// Has the output of a supervisor that says nothing of interest go where its errors go.
pub(crate) fn quiet(command: &mut Command, directory: &Path) -> Result<()> {
    let output = File::options().create(true).append(true).open(directory.join(OUTPUT))?;
    command.stdin(Stdio::null()).stdout(output);
    Ok(())
}

fn watch(pid: Pid) -> Option<OwnedFd> {
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

fn ends_until(pidfd: &OwnedFd, deadline: Instant) -> Result<bool> {
    let left = deadline.saturating_duration_since(Instant::now());
    let left = Timespec::try_from(left)?;
    Ok(poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&left))? > 0)
}

/// Kills every process that runs this program. A supervisor that was killed may leave one behind that has not executed it
/// yet, so it looks again until there is none, or they are started faster than they can be killed.
fn kill_all_of(program: &Path) {
    for _ in 0..LOOKS {
        if procfs::all().filter(|pid| kill_if_of(*pid, program)).count() == 0 {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    eprintln!("processes of {} are left", program.display());
}

fn kill_if_of(pid: Pid, program: &Path) -> bool {
    // ORDER: the descriptor first, so that what was looked at is what is killed.
    let Some(pidfd) = watch(pid) else { return false };
    let executed = std::fs::read_link(format!("/proc/{}/exe", pid.as_raw_nonzero()));
    executed.is_ok_and(|executed| executed == program) && pidfd_send_signal(pidfd, Signal::KILL).is_ok()
}

/// From now on SIGINT and SIGTERM leave nothing behind either.
pub(crate) fn clean_up_on_signals(tools: &Tools) -> Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM])?;
    let (beacon, place) = (tools.beacon.clone(), tools.place().to_owned());
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if signals.forever().next().is_some() {
            let own = rustix::process::getpid();
            for pid in procfs::tree(own).into_iter().filter(|pid| *pid != own) {
                let _ = kill_process(pid, Signal::KILL);
            }
            kill_all_of(&beacon);
            let _ = std::fs::remove_dir_all(place);
            std::process::exit(130);
        }
    })?;
    Ok(())
}
