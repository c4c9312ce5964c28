//! The programs that the tests start: the helper and the agent, both examples of this crate.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, OnceLock};

/// Names the helper to the processes that a test starts of itself, so that they need not look for it.
pub(crate) const HELPER_VARIABLE: &str = "PROXYPROCESS_TEST_HELPER";

/// Names the agent under test.
pub(super) const AGENT_VARIABLE: &str = "PROXYPROCESS_AGENT";

/// The program that the tests have managed.
pub(crate) static HELPER: LazyLock<&str> = LazyLock::new(|| {
    let path = std::env::var_os(HELPER_VARIABLE).map_or_else(|| example("test-helper"), PathBuf::from);
    path.into_os_string().into_string().expect("a path of UTF-8").leak()
});

/// The agent under test: the program that PROXYPROCESS_AGENT names, or else the example.
pub(crate) fn agent_under_test() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match std::env::var_os(AGENT_VARIABLE) {
        Some(path) => std::fs::canonicalize(&path).expect("find the program in PROXYPROCESS_AGENT"),
        None => example("agent"),
    })
}

/// The example agent with fail points, in a target directory of its own, so that nothing else is built with them.
///
/// Without cargo it is where an earlier run with cargo has built it.
pub(crate) fn agent_with_fail_points() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let own = std::env::current_exe().expect("find own program");
        let profile = own.ancestors().nth(2).expect("a test program is in the folder deps of its profile");
        let target = profile.parent().expect("a profile is a folder of the target directory").join("fail-points");
        match std::env::var_os("CARGO") {
            Some(cargo) => {
                let target = target.to_str().expect("a path in UTF-8");
                build(
                    &cargo,
                    "agent",
                    &["--features", "fail-points", "--target-dir", target, "--config", "profile.dev.debug=0"],
                )
            }
            None => target.join("debug/examples/agent"),
        }
    })
}

/// An example of this crate. Run by cargo, which builds no examples for a single test, it is brought up to date; else
/// it is where cargo puts it.
fn example(name: &str) -> PathBuf {
    match std::env::var_os("CARGO") {
        Some(cargo) => build(&cargo, name, &[]),
        None => {
            let own = std::env::current_exe().expect("find own program");
            let profile = own.ancestors().nth(2).expect("a test program is in the folder deps of its profile");
            profile.join("examples").join(name)
        }
    }
}

fn build(cargo: &OsStr, name: &str, options: &[&str]) -> PathBuf {
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--example", name, "--message-format=json"]).args(options);
    build.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = build.output().expect("run cargo");
    assert!(output.status.success(), "cargo could not build the example {name}: {}", output.status);
    let artifact = |line: &[u8]| -> Option<PathBuf> {
        let message: serde_json::Value = serde_json::from_slice(line).ok()?;
        let is_meant = message["target"]["name"] == name && message["target"]["kind"][0] == "example";
        is_meant.then(|| message["executable"].as_str().map(PathBuf::from))?
    };
    let path = output.stdout.split(|byte| *byte == b'\n').find_map(artifact);
    path.expect("cargo names the executable that it has built")
}
