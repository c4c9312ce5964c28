// SPDX-License-Identifier: MPL-2.0
//! The runtimes: what builds and runs the program of each.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program is complete with so many lines, blank ones and those of comments alone not counted.
const LINES: usize = 60;

/// Commands are words for a shell in the directory of what is built, which has `$source`, `$include` and `$library`, the
/// directories of the program, of the header and of the library.
pub(crate) struct Runtime {
    /// As it is named on the command line, and its folder.
    pub(crate) name: &'static str,
    /// As a reader knows it.
    pub(crate) title: &'static str,
    /// Prints the version.
    version: &'static str,
    /// Builds the program.
    build: &'static str,
    /// Runs the program; its arguments are appended.
    run: &'static str,
    /// What has it end where Ctrl-C does not.
    pub(crate) ends_by: Option<&'static str>,
}

pub(crate) const RUNTIMES: [Runtime; 8] = [
    Runtime {
        name: "c",
        title: "C",
        version: "cc -dumpfullversion",
        build: "cc -Wall -Wextra -Werror -I$include -o host $source/host.c -L$library -lproxyprocess",
        run: "./host",
        ends_by: None,
    },
    Runtime {
        name: "go",
        title: "Go",
        version: "go env GOVERSION",
        build: "cp $source/host.go . && cp -r $source/../../go/go.mod $source/../../go/proxyprocess . && \
                CGO_CFLAGS=-I$include CGO_LDFLAGS=-L$library go build -o host .",
        run: "./host",
        ends_by: None,
    },
    Runtime {
        name: "python",
        title: "Python, ctypes",
        version: "python3 --version",
        build: "",
        run: "python3 $source/host.py",
        ends_by: None,
    },
    Runtime {
        name: "perl",
        title: "Perl, FFI::Platypus",
        version: "perl -e 'print substr($^V, 1)'",
        build: "",
        run: "perl $source/host.pl",
        ends_by: None,
    },
    Runtime {
        name: "ruby",
        title: "Ruby, Fiddle",
        version: "ruby -e 'puts RUBY_VERSION'",
        build: "",
        run: "ruby $source/host.rb",
        ends_by: None,
    },
    Runtime {
        name: "php",
        title: "PHP, FFI",
        version: "php -r 'echo PHP_VERSION;'",
        build: "",
        run: "php $source/host.php",
        ends_by: None,
    },
    Runtime {
        name: "lua",
        title: "LuaJIT, ffi",
        version: "luajit -e 'print(jit.version)'",
        build: "",
        run: "luajit $source/host.lua",
        ends_by: None,
    },
    Runtime {
        name: "ocaml",
        title: "OCaml, stubs",
        version: "ocamlopt -version",
        build: "cp $source/* . && ocamlopt -ccopt -I$include unix.cmxa stubs.c host.ml \
                -cclib -L$library -cclib -lproxyprocess -o host",
        run: "./host",
        ends_by: None,
    },
];

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where Cargo has put the library and the examples.
pub(crate) fn built() -> PathBuf {
    let own = std::env::current_exe().expect("find own program");
    own.ancestors().nth(2).expect("a test program is in <target>/<profile>/deps").to_owned()
}

impl Runtime {
    pub(crate) fn source(&self) -> PathBuf {
        root().join("ffi-tests/hosts").join(self.name)
    }

    /// A shell that runs words with arguments, in a directory.
    fn shell(&self, words: &str, place: &Path) -> Command {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(words).arg(self.name).current_dir(place);
        shell.env("source", self.source()).env("include", root().join("include"));
        shell.env("library", built()).env("LD_LIBRARY_PATH", built());
        shell
    }

    /// Its name and version.
    pub(crate) fn version(&self, place: &Path) -> String {
        let said = output(self.shell(self.version, place));
        let words = said.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.' && letter != '-');
        let is_version =
            |word: &&str| word.trim_start_matches("go").starts_with(|letter: char| letter.is_ascii_digit());
        let version = words.filter(|word| !word.is_empty()).find(is_version);
        let version = version.unwrap_or_else(|| panic!("{} says no version: {said:?}", self.name));
        format!("{} {}", self.title, version.trim_start_matches("go"))
    }

    /// Builds the program in a directory, and holds that it is short.
    pub(crate) fn build(&self, place: &Path) {
        let files = fs::read_dir(self.source()).expect("list the program").map(|entry| entry.expect("an entry").path());
        let lines: usize = files.map(|file| lines(&fs::read_to_string(file).expect("read the program"))).sum();
        assert!(lines <= LINES, "the program in {} has {lines} lines", self.name);
        if !self.build.is_empty() {
            output(self.shell(self.build, place));
        }
    }

    /// The command that runs it, by another program if one is given.
    pub(crate) fn command(&self, place: &Path, through: &[&str], arguments: &[&str]) -> Command {
        let words = format!("exec {} {} \"$@\"", through.join(" "), self.run);
        let mut command = self.shell(&words, place);
        command.args(arguments);
        command
    }
}

/// Those that count: neither blank ones nor those of comments alone.
fn lines(text: &str) -> usize {
    let begins = ["//", "#!", "# ", "-- ", "/* ", "(* ", "%"];
    let is_comment = |line: &str| begins.iter().any(|begin| line.starts_with(begin));
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !is_comment(line)).count()
}

/// Runs a command that must go well; what it has printed.
fn output(mut command: Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let [said, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{command:?}: {}\n{errors}{said}", output.status);
    said
}
