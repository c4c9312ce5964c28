// SPDX-License-Identifier: MPL-2.0
//! The user and group of a process by name, which the user database is asked for at each start.

use super::Command;
use super::validation::{invalid, refuse_nul};
use crate::error::{Result, excerpt};

/// The names that are declared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UserNames {
    user: Option<String>,
    group: Option<String>,
}

impl Command {
    /// Sets the user of the process by name, in place of [`Command::credentials`]. Its group is that of the user unless
    /// [`Command::group`] is set, its supplementary groups are all of which the user is a member (initgroups(3)), and HOME, USER
    /// and LOGNAME are set to those of the user, under the manager's `proxy_env` and [`Command::env`]. One of them that
    /// [`Command::unset_env`] names is not set.
    ///
    /// The user database (nsswitch.conf(5)) is asked at each start. A user that it does not have is an error of that start,
    /// which is tried again: it may be created later. Another number for the name does not replace a process that runs.
    #[must_use]
    pub fn user(mut self, name: impl Into<String>) -> Command {
        self.seldom.names.user = Some(name.into());
        self
    }

    /// Sets the group of the process by name, for a [`Command::user`].
    #[must_use]
    pub fn group(mut self, name: impl Into<String>) -> Command {
        self.seldom.names.group = Some(name.into());
        self
    }

    /// The declared name of the user.
    pub fn declared_user(&self) -> Option<&str> {
        self.seldom.names.user.as_deref()
    }

    /// The declared name of the group.
    pub fn declared_group(&self) -> Option<&str> {
        self.seldom.names.group.as_deref()
    }
}

impl UserNames {
    /// None of them.
    pub(super) const NONE: UserNames = UserNames { user: None, group: None };

    /// Checks what can never work.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidConfig`](crate::ErrorCode::InvalidConfig), naming the field.
    pub(super) fn validate(&self, has_credentials: bool) -> Result<()> {
        for (field, name) in [("user", &self.user), ("group", &self.group)] {
            let Some(name) = name else { continue };
            refuse_nul(name.as_ref(), || field.to_owned())?;
            // useradd(8) creates none: a number stands for an id, and not for an account of this name.
            if name.bytes().all(|byte| byte.is_ascii_digit()) {
                let expected = "expected a name, with credentials in its place for numbers";
                return Err(invalid(format!("{field}: {expected}, got \"{}\"", excerpt(name))));
            }
            if has_credentials {
                return Err(invalid(format!("{field}: expected none beside credentials")));
            }
        }
        if self.group.is_some() && self.user.is_none() {
            return Err(invalid("group: expected none without a user"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Credentials;

    #[test]
    fn names_that_can_never_work_are_refused_by_field() {
        let plain = || Command::new("a");
        let cases = [
            (plain().user(""), "user: expected a name, with credentials in its place for numbers, got \"\""),
            (plain().user("0"), "user: expected a name, with credentials in its place for numbers, got \"0\""),
            (plain().user("a\0"), "user: expected no NUL byte"),
            (plain().user("a").group("7"), "group: expected a name"),
            (plain().group("a"), "group: expected none without a user"),
            (plain().user("a").credentials(Credentials::new(1, 1)), "user: expected none beside credentials"),
        ];
        for (command, expected) in cases {
            let error = command.validate().unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
        }
        assert_eq!(plain().user("a").group("b7").validate(), Ok(()));
    }
}
