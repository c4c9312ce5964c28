//! What only processes of a proxy have: the id, the secret token and the origin in their environment, inherited from the
//! first one; or, where a program clears its environment, the logs, open for writing alone.

use std::io;
use std::os::unix::fs::MetadataExt;

use crate::defaults;
use crate::sys::{environ, fail, fdinfo};

/// By what a process of a proxy is known.
#[derive(Debug, Clone)]
pub(super) struct Marks<'a> {
    pub(super) id: &'a str,
    pub(super) token: Option<&'a str>,
    /// The origin that its processes have, where it is known. Others can have the same id and token.
    pub(super) origin: Option<&'a str>,
    /// Device and inode of its logs.
    pub(super) logs: Vec<(u64, u64)>,
}

impl Marks<'_> {
    /// Whether the process has any of them.
    pub(super) fn are_on(&self, pid: i32) -> io::Result<bool> {
        Ok(self.are_in_environment_of(pid)? || self.are_open_in(pid)?)
    }

    /// Whether all that is known is in the environment of the process. The id alone proves nothing.
    fn are_in_environment_of(&self, pid: i32) -> io::Result<bool> {
        fail::failing("environ:read")?;
        let environment = std::fs::read(format!("/proc/{pid}/environ"))?;
        Ok(self.are_in(&environment))
    }

    fn are_in(&self, environment: &[u8]) -> bool {
        let token = self.token.filter(|token| !token.is_empty());
        let has = |name: &str, value: Option<&str>| value.is_none_or(|value| environ::has(environment, name, value));
        (token.is_some() || self.origin.is_some())
            && has(defaults::ENV_PROXY_ID, Some(self.id))
            && has(defaults::ENV_PROXY_TOKEN, token)
            && has(defaults::ENV_PROXY_ORIGIN, self.origin)
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
    fn environment_proves_only_with_all_that_is_known() {
        let text = b"A=1\0CONNECT_PROXY_ID=web\0CONNECT_PROXY_TOKEN=t\0CONNECT_PROXY_ORIGIN=o\0";
        let are_in = |id, token, origin| Marks { id, token, origin, logs: vec![] }.are_in(text);
        assert!(are_in("web", Some("t"), Some("o")));
        assert!(are_in("web", Some("t"), None));
        assert!(are_in("web", None, Some("o")));
        assert!(are_in("web", Some(""), Some("o")));
        assert!(!are_in("we", Some("t"), Some("o")));
        assert!(!are_in("web", Some("u"), Some("o")));
        assert!(!are_in("web", Some("t"), Some("p")), "of another agent with the same id and token");
        assert!(!are_in("web", None, None), "the id alone is no secret");
        assert!(!are_in("web", Some(""), None));
    }
}
