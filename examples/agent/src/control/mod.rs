// SPDX-License-Identifier: MPL-2.0
//! The conversation between an agent and the commands for it: JSON lines over a unix socket in the data directory.

mod answering;
pub(crate) mod client;
mod connection;
pub(crate) mod protocol;
mod requests;
pub(crate) mod server;
mod socket;
