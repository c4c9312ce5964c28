// SPDX-License-Identifier: MPL-2.0
//! Ten thousand restarts and ten thousand syncs leave descriptors, threads, memory and files as they were.
//!
//! An optimized build does so many in some seconds; a debug build does fewer, and PROXYPROCESS_LEAKS sets how many.

mod measure;
mod restarts;
mod syncs;
