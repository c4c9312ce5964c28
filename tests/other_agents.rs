//! The suite of `tests/agent` once more for each agent that is not written in Rust: what it asks of an agent, the C
//! interface must make possible.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Builds an agent with `ffi-tests/Makefile`; nothing when what it needs is not installed.
fn build(agent: &str, program: &str, needs: &[&[&str]]) -> Option<PathBuf> {
    let missing: Vec<_> = needs.iter().filter(|check| !succeeds(check)).collect();
    if !missing.is_empty() {
        assert!(std::env::var_os("PROXYPROCESS_CI").is_none(), "not installed: {missing:?} fails");
        eprintln!("skipped, not installed: {missing:?} fails");
        return None;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = Command::new("make").arg("-C").arg(root.join("ffi-tests")).arg(agent).output().expect("run make");
    assert!(built.status.success(), "make {agent}: {}", text(&built.stderr));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Some(target.join("ffi-tests").join(program))
}

fn succeeds(words: &[&str]) -> bool {
    let (program, args) = words.split_first().expect("a command");
    let run = Command::new(program).args(args).stdin(Stdio::null()).output();
    run.is_ok_and(|run| run.status.success())
}

/// Runs the suite as Cargo built it for the example.
fn passes_the_suite(agent: &Path) {
    let mut suite = Command::new(env!("CARGO"));
    suite.args(["test", "--locked", "--test", "agent"]).env("PROXYPROCESS_AGENT", agent);
    let run = suite.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).output().expect("run cargo");
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

/// One after the other, not as three tests at the same time: each suite uses all cores already.
#[test]
fn the_agents_in_c_and_go_do_what_the_one_in_rust_does() {
    let shared = build("agent", "agent", &[JANSSON]);
    let fixed = shared.as_ref().map(|shared| shared.with_file_name("agent-static"));
    let go = build("go-agent", "go-agent", &[GO]);
    for agent in [shared, fixed, go].into_iter().flatten() {
        passes_the_suite(&agent);
    }
}
