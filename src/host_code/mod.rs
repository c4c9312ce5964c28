//! Code of the host that the library runs: loggers, proxies of registered kinds, and their destructors.

mod caught;
mod owned;

pub(crate) use caught::caught;
pub(crate) use owned::HostOwned;
