// SPDX-License-Identifier: MPL-2.0
//! The example agent, seen from outside: its configuration file, its signals, its status lines, its files, and the
//! processes that it keeps.
//!
//! The variable `PROXYPROCESS_AGENT` names another program to test in its place; without it the example is built.

mod adopt;
mod cgroups;
mod change;
mod detached;
mod handovers;
mod output;
mod output_places;
mod process_settings;
mod refuse;
mod restart;
mod scale;
mod settings;
mod start;
mod stop;
mod user_names;
