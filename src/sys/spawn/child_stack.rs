// SPDX-License-Identifier: MPL-2.0
//! Memory for the stacks of children between clone and exec.

use std::io;

use crate::sys::{check, fail};

/// A stack for children, kept by a spawner thread. One child uses it at a time: its parent waits meanwhile.
#[derive(Debug)]
pub(crate) struct ChildStack {
    base: *mut libc::c_void,
}

// SAFETY: the memory belongs to this value alone and is used by the thread that has it mutably.
unsafe impl Send for ChildStack {}

impl ChildStack {
    const GUARD: usize = 64 * 1024;
    const SIZE: usize = 64 * 1024;

    /// What an intermediate child uses of it, at most: it makes a handful of system calls.
    const OF_INTERMEDIATE: usize = 16 * 1024;

    /// Maps a stack with a guard below, whatever the page size.
    pub(crate) fn new() -> io::Result<ChildStack> {
        fail::failing("stack:map")?;
        let (flags, size) = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK, Self::GUARD + Self::SIZE);
        // SAFETY: a new anonymous mapping, at an address of the kernel's choice.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), size, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = ChildStack { base };
        // SAFETY: an address within the mapping made above.
        let usable = unsafe { base.byte_add(Self::GUARD) };
        // SAFETY: the upper part of that mapping, which nothing else uses yet.
        let opened = unsafe { libc::mprotect(usable, Self::SIZE, libc::PROT_READ | libc::PROT_WRITE) };
        check(i64::from(opened)).map(|_| stack)
    }

    /// One past the highest byte; page-aligned, as every architecture's calling convention accepts.
    pub(crate) fn top(&mut self) -> *mut libc::c_void {
        // SAFETY: the end of the mapping that `new` made.
        unsafe { self.base.byte_add(Self::GUARD + Self::SIZE) }
    }

    /// Its lowest byte and its size, as clone3(2) has them.
    pub(crate) fn bounds(&mut self) -> (u64, u64) {
        // SAFETY: an address within the mapping that `new` made.
        let lowest = unsafe { self.base.byte_add(Self::GUARD) };
        (lowest as u64, Self::SIZE as u64)
    }

    /// The same of the part below the intermediate child's, for the process that this one clones: both live for a
    /// moment.
    pub(crate) fn top_beside_intermediate(&mut self) -> *mut libc::c_void {
        // SAFETY: an address within the mapping that `new` made.
        unsafe { self.base.byte_add(Self::GUARD + Self::SIZE - Self::OF_INTERMEDIATE) }
    }
}

impl Drop for ChildStack {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made; no child uses it, for its parent would be waiting.
        unsafe { libc::munmap(self.base, Self::GUARD + Self::SIZE) };
    }
}
