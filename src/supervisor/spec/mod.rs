//! What one process is started from: its declaration, and what all processes of one owner share.

pub(super) mod base_environment;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::events::EventRing;
use crate::command::Command;
use crate::declaration::{Fingerprint, ProxyConfig, variable};
use crate::defaults;
use crate::error::{Error, ErrorCode, Result};
use crate::logging::Log;
use crate::store::{self, DataDir};
use crate::sys::pid::Pid;
use crate::sys::proc::executable::ProgramName;
use crate::sys::random;
use crate::sys::spawn::program::{Program, Variable};
use base_environment::BaseEnvironment;

/// An origin of those that have no data directory. Without a random source there is none.
pub(crate) fn random_owner_tag() -> Arc<str> {
    random::uuid().unwrap_or_default().into()
}

/// What all processes of one manager or daemon share.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) base_env: BaseEnvironment,
    pub(crate) proxy_env: Vec<(OsString, OsString)>,
    pub(crate) files: Files,
    /// By which a process is known to be of these and not of another agent with the same ids and tokens. The one of a
    /// data directory is the same for the next agent. Without any, nobody is known.
    pub(crate) origin: Arc<str>,
    pub(crate) events: Arc<EventRing>,
    pub(crate) log: Log,
    pub(crate) allow_root: bool,
}

/// Where a process logs and is recorded.
#[derive(Debug, Clone)]
pub(crate) enum Files {
    /// Everything by the proxy's id in a data directory.
    DataDir(Arc<DataDir>),
    /// A daemon alone: what the user named, or nothing.
    Paths { stdout: Option<PathBuf>, stderr: Option<PathBuf>, pid: Option<PathBuf> },
}

/// What one process is started from.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) id: Arc<str>,
    pub(crate) config: Arc<ProxyConfig>,
    pub(crate) context: Arc<Context>,
}

impl Spec {
    /// Whether a process of this one is one of the other as well.
    pub(crate) fn same_process(&self, other: &Spec) -> bool {
        let same_context =
            Arc::ptr_eq(&self.context, &other.context) || self.context.proxy_env == other.context.proxy_env;
        if same_context {
            return Arc::ptr_eq(&self.config, &other.config) || self.config.same_process(&other.config);
        }
        // The manager's variables changed: what counts is what comes out for this proxy.
        self.fingerprint() == other.fingerprint()
    }

    /// The digest of everything declared that the process can see. The agent's own environment is not declared.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let config = &*self.config;
        let command = &config.command;
        let environment = self.declared_environment();
        let credentials = command.declared_credentials().map(|to| format!("{}:{}:{:?}", to.uid, to.gid, to.groups));
        let variables = environment.iter().flat_map(|(name, value)| [*name, *value]).collect::<Vec<&OsStr>>();
        let fingerprint = Fingerprint::new()
            .add(OsStr::new(&*self.id))
            .add_list(command.argv().iter().map(OsString::as_os_str))
            .add_optional(command.declared_dir().map(|dir| dir.as_os_str()))
            .add_list(variables.into_iter())
            .add_optional(credentials.as_deref().map(OsStr::new))
            .add_optional(config.token.as_deref().map(OsStr::new))
            .add_optional(config.target_service.as_deref().map(OsStr::new));
        add_later_fields(fingerprint, command)
    }

    /// What a record of a process that this owner starts says besides who it is.
    pub(crate) fn record_origin(&self) -> store::RecordHeader<'_> {
        let (token, token_generated) = (self.config.token.as_deref(), self.config.token_generated);
        let (stop, fingerprint) = (self.config.stop, self.fingerprint());
        let process_origin = Some(&*self.context.origin).filter(|origin| !origin.is_empty());
        store::RecordHeader { id: &self.id, fingerprint, token, token_generated, stop, process_origin }
    }

    fn declared_environment(&self) -> BTreeMap<&OsStr, &OsStr> {
        let withheld = self.config.command.declared_unset_env();
        let manager = self.context.proxy_env.iter().map(|(name, value)| (&**name, &**value));
        let manager = manager.filter(|(name, _)| !withheld.contains(*name));
        let own = self.config.command.declared_env().iter().map(|(name, value)| (&**name, &**value));
        manager.chain(own).collect()
    }

    /// The environment without what is inherited: the manager's, overridden by the proxy's own, and last the variables
    /// by which the proxy knows itself.
    fn own_environment(&self) -> BTreeMap<&OsStr, &OsStr> {
        let config = &*self.config;
        let mut own = self.declared_environment();
        own.insert(OsStr::new(defaults::ENV_PROXY_ID), OsStr::new(&*self.id));
        own.insert(OsStr::new(defaults::ENV_PROXY_TOKEN), OsStr::new(config.token.as_deref().unwrap_or_default()));
        own.insert(OsStr::new(defaults::ENV_PROXY_ORIGIN), OsStr::new(&*self.context.origin));
        match &config.target_service {
            Some(target) => own.insert(OsStr::new(defaults::ENV_SIDECAR_FOR), OsStr::new(target)),
            None => own.remove(OsStr::new(defaults::ENV_SIDECAR_FOR)),
        };
        own
    }

    /// The first variable that a process has otherwise than it is declared, where `value` says what the process has.
    /// What it inherited does not count unless it is to be withheld, nor does the origin, which an earlier owner may have
    /// given it.
    pub(crate) fn changed_variable<'a>(&self, value: impl Fn(&OsStr) -> Option<&'a OsStr>) -> Option<&OsStr> {
        let sidecar = OsStr::new(defaults::ENV_SIDECAR_FOR);
        let own = self.own_environment();
        let declared = own.iter().filter(|(name, _)| **name != OsStr::new(defaults::ENV_PROXY_ORIGIN));
        let changed = declared.map(|(name, wanted)| (*name, Some(*wanted)));
        // Whom the agent itself stands for is not inherited either.
        let undeclared = (!own.contains_key(sidecar)).then_some((sidecar, None));
        let withheld = self.config.command.declared_unset_env().iter().map(|name| (name.as_os_str(), None));
        changed.chain(undeclared).chain(withheld).find(|(name, wanted)| value(name) != *wanted).map(|(name, _)| name)
    }

    /// The program to execute. What it inherits of the agent's environment, which is neither what is addressed to the agent
    /// nor what is declared to be withheld, is overridden by its own.
    pub(crate) fn program(&self) -> Program<'_> {
        let (command, own) = (&self.config.command, self.own_environment());
        let base_env = (!command.clears_env()).then_some(&self.context.base_env);
        let inherited = base_env.into_iter().flat_map(|base_env| base_env.iter()).filter(|inherited| {
            let name = inherited.name();
            !inherited.is_of_host() && !own.contains_key(name) && !command.declared_unset_env().contains(name)
        });
        let inherited = inherited.map(|inherited| Variable::Prepared(inherited.text()));
        let own = own.iter().map(|(name, value)| Variable::Own(variable(name, value)));
        Program {
            argv: command.argv().to_vec(),
            env: inherited.chain(own).collect(),
            dir: command.declared_dir().map(|dir| dir.clone().into_os_string()),
            credentials: command.declared_credentials().cloned(),
            descriptor_limit: command.declared_descriptor_limit(),
            oom_score_adj: command.declared_oom_score_adj(),
            detached: command.is_detached(),
        }
    }

    /// How the program is named and where it is looked for.
    pub(crate) fn program_name(&self) -> Option<ProgramName> {
        let program = self.program();
        let path = program.env.iter().find_map(|entry| entry.as_bytes().strip_prefix(b"PATH="));
        let path = path.map(|path| OsStr::from_bytes(path).to_owned());
        Some(ProgramName { word: program.argv.first()?.clone(), path, dir: program.dir.map(PathBuf::from) })
    }

    /// Device and inode of the files that the process's output goes to, as far as they are there.
    ///
    /// # Errors
    /// When that cannot be known now.
    pub(crate) fn log_files(&self) -> std::io::Result<Vec<(u64, u64)>> {
        match &self.context.files {
            Files::DataDir(data_dir) => data_dir.log_files(&self.id),
            Files::Paths { stdout, stderr, .. } => {
                let found = [stdout, stderr].into_iter().flatten().filter_map(|path| std::fs::metadata(path).ok());
                Ok(found.map(|file| (file.dev(), file.ino())).collect())
            }
        }
    }

    /// Opens what becomes the process's standard output and error.
    pub(crate) fn open_outputs(&self) -> Result<[OwnedFd; 2]> {
        match &self.context.files {
            Files::DataDir(data_dir) => data_dir.open_logs(&self.id),
            Files::Paths { stdout, stderr, .. } => {
                Ok([store::open_output(stdout.as_deref())?, store::open_output(stderr.as_deref())?])
            }
        }
    }

    /// Whether there is a record of its process, where the owner has records.
    pub(crate) fn is_recorded(&self) -> Result<bool> {
        match &self.context.files {
            Files::DataDir(data_dir) => data_dir.has_record(&self.id),
            Files::Paths { .. } => Ok(true),
        }
    }

    /// Writes the pid file of a process, where the owner has one; in a data directory, unless it is there already.
    pub(crate) fn write_pid_file(&self, pid: Pid) -> Result<()> {
        match &self.context.files {
            Files::DataDir(data_dir) => data_dir.write_pid(&self.id, pid),
            Files::Paths { .. } => self.replace_pid_file(pid),
        }
    }

    /// Writes the pid file of a process that has just been started, where the owner has one.
    pub(crate) fn replace_pid_file(&self, pid: Pid) -> Result<()> {
        match &self.context.files {
            Files::DataDir(data_dir) => data_dir.replace_pid(&self.id, pid),
            Files::Paths { pid: Some(path), .. } => store::replace_file(path, |file| writeln!(file, "{pid}"))
                .map_err(|error| Error::os(ErrorCode::Io, format_args!("write pid file {}", path.display()), &error)),
            Files::Paths { pid: None, .. } => Ok(()),
        }
    }

    /// Whether its process has a pid file.
    pub(crate) fn has_pid_file(&self) -> bool {
        !matches!(self.context.files, Files::Paths { pid: None, .. })
    }

    /// Removes what is on disk of a process that is gone.
    pub(crate) fn clean_up(&self) -> Result<()> {
        match &self.context.files {
            Files::DataDir(data_dir) => data_dir.forget(&self.id),
            Files::Paths { .. } => self.remove_pid_file(),
        }
    }

    /// Removes the pid file of a process that is gone, and not its record.
    pub(crate) fn remove_pid_file(&self) -> Result<()> {
        match &self.context.files {
            Files::DataDir(data_dir) => data_dir.remove_pid(&self.id),
            Files::Paths { pid: Some(path), .. } => match std::fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(Error::os(ErrorCode::Io, format_args!("remove pid file {}", path.display()), &error))
                }
                _ => Ok(()),
            },
            Files::Paths { pid: None, .. } => Ok(()),
        }
    }
}

/// Adds the fields that declarations of earlier versions do not have, those alone that are used: what uses none must keep
/// the digest that is in the records.
fn add_later_fields(fingerprint: Fingerprint, command: &Command) -> Fingerprint {
    let mut fields = vec![];
    fields.extend(command.declared_descriptor_limit().map(|limit| format!("descriptor_limit={limit}")));
    fields.extend(command.declared_oom_score_adj().map(|score| format!("oom_score_adj={score}")));
    fields.extend(command.clears_env().then(|| "clear_env".to_owned()));
    fields.extend(command.is_detached().then(|| "detached".to_owned()));
    let fingerprint = fields.iter().fold(fingerprint, |fingerprint, field| fingerprint.add(OsStr::new(field)));
    let withheld = command.declared_unset_env();
    if withheld.is_empty() {
        return fingerprint;
    }
    fingerprint.add(OsStr::new("unset_env")).add_list(withheld.iter().map(OsString::as_os_str))
}

#[cfg(test)]
impl Spec {
    /// One of a daemon without files.
    pub(crate) fn for_tests(id: &str, config: ProxyConfig) -> Spec {
        let context = Context {
            base_env: BaseEnvironment::of([]),
            proxy_env: vec![],
            files: Files::Paths { stdout: None, stderr: None, pid: None },
            origin: "o".into(),
            events: EventRing::new(1),
            log: Log::new(None),
            allow_root: false,
        };
        Spec { id: id.into(), config: Arc::new(config), context: Arc::new(context) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Credentials;

    fn spec(edit: impl Fn(&mut ProxyConfig), proxy_env: &[(&str, &str)], agent_env: &[(&str, &str)]) -> Spec {
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(OsString, OsString)> {
            pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
        };
        let mut config = ProxyConfig::new(Command::new("/bin/a").env("OWN", "1"));
        config.token = Some("t".to_owned());
        edit(&mut config);
        let context = Context {
            base_env: BaseEnvironment::of(pairs(agent_env)),
            proxy_env: pairs(proxy_env),
            files: Files::Paths { stdout: None, stderr: None, pid: None },
            origin: "o".into(),
            events: EventRing::new(1),
            log: Log::new(None),
            allow_root: false,
        };
        Spec { id: "web".into(), config: Arc::new(config), context: Arc::new(context) }
    }

    #[test]
    fn changed_variable_is_found_among_declared_ones_only() {
        let edit = |config: &mut ProxyConfig| {
            config.target_service = Some("db".to_owned());
            config.command = config.command.clone().unset_env("WITHHELD");
        };
        let spec = spec(edit, &[("ADDR", "1"), ("WITHHELD", "1")], &[("HOME", "/")]);
        let given = |variables: &[(&str, &str)]| {
            let given: BTreeMap<OsString, OsString> =
                variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
            let changed = spec.changed_variable(|name| given.get(name).map(OsString::as_os_str));
            changed.map(|name| name.to_str().unwrap().to_owned())
        };
        let whole = [
            ("ADDR", "1"),
            ("CONNECT_PROXY_ID", "web"),
            ("CONNECT_PROXY_TOKEN", "t"),
            ("CONNECT_SIDECAR_FOR", "db"),
            ("OWN", "1"),
        ];
        assert_eq!(given(&whole), None);
        assert_eq!(given(&[&whole[..], &[("HOME", "/root"), ("CONNECT_PROXY_ORIGIN", "other")]].concat()), None);
        assert_eq!(given(&[&whole[..], &[("WITHHELD", "1")]].concat()).as_deref(), Some("WITHHELD"));
        for (index, (name, _)) in whole.iter().enumerate() {
            let mut other = whole.to_vec();
            other[index].1 = "2";
            assert_eq!(given(&other).as_deref(), Some(*name));
            other.remove(index);
            assert_eq!(given(&other).as_deref(), Some(*name));
        }
    }

    #[test]
    fn each_environment_overrides_the_one_before() {
        let agent =
            [("A", "agent"), ("B", "agent"), ("OWN", "agent"), ("CONNECT_PROXY_ID", "x"), ("CONNECT_SIDECAR_FOR", "x")];
        let spec = spec(|_| {}, &[("B", "manager"), ("OWN", "manager")], &agent);
        let own = ["CONNECT_PROXY_ID=web", "CONNECT_PROXY_ORIGIN=o", "CONNECT_PROXY_TOKEN=t"];
        assert_eq!(environment(&spec), [&["A=agent", "B=manager"], &own[..], &["OWN=1"]].concat());
    }

    fn environment(spec: &Spec) -> Vec<String> {
        spec.program().env.iter().map(|text| String::from_utf8(text.as_bytes().to_vec()).unwrap()).collect()
    }

    #[test]
    fn variables_of_the_host_and_withheld_ones_are_not_inherited() {
        let agent = [("A", "agent"), ("B", "agent"), ("NOTIFY_SOCKET", "agent"), ("LISTEN_PID", "agent")];
        let manager = [("B", "manager"), ("C", "manager"), ("LISTEN_PID", "manager")];
        let environment = |edit: fn(Command) -> Command| {
            let mut found =
                environment(&spec(|config| config.command = edit(config.command.clone()), &manager, &agent));
            found.retain(|text| !text.starts_with("CONNECT_"));
            found.join(" ")
        };
        assert_eq!(environment(|command| command), "A=agent B=manager C=manager LISTEN_PID=manager OWN=1");
        let withheld = environment(|command| command.unset_env("A").unset_env("C").env("NOTIFY_SOCKET", "own"));
        assert_eq!(withheld, "B=manager LISTEN_PID=manager NOTIFY_SOCKET=own OWN=1");
        let cleared = environment(|command| command.clear_env().unset_env("LISTEN_PID"));
        assert_eq!(cleared, "B=manager C=manager OWN=1");
    }

    /// Fault J of the original: one new variable in the agent's environment restarted every proxy.
    #[test]
    fn fault_j_only_what_is_declared_makes_another_process() {
        let base = spec(|_| {}, &[], &[]);
        let same = [
            spec(|_| {}, &[], &[("INVOCATION_ID", "new")]),
            spec(|config| config.stop.grace_period *= 2, &[], &[]),
            spec(|config| config.stop.leftover_grace = std::time::Duration::MAX, &[], &[]),
            spec(|config| config.restart.jitter = 1.0, &[], &[]),
            spec(|_| {}, &[("OWN", "overridden anyway")], &[]),
        ];
        for other in &same {
            assert!(base.same_process(other));
            assert_eq!(base.fingerprint(), other.fingerprint());
        }
        let credentials = Credentials { uid: 1, gid: 1, groups: vec![] };
        let different = [
            spec(|config| config.command = config.command.clone().arg("x"), &[], &[]),
            spec(|config| config.command = config.command.clone().dir("/"), &[], &[]),
            spec(|config| config.command = config.command.clone().env("X", ""), &[], &[]),
            spec(|config| config.command = config.command.clone().credentials(credentials.clone()), &[], &[]),
            spec(|config| config.token = Some("u".to_owned()), &[], &[]),
            spec(|config| config.target_service = Some("s".to_owned()), &[], &[]),
            spec(|_| {}, &[("X", "")], &[]),
        ];
        for other in &different {
            assert!(!base.same_process(other), "{other:?}");
            assert_ne!(base.fingerprint(), other.fingerprint());
        }
    }

    #[test]
    fn each_later_field_makes_another_process() {
        let with =
            |edit: fn(Command) -> Command| spec(|config| config.command = edit(config.command.clone()), &[], &[]);
        let different = [
            with(|command| command),
            with(|command| command.unset_env("X")),
            with(|command| command.unset_env("X").unset_env("Y")),
            with(Command::clear_env),
            with(Command::detached),
            with(|command| command.clear_env().detached()),
            with(|command| command.descriptor_limit(1)),
            with(|command| command.descriptor_limit(2)),
            with(|command| command.oom_score_adj(0)),
            with(|command| command.oom_score_adj(-1)),
        ];
        for (index, other) in different.iter().enumerate() {
            for one in &different[..index] {
                assert!(!one.same_process(other), "{other:?}");
                assert_ne!(one.fingerprint(), other.fingerprint(), "{other:?}");
            }
        }
    }

    /// Records of earlier versions hold these digests: with others, every process would be replaced by an upgrade.
    #[test]
    fn fingerprints_of_declarations_without_later_fields_are_those_of_earlier_versions() {
        let bare = spec(|_| {}, &[], &[]);
        assert_eq!(bare.fingerprint().to_string(), "56d0c65d354f495d9861834a6dd9db3c");
        let credentials = Credentials { uid: 1, gid: 2, groups: vec![3, 4] };
        let whole = |config: &mut ProxyConfig| {
            let command = Command::new("/bin/a").args(["b", ""]).dir("/tmp").env("A", "b=c");
            config.command = command.credentials(credentials.clone());
            config.target_service = Some("s".to_owned());
        };
        let whole = spec(whole, &[("A", "manager"), ("B", "manager")], &[]);
        assert_eq!(whole.fingerprint().to_string(), "bbb945a5f9095aeff1232bbeb8b87f29");
    }
}
