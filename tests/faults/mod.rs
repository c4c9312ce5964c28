// SPDX-License-Identifier: MPL-2.0
//! The faults of the original package, A to P of the design, one regression test each (and here and there a second).
//!
//! Every test shows the fault in what a user of the library can see: events, status, files, and the processes
//! themselves, which are played by the helper program.

mod ends;
mod resources;
mod restarts;
mod snapshot;
mod stale;
mod stops;
mod takeover;
