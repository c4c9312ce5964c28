// SPDX-License-Identifier: MPL-2.0
//! What is written: the expectations of a program, and the page of all.

use std::fs;
use std::process::ExitCode;

use crate::page;
use crate::program::{self, Cells, Program, folder};
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

/// Compares the page with the files, or writes it anew if that is asked for.
pub(crate) fn page(is_written: bool) -> Result<ExitCode> {
    let path = folder().join("../../../docs/proxies.md");
    let page = page::page(&program::all()?);
    if is_written {
        fs::write(path, page)?;
    } else if fs::read_to_string(path).ok().as_deref() != Some(&*page) {
        return Err("docs/proxies.md is not what tests/compat/programs say: run `.ci/compat.sh page`".into());
    }
    Ok(ExitCode::SUCCESS)
}
