// SPDX-License-Identifier: MPL-2.0
//! The header by itself, in all languages that it is for, and the example that it gives.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::c_abi::build::{Build, SANITIZERS, has, library, output, root};
use crate::c_abi::declared;
use crate::c_abi::run::run;

const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];
const C: [&str; 2] = ["-std=c99", "-std=c11"];
const CPP: [&str; 2] = ["-std=c++11", "-std=c++20"];

fn compiler(program: &str, standard: &str) -> Command {
    let mut compiler = Command::new(program);
    compiler.arg(standard).args(WARNINGS).arg("-I").arg(root().join("include"));
    compiler
}

/// What every program links.
fn link(compiler: &mut Command) -> &mut Command {
    let makefile = fs::read_to_string(root().join("ffi-tests/Makefile")).expect("read the Makefile");
    let libraries = makefile.lines().find_map(|line| line.strip_prefix("SYSTEM_LIBS := ")).expect("system libraries");
    compiler.arg(library("libproxyprocess.a")).args(libraries.split(' '))
}

fn write(dir: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = dir.join(name);
    fs::write(&path, text).expect("write a file");
    path
}

#[test]
fn the_header_alone_is_c_and_cpp_without_a_warning() {
    let place = tempfile::tempdir().expect("make a temporary directory");
    let once = "#include <proxyprocess.h>\n";
    for (program, suffix, standards) in [("cc", "c", C), ("g++", "cpp", CPP)] {
        if !has(program) {
            continue;
        }
        for text in [once.to_owned(), once.repeat(2)] {
            let unit = write(place.path(), &format!("unit.{suffix}"), &text);
            for standard in standards {
                output(compiler(program, standard).arg("-fsyntax-only").arg(&unit));
            }
        }
    }
}

/// C++ finds the functions under their names, the header defines nothing that two units would both have, and who drops a
/// result is told.
#[test]
fn units_in_c_and_cpp_are_one_program() {
    if Build::Plain.programs().is_none() || !has("g++") {
        return;
    }
    let place = tempfile::tempdir().expect("make a temporary directory");
    let one = "#include <proxyprocess.h>\n#include <string.h>\nint other(void);\nint main(void)\n\
               { return other() || strcmp(proxyprocess_version(), PROXYPROCESS_VERSION) != 0; }\n";
    let other = "#include <proxyprocess.h>\nextern \"C\" int other()\n\
                 { proxyprocess_state *state = nullptr; int32_t code = proxyprocess_state_new(&state, nullptr);\n\
                 proxyprocess_state_free(state); return code; }\n";
    let dropped = "#include <proxyprocess.h>\nvoid drop(void);\nvoid drop(void) { proxyprocess_noop_start(0, 0); }\n";
    let objects =
        [("cc", C[1], "one.c", one), ("g++", CPP[0], "other.cpp", other)].map(|(program, standard, name, text)| {
            let object = place.path().join(name).with_extension("o");
            output(compiler(program, standard).arg("-c").arg(write(place.path(), name, text)).arg("-o").arg(&object));
            object
        });
    let program = place.path().join("program");
    output(link(Command::new("g++").args(&objects).arg("-o").arg(&program)));
    run(&program, &[], |_| {});
    let dropped = write(place.path(), "dropped.c", dropped);
    let drops = compiler("cc", C[1]).args(["-c", "-o", "/dev/null"]).arg(dropped).output().expect("run cc");
    assert!(!drops.status.success() && String::from_utf8_lossy(&drops.stderr).contains("unused-result"));
}

/// The program in the manual at the top of the header.
fn example() -> String {
    let header = declared::header();
    let lines = header.lines().skip_while(|line| *line != " * Example").skip(1).take_while(|line| *line != " * Errors");
    lines.map(|line| format!("{}\n", line.strip_prefix(" *     ").unwrap_or_default())).collect()
}

#[test]
fn the_example_of_the_header_compiles_and_runs_and_leaves_nothing() {
    if Build::Plain.programs().is_none() {
        return;
    }
    let place = tempfile::tempdir().expect("make a temporary directory");
    let source = write(place.path(), "example.c", &example());
    let sanitized: &[&str] = if Build::Sanitized.programs().is_some() { &SANITIZERS } else { &[] };
    for (standard, flags) in [(C[0], &[][..]), (C[1], sanitized)] {
        let program = place.path().join("example");
        output(link(compiler("cc", standard).args(flags).arg(&source).arg("-o").arg(&program)));
        let said = run(&program, &[], |_| {});
        let pid = said.strip_prefix("web-proxy is process ").and_then(|rest| rest.trim_end().parse::<u32>().ok());
        assert!(pid.is_some(), "{said:?}");
    }
}

/// The programs in C that a page of the documentation has.
fn programs_of(page: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(page)).expect("read the documentation");
    let blocks = text.split("```c\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    blocks.filter(|block| block.contains("int main")).map(|block| format!("{block}\n")).collect()
}

#[test]
fn c_programs_of_the_documentation_compile_and_run() {
    if Build::Plain.programs().is_none() {
        return;
    }
    let place = tempfile::tempdir().expect("make a temporary directory");
    let built = |page: &str, text: &str| {
        let source = write(place.path(), &page.replace('/', "-").replace(".md", ".c"), text);
        let program = source.with_extension("");
        output(link(compiler("cc", "-std=gnu11").arg(&source).arg("-o").arg(&program)));
        program
    };
    let [agent] = &programs_of("README.md")[..] else { panic!("README.md has one program in C") };
    // Nothing of it may be left here.
    let agent = built("README.md", &agent.replace("proxyprocess_manager_close(", "proxyprocess_manager_kill("));
    let ended_once_started = "mkfifo log && exec 3<>log && { \"$@\" 2>&3 & } && read -r line <&3 && \
                              case \"$line\" in cgroup:*) read -r line <&3;; esac && echo \"$line\" && \
                              kill -TERM $! && wait $!";
    let said = run(&agent, &[], |guard| _ = guard.args(["/bin/sh", "-c", ended_once_started, "sh"]));
    assert!(said.starts_with("proxy web-proxy: started, pid "), "{said:?}");
    let [daemon] = &programs_of("docs/c.md")[..] else { panic!("docs/c.md has one program in C") };
    let said = run(&built("docs/c.md", daemon), &[], |_| {});
    assert!(said.starts_with("web-proxy is process "), "{said:?}");
}
