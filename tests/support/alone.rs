//! Running a test in a process of its own: what it counts or changes there is its own doing.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use super::programs::{HELPER, HELPER_VARIABLE};

/// Set in the process that was started for one test.
const ALONE: &str = "PROXYPROCESS_TEST_ALONE";

/// Runs `body` in a fresh process of this test program; `name` is the test's path within its crate.
///
/// ```ignore
/// #[test]
/// fn nothing_leaks() {
///     alone("module::nothing_leaks", || { .. });
/// }
/// ```
#[track_caller]
pub(crate) fn alone(name: &str, body: impl FnOnce()) {
    alone_under(&[], name, body);
}

/// The same, in a process that is started by programs which execute it when they have prepared it.
#[track_caller]
pub(crate) fn alone_under(programs: &[&str], name: &str, body: impl FnOnce()) {
    if is_alone() {
        return body();
    }
    let program = std::env::current_exe().expect("find own program");
    // The guard kills it when this test ends, however that comes about.
    let output = Command::new(*HELPER)
        .arg("guard")
        .args(programs)
        .arg(program)
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(ALONE, name)
        .env(HELPER_VARIABLE, *HELPER)
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
