// SPDX-License-Identifier: MPL-2.0
//! What may be wrong with a configuration that can be read: programs, directories and users that are not there, now and on
//! this machine, and what more than one proxy has.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Group, User, geteuid};
use proxyprocess::{CgroupUse, ExecMode, ManagerOptions, ProxyConfig};
use serde_json::Value;

use super::conflicts::conflicts;

/// Where programs are searched for by a process without a PATH.
const PATH_WITHOUT_ONE: &str = "/bin:/usr/bin";

/// What there is to say of a proxy by its id, its declaration and its executable; each begins with the field that it is about.
pub(crate) type Known<'a> = dyn Fn(&str, &Value, &Path) -> Vec<String> + 'a;

/// Each begins with the field that it is about.
pub(super) fn doubts(
    options: &ManagerOptions,
    proxies: &BTreeMap<String, ProxyConfig>,
    known: &Known<'_>,
) -> Vec<String> {
    let mut doubts = Vec::new();
    if options.data_dir.is_none() {
        doubts
            .push("data_dir: not set: the agent takes no commands, and no later agent finds its processes".to_owned());
    }
    if let Some(base) = options.cgroup_base.as_ref().filter(|base| !base.join("cgroup.procs").exists()) {
        doubts.push(format!("cgroup_base: {} is no directory of cgroup version 2", base.display()));
    }
    let (mut of_proxies, mut enabled) = (Vec::new(), Vec::new());
    for (id, proxy) in proxies.iter().filter(|(_, proxy)| proxy.mode == ExecMode::DAEMON) {
        let Ok(declared) = serde_json::to_value(proxy.to_json()) else { continue };
        let mut found: Vec<String> = directory(&declared).into_iter().collect();
        found.extend(programs(&declared, options));
        found.extend(directories_of_files(&declared));
        found.extend(account(&declared, "user", |name| User::from_name(name).map(|found| found.is_some())));
        found.extend(account(&declared, "group", |name| Group::from_name(name).map(|found| found.is_some())));
        if let Some(file) = executable(&declared, options) {
            found.extend(known(id, &declared, &file));
        }
        of_proxies.extend(found.iter().map(|doubt| format!("proxies.{id}.{doubt}")));
        if !options.allow_root && would_be_root(&declared) {
            of_proxies.push(format!("proxies.{id}: it would run as root, and is not started without allow_root"));
        }
        if options.cgroup == CgroupUse::Off && declared["limits"].as_object().is_some_and(|limits| !limits.is_empty()) {
            of_proxies.push(format!("proxies.{id}.limits: it is not started with them while cgroup is \"off\""));
        }
        if proxy.enabled {
            enabled.push((id.as_str(), declared));
        }
    }
    doubts.extend(of_proxies);
    doubts.extend(conflicts(enabled.iter().map(|(id, declared)| (*id, declared))));
    doubts
}

fn directory(declared: &Value) -> Option<String> {
    let path = declared["dir"].as_str()?;
    match fs::metadata(path) {
        Ok(found) if !found.is_dir() => Some(format!("dir: {path} is no directory")),
        Err(error) if is_missing(&error) => Some(format!("dir: no such directory: {path}")),
        _ => None,
    }
}

/// The directories of outputs and of unix sockets that the agent opens.
fn directories_of_files(declared: &Value) -> Vec<String> {
    let mut files = Vec::new();
    for (index, socket) in declared["listen"].as_array().into_iter().flatten().enumerate() {
        let address = socket.as_str().or_else(|| socket["address"].as_str());
        files.extend(address.and_then(|at| at.strip_prefix("unix:")).map(|path| (format!("listen[{index}]"), path)));
    }
    for stream in ["stdout", "stderr"] {
        files.extend(declared["output"][stream].as_str().map(|path| (format!("output.{stream}"), path)));
    }
    let doubt = |(field, path): (String, &str)| {
        let directory = Path::new(path).parent().filter(|_| path.starts_with('/'))?;
        let is_absent = fs::metadata(directory).is_err_and(|error| is_missing(&error));
        is_absent.then(|| format!("{field}: no such directory: {}", directory.display()))
    };
    files.into_iter().filter_map(doubt).collect()
}

/// The programs of the process, and of the commands that are run for it.
fn programs(declared: &Value, options: &ManagerOptions) -> Vec<String> {
    let mut commands = vec![("command".to_owned(), &declared["command"])];
    for field in ["ready", "reload"] {
        commands.push((format!("{field}.command"), &declared[field]["command"]));
    }
    for (index, step) in declared["stop"].as_array().into_iter().flatten().enumerate() {
        commands.push((format!("stop[{index}].command"), &step["command"]));
    }
    commands.iter().filter_map(|(field, words)| program(field, words, declared, options)).collect()
}

/// The file that is executed, if it is there.
fn executable(declared: &Value, options: &ManagerOptions) -> Option<PathBuf> {
    let program = declared["command"][0].as_str()?;
    let is_there = |path: &PathBuf| fs::metadata(path).is_ok_and(|found| is_executable(&found));
    if program.contains('/') {
        return Some(Path::new(declared["dir"].as_str().unwrap_or(".")).join(program)).filter(is_there);
    }
    search_path(declared, options).split(':').map(|directory| Path::new(directory).join(program)).find(is_there)
}

fn program(field: &str, words: &Value, declared: &Value, options: &ManagerOptions) -> Option<String> {
    let program = words[0].as_str()?;
    let wrong = if program.contains('/') {
        let path = Path::new(declared["dir"].as_str().unwrap_or(".")).join(program);
        let found = fs::metadata(&path);
        match found {
            Ok(found) if found.is_dir() => format!("{program} is a directory"),
            Ok(found) if !is_executable(&found) => format!("{program} is not executable"),
            Err(error) if is_missing(&error) => match first_word(program).filter(|first| Path::new(first).is_file()) {
                Some(first) => command_line(program, first),
                None => format!("no such program: {program}"),
            },
            _ => return None,
        }
    } else {
        let path = search_path(declared, options);
        if is_found_in(&path, program) {
            return None;
        }
        match first_word(program).filter(|first| is_found_in(&path, first)) {
            Some(first) => command_line(program, first),
            None => format!("no program {program} in {path}"),
        }
    };
    Some(format!("{field}[0]: {wrong}"))
}

/// The first word of what may be a command line and not the name of a program.
fn first_word(program: &str) -> Option<&str> {
    program.split_ascii_whitespace().next().filter(|first| *first != program)
}

fn command_line(program: &str, first: &str) -> String {
    format!("no program \"{program}\", but there is {first}: write each argument as a string of its own")
}

fn is_found_in(path: &str, program: &str) -> bool {
    let is_there = |directory| fs::metadata(Path::new(directory).join(program)).is_ok_and(|it| is_executable(&it));
    path.split(':').any(is_there)
}

/// The PATH that the process will have, if the environment of the agent is that of this command.
fn search_path(declared: &Value, options: &ManagerOptions) -> String {
    let lines = |field: &str| declared[field].as_array().cloned().unwrap_or_default();
    let own =
        lines("env").iter().filter_map(Value::as_str).find_map(|line| line.strip_prefix("PATH=").map(str::to_owned));
    let for_all = || {
        let variables = options.proxy_env.iter();
        let path = variables.rev().find(|(name, _)| name == OsStr::new("PATH"));
        path.map(|(_, value)| value.to_string_lossy().into_owned())
    };
    let of_agent = || std::env::var("PATH").ok().filter(|_| declared["clear_env"] != true);
    let is_unset = lines("unset_env").iter().any(|name| name == "PATH");
    let inherited = || if is_unset { None } else { for_all().or_else(of_agent) };
    own.or_else(inherited).unwrap_or_else(|| PATH_WITHOUT_ONE.to_owned())
}

/// A user or group whose name is not known. What the user database does not answer is no doubt.
fn account(declared: &Value, field: &str, is_known: impl Fn(&str) -> nix::Result<bool>) -> Option<String> {
    let name = declared[field].as_str()?;
    (is_known(name) == Ok(false)).then(|| format!("{field}: no such {field}: {name}"))
}

/// Whether the process has the user of an agent that runs as this command does.
fn would_be_root(declared: &Value) -> bool {
    let uid = match declared["user"].as_str() {
        // What is not known is no root.
        Some(name) => User::from_name(name).ok().flatten().map_or(1, |user| user.uid.as_raw().into()),
        None => declared["credentials"]["uid"].as_u64().unwrap_or_else(|| geteuid().as_raw().into()),
    };
    uid == 0 && geteuid().is_root()
}

fn is_missing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn is_executable(found: &fs::Metadata) -> bool {
    found.is_file() && found.permissions().mode() & 0o111 != 0
}
