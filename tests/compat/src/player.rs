// SPDX-License-Identifier: MPL-2.0
//! Who plays: for each program a process in namespaces of its own, whose first process does nothing but reap.

use std::collections::VecDeque;
use std::fs;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use nix::sys::wait::{WaitStatus, wait};
use rustix::process::geteuid;

use crate::arguments::Options;
use crate::program::{self, Cells, Program};
use crate::result::Result;
use crate::scene::Scene;
use crate::{page, pages, steps};

/// Plays the programs, some at a time, and says of each what it did and what it was expected to do.
pub(crate) fn play_all(options: &Options) -> Result<ExitCode> {
    let is_ci = std::env::var_os("PROXYPROCESS_CI").is_some();
    if !geteuid().is_root() {
        println!("skipped: namespaces need root");
        return Ok(ExitCode::from(u8::from(is_ci)));
    }
    let wanted = |program: &Program| options.all || (options.ci && program.ci) || options.names.contains(&program.name);
    let programs: Vec<Program> = program::all()?.into_iter().filter(wanted).collect();
    if let Some(unknown) = options.names.iter().find(|name| programs.iter().all(|program| program.name != **name)) {
        return Err(format!("no such program: {unknown}").into());
    }
    let queue = Mutex::new(VecDeque::from_iter(&programs));
    let failed = Mutex::new(Vec::new());
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(program) = next else { return };
                    if let Err(error) = play(program, options) {
                        println!("FAILED {}: {error}", program.name);
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(program.name.as_str());
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{} programs in {} s, failed: {}", programs.len(), begun.elapsed().as_secs(), failed.join(" "));
    if options.write {
        pages::page(true)?;
    }
    Ok(ExitCode::from(u8::from(!failed.is_empty())))
}

/// Plays one, and compares.
fn play(program: &Program, options: &Options) -> Result<()> {
    if program.installed().is_none() {
        if options.installed {
            println!("skipped {}: not installed", program.name);
            return Ok(());
        }
        return Err("not installed".into());
    }
    let begun = Instant::now();
    let version = program.installed_version()?;
    // This checkout and program may be below a directory that is another one there.
    let script = "exec 8<\"$2\" 9<\"$3\" && mount -t tmpfs tmpfs /tmp && mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /dev/shm \
                  && mkdir -p \"$2\" \"$3\" && mount -c --bind /proc/self/fd/8 \"$2\" && mount -c --bind /proc/self/fd/9 \"$3\" \
                  && exec 8<&- 9<&- && ip link set lo up && exec \"$0\" --first \"$1\"";
    let own = std::env::current_exe()?;
    let mut inside = Command::new("unshare");
    inside.args(["--pid", "--net", "--mount", "--mount-proc", "--fork", "--kill-child", "/bin/sh", "-c", script]);
    inside.arg(&own).arg(&program.name).arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).args(own.parent());
    let output = inside.stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let mut seen: Cells = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("the player said nothing ({error}): {}", said.trim()))?;
    for name in &program.varies {
        seen.insert(name.clone(), "varies".to_owned());
    }
    println!("{}", page::row(program, &version, &seen, begun.elapsed()));
    if !said.trim().is_empty() {
        println!("    {}", said.trim());
    }
    if options.write {
        return pages::write_expected(program, &version, &seen);
    }
    let expected = program.expected(&version).ok_or_else(|| format!("nothing is known of version {version}"))?;
    let differs = |name: &&String| expected.get(*name) != seen.get(*name);
    let mut names: Vec<&String> = expected.keys().chain(seen.keys()).filter(differs).collect();
    names.dedup();
    if names.is_empty() {
        return Ok(());
    }
    let cell = |cells: &Cells, name: &String| cells.get(name).cloned().unwrap_or_else(|| "nothing".to_owned());
    let lines =
        names.iter().map(|name| format!("\n    {name}: expected {}, saw {}", cell(expected, name), cell(&seen, name)));
    Err(lines.collect::<String>().into())
}

/// Reaps, until the player has ended.
pub(crate) fn be_first_process(name: &str) -> Result<ExitCode> {
    let player = Command::new(std::env::current_exe()?).args(["--inside", name]).spawn()?;
    loop {
        match wait()? {
            WaitStatus::Exited(pid, code) if pid.as_raw().unsigned_abs() == player.id() => {
                return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)));
            }
            WaitStatus::Signaled(pid, signal, _) if pid.as_raw().unsigned_abs() == player.id() => {
                return Err(format!("the player: {signal}").into());
            }
            _ => {}
        }
    }
}

/// Plays, and prints what was seen.
pub(crate) fn play_inside(name: &str) -> Result<ExitCode> {
    fs::set_permissions("/tmp", std::os::unix::fs::PermissionsExt::from_mode(0o1777))?;
    let mut scene = Scene::new(program::named(name)?)?;
    let seen = steps::play(&mut scene);
    println!("{}", serde_json::to_string(&seen)?);
    Ok(ExitCode::SUCCESS)
}
