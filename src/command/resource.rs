// SPDX-License-Identifier: MPL-2.0
//! The resources whose use the kernel limits, and their limits (getrlimit(2)).

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorCode, excerpt};

/// A resource whose use the kernel limits, by its name in getrlimit(2) without `RLIMIT_` and in lower case.
///
/// ```
/// use proxyprocess::Resource;
///
/// assert_eq!("core".parse::<Resource>().unwrap(), Resource::Core);
/// assert!("RLIMIT_CORE".parse::<Resource>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Resource {
    /// Virtual memory, in bytes.
    As,
    /// Size of a core dump, in bytes.
    Core,
    /// CPU time, in seconds.
    Cpu,
    /// Data segment, in bytes.
    Data,
    /// Size of a file that is written, in bytes.
    Fsize,
    /// Locks; not obeyed since Linux 2.4.
    Locks,
    /// Memory that is locked into RAM, in bytes.
    Memlock,
    /// POSIX message queues of the user, in bytes.
    Msgqueue,
    /// Ceiling of the nice value, as 20 minus that.
    Nice,
    /// One more than the highest number of a descriptor.
    Nofile,
    /// Threads of the user; not obeyed for root.
    Nproc,
    /// Resident pages; not obeyed since Linux 2.4.30.
    Rss,
    /// Ceiling of the real-time priority.
    Rtprio,
    /// CPU time of a real-time thread without a blocking call, in microseconds.
    Rttime,
    /// Signals of the user that are queued.
    Sigpending,
    /// Stack of a process, in bytes.
    Stack,
}

impl Resource {
    /// All of them, by name.
    pub(crate) const ALL: [Resource; 16] = [
        Resource::As,
        Resource::Core,
        Resource::Cpu,
        Resource::Data,
        Resource::Fsize,
        Resource::Locks,
        Resource::Memlock,
        Resource::Msgqueue,
        Resource::Nice,
        Resource::Nofile,
        Resource::Nproc,
        Resource::Rss,
        Resource::Rtprio,
        Resource::Rttime,
        Resource::Sigpending,
        Resource::Stack,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Resource::As => "as",
            Resource::Core => "core",
            Resource::Cpu => "cpu",
            Resource::Data => "data",
            Resource::Fsize => "fsize",
            Resource::Locks => "locks",
            Resource::Memlock => "memlock",
            Resource::Msgqueue => "msgqueue",
            Resource::Nice => "nice",
            Resource::Nofile => "nofile",
            Resource::Nproc => "nproc",
            Resource::Rss => "rss",
            Resource::Rtprio => "rtprio",
            Resource::Rttime => "rttime",
            Resource::Sigpending => "sigpending",
            Resource::Stack => "stack",
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Resource {
    type Err = Error;

    /// # Errors
    /// [`ErrorCode::InvalidConfig`]: it is no name of a resource.
    fn from_str(text: &str) -> Result<Resource, Error> {
        Resource::ALL.into_iter().find(|resource| resource.as_str() == text).ok_or_else(|| {
            let message = format!("expected a resource of getrlimit(2), like \"core\", got \"{}\"", excerpt(text));
            Error::new(ErrorCode::InvalidConfig, message)
        })
    }
}

/// The soft limit of a resource, which the kernel enforces, and the hard one, up to which the process may raise it.
///
/// ```
/// use proxyprocess::{Command, Resource, ResourceLimit};
///
/// let limits = Command::new("envoy")
///     .rlimit(Resource::Core, ResourceLimit::new(0))
///     .rlimit(Resource::Memlock, ResourceLimit::soft(ResourceLimit::UNLIMITED));
/// # assert_eq!(limits.declared_rlimits().len(), 2);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceLimit {
    /// In the unit of the resource; at most `hard`.
    pub soft: u64,
    /// `None` is the hard limit of the agent.
    pub hard: Option<u64>,
}

impl ResourceLimit {
    /// No limit.
    pub const UNLIMITED: u64 = u64::MAX;

    /// The same soft and hard limit.
    pub fn new(limit: u64) -> ResourceLimit {
        ResourceLimit { soft: limit, hard: Some(limit) }
    }

    /// This soft limit, and the hard limit of the agent.
    pub fn soft(limit: u64) -> ResourceLimit {
        ResourceLimit { soft: limit, hard: None }
    }

    /// The same with this hard limit.
    #[must_use]
    pub fn with_hard(mut self, limit: u64) -> ResourceLimit {
        self.hard = Some(limit);
        self
    }
}

impl fmt::Display for ResourceLimit {
    /// `SOFT` or `SOFT:HARD`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let write = |f: &mut fmt::Formatter<'_>, limit: u64| match limit {
            ResourceLimit::UNLIMITED => f.write_str("unlimited"),
            limit => write!(f, "{limit}"),
        };
        write(f, self.soft)?;
        match self.hard {
            Some(hard) => {
                f.write_str(":")?;
                write(f, hard)
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_resource_is_read_back_by_its_name() {
        for resource in Resource::ALL {
            assert_eq!(resource.to_string().parse::<Resource>().unwrap(), resource);
        }
        assert!(Resource::ALL.is_sorted_by_key(|resource| resource.as_str()));
        assert!("files".parse::<Resource>().unwrap_err().to_string().contains("got \"files\""));
    }

    #[test]
    fn a_limit_is_shown_with_its_hard_limit_if_it_has_one() {
        assert_eq!(ResourceLimit::soft(7).to_string(), "7");
        assert_eq!(ResourceLimit::soft(7).with_hard(ResourceLimit::UNLIMITED).to_string(), "7:unlimited");
        assert_eq!(ResourceLimit::new(0).to_string(), "0:0");
    }
}
