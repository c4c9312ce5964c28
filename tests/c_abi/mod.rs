// SPDX-License-Identifier: MPL-2.0
//! The C interface: its header, its symbols, and the programs in C of `ffi-tests` that use it.
//!
//! The programs are built by `make -C ffi-tests`, once plain and once with sanitizers, and run so, and under valgrind.
//! With PROXYPROCESS_FFI_BUILT=<target>/ffi-tests they are taken from there as they are, for who may not build.

pub(crate) mod build;
mod declared;
mod header;
mod languages;
mod programs;
mod run;
mod symbols;
