// SPDX-License-Identifier: MPL-2.0
//! What is known about the tag of a proxy's processes: the id, the secret token and the owner tag in their environment;
//! or, if a program clears its environment, only the logs, open for writing.

use std::io;
use std::os::unix::fs::MetadataExt;

use crate::defaults;
use crate::lifecycle::generation::Generation;
use crate::lifecycle::start_numbers::{Epoch, StartNumbers};
use crate::sys::fail;
use crate::sys::proc::{environ, fdinfo};

/// By what a process of a proxy is known.
#[derive(Debug, Clone)]
pub(crate) struct KnownTag<'a> {
    pub(crate) id: &'a str,
    pub(crate) token: Option<&'a str>,
    pub(crate) owner_tag: KnownOwner<'a>,
    /// Device and inode of its logs.
    pub(crate) logs: Vec<(u64, u64)>,
}

/// Which owner tag the processes have. Those of another agent can have the same id and token.
#[derive(Debug, Clone, Copy)]
pub(crate) enum KnownOwner<'a> {
    Known(&'a str),
    /// This one or none: processes of Consul's and of earlier versions have none.
    OwnOrNone(&'a str),
    Any,
}

impl KnownOwner<'_> {
    fn is(self, found: Option<&[u8]>) -> bool {
        let found = found.filter(|found| !found.is_empty());
        match self {
            KnownOwner::Known(owner_tag) => found == Some(owner_tag.as_bytes()),
            KnownOwner::OwnOrNone(own) => found.is_none_or(|found| found == own.as_bytes()),
            KnownOwner::Any => true,
        }
    }
}

/// What the environment of a process shows of its tag.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) token: Option<String>,
    pub(crate) owner_tag: Option<String>,
    pub(crate) numbers: StartNumbers,
}

impl Shown {
    /// What a process shows.
    pub(crate) fn by(pid: i32) -> io::Result<Shown> {
        Ok(Shown::within(&std::fs::read(format!("/proc/{pid}/environ"))?))
    }

    pub(super) fn within(environment: &[u8]) -> Shown {
        let text = |name: &str| {
            let value = environ::value(environment, name.as_bytes()).filter(|value| !value.is_empty());
            value.map(|value| String::from_utf8_lossy(value).into_owned())
        };
        let epoch = number(environment, defaults::ENV_PROXY_EPOCH).map_or(Epoch::FIRST, Epoch::of);
        let numbers = StartNumbers { generation: generation_within(environment), epoch };
        Shown { token: text(defaults::ENV_PROXY_TOKEN), owner_tag: text(defaults::ENV_PROXY_ORIGIN), numbers }
    }
}

/// The generation that an environment shows.
pub(super) fn generation_within(environment: &[u8]) -> Generation {
    number(environment, defaults::ENV_PROXY_GENERATION).map_or(Generation::UNKNOWN, Generation::of)
}

fn number(environment: &[u8], name: &str) -> Option<u64> {
    std::str::from_utf8(environ::value(environment, name.as_bytes())?).ok()?.parse().ok()
}

impl KnownTag<'_> {
    /// Whether the process has any of them.
    pub(crate) fn are_on(&self, pid: i32) -> io::Result<bool> {
        Ok(self.are_in_environment_of(pid)? || self.are_open_in(pid)?)
    }

    /// Whether everything that is known is in the environment of the process. The id alone proves nothing.
    fn are_in_environment_of(&self, pid: i32) -> io::Result<bool> {
        fail::failing("environ:read")?;
        let environment = std::fs::read(format!("/proc/{pid}/environ"))?;
        Ok(self.are_in(&environment))
    }

    fn are_in(&self, environment: &[u8]) -> bool {
        let token = self.token.filter(|token| !token.is_empty());
        let has = |name: &str, value: &str| environ::has(environment, name, value);
        (token.is_some() || matches!(self.owner_tag, KnownOwner::Known(_)))
            && has(defaults::ENV_PROXY_ID, self.id)
            && token.is_none_or(|token| has(defaults::ENV_PROXY_TOKEN, token))
            && self.owner_tag.is(environ::value(environment, defaults::ENV_PROXY_ORIGIN.as_bytes()))
    }

    /// Whether the process has one of the logs open as we opened it: for writing alone, unlike a process that reads or
    /// rotates it.
    fn are_open_in(&self, pid: i32) -> io::Result<bool> {
        fail::failing("descriptors:list")?;
        for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
            let entry = entry?;
            // What was closed meanwhile is as good as never open.
            let Ok(file) = std::fs::metadata(entry.path()) else { continue };
            let is_log = self.logs.contains(&(file.dev(), file.ino()));
            if is_log && fdinfo::access_mode(pid, &entry.file_name())? == Some(libc::O_WRONLY) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_without_numbers_shows_no_generation_and_the_first_epoch() {
        let shown = |text: &[u8]| Shown::within(text);
        let whole =
            b"CONNECT_PROXY_EPOCH=2\0CONNECT_PROXY_GENERATION=7\0CONNECT_PROXY_ORIGIN=o\0CONNECT_PROXY_TOKEN=t\0";
        let of = |token: Option<&str>, owner_tag: Option<&str>, generation, epoch| {
            let (token, owner_tag) = (token.map(str::to_owned), owner_tag.map(str::to_owned));
            let numbers = StartNumbers { generation: Generation::of(generation), epoch: Epoch::of(epoch) };
            Shown { token, owner_tag, numbers }
        };
        assert_eq!(shown(whole), of(Some("t"), Some("o"), 7, 2));
        assert_eq!(shown(b"CONNECT_PROXY_TOKEN=t\0CONNECT_PROXY_ORIGIN=\0"), of(Some("t"), None, 0, 0));
        for damaged in [
            &b"CONNECT_PROXY_GENERATION=\0"[..],
            b"CONNECT_PROXY_GENERATION=x\0",
            b"CONNECT_PROXY_GENERATION=-1\0CONNECT_PROXY_EPOCH=-1",
        ] {
            assert_eq!(shown(damaged), of(None, None, 0, 0));
        }
    }

    #[test]
    fn environment_proves_only_with_all_that_is_known() {
        let text = b"A=1\0CONNECT_PROXY_ID=web\0CONNECT_PROXY_TOKEN=t\0CONNECT_PROXY_ORIGIN=o\0";
        let are_in = |id, token, owner_tag| KnownTag { id, token, owner_tag, logs: vec![] }.are_in(text);
        assert!(are_in("web", Some("t"), KnownOwner::Known("o")));
        assert!(are_in("web", Some("t"), KnownOwner::OwnOrNone("o")));
        assert!(are_in("web", Some("t"), KnownOwner::Any));
        assert!(are_in("web", None, KnownOwner::Known("o")));
        assert!(are_in("web", Some(""), KnownOwner::Known("o")));
        assert!(!are_in("we", Some("t"), KnownOwner::Known("o")));
        assert!(!are_in("web", Some("u"), KnownOwner::Known("o")));
        for of_another_agent in [KnownOwner::Known("p"), KnownOwner::OwnOrNone("p")] {
            assert!(!are_in("web", Some("t"), of_another_agent));
        }
        for the_id_alone in [KnownOwner::OwnOrNone("o"), KnownOwner::Any] {
            assert!(!are_in("web", None, the_id_alone) && !are_in("web", Some(""), the_id_alone));
        }
        let consul = b"CONNECT_PROXY_ID=web\0CONNECT_PROXY_TOKEN=t\0";
        let are_in = |owner_tag| KnownTag { id: "web", token: Some("t"), owner_tag, logs: vec![] }.are_in(consul);
        assert!(are_in(KnownOwner::OwnOrNone("o")) && are_in(KnownOwner::Any) && !are_in(KnownOwner::Known("o")));
    }
}
