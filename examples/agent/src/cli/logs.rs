// SPDX-License-Identifier: MPL-2.0
//! `agent logs`: what the processes of a proxy wrote, and write.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::Result;
use crate::control::client::Connection;
use crate::control::protocol::{Answer, Request};
use crate::output::log_file::LogFile;

/// What is looked for while a log is followed and nothing is said of it: a log that is on a file system without inotify(7).
const PAUSE: u16 = 1000;

/// Which of its outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Streams {
    Stdout,
    Stderr,
    Both,
}

/// Prints the last lines of the logs of a proxy, and with `follow` what is written from then on, until the reader is gone.
///
/// # Errors
/// When the agent cannot be asked, has no such proxy, or a log cannot be read.
pub(super) fn logs(mut agent: Connection, id: &str, streams: Streams, lines: usize, follow: bool) -> Result<()> {
    let mut files: Vec<(&str, LogFile)> = Vec::new();
    for (name, path) in paths(&mut agent, id)? {
        if matches!((streams, name), (Streams::Both, _) | (Streams::Stdout, "stdout") | (Streams::Stderr, "stderr")) {
            files.push((name, LogFile::new(path)));
        }
    }
    if files.is_empty() {
        return Err(format!("proxy {id}: has no log, for its output does not go to a file").into());
    }
    // ORDER: watched before they are read, so that nothing comes in between.
    let watch = if follow { watch(files.iter().map(|(_, file)| file.path())).ok() } else { None };
    for (_, file) in &mut files {
        file.skip_to_last(lines).map_err(|error| failed(file, &error))?;
    }
    let mut printed = Printer { with_names: files.len() > 1, last: None };
    loop {
        for (name, file) in &mut files {
            loop {
                let part = file.next_part().map_err(|error| failed(file, &error))?;
                if part.is_empty() {
                    break;
                }
                if printed.print(name, &part).is_err() {
                    return Ok(()); // its reader is gone
                }
            }
        }
        if !follow {
            return Ok(());
        }
        wait(watch.as_ref());
    }
}

/// Where the logs of a proxy are, as seen from here: the agent may have another working directory.
fn paths(agent: &mut Connection, id: &str) -> Result<Vec<(&'static str, PathBuf)>> {
    let (mut own, mut status) = (PathBuf::new(), serde_json::Value::Null);
    for request in [Request::Version {}, Request::Status { id: Some(id.to_owned()) }] {
        agent.ask(&request, Duration::ZERO, |answer| {
            match answer {
                Answer::Agent { data_dir, .. } => own = data_dir.into(),
                Answer::Proxy(found) => status = found,
                _ => {}
            }
            Ok(())
        })?;
    }
    let here = |path: &str| match Path::new(path).strip_prefix(&own) {
        Ok(below) => agent.data_dir().join(below),
        Err(_) => path.into(),
    };
    let logs = [("stdout", &status["stdout_log"]), ("stderr", &status["stderr_log"])];
    Ok(logs.into_iter().filter_map(|(name, path)| Some((name, here(path.as_str()?)))).collect())
}

fn failed(file: &LogFile, error: &io::Error) -> String {
    format!("read {}: {error}", file.path().display())
}

/// Says which output it is when that changes, as tail(1) does.
struct Printer {
    with_names: bool,
    last: Option<String>,
}

impl Printer {
    fn print(&mut self, name: &str, part: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        if self.with_names && self.last.as_deref() != Some(name) {
            writeln!(stdout, "==> {name} <==")?;
            self.last = Some(name.to_owned());
        }
        stdout.write_all(part)?;
        stdout.flush()
    }
}

/// Watches the directories of the logs: a log may be moved and made anew.
fn watch<'a>(paths: impl Iterator<Item = &'a Path>) -> nix::Result<Inotify> {
    let watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    let changes = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
    for directory in paths.filter_map(Path::parent) {
        watch.add_watch(directory, changes)?;
    }
    Ok(watch)
}

/// Waits until something may have been written.
fn wait(watch: Option<&Inotify>) {
    let mut changes: Vec<PollFd<'_>> =
        watch.iter().map(|watch| PollFd::new(watch.as_fd(), PollFlags::POLLIN)).collect();
    // What comes of it is seen in the logs.
    let _ = poll(&mut changes, PollTimeout::from(PAUSE));
    let _ = watch.map(Inotify::read_events);
}
