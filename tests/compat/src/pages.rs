// SPDX-License-Identifier: MPL-2.0
//! What is written: the expectations of a program, and the page of all.

use std::fs;
use std::process::ExitCode;

use crate::program::{Cells, Program, folder};
use crate::result::Result;

/// Writes what was seen of a version into the file of the program.
pub(crate) fn write_expected(program: &Program, version: &str, seen: &Cells) -> Result<()> {
    let path = folder().join(format!("{}.toml", program.name));
    let text = fs::read_to_string(&path)?;
    let head = text.split("\n[expect.").next().unwrap_or_default().trim_end();
    let mut expect = program.expect.clone();
    expect.insert(version.to_owned(), seen.clone());
    let mut written = format!("{head}\n");
    for (version, cells) in expect {
        written += &format!("\n[expect.\"{version}\"]\n");
        for (name, what) in cells {
            written += &format!("{name} = \"{what}\"\n");
        }
    }
    fs::write(path, written)?;
    Ok(())
}

pub(crate) fn write() -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
