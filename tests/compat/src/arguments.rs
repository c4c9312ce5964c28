// SPDX-License-Identifier: MPL-2.0
//! What to do.

use crate::result::Result;

const HELP: &str = "\
usage: compat [--all | --ci | NAME...] [--write] [--jobs N] [--installed]
       compat --page | --packages SOURCE
  --all        all programs
  --ci         those that are played before each change
  --installed  pass over what is not installed, and say so
  --write      write what was seen into the files, and the page, in place of comparing
  --jobs N     how many at a time (4)
  --page       compare docs/proxies.md with the files, or write it with PROXYPROCESS_BLESS
  --packages   the packages of the programs: of debian, pypi, npm or crates";

#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) names: Vec<String>,
    pub(crate) all: bool,
    pub(crate) ci: bool,
    pub(crate) installed: bool,
    pub(crate) write: bool,
    pub(crate) jobs: usize,
}

#[derive(Debug)]
pub(crate) enum Wanted {
    Play(Options),
    /// As the first process of a namespace.
    First(String),
    /// As its child.
    Inside(String),
    Page,
    Packages(String),
}

impl Wanted {
    pub(crate) fn of_this_process() -> Result<Wanted> {
        let mut options = Options { jobs: 4, ..Options::default() };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument}: a value is missing\n{HELP}"));
            match argument.as_str() {
                "--all" => options.all = true,
                "--ci" => options.ci = true,
                "--installed" => options.installed = true,
                "--write" => options.write = true,
                "--jobs" => options.jobs = value()?.parse()?,
                "--first" => return Ok(Wanted::First(value()?)),
                "--inside" => return Ok(Wanted::Inside(value()?)),
                "--page" => return Ok(Wanted::Page),
                "--packages" => return Ok(Wanted::Packages(value()?)),
                name if !name.starts_with('-') => options.names.push(name.to_owned()),
                _ => return Err(HELP.into()),
            }
        }
        if options.names.is_empty() && !options.all && !options.ci {
            return Err(HELP.into());
        }
        Ok(Wanted::Play(options))
    }
}
