// SPDX-License-Identifier: MPL-2.0
//! What the process inherited.

use std::collections::BTreeMap;

use rustix::fs::Mode;
use rustix::process::{Resource, getgid, getgroups, getpriority_process, getrlimit, getuid, umask};

use crate::message::Inspection;

/// Looks at everything that a parent can get wrong.
pub(crate) fn inspect() -> Inspection {
    let (limit, core) = (getrlimit(Resource::Nofile), getrlimit(Resource::Core));
    let umask_was = umask(Mode::empty());
    umask(umask_was);
    let (group, session) = group_and_session();
    Inspection {
        argv: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
        cwd: std::env::current_dir().map(|dir| dir.to_string_lossy().into_owned()).unwrap_or_default(),
        env: std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .collect(),
        fds: descriptors(),
        blocked: signals("SigBlk:"),
        ignored: signals("SigIgn:"),
        session,
        group,
        descriptors: (limit.current, limit.maximum),
        uid: getuid().as_raw(),
        gid: getgid().as_raw(),
        groups: getgroups().unwrap_or_default().into_iter().map(|group| group.as_raw()).collect(),
        umask: umask_was.as_raw_mode(),
        oom_score_adj: oom_score_adj(),
        nice: getpriority_process(None).unwrap_or(i32::MAX),
        core: (core.current, core.maximum),
        cpus: status_field("Cpus_allowed_list:").unwrap_or_default(),
        no_new_privs: status_field("NoNewPrivs:").as_deref() == Some("1"),
    }
}

/// Process group and session; 0 when their leader is outside the pid namespace, as in a container that was entered:
/// rustix's `getsid` holds that to be impossible.
fn group_and_session() -> (u32, u32) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let field = |number: usize| after_name.split_whitespace().nth(number).and_then(|field| field.parse().ok());
    (field(2).unwrap_or(u32::MAX), field(3).unwrap_or(u32::MAX))
}

/// All open descriptors but the one that lists them.
fn descriptors() -> BTreeMap<u32, String> {
    let own = format!("/proc/{}/fd", std::process::id());
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return BTreeMap::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            let target = std::fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned();
            (target != own).then_some((number, target))
        })
        .collect()
}

fn oom_score_adj() -> i32 {
    let value = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
    value.trim().parse().unwrap_or(i32::MAX)
}

fn signals(field: &str) -> u64 {
    status_field(field).and_then(|mask| u64::from_str_radix(&mask, 16).ok()).unwrap_or(u64::MAX)
}

fn status_field(field: &str) -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| Some(line.strip_prefix(field)?.trim().to_owned()))
}
