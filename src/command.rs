//! What to run: program, arguments, directory, environment, credentials. Pure data, validated, compared as declared.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::error::{Error, ErrorCode, Result, excerpt};

/// The command of a proxy, as the agent declares it.
///
/// Arguments, paths and environment are bytes: no encoding is assumed. A program without a `/` is looked up in the
/// `PATH` that the process itself will have, a relative one with a `/` below its working directory. A script needs a `#!`
/// line: no shell is asked to run it.
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
    dir: Option<PathBuf>,
    env: BTreeMap<OsString, OsString>,
    credentials: Option<Credentials>,
}

/// The user and groups that a process runs as; only a privileged agent can give others than its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User id: real, effective and saved.
    pub uid: u32,
    /// Group id: real, effective and saved.
    pub gid: u32,
    /// All supplementary groups; the agent's own are dropped.
    pub groups: Vec<u32>,
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
        self.dir = Some(dir.into());
        self
    }

    /// Sets one environment variable over what the manager and the agent give.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Command {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Sets the user and groups of the process.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Command {
        self.credentials = Some(credentials);
        self
    }

    /// The program and its arguments.
    pub fn argv(&self) -> &[OsString] {
        &self.argv
    }

    /// The declared working directory.
    pub fn declared_dir(&self) -> Option<&PathBuf> {
        self.dir.as_ref()
    }

    /// The declared environment, by name.
    pub fn declared_env(&self) -> &BTreeMap<OsString, OsString> {
        &self.env
    }

    /// The declared user and groups.
    pub fn declared_credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// Whether a process of this command runs as root when the agent's effective user is `agent_euid`.
    pub(crate) fn runs_as_root(&self, agent_euid: u32) -> bool {
        self.credentials.as_ref().map_or(agent_euid, |credentials| credentials.uid) == 0
    }

    /// Checks what can never work: an empty command, a NUL byte, a variable without a name.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidConfig`], naming the field.
    pub fn validate(&self) -> Result<()> {
        match self.argv.first() {
            None => return Err(invalid("command: expected a program and its arguments, got an empty list")),
            Some(program) if program.is_empty() => {
                return Err(invalid("command[0]: expected a program, got an empty string"));
            }
            Some(_) => {}
        }
        for (index, word) in self.argv.iter().enumerate() {
            refuse_nul(word, || format!("command[{index}]"))?;
        }
        if let Some(dir) = &self.dir {
            refuse_nul(dir.as_os_str(), || "dir".to_owned())?;
            if dir.as_os_str().is_empty() {
                return Err(invalid("dir: expected a path, got an empty string"));
            }
        }
        for (name, value) in &self.env {
            validate_variable(name, value).map_err(|error| error.within("env"))?;
        }
        Ok(())
    }
}

/// Checks one environment variable: a name that is not empty and has no `=`, and no NUL anywhere.
pub(crate) fn validate_variable(name: &OsStr, value: &OsStr) -> Result<()> {
    if name.is_empty() || name.as_bytes().contains(&b'=') {
        return Err(invalid(format!("expected NAME=value, got the name \"{}\"", shown(name))));
    }
    refuse_nul(name, || format!("name \"{}\"", shown(name)))?;
    refuse_nul(value, || format!("value of {}", shown(name)))
}

fn shown(name: &OsStr) -> String {
    excerpt(&name.to_string_lossy()).to_string()
}

fn refuse_nul(text: &OsStr, field: impl Fn() -> String) -> Result<()> {
    match text.as_bytes().iter().position(|&byte| byte == 0) {
        None => Ok(()),
        Some(at) => Err(invalid(format!("{}: expected no NUL byte, got one at offset {at}", field()))),
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::InvalidConfig, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_never_work_is_refused_and_the_field_named() {
        let cases = [
            (Command::from_argv(Vec::<OsString>::new()), "command: expected a program"),
            (Command::new(""), "command[0]: expected a program"),
            (Command::new("a").arg("b\0c"), "command[1]: expected no NUL byte, got one at offset 1"),
            (Command::new("a").dir("x\0"), "dir: expected no NUL byte"),
            (Command::new("a").dir(""), "dir: expected a path"),
            (Command::new("a").env("", "v"), "env: expected NAME=value"),
            (Command::new("a").env("A=B", "v"), "env: expected NAME=value"),
            (Command::new("a").env("A", "v\0"), "env: value of A: expected no NUL byte"),
        ];
        for (command, expected) in cases {
            let error = command.validate().unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidConfig);
            assert!(error.to_string().starts_with(expected), "{error}");
        }
    }

    #[test]
    fn a_declared_user_decides_whether_it_is_root() {
        let nobody = Command::new("a").credentials(Credentials { uid: 65534, gid: 65534, groups: vec![] });
        assert!(!nobody.runs_as_root(0));
        assert!(Command::new("a").runs_as_root(0));
        assert!(!Command::new("a").runs_as_root(1000));
    }
}
