// SPDX-License-Identifier: MPL-2.0
//! What the tests use: built by `ffi-tests/Makefile`, or found where PROXYPROCESS_FFI_BUILT says.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// How the programs are built: with the static library, or with sanitizers and the shared one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    Plain,
    Sanitized,
}

pub(crate) const SANITIZERS: [&str; 2] = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

impl Build {
    fn name(self) -> &'static str {
        match self {
            Build::Plain => "plain",
            Build::Sanitized => "sanitized",
        }
    }

    /// Where the programs are; `None` when what it takes to build them is not installed.
    pub(crate) fn programs(self) -> Option<PathBuf> {
        static PLAIN: LazyLock<Option<PathBuf>> = LazyLock::new(|| make(Build::Plain));
        static SANITIZED: LazyLock<Option<PathBuf>> = LazyLock::new(|| make(Build::Sanitized));
        match self {
            Build::Plain => PLAIN.clone(),
            Build::Sanitized => SANITIZED.clone(),
        }
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether nothing is to be built here.
pub(crate) fn is_built() -> bool {
    std::env::var_os("PROXYPROCESS_FFI_BUILT").is_some()
}

/// Where the Makefile puts what it builds.
fn place() -> PathBuf {
    let built = std::env::var_os("PROXYPROCESS_FFI_BUILT").map(PathBuf::from);
    built.unwrap_or_else(|| {
        let own = std::env::current_exe().expect("find own program");
        own.ancestors().nth(3).expect("a test program is in <target>/<profile>/deps").join("ffi-tests")
    })
}

/// One of the libraries, as last built; [`Build::programs`] builds it.
pub(crate) fn library(name: &str) -> PathBuf {
    place().with_file_name("debug").join(name)
}

fn make(build: Build) -> Option<PathBuf> {
    let programs = place().join(build.name());
    if is_built() {
        return Some(programs);
    }
    if !has("make") || !compiles(build) {
        return None;
    }
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut make = Command::new("make");
    make.arg("-C").arg(root().join("ffi-tests")).arg(format!("-j{jobs}")).arg(format!("VARIANT={}", build.name()));
    if build == Build::Sanitized {
        // Linked in the other way, so that both are tested.
        make.arg("LINK=shared").arg(format!("CFLAGS=-O1 -g {}", SANITIZERS.join(" ")));
    }
    make.env("CARGO_TARGET_DIR", place().parent().expect("in the target directory"));
    let made = make.stdin(Stdio::null()).output().expect("run make");
    assert!(made.status.success(), "make {}: {}", build.name(), text(&made.stderr));
    Some(programs)
}

/// Whether there is a compiler that can do this.
fn compiles(build: Build) -> bool {
    static PLAIN: LazyLock<bool> = LazyLock::new(|| probe(&[]));
    static SANITIZED: LazyLock<bool> = LazyLock::new(|| probe(&SANITIZERS));
    match build {
        Build::Plain => *PLAIN,
        Build::Sanitized => *SANITIZED,
    }
}

fn probe(flags: &[&str]) -> bool {
    let place = tempfile::tempdir().expect("make a temporary directory");
    let source = place.path().join("empty.c");
    std::fs::write(&source, "int main(void) { return 0; }\n").expect("write a file");
    let mut compile = Command::new("cc");
    compile.args(flags).arg(&source).arg("-o").arg(place.path().join("empty"));
    succeeds(compile) || skip(&format!("cc {}", flags.join(" ")))
}

/// Whether a program is installed; if not, it is said.
pub(crate) fn has(program: &str) -> bool {
    let mut version = Command::new(program);
    version.arg("--version");
    succeeds(version) || skip(program)
}

fn succeeds(mut command: Command) -> bool {
    command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}

/// Says that what needs this is skipped, which in CI is a failure. Always false.
fn skip(missing: &str) -> bool {
    assert!(std::env::var_os("PROXYPROCESS_CI").is_none(), "not installed, or it does not work: {missing}");
    eprintln!("skipped, not installed or does not work: {missing}");
    false
}

/// Runs a command that must go well; its standard output.
#[track_caller]
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, text(&output.stderr));
    text(&output.stdout)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
