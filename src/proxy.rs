// SPDX-License-Identifier: MPL-2.0
//! The interface that every kind of proxy implements, and the kind that does nothing.

use std::any::Any;

use crate::declaration::{ExecMode, ProxyConfig, ProxySnapshot};
use crate::error::Result;

/// A managed proxy of any kind (Consul 1.4's `Proxy`).
///
/// All methods must be safe to call from several threads at once. The manager calls them on a thread of its own, one
/// call after the other, so a call may block; it then delays other proxies of registered kinds, but no daemon.
///
/// # Example: a kind of one's own
/// ```
/// use proxyprocess::{Error, ErrorCode, ExecMode, Manager, ManagerOptions, Proxy, ProxySnapshot, Result, State};
/// use std::any::Any;
/// use std::sync::Mutex;
///
/// /// A port that is kept open by the agent itself.
/// #[derive(Default)]
/// struct Listener { port: Mutex<u16>, socket: Mutex<Option<std::net::TcpListener>> }
///
/// impl Listener {
///     fn set_port(&self, options: &ProxySnapshot) -> Result<()> {
///         let port = options.get("port").and_then(|port| port.as_u64()?.try_into().ok());
///         *self.port.lock().unwrap() =
///             port.ok_or_else(|| Error::new(ErrorCode::InvalidConfig, "port: expected a number up to 65535"))?;
///         Ok(())
///     }
/// }
///
/// impl Proxy for Listener {
///     fn start(&self) -> Result<()> {
///         let mut socket = self.socket.lock().unwrap();
///         if socket.is_none() {
///             let bound = std::net::TcpListener::bind(("127.0.0.1", *self.port.lock().unwrap()));
///             *socket = Some(bound.map_err(|error| Error::new(ErrorCode::StartFailed, format!("bind: {error}")))?);
///         }
///         Ok(())
///     }
///     fn stop(&self) -> Result<()> {
///         *self.socket.lock().unwrap() = None;
///         Ok(())
///     }
///     fn close(&self) -> Result<()> {
///         self.stop() // nothing of it outlives the agent
///     }
///     fn equal(&self, other: &dyn Proxy) -> bool {
///         let other = other.as_any().downcast_ref::<Listener>();
///         other.is_some_and(|other| *self.port.lock().unwrap() == *other.port.lock().unwrap())
///     }
///     fn marshal_snapshot(&self) -> ProxySnapshot {
///         [("port".to_owned(), (*self.port.lock().unwrap()).into())].into_iter().collect()
///     }
///     fn unmarshal_snapshot(&self, snapshot: &ProxySnapshot) -> Result<()> {
///         self.set_port(snapshot)
///     }
///     fn as_any(&self) -> &dyn Any {
///         self
///     }
/// }
///
/// let manager = Manager::new(State::new(), ManagerOptions::default())?;
/// manager.register_kind(ExecMode::new("listener")?, |context| {
///     let listener = Listener::default();
///     if let Some(config) = context.config {
///         listener.set_port(&config.options)?; // else it is about to be restored
///     }
///     Ok(Box::new(listener))
/// })?;
/// # Ok::<(), proxyprocess::Error>(())
/// ```
pub trait Proxy: Send + Sync {
    /// Starts the proxy.
    ///
    /// # Errors
    /// Only if the proxy can never work as configured: its registration is then rejected. The proxy itself must retry
    /// after any other failure. Starting a started proxy is no error.
    fn start(&self) -> Result<()>;

    /// Stops the proxy for good, frees its resources, and returns when it is gone. From then on [`Proxy::start`] fails,
    /// even if the proxy was never started. Stopping twice is no error.
    ///
    /// # Errors
    /// If something of the proxy is left; the message says what.
    fn stop(&self) -> Result<()>;

    /// Frees the resources of this value and leaves the proxy running. Only one of `close` and `stop` is called.
    ///
    /// # Errors
    /// If the proxy cannot be left running.
    fn close(&self) -> Result<()>;

    /// Whether `other` has the same declaration, so that this proxy may keep running in its place.
    fn equal(&self, other: &dyn Proxy) -> bool;

    /// The state from which [`Proxy::unmarshal_snapshot`] restores the proxy. The manager stores the id itself.
    fn marshal_snapshot(&self) -> ProxySnapshot;

    /// Restores this value, which its factory has just created, from a stored state.
    ///
    /// # Errors
    /// If the state cannot be used: the error is logged, and the stored state is lost.
    fn unmarshal_snapshot(&self, snapshot: &ProxySnapshot) -> Result<()>;

    /// Begins to stop without waiting. The manager calls it on all proxies that must stop before it calls
    /// [`Proxy::stop`] on the first, so that slow proxies stop at the same time. Does nothing by default.
    fn request_stop(&self) {}

    /// The value itself, so that [`Proxy::equal`] can recognize its own kind: always `self`.
    fn as_any(&self) -> &dyn Any;
}

/// What the factory of a registered kind gets.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ProxyContext<'a> {
    /// The id of the proxy.
    pub id: &'a str,
    /// The mode under which the kind is registered.
    pub mode: &'a ExecMode,
    /// The declaration. Absent if the proxy is created to be restored: [`Proxy::unmarshal_snapshot`] is called next,
    /// and later [`Proxy::equal`] decides whether the proxy is still what is declared.
    pub config: Option<&'a ProxyConfig>,
}

/// Creates a proxy of a registered kind, not started. It is called with the manager's lock held, so it must not call
/// the manager.
pub type ProxyFactory = dyn Fn(ProxyContext<'_>) -> Result<Box<dyn Proxy>> + Send + Sync;

/// A proxy that does nothing (Consul 1.4's `Noop`).
///
/// ```
/// use proxyprocess::{Noop, Proxy};
///
/// assert!(Noop.start().is_ok() && Noop.equal(&Noop) && Noop.marshal_snapshot().is_empty());
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Noop;

impl Proxy for Noop {
    fn start(&self) -> Result<()> {
        Ok(())
    }

    fn stop(&self) -> Result<()> {
        Ok(())
    }

    fn close(&self) -> Result<()> {
        Ok(())
    }

    fn equal(&self, other: &dyn Proxy) -> bool {
        other.as_any().is::<Noop>()
    }

    fn marshal_snapshot(&self) -> ProxySnapshot {
        ProxySnapshot::new()
    }

    fn unmarshal_snapshot(&self, _snapshot: &ProxySnapshot) -> Result<()> {
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
