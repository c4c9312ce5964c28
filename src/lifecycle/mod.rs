//! The life of one process, decided purely: what to do next, given what happened and when.

pub(crate) mod background;
pub(crate) mod backoff;
mod escalation;
pub(crate) mod event;
pub(crate) mod machine;
mod stop;

pub use backoff::RestartSettings;
pub use event::ProxyState;
pub use stop::StopSettings;
