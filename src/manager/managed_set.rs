// SPDX-License-Identifier: MPL-2.0
//! The state of a manager: the managed set, the records that are not claimed yet, and the snapshot as it was written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::current_supervisor::CurrentSupervisor;
use super::custom_kinds::{Registry, Worker};
use super::last_look::{SharedLook, Unsupervised};
use super::managed::{Managed, ManagedDaemon};
use super::managed_proxies::ManagedProxies;
use super::options::ManagerOptions;
use super::other_process::OtherProcess;
use super::sync_plan::Relation;
use super::written_snapshot::WrittenSnapshot;
use crate::declaration::{ExecMode, ProxyConfig};
use crate::defaults::MAX_REFUSED_NAMED;
use crate::error::{Error, Result};
use crate::logging::Log;
use crate::state::State;
use crate::store::{DataDir, LogDir, Record};
use crate::supervisor::state_waiters::StateWaiters;
use crate::supervisor::{
    BaseEnvironment, Cgroups, Context, EventRing, Files, OtherClaim, Owner, OwnerTag, ProxyStatus, Publisher,
    RemovedLogs, SnapshotOccurrence, Spec, Supervisor, SupervisorCommand,
};
use crate::sys::proc::command_line::UnrecordedProcess;

/// The state of a manager, behind one lock.
pub(super) struct ManagedSet {
    pub(super) options: ManagerOptions,
    pub(super) context: Arc<Context>,
    pub(super) registry: Registry,
    pub(super) managed: ManagedProxies,
    /// Those that a call has paused: until another one resumes them, they are removed, or declared with `enabled: false`.
    pub(super) paused: BTreeSet<Arc<str>>,
    /// Recorded processes that may live and that no restored declaration describes: adopted or stopped by the first
    /// sync, or stopped by a kill.
    pub(super) unclaimed: BTreeMap<Arc<str>, Record>,
    /// The other generation of proxies that an earlier agent was about to hand over.
    others: Vec<OtherProcess>,
    /// Processes that have a pid file and no record that can be read.
    pub(super) unrecorded: BTreeMap<Arc<str>, UnrecordedProcess>,
    /// Wanted, and not even tried: as what, and why.
    pub(super) held: BTreeMap<Arc<str>, ProxyStatus>,
    pub(super) supervisor: CurrentSupervisor,
    /// For a status that cannot wait for this set.
    pub(super) last_look: SharedLook,
    pub(super) worker: Option<Worker>,
    /// The snapshot of the data directory is there and could not be taken over: nothing may be started before, and it
    /// must not be overwritten.
    pub(super) unrestored: bool,
    /// Whether the state was followed once.
    pub(super) synced: bool,
    /// The files that were no use, until they are reported.
    ignored: Vec<Error>,
    /// The version of the state that was followed, unless the next sync has to compare everything.
    pub(super) seen: Option<u64>,
    pub(super) written: WrittenSnapshot,
    /// The version of the state up to which every declaration is managed, held back or rejected.
    pub(super) followed: Option<u64>,
    /// Callers that wait for a state of proxies whose declaration was not applied yet: they wait again after each sync.
    pub(super) state_waiters: StateWaiters,
}

impl ManagedSet {
    pub(super) fn new(
        (options, cgroups): (ManagerOptions, Option<Arc<Cgroups>>),
        (data_dir, log_dir): (Option<&Arc<DataDir>>, Option<LogDir>),
        events: &Arc<EventRing>,
        (owner_tag, log): (OwnerTag, Log),
        (unclaimed, others): (Vec<Record>, Vec<OtherProcess>),
        unrecorded: BTreeMap<String, UnrecordedProcess>,
        ignored: Vec<Error>,
    ) -> ManagedSet {
        let files = match (data_dir, log_dir) {
            (Some(data_dir), _) => Files::DataDir(data_dir.clone()),
            (None, Some(log_dir)) => Files::LogDir(Arc::new(log_dir)),
            (None, None) => Files::Paths { stdout: None, stderr: None, pid: None },
        };
        let context = Context {
            base_env: BaseEnvironment::capture(),
            proxy_env: options.proxy_env.clone(),
            files,
            owner_tag,
            publisher: Publisher::new(events.clone(), log.clone()),
            log,
            allow_root: options.allow_root,
            users: Arc::default(),
            max_handovers: options.max_handovers,
            removed_logs: None,
            cgroups,
        };
        ManagedSet {
            options,
            context: Arc::new(context),
            registry: Registry::default(),
            managed: ManagedProxies::default(),
            paused: BTreeSet::new(),
            unclaimed: unclaimed.into_iter().map(|record| (Arc::from(record.id.as_str()), record)).collect(),
            others,
            unrecorded: unrecorded.into_iter().map(|(id, stray)| (id.into(), stray)).collect(),
            held: BTreeMap::new(),
            supervisor: CurrentSupervisor::default(),
            last_look: SharedLook::default(),
            worker: None,
            unrestored: false,
            synced: false,
            seen: None,
            written: WrittenSnapshot::default(),
            followed: None,
            state_waiters: StateWaiters::NONE,
            ignored,
        }
    }

    /// Has the logs of proxies that this state does not declare any more removed, as far as the options say.
    pub(super) fn look_after_logs(&mut self, state: State) {
        let Some(home) = self.context.files.log_home() else { return };
        let removed = RemovedLogs::new(home, self.context.log.clone(), move |id| state.is_declared(id));
        self.context = Arc::new(Context { removed_logs: Some(Arc::new(removed)), ..(*self.context).clone() });
    }

    /// All that an earlier agent has left is known to the supervisor: what logs of removed proxies there are may go.
    pub(super) fn sweep_logs(&self, supervisor: &Supervisor) -> Result<()> {
        match &self.context.removed_logs {
            Some(removed) if removed.allow(self.options.keep_removed) => {
                supervisor.send(SupervisorCommand::SweepLogs(removed.clone()))
            }
            _ => Ok(()),
        }
    }

    /// No log is removed any more, for the next agent may have its directory soon.
    pub(super) fn leave_logs(&self) {
        if let Some(removed) = &self.context.removed_logs {
            removed.end();
        }
    }

    /// Tells of the files that were no use, once there may be readers of events.
    pub(super) fn tell_ignored(&mut self) {
        let ignored = std::mem::take(&mut self.ignored);
        self.tell_bad("ignored", &ignored);
    }

    /// Logs and announces what was found to be bad; of very many the first ones, and how many there are.
    pub(super) fn tell_bad(&self, what: &str, errors: &[Error]) {
        let tell = |message| self.context.publisher.of_snapshot(SnapshotOccurrence::PartNotUsed { message });
        errors.iter().take(MAX_REFUSED_NAMED).for_each(|error| tell(format!("{what}: {error}")));
        if let Some(more @ 1..) = errors.len().checked_sub(MAX_REFUSED_NAMED) {
            tell(format!("{what}: {more} more, {} in all", errors.len()));
        }
    }

    /// What is not among those that the supervisor has told, by id.
    pub(super) fn unsupervised(&self, supervised: &[ProxyStatus]) -> Unsupervised {
        let mut supervised = supervised.iter().map(|status| status.id.as_str()).peekable();
        let mut declared = Vec::new();
        for (id, managed) in &*self.managed {
            while supervised.next_if(|known| *known < &**id).is_some() {}
            if supervised.next_if(|known| *known == &**id).is_none() {
                declared.push((id.clone(), managed.declared()));
            }
        }
        Unsupervised { declared, held: self.held.values().cloned().collect() }
    }

    /// Takes other settings; daemons that are managed get them with the next sync.
    pub(super) fn reconfigure(&mut self, options: ManagerOptions) {
        let old = &*self.context;
        let ManagerOptions { proxy_env, allow_root, max_handovers, .. } = &options;
        if (proxy_env, *allow_root, *max_handovers) != (&old.proxy_env, old.allow_root, old.max_handovers) {
            let (proxy_env, allow_root, max_handovers) = (proxy_env.clone(), *allow_root, *max_handovers);
            self.context = Arc::new(Context { proxy_env, allow_root, max_handovers, ..old.clone() });
        }
        self.options = options;
        self.seen = None;
    }

    /// The threads that supervise, started if need be.
    pub(super) fn supervisor(&mut self) -> Result<Arc<Supervisor>> {
        if let Some(supervisor) = self.supervisor.get() {
            return Ok(supervisor);
        }
        let supervisor = Supervisor::shared()?;
        self.supervisor.set(supervisor.clone());
        Ok(supervisor)
    }

    /// The thread that calls proxies of registered kinds, started if need be.
    pub(super) fn worker(&mut self) -> Result<&Worker> {
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None => Worker::start(self.context.publisher.clone(), self.context.log.clone())?,
        };
        Ok(self.worker.insert(worker))
    }

    /// The other generations of a proxy that may live; each is taken over once.
    pub(super) fn others_of(&mut self, spec: &Spec) -> Vec<OtherClaim> {
        if self.others.is_empty() {
            return Vec::new();
        }
        let (of_it, others) = std::mem::take(&mut self.others).into_iter().partition(|other| other.is_of(&spec.id));
        self.others = others;
        let of_it: Vec<OtherProcess> = of_it;
        of_it.into_iter().map(|other| other.into_claim(spec)).collect()
    }

    pub(super) fn spec(&self, id: &Arc<str>, config: &Arc<ProxyConfig>) -> Spec {
        let paused = self.paused.contains(id);
        Spec { paused, ..Spec::new(id.clone(), config.clone(), self.context.clone()) }
    }

    /// Has a daemon follow whether it is paused.
    pub(super) fn respecify(&mut self, id: &Arc<str>, config: &Arc<ProxyConfig>) {
        let new = Arc::new(self.spec(id, config));
        if let Some(Managed::Daemon(daemon)) = self.managed.get_mut(id) {
            daemon.spec = new;
        }
    }

    /// How a managed proxy relates to a declaration.
    pub(super) fn relation(&self, managed: &Managed, wanted: &Arc<ProxyConfig>) -> Relation {
        match managed {
            Managed::Daemon(daemon) => self.relation_of_daemon(daemon, wanted),
            Managed::Custom(other) => match &other.config {
                Some(config) if Arc::ptr_eq(config, wanted) || config == wanted => Relation::Same,
                Some(config) if config.same_process(wanted) => Relation::Settings,
                _ => Relation::Different,
            },
        }
    }

    fn relation_of_daemon(&self, daemon: &ManagedDaemon, wanted: &Arc<ProxyConfig>) -> Relation {
        let spec = &daemon.spec;
        let same_context = Arc::ptr_eq(&spec.context, &self.context);
        if wanted.mode != ExecMode::DAEMON {
            return Relation::Different;
        }
        if let Some(process) = &daemon.consul {
            let same = process.difference(&self.spec(&spec.id, wanted)).is_none();
            return if same { Relation::Settings } else { Relation::Different };
        }
        if same_context && (Arc::ptr_eq(&spec.config, wanted) || spec.config == *wanted) {
            return Relation::Same;
        }
        let same = spec.same_process(&self.spec(&spec.id, wanted));
        if same { Relation::Settings } else { Relation::Different }
    }

    /// Makes anew what was removed of the data directory, and has what was in it written again; `told`: which has just
    /// been done in part.
    pub(super) fn renew_files(&mut self, owner: Owner, told: bool) -> Result<()> {
        let Files::DataDir(data_dir) = &self.context.files else { return Ok(()) };
        let renewed = data_dir.renew();
        if told || data_dir.renewed().try_recv().is_ok() {
            // What there is by these names may be another's.
            self.written = WrittenSnapshot::default();
        }
        if let Some(supervisor) = self.supervisor.get() {
            supervisor.send(SupervisorCommand::RecordMissing { owner })?;
        }
        renewed
    }
}
