// SPDX-License-Identifier: MPL-2.0
//! Reading a process a second time whose environment named no proxy, because it may have been in the middle of
//! execve(2).
//!
//! Until a child executes its program it shows the memory of the agent that cloned it, including executable and
//! environment. During the execution it shows the new executable, and no environment until the kernel has set that up.
//! So two readings at different moments can show two programs, and a healthy proxy could be named as a process without
//! a tag that runs the program of another proxy.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::process_tag::{Environment, EnvironmentReader, ProcessTag};
use super::unproven_process::{Ancestor, Programs, Unproven, Untold};
use crate::lifecycle::generation::Generation;
use crate::sys::pid::{Pid, own_pid};
use crate::sys::proc::executable::FileId;
use crate::sys::proc::stat;

/// How long processes are waited for that are being executed, all of one request together. One that takes longer, as on
/// a file system that does not answer, is judged by what it shows.
const PATIENCE: Duration = Duration::from_secs(1);

/// Between two readings of it.
const PAUSE: Duration = Duration::from_millis(1);

/// Reads processes again, for one request.
#[derive(Debug)]
pub(super) struct Recheck<'a> {
    reader: EnvironmentReader<'a>,
    deadline: Instant,
    buffer: Vec<u8>,
}

/// What a process is by the second reading.
#[derive(Debug)]
pub(super) enum Rechecked {
    /// It has a tag, of this proxy or of another one.
    Tagged(ProcessTag, Generation),
    /// Its environment still does not tell, and it may be of this proxy.
    Unproven(Unproven),
    /// It has ended, or is of another program or of an agent that is none of ours.
    NotOfIt,
}

impl<'a> Recheck<'a> {
    pub(super) fn new(reader: EnvironmentReader<'a>) -> Recheck<'a> {
        Recheck { reader, deadline: Instant::now() + PATIENCE, buffer: Vec::new() }
    }

    /// # Errors
    /// When it cannot be known now.
    pub(super) fn of(
        &mut self,
        untold: &Untold,
        ancestor: &Ancestor,
        programs: &mut Programs,
    ) -> io::Result<Rechecked> {
        let pid = untold.pid;
        loop {
            // ORDER: before all else is read. What has executed once never has the memory of another process again.
            let is_settled = !is_in_exec(pid)?;
            let environment = match self.reader.unreadable.contains(pid)? {
                true => Environment::Unreadable,
                false => self.reader.environment_of(pid, &mut self.buffer)?,
            };
            let is_unreadable = match environment {
                Environment::Tagged(tag, generation) => return Ok(Rechecked::Tagged(tag, generation)),
                Environment::Foreign | Environment::Gone => return Ok(Rechecked::NotOfIt),
                Environment::Unreadable => true,
                Environment::Silent | Environment::Blank => false,
            };
            let Some(unproven) = untold.anew(is_unreadable).of(ancestor, programs)? else {
                return Ok(Rechecked::NotOfIt);
            };
            if is_settled && environment != Environment::Blank || Instant::now() >= self.deadline {
                return Ok(Rechecked::Unproven(unproven));
            }
            thread::sleep(PAUSE);
        }
    }
}

/// Whether a process shows no environment of its own yet: it has not executed since it was cloned, and runs our
/// executable, as children of other agents do as well; or the kernel does not show yet where its environment is. One whose
/// executable may not be read counts as ours.
fn is_in_exec(pid: Pid) -> io::Result<bool> {
    let Some(stat) = stat::read(pid.as_raw())?.filter(|stat| !stat.is_exiting) else { return Ok(false) };
    if stat.has_executed {
        return Ok(!stat.has_code);
    }
    let own = FileId::of_process(own_pid().as_raw())?;
    Ok(FileId::of_process(pid.as_raw()).map_or(true, |program| program == own))
}
