// SPDX-License-Identifier: MPL-2.0
//! The agent: one proxy, declared by a file in its directory. Its commands come one a line on its standard input, and each
//! is answered by the pid of the proxy, as soon as that runs as it is declared.
//!
//! | command | what it does |
//! |---|---|
//! | `declare` | reads the file again |
//! | `attempt` | reads the file again, and waits until the process that is to take over has failed instead |
//! | `restart` | starts the proxy anew |
//! | `wait` | nothing else |
//! | `kill` | stops the proxy and ends; the answer is 0 |

use std::fs;
use std::io::{BufRead, Write, stdin, stdout};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use proxyprocess::{ErrorCode, Manager, ManagerOptions, ProxyConfig, ProxyStatus, State, WaitFor};

use crate::Result;
use crate::agent::{DECLARATION, ID};

const PATIENCE: Duration = Duration::from_secs(60);
/// How long until the status is asked for again.
const AGAIN: Duration = Duration::from_millis(20);

pub(crate) fn run(directory: &Path) -> Result<()> {
    let state = State::new();
    declare(&state, directory)?;
    let options = ManagerOptions::default().with_data_dir(directory.join("data")).with_allow_root(true);
    let manager = Manager::open(state.clone(), options)?;
    thread::scope(|scope| {
        let running = scope.spawn(|| manager.run());
        let served = serve(&manager, &state, directory);
        let ended = manager.kill();
        let ran = running.join().map_err(|_| "the manager's thread panicked")?;
        ran.or_else(|error| if error.code() == ErrorCode::Closed { Ok(()) } else { Err(error) })?;
        served?;
        ended?;
        answer(0)
    })
}

fn declare(state: &State, directory: &Path) -> Result<()> {
    Ok(state.set(ID, ProxyConfig::from_json(&fs::read_to_string(directory.join(DECLARATION))?)?)?)
}

fn serve(manager: &Manager, state: &State, directory: &Path) -> Result<()> {
    for line in stdin().lock().lines() {
        match line?.as_str() {
            "declare" => declare(state, directory)?,
            "attempt" => {
                declare(state, directory)?;
                failed(manager)?;
                answer(manager.status().first().and_then(|proxy| proxy.pid).unwrap_or(0))?;
                continue;
            }
            "restart" => manager.restart(ID)?,
            "wait" => {}
            "kill" => return Ok(()),
            other => return Err(format!("unknown command {other:?}").into()),
        }
        answer(running(manager)?)?;
    }
    Ok(())
}

/// Waits until the proxy runs as it is declared.
fn running(manager: &Manager) -> Result<u32> {
    loop {
        manager.wait_until(ID, WaitFor::Running, PATIENCE)?;
        // It may have ended since.
        if let Some(pid) = manager.status().first().and_then(|proxy| proxy.pid) {
            return Ok(pid);
        }
    }
}

/// Waits until the next process of a handover has failed, and another one was started.
fn failed(manager: &Manager) -> Result<()> {
    let begun = Instant::now();
    let has_failed = |proxy: &ProxyStatus| proxy.other.as_ref().is_some_and(|next| next.attempts > 1);
    while !manager.status().first().is_some_and(has_failed) {
        if begun.elapsed() > PATIENCE {
            return Err("no replacement has failed".into());
        }
        thread::sleep(AGAIN);
    }
    Ok(())
}

fn answer(pid: u32) -> Result<()> {
    let mut stdout = stdout().lock();
    writeln!(stdout, "{pid}")?;
    Ok(stdout.flush()?)
}
