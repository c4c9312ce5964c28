// SPDX-License-Identifier: MPL-2.0
//! Hostile hosts: programs that ignore, block, steal, leak and run short of what a supervisor needs. None of it may be
//! inherited by a proxy, or cost one. Each host is a process of its own.

mod descriptors;
mod detached;
mod dumpable;
mod kernels;
mod life;
mod null;
mod proc;
mod signals;
mod threads;
mod tracing;
mod waiting;
