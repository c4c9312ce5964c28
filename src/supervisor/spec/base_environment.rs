// SPDX-License-Identifier: MPL-2.0
//! The environment that processes inherit.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::declaration::variable;
use crate::defaults::{ENV_SIDECAR_FOR, HOST_VARIABLES};
use crate::sys::fork_safe::PerProcess;

/// The agent's environment, as it was when the manager or daemon was created. Reading it later, on our threads, would
/// race with a host that changes it.
///
/// It is kept in the kernel's form: each process inherits it, and almost all of it.
#[derive(Debug, Clone)]
pub(crate) struct BaseEnvironment(Arc<[Inherited]>);

/// The one that was captured last, while it is in use: a host of many daemons has one environment, which may be large.
#[derive(Debug, Default)]
struct Last(Mutex<Option<Weak<[Inherited]>>>);

static LAST: PerProcess<Last> = PerProcess::new(Last::default);

/// One variable of it.
#[derive(Debug, PartialEq)]
pub(crate) struct Inherited {
    text: CString,
    name_length: usize,
    is_of_host: bool,
}

impl Inherited {
    /// Nothing with a NUL comes out of an environment.
    fn new(name: &OsStr, value: &OsStr) -> Option<Inherited> {
        let text = CString::new(variable(name, value).into_vec()).ok()?;
        Some(Inherited { text, name_length: name.len(), is_of_host: is_of_host(name) })
    }

    pub(crate) fn name(&self) -> &OsStr {
        OsStr::from_bytes(&self.text.as_bytes()[..self.name_length])
    }

    pub(crate) fn value(&self) -> &OsStr {
        OsStr::from_bytes(&self.text.as_bytes()[self.name_length + 1..])
    }

    /// Whether it is addressed to the agent, and so not inherited by processes.
    pub(crate) fn is_of_host(&self) -> bool {
        self.is_of_host
    }

    /// `NAME=value`.
    pub(crate) fn text(&self) -> &CStr {
        &self.text
    }
}

/// Whether a variable of the agent's is addressed to the agent itself. An agent that is a sidecar must not pass on
/// which service it is for, either.
pub(crate) fn is_of_host(name: &OsStr) -> bool {
    HOST_VARIABLES.iter().chain([&ENV_SIDECAR_FOR]).any(|of_host| *of_host == name)
}

impl BaseEnvironment {
    /// The agent's environment at this moment.
    pub(crate) fn capture() -> BaseEnvironment {
        LAST.get().share(BaseEnvironment::of(std::env::vars_os()))
    }

    /// Of two variables of one name the last one counts.
    pub(crate) fn of(variables: impl IntoIterator<Item = (OsString, OsString)>) -> BaseEnvironment {
        let by_name: std::collections::BTreeMap<OsString, OsString> = variables.into_iter().collect();
        BaseEnvironment(by_name.into_iter().filter_map(|(name, value)| Inherited::new(&name, &value)).collect())
    }

    /// All variables, by name.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Inherited> {
        self.0.iter()
    }

    /// Whether a variable has this value.
    pub(crate) fn has(&self, name: &OsStr, value: &OsStr) -> bool {
        let at = self.0.binary_search_by(|inherited| inherited.name().cmp(name));
        at.ok().and_then(|at| self.0.get(at)).is_some_and(|inherited| inherited.value() == value)
    }
}

impl Last {
    /// The same as the last one if it is.
    fn share(&self, captured: BaseEnvironment) -> BaseEnvironment {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match last.as_ref().and_then(Weak::upgrade) {
            Some(same) if same == captured.0 => BaseEnvironment(same),
            _ => {
                *last = Some(Arc::downgrade(&captured.0));
                captured
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BaseEnvironment {
        BaseEnvironment::of(pairs.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn an_environment_that_is_still_the_same_is_kept_once_and_a_changed_one_anew() {
        let last = Last::default();
        let first = last.share(environment(&[("A", "1"), ("B", "2")]));
        let same = last.share(environment(&[("B", "2"), ("A", "1")]));
        assert!(Arc::ptr_eq(&first.0, &same.0));
        let others =
            [&[("A", "1"), ("B", "3")][..], &[("A", "1")], &[("A", "1"), ("B", "2"), ("C", "")], &[("A=1", "")]];
        for other in others {
            let changed = last.share(environment(other));
            assert_eq!(changed.0, environment(other).0);
            assert!(Arc::ptr_eq(&changed.0, &last.share(environment(other)).0), "from now on it is the last one");
        }
        let again = last.share(environment(&[("A", "1"), ("B", "2")]));
        assert_eq!(again.0, first.0);
        drop((first, same, again));
        let left = last.0.lock().unwrap().as_ref().map(Weak::strong_count);
        assert_eq!(left, Some(0), "it is not kept when nothing uses it");
    }

    #[test]
    fn a_variable_has_the_last_value_that_it_was_given() {
        let pairs = [("B", "1=2"), ("A", ""), ("B", "=")].map(|(name, value)| (name.into(), value.into()));
        let base = BaseEnvironment::of(pairs);
        let texts: Vec<&CStr> = base.iter().map(Inherited::text).collect();
        assert_eq!(texts, [c"A=", c"B=="]);
        let has = |name: &str, value: &str| base.has(OsStr::new(name), OsStr::new(value));
        assert!(has("A", "") && has("B", "=") && !has("B", "1=2") && !has("C", ""));
    }
}
