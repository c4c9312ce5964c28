// SPDX-License-Identifier: MPL-2.0
//! What is known of a supervisor that is a program of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::Result;
use crate::machine;
use crate::tools::{Tools, in_path};

/// How many restarts are measured of one that takes about a second for each, and of one that takes seconds.
pub(super) const KILLS_A_SECOND_EACH: u32 = 20;
pub(super) const KILLS_SECONDS_EACH: u32 = 5;

/// Where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A package of this name, whose programs are in the PATH.
    Debian(&'static str),
    /// `peers.sh`: its program is in the directory that was made by that, or in the PATH.
    Registry(&'static str),
    /// The same, but not in the PATH, where another version of it is.
    RegistryAlone(&'static str),
}

/// A supervisor that is a program of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct External {
    pub(super) option: &'static str,
    pub(super) program: &'static str,
    pub(super) source: Source,
    /// What of it is set up in another way than its documentation shows first, and what it does by design.
    pub(super) remarks: &'static str,
    pub(super) stop_signal: Signal,
    pub(super) most_kills: u32,
    pub(super) descriptors_each: u64,
    /// Why it cannot run here although it is installed.
    pub(super) refuses: fn() -> Option<String>,
    pub(super) set_up: fn(&Order<'_>) -> Result<Command>,
}

/// For what a supervisor is to be set up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order<'a> {
    pub(super) program: &'a Path,
    pub(super) beacon: &'a Path,
    /// An empty one, for its files.
    pub(super) directory: &'a Path,
    pub(super) n: u32,
}

impl External {
    /// Its program, if there is one here.
    pub(super) fn program(&self, tools: &Tools) -> Option<PathBuf> {
        match self.source {
            Source::Debian(_) => in_path(self.program),
            Source::Registry(_) => tools.of_peers(self.program).or_else(|| in_path(self.program)),
            Source::RegistryAlone(_) => tools.of_peers(self.program),
        }
    }

    /// Why it cannot be measured here.
    pub(super) fn lacks(&self, tools: &Tools) -> Option<String> {
        let missing = || match self.source {
            Source::Debian(package) => format!("{} is not installed (package {package})", self.program),
            Source::Registry(_) | Source::RegistryAlone(_) => {
                format!("{} is not installed (`benches/peers.sh`, --peers-dir)", self.program)
            }
        };
        if self.program(tools).is_none() { Some(missing()) } else { (self.refuses)() }
    }

    /// Where it comes from, its version, and what there is to be said.
    pub(super) fn about(&self, tools: &Tools) -> String {
        let (from, version) = match self.source {
            Source::Debian(package) => ("Debian", machine::package_version(package)),
            Source::Registry(from) | Source::RegistryAlone(from) => {
                (from, self.program(tools).and_then(|program| machine::program_version(&program)))
            }
        };
        let version = version.unwrap_or_else(|| "unknown version".to_owned());
        format!("{from} {version}, {}", self.remarks)
    }
}

/// Of one that runs wherever it is installed.
pub(super) fn refuses_nothing() -> Option<String> {
    None
}
