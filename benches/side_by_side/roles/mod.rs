// SPDX-License-Identifier: MPL-2.0
//! What this program is besides the benchmark: supervisors, which the benchmark starts from a copy of it.

mod control;
mod declared;
mod host;
mod readiness;
mod reads;
mod tasks;
mod threads;
mod tokio_tasks;
mod work;
mod wrapped_tasks;

use crate::Result;
use work::Work;

/// Takes the role that the first word names.
pub(crate) fn play(words: &[String]) -> Result<()> {
    let [role, n, beacon, directory, settings @ ..] = words else {
        return Err("--role: expected a role, a number, a program and a directory".into());
    };
    let setting = |word: &String| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let work = Work {
        n: n.parse()?,
        beacon: beacon.into(),
        directory: directory.into(),
        settings: settings.iter().filter_map(setting).collect(),
    };
    match role.as_str() {
        "host" => host::run(&work),
        "threads" => threads::run(&work),
        "tokio" => tasks::run(&work, tokio_tasks::look_after),
        "process-wrap" => tasks::run(&work, wrapped_tasks::look_after),
        other => Err(format!("--role: unknown role {other:?}").into()),
    }
}
