// SPDX-License-Identifier: MPL-2.0
//! Values of the host's that the library drops.

use std::ops::Deref;

use super::caught::caught;

/// A value of the host's. A panic in its destructor is caught, for the thread that drops it is the library's, or the drop
/// happens within a lock.
pub(crate) struct HostOwned<T>(Option<T>);

impl<T> HostOwned<T> {
    pub(crate) fn new(value: T) -> HostOwned<T> {
        HostOwned(Some(value))
    }
}

impl<T> Deref for HostOwned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(value) => value,
            None => unreachable!("it is taken only by the drop"),
        }
    }
}

impl<T> Drop for HostOwned<T> {
    fn drop(&mut self) {
        let value = self.0.take();
        // The panic hook of the program has reported it.
        let _ = caught(|| drop(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_of_a_destructor_is_caught() {
        struct Panics;
        impl Drop for Panics {
            fn drop(&mut self) {
                panic!("on purpose");
            }
        }
        drop(HostOwned::new(Panics));
    }
}
