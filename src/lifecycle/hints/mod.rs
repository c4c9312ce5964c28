// SPDX-License-Identifier: MPL-2.0
//! Advice about a declaration, derived from what happens to its processes and never from a list of programs. Pure.

pub(crate) mod background;
pub(crate) mod exit_code;
pub(crate) mod killed_stops;
pub(crate) mod taken_port;
