// SPDX-License-Identifier: MPL-2.0
//! The program, arguments and environment of a process.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::Spec;
use crate::declaration::placeholders::filled;
use crate::declaration::set_variables::is_set_by_listen;
use crate::declaration::{Listen, variable};
use crate::defaults;
use crate::lifecycle::start_numbers::StartNumbers;
use crate::sys::pid::Pid;
use crate::sys::proc::executable::ProgramName;
use crate::sys::spawn::program::{Program, Variable};

impl Spec {
    pub(super) fn declared_environment(&self) -> BTreeMap<&OsStr, &OsStr> {
        let withheld = self.config.command.declared_unset_env();
        let manager = self.context.proxy_env.iter().map(|(name, value)| (&**name, &**value));
        let manager = manager.filter(|(name, _)| !withheld.contains(*name));
        let own = self.config.command.declared_env().iter().map(|(name, value)| (&**name, &**value));
        manager.chain(own).collect()
    }

    /// The environment without what is inherited: the manager's, overridden by the proxy's own, and last the variables
    /// by which the proxy knows itself.
    pub(super) fn own_environment(&self) -> BTreeMap<&OsStr, &OsStr> {
        let config = &*self.config;
        let mut own = self.declared_environment();
        own.insert(OsStr::new(defaults::ENV_PROXY_ID), OsStr::new(&*self.id));
        own.insert(OsStr::new(defaults::ENV_PROXY_TOKEN), OsStr::new(config.token.as_deref().unwrap_or_default()));
        own.insert(OsStr::new(defaults::ENV_PROXY_ORIGIN), OsStr::new(&*self.context.owner_tag));
        match &config.target_service {
            Some(target) => own.insert(OsStr::new(defaults::ENV_SIDECAR_FOR), OsStr::new(target)),
            None => own.remove(OsStr::new(defaults::ENV_SIDECAR_FOR)),
        };
        own
    }

    /// The program to execute at the start of the proxy that has these numbers. What it inherits of the agent's environment,
    /// which is neither what is addressed to the agent nor what is declared to be withheld, is overridden by its own.
    pub(crate) fn program(&self, numbers: StartNumbers) -> Program<'_> {
        let (command, mut own) = (&self.config.command, self.own_environment());
        let (generation, epoch) = (numbers.generation.to_string(), numbers.epoch.to_string());
        own.insert(OsStr::new(defaults::ENV_PROXY_GENERATION), OsStr::new(&generation));
        own.insert(OsStr::new(defaults::ENV_PROXY_EPOCH), OsStr::new(&epoch));
        let own = own;
        let words = command.argv().iter().enumerate();
        let word = |word: &OsString| filled(word, numbers, &self.config.listen);
        let argv = words.map(|(at, declared)| if at == 0 { declared.clone() } else { word(declared) }).collect();
        let base_env = (!command.clears_env()).then_some(&self.context.base_env);
        let inherited = base_env.into_iter().flat_map(|base_env| base_env.iter()).filter(|inherited| {
            let name = inherited.name();
            !inherited.is_of_host() && !own.contains_key(name) && !command.declared_unset_env().contains(name)
        });
        let inherited = inherited.map(|inherited| Variable::Prepared(inherited.text()));
        let sockets = &self.config.listen;
        let own = own.iter().filter(|(name, _)| !self.config.sets_variable(name)).map(|(name, value)| {
            let is_declared = !defaults::OWN_VARIABLES.iter().any(|own| own == name);
            let value = match command.declared_env().get(*name) {
                Some(own) if is_declared => filled(own, numbers, sockets),
                _ if is_declared => filled(value, numbers, &[]),
                _ => (*value).to_owned(),
            };
            Variable::Own(variable(name, &value))
        });
        let listened = listen_variables(sockets, &[]).into_iter().flatten();
        let listened = listened.map(|(name, value)| Variable::Own(format!("{name}={value}").into()));
        Program {
            argv,
            env: inherited.chain(own).chain(listened).collect(),
            dir: command.declared_dir().map(|dir| dir.clone().into_os_string()),
            credentials: command.declared_credentials().cloned(),
            descriptor_limit: command.declared_descriptor_limit(),
            oom_score_adj: command.declared_oom_score_adj(),
            settings: command.settings().clone(),
            detached: command.is_detached(),
            report: None,
            cgroup: None,
            pid_variables: Vec::new(),
            sockets: Vec::new(),
        }
    }

    /// A command that is run for the process of the proxy, `leader`: in the same environment, with one variable more.
    pub(crate) fn command_program(&self, argv: &[OsString], leader: Pid, numbers: StartNumbers) -> Program<'_> {
        let mut program = self.program(numbers);
        // The sockets are the leader's alone, and so is what it finds them by.
        let is_of_leader = |name: &[u8]| {
            name == b"MAINPID" || (!self.config.listen.is_empty() && is_set_by_listen(OsStr::from_bytes(name)))
        };
        program
            .env
            .retain(|variable| !variable.as_bytes().split(|byte| *byte == b'=').next().is_some_and(is_of_leader));
        program.env.push(Variable::Own(format!("MAINPID={leader}").into()));
        let words = argv.iter().enumerate();
        let argv = words.map(|(at, word)| if at == 0 { word.clone() } else { filled(word, numbers, &[]) }).collect();
        program.settings.argv0 = None;
        Program { argv, detached: false, ..program }
    }

    /// Has the program find these descriptors after the sockets of `listen`, by their names.
    pub(crate) fn name_stored(&self, program: &mut Program<'_>, stored: &[Arc<str>]) {
        for (name, value) in listen_variables(&self.config.listen, stored).into_iter().flatten() {
            program.set_variable(name, value.as_ref());
        }
    }

    /// How the program is named and where it is searched for.
    pub(crate) fn program_name(&self) -> Option<ProgramName> {
        let program = self.program(StartNumbers::default());
        let path = program.env.iter().find_map(|entry| entry.as_bytes().strip_prefix(b"PATH="));
        let path = path.map(|path| OsStr::from_bytes(path).to_owned());
        Some(ProgramName { word: program.argv.first()?.clone(), path, dir: program.dir.map(PathBuf::from) })
    }
}

/// By which a process finds its sockets (sd_listen_fds(3)), besides its pid, which it writes itself. One without a name is
/// called as by systemd.
fn listen_variables(sockets: &[Listen], stored: &[Arc<str>]) -> Option<[(&'static str, String); 2]> {
    let sockets = sockets.iter().map(|socket| socket.name.as_deref().unwrap_or("unknown"));
    let names: Vec<&str> = sockets.chain(stored.iter().map(|name| &**name)).collect();
    let texts = [(defaults::ENV_LISTEN_FDS, names.len().to_string()), (defaults::ENV_LISTEN_FDNAMES, names.join(":"))];
    (!names.is_empty()).then_some(texts)
}
