// SPDX-License-Identifier: MPL-2.0
//! Plays known programs as managed proxies of the example agent: each of `programs/*.toml` is started, asked, reloaded,
//! drained, crashed, adopted and replaced, and what it did is compared with what that file expects.
//!
//! Each program is played in namespaces of its own (processes, network, mounts), by root. See `.ci/compat.sh`.

mod arguments;
mod open;
mod page;
mod pages;
mod player;
mod postgres;
mod program;
mod result;
mod scene;
mod starts;
mod steps;
mod stops;
mod traffic;
mod upstream;

use std::process::ExitCode;

use arguments::Wanted;

fn main() -> ExitCode {
    let done = match Wanted::of_this_process() {
        Ok(Wanted::Play(options)) => player::play_all(&options),
        Ok(Wanted::First(name)) => player::be_first_process(&name),
        Ok(Wanted::Inside(name)) => player::play_inside(&name),
        Ok(Wanted::Page) => pages::page(std::env::var_os("PROXYPROCESS_BLESS").is_some()),
        Ok(Wanted::Packages(source)) => program::packages(&source),
        Err(error) => Err(error),
    };
    done.unwrap_or_else(|error| {
        eprintln!("compat: {error}");
        ExitCode::from(2)
    })
}
