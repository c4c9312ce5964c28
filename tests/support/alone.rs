// SPDX-License-Identifier: MPL-2.0
//! Running a test in a process of its own: what it counts or changes there is its own doing.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use super::programs::{AGENT_VARIABLE, HELPER, HELPER_VARIABLE, agent_under_test};

/// Set in the process that was started for one test.
const ALONE: &str = "PROXYPROCESS_TEST_ALONE";

/// The number that was last given to a process or thread of the pid namespace.
const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";

/// Runs `body` in a fresh process of this test program; `name` is the test's path within this program.
///
/// ```ignore
/// #[test]
/// fn nothing_leaks() {
///     alone("module::nothing_leaks", || { .. });
/// }
/// ```
#[track_caller]
pub(crate) fn alone(name: &str, body: impl FnOnce()) {
    if is_alone() { body() } else { again(&[], name) }
}

/// The same, in a process that is started by programs which execute it when they have prepared it.
#[track_caller]
pub(crate) fn alone_under(programs: &[&str], name: &str, body: impl FnOnce()) {
    if is_alone() { body() } else { again(programs, name) }
}

/// Runs `body` in a fresh process that is the first of a pid namespace, and chooses there which number is given to the
/// next process.
///
/// Where that may not be done, nothing is run, and it is said. As root it may be, unless a container takes care.
#[track_caller]
pub(crate) fn in_pid_namespace(name: &str, body: impl FnOnce()) {
    if is_alone() {
        return body();
    }
    let root = rustix::process::geteuid().is_root();
    let as_root: &[&str] = if root { &[] } else { &["--user", "--map-root-user"] };
    let namespace = ["--pid", "--fork", "--kill-child", "--mount-proc"];
    let unshare = [&["unshare"], as_root, &namespace].concat();
    let try_out = Command::new(unshare[0]).args(&unshare[1..]).args(["test", "-e", LAST_PID]).output();
    if try_out.as_ref().is_ok_and(|output| output.status.success()) {
        return again(&unshare, name);
    }
    let required = root && std::env::var_os("PROXYPROCESS_CI").is_some();
    assert!(!required, "no pid namespace, or no {LAST_PID} in it: {try_out:?}");
    println!("skipped: no pid namespace, or no {LAST_PID} in it: {try_out:?}");
}

/// Has the next process or thread of the pid namespace get this pid, if no process has it.
#[track_caller]
pub(crate) fn next_pid_is(pid: u32) {
    assert!(is_alone(), "only in a pid namespace of its own can a test choose numbers");
    std::fs::write(LAST_PID, (pid - 1).to_string()).expect("choose the next pid");
}

#[track_caller]
fn again(under: &[&str], name: &str) {
    let program = std::env::current_exe().expect("find own program");
    // The guard kills it when this test ends, however that comes about.
    let mut command = Command::new(*HELPER);
    if !under.is_empty() {
        // Nothing is built in a namespace.
        command.env_remove("CARGO");
    }
    let output = command
        .arg("guard")
        .args(under)
        .arg(program)
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(ALONE, name)
        .env(HELPER_VARIABLE, *HELPER)
        .env(AGENT_VARIABLE, agent_under_test())
        .stdin(Stdio::null())
        .output()
        .expect("start the test again");
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    let ran = stdout.contains("1 passed");
    let status = (output.status.code(), output.status.signal());
    assert!(output.status.success() && ran, "{name}, in a process of its own: {status:?}\n{stdout}\n{stderr}");
}

/// Whether this process runs one test alone.
pub(crate) fn is_alone() -> bool {
    std::env::var_os(ALONE).is_some()
}
