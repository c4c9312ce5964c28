// SPDX-License-Identifier: MPL-2.0
//! On what was measured, and with which versions.

use std::fs;
use std::path::Path;
use std::process::Command;

use proxyprocess::{CgroupUse, Manager, ManagerOptions, State};

/// One line for each thing that the figures depend on.
pub(crate) fn describe(place: &Path) -> Vec<String> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpu = first_field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let memory = memory_kib("MemTotal").map_or_else(String::new, |kib| format!(", {} GiB of memory", kib >> 20));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let rustc = output("rustc", &["--version"]).unwrap_or_else(|| "rustc unknown".to_owned());
    vec![
        format!("{cores} cores ({cpu}){memory}, Linux {}, files on {}", kernel.trim(), file_system(place)),
        format!("proxyprocess {}, {rustc}", env!("CARGO_PKG_VERSION")),
    ]
}

/// The version of a Debian package, if it is installed as one.
pub(crate) fn package_version(package: &str) -> Option<String> {
    output("dpkg-query", &["--show", "--showformat=${Version}", package])
}

/// The version of a program: in a file beside it, where `peers.sh` has written it; else the last word of the first line that it
/// says itself.
pub(crate) fn program_version(program: &Path) -> Option<String> {
    if let Ok(version) = fs::read_to_string(program.with_extension("version")) {
        return Some(version.trim().to_owned());
    }
    let said = output(&program.to_string_lossy(), &["--version"])?;
    said.lines().next()?.split_whitespace().last().map(str::to_owned)
}

/// How busy the machine was in the last minute: processes that ran or wanted to.
pub(crate) fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

/// A number that is all there is in a file of `/proc/sys`.
fn kernel_setting(name: &str) -> Option<u64> {
    fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?.trim().parse().ok()
}

/// How many processes and threads there are: each has a number of its own.
fn tasks() -> Option<u64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').nth(3)?.split_once('/')?.1.parse().ok()
}

/// How many processes and threads may still be made, all on the machine and all in the control groups of this process counted, and
/// what bounds that.
pub(crate) fn processes_left() -> Option<(u64, String)> {
    let tasks = tasks()?;
    let of_kernel = |name: &str| Some((kernel_setting(name)?.saturating_sub(tasks), format!("{name} of the kernel")));
    let bounds = [of_kernel("kernel/pid_max"), of_kernel("kernel/threads-max")];
    bounds.into_iter().flatten().chain(process_limits_of_groups()).min_by_key(|(left, _)| *left)
}

/// The same of each control group that this process is in and that has a limit.
fn process_limits_of_groups() -> Vec<(u64, String)> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (mounts, groups) = (read("/proc/self/mountinfo"), read("/proc/self/cgroup"));
    let mut limits = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else { continue };
        // The hierarchy of version 2 has no controllers in its name.
        let is_there = |mount: &&str| match controllers {
            "" => mount.contains(" - cgroup2 "),
            "pids" => mount.contains(" - cgroup ") && mount.rsplit([' ', ',']).any(|word| word == "pids"),
            _ => false,
        };
        let Some(point) = mounts.lines().find(is_there).and_then(|mount| mount.split(' ').nth(4)) else { continue };
        for above in Path::new(group.trim_start_matches('/')).ancestors() {
            let directory = Path::new(point).join(above);
            let number = |file| fs::read_to_string(directory.join(file)).ok()?.trim().parse::<u64>().ok();
            if let (Some(most), Some(current)) = (number("pids.max"), number("pids.current")) {
                limits.push((most.saturating_sub(current), format!("pids.max of a cgroup, which is {most}")));
            }
        }
    }
    limits
}

/// What could still be had of the memory of this machine, or whatever else `/proc/meminfo` tells in KiB.
pub(crate) fn memory_kib(name: &str) -> Option<u64> {
    first_field("/proc/meminfo", name)?.split(' ').next()?.parse().ok()
}

fn first_field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(field, _)| field.trim() == name).map(|(_, value)| value.trim().to_owned())
}

/// The type of the file system that a directory is on: of the longest mount point that it begins with.
fn file_system(place: &Path) -> String {
    let place = place.canonicalize().unwrap_or_else(|_| place.to_owned());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((Path::new(words.next()?), words.next()?))
    });
    let found = mounts.filter(|(point, _)| place.starts_with(point)).max_by_key(|(point, _)| point.as_os_str().len());
    found.map_or("an unknown file system", |(_, kind)| kind).to_owned()
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Why this process can make no cgroups for its processes, if it cannot.
pub(crate) fn lacks_cgroups() -> Option<String> {
    let options = ManagerOptions::default().with_allow_root(true).with_cgroup(CgroupUse::Required);
    Manager::new(State::new(), options).err().map(|error| error.to_string())
}
