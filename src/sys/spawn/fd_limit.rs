// SPDX-License-Identifier: MPL-2.0
//! The descriptor limit of children: the declared one, or the agent's as it was when this library was loaded. In a program
//! that is linked with it that is before its runtime raises the limit for itself.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};

/// A soft and a hard limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

struct AtLoad {
    known: AtomicBool,
    limit: UnsafeCell<Limit>,
}

// SAFETY: `limit` is written once, by `capture`, before `known` is released; readers acquire `known` first.
unsafe impl Sync for AtLoad {}

static AT_LOAD: AtLoad = AtLoad { known: AtomicBool::new(false), limit: UnsafeCell::new(Limit { soft: 0, hard: 0 }) };

/// Runs before `main`: the Go runtime raises its soft limit when it starts, and programs that use select(2) break
/// if they inherit that.
#[used]
#[unsafe(link_section = ".init_array")]
static CAPTURE: extern "C" fn() = capture;

extern "C" fn capture() {
    if AT_LOAD.known.load(Ordering::Acquire) {
        return;
    }
    if let Some(limit) = descriptors_now() {
        // SAFETY: initializers run one after the other on one thread, and `known` is still false: no thread reads it.
        unsafe { *AT_LOAD.limit.get() = limit };
        AT_LOAD.known.store(true, Ordering::Release);
    }
}

/// The limit of this process at this moment.
pub(super) fn descriptors_now() -> Option<Limit> {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: the pointer is to writable memory of the right type.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, limit.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: getrlimit succeeded and has written the whole struct.
    let limit = unsafe { limit.assume_init() };
    Some(Limit { soft: limit.rlim_cur, hard: limit.rlim_max })
}

/// What a child must set to have the declared soft limit, or without one that of the agent when the library was loaded;
/// nothing when that is in force, by inheriting the agent's of now. A declared one can be above the hard limit, and cannot be set then.
///
/// The hard limit is never raised: lowering it was a decision of the user.
pub(crate) fn descriptors_for_child(declared: Option<u64>, now: Option<Limit>) -> Option<Limit> {
    let now = now?;
    let soft = match declared {
        Some(soft) => soft,
        None => at_load()?.soft.min(now.hard),
    };
    let wanted = Limit { soft, hard: now.hard };
    (wanted != now).then_some(wanted)
}

fn at_load() -> Option<Limit> {
    // SAFETY: `known` is acquired first, so the one write is before this read.
    AT_LOAD.known.load(Ordering::Acquire).then(|| unsafe { *AT_LOAD.limit.get() })
}
