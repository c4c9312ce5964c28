// SPDX-License-Identifier: MPL-2.0
//! The cgroups of one manager: one for each generation of a proxy that may be alive, below a directory of the manager.
//!
//! All processes in a cgroup belong to its proxy, whatever they have done to their environment, session and parents,
//! and they can be killed together. Other processes are in it only if someone moves them there.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::defaults;
use crate::error::{Error, ErrorCode, Result};
use crate::logging::{Level, Log};
use crate::supervisor::cgroup_names::{PREFIX, SUFFIXES, name_of};
use crate::supervisor::former_cgroups;
use crate::supervisor::spare_descriptor::SpareDescriptor;
use crate::sys::cgroup::control;
use crate::sys::cgroup::directory::{self, CgroupState, Entrance};
use crate::sys::cgroup::hierarchy::{self, Whose};
use crate::sys::is_exhausted;
use crate::sys::pid::Pid;
use crate::sys::spawn::program::EnteredCgroup;

/// Whether each proxy has a cgroup of its own ([`ManagerOptions::cgroup`](crate::ManagerOptions::cgroup)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum CgroupUse {
    /// Each has one where this process may make cgroups; what the log says at the start of the manager.
    #[default]
    Auto,
    /// None has.
    Off,
    /// Each has one. A manager that may make none is refused, and a process that cannot enter is not started.
    Required,
}

impl CgroupUse {
    /// Its name in configurations: `"off"`, `"auto"`, `"required"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            CgroupUse::Off => "off",
            CgroupUse::Auto => "auto",
            CgroupUse::Required => "required",
        }
    }
}

/// Where systemd says that it manages the cgroups of this system (sd_booted(3)).
const SYSTEMD: &str = "/run/systemd/system";

/// Where a process begins.
#[derive(Debug, Clone)]
pub(crate) struct StartPlace {
    pub(crate) path: Arc<Path>,
    /// Whether all processes of it were ended at once, after which none can be cloned into it
    /// ([`clone3`](crate::sys::spawn::clone3)).
    pub(crate) was_killed: bool,
}

/// A cgroup that is open for a process, or why it has none where it needs none.
pub(crate) type Opened = Result<std::result::Result<EnteredCgroup, Error>>;

/// The cgroups of a manager.
#[derive(Debug)]
pub(crate) struct Cgroups {
    /// The directory of all.
    home: PathBuf,
    /// What it was below other bases, where something of it is left.
    former_homes: Vec<PathBuf>,
    is_required: bool,
    spare: SpareDescriptor,
    /// Whether the cgroups of proxies have controllers, and so may have limits.
    pub(super) has_controllers: AtomicBool,
}

impl Cgroups {
    /// Makes the directory for the cgroups of a manager; `None` where there are to be none, or none can be made and they are
    /// not required, which is logged.
    ///
    /// # Errors
    /// [`ErrorCode::Io`]: they are required, and cannot be made; the message says why.
    pub(crate) fn open(
        wanted: CgroupUse,
        base: Option<&Path>,
        owner_tag: &str,
        log: &Log,
    ) -> Result<Option<Arc<Cgroups>>> {
        let is_required = match wanted {
            CgroupUse::Off => return Ok(None),
            CgroupUse::Auto => false,
            CgroupUse::Required => true,
        };
        let made = base.map_or_else(find_base, |base| Ok(base.to_owned())).and_then(|base| make_home(&base, owner_tag));
        match made {
            Ok(home) => {
                let kind = wanted.as_str();
                log.write(
                    Level::Info,
                    format_args!("cgroup: {kind}: each proxy gets a cgroup of its own below {}", home.display()),
                );
                remove_unused(&home, log);
                let former_homes = former_cgroups::find(&home);
                former_cgroups::remove(&former_homes, true, log);
                let has_controllers = control::any_enabled(&home).into();
                let failed = |error| Error::os(ErrorCode::Exhausted, "open a descriptor in reserve", &error);
                let spare = SpareDescriptor::new().map_err(failed)?;
                Ok(Some(Arc::new(Cgroups { home, former_homes, is_required, spare, has_controllers })))
            }
            Err(why) if is_required => Err(Error::new(ErrorCode::Io, format!("cgroup: required: {why}"))),
            Err(why) => {
                log.write(Level::Info, format_args!("cgroup: auto: proxies have none of their own: {why}"));
                Ok(None)
            }
        }
    }

    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// All that a proxy may have.
    pub(crate) fn paths_of(&self, id: &str) -> impl Iterator<Item = PathBuf> {
        SUFFIXES.iter().map(move |suffix| self.home.join(name_of(id, suffix)))
    }

    /// The cgroup that a process of a proxy begins in: that of the last one, which is empty, or the first one that is. Never one
    /// in which a process lives, for the end of this one would be its end as well; nor that of the other generation.
    fn free_one(&self, id: &str, last: Option<&StartPlace>, other: Option<&Path>) -> io::Result<StartPlace> {
        let state_if_free = |path: &Path| match other == Some(path) {
            true => Ok::<_, io::Error>(None),
            false => directory::state(path).map(|state| Some(state).filter(|state| !state.is_populated)),
        };
        // What enters a frozen one stands still, and this thread with it; and none may enter one that has controllers for others
        // below it, as a process can have made it: they are created again.
        let is_anew = |path: &Path, state: &CgroupState| {
            state.is_frozen || self.has_controllers.load(Ordering::Acquire) && control::any_enabled(path)
        };
        if let Some((last, state)) = last.and_then(|last| Some((last, state_if_free(&last.path).ok()??))) {
            return Ok(StartPlace { was_killed: last.was_killed || is_anew(&last.path, &state), ..last.clone() });
        }
        for path in self.paths_of(id) {
            if let Some(state) = state_if_free(&path)? {
                return Ok(StartPlace { was_killed: is_anew(&path, &state), path: path.into() });
            }
        }
        Err(io::Error::new(io::ErrorKind::ResourceBusy, "processes live in all that the proxy may have"))
    }

    /// The cgroup of a process that is adopted, if it is in one of its proxy, or in one that was made below that.
    pub(crate) fn of_adopted(&self, id: &str, pid: Pid) -> Option<Arc<Path>> {
        let is_in = hierarchy::directory_of(Whose::Of(pid)).ok().flatten()?;
        self.paths_of(id).find(|own| is_in.ancestors().any(|dir| is_same(dir, own))).map(Arc::from)
    }

    /// Opens a cgroup for a process of a proxy that begins in it; `last`: that of the last one, `other`: that of the other
    /// generation. Where that cannot be done and is not required, the reason.
    ///
    /// # Errors
    /// [`ErrorCode::StartFailed`]: it cannot be opened, and is required, or the system has no more of what that takes now.
    pub(crate) fn open_for_start(
        &self,
        id: &str,
        last: Option<&StartPlace>,
        other: Option<&Path>,
        log: &Log,
    ) -> Opened {
        let opened = self.free_one(id, last, other).and_then(|place| {
            // A new cgroup has never been killed. One that cannot be created again is used as it is.
            let moves_itself = place.was_killed && !remove_to_make_anew(&place.path, id, log);
            Ok((self.open_entrance(&place.path)?, place.path, moves_itself))
        });
        self.checked(opened)
    }

    /// The same of the cgroup for a command that is run for a process, below that of the process.
    pub(crate) fn open_for_command(&self, path: &Arc<Path>) -> Opened {
        let opened = directory::state(path).and_then(|state| match state.is_frozen {
            true => Err(io::Error::new(io::ErrorKind::ResourceBusy, "it is frozen, and so would be the command")),
            false => self.open_entrance(path),
        });
        self.checked(opened.map(|entrance| (entrance, path.clone(), false)))
    }

    /// Does in one of them what a stop needs a descriptor for, one at a time.
    pub(crate) fn lend<T>(&self, what: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        self.spare.lend(what)
    }

    /// Removes the cgroup of a proxy that is gone.
    ///
    /// # Errors
    /// A process was moved into it, or is still on its way out of it after a while.
    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        self.lend(|| remove_soon(path))
    }

    fn checked(&self, opened: io::Result<(Entrance, Arc<Path>, bool)>) -> Opened {
        match opened {
            Ok((entrance, path, moves_itself)) => {
                Ok(Ok(EnteredCgroup { path, entrance, is_required: self.is_required, moves_itself }))
            }
            Err(error) => {
                let what = format_args!("make a cgroup in {}", self.home.display());
                // What is exhausted now is there again in a while, and the process would be without one for as long as it runs.
                let is_due = self.is_required || is_exhausted(&error);
                let error = Error::os(ErrorCode::StartFailed, what, &error);
                if is_due { Err(error) } else { Ok(Err(error)) }
            }
        }
    }

    /// The directory of all may have been removed, by hand or with the unit that it was made in.
    fn open_entrance(&self, path: &Path) -> io::Result<Entrance> {
        directory::open(path).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => directory::make(&self.home).and_then(|()| directory::open(path)),
            _ => Err(error),
        })
    }

    /// Removes the directory, unless a process is in any.
    pub(crate) fn close(&self, log: &Log) {
        former_cgroups::remove(&self.former_homes, false, log);
        remove_unused(&self.home, log);
        if let Err(error) = directory::remove_empty(&self.home).or_else(unless_in_use) {
            log.write(Level::Warn, format_args!("remove cgroup {}: {error}", self.home.display()));
        }
    }
}

/// Whether it could be removed.
fn remove_to_make_anew(path: &Path, id: &str, log: &Log) -> bool {
    let removed = directory::remove(path);
    if let Err(error) = &removed {
        let what = format_args!("remove cgroup {}: {error}; its next process moves itself into it", path.display());
        log.about(Level::Warn, id, what);
    }
    removed.is_ok()
}

/// Removes the cgroup of a proxy that is gone, unless a process is still on its way out of it after a while.
fn remove_soon(path: &Path) -> io::Result<()> {
    let until = Instant::now() + defaults::CGROUP_REMOVAL_PATIENCE;
    loop {
        match directory::remove(path) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && Instant::now() < until => {
                thread::sleep(Duration::from_millis(1));
            }
            removed => return removed,
        }
    }
}

/// Where this process may make cgroups: below its own, or beside it where systemd has put it into a part of what is delegated
/// (`DelegateSubgroup=`).
fn find_base() -> std::result::Result<PathBuf, String> {
    let own = hierarchy::directory_of(Whose::Own).map_err(|error| format!("read /proc/self/cgroup: {error}"))?;
    let own = own.ok_or("no mount shows the cgroup v2 of this process")?;
    // An agent that is a proxy itself: what it has started is not of that proxy, and is not to end with it.
    let outer = base_around(&own);
    let own = outer.unwrap_or(&own);
    let above = own.parent().filter(|_| outer.is_none());
    if let Some(delegated) = delegated(own, above, directory::is_marked_delegated, directory::is_given) {
        return Ok(delegated.to_owned());
    }
    if Path::new(SYSTEMD).exists() {
        return Err(format!("systemd manages {} and has not delegated it (Delegate=yes)", own.display()));
    }
    Ok(own.to_owned())
}

/// The cgroup that was delegated: the own one or that above it, which has the mark, or the name of a unit and belongs to this
/// user. The systemd of a user marks none, and all of its cgroups belong to that user.
fn delegated<'a>(
    own: &'a Path,
    above: Option<&'a Path>,
    is_marked: impl Fn(&Path) -> bool,
    is_given: impl Fn(&Path) -> bool,
) -> Option<&'a Path> {
    // What is above a unit holds other units, also where it is delegated, as user@UID.service is.
    let above = above.filter(|_| !is_unit(own));
    let marked = [Some(own), above].into_iter().flatten().find(|path| is_marked(path));
    let unit = above.filter(|above| is_unit(above));
    marked.or_else(|| [unit, Some(own)].into_iter().flatten().find(|path| is_given(path)))
}

/// Whether it is that of a unit in which systemd starts or takes processes, by its name.
fn is_unit(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind == "service" || kind == "scope")
}

/// The base of the manager in a cgroup of whose proxies this one is, of several the outermost.
fn base_around(own: &Path) -> Option<&Path> {
    let name_of = |dir: &Path| dir.file_name().map(|name| name.to_string_lossy().into_owned());
    let is_in_proxy = |dir: &Path| {
        let is_of_proxy = SUFFIXES.iter().any(|suffix| name_of(dir).is_some_and(|name| name.ends_with(suffix)));
        is_of_proxy && dir.parent().and_then(name_of).is_some_and(|name| name.starts_with(PREFIX))
    };
    own.ancestors().filter(|dir| is_in_proxy(dir)).filter_map(|dir| dir.parent()?.parent()).last()
}

fn make_home(base: &Path, owner_tag: &str) -> std::result::Result<PathBuf, String> {
    if owner_tag.is_empty() {
        return Err("there is no random source for its name".to_owned());
    }
    let home = base.join(format!("{PREFIX}{owner_tag}"));
    if !directory::is_cgroup(base) {
        return Err(format!("{} is no directory of cgroup v2", base.display()));
    }
    // Whether processes may be put into it is known only with one.
    directory::make(&home).map_err(|error| format!("make {}: {error}", home.display()))?;
    Ok(home)
}

/// Removes the cgroups that no process is in: a proxy that is started again has a new one. What is in use stays for the next
/// agent, or is of another one.
fn remove_unused(home: &Path, log: &Log) {
    if let Err(error) = directory::remove_children(home).or_else(unless_in_use) {
        log.write(Level::Warn, format_args!("remove cgroups in {}: {error}", home.display()));
    }
}

fn unless_in_use(error: io::Error) -> io::Result<()> {
    let is_in_use = matches!(error.raw_os_error(), Some(libc::EBUSY | libc::ENOTEMPTY));
    if is_in_use { Ok(()) } else { Err(error) }
}

/// Whether two paths name one cgroup. The base may be seen by several paths; one of the same name may be of an earlier base.
fn is_same(one: &Path, other: &Path) -> bool {
    let file_of = |path| fs::metadata(path).map(|of| (of.dev(), of.ino()));
    one.file_name() == other.file_name()
        && file_of(one).is_ok_and(|file| file_of(other).is_ok_and(|other| file == other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_of_an_agent_that_is_a_proxy_is_that_of_the_outer_agent() {
        let base = |own: &str| base_around(Path::new(own)).map(|base| base.display().to_string());
        let home = "/cg/a.service/proxyprocess-fe00-1-2";
        assert_eq!(base(&format!("{home}/web.proxy")).as_deref(), Some("/cg/a.service"));
        assert_eq!(base(&format!("{home}/web.proxy-2/own/below")).as_deref(), Some("/cg/a.service"));
        let twice = format!("{home}/web.proxy/proxyprocess-fe00-3-4/web.proxy");
        assert_eq!(base(&twice).as_deref(), Some("/cg/a.service"));
        for no_proxy in
            ["/cg/system.slice/proxyprocess-agent.service/agent", home, "/cg/web.proxy", "/", "/cg/proxyprocess-x"]
        {
            assert_eq!(base(no_proxy), None, "{no_proxy}");
        }
    }

    #[test]
    fn delegated_cgroup_is_marked_or_the_unit_of_this_user() {
        let app = "/cg/user@7.service/app.slice";
        let (unit, part) = (format!("{app}/a.service"), format!("{app}/a.service/agent"));
        let scope = format!("{app}/run-1.scope");
        type Case<'a> = (&'a str, &'a [&'a str], &'a [&'a str], Option<&'a str>);
        let own_slice = "/cg/user@7.service/a.service";
        let cases: [Case<'_>; 10] = [
            // Of the systemd of the machine.
            ("/cg/a.service", &["/cg/a.service"], &[], Some("/cg/a.service")),
            (
                "/cg/a.service/agent",
                &["/cg/a.service"],
                &["/cg/a.service", "/cg/a.service/agent"],
                Some("/cg/a.service"),
            ),
            ("/cg/a.service", &[], &[], None),
            ("/cg/user.slice/session-1.scope", &[], &[], None),
            // Of that of a user, to whom all belongs.
            (&unit, &[], &[app, &unit], Some(&unit)),
            (&part, &[], &[app, &unit, &part], Some(&unit)),
            (&scope, &[], &[app, &scope], Some(&scope)),
            (own_slice, &["/cg/user@7.service"], &["/cg/user@7.service", own_slice], Some(own_slice)),
            // Made by hand, and owned by this user.
            ("/cg/mine", &[], &["/cg/mine"], Some("/cg/mine")),
            ("/cg/a.service/mine", &[], &["/cg/a.service/mine"], Some("/cg/a.service/mine")),
        ];
        for (own, marked, given, expected) in cases {
            let own = Path::new(own);
            let is_in = |paths: &[&str], path: &Path| paths.iter().any(|listed| Path::new(listed) == path);
            let found = delegated(own, own.parent(), |path| is_in(marked, path), |path| is_in(given, path));
            assert_eq!(found, expected.map(Path::new), "{}", own.display());
        }
    }
}
