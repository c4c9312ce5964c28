// SPDX-License-Identifier: MPL-2.0
//! The user of a process: declared by number, or by a name that is looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Spec;
use crate::command::Credentials;
use crate::defaults::LOOKUP_PATIENCE;
use crate::error::{Error, ErrorCode, Result};
use crate::sys::account::{self, Account};
use crate::sys::pid::{effective_uid, has_root_uid};
use crate::sys::spawn::program::Program;

/// The numbers that users had when they were last looked up, by name: for threads that must not block.
#[derive(Debug, Default)]
pub(crate) struct KnownUsers(Mutex<Users>);

#[derive(Debug, Default)]
struct Users {
    uids: BTreeMap<String, u32>,
    to_learn: BTreeSet<String>,
    is_learning: bool,
}

impl KnownUsers {
    /// Looks a user up. Errors are those of its next start.
    ///
    /// One thread looks all of them up, one after another, for a user database that does not answer may hold up no more.
    pub(crate) fn learn(&self, user: &str) {
        let mut users = self.all();
        users.to_learn.insert(user.to_owned());
        if std::mem::replace(&mut users.is_learning, true) {
            return;
        }
        while let Some(user) = users.to_learn.pop_first() {
            if users.uids.contains_key(&user) {
                continue;
            }
            drop(users);
            let account = account::look_up(&user, None, Duration::MAX);
            users = self.all();
            if let Ok(account) = account {
                users.uids.insert(user, account.uid);
            }
        }
        users.is_learning = false;
    }

    fn all(&self) -> MutexGuard<'_, Users> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spec {
    /// The user that its process runs as. `None` if that is declared by a name that was never looked up.
    pub(crate) fn known_uid(&self) -> Option<u32> {
        let command = &self.config.command;
        match (command.declared_user(), command.declared_credentials()) {
            (Some(user), _) => self.context.users.all().uids.get(user).copied(),
            (None, Some(credentials)) => Some(credentials.uid),
            (None, None) => Some(effective_uid()),
        }
    }

    /// The same for a thread that may block: a name that was not looked up yet is.
    ///
    /// # Errors
    /// As [`account::look_up`].
    pub(crate) fn look_up_uid(&self) -> io::Result<u32> {
        match (self.known_uid(), self.config.command.declared_user()) {
            (Some(uid), _) => Ok(uid),
            (None, Some(user)) => self.account(user).map(|account| account.uid),
            (None, None) => Ok(effective_uid()),
        }
    }

    /// The user that was never looked up, if there is one, and where to note it.
    pub(crate) fn unknown_user(&self) -> Option<(Arc<KnownUsers>, String)> {
        let user = self.config.command.declared_user().filter(|_| self.known_uid().is_none())?;
        Some((self.context.users.clone(), user.to_owned()))
    }

    /// Has a program run as the user that is declared by name, if one is, with the variables of that.
    ///
    /// # Errors
    /// [`ErrorCode::StartFailed`]: the user or group cannot be found, or not now. [`ErrorCode::RootRefused`]: it is root, and its owner does
    /// not allow that.
    pub(crate) fn become_user(&self, program: &mut Program<'_>) -> Result<()> {
        let command = &self.config.command;
        let Some(user) = command.declared_user() else { return Ok(()) };
        let account = self.account(user).map_err(|error| Error::new(ErrorCode::StartFailed, error.to_string()))?;
        if account.uid == 0 && !self.context.allow_root {
            return Err(root_refused());
        }
        let (declared, withheld) = (self.declared_environment(), command.declared_unset_env());
        for (name, value) in [("HOME", &*account.home), ("USER", OsStr::new(user)), ("LOGNAME", OsStr::new(user))] {
            if !declared.contains_key(OsStr::new(name)) && !withheld.contains(OsStr::new(name)) {
                program.set_variable(name, value);
            }
        }
        let Account { uid, gid, groups, .. } = account;
        program.credentials = Some(Credentials { uid, gid, groups });
        Ok(())
    }

    fn account(&self, user: &str) -> io::Result<Account> {
        let account = account::look_up(user, self.config.command.declared_group(), LOOKUP_PATIENCE)?;
        self.context.users.all().uids.insert(user.to_owned(), account.uid);
        Ok(account)
    }

    /// # Errors
    /// [`ErrorCode::RootRefused`]: it would run as root, and its owner does not allow that. Of a user that is declared by name
    /// see [`Spec::become_user`].
    pub(crate) fn refuse_root(&self) -> Result<()> {
        if !self.context.allow_root && self.config.command.runs_as_root(has_root_uid()) {
            return Err(root_refused());
        }
        Ok(())
    }
}

fn root_refused() -> Error {
    let message = "refused to run a proxy as root: declare credentials of another user, or set allow_root";
    Error::new(ErrorCode::RootRefused, message)
}
