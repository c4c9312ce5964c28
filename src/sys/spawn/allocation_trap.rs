// SPDX-License-Identifier: MPL-2.0
//! The proof that a child does not allocate between clone and exec: an allocator, for the unit tests only, that ends
//! any other process than the one that it was first used in.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI32, Ordering};

/// The exit code of a process that allocated where it must not.
pub(crate) const TRAPPED: i32 = 77;

struct Trap {
    owner: AtomicI32,
}

#[global_allocator]
static ALLOCATOR: Trap = Trap { owner: AtomicI32::new(0) };

impl Trap {
    fn check(&self) {
        // SAFETY: getpid has no preconditions.
        let pid = unsafe { libc::syscall(libc::SYS_getpid) } as i32;
        let owner =
            self.owner.compare_exchange(0, pid, Ordering::Relaxed, Ordering::Relaxed).unwrap_or_else(|owner| owner);
        if owner != 0 && owner != pid {
            // SAFETY: no pointers are passed; it does not return.
            unsafe { libc::syscall(libc::SYS_exit_group, TRAPPED) };
        }
    }
}

// SAFETY: everything is left to the system's allocator; the check neither allocates nor unwinds.
unsafe impl GlobalAlloc for Trap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.check();
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.check();
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.check();
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// A worker that a test has forked, which executes nothing, may allocate.
pub(crate) fn allow_in_this_process() {
    // SAFETY: getpid has no preconditions.
    ALLOCATOR.owner.store(unsafe { libc::getpid() }, Ordering::Relaxed);
}

/// The trap itself works: a process that allocates after a fork is caught.
#[test]
fn an_allocation_in_a_child_is_caught() {
    // SAFETY: the child only allocates, which ends it, or exits.
    let child = unsafe { libc::fork() };
    if child == 0 {
        std::hint::black_box(Box::new(1u64));
        // SAFETY: ends the child without running anything of the parent's.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: `status` lives through the call.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(libc::WEXITSTATUS(status), TRAPPED);
}
