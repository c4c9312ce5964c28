// SPDX-License-Identifier: MPL-2.0
//! What the kernel holds of a process beside its program: resource limits, nice value, CPUs, umask, privileges, and the name
//! that it is told of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::ops::RangeInclusive;

use super::validation::{invalid, refuse_nul};
use super::{Command, Resource, ResourceLimit};
use crate::error::Result;

/// These settings of a [`Command`], as they are declared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProcessSettings {
    pub(crate) rlimits: BTreeMap<Resource, ResourceLimit>,
    pub(crate) nice: Option<i32>,
    pub(crate) cpu_affinity: Option<BTreeSet<u32>>,
    pub(crate) umask: Option<u32>,
    pub(crate) no_new_privs: bool,
    pub(crate) argv0: Option<OsString>,
}

impl Command {
    /// Sets a resource limit of the process (getrlimit(2)). A hard limit above the agent's needs CAP_SYS_RESOURCE; where a
    /// limit is refused, the start fails and is tried again.
    ///
    /// Without it the limit is the agent's, but that of descriptors: see [`Command::descriptor_limit`], which cannot be
    /// declared beside a limit of [`Resource::Nofile`].
    #[must_use]
    pub fn rlimit(mut self, resource: Resource, limit: ResourceLimit) -> Command {
        self.seldom.settings.rlimits.insert(resource, limit);
        self
    }

    /// Sets the nice value of the process (sched(7)), from -20, which gets most of the CPU, to 19. A value below the agent's
    /// needs CAP_SYS_NICE or a limit of [`Resource::Nice`]; where it is refused, the start fails and is tried again.
    ///
    /// Without it the value is the agent's. Where the kernel schedules by sessions (sched(7), autogroup) it counts only
    /// among the processes of the proxy, for it is a session of its own.
    #[must_use]
    pub fn nice(mut self, value: i32) -> Command {
        self.seldom.settings.nice = Some(value);
        self
    }

    /// Sets the CPUs on which the process may run (sched_setaffinity(2)), 0 to 8191. The kernel leaves out those that the
    /// machine or the cpuset of the agent does not have; where none remains, the start fails and is tried again.
    ///
    /// Without it they are the agent's.
    #[must_use]
    pub fn cpu_affinity(mut self, cpus: impl IntoIterator<Item = u32>) -> Command {
        self.seldom.settings.cpu_affinity = Some(cpus.into_iter().collect());
        self
    }

    /// Sets the umask of the process (umask(2)), at most `0o777`; without it that is the agent's.
    #[must_use]
    pub fn umask(mut self, mask: u32) -> Command {
        self.seldom.settings.umask = Some(mask);
        self
    }

    /// Takes from the process and all that it starts the means of getting privileges by executing a program: set-user-id
    /// bits and file capabilities (prctl(2), `PR_SET_NO_NEW_PRIVS`). Without it that is as of the agent.
    #[must_use]
    pub fn no_new_privs(mut self) -> Command {
        self.seldom.settings.no_new_privs = true;
        self
    }

    /// Sets what the process is told as its name (`argv[0]`), in place of the first word of the command, which is executed
    /// all the same. A script does not see it: the kernel puts the interpreter there (execve(2)).
    #[must_use]
    pub fn argv0(mut self, name: impl Into<OsString>) -> Command {
        self.seldom.settings.argv0 = Some(name.into());
        self
    }

    /// The declared resource limits.
    pub fn declared_rlimits(&self) -> &BTreeMap<Resource, ResourceLimit> {
        &self.seldom.settings.rlimits
    }

    /// The declared nice value.
    pub fn declared_nice(&self) -> Option<i32> {
        self.seldom.settings.nice
    }

    /// The declared CPUs.
    pub fn declared_cpu_affinity(&self) -> Option<&BTreeSet<u32>> {
        self.seldom.settings.cpu_affinity.as_ref()
    }

    /// The declared umask.
    pub fn declared_umask(&self) -> Option<u32> {
        self.seldom.settings.umask
    }

    /// Whether the process cannot get privileges by executing a program.
    pub fn has_no_new_privs(&self) -> bool {
        self.seldom.settings.no_new_privs
    }

    /// The declared `argv[0]`.
    pub fn declared_argv0(&self) -> Option<&OsStr> {
        self.seldom.settings.argv0.as_deref()
    }
}

impl ProcessSettings {
    /// None of them.
    pub(super) const NONE: ProcessSettings = ProcessSettings {
        rlimits: BTreeMap::new(),
        nice: None,
        cpu_affinity: None,
        umask: None,
        no_new_privs: false,
        argv0: None,
    };

    /// The first one that is declared, by its name.
    pub(super) fn first_declared(&self) -> Option<&'static str> {
        let settings = [
            ("rlimits", !self.rlimits.is_empty()),
            ("nice", self.nice.is_some()),
            ("cpu_affinity", self.cpu_affinity.is_some()),
            ("umask", self.umask.is_some()),
            ("no_new_privs", self.no_new_privs),
            ("argv0", self.argv0.is_some()),
        ];
        settings.into_iter().find(|(_, is_declared)| *is_declared).map(|(name, _)| name)
    }

    /// Checks what can never work.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidConfig`](crate::ErrorCode::InvalidConfig), naming the field.
    pub(super) fn validate(&self, descriptor_limit: Option<u64>) -> Result<()> {
        for (resource, limit) in &self.rlimits {
            if limit.hard.is_some_and(|hard| hard < limit.soft) {
                let expected = "expected a soft limit that is not above the hard one";
                return Err(invalid(format!("rlimits.{resource}: {expected}, got {limit}")));
            }
        }
        match self.rlimits.get(&Resource::Nofile) {
            Some(_) if descriptor_limit.is_some() => {
                return Err(invalid("rlimits.nofile: expected none beside descriptor_limit"));
            }
            Some(limit) if limit.soft == 0 => {
                return Err(invalid("rlimits.nofile: expected a soft limit from 1 on, got 0"));
            }
            _ => {}
        }
        if let Some(nice) = self.nice.filter(|nice| !NICE_VALUES.contains(nice)) {
            return Err(invalid(format!("nice: expected {NICE}, got {nice}")));
        }
        match &self.cpu_affinity {
            Some(cpus) if cpus.is_empty() => return Err(invalid("cpu_affinity: expected CPUs, got an empty list")),
            Some(cpus) => {
                if let Some(cpu) = cpus.last().filter(|cpu| **cpu > LAST_CPU) {
                    return Err(invalid(format!("cpu_affinity: expected {CPU}, got {cpu}")));
                }
            }
            None => {}
        }
        if let Some(mask) = self.umask.filter(|mask| *mask > 0o777) {
            return Err(invalid(format!("umask: expected {UMASK}, got \"{mask:04o}\"")));
        }
        match &self.argv0 {
            Some(name) if name.is_empty() => Err(invalid("argv0: expected some text, got an empty string")),
            Some(name) => refuse_nul(name, || "argv0".to_owned()),
            None => Ok(()),
        }
    }

    /// Each setting that is declared, as a part of the digest of a declaration.
    pub(crate) fn part_of_fingerprint(&self) -> Vec<OsString> {
        let ProcessSettings { rlimits, nice, cpu_affinity, umask, no_new_privs, argv0 } = self;
        let mut parts: Vec<OsString> =
            rlimits.iter().map(|(name, limit)| format!("rlimits.{name}={limit}").into()).collect();
        parts.extend(nice.map(|nice| format!("nice={nice}").into()));
        parts.extend(cpu_affinity.as_ref().map(|cpus| format!("cpu_affinity={cpus:?}").into()));
        parts.extend(umask.map(|mask| format!("umask={mask:04o}").into()));
        parts.extend(no_new_privs.then(|| "no_new_privs".into()));
        let argv0 = argv0.as_ref().map(|name| {
            let mut part = OsString::from("argv0=");
            part.push(name);
            part
        });
        parts.extend(argv0);
        parts
    }
}

/// The highest CPU that can be declared: the kernel is built for 8192 at most (`NR_CPUS`).
pub(crate) const LAST_CPU: u32 = 8191;

/// What is expected of a CPU.
const CPU: &str = "CPUs from 0 to 8191";

/// What is expected of a nice value.
pub(crate) const NICE: &str = "a whole number from -20 to 19";
const NICE_VALUES: RangeInclusive<i32> = -20..=19;

/// What is expected of a umask.
pub(crate) const UMASK: &str = "an octal text from \"0000\" to \"0777\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_never_work_is_refused_by_name() {
        let plain = || Command::new("a");
        let cases = [
            (
                plain().rlimit(Resource::Core, ResourceLimit::soft(2).with_hard(1)),
                "rlimits.core: expected a soft limit",
            ),
            (
                plain().rlimit(Resource::Nofile, ResourceLimit::new(0)),
                "rlimits.nofile: expected a soft limit from 1 on",
            ),
            (
                plain().rlimit(Resource::Nofile, ResourceLimit::new(9)).descriptor_limit(9),
                "rlimits.nofile: expected none beside descriptor_limit",
            ),
            (plain().nice(20), "nice: expected a whole number from -20 to 19, got 20"),
            (plain().nice(-21), "nice: expected"),
            (plain().cpu_affinity([]), "cpu_affinity: expected CPUs, got an empty list"),
            (plain().cpu_affinity([0, 8192]), "cpu_affinity: expected CPUs from 0 to 8191, got 8192"),
            (plain().umask(0o1000), "umask: expected an octal text from \"0000\" to \"0777\", got \"1000\""),
            (plain().argv0(""), "argv0: expected some text"),
            (plain().argv0("a\0"), "argv0: expected no NUL byte, got one at offset 1"),
        ];
        for (command, expected) in cases {
            let error = command.validate().unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
        }
        let whole = plain().rlimit(Resource::Core, ResourceLimit::new(0)).nice(-20).cpu_affinity([0, 8191]);
        assert_eq!(whole.umask(0o777).no_new_privs().argv0("b").validate(), Ok(()));
    }
}
