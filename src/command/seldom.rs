// SPDX-License-Identifier: MPL-2.0
//! What few values have: allocated once it is there. Of ten thousand declarations it would be megabytes.

use std::ops::{Deref, DerefMut};

/// A `T` that is mostly its default.
#[derive(Debug, Clone)]
pub(crate) struct Seldom<T>(Option<Box<T>>);

/// Its default, for those that have no own.
pub(crate) trait Nothing: Default + 'static {
    fn nothing() -> &'static Self;
}

impl<T> Default for Seldom<T> {
    fn default() -> Seldom<T> {
        Seldom(None)
    }
}

impl<T: Nothing> Deref for Seldom<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(some) => some,
            None => T::nothing(),
        }
    }
}

impl<T: Nothing> DerefMut for Seldom<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}

impl<T: Nothing + PartialEq> PartialEq for Seldom<T> {
    fn eq(&self, other: &Seldom<T>) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            _ => **self == **other,
        }
    }
}

impl<T: Nothing + Eq> Eq for Seldom<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    struct Number {
        it: u32,
    }

    impl Nothing for Number {
        fn nothing() -> &'static Number {
            &Number { it: 0 }
        }
    }

    #[test]
    fn value_that_was_set_to_its_default_is_equal_to_none() {
        let (none, mut set) = (Seldom::<Number>::default(), Seldom::<Number>::default());
        set.it = 7;
        assert_ne!(none, set);
        assert_eq!((none.it, set.it), (0, 7));
        set.it = 0;
        assert_eq!(none, set);
    }
}
