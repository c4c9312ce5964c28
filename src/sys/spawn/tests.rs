// SPDX-License-Identifier: MPL-2.0
//! Children, started for real.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::super::process_identity::{Identity, boot_id};
use super::program::Variable;
use super::*;
use crate::command::{Command, Credentials, ProcessSettings, Resource, ResourceLimit};
use crate::sys::digest;
use crate::sys::file::Dir;
use crate::sys::wait::{self, Target};
use crate::sys::wait::{ExitStatus, Reap, Waited};

fn run(program: Program<'_>) -> Result<ExitStatus, StartError> {
    let null = File::options().read(true).write(true).open("/dev/null").unwrap();
    let fd = crate::sys::fd::above_standard(null.into()).unwrap();
    let mut stack = ChildStack::new().unwrap();
    let started = start(&mut stack, &HostProcess::read(), program, [fd.as_fd(); 3], None)?;
    match wait::wait_blocking(Target::Pid(started.pid)).unwrap() {
        Waited::Ended(status) => Ok(status),
        other => panic!("{other:?}"),
    }
}

fn program(argv: &[&str]) -> Program<'static> {
    let env = vec![Variable::Prepared(c"A=1"), Variable::Own("PATH=/nonexistent:/usr/bin:/bin".into())];
    let argv = argv.iter().map(Into::into).collect();
    Program {
        argv,
        env,
        dir: None,
        credentials: None,
        descriptor_limit: None,
        oom_score_adj: None,
        settings: ProcessSettings::default(),
        detached: false,
        report: None,
        cgroup: None,
        pid_variables: vec![],
        sockets: vec![],
    }
}

#[test]
fn a_program_is_found_in_its_own_path_and_runs() {
    assert_eq!(run(program(&["sh", "-c", "exit 7"])).unwrap(), ExitStatus::Exited(7));
    assert_eq!(run(program(&["/bin/sh", "-c", "kill -9 $$"])).unwrap().to_string(), "signal SIGKILL");
}

#[test]
fn a_failure_names_the_step_and_the_object() {
    let missing = run(program(&["no-such-program"])).unwrap_err();
    let found = "not found in PATH (/nonexistent:/usr/bin:/bin): No such file or directory (os error 2)";
    assert_eq!(missing.to_string(), format!("execute no-such-program: {found}"));
    let no_dir = Program { dir: Some("/no/such".into()), ..program(&["sh"]) };
    assert_eq!(run(no_dir).unwrap_err().to_string(), "chdir /no/such: No such file or directory (os error 2)");
    let hard = fd_limit::descriptors_for_child(Some(0), fd_limit::descriptors_now()).unwrap().hard;
    let unlimited = run(Program { descriptor_limit: Some(u64::MAX), ..program(&["true"]) });
    match unlimited {
        Ok(_) => assert_eq!(hard, u64::MAX),
        Err(error) => {
            let why = format!("above the agent's hard limit of {hard}: Invalid argument (os error 22)");
            assert_eq!(error.to_string(), format!("set descriptor_limit {}: {why}", u64::MAX));
        }
    }
    let forbidden = run(program(&["/etc/passwd"])).unwrap_err();
    assert_eq!(forbidden.source.raw_os_error(), Some(libc::EACCES));
    assert_eq!(forbidden.to_string(), "execute /etc/passwd: is not executable: Permission denied (os error 13)");
}

#[test]
fn credentials_that_would_change_nothing_are_refused_before_there_is_a_child() {
    for credentials in [Credentials::new(u32::MAX, 1), Credentials::new(1, u32::MAX)] {
        let refused = run(Program { credentials: Some(credentials), ..program(&["true"]) }).unwrap_err().to_string();
        assert!(refused.starts_with("set credentials: "), "{refused}");
        assert!(refused.ends_with("id: expected a whole number from 0 to 4294967294, got 4294967295"), "{refused}");
    }
}

#[test]
fn declared_settings_are_those_of_the_process_alone() {
    let own = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let fields = ["Umask:", "NoNewPrivs:", "Cpus_allowed_list:"];
        let fields: Vec<_> = status.lines().filter(|line| fields.iter().any(|field| line.starts_with(field))).collect();
        (fields.join("\n"), std::fs::read_to_string("/proc/self/limits").unwrap())
    };
    let before = own();
    let command = Command::new("sh").rlimit(Resource::Core, ResourceLimit::soft(0)).nice(19).umask(0o27);
    let command = command.rlimit(Resource::Nofile, ResourceLimit::new(50)).no_new_privs().argv0("name");
    let look = "test $(umask) = 0027 && test $(ulimit -c) = 0 && test $(ulimit -Hn) = 50 && \
                test $(cut -d' ' -f19 /proc/self/stat) = 19 && grep -q '^NoNewPrivs:.1$' /proc/self/status && \
                test \"$(tr '\\0' ' ' </proc/$$/cmdline | cut -c-8)\" = 'name -c '";
    let program = Program { settings: command.settings().clone(), ..program(&["sh", "-c", look]) };
    assert_eq!(run(program).unwrap(), ExitStatus::Exited(0));
    assert_eq!(own(), before);
}

#[test]
fn a_declared_oom_score_and_descriptor_limit_are_those_of_the_process_alone() {
    let own = || (std::fs::read_to_string("/proc/self/oom_score_adj").unwrap(), fd_limit::descriptors_now());
    let before = own();
    let look =
        program(&["sh", "-c", "read score </proc/self/oom_score_adj && test $score = 1000 && test $(ulimit -n) = 50"]);
    let (descriptor_limit, oom_score_adj) = (Some(50), Some(1000));
    assert_eq!(run(Program { descriptor_limit, oom_score_adj, ..look }).unwrap(), ExitStatus::Exited(0));
    assert_eq!(own(), before);
}

fn record_in(dir: &Arc<Dir>, within: &Path) -> SelfRecord {
    let (temporary, name, head, with_inode) = (c".r".into(), c"r".into(), b"{".to_vec(), pidfd::has_inodes());
    SelfRecord { dir: dir.clone(), lock: Vec::new(), temporary, name, within: within.into(), head, with_inode }
}

/// Every step is taken: record, directory, OOM score, credentials, limits and all other settings. An allocation on the way would end
/// the child with 77.
#[test]
fn a_child_does_not_allocate_before_it_executes() {
    let place = tempfile::tempdir().unwrap();
    let dir = Arc::new(Dir::open(place.path()).unwrap());
    let null = crate::sys::null::open_null().unwrap();
    let record = record_in(&dir, place.path());
    let root = crate::sys::pid::effective_uid() == 0;
    let credentials = root.then(|| Credentials { uid: 65534, gid: 65534, groups: vec![1] });
    let (descriptor_limit, oom_score_adj) = (Some(50), Some(1000));
    let command = Command::new("true").rlimit(Resource::Core, ResourceLimit::soft(0)).nice(19).umask(0o27);
    let settings = command.no_new_privs().argv0("a").settings().clone();
    let program =
        Program { dir: Some("/".into()), credentials, descriptor_limit, oom_score_adj, settings, ..program(&["true"]) };
    let mut stack = ChildStack::new().unwrap();
    let started = start(&mut stack, &HostProcess::read(), program, [null.as_fd(); 3], Some(&record)).unwrap();
    let ended = wait::wait_blocking(Target::Pid(started.pid)).unwrap();
    assert_eq!(ended, Waited::Ended(ExitStatus::Exited(0)));
    let written = std::fs::read_to_string(place.path().join("r")).unwrap();
    assert!(written.starts_with(&format!("{{\"pid\":{},\"start_ticks\":", started.pid)), "{written}");
    let inode = started.pidfd.and_then(|fd| pidfd::inode(fd.as_fd()).unwrap());
    let inode = inode.map(|inode| format!(",\"pidfd_inode\":{inode}"));
    let (checked, check) = written.split_once(",\"check\":").unwrap();
    assert!(checked.ends_with(inode.as_deref().unwrap_or_default()), "{written}");
    assert_eq!(checked.contains("inode"), inode.is_some(), "{written}");
    let digest = digest::add(digest::EMPTY, checked.as_bytes());
    assert_eq!(check, format!("\"{digest:016x}\"}}\n"));
}

/// A child of a host whose memory and descriptors it shares at first: the first one has a copy, and tries it out.
#[test]
fn nothing_changes_in_the_descriptors_of_the_agent() {
    let place = tempfile::tempdir().unwrap();
    let dir = Arc::new(Dir::open(place.path()).unwrap());
    let null = crate::sys::null::open_null().unwrap();
    // Beyond all that a child needs, and not to be closed by an exec of the agent.
    // SAFETY: a new descriptor, and no pointers.
    let high = unsafe { libc::fcntl(null.as_raw_fd(), libc::F_DUPFD, 900) };
    let state = || {
        // SAFETY: no pointers are passed.
        let flags = [0, 1, 2, null.as_raw_fd(), high].map(|fd| unsafe { libc::fcntl(fd, libc::F_GETFD) });
        (flags, std::fs::read_link(format!("/proc/self/fd/{high}")).unwrap(), dir.own_inode().unwrap())
    };
    let before = state();
    assert_eq!(before.0[4], 0);
    let record = record_in(&dir, place.path());
    for _ in 0..3 {
        let mut stack = ChildStack::new().unwrap();
        let look = program(&["sh", "-c", &format!("test ! -e /proc/self/fd/{high}")]);
        let started = start(&mut stack, &HostProcess::read(), look, [null.as_fd(); 3], Some(&record)).unwrap();
        let ended = wait::wait_blocking(Target::Pid(started.pid)).unwrap();
        assert_eq!(ended, Waited::Ended(ExitStatus::Exited(0)));
        assert_eq!(state(), before);
    }
    // SAFETY: opened above and not used again.
    unsafe { libc::close(high) };
}

#[test]
fn a_child_keeps_what_it_uses_before_it_executes() {
    let place = tempfile::tempdir().unwrap();
    let dir = Arc::new(Dir::open(place.path()).unwrap());
    let null = crate::sys::null::open_null().unwrap();
    let first = |argv: &[&str], dir_of_program: Option<&str>, lock: &[c_int]| {
        let record = SelfRecord { lock: lock.to_vec(), ..record_in(&dir, place.path()) };
        let program = Program { dir: dir_of_program.map(Into::into), ..program(argv) };
        let passed = PassedDescriptors::of(&program).unwrap();
        divide(&program, [null.as_fd(); 3], Some(&record), None, passed.ends()).unwrap().first()
    };
    if first(&["true"], None, &[]).is_none() {
        return; // it was tried, and cannot be done here
    }
    for lock in [[3, 700], [700, 3]] {
        assert_eq!(first(&["true"], None, &lock), Some(704));
    }
    // Whatever number a path names.
    assert_eq!(first(&["/proc/self/fd/9"], None, &[]), None);
    assert_eq!(first(&["true"], Some("/dev/fd/9"), &[]), None);
    // Beyond the limit none is to be had, and a copy of all does as well.
    assert_eq!(first(&["true"], None, &[c_int::MAX - 64]), None);
}

#[test]
fn a_record_is_written_over_and_one_that_is_not_ours_alone_is_replaced() {
    let place = tempfile::tempdir().unwrap();
    let dir = Arc::new(Dir::open(place.path()).unwrap());
    let null = crate::sys::null::open_null().unwrap();
    let mut stack = ChildStack::new().unwrap();
    let mut write = |head: &[u8]| {
        let record = SelfRecord { head: head.to_vec(), ..record_in(&dir, place.path()) };
        let started =
            start(&mut stack, &HostProcess::read(), program(&["true"]), [null.as_fd(); 3], Some(&record)).unwrap();
        wait::wait_blocking(Target::Pid(started.pid)).unwrap();
        let written = std::fs::read_to_string(place.path().join("r")).unwrap();
        let expected = format!("{}\"pid\":{},", String::from_utf8_lossy(head), started.pid);
        assert!(written.starts_with(&expected) && written.trim_end().ends_with("\"}"), "{written}");
        assert_eq!(dir.list().unwrap().iter().filter(|name| *name != "other").collect::<Vec<_>>(), ["r"]);
        (dir.inode(c"r").unwrap(), written)
    };
    let (first, long) = write(b"{\"id\":\"a longer one\",");
    let (second, short) = write(b"{");
    assert_eq!((first, long.len()), (second, short.len()), "what is left of it is white space");
    let (third, longest) = write(&[b"{\"id\":\"", [b'x'; 200].as_slice(), b"\","].concat());
    assert_eq!(second, third);
    // More of it is left than is worth filling up.
    assert!(write(b"{").1.len() < longest.len() - 100);
    dir.link(c"r", c"other").unwrap();
    let other = dir.read(c"other", 4096).unwrap();
    write(b"{");
    assert_eq!(dir.read(c"other", 4096).unwrap(), other);
    for kind in ["link", "pipe", "large"] {
        dir.remove(c"r").unwrap();
        match kind {
            "link" => std::os::unix::fs::symlink("other", place.path().join("r")).unwrap(),
            "pipe" => {
                let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
                rustix::fs::mknodat(&dir, "r", rustix::fs::FileType::Fifo, mode, 0).unwrap();
            }
            _ => dir.replace(c".r", c"r", &[b'y'; 8192]).unwrap(),
        }
        write(b"{");
        assert_eq!(dir.read(c"other", 4096).unwrap(), other);
    }
}

#[test]
fn a_record_that_cannot_be_put_in_its_place_leaves_no_temporary_file() {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("r")).unwrap();
    let dir = Arc::new(Dir::open(place.path()).unwrap());
    let null = crate::sys::null::open_null().unwrap();
    let record = record_in(&dir, place.path());
    let mut stack = ChildStack::new().unwrap();
    let failed =
        start(&mut stack, &HostProcess::read(), program(&["true"]), [null.as_fd(); 3], Some(&record)).unwrap_err();
    let shown = place.path().join("r");
    assert_eq!(failed.to_string(), format!("write process record {}: Is a directory (os error 21)", shown.display()));
    assert_eq!(dir.list().unwrap(), ["r"]);
}

#[test]
fn no_child_is_left_after_a_failure() {
    let error = run(program(&["/no/such/program"])).unwrap_err();
    assert!(error.source.kind() == io::ErrorKind::NotFound);
    let none = wait::try_wait(Target::Pid(Pid::from_raw(i32::MAX).unwrap()), Reap::Yes).unwrap();
    assert_eq!(none, Waited::NotOurs);
}

fn detached(argv: &[&str]) -> Program<'static> {
    Program { detached: true, ..program(argv) }
}

/// Starts it with a record, which is returned.
fn start_detached(program: Program<'_>, place: &Path) -> Result<(Started, String), StartError> {
    let dir = Arc::new(Dir::open(place).unwrap());
    let null = crate::sys::null::open_null().unwrap();
    let record = record_in(&dir, place);
    let started =
        start(&mut ChildStack::new().unwrap(), &HostProcess::read(), program, [null.as_fd(); 3], Some(&record))?;
    Ok((started, std::fs::read_to_string(place.join("r")).unwrap()))
}

/// Waits for the end of a process that this one may, or may not, have been given as a child.
fn await_end(started: &Started) {
    while stat::read(started.pid.as_raw()).unwrap().is_some_and(|stat| !stat.is_dead()) {
        std::thread::yield_now();
    }
    let _ = wait::try_wait(Target::Pid(started.pid), Reap::Yes);
}

#[test]
fn a_detached_process_is_an_orphan_when_it_executes_and_no_child_is_left() {
    let place = tempfile::tempdir().unwrap();
    let told = place.path().join("told");
    let children = || -> Vec<i32> {
        let of_thread = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
        of_thread.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    };
    for _ in 0..3 {
        let say = format!("echo $PPID $$ >{0}.new; mv {0}.new {0}; exec sleep 1000", told.display());
        let (started, record) = start_detached(detached(&["sh", "-c", &say]), place.path()).unwrap();
        let says = loop {
            match std::fs::read_to_string(&told) {
                Ok(says) => break says,
                Err(_) => std::thread::yield_now(),
            }
        };
        std::fs::remove_file(&told).unwrap();
        let stat = stat::read(started.pid.as_raw()).unwrap().unwrap();
        assert_eq!(says.trim(), format!("{} {}", stat.parent, started.pid), "its parent is the same as ever since");
        assert_eq!(Some(stat.start_ticks), started.start_ticks);
        assert!(record.starts_with(&format!("{{\"pid\":{},\"start_ticks\":{}", started.pid, stat.start_ticks)));
        assert_eq!(started.pidfd.is_some(), pidfd::is_supported());
        assert_eq!(children(), [0; 0], "neither it nor the intermediate child");
        crate::sys::signal::kill_process(started.pid, crate::sys::signal::Signal::KILL).unwrap();
        await_end(&started);
    }
}

#[test]
fn a_detached_process_that_fails_is_reported_as_any_other_and_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let failed = |program: Program<'_>| start_detached(program, place.path()).unwrap_err().to_string();
    for _ in 0..3 {
        let found = "not found in PATH (/nonexistent:/usr/bin:/bin): No such file or directory (os error 2)";
        assert_eq!(failed(detached(&["no-such-program"])), format!("execute no-such-program: {found}"));
        let no_dir = Program { dir: Some("/no/such".into()), ..detached(&["sh"]) };
        assert_eq!(failed(no_dir), "chdir /no/such: No such file or directory (os error 2)");
    }
}

/// However soon: its pidfd is older than its first instruction.
#[test]
fn the_exit_status_of_a_detached_process_is_known_where_the_kernel_tells_it() {
    let place = tempfile::tempdir().unwrap();
    for _ in 0..20 {
        let (started, _) = start_detached(detached(&["sh", "-c", "exit 7"]), place.path()).unwrap();
        let Some(pidfd) = started.pidfd.as_ref().map(|fd| fd.as_fd()) else { return };
        while !pidfd::has_ended(pidfd) {
            std::thread::yield_now();
        }
        let (boot_id, start_ticks) = (boot_id().unwrap().clone(), started.start_ticks.unwrap());
        let identity = Identity { pid: started.pid, group: started.pid, start_ticks, boot_id, inode: None };
        let ended = super::super::non_child_exit::ended(Some(pidfd), Some(&identity)).unwrap();
        // Before Linux 6.15 the kernel does not tell it of one that was reaped.
        assert!(matches!(ended.status, ExitStatus::Exited(7) | ExitStatus::Unknown), "{ended:?}");
        let _ = wait::try_wait(Target::Pidfd(pidfd), Reap::Yes);
    }
}

/// Every step is taken, as of any child: in the memory of the agent no child may allocate.
#[test]
fn a_detached_process_does_not_allocate_before_it_executes() {
    let place = tempfile::tempdir().unwrap();
    let root = crate::sys::pid::effective_uid() == 0;
    let credentials = root.then(|| Credentials { uid: 65534, gid: 65534, groups: vec![1] });
    for _ in 0..3 {
        let program =
            Program { dir: Some("/".into()), credentials: credentials.clone(), ..detached(&["sleep", "1000"]) };
        let (started, _) = start_detached(program, place.path()).unwrap();
        let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(format!("/proc/{}", started.pid)).unwrap());
        assert_eq!(owner, if root { 65534 } else { crate::sys::pid::effective_uid() });
        crate::sys::signal::kill_process(started.pid, crate::sys::signal::Signal::KILL).unwrap();
        await_end(&started);
    }
}

/// The kernel sets this value for all that share memory at once, but for the child of a vfork.
#[test]
fn a_detached_process_has_its_oom_score_and_the_agent_keeps_its_own() {
    let place = tempfile::tempdir().unwrap();
    let of = |process: &str| std::fs::read_to_string(format!("/proc/{process}/oom_score_adj")).unwrap();
    let before = of("self");
    for _ in 0..3 {
        let program = Program { oom_score_adj: Some(1000), ..detached(&["sleep", "1000"]) };
        let (started, _) = start_detached(program, place.path()).unwrap();
        assert_eq!((of(&started.pid.to_string()).trim(), of("self")), ("1000", before.clone()));
        crate::sys::signal::kill_process(started.pid, crate::sys::signal::Signal::KILL).unwrap();
        await_end(&started);
    }
}

/// What this process ignores and handles, until the test is over.
struct Dispositions;

impl Dispositions {
    fn set() -> Dispositions {
        extern "C" fn handle(_: c_int) {}
        let handler = handle as extern "C" fn(c_int) as libc::sighandler_t;
        for (signal, to) in [(libc::SIGUSR2, libc::SIG_IGN), (libc::SIGRTMAX(), libc::SIG_IGN), (libc::SIGURG, handler)]
        {
            // SAFETY: the handler does nothing, and no other test of this program uses these signals.
            unsafe { libc::signal(signal, to) };
        }
        Dispositions
    }
}

impl Drop for Dispositions {
    fn drop(&mut self) {
        for signal in [libc::SIGUSR2, libc::SIGRTMAX(), libc::SIGURG] {
            // SAFETY: as above.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}

#[test]
fn what_the_host_ignores_and_handles_has_its_default_disposition_in_the_process() {
    let _set = Dispositions::set();
    let ignored = HostProcess::read().ignored;
    if clone3::may_work() {
        assert!(
            [libc::SIGUSR2, libc::SIGRTMAX(), libc::SIGINT, libc::SIGQUIT]
                .iter()
                .all(|signal| crate::sys::signal_mask::is_in(ignored, *signal)),
            "{ignored:x}"
        );
        assert!(
            ![libc::SIGURG, libc::SIGTERM].iter().any(|signal| crate::sys::signal_mask::is_in(ignored, *signal)),
            "{ignored:x}"
        );
    }
    let none = "^Sig(Ign|Blk):.0{16}$";
    let look = format!("test $(grep -cE '{none}' /proc/self/status) = 2");
    assert_eq!(run(program(&["sh", "-c", &look])).unwrap(), ExitStatus::Exited(0));
}
