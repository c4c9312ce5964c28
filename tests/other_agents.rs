// SPDX-License-Identifier: MPL-2.0
//! The suite of `tests/agent` once more for each agent that is not written in Rust: what it asks of an agent, the C
//! interface must make possible.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Whether what is needed is installed, as running this shows.
fn has(needed: &[&str]) -> bool {
    if succeeds(needed) {
        return true;
    }
    assert!(std::env::var_os("PROXYPROCESS_CI").is_none(), "not installed: {needed:?} fails");
    eprintln!("skipped, not installed: {needed:?} fails");
    false
}

/// Has `ffi-tests/Makefile` make something; where it puts what it builds.
fn make(goal: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = Command::new("make").arg("-C").arg(root.join("ffi-tests")).arg(goal).output().expect("run make");
    assert!(made.status.success(), "make {goal}: {}\n{}", text(&made.stdout), text(&made.stderr));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    target.join("ffi-tests")
}

fn succeeds(words: &[&str]) -> bool {
    let (program, args) = words.split_first().expect("a command");
    let run = Command::new(program).args(args).stdin(Stdio::null()).output();
    run.is_ok_and(|run| run.status.success())
}

/// Runs the suite again, which is a part of this program, with another agent.
fn passes_the_suite(agent: &Path) {
    let mut suite = Command::new(std::env::current_exe().expect("find own program"));
    suite.args(["agent::", "--test-threads=2"]).env("PROXYPROCESS_AGENT", agent);
    let run = suite.stdin(Stdio::null()).output().expect("run the suite");
    let output = text(&run.stdout);
    assert!(run.status.success(), "{}\n{output}\n{}", agent.display(), text(&run.stderr));
    let passed = output.lines().filter(|line| line.starts_with("test ") && line.ends_with(" ok")).count();
    assert!(passed > 40, "only {passed} tests:\n{output}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const JANSSON: &[&str] = &["sh", "-c", "echo '#include <jansson.h>' | cc -E -o /dev/null -"];
const GO: &[&str] = &["go", "version"];

#[test]
fn the_agent_in_c_does_what_the_one_in_rust_does() {
    if has(JANSSON) {
        let built = make("agent");
        // Linked to the shared library, and to the static one.
        passes_the_suite(&built.join("agent"));
        passes_the_suite(&built.join("agent-static"));
    }
}

#[test]
fn the_agent_in_go_does_what_the_one_in_rust_does() {
    if has(GO) {
        passes_the_suite(&make("go-agent").join("go-agent"));
    }
}

#[test]
fn the_go_package_passes_its_tests_under_the_race_detector() {
    if has(GO) {
        make("go-test");
    }
}
