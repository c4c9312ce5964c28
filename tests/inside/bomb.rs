// SPDX-License-Identifier: MPL-2.0
//! A payload of a panic that panics again.

/// Panics whenever it is dropped, with another one.
#[derive(Debug)]
pub(crate) struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        std::panic::panic_any(Bomb);
    }
}
