// SPDX-License-Identifier: MPL-2.0
//! What to run: program, arguments, directory, environment, credentials. Pure data, compared as declared.

mod output;
mod process_settings;
mod resource;
mod seldom;
mod user;
mod validation;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;

pub use output::{HostDescriptor, Output, OutputOwner};
pub(crate) use output::{LogLimits, Outputs};
pub(crate) use process_settings::{LAST_CPU, NICE, ProcessSettings, UMASK};
pub use resource::{Resource, ResourceLimit};
use seldom::{Nothing, Seldom};
pub(crate) use user::UserNames;
pub(crate) use validation::{DESCRIPTOR_LIMIT, OOM_SCORE_ADJ, USER_OR_GROUP, validate_variable, validate_withheld};

/// The command of a proxy, as the agent declares it.
///
/// Arguments, paths and environment are bytes: no encoding is assumed. A program without a `/` is searched for in the
/// `PATH` of the new process, a relative path with a `/` below its working directory. A script needs a `#!` line: no shell
/// is involved.
///
/// The process inherits the agent's environment without [`HOST_VARIABLES`](crate::defaults::HOST_VARIABLES), and the soft
/// descriptor limit that the agent had when the library was loaded. It does not inherit the agent's OOM score, or anything
/// else that is not documented.
///
/// ```
/// use proxyprocess::Command;
///
/// let command = Command::new("/usr/sbin/haproxy").args(["-db", "-f", "haproxy.cfg"]).dir("/etc/haproxy").env("TZ", "UTC");
/// assert_eq!(command.argv().len(), 4);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    argv: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    seldom: Seldom<SeldomDeclared>,
}

/// What few commands have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct SeldomDeclared {
    dir: Option<PathBuf>,
    unset_env: BTreeSet<OsString>,
    clear_env: bool,
    credentials: Option<Credentials>,
    descriptor_limit: Option<u64>,
    oom_score_adj: Option<i32>,
    detached: bool,
    settings: ProcessSettings,
    names: UserNames,
    outputs: Outputs,
}

static NOTHING: SeldomDeclared = SeldomDeclared {
    dir: None,
    unset_env: BTreeSet::new(),
    clear_env: false,
    credentials: None,
    descriptor_limit: None,
    oom_score_adj: None,
    detached: false,
    settings: ProcessSettings::NONE,
    names: UserNames::NONE,
    outputs: Outputs::DEFAULT,
};

impl Nothing for SeldomDeclared {
    fn nothing() -> &'static SeldomDeclared {
        &NOTHING
    }
}

/// The user and groups that a process runs as; only a privileged agent can give others than its own.
///
/// ```
/// use proxyprocess::{Command, Credentials};
///
/// let command = Command::new("envoy").credentials(Credentials::new(101, 101).with_groups([4]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// User id: real, effective and saved.
    pub uid: u32,
    /// Group id: real, effective and saved.
    pub gid: u32,
    /// All supplementary groups; the agent's own are dropped.
    pub groups: Vec<u32>,
}

impl Credentials {
    /// This user and group, and no supplementary groups.
    pub fn new(uid: u32, gid: u32) -> Credentials {
        Credentials { uid, gid, groups: Vec::new() }
    }

    /// The same with these supplementary groups.
    #[must_use]
    pub fn with_groups(mut self, groups: impl IntoIterator<Item = u32>) -> Credentials {
        self.groups = groups.into_iter().collect();
        self
    }
}

impl Command {
    /// A command that runs `program` without arguments.
    pub fn new(program: impl Into<OsString>) -> Command {
        Command { argv: vec![program.into()], ..Command::default() }
    }

    /// A command from a whole argument vector; its first word is the program.
    pub fn from_argv<I, S>(argv: I) -> Command
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        Command { argv: argv.into_iter().map(Into::into).collect(), ..Command::default() }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Command {
        self.argv.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I, S>(mut self, args: I) -> Command
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        self.argv.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets the working directory; without one the process gets the agent's.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Command {
        self.seldom.dir = Some(dir.into());
        self
    }

    /// Sets one environment variable over what the manager and the agent give.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Command {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Removes one environment variable of the agent or of the manager's `proxy_env`. A variable that the command itself or
    /// the library sets cannot be removed.
    #[must_use]
    pub fn unset_env(mut self, name: impl Into<OsString>) -> Command {
        self.seldom.unset_env.insert(name.into());
        self
    }

    /// Removes the whole environment of the agent, including its `PATH`. The process has only the manager's `proxy_env`,
    /// the declared variables, and those that the library sets itself ([`defaults`](crate::defaults)).
    #[must_use]
    pub fn clear_env(mut self) -> Command {
        self.seldom.clear_env = true;
        self
    }

    /// Sets the user and groups of the process by number; [`Command::user`] sets them by name.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Command {
        self.seldom.credentials = Some(credentials);
        self
    }

    /// Sets how many descriptors the process may have: its soft `RLIMIT_NOFILE` (getrlimit(2)). The hard limit is the
    /// agent's; where that is lower, the start fails and is tried again.
    ///
    /// Without it the soft limit is that of the agent when the library was loaded. In a program that is linked with the
    /// library that is the limit that it was started with; a runtime that loads it later (Node.js, Java) may have changed
    /// its limit before.
    #[must_use]
    pub fn descriptor_limit(mut self, limit: u64) -> Command {
        self.seldom.descriptor_limit = Some(limit);
        self
    }

    /// Sets how likely the kernel kills the process when memory runs out: the absolute value of
    /// `/proc/<pid>/oom_score_adj` (proc(5)), from -1000 (never) to 1000 (first).
    ///
    /// A value below the agent's needs CAP_SYS_RESOURCE; if it is refused, the start fails and is tried again. The default is
    /// 0 and not the agent's own value, which may protect the agent; if the kernel does not permit 0, it is the agent's.
    #[must_use]
    pub fn oom_score_adj(mut self, value: i32) -> Command {
        self.seldom.oom_score_adj = Some(value);
        self
    }

    /// Starts the process as an orphan: even before it executes it is not a child of the agent, but of init or of the
    /// nearest subreaper among the agent's ancestors (prctl(2), `PR_SET_CHILD_SUBREAPER`).
    ///
    /// This is for programs that ask the kernel for a signal when the thread that started them ends (`PR_SET_PDEATHSIG`), as
    /// Envoy does unless it runs with `--disable-hot-restart`. As a child, such a program ends with the agent, and also when
    /// the last [`Manager`](crate::Manager) or [`Daemon`](crate::Daemon) of the program is closed, because the library's
    /// threads end then. If the agent is itself a subreaper, or the first process of its pid namespace, the program survives
    /// a close, but not the end of the agent.
    ///
    /// The process is supervised like an adopted one: its exit status is known from Linux 6.15 on, or if it was seen as a
    /// zombie; otherwise it is [`ExitStatus::Unknown`](crate::ExitStatus::Unknown).
    #[must_use]
    pub fn detached(mut self) -> Command {
        self.seldom.detached = true;
        self
    }

    /// The program and its arguments.
    pub fn argv(&self) -> &[OsString] {
        &self.argv
    }

    /// The declared working directory.
    pub fn declared_dir(&self) -> Option<&PathBuf> {
        self.seldom.dir.as_ref()
    }

    /// The declared environment, by name.
    pub fn declared_env(&self) -> &BTreeMap<OsString, OsString> {
        &self.env
    }

    /// The declared user and groups.
    pub fn declared_credentials(&self) -> Option<&Credentials> {
        self.seldom.credentials.as_ref()
    }

    /// The names of the variables that are withheld.
    pub fn declared_unset_env(&self) -> &BTreeSet<OsString> {
        &self.seldom.unset_env
    }

    /// Whether the whole environment of the agent is withheld.
    pub fn clears_env(&self) -> bool {
        self.seldom.clear_env
    }

    /// The declared soft limit of descriptors.
    pub fn declared_descriptor_limit(&self) -> Option<u64> {
        self.seldom.descriptor_limit
    }

    /// The declared value of `oom_score_adj`.
    pub fn declared_oom_score_adj(&self) -> Option<i32> {
        self.seldom.oom_score_adj
    }

    /// Whether the process is started as an orphan.
    pub fn is_detached(&self) -> bool {
        self.seldom.detached
    }

    /// What the kernel is to hold of the process beside its program.
    pub(crate) fn settings(&self) -> &ProcessSettings {
        &self.seldom.settings
    }

    /// Where its output goes.
    pub(crate) fn outputs(&self) -> &Outputs {
        &self.seldom.outputs
    }

    /// Gives back the memory that was meant for more arguments.
    pub(crate) fn shrink(&mut self) {
        self.argv.shrink_to_fit();
    }

    /// Whether a process of this command runs as root, or may become root again, when the agent may: without credentials it
    /// has the agent's three user ids (credentials(7)). Of a user by name that is known only when it was looked up.
    pub(crate) fn runs_as_root(&self, agent_has_root_id: bool) -> bool {
        if self.seldom.names != UserNames::default() {
            return false;
        }
        self.seldom.credentials.as_ref().map_or(agent_has_root_id, |credentials| credentials.uid == 0)
    }

    /// The same for any other program: without program and arguments, and for a process that is no orphan.
    pub(crate) fn without_program(&self) -> Command {
        let mut others = Command { argv: Vec::new(), ..self.clone() };
        if self.seldom != Seldom::default() {
            others.seldom.detached = false;
            others.seldom.outputs.limits = LogLimits::default();
        }
        others
    }

    /// Whether a process of this one is one of the other as well.
    pub(crate) fn same_process(&self, other: &Command) -> bool {
        let with_its_outputs = || {
            let mut with = self.clone();
            with.seldom.outputs = other.seldom.outputs.clone();
            with
        };
        self == other || self.seldom.outputs.same_process(&other.seldom.outputs) && with_its_outputs() == *other
    }

    /// The first declared setting that no process of Consul's has, by its name. What variables a process has shows by
    /// itself.
    pub(crate) fn setting_unknown_to_consul(&self) -> Option<&'static str> {
        let settings = [
            ("credentials", self.seldom.credentials.is_some()),
            ("user", self.declared_user().is_some()),
            ("clear_env", self.seldom.clear_env),
            ("descriptor_limit", self.seldom.descriptor_limit.is_some()),
            ("oom_score_adj", self.seldom.oom_score_adj.is_some()),
            ("detached", self.seldom.detached),
            ("output", self.seldom.outputs != Outputs::default()),
        ];
        let declared = settings.into_iter().find(|(_, is_declared)| *is_declared).map(|(name, _)| name);
        declared.or_else(|| self.seldom.settings.first_declared())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_few_commands_have_is_its_default_for_the_others() {
        assert_eq!(NOTHING, SeldomDeclared::default());
    }

    #[test]
    fn settings_that_consul_does_not_have_are_known_by_name() {
        let plain = Command::new("a").arg("b").dir("/").env("A", "1").unset_env("B");
        assert_eq!(plain.setting_unknown_to_consul(), None);
        let others = [
            plain.clone().credentials(Credentials { uid: 0, gid: 0, groups: vec![] }),
            plain.clone().user("a"),
            plain.clone().clear_env(),
            plain.clone().descriptor_limit(1),
            plain.clone().oom_score_adj(0),
            plain.clone().detached(),
            plain.clone().stderr(Output::Null),
            plain.clone().rlimit(Resource::Core, ResourceLimit::new(0)),
            plain.clone().nice(0),
            plain.clone().cpu_affinity([0]),
            plain.clone().umask(0),
            plain.clone().no_new_privs(),
            plain.argv0("a"),
        ];
        let names = others.iter().map(Command::setting_unknown_to_consul);
        let expected = ["credentials", "user", "clear_env", "descriptor_limit", "oom_score_adj", "detached", "output"];
        let of_process = ["rlimits", "nice", "cpu_affinity", "umask", "no_new_privs", "argv0"];
        assert!(names.eq(expected.into_iter().chain(of_process).map(Some)));
    }

    #[test]
    fn a_declared_user_decides_whether_it_is_root() {
        let as_another_user = Command::new("a").credentials(Credentials { uid: 65534, gid: 65534, groups: vec![] });
        assert!(!as_another_user.runs_as_root(true));
        assert!(Command::new("a").runs_as_root(true));
        assert!(!Command::new("a").runs_as_root(false));
    }
}
