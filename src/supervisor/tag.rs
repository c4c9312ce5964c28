//! By what the processes of a proxy are known wherever they go: what they inherited in their environment.

use std::io;

use super::progress::{Progress, Unreadable};
use crate::defaults;
use crate::sys::identity::Pid;
use crate::sys::{environ, is_exhausted};

/// The process tag: the id, token and origin of a proxy in the environment of its processes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ProcessTag {
    pub(super) id: Box<[u8]>,
    pub(super) token: Box<[u8]>,
    pub(super) origin: Box<[u8]>,
}

impl ProcessTag {
    pub(super) fn new(id: &str, token: &str, origin: &str) -> ProcessTag {
        let [id, token, origin] = [id, token, origin].map(|text| text.as_bytes().into());
        ProcessTag { id, token, origin }
    }

    /// The tag in the text of an environment. Without an origin there is none.
    fn within(environment: &[u8]) -> Option<ProcessTag> {
        let value = |name: &str| environ::value(environment, name.as_bytes());
        let origin = value(defaults::ENV_PROXY_ORIGIN).filter(|origin| !origin.is_empty())?;
        let (id, token) = (value(defaults::ENV_PROXY_ID)?, value(defaults::ENV_PROXY_TOKEN)?);
        Some(ProcessTag { id: id.into(), token: token.into(), origin: origin.into() })
    }

    /// The tag of a process.
    ///
    /// # Errors
    /// When it cannot be known now.
    fn of(pid: Pid, buffer: &mut Vec<u8>) -> io::Result<Option<ProcessTag>> {
        match environ::read_with(pid.as_raw(), defaults::ENV_PROXY_ORIGIN.as_bytes(), buffer) {
            Ok(environment) => Ok(environment.and_then(ProcessTag::within)),
            // Only scarcity is a reason to ask again: any other error of one file of a stranger must not delay every stop.
            Err(error) if is_exhausted(&error) => Err(error),
            // It has ended, or it is another user's: then it could not be signalled either.
            Err(_) => Ok(None),
        }
    }
}

/// Reads tags, which can take for ever, and publishes which process it is reading.
#[derive(Debug, Clone, Copy)]
pub(super) struct TagReader<'a> {
    pub(super) progress: &'a Progress,
    pub(super) unreadable: &'a Unreadable,
}

impl TagReader<'_> {
    pub(super) fn tag_of(self, pid: Pid, buffer: &mut Vec<u8>) -> io::Result<Option<ProcessTag>> {
        let tag = self.progress.read(pid, || ProcessTag::of(pid, buffer));
        self.unreadable.remove(pid);
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] = b"A=1\0CONNECT_PROXY_ID=web\0CONNECT_PROXY_TOKEN=t\0CONNECT_PROXY_ORIGIN=o\0B=2\0";

    #[test]
    fn a_tag_is_complete_or_none() {
        assert_eq!(ProcessTag::within(WHOLE), Some(ProcessTag::new("web", "t", "o")));
        for missing in ["CONNECT_PROXY_ID=web\0", "CONNECT_PROXY_TOKEN=t\0", "CONNECT_PROXY_ORIGIN=o\0", "o"] {
            let text = String::from_utf8(WHOLE.to_vec()).unwrap().replacen(missing, "", 1);
            assert_eq!(ProcessTag::within(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(ProcessTag::within(b""), None);
    }
}
