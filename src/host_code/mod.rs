// SPDX-License-Identifier: MPL-2.0
//! Code of the host that the library runs: loggers, proxies of registered kinds, and their destructors.

mod caught;
mod inside;
mod owned;

pub(crate) use caught::caught;
#[cfg(feature = "capi")]
pub(crate) use inside::allowed_within;
pub(crate) use inside::{Inside, outside_loggers, within};
pub(crate) use owned::HostOwned;
