// SPDX-License-Identifier: MPL-2.0
//! A cgroup for each proxy: what is in it, and that a stop ends all of it.

mod adoption;
mod limits;
mod options;
mod stops;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use proxyprocess::{CgroupUse, ManagerOptions, ProxyConfig};
use rustix::process::{geteuid, getpid, set_child_subreaper};

use crate::inside::{Host, quick};
use crate::support::{Process, Scene, alone, cgroup_of, until};

/// A manager whose proxies have to have a cgroup each; `None` where this process may make none, which is said.
#[track_caller]
fn contained(scene: &Scene) -> Option<ManagerOptions> {
    contained_at(&scene.data_dir())
}

/// The same with this data directory.
#[track_caller]
fn contained_at(data_dir: &Path) -> Option<ManagerOptions> {
    Some(quick(data_dir).with_cgroup(CgroupUse::Required).with_cgroup_base(base()?))
}

/// Such a manager that runs these proxies.
#[track_caller]
fn running<const N: usize>(scene: &Scene, proxies: [(&str, ProxyConfig); N]) -> Option<Host> {
    let mut host = Host::new(contained(scene)?);
    proxies.into_iter().for_each(|(id, config)| host.set(id, config));
    host.run();
    Some(host)
}

/// Where cgroups can be made. Named, for a systemd of this machine has delegated nothing to the tests.
#[track_caller]
pub(crate) fn base() -> Option<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (own, number) = (cgroup_of(std::process::id()), NEXT.fetch_add(1, Ordering::Relaxed));
    let probe = own.as_ref().map(|own| own.join(format!("probe-{}-{number}", std::process::id())));
    let made = probe.map(|probe| fs::create_dir(&probe).and_then(|()| fs::remove_dir(&probe)));
    if !matches!(made, Some(Ok(()))) {
        let required = geteuid().is_root() && std::env::var_os("PROXYPROCESS_CI").is_some();
        assert!(!required, "no cgroup can be made in {own:?}: {made:?}");
        println!("skipped: no cgroup can be made in {own:?}: {made:?}");
        return None;
    }
    own
}

/// The directory of the manager that a process belongs to.
fn home_of(process: &Process) -> PathBuf {
    cgroup_of(process.pid()).and_then(|path| path.parent().map(Path::to_owned)).expect("the cgroup of a process")
}

fn names_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut names: Vec<String> = dirs.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Waits until there are these cgroups of proxies. No event tells when one was removed.
#[track_caller]
fn until_names(home: &Path, expected: &[&str]) {
    until(format!("{expected:?} in {}, where {:?} are", home.display(), names_in(home)), || names_in(home) == expected);
}

/// Runs a test in a process of its own, to which what loses its parent is given.
#[track_caller]
fn as_reaper(name: &str, body: impl FnOnce()) {
    alone(name, || {
        set_child_subreaper(Some(getpid())).expect("become a subreaper");
        body();
    });
}
