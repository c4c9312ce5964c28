// SPDX-License-Identifier: MPL-2.0
//! The tests from outside, with real processes, in one program, so that what they share is compiled once and they wait at
//! the same time. `cargo test stops::` runs those of one folder.
//!
//! What a test counts or changes of its process (descriptors, memory, limits, the signals that it handles, the file
//! mode mask) it counts or changes in a process of its own: see `support/alone.rs` and `inside/act.rs`.

mod inside;
mod support;

mod agent;
mod agent_commands;
mod c_abi;
mod cgroups;
mod crashes;
mod directory;
mod documents;
mod examples;
mod faults;
mod helper_program;
mod hosts;
mod leaks;
mod library;
mod listen;
mod other_agents;
mod readiness;
mod real_proxies;
mod scarcity;
mod stops;
mod strangers;
