// SPDX-License-Identifier: MPL-2.0
//! Proxies of registered kinds: their factories, and the single thread that calls their code.
//!
//! That code may block, so it runs neither on the manager's nor on the supervisor's thread.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::Sender;

use crate::declaration::{ExecMode, ProxyConfig, ProxySnapshot};
use crate::error::{Error, ErrorCode, Result, excerpt};
use crate::host_code::{HostOwned, caught};
use crate::lifecycle::ProxyState;
use crate::logging::{Level, Log};
use crate::proxy::{Noop, Proxy, ProxyContext, ProxyFactory};
use crate::supervisor::state_waiters::{StateWaiter, StateWaiters};
use crate::supervisor::{ProxyOccurrence, ProxyStatus, Publisher};
use crate::sys::thread;

/// The factories by mode.
#[derive(Default)]
pub(super) struct Registry(HashMap<ExecMode, HostOwned<Box<ProxyFactory>>>);

impl Registry {
    pub(super) fn register(&mut self, mode: ExecMode, factory: Box<ProxyFactory>) -> Result<()> {
        if [ExecMode::DAEMON, ExecMode::NOOP].contains(&mode) || self.0.contains_key(&mode) {
            let message = format!("mode: expected a mode that is not registered yet, got \"{mode}\"");
            return Err(Error::new(ErrorCode::InvalidConfig, message));
        }
        self.0.insert(mode, HostOwned::new(factory));
        Ok(())
    }

    /// Creates a proxy, to be started from `config` or to be restored.
    pub(super) fn create(
        &self,
        id: &Arc<str>,
        mode: &ExecMode,
        config: Option<&Arc<ProxyConfig>>,
    ) -> Result<CustomProxy> {
        let proxy: Box<dyn Proxy> = if *mode == ExecMode::NOOP {
            Box::new(Noop)
        } else {
            let factory = self.0.get(mode).ok_or_else(|| {
                Error::new(
                    ErrorCode::UnknownMode,
                    format!("proxy {}: the mode \"{mode}\" is not registered", excerpt(id)),
                )
            })?;
            let context = ProxyContext { id, mode, config: config.map(|config| &**config) };
            guard(|| factory(context)).map_err(|error| error.within(format_args!("proxy {}: create", excerpt(id))))?
        };
        let progress = Arc::new(Mutex::new(CallProgress {
            state: ProxyState::Idle,
            last_error: None,
            waiters: StateWaiters::NONE,
        }));
        Ok(CustomProxy {
            id: id.clone(),
            mode: mode.clone(),
            proxy: Arc::new(HostOwned::new(proxy)),
            config: config.cloned(),
            progress,
        })
    }
}

/// A proxy of a registered kind, or one that does nothing.
#[derive(Clone)]
pub(super) struct CustomProxy {
    pub(super) id: Arc<str>,
    pub(super) mode: ExecMode,
    pub(super) proxy: Arc<HostOwned<Box<dyn Proxy>>>,
    /// Absent until a restored proxy was compared with its declaration.
    pub(super) config: Option<Arc<ProxyConfig>>,
    progress: Arc<Mutex<CallProgress>>,
}

#[derive(Debug)]
struct CallProgress {
    state: ProxyState,
    last_error: Option<Error>,
    waiters: StateWaiters,
}

impl CustomProxy {
    /// Whether this one may go on running in the place of `new`.
    pub(super) fn equals(&self, new: &CustomProxy) -> bool {
        self.mode == new.mode && guard(|| Ok(self.proxy.equal(&***new.proxy))).unwrap_or(false)
    }

    pub(super) fn marshal(&self, log: &Log) -> ProxySnapshot {
        guard(|| Ok(self.proxy.marshal_snapshot())).unwrap_or_else(|error| {
            log.about(Level::Error, &self.id, format_args!("marshal snapshot: {error}"));
            ProxySnapshot::new()
        })
    }

    pub(super) fn unmarshal(&self, snapshot: &ProxySnapshot) -> Result<()> {
        let restored = guard(|| self.proxy.unmarshal_snapshot(snapshot));
        restored.map_err(|error| error.within(format_args!("proxy {}: unmarshal snapshot", excerpt(&self.id))))
    }

    pub(super) fn status(&self) -> ProxyStatus {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let mut status = ProxyStatus::new(&self.id, &self.mode, progress.state);
        status.last_error = progress.last_error.as_ref().map(Error::to_string);
        status
    }

    fn progress(&self, state: ProxyState, error: Option<&Error>) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        (progress.state, progress.last_error) = (state, error.cloned());
        progress.tell_waiters(&self.id);
        if state == ProxyState::Stopping {
            // It is not started again: another one may take its place.
            progress.waiters.dismiss();
        }
    }

    /// Has a caller wait for a state.
    pub(super) fn await_state(&self, waiter: StateWaiter) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.waiters.add(waiter);
        progress.tell_waiters(&self.id);
    }
}

impl CallProgress {
    fn tell_waiters(&mut self, id: &str) {
        self.waiters.tell(id, self.state, self.last_error.as_ref());
    }
}

/// What is asked of a proxy's own code.
pub(super) enum Call {
    Start(CustomProxy),
    /// Stop it for good, or leave it running; answered.
    Stop(CustomProxy, Option<Sender<Result<()>>>),
    Close(CustomProxy, Sender<Result<()>>),
}

/// The thread that calls.
pub(super) struct Worker {
    calls: Sender<Call>,
    thread: JoinHandle<()>,
}

impl Worker {
    pub(super) fn start(publisher: Publisher, log: Log) -> Result<Worker> {
        let (calls, waiting) = crossbeam_channel::unbounded();
        let run = move || {
            for call in waiting {
                answer(call, &publisher, &log);
            }
        };
        let thread = thread::start("proxy-kinds", run).map_err(|error| {
            Error::os(ErrorCode::Exhausted, "start a thread for proxies of registered kinds", &error)
        })?;
        Ok(Worker { calls, thread })
    }

    pub(super) fn call(&self, call: Call) {
        match &call {
            Call::Start(other) => other.progress(ProxyState::Starting, None),
            Call::Stop(other, _) => {
                other.progress(ProxyState::Stopping, None);
                // At once and for all of them, before the first one is waited for.
                let _ = guard(|| {
                    other.proxy.request_stop();
                    Ok(())
                });
            }
            Call::Close(..) => {}
        }
        // The thread ends only after this value is gone.
        let _ = self.calls.send(call);
    }

    /// Ends the thread once every call is made.
    pub(super) fn finish(self) {
        drop(self.calls);
        if self.thread.thread().id() != std::thread::current().id() {
            let _ = self.thread.join();
        }
    }
}

fn answer(call: Call, publisher: &Publisher, log: &Log) {
    match call {
        Call::Start(other) => match guard(|| other.proxy.start()) {
            Ok(()) => {
                other.progress(ProxyState::Running, None);
                publisher.of_proxy(&other.id, ProxyOccurrence::KindStarted { mode: &other.mode });
            }
            Err(error) => {
                other.progress(ProxyState::Failed, Some(&error));
                publisher.of_proxy(&other.id, ProxyOccurrence::KindStartFailed { error: &error });
            }
        },
        Call::Stop(other, reply) => {
            let stopped = guard(|| other.proxy.stop());
            let stopped = stopped.map_err(|error| error.within(format_args!("proxy {}: stop", other.id)));
            other.progress(ProxyState::Stopped, stopped.as_ref().err());
            match &stopped {
                Ok(()) => publisher.of_proxy(&other.id, ProxyOccurrence::Stopped),
                Err(error) => log.write(Level::Error, format_args!("{error}")),
            }
            if let Some(reply) = reply {
                let _ = reply.send(stopped);
            }
        }
        Call::Close(other, reply) => {
            let closed = guard(|| other.proxy.close());
            let _ = reply.send(closed.map_err(|error| error.within(format_args!("proxy {}: close", other.id))));
        }
    }
}

/// Calls foreign code: a panic in it becomes an error.
fn guard<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    caught(call).unwrap_or_else(|_| Err(Error::new(ErrorCode::Internal, "the proxy's own code panicked")))
}
