// SPDX-License-Identifier: MPL-2.0
//! The programs that are measured and those that they run: compiled, or copied, for this run alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

use crate::Result;
use crate::machine;

/// What beacons are called, so that one can tell them from the processes of a supervisor.
pub(crate) const BEACON: &str = "beacon";

/// How many descriptors any supervisor may need besides those of its processes.
pub(crate) const SPARE_DESCRIPTORS: u64 = 100;

/// How many processes have to be left for all else on the machine, which could start none any more.
pub(crate) const SPARE_PROCESSES: u64 = 1000;

/// Why there cannot be so many further processes and threads.
pub(crate) fn lacks_processes(needed: u64) -> Option<String> {
    let (left, limit) = machine::processes_left()?;
    let is_too_much = needed + SPARE_PROCESSES > left;
    is_too_much.then(|| {
        format!("{needed} processes, and {SPARE_PROCESSES} for all else, are more than the {left} that {limit} leaves")
    })
}

/// Programs in a place of their own, which is removed with this.
pub(crate) struct Tools {
    pub(crate) beacon: PathBuf,
    pub(crate) floor: PathBuf,
    /// This program, to take roles. A copy: what two processes have mapped of the same file counts half for each, and
    /// the benchmark must not carry half of what it measures.
    pub(crate) roles: PathBuf,
    /// How the programs in C were compiled.
    pub(crate) compiler: String,
    /// How many descriptors a process of this run may have.
    descriptors: u64,
    /// Where `peers.sh` has installed supervisors.
    peers: Option<PathBuf>,
    place: TempDir,
}

impl Tools {
    /// Compiles all; `place` is where everything of this run is written, `needed` how many descriptors it takes at the most.
    pub(crate) fn build(place: &Path, peers: Option<&Path>, needed: u64) -> Result<Tools> {
        let place = tempfile::Builder::new().prefix("side-by-side-").tempdir_in(place)?;
        let compiler = compiler()?;
        let own = std::env::current_exe()?;
        let roles = place.path().join("roles");
        fs::copy(own, &roles)?;
        Ok(Tools {
            beacon: compile(&compiler, BEACON, place.path())?,
            floor: compile(&compiler, "floor", place.path())?,
            roles,
            compiler: compiler.join(" "),
            descriptors: raise_descriptor_limit(needed)?,
            peers: peers.map(Path::canonicalize).transpose().map_err(|error| format!("--peers-dir: {error}"))?,
            place,
        })
    }

    /// Why there cannot be `n` processes under a supervisor that has one descriptor for each. The benchmark watches each
    /// by one as well.
    pub(crate) fn lacks_room_for(&self, n: u32) -> Option<String> {
        lacks_processes(u64::from(n)).or_else(|| self.lacks_descriptors(u64::from(n) + SPARE_DESCRIPTORS))
    }

    /// Why a supervisor cannot have so many descriptors.
    pub(crate) fn lacks_descriptors(&self, needed: u64) -> Option<String> {
        let allowed = self.descriptors;
        (needed > allowed).then(|| format!("it needs {needed} descriptors, and RLIMIT_NOFILE is {allowed}"))
    }

    /// How many processes a supervisor can have that has one descriptor for each.
    pub(crate) fn most_processes(&self) -> u64 {
        self.descriptors.saturating_sub(SPARE_DESCRIPTORS)
    }

    /// A program in the directory of installed supervisors.
    pub(crate) fn of_peers(&self, name: &str) -> Option<PathBuf> {
        let program = self.peers.as_ref()?.join("bin").join(name);
        program.is_file().then_some(program)
    }

    /// Where the files of this run are.
    pub(crate) fn place(&self) -> &Path {
        self.place.path()
    }

    /// A new directory for the files of one supervisor.
    pub(crate) fn directory(&self) -> Result<TempDir> {
        Ok(tempfile::Builder::new().prefix("run-").tempdir_in(self.place.path())?)
    }
}

/// This program, and all that it starts, may have as many descriptors as it is allowed to, and `needed` of them where it may
/// allow itself more; says how many that is.
fn raise_descriptor_limit(needed: u64) -> Result<u64> {
    let allowed = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let limit = |most| Rlimit { current: Some(most), maximum: Some(most) };
    if needed > allowed && setrlimit(Resource::Nofile, limit(needed)).is_ok() {
        return Ok(needed);
    }
    setrlimit(Resource::Nofile, limit(allowed))?;
    Ok(allowed)
}

/// The smallest programs come from musl; whatever there is makes static ones, which start without a dynamic linker.
fn compiler() -> Result<Vec<&'static str>> {
    let name = ["musl-gcc", "cc"].into_iter().find(|name| in_path(name).is_some());
    let name = name.ok_or("compile the beacon: neither musl-gcc nor cc is installed")?;
    Ok(vec![name, "-std=gnu11", "-Os", "-static", "-s"])
}

/// The program of this name in the PATH.
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|program| program.is_file())
}

fn compile(compiler: &[&str], name: &str, place: &Path) -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("side_by_side").join(format!("{name}.c"));
    let program = place.join(name);
    let mut command = Command::new(compiler[0]);
    command.args(&compiler[1..]).arg("-o").arg(&program).arg(&source);
    let status = command.stdin(Stdio::null()).status().map_err(|error| format!("run {}: {error}", compiler[0]))?;
    if status.success() { Ok(program) } else { Err(format!("compile {}: {status}", source.display()).into()) }
}
