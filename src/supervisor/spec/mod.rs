// SPDX-License-Identifier: MPL-2.0
//! What one process is started from: its declaration, and the settings that all processes of one owner share.

pub(super) mod base_environment;
mod cgroup;
mod comparison;
mod files;
mod foresight;
mod outputs;
mod program;
mod user;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use super::cgroups::Cgroups;
use super::events::Publisher;
use super::removed_logs::RemovedLogs;
use crate::declaration::ProxyConfig;
use crate::defaults::MAX_RECORDED_COMMANDS;
use crate::lifecycle::start_numbers::StartNumbers;
use crate::logging::{Level, Log};
use crate::store::file_place::FilePlace;
use crate::store::{self, DataDir, LogDir, LogHome};
use crate::sys::random;
use base_environment::BaseEnvironment;
pub(crate) use user::KnownUsers;

/// By which the processes of one owner are known among those of other agents with the same ids and tokens: the variable
/// `CONNECT_PROXY_ORIGIN` in their environment. That of a data directory is the same for the next agent.
pub(crate) type OwnerTag = Arc<str>;

/// The owner tag of a manager or daemon that has no data directory. Empty without a random source.
pub(crate) fn random_owner_tag() -> OwnerTag {
    random::uuid().unwrap_or_default().into()
}

/// What all processes of one manager or daemon share.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) base_env: BaseEnvironment,
    pub(crate) proxy_env: Vec<(OsString, OsString)>,
    pub(crate) files: Files,
    /// Empty where there is none: then no process is known by it.
    pub(crate) owner_tag: OwnerTag,
    pub(crate) publisher: Publisher,
    pub(crate) log: Log,
    pub(crate) allow_root: bool,
    pub(crate) users: Arc<KnownUsers>,
    /// How many handovers prepare a next generation at the same time.
    pub(crate) max_handovers: usize,
    /// Of a manager with a directory of logs.
    pub(crate) removed_logs: Option<Arc<RemovedLogs>>,
    /// Where each proxy has one of its own.
    pub(crate) cgroups: Option<Arc<Cgroups>>,
}

/// Where a process logs and is recorded.
#[derive(Debug, Clone)]
pub(crate) enum Files {
    /// Everything by the proxy's id in a data directory.
    DataDir(Arc<DataDir>),
    /// Logs by the proxy's id in a directory of their own, and nothing else.
    LogDir(Arc<LogDir>),
    /// A daemon alone: what the user named, or nothing.
    Paths { stdout: Option<PathBuf>, stderr: Option<PathBuf>, pid: Option<PathBuf> },
}

impl Files {
    /// The directory with the logs of the proxies, if these are found there by their ids.
    pub(crate) fn log_home(&self) -> Option<Arc<dyn LogHome>> {
        match self {
            Files::DataDir(data_dir) => Some(data_dir.clone()),
            Files::LogDir(log_dir) => Some(log_dir.clone()),
            Files::Paths { .. } => None,
        }
    }
}

/// What one process is started from.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) id: Arc<str>,
    pub(crate) config: Arc<ProxyConfig>,
    pub(crate) context: Arc<Context>,
    /// Which generation's files its process has.
    pub(crate) place: FilePlace,
    /// A call has paused it.
    pub(crate) paused: bool,
    /// Nothing else is known of its process but how it is stopped.
    pub(crate) only_stops: bool,
}

impl Spec {
    pub(crate) fn new(id: Arc<str>, config: Arc<ProxyConfig>, context: Arc<Context>) -> Spec {
        Spec { id, config, context, place: FilePlace::Current, paused: false, only_stops: false }
    }

    /// Whether it is declared and not to run.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused || !self.config.enabled
    }

    /// The same for a process with other files.
    pub(crate) fn at(self: &Arc<Spec>, place: FilePlace) -> Arc<Spec> {
        if self.place == place { self.clone() } else { Arc::new(Spec { place, ..(**self).clone() }) }
    }

    /// One of which nothing is known but how it is stopped, and, where that is known, the token and the sockets that it has.
    pub(crate) fn with_stop(
        &self,
        stop: store::RecordedStop,
        token: Option<&str>,
        sockets: &[store::RecordedSocket],
    ) -> Arc<Spec> {
        let token = token.map(str::to_owned).or_else(|| self.config.token.clone());
        let listen = sockets.iter().map(|socket| socket.declared.clone()).collect();
        let store::RecordedStop { settings: stop, command, target_service } = stop;
        let config = ProxyConfig { stop, token, target_service, listen, ..ProxyConfig::new(command) };
        Arc::new(Spec { config: Arc::new(config), only_stops: true, ..self.clone() })
    }

    /// What a record of a process that this owner starts says besides who it is.
    pub(crate) fn record_header<'a>(
        &'a self,
        numbers: StartNumbers,
        sockets: &'a [store::RecordedSocket],
    ) -> store::RecordHeader<'a> {
        let (token, token_generated) = (self.config.token.as_deref(), self.config.token_generated);
        let (stop, fingerprint) = (store::StopHeader::of(&self.config), self.fingerprint());
        if let Some(length) = stop.excess() {
            let why =
                format_args!("{length} bytes, more than the {MAX_RECORDED_COMMANDS} that a record may have of them");
            let message = format_args!("its record is without the commands of its stop: {why}");
            self.context.log.about(Level::Warn, &self.id, message);
        }
        let owner_tag = Some(&*self.context.owner_tag).filter(|owner_tag| !owner_tag.is_empty());
        let (notifications, id) = (None, &self.id);
        store::RecordHeader {
            id,
            fingerprint,
            token,
            token_generated,
            stop,
            owner_tag,
            numbers,
            notifications,
            sockets,
            ended: None,
        }
    }
}

#[cfg(test)]
impl Spec {
    /// One of a daemon without files.
    pub(crate) fn for_tests(id: &str, config: ProxyConfig) -> Spec {
        let log = Log::new(None);
        let context = Context {
            base_env: BaseEnvironment::of([]),
            proxy_env: vec![],
            files: Files::Paths { stdout: None, stderr: None, pid: None },
            owner_tag: "o".into(),
            publisher: Publisher::new(super::events::EventRing::new(1), log.clone()),
            log,
            allow_root: false,
            users: Arc::default(),
            max_handovers: 1,
            removed_logs: None,
            cgroups: None,
        };
        Spec::new(id.into(), Arc::new(config), Arc::new(context))
    }
}

#[cfg(test)]
mod tests;
