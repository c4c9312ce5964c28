// SPDX-License-Identifier: MPL-2.0
//! What the tests share that embed the library themselves: a host, a reader of its events, and parts of a test that
//! are played in processes of their own.

mod act;
mod bomb;
mod exhausted;
mod host;
mod kinds;
mod look;
mod observer;
mod root_proxy;

pub(crate) use act::{Part, Place, Stage, is_act, park, stage};
pub(crate) use bomb::Bomb;
pub(crate) use exhausted::Exhausted;
pub(crate) use host::{Host, helper, inherited, quick};
pub(crate) use kinds::{Calls, register_scripted, scripted};
pub(crate) use look::{
    context_switches, descriptors, json, kernel_tells_status_of_strangers, library_threads, no_library_thread_is_left,
    settled_descriptors, spin, start_ticks, wait_until,
};
pub(crate) use observer::Observer;
pub(crate) use root_proxy::{play_with_root_proxy, root_proxy, until_root};
