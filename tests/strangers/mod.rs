// SPDX-License-Identifier: MPL-2.0
//! A recycled pid: the process that has it now is never signalled and never adopted, the proxy is
//! started anew, and why is said.
//!
//! Numbers are given away on purpose, in a pid namespace: the agent and its proxy are killed, and the proxy's number
//! becomes that of a stranger, who says so if it is signalled.

mod alive;
mod claims;
mod groups;
mod left;
mod numbers;
mod same_tick;
mod stranger;
mod views;
