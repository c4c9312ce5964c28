//! Starting a process: `clone(CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_PIDFD)` from prepared instructions.
//!
//! The cost grows neither with the memory of the host, as fork's does, nor with its descriptors (see
//! [`descriptor_table`]), and the pidfd is there from the first instant.
//! Where an emulator makes a plain fork of it, everything works nevertheless: see [`outcome`].

use std::ffi::{CStr, CString, OsStr, OsString, c_char, c_int};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::boot_time::BootTime;
use super::child::{self, Instructions, RawCredentials};
use super::child_record::RawRecord;
use super::descriptor_table::{self, Division};
use super::dumpable::UserChange;
use super::identity::Pid;
use super::outcome::{self, Outcome, Pipe, Step};
use super::signal::MaskGuard;
use super::unexecuted::Attempt;
use super::wait::{self, Target};
use super::{check, digest, fail, limits, pidfd, stat};
use crate::command::Credentials;

/// What to execute, in the kernel's form.
#[derive(Debug)]
pub(crate) struct Program<'a> {
    pub(crate) argv: Vec<OsString>,
    /// Complete: nothing is inherited.
    pub(crate) env: Vec<Variable<'a>>,
    pub(crate) dir: Option<OsString>,
    pub(crate) credentials: Option<Credentials>,
}

/// `NAME=value`.
#[derive(Debug)]
pub(crate) enum Variable<'a> {
    /// In the kernel's form, and the same for many processes.
    Prepared(&'a CStr),
    Own(OsString),
}

impl Variable<'_> {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Variable::Prepared(text) => text.to_bytes(),
            Variable::Own(text) => text.as_bytes(),
        }
    }
}

/// The record that the child writes before it executes.
#[derive(Debug)]
pub(crate) struct SelfRecord<'fd> {
    pub(crate) dir: BorrowedFd<'fd>,
    /// The lock of the data directory, which the child keeps until it executes.
    pub(crate) lock: &'fd [c_int],
    pub(crate) temporary: CString,
    pub(crate) name: CString,
    /// Where both are, for messages.
    pub(crate) within: &'fd Path,
    /// A JSON object without its last members and its end; see [`RawRecord`].
    pub(crate) head: Vec<u8>,
}

impl SelfRecord<'_> {
    /// The file that a failure is about: only what cannot be removed and has the temporary name is in its way.
    fn shown(&self, errno: i32) -> String {
        let name = if errno == libc::EEXIST { &self.temporary } else { &self.name };
        self.within.join(name.to_string_lossy().as_ref()).display().to_string()
    }
}

/// A process that was started.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) pid: Pid,
    /// Absent where the kernel has no pidfds.
    pub(crate) pidfd: Option<OwnedFd>,
}

/// Why a process could not be started.
#[derive(Debug)]
pub(crate) struct StartError {
    step: &'static str,
    object: String,
    /// What was found out about it afterwards.
    why: Option<String>,
    pub(crate) source: io::Error,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.step)?;
        if !self.object.is_empty() {
            write!(f, " {}", self.object)?;
        }
        if let Some(why) = &self.why {
            write!(f, ": {why}")?;
        }
        write!(f, ": {}", self.source)
    }
}

/// Where `PATH` points when the process has none, as the C library assumes.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The child runs in our memory, and we are suspended until it has executed or exited. `--cfg proxyprocess_no_pidfd`
/// makes a plain fork of it, for tests.
const VFORK: c_int = if cfg!(proxyprocess_no_pidfd) { 0 } else { libc::CLONE_VM | libc::CLONE_VFORK };

/// A stack for children, kept by a spawner thread. One child uses it at a time: its parent waits meanwhile.
#[derive(Debug)]
pub(crate) struct ChildStack {
    base: *mut libc::c_void,
}

// SAFETY: the memory belongs to this value alone and is used by the thread that has it mutably.
unsafe impl Send for ChildStack {}

impl ChildStack {
    const GUARD: usize = 64 * 1024;
    const SIZE: usize = 64 * 1024;

    /// Maps a stack with a guard below, whatever the page size.
    pub(crate) fn new() -> io::Result<ChildStack> {
        fail::failing("stack:map")?;
        let (flags, size) = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK, Self::GUARD + Self::SIZE);
        // SAFETY: a new anonymous mapping, at an address of the kernel's choice.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), size, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = ChildStack { base };
        // SAFETY: an address within the mapping made above.
        let usable = unsafe { base.byte_add(Self::GUARD) };
        // SAFETY: the upper part of that mapping, which nobody uses yet.
        let opened = unsafe { libc::mprotect(usable, Self::SIZE, libc::PROT_READ | libc::PROT_WRITE) };
        check(i64::from(opened)).map(|_| stack)
    }

    /// One past the highest byte; page-aligned, as every architecture's calling convention accepts.
    pub(super) fn top(&mut self) -> *mut libc::c_void {
        // SAFETY: the end of the mapping that `new` made.
        unsafe { self.base.byte_add(Self::GUARD + Self::SIZE) }
    }
}

impl Drop for ChildStack {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made; no child uses it, for its parent would be waiting.
        unsafe { libc::munmap(self.base, Self::GUARD + Self::SIZE) };
    }
}

/// An array of C strings, NULL-terminated, that owns them.
struct CStrings {
    pointers: Vec<*const c_char>,
    owned: Vec<CString>,
}

impl CStrings {
    fn new(strings: impl IntoIterator<Item = OsString>) -> io::Result<CStrings> {
        let owned = strings.into_iter().map(c_string).collect::<io::Result<Vec<CString>>>()?;
        let pointers = owned.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect();
        Ok(CStrings { pointers, owned })
    }
}

/// The environment in the kernel's form: most of it is borrowed.
fn environment(variables: Vec<Variable<'_>>) -> io::Result<(Vec<*const c_char>, Vec<CString>)> {
    let (mut pointers, mut owned) = (Vec::with_capacity(variables.len() + 1), Vec::new());
    for variable in variables {
        match variable {
            Variable::Prepared(text) => pointers.push(text.as_ptr()),
            Variable::Own(text) => {
                let text = c_string(text)?;
                // The text stays where it is when the vector moves.
                pointers.push(text.as_ptr());
                owned.push(text);
            }
        }
    }
    pointers.push(std::ptr::null());
    Ok((pointers, owned))
}

fn c_string(text: OsString) -> io::Result<CString> {
    CString::new(text.into_vec()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// Starts a process and returns when it has executed its program, or failed to.
///
/// `standard` become its descriptors 0, 1 and 2. The process leads a new session and group, has default signal
/// dispositions, an empty signal mask, no other descriptor, and the descriptor limit of the agent's start.
///
/// # Errors
/// The step that failed, its object and the errno. The child is reaped then, and its record may be there.
pub(crate) fn start(
    stack: &mut ChildStack,
    mut program: Program<'_>,
    standard: [BorrowedFd<'_>; 3],
    record: Option<&SelfRecord<'_>>,
) -> Result<Started, StartError> {
    let (programs, variables) = (CStrings::new(candidates(&program)), std::mem::take(&mut program.env));
    let prepare = |source: io::Error| failure("prepare arguments of", &program_name(&program), source);
    let programs = programs.map_err(prepare)?;
    let argv = CStrings::new(program.argv.iter().cloned()).map_err(prepare)?;
    let (envp, _own_variables) = environment(variables).map_err(prepare)?;
    let dir = program.dir.clone().map(c_string).transpose().map_err(prepare)?;
    let changes_user = program.credentials.is_some();
    let new_pipe = || {
        let pipe = fail::failing("start:pipe").and_then(|()| Pipe::of_child(changes_user));
        pipe.map_err(|source| failure("create pipe", "", source))
    };
    let mut pipe = new_pipe()?;
    let division = divide(&program, standard, record, pipe.as_ref());
    let division = division.map_err(|source| failure("clone", "", source))?;
    let mut outcome = Outcome::default();
    let mut instructions = Instructions {
        programs: programs.pointers.as_ptr(),
        argv: argv.pointers.as_ptr(),
        envp: envp.as_ptr(),
        dir: dir.as_ref().map_or(std::ptr::null(), |dir| dir.as_ptr()),
        standard: standard.map(|fd| fd.as_raw_fd()),
        credentials: program.credentials.as_ref().map(|to| RawCredentials {
            uid: to.uid,
            gid: to.gid,
            groups: to.groups.as_ptr(),
            group_count: to.groups.len(),
        }),
        division,
        descriptor_limit: limits::descriptors_for_child(),
        record: record.map(|record| RawRecord {
            dir: record.dir.as_raw_fd(),
            temporary: record.temporary.as_ptr(),
            name: record.name.as_ptr(),
            head: record.head.as_ptr(),
            head_len: record.head.len(),
            digest: digest::add(digest::EMPTY, &record.head),
            with_inode: pidfd::has_inodes(),
            cloned_after: BootTime::if_followed(),
        }),
        outcome: &raw mut outcome,
        pipe: pipe.as_ref().map(Pipe::writer),
        fail: fail::ChildPlan::of_next_child(),
    };
    let untried = pidfd::has_inodes() && BootTime::is_untried();
    let before = untried.then(BootTime::now).flatten();
    loop {
        let user_change = changes_user.then(UserChange::begins);
        let started = match clone(stack, &instructions) {
            Err(error) if is_refused(&error) && instructions.division.is_shared() => {
                descriptor_table::failed(libc::EPERM);
                instructions.division.give_up();
                continue;
            }
            started => started.map_err(|source| failure("clone", "", source))?,
        };
        // SAFETY: the child, the only writer, has executed or exited, for CLONE_VFORK let us run again; or it has a copy.
        let written = unsafe { instructions.outcome.read_volatile() };
        if written == Outcome::DIVIDED {
            descriptor_table::works();
        }
        let Some((step, errno)) = outcome::of_child(written, pipe.take()).failure() else {
            drop(user_change);
            if let Some(before) = before {
                try_clock_out(before, &started);
            }
            return Ok(started);
        };
        reap_failed(&started);
        drop(user_change);
        if step != Step::Descriptors {
            let failed = describe(step, errno, &program, record);
            return Err(if step == Step::Execute { explained(failed, errno, &program, &programs) } else { failed });
        }
        descriptor_table::failed(errno);
        instructions.division.give_up();
        pipe = new_pipe()?;
        instructions.pipe = pipe.as_ref().map(Pipe::writer);
    }
}

/// How the child comes to its own descriptors, among which must be all that it uses before it executes.
fn divide(
    program: &Program<'_>,
    standard: [BorrowedFd<'_>; 3],
    record: Option<&SelfRecord<'_>>,
    pipe: Option<&Pipe>,
) -> io::Result<Division> {
    let of_record = record.into_iter().flat_map(|record| record.lock.iter().copied().chain([record.dir.as_raw_fd()]));
    let of_streams = standard.iter().map(AsRawFd::as_raw_fd).chain(pipe.map(Pipe::writer));
    let needed: Vec<c_int> = of_streams.chain(of_record).collect();
    let named = program.argv.first().into_iter().chain(&program.dir);
    let needs_any = named.into_iter().any(|path| is_of_descriptor(path.as_bytes()));
    Division::above((!needs_any).then_some(&needed), standard[0], outcome::memory_is_shared())
}

/// Whether a path leads to an open file of the agent's, as that of a program in memory does (memfd_create(2)).
fn is_of_descriptor(path: &[u8]) -> bool {
    [b"/proc/self/fd/".as_slice(), b"/proc/thread-self/fd/", b"/dev/fd/"].iter().any(|place| path.starts_with(place))
}

/// Looks whether start times follow the clock. Only where processes have inodes: elsewhere the start time is all that
/// tells two of them apart, and is read rather than reckoned.
fn try_clock_out(before: BootTime, started: &Started) {
    let now = BootTime::now();
    // Unless the number is another's by now: the host may reap it, but not while it lives.
    let stat = stat::read(started.pid.as_raw()).ok().flatten();
    let lives = started.pidfd.as_ref().is_some_and(|fd| !pidfd::has_ended(fd.as_fd()));
    if let (Some(now), Some(stat), true) = (now, stat, lives) {
        before.try_out(stat.start_ticks, now);
    }
}

fn clone(stack: &mut ChildStack, instructions: &Instructions) -> io::Result<Started> {
    if !pidfd::is_supported() {
        return clone_with(0, stack, instructions);
    }
    match clone_with(libc::CLONE_PIDFD, stack, instructions) {
        // An emulator (qemu-user) or a sandbox that has pidfds, but not from clone. The number is the child's own until
        // it is reaped.
        Err(error) if is_refused(&error) => {
            let started = clone_with(0, stack, instructions)?;
            Ok(Started { pidfd: pidfd::open(started.pid).ok(), ..started })
        }
        result => result,
    }
}

/// Whether a kernel or a sandbox does not do what it was asked for, whenever it is asked.
fn is_refused(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EPERM | libc::ENOSYS))
}

fn clone_with(flags: c_int, stack: &mut ChildStack, instructions: &Instructions) -> io::Result<Started> {
    let sharing = if instructions.division.is_shared() { libc::CLONE_FILES } else { 0 };
    let flags = VFORK | libc::SIGCHLD | flags | sharing;
    let mut raw_pidfd: RawFd = -1;
    let argument = std::ptr::from_ref(instructions).cast_mut().cast();
    let top = stack.top();
    fail::failing("start:clone")?;
    // The child inherits the mask and opens it when no handler of the host is left.
    let guard = MaskGuard::block_all();
    // SAFETY: `child::run` keeps to system calls, on a stack that nobody else uses, with instructions that live until
    // it is done: the kernel suspends this thread until the child has executed or exited. Or it has a copy of both.
    let pid = unsafe { libc::clone(child::run, top, flags, argument, &raw mut raw_pidfd) };
    let pid = check(i64::from(pid));
    drop(guard);
    fail::point("start:cloned");
    let pid = Pid::from_raw(pid? as i32).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    // The kernel has filled it in if it knows CLONE_PIDFD (Linux 5.2); before, it ignored the flag.
    // It may be one of 0 to 2: that does no harm to a pidfd, and moving it could fail with the child already running.
    // SAFETY: the kernel has just created it for this call; nobody else has it.
    let pidfd = (raw_pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(raw_pidfd) });
    Ok(Started { pid, pidfd })
}

/// Where to look for the program: as named when it has a slash, else in each directory of the `PATH` that the process
/// will have.
fn candidates(program: &Program<'_>) -> Vec<OsString> {
    let Some(name) = program.argv.first() else { return Vec::new() };
    if name.as_bytes().contains(&b'/') {
        return vec![name.clone()];
    }
    let path = program.env.iter().find_map(|entry| entry.as_bytes().strip_prefix(b"PATH="));
    let path = path.unwrap_or(DEFAULT_PATH.as_bytes());
    let dirs = path.split(|&byte| byte == b':');
    dirs.map(|dir| Path::new(OsStr::from_bytes(if dir.is_empty() { b"." } else { dir })).join(name).into()).collect()
}

fn program_name(program: &Program<'_>) -> String {
    program.argv.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn describe(step: Step, errno: i32, program: &Program<'_>, record: Option<&SelfRecord<'_>>) -> StartError {
    let credentials = program.credentials.as_ref();
    let id = |of: fn(&Credentials) -> u32| credentials.map(|to| of(to).to_string()).unwrap_or_default();
    let (text, object) = match step {
        Step::Session => ("setsid", String::new()),
        Step::Descriptors => ("leave the agent's descriptors", String::new()),
        Step::StartTime => ("read", "/proc/self/stat".to_owned()),
        Step::Inode => ("open own pidfd", String::new()),
        Step::Record => ("write process record", record.map(|record| record.shown(errno)).unwrap_or_default()),
        Step::StandardStreams => ("redirect standard streams", String::new()),
        Step::CloseDescriptors => ("close inherited descriptors", String::new()),
        Step::ChangeDirectory => {
            ("chdir", program.dir.as_ref().map(|dir| dir.to_string_lossy().into_owned()).unwrap_or_default())
        }
        Step::Groups => ("set supplementary groups", String::new()),
        Step::Group => ("set group", id(|to| to.gid)),
        Step::User => ("set user", id(|to| to.uid)),
        Step::DescriptorLimit => ("set the descriptor limit", String::new()),
        Step::Execute => ("execute", program_name(program)),
    };
    failure(text, &object, io::Error::from_raw_os_error(errno))
}

fn failure(step: &'static str, object: &str, source: io::Error) -> StartError {
    StartError { step, object: object.to_owned(), why: None, source }
}

fn explained(error: StartError, errno: i32, program: &Program<'_>, tried: &CStrings) -> StartError {
    let Some(name) = program.argv.first() else { return error };
    let programs = tried.owned.iter().map(|path| Path::new(OsStr::from_bytes(path.as_bytes()))).collect();
    let attempt = Attempt { name, programs, dir: program.dir.as_deref().map(Path::new) };
    StartError { why: attempt.why(errno), ..error }
}

fn reap_failed(started: &Started) {
    let target = match &started.pidfd {
        Some(fd) => Target::Pidfd(fd.as_fd()),
        None => Target::Pid(started.pid),
    };
    // The host may have reaped it (ECHILD), and then there is nothing left to do.
    let _ = wait::wait_blocking(target);
}

#[cfg(test)]
#[path = "spawn_tests.rs"]
mod tests;
