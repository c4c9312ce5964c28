//! The interface of every kind of proxy, and the one that does nothing.

use std::any::Any;

use crate::declaration::{ExecMode, ProxyConfig, ProxySnapshot};
use crate::error::Result;

/// A managed proxy of any kind (`SEED.txt`, type Proxy).
///
/// All methods must be safe to call from several threads at once. The manager calls them on a thread of its own, one
/// call after the other, so a call may block; it then delays other proxies of registered kinds, but no daemon.
///
/// # Example: a kind of one's own
/// ```
/// use proxyprocess::{Error, ErrorCode, Proxy, ProxySnapshot, Result};
/// use std::any::Any;
/// use std::sync::Mutex;
///
/// struct Listener { port: u16, socket: Mutex<Option<std::net::TcpListener>> }
///
/// impl Proxy for Listener {
///     fn start(&self) -> Result<()> {
///         let mut socket = self.socket.lock().unwrap();
///         if socket.is_none() {
///             let bound = std::net::TcpListener::bind(("127.0.0.1", self.port));
///             *socket = Some(bound.map_err(|error| Error::new(ErrorCode::StartFailed, error.to_string()))?);
///         }
///         Ok(())
///     }
///     fn stop(&self) -> Result<()> {
///         *self.socket.lock().unwrap() = None;
///         Ok(())
///     }
///     fn close(&self) -> Result<()> {
///         Ok(())
///     }
///     fn equal(&self, other: &dyn Proxy) -> bool {
///         other.as_any().downcast_ref::<Listener>().is_some_and(|other| other.port == self.port)
///     }
///     fn marshal_snapshot(&self) -> ProxySnapshot {
///         [("port".to_owned(), self.port.into())].into_iter().collect()
///     }
///     fn unmarshal_snapshot(&self, _snapshot: &ProxySnapshot) -> Result<()> {
///         Ok(())
///     }
///     fn as_any(&self) -> &dyn Any {
///         self
///     }
/// }
/// ```
pub trait Proxy: Send + Sync {
    /// Starts the proxy.
    ///
    /// # Errors
    /// Only when the proxy can never work as it is configured: its registration is rejected then. Any other failure
    /// is retried by the proxy itself. Starting a started proxy is no error.
    fn start(&self) -> Result<()>;

    /// Stops the proxy for good, frees its resources, and returns when it is gone. [`Proxy::start`] fails from now on,
    /// also if it never was started. Stopping twice is no error.
    ///
    /// # Errors
    /// When something of the proxy is left; the message says what.
    fn stop(&self) -> Result<()>;

    /// Frees the resources of this value and leaves the proxy running. Only one of `close` and `stop` is called.
    ///
    /// # Errors
    /// When the proxy cannot be left as it is.
    fn close(&self) -> Result<()>;

    /// Whether `other` is the same proxy as declared, so that this one may go on running in its place.
    fn equal(&self, other: &dyn Proxy) -> bool;

    /// The state from which [`Proxy::unmarshal_snapshot`] regains the proxy; the id is kept by the manager.
    fn marshal_snapshot(&self) -> ProxySnapshot;

    /// Restores this value, as created by its factory, from a stored state.
    ///
    /// # Errors
    /// When the state cannot be used: it is logged, and the stored state is lost.
    fn unmarshal_snapshot(&self, snapshot: &ProxySnapshot) -> Result<()>;

    /// Begins to stop without waiting. The manager calls it on every proxy that has to go before it calls
    /// [`Proxy::stop`] on the first, so that slow ones stop at the same time. Does nothing unless implemented.
    fn request_stop(&self) {}

    /// The value itself, for [`Proxy::equal`] to recognize its own kind: always `self`.
    fn as_any(&self) -> &dyn Any;
}

/// What a factory of a registered kind is told.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ProxyContext<'a> {
    /// The id of the proxy.
    pub id: &'a str,
    /// The mode that it was registered under.
    pub mode: &'a ExecMode,
    /// The declaration; absent when the proxy is created to be restored from a snapshot.
    pub config: Option<&'a ProxyConfig>,
}

/// Creates a proxy of a registered kind, stopped. It is called with the manager's lock held: it must not call the
/// manager.
pub type ProxyFactory = dyn Fn(ProxyContext<'_>) -> Result<Box<dyn Proxy>> + Send + Sync;

/// A proxy that does nothing (`SEED.txt`, type Noop).
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
