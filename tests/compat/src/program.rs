// SPDX-License-Identifier: MPL-2.0
//! The files of `programs`: what each program is, how it is declared, and what it is expected to do.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde::Deserialize;

use crate::result::Result;
use crate::traffic::Traffic;

/// Where programs that are not of Debian are, if `PROXYPROCESS_PROGRAMS` does not say it.
const PROGRAMS: &str = "/var/tmp/proxyprocess-programs";

/// What was seen, or is expected, by the name of the cell.
pub(crate) type Cells = BTreeMap<String, String>;

pub(crate) fn see(seen: &mut Cells, name: &str, what: &str) {
    seen.insert(name.to_owned(), what.to_owned());
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) source: Source,
    pub(crate) package: String,
    /// The version that is installed; of Debian's packages that which the machine has.
    pub(crate) version: Option<String>,
    /// What is installed beside the package.
    #[serde(default)]
    pub(crate) needs: Vec<String>,
    pub(crate) executable: String,
    /// The arguments that keep it in the foreground.
    #[serde(default)]
    pub(crate) foreground: Vec<String>,
    /// Arguments that do the same, which count for `agent check`.
    #[serde(default, rename = "foreground_also")]
    _foreground_also: Vec<String>,
    /// Whether its configuration can say so, which `agent check` does not read.
    #[serde(default, rename = "foreground_in_files")]
    _foreground_in_files: bool,
    /// What a shell does in the directory of the files before the first start, as to make a certificate.
    pub(crate) prepare: Option<String>,
    pub(crate) traffic: Traffic,
    /// Arguments by which `agent check` tells it from another one of the same executable.
    #[serde(default, rename = "chosen_by")]
    _chosen_by: Vec<String>,
    /// For connections that carry nothing: what a client says first, in hexadecimal digits, so that an answer comes.
    #[serde(default)]
    hello: String,
    /// Whether it is played before each change.
    #[serde(default)]
    pub(crate) ci: bool,
    /// Cells that are not the same each time.
    #[serde(default)]
    pub(crate) varies: Vec<String>,
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) declaration: toml::Table,
    pub(crate) gapless: Option<toml::Table>,
    #[serde(default)]
    pub(crate) expect: BTreeMap<String, Cells>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    Debian,
    Pypi,
    Npm,
    Crates,
}

impl Source {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Source::Debian => "debian",
            Source::Pypi => "pypi",
            Source::Npm => "npm",
            Source::Crates => "crates",
        }
    }
}

/// Where the files are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("programs")
}

/// All programs, by name.
pub(crate) fn all() -> Result<Vec<Program>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder())? {
        let path = entry?.path();
        let program: Program =
            toml::from_str(&fs::read_to_string(&path)?).map_err(|error| format!("{}: {error}", path.display()))?;
        if path.file_stem().is_none_or(|stem| *stem != *program.name) {
            return Err(format!("{}: is named {}", path.display(), program.name).into());
        }
        all.push(program);
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

pub(crate) fn named(name: &str) -> Result<Program> {
    let program = all()?.into_iter().find(|program| program.name == name);
    program.ok_or_else(|| format!("no such program: {name}").into())
}

/// Prints what has to be installed, a line for each program: its name, and the packages.
pub(crate) fn packages(source: &str) -> Result<ExitCode> {
    for program in all()?.iter().filter(|program| program.source.as_str() == source) {
        let separator = if program.source == Source::Npm { "@" } else { "==" };
        let version = program.version.iter().map(|version| format!("{separator}{version}")).collect::<String>();
        println!("{} {}{version} {}", program.name, program.package, program.needs.join(" "));
    }
    Ok(ExitCode::SUCCESS)
}

impl Program {
    /// What a client says first.
    pub(crate) fn hello(&self) -> Result<Vec<u8>> {
        let digits: Vec<u32> = self.hello.chars().filter_map(|digit| digit.to_digit(16)).collect();
        digits.chunks(2).map(|pair| Ok(u8::try_from(pair.iter().fold(0, |byte, digit| byte * 16 + digit))?)).collect()
    }

    /// Its executable, if it is installed.
    pub(crate) fn installed(&self) -> Option<PathBuf> {
        let path = match self.source {
            Source::Debian => PathBuf::from(&self.executable),
            _ => {
                let places = std::env::var_os("PROXYPROCESS_PROGRAMS").unwrap_or_else(|| PROGRAMS.into());
                let place = PathBuf::from(places).join(&self.name);
                let bin = if self.source == Source::Npm { "node_modules/.bin" } else { "bin" };
                place.join(bin).join(&self.executable)
            }
        };
        path.is_file().then_some(path)
    }

    /// The version that is installed.
    pub(crate) fn installed_version(&self) -> Result<String> {
        if let Some(version) = &self.version {
            return Ok(version.clone());
        }
        let query = Command::new("dpkg-query").args(["-W", "-f", "${Version}", &self.package]).output()?;
        if !query.status.success() {
            return Err(format!("dpkg-query: no package {}", self.package).into());
        }
        Ok(String::from_utf8(query.stdout)?)
    }

    /// What is expected of a version: of the very same, or else of the one of the same series that is most like it.
    pub(crate) fn expected(&self, version: &str) -> Option<&Cells> {
        let of_series = self.expect.iter().filter(|(known, _)| series(known) == series(version));
        of_series.max_by_key(|(known, _)| (*known == version, common(known, version))).map(|(_, cells)| cells)
    }
}

/// The first two numbers of a version.
fn series(version: &str) -> Vec<&str> {
    let upstream = version.split_once(':').map_or(version, |(_, upstream)| upstream);
    upstream.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty()).take(2).collect()
}

/// How many characters two versions have in common at their begin: those of one release of Debian have more.
fn common(one: &str, other: &str) -> usize {
    one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count()
}
