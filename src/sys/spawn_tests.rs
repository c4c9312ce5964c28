//! Children, started for real.

use super::*;
use crate::sys::file::Dir;
use crate::sys::wait::{ExitStatus, Reap, Waited};
use std::fs::File;

fn run(program: Program<'_>) -> Result<ExitStatus, StartError> {
    let null = File::options().read(true).write(true).open("/dev/null").unwrap();
    let fd = crate::sys::fd::above_standard(null.into()).unwrap();
    let mut stack = ChildStack::new().unwrap();
    let started = start(&mut stack, program, [fd.as_fd(); 3], None)?;
    match wait::wait_blocking(Target::Pid(started.pid)).unwrap() {
        Waited::Ended(status) => Ok(status),
        other => panic!("{other:?}"),
    }
}

fn program(argv: &[&str]) -> Program<'static> {
    let env = vec![Variable::Prepared(c"A=1"), Variable::Own("PATH=/nonexistent:/usr/bin:/bin".into())];
    Program { argv: argv.iter().map(Into::into).collect(), env, dir: None, credentials: None }
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
    let forbidden = run(program(&["/etc/passwd"])).unwrap_err();
    assert_eq!(forbidden.source.raw_os_error(), Some(libc::EACCES));
    assert_eq!(forbidden.to_string(), "execute /etc/passwd: is not executable: Permission denied (os error 13)");
}

fn record_in<'fd>(dir: &'fd Dir, within: &'fd Path) -> SelfRecord<'fd> {
    SelfRecord { dir: dir.as_fd(), lock: &[], temporary: c".r".into(), name: c"r".into(), within, head: b"{".to_vec() }
}

/// Every step is taken: record, directory, credentials. An allocation on the way would end the child with 77.
#[test]
fn a_child_does_not_allocate_before_it_executes() {
    let place = tempfile::tempdir().unwrap();
    let dir = Dir::open(place.path()).unwrap();
    let null = crate::sys::null::open_null().unwrap();
    let record = record_in(&dir, place.path());
    let root = crate::sys::identity::effective_uid() == 0;
    let credentials = root.then(|| Credentials { uid: 65534, gid: 65534, groups: vec![1] });
    let program = Program { dir: Some("/".into()), credentials, ..program(&["true"]) };
    let mut stack = ChildStack::new().unwrap();
    let started = start(&mut stack, program, [null.as_fd(); 3], Some(&record)).unwrap();
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
    let dir = Dir::open(place.path()).unwrap();
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
        let started = start(&mut stack, look, [null.as_fd(); 3], Some(&record)).unwrap();
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
    let dir = Dir::open(place.path()).unwrap();
    let null = crate::sys::null::open_null().unwrap();
    let first = |argv: &[&str], dir_of_program: Option<&str>, lock: &[c_int]| {
        let record = SelfRecord { lock, ..record_in(&dir, place.path()) };
        let program = Program { dir: dir_of_program.map(Into::into), ..program(argv) };
        divide(&program, [null.as_fd(); 3], Some(&record), None).unwrap().first()
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
    let dir = Dir::open(place.path()).unwrap();
    let null = crate::sys::null::open_null().unwrap();
    let mut stack = ChildStack::new().unwrap();
    let mut write = |head: &[u8]| {
        let record = SelfRecord { head: head.to_vec(), ..record_in(&dir, place.path()) };
        let started = start(&mut stack, program(&["true"]), [null.as_fd(); 3], Some(&record)).unwrap();
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
    let dir = Dir::open(place.path()).unwrap();
    let null = crate::sys::null::open_null().unwrap();
    let record = record_in(&dir, place.path());
    let mut stack = ChildStack::new().unwrap();
    let failed = start(&mut stack, program(&["true"]), [null.as_fd(); 3], Some(&record)).unwrap_err();
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
