// SPDX-License-Identifier: MPL-2.0
//! The C ABI: what an agent in C or Go links. `include/proxyprocess.h` is generated from these files, in this order, so
//! their documentation is written for readers of C.
//!
//! An entry point is a safe function: the types of its parameters say what C may pass. `Option<&T>` and
//! `Option<Box<T>>` are handles that may be NULL; the types of [`input`] and [`sized`] are pointers that only C code
//! creates and that only those two files dereference. The section "Pointers" of the header states once what C must
//! guarantee.
//!
//! Every body runs within [`handle::call`]: a failure or a panic becomes a code and an error object and never unwinds.

// The only place besides `sys` where unsafe code is allowed.
#![allow(unsafe_code)]
// C's names and C's visibility: the linker exports what Rust itself cannot reach.
#![allow(non_camel_case_types, unreachable_pub, missing_debug_implementations)]

mod callback;
mod command_options;
mod daemon;
mod ended_by;
mod entered;
mod error;
mod event;
mod events;
mod exit;
mod failure;
mod handle;
mod input;
mod json;
mod kind;
mod log;
mod logs;
mod manager;
mod metrics;
mod noop;
mod options;
mod output;
mod owned_text;
mod panic;
mod proxy_options;
mod proxy_state;
mod running_manager;
mod sized;
mod state;
mod status;
mod steering;
mod text;
mod version;
