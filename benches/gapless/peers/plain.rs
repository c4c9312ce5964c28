// SPDX-License-Identifier: MPL-2.0
//! No supervisor: what a script does that sends the stop signal, waits and starts the program again.

use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process};

use super::{Launch, Supervised};
use crate::Result;
use crate::programs::Place;

struct Plain {
    command: Command,
    stop_signal: Signal,
    process: Child,
}

pub(super) fn start(place: &Place<'_>, launch: &Launch) -> Result<Box<dyn Supervised>> {
    let (program, arguments) = launch.command.split_first().ok_or("no program")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .envs(launch.env.iter().filter_map(|line| line.split_once('=')))
        .current_dir(place.directory);
    let log = std::fs::File::create(place.directory.join("proxy.log"))?;
    command.stdout(log.try_clone()?).stderr(log);
    let stop_signal = match launch.stop_signal.as_str() {
        "SIGUSR1" => Signal::USR1,
        "SIGQUIT" => Signal::QUIT,
        "SIGTERM" => Signal::TERM,
        other => return Err(format!("no number is known of {other}").into()),
    };
    let process = command.spawn()?;
    Ok(Box::new(Plain { command, stop_signal, process }))
}

impl Plain {
    fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(Pid::from_child(&self.process), signal)?)
    }
}

impl Supervised for Plain {
    /// Its process; one that has ended is started again.
    fn pid(&mut self) -> Result<Option<Pid>> {
        if self.process.try_wait()?.is_some() {
            self.process = self.command.spawn()?;
        }
        Ok(Some(Pid::from_child(&self.process)))
    }

    fn restart(&mut self) -> Result<()> {
        self.signal(self.stop_signal)?;
        self.process.wait()?;
        self.process = self.command.spawn()?;
        Ok(())
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        // Its workers end with it, or when they are asked to.
        let _ = self.signal(self.stop_signal);
        let _ = self.process.wait();
    }
}
