// SPDX-License-Identifier: MPL-2.0
//! The runtimes: what builds and runs the program of each.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of a program has at most so many lines, blank ones and those of comments alone not counted.
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
    /// How it takes Ctrl-C where that does not end it, but SIGTERM does.
    pub(crate) goes_on: Option<&'static str>,
    /// The user that it has to be; proxies of another one are not adopted.
    pub(crate) user: Option<&'static str>,
}

/// A runtime with a compiler or an interpreter, and nothing particular.
const PLAIN: Runtime =
    Runtime { name: "", title: "", version: "", build: "", run: "./host", goes_on: None, user: None };

pub(crate) const RUNTIMES: [Runtime; 14] = [
    Runtime {
        name: "c",
        title: "C",
        version: "cc -dumpfullversion",
        build: "cc -Wall -Wextra -Werror -I$include -o host $source/host.c -L$library -lproxyprocess",
        ..PLAIN
    },
    Runtime {
        name: "go",
        title: "Go",
        version: "go env GOVERSION",
        build: "cp $source/host.go . && cp -r $source/../../go/go.mod $source/../../go/proxyprocess . && \
                CGO_CFLAGS=-I$include CGO_LDFLAGS=-L$library go build -o host .",
        ..PLAIN
    },
    Runtime {
        name: "python",
        title: "Python, ctypes",
        version: "python3 --version",
        run: "python3 $source/host.py",
        ..PLAIN
    },
    Runtime {
        name: "perl",
        title: "Perl, FFI::Platypus",
        version: "perl -e 'print substr($^V, 1)'",
        run: "perl $source/host.pl",
        ..PLAIN
    },
    Runtime {
        name: "ruby",
        title: "Ruby, Fiddle",
        version: "ruby -e 'puts RUBY_VERSION'",
        run: "ruby $source/host.rb",
        ..PLAIN
    },
    Runtime {
        name: "php",
        title: "PHP, FFI",
        version: "php -r 'echo PHP_VERSION;'",
        run: "php $source/host.php",
        ..PLAIN
    },
    Runtime {
        name: "lua",
        title: "LuaJIT, ffi",
        version: "luajit -e 'print(jit.version)'",
        run: "luajit $source/host.lua",
        ..PLAIN
    },
    Runtime {
        name: "ocaml",
        title: "OCaml, stubs",
        version: "ocamlopt -version",
        build: "cp $source/* . && ocamlopt -ccopt -I$include unix.cmxa stubs.c host.ml \
                -cclib -L$library -cclib -lproxyprocess -o host",
        ..PLAIN
    },
    Runtime {
        name: "node",
        title: "Node.js, koffi",
        version: "node --print 'process.versions.node'",
        run: "node $source/host.js",
        ..PLAIN
    },
    Runtime {
        name: "java",
        title: "Java, JNA",
        version: "java -version 2>&1",
        build: "javac -cp /usr/share/java/jna.jar -d . $source/Host.java",
        run: "java -cp /usr/share/java/jna.jar:. Host",
        ..PLAIN
    },
    Runtime {
        name: "mono",
        title: "Mono, P/Invoke",
        version: "mono --version",
        build: "mcs -nologo -r:Mono.Posix -out:host.exe $source/Host.cs",
        run: "mono host.exe",
        ..PLAIN
    },
    Runtime {
        name: "erlang",
        title: "Erlang, dirty NIF",
        version: "erl -noshell -eval 'io:put_chars(erlang:system_info(otp_release)), halt().'",
        build: "erlc $source/host.erl && \
                cc -shared -fPIC -I$include $source/host_nif.c -o host_nif.so -L$library -lproxyprocess",
        run: "erl -noinput +Bi -run host main -extra",
        goes_on: Some("ignored (`+Bi`)"),
        ..PLAIN
    },
    Runtime {
        name: "r",
        title: "R, .Call",
        version: "Rscript --version",
        build: "cc -shared -fPIC -I$(R RHOME)/include -I/usr/share/R/include -I$include $source/stubs.c -o stubs.so \
                -L$library -lproxyprocess",
        run: "Rscript $source/host.R",
        ..PLAIN
    },
    Runtime {
        name: "postgresql",
        title: "PostgreSQL, background worker",
        version: "$(pg_config --bindir)/postgres --version",
        build: "cc -shared -fPIC -I$(pg_config --includedir-server) -I$include $source/host.c -o host.so \
                -L$library -lproxyprocess && install -d -o postgres database && \
                setpriv --reuid=postgres --regid=postgres --clear-groups \
                $(pg_config --bindir)/initdb --no-sync --auth=trust database",
        run: "env CHILD=$PWD/child sh -c 'DATA_DIR=$1 PROXIES=$2 TURN_MS=$3 END=$4 exec \
              setpriv --reuid=postgres --regid=postgres --clear-groups $(pg_config --bindir)/postgres -D database \
              -c shared_preload_libraries=$PWD/host.so -c dynamic_library_path=$PWD -c listen_addresses= \
              -c unix_socket_directories=$PWD/database' sh",
        user: Some("postgres"),
        ..PLAIN
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

/// The test program, which can become others.
pub(crate) fn helper() -> String {
    built().join("examples/test-helper").to_str().expect("UTF-8").to_owned()
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
        for file in files {
            let lines = lines(&fs::read_to_string(&file).expect("read the program"));
            assert!(lines <= LINES, "{} has {lines} lines", file.display());
        }
        if !self.build.is_empty() {
            output(self.shell(self.build, place));
        }
    }

    /// The command that runs it, by another program if one is given.
    pub(crate) fn command(&self, place: &Path, through: &[&str], arguments: &[&str]) -> Command {
        // It is killed when this program ends, however that comes about. Its dispositions of signals are the usual ones, whatever
        // those here are.
        let words = format!("exec {} guard env --default-signal {} {} \"$@\"", helper(), through.join(" "), self.run);
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
