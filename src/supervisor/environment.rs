//! The environment that processes inherit.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;

use crate::declaration::variable;

/// The agent's environment, as it was when the manager or daemon was created. Reading it later, on our threads, would
/// race with a host that changes it.
///
/// It is kept in the kernel's form: each process inherits it, and almost all of it.
#[derive(Debug, Clone)]
pub(crate) struct BaseEnvironment(Arc<[Inherited]>);

/// One variable of it.
#[derive(Debug)]
pub(crate) struct Inherited {
    text: CString,
    name_length: usize,
}

impl Inherited {
    /// Nothing with a NUL comes out of an environment.
    fn new(name: &OsStr, value: &OsStr) -> Option<Inherited> {
        let text = CString::new(variable(name, value).into_vec()).ok()?;
        Some(Inherited { text, name_length: name.len() })
    }

    pub(crate) fn name(&self) -> &OsStr {
        OsStr::from_bytes(&self.text.as_bytes()[..self.name_length])
    }

    pub(crate) fn value(&self) -> &OsStr {
        OsStr::from_bytes(&self.text.as_bytes()[self.name_length + 1..])
    }

    /// `NAME=value`.
    pub(crate) fn text(&self) -> &CStr {
        &self.text
    }
}

impl BaseEnvironment {
    /// The agent's environment at this moment.
    pub(crate) fn capture() -> BaseEnvironment {
        BaseEnvironment::of(std::env::vars_os())
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

#[cfg(test)]
mod tests {
    use super::*;

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
