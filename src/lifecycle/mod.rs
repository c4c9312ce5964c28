//! The life of one process, decided purely: what to do next, given what happened and when.

pub(crate) mod backoff;
pub(crate) mod machine;
mod stop;

pub use backoff::RestartSettings;
pub use machine::ProxyState;
pub use stop::StopSettings;
