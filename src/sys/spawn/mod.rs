// SPDX-License-Identifier: MPL-2.0
//! Starting a process: `clone(CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_PIDFD)` from prepared instructions.
//!
//! The cost grows neither with the memory of the host, as fork's does, nor with its descriptors (see
//! [`fd_table`]), and the pidfd is there from the first instant.
//! Where an emulator makes a plain fork of it, everything works nevertheless: see [`child_report`]. How a process is started
//! that is to be no child of ours: see [`intermediate_child`].

#[cfg(test)]
pub(crate) mod allocation_trap;
pub(crate) mod child_before_exec;
pub(crate) mod child_record;
mod child_report;
pub(crate) mod child_stack;
mod child_step;
pub(crate) mod clone3;
mod cloned_child;
mod detached_report;
pub(crate) mod dumpable;
mod exec_diagnosis;
mod exec_strings;
pub(crate) mod fd_limit;
mod fd_table;
pub(crate) mod host_process;
mod intermediate_child;
mod oom_score;
mod passed_descriptors;
mod pid_variable;
mod process_settings;
pub(crate) mod program;
pub(crate) mod standard_streams;
pub(crate) mod start_error;

use std::ffi::{OsString, c_int};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use super::account::refuse_unchanged;
use super::boot_time::BootTime;
use super::pid::Pid;
use super::proc::executable::search_paths;
use super::proc::stat;
use super::{fail, is_exhausted, is_refused, pidfd};
use crate::command::Credentials;
use child_before_exec::{Instructions, RawCredentials};
use child_record::SelfRecord;
use child_report::{ChildIdentity, ChildOutcome, ChildReport, Pipe};
use child_stack::ChildStack;
use child_step::ChildStep;
use cloned_child::clone;
use dumpable::UserChange;
use exec_strings::{CStrings, c_string, environment};
use fd_table::FdTablePlan;
use host_process::HostProcess;
use oom_score::RawScore;
use passed_descriptors::PassedDescriptors;
use pid_variable::PidVariable;
use process_settings::RawSettings;
use program::{EnteredCgroup, Program};
use start_error::{ENTER_CGROUP, StartError, above_hard_limit, describe, explained, failure, foreseen};

/// A process that was started.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) pid: Pid,
    /// Absent where the kernel has no pidfds.
    pub(crate) pidfd: Option<OwnedFd>,
    /// Of a process that is detached: another one can have got its pid by now.
    pub(crate) start_ticks: Option<u64>,
    /// The cgroup that it is in, if it has entered that of its program.
    pub(crate) cgroup: Option<Arc<Path>>,
    /// Why it has not.
    pub(crate) uncontained: Option<StartError>,
}

/// Starts a process and returns when it has executed its program, or failed to.
///
/// `standard` become its descriptors 0, 1 and 2. The process leads a new session and group, has default signal
/// dispositions, an empty signal mask, no other descriptors but those of [`Program::sockets`] and
/// [`Program::report`], and the descriptor limit that is declared or else that of the
/// agent when the library was loaded. `host` is what this process was like after the start was asked for.
///
/// # Errors
/// The step that failed, its object and the errno. The child is reaped then, and its record may be there.
pub(crate) fn start(
    stack: &mut ChildStack,
    host: &HostProcess,
    mut program: Program<'_>,
    standard: [BorrowedFd<'_>; 3],
    record: Option<&SelfRecord>,
) -> Result<Started, StartError> {
    let (programs, variables) = (CStrings::new(candidates(&program)), std::mem::take(&mut program.env));
    let prepare = |source: io::Error| failure("prepare arguments of", &program.name(), source);
    let programs = programs.map_err(prepare)?;
    let words =
        program.settings.argv0.iter().chain(program.argv.iter().skip(usize::from(program.settings.argv0.is_some())));
    let argv = CStrings::new(words.cloned()).map_err(prepare)?;
    let (mut envp, _own_variables) = environment(variables).map_err(prepare)?;
    let mut pid_variables: Vec<PidVariable> = program.pid_variables.iter().map(|name| PidVariable::new(name)).collect();
    let pid_variables: Vec<_> = pid_variables.iter_mut().map(PidVariable::as_ptr).collect();
    // Before the NULL at the end, and of an array whose order means nothing.
    envp.splice(..0, pid_variables.iter().map(|text| text.cast_const()));
    let dir = program.dir.clone().map(c_string).transpose().map_err(prepare)?;
    let settings = RawSettings::of_child(&program.settings)?;
    let descriptor_limit = if settings.limits_descriptors() {
        None
    } else {
        fd_limit::descriptors_for_child(program.descriptor_limit, host.descriptors)
    };
    if let Some(limit) = descriptor_limit.filter(|limit| limit.soft > limit.hard) {
        return Err(above_hard_limit(limit));
    }
    if let Some(Credentials { uid, gid, groups }) = &program.credentials {
        // Where they come from has refused these. With them the process would be root, and no call would fail.
        refuse_unchanged(*uid, *gid, groups).map_err(|source| failure("set credentials", "", source))?;
    }
    let no_child = |source| failure("clone", "", source);
    let detached = program.detached.then(|| intermediate_child::prepare(stack)).transpose().map_err(no_child)?;
    let changes_user = program.credentials.is_some();
    let create_pipe = || {
        let pipe = fail::failing("start:pipe").and_then(|()| Pipe::of_child(changes_user));
        pipe.map_err(|source| failure("create pipe", "", source))
    };
    let passed = PassedDescriptors::of(&program).map_err(no_child)?;
    let new_pipe = || {
        // The child would close it by opening the others. While there are these pipes, the next one has other numbers.
        let mut unusable = Vec::new();
        loop {
            match create_pipe()? {
                Some(pipe) if pipe.ends().into_iter().any(|end| passed.takes(end)) => unusable.push(pipe),
                pipe => return Ok(pipe),
            }
        }
    };
    let mut pipe = new_pipe()?;
    // A process that is detached is not cloned by this thread.
    let is_detached = program.detached;
    let by_clone3 = || !is_detached && clone3::may_work();
    let is_cloned_into = |program: &Program<'_>, by_clone3: bool| {
        by_clone3 && program.cgroup.as_ref().is_some_and(|cgroup| !cgroup.moves_itself)
    };
    let procs_of = |program: &Program<'_>, by_clone3: bool| {
        let cgroup = program.cgroup.as_ref().filter(|_| !is_cloned_into(program, by_clone3));
        cgroup.map(|cgroup| cgroup.entrance.procs.as_raw_fd())
    };
    let plan = |program: &Program<'_>, pipe: Option<&Pipe>, by_clone3: bool| {
        divide(program, standard, record, pipe, passed.ends().chain(procs_of(program, by_clone3))).map_err(no_child)
    };
    let mut planned_for_clone3 = by_clone3();
    let division = plan(&program, pipe.as_ref(), planned_for_clone3)?;
    // The next child needs other descriptors than the last one.
    let mut is_outdated = false;
    let mut uncontained = None;
    let mut report = ChildReport::default();
    let mut instructions = Instructions {
        programs: programs.pointers.as_ptr(),
        argv: argv.pointers.as_ptr(),
        envp: envp.as_ptr(),
        dir: dir.as_ref().map_or(std::ptr::null(), |dir| dir.as_ptr()),
        ignored: None,
        standard: standard.map(|fd| fd.as_raw_fd()),
        cgroup_procs: None,
        oom_score: RawScore::of_child(program.oom_score_adj, host.oom_score),
        credentials: program.credentials.as_ref().map(|to| RawCredentials {
            uid: to.uid,
            gid: to.gid,
            groups: to.groups.as_ptr(),
            group_count: to.groups.len(),
        }),
        division,
        descriptor_limit,
        settings: &settings,
        sockets: passed.sockets(),
        pid_variables: &pid_variables,
        report: passed.report(),
        record,
        cloned_after: if record.is_some() || program.detached { BootTime::if_followed() } else { None },
        detached,
        outcome: &raw mut report.outcome,
        birth: &raw mut report.birth,
        pipe: pipe.as_ref().map(Pipe::writer),
        fail: fail::ChildPlan::of_next_child(program.detached),
    };
    let untried = pidfd::has_inodes() && BootTime::is_untried();
    let before = untried.then(BootTime::now).flatten();
    loop {
        // SAFETY: it points to `report`, which no child has now.
        unsafe { instructions.outcome.write_volatile(ChildOutcome::default()) };
        // SAFETY: as above.
        unsafe { instructions.birth.write_volatile(ChildIdentity::default()) };
        let user_change = changes_user.then(UserChange::begins);
        // Another thread may just have found out that it is refused.
        let by_clone3 = by_clone3();
        if std::mem::take(&mut is_outdated) || by_clone3 != planned_for_clone3 {
            instructions.division = plan(&program, pipe.as_ref(), by_clone3)?;
            planned_for_clone3 = by_clone3;
        }
        let is_cloned_into = is_cloned_into(&program, by_clone3);
        instructions.cgroup_procs = procs_of(&program, by_clone3);
        instructions.ignored = by_clone3.then_some(host.ignored);
        let into = program.cgroup.as_ref().filter(|_| is_cloned_into);
        let into = into.map(|cgroup| cgroup.entrance.directory.as_fd());
        let child = match clone(stack, &instructions, into) {
            Err(error) if by_clone3 && clone3::is_refused(&error) => continue,
            // EAGAIN is also of a clone elsewhere.
            Err(error) if is_cloned_into && !is_exhausted(&error) && error.raw_os_error() != Some(libc::EAGAIN) => {
                uncontained = Some(stay_outside(&mut program, error)?);
                is_outdated = true;
                continue;
            }
            Err(error) if is_refused(&error) && instructions.division.is_shared() => {
                fd_table::failed(libc::EPERM);
                instructions.division.give_up();
                continue;
            }
            child => child.map_err(no_child)?,
        };
        // SAFETY: the child, the only writer, has executed or exited, for CLONE_VFORK let us run again; or it has a copy.
        let outcome = unsafe { instructions.outcome.read_volatile() };
        // SAFETY: as above.
        let birth = unsafe { instructions.birth.read_volatile() };
        if outcome == ChildOutcome::DIVIDED {
            fd_table::works();
        }
        if let Some(cgroup) = program.cgroup.as_mut().filter(|_| is_cloned_into && outcome == ChildOutcome::default()) {
            // Killed before it began, as it seems by the kernel: see `clone3`.
            cgroup.moves_itself = true;
            is_outdated = true;
            child.reap_failed();
            continue;
        }
        let report = child_report::of_child(ChildReport { outcome, birth }, pipe.take());
        let child = child.known_by(report.birth);
        let Some((step, errno)) = report.outcome.failure() else {
            drop(user_change);
            let Some(pid) = child.pid else {
                // The intermediate child was killed, or the process before it could tell which it is.
                child.reap_failed();
                return Err(no_child(io::Error::from_raw_os_error(libc::EINTR)));
            };
            let cgroup = program.cgroup.take().map(|cgroup| cgroup.path);
            let started = Started { pid, pidfd: child.pidfd, start_ticks: child.start_ticks, cgroup, uncontained };
            if let Some(before) = before {
                try_clock_out(before, &started);
            }
            return Ok(started);
        };
        child.reap_failed();
        drop(user_change);
        if step == ChildStep::Cgroup && program.cgroup.as_ref().is_some_and(|cgroup| !cgroup.is_required) {
            uncontained = Some(stay_outside(&mut program, io::Error::from_raw_os_error(errno))?);
            is_outdated = true;
        } else if step == ChildStep::Descriptors {
            fd_table::failed(errno);
            instructions.division.give_up();
        } else {
            let failed = describe(step, errno, &program, record);
            return Err(if step == ChildStep::Execute {
                explained(failed, errno, &program, &programs.owned)
            } else {
                failed
            });
        }
        pipe = new_pipe()?;
        instructions.pipe = pipe.as_ref().map(Pipe::writer);
    }
}

/// Has the process begin where the agent is.
///
/// # Errors
/// What kept it out, where it may not run outside.
fn stay_outside(program: &mut Program<'_>, source: io::Error) -> Result<StartError, StartError> {
    let shown = program.cgroup.as_ref().map(EnteredCgroup::shown).unwrap_or_default();
    let why = failure(ENTER_CGROUP, &shown, source);
    match program.cgroup.take_if(|cgroup| !cgroup.is_required) {
        Some(_) => Ok(why),
        None => Err(why),
    }
}

/// How the child comes to its own descriptors, among which must be all that it uses before it executes.
fn divide(
    program: &Program<'_>,
    standard: [BorrowedFd<'_>; 3],
    record: Option<&SelfRecord>,
    pipe: Option<&Pipe>,
    others: impl Iterator<Item = c_int>,
) -> io::Result<FdTablePlan> {
    let of_record = record.into_iter().flat_map(|record| record.lock.iter().copied().chain([record.dir_fd()]));
    let of_streams = standard.iter().map(AsRawFd::as_raw_fd).chain(pipe.into_iter().flat_map(Pipe::ends));
    let needed: Vec<c_int> = of_streams.chain(of_record).chain(others).collect();
    let named = program.argv.first().into_iter().chain(&program.dir);
    let needs_any = named.into_iter().any(|path| is_of_descriptor(path.as_bytes()));
    FdTablePlan::above((!needs_any).then_some(&needed), standard[0], child_report::memory_is_shared())
}

/// Whether a path leads to an open file of the agent's, as that of a program in memory does (memfd_create(2)).
fn is_of_descriptor(path: &[u8]) -> bool {
    [b"/proc/self/fd/".as_slice(), b"/proc/thread-self/fd/", b"/dev/fd/"].iter().any(|place| path.starts_with(place))
}

/// Looks whether start times follow the clock. Only where processes have inodes: elsewhere the start time is all that
/// tells two of them apart, and is read rather than reckoned.
fn try_clock_out(before: BootTime, started: &Started) {
    let now = BootTime::now();
    // Unless the pid was recycled: the host may reap it, but not while it lives.
    let stat = stat::read(started.pid.as_raw()).ok().flatten();
    let lives = started.pidfd.as_ref().is_some_and(|fd| !pidfd::has_ended(fd.as_fd()));
    if let (Some(now), Some(stat), true) = (now, stat, lives) {
        before.try_out(stat.start_ticks, now);
    }
}

/// Where to look for the program, with the `PATH` that the process will have.
fn candidates(program: &Program<'_>) -> Vec<OsString> {
    let Some(name) = program.argv.first() else { return Vec::new() };
    search_paths(name, program.env.iter().find_map(|entry| entry.as_bytes().strip_prefix(b"PATH=")))
}

/// Why a process could not be started with this program, as far as that can be seen beforehand: its directory or its executable
/// is not there, or a limit is above that of this process.
pub(crate) fn foreseen_failure(program: &Program<'_>) -> Option<StartError> {
    if let Err(error) = RawSettings::of_child(&program.settings) {
        return Some(error);
    }
    let dir = program.dir.as_deref().map(Path::new);
    if let Some(errno) = dir.and_then(no_directory) {
        return Some(describe(ChildStep::ChangeDirectory, errno, program, None));
    }
    let tried = candidates(program).into_iter().map(c_string).collect::<io::Result<Vec<_>>>().ok()?;
    let errno = foreseen(program, &tried)?;
    Some(explained(describe(ChildStep::Execute, errno, program, None), errno, program, &tried))
}

/// With which errno nothing can change to it, where that is certain: it is not there, or no directory.
fn no_directory(path: &Path) -> Option<i32> {
    match std::fs::metadata(path) {
        Ok(found) => (!found.is_dir()).then_some(libc::ENOTDIR),
        Err(error) => error.raw_os_error().filter(|errno| matches!(*errno, libc::ENOENT | libc::ENOTDIR)),
    }
}

#[cfg(test)]
mod tests;
