// SPDX-License-Identifier: MPL-2.0
//! Running a program in C: by itself, with sanitizers, under valgrind. It has a directory of its own, and nothing of it
//! may be left.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::c_abi::build::{Build, has, library};
use crate::inside::kernel_tells_status_of_strangers;
use crate::support::{HELPER, Process, Scene, readable};

/// How long a program may take. It gives up earlier by itself, unless a call into the library never returns.
const WATCHDOG: Duration = Duration::from_secs(240);

const VALGRIND: [&str; 10] = [
    "nice",
    "-n",
    "-10",
    "valgrind",
    "--quiet",
    "--error-exitcode=9",
    "--leak-check=full",
    "--show-leak-kinds=definite",
    "--errors-for-leak-kinds=definite",
    // Its threads take turns, and who waits by yielding must not take all of them.
    "--fair-sched=try",
];

pub(crate) fn plain(name: &str) {
    run_built(name, Build::Plain, &[], kernel_tells_status_of_strangers());
}

pub(crate) fn sanitized(name: &str) {
    run_built(name, Build::Sanitized, &[], kernel_tells_status_of_strangers());
}

pub(crate) fn valgrind(name: &str) {
    /// Under valgrind a program's threads take turns on one processor, twenty times slower: beside another such program it
    /// would have too little for the library's own time limits. For the same reason it comes before the other tests, where
    /// that may be done.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    if has("valgrind") {
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        // It knows no pidfds.
        run_built(name, Build::Plain, &valgrind_for(name), false);
    }
}

fn valgrind_for(name: &str) -> Vec<&'static str> {
    let mut words = VALGRIND.to_vec();
    if name == "fork" || name == "nested_fork" {
        // A worker has no threads, and all that was theirs would count as lost.
        words.push("--leak-check=no");
    }
    words
}

/// What a program is started under and with.
fn surroundings(name: &str) -> (&'static [&'static str], Vec<OsString>, &'static str) {
    match name {
        "host_raises_limit" => (&["/bin/sh", "-c", "ulimit -Sn 300; exec \"$@\"", "sh"], vec![], ""),
        // What a library keeps for its life is lost when it is unloaded.
        "host_loads" => (&[], vec![library("libproxyprocess.so").into()], "detect_leaks=0"),
        _ => (&[], vec![], ""),
    }
}

fn run_built(name: &str, build: Build, under: &[&str], kernel_tells: bool) {
    let Some(programs) = build.programs() else { return };
    let (first, args, asan) = surroundings(name);
    run(&programs.join(name), &args, |guard| {
        guard.args(first).args(under);
        guard.env("PROXYPROCESS_KERNEL_TELLS", if kernel_tells { "1" } else { "0" }).env("ASAN_OPTIONS", asan);
    });
}

/// Runs a program in a directory of its own, after `prepare` has had a hand at it; what it wrote to its standard output.
#[track_caller]
pub(crate) fn run(program: &Path, args: &[OsString], prepare: impl FnOnce(&mut Command)) -> String {
    let scene = Scene::new();
    let (work, said, failed) = (scene.path("work"), scene.path("stdout"), scene.path("stderr"));
    fs::create_dir(&work).expect("make a directory");
    // The guard has it killed when the test ends, however that comes about.
    let mut guard = Command::new(*HELPER);
    guard.arg("guard");
    prepare(&mut guard);
    guard.arg(program).args(args).current_dir(&work).envs(scene.env()).stdin(Stdio::null());
    guard.stdout(File::create(&said).expect("create a file")).stderr(File::create(&failed).expect("create a file"));
    let mut child = guard.spawn().expect("start the program");
    let process = Process::open(child.id()).expect("a child that is not reaped");
    let ended = readable(process.fd(), WATCHDOG);
    if !ended {
        process.kill();
    }
    let status = child.wait().expect("wait for the program");
    let read = |path| String::from_utf8_lossy(&fs::read(path).expect("read a file")).into_owned();
    assert!(ended && status.success(), "{}: {status}, ended by itself: {ended}\n{}", program.display(), read(&failed));
    let said = read(&said);
    scene.finish();
    said
}

/// The checks of the memory are there, and would find something.
mod checks {
    use super::*;
    use crate::c_abi::build::output;

    #[test]
    fn the_sanitizers_are_linked() {
        let Some(programs) = Build::Sanitized.programs() else { return };
        for program in fs::read_dir(programs).expect("list the programs").flatten() {
            let symbols = output(Command::new("nm").arg(program.path()));
            for symbol in ["__asan_init", "__ubsan_handle"] {
                assert!(symbols.contains(symbol), "{}: no {symbol}", program.path().display());
            }
        }
    }

    #[test]
    fn valgrind_fails_a_program_that_leaks() {
        if Build::Plain.programs().is_none() || !has("valgrind") {
            return;
        }
        let place = tempfile::tempdir().expect("make a temporary directory");
        let (source, program) = (place.path().join("leaks.c"), place.path().join("leaks"));
        fs::write(&source, "#include <stdlib.h>\nint main(void) { return malloc(1) == NULL; }\n")
            .expect("write a file");
        output(Command::new("cc").arg("-O0").arg(&source).arg("-o").arg(&program));
        let [nice, args @ ..] = VALGRIND;
        let status = Command::new(nice).args(args).arg(&program).stderr(Stdio::null()).status().expect("run valgrind");
        assert_eq!(status.code(), Some(9));
    }
}
