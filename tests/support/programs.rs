// SPDX-License-Identifier: MPL-2.0
//! The programs that the tests start: the helper, which is an example of this package, and the example agent, which is a
//! package of its own. Cargo builds neither for a single test, so the tests have it do so, or see that nothing is out of date.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, OnceLock};

use serde_json::Value;

/// Names the helper to the processes that a test starts of itself, so that they need not look for it.
pub(crate) const HELPER_VARIABLE: &str = "PROXYPROCESS_TEST_HELPER";

/// Names the agent under test.
pub(super) const AGENT_VARIABLE: &str = "PROXYPROCESS_AGENT";

/// The program that the tests have managed.
pub(crate) static HELPER: LazyLock<&str> = LazyLock::new(|| {
    let path = std::env::var_os(HELPER_VARIABLE).map_or_else(|| programs().helper.clone(), PathBuf::from);
    path.into_os_string().into_string().expect("a path of UTF-8").leak()
});

/// The agent under test: the program that PROXYPROCESS_AGENT names, or else the example.
pub(crate) fn agent_under_test() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match std::env::var_os(AGENT_VARIABLE) {
        Some(path) => fs::canonicalize(&path).expect("find the program in PROXYPROCESS_AGENT"),
        None => programs().agent.clone(),
    })
}

/// The example agent, whatever agent is under test: for what it can beyond the others.
pub(crate) fn example_agent() -> &'static Path {
    &programs().agent
}

/// The example agent with fail points, in a target directory of its own, so that nothing else is built with them.
///
/// Without cargo it is where an earlier run with cargo has built it.
pub(crate) fn agent_with_fail_points() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let target = profile().parent().expect("a profile is a folder of the target directory").join("fail-points");
        match std::env::var_os("CARGO") {
            Some(cargo) => {
                let mut options: Vec<OsString> =
                    ["-p", "proxyprocess-agent", "--bin", "agent", "--features", "fail-points"]
                        .map(OsString::from)
                        .into();
                options.extend(["--config", "profile.dev.debug=0", "--target-dir"].map(OsString::from));
                options.push(target.into());
                executable(&build(&cargo, &options), "agent")
            }
            None => up_to_date(target.join("debug/agent")),
        }
    })
}

/// One of the short examples.
pub(crate) fn example(name: &str) -> PathBuf {
    match std::env::var_os("CARGO") {
        Some(cargo) => {
            let options = ["-p", "proxyprocess", "-p", "proxyprocess-agent", "--example", name];
            executable(&build(&cargo, &options.map(OsString::from)), name)
        }
        None => up_to_date(profile().join("examples").join(name)),
    }
}

struct Programs {
    helper: PathBuf,
    agent: PathBuf,
}

/// Both programs. Run by cargo, they are brought up to date; else they are where cargo puts them.
fn programs() -> &'static Programs {
    static PROGRAMS: LazyLock<Programs> = LazyLock::new(|| match std::env::var_os("CARGO") {
        Some(cargo) => {
            // Of both packages, with an example: then Cargo takes the same features of the dependencies as for the tests, and
            // compiles nothing twice.
            let options = "-p proxyprocess -p proxyprocess-agent --example test-helper --bin agent";
            let options: Vec<OsString> = options.split(' ').map(OsString::from).collect();
            let built = build(&cargo, &options);
            Programs { helper: executable(&built, "test-helper"), agent: executable(&built, "agent") }
        }
        None => Programs {
            helper: up_to_date(profile().join("examples/test-helper")),
            agent: up_to_date(profile().join("agent")),
        },
    });
    &PROGRAMS
}

/// The folder of the target directory in which this program was built.
fn profile() -> PathBuf {
    let own = std::env::current_exe().expect("find own program");
    own.ancestors().nth(2).expect("a test program is in the folder deps of its profile").to_owned()
}

/// What Cargo says about what it has built.
fn build(cargo: &OsStr, options: &[OsString]) -> Vec<Value> {
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--message-format=json"]).args(options);
    build.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = build.output().expect("run cargo");
    assert!(output.status.success(), "cargo could not build {options:?}: {}", output.status);
    output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

fn executable(messages: &[Value], name: &str) -> PathBuf {
    let of_name = messages.iter().filter(|message| message["target"]["name"] == name);
    let path = of_name.filter_map(|message| message["executable"].as_str()).next();
    path.expect("cargo names the executable that it has built").into()
}

/// A program that Cargo has built and that is not older than what it was made of, which Cargo writes beside it: one that
/// is would pass, or fail, tests of what is long since different.
fn up_to_date(program: PathBuf) -> PathBuf {
    let modified = |path: &Path| fs::metadata(path).and_then(|file| file.modified());
    let built = modified(&program).unwrap_or_else(|error| {
        panic!("{}: {error}: run `cargo build --all-targets`, or the tests by cargo", program.display())
    });
    let sources = fs::read_to_string(program.with_extension("d")).unwrap_or_default();
    // Where the sources are not, nothing is known of them.
    let newer = |source: &&str| modified(Path::new(source)).is_ok_and(|changed| changed > built);
    if let Some(newer) = sources.split_ascii_whitespace().skip(1).find(newer) {
        panic!("{} is older than {newer}: run `cargo build --all-targets`, or the tests by cargo", program.display());
    }
    program
}
