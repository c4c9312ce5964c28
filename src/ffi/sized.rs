// SPDX-License-Identifier: MPL-2.0
//! Structs of the caller's that may be of an older or a newer version of the header than the library.
//!
//! Each begins with its size as the caller knows it, and fields are only ever appended. So a caller that was compiled
//! with an older header has a shorter one, of which only that much is read or written; a newer one has a longer one,
//! which is accepted as long as what we do not know is zero.

use std::mem::MaybeUninit;

use super::error::proxyprocess_code;
use super::failure::Failure;

/// A struct whose first field is its size.
///
/// # Safety
/// It is `repr(C)`, its first field is a `u32`, and any bytes are a valid value of it.
pub(super) unsafe trait SizedStruct: Copy {
    /// How errors name it.
    const NAME: &'static str;
    /// The size in the first version of the header that had it.
    const FIRST_SIZE: usize;

    /// The value whose fields a shorter struct does not have.
    fn defaults() -> Self;
}

/// Sizes beyond this are garbage: memory that was never initialized.
const LARGEST: usize = 4096;

/// A struct to read, or NULL.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct In<T>(*const T);

impl<T: SizedStruct> In<T> {
    /// The caller's values, with the defaults for what it does not know of; `None` for NULL.
    ///
    /// # Errors
    /// [`proxyprocess_code::PROXYPROCESS_E_STRUCT_SIZE`] when the size cannot be true, or something is set that this
    /// version does not know.
    pub(super) fn get(&self) -> Result<Option<T>, Failure> {
        if self.0.is_null() {
            return Ok(None);
        }
        // SAFETY: C made the pointer and promises that a struct of this kind is there, which begins with its size.
        let size = unsafe { self.0.cast::<u32>().read() } as usize;
        let known = check_size::<T>(size)?.min(size_of::<T>());
        let mut value = T::defaults();
        // SAFETY: C promises that the struct has `size` bytes, of which `known` are read; the value has at least as
        // many, and any bytes are valid in it.
        unsafe { std::ptr::copy_nonoverlapping(self.0.cast::<u8>(), (&raw mut value).cast(), known) };
        // SAFETY: C promises that the struct has `size` bytes, and these are the last of them.
        let unknown = unsafe { std::slice::from_raw_parts(self.0.cast::<u8>().wrapping_add(known), size - known) };
        if let Some(at) = unknown.iter().position(|&byte| byte != 0) {
            let offset = known + at;
            let message = format!("{}: expected nothing at offset {offset}, which is for later versions", T::NAME);
            return Err(Failure::new(proxyprocess_code::PROXYPROCESS_E_STRUCT_SIZE, message));
        }
        Ok(Some(value))
    }

    /// The same, and NULL is an error.
    pub(super) fn required(&self, name: &str) -> Result<T, Failure> {
        self.get()?.ok_or_else(|| Failure::null(name))
    }
}

/// A struct to fill, or NULL. What is behind it need not be initialized, except where the size is asked for.
#[derive(Debug)]
#[repr(transparent)]
pub struct Out<T>(*mut MaybeUninit<T>);

impl<T: SizedStruct> Out<T> {
    /// Fills a struct whose `struct_size` the caller has set.
    ///
    /// # Errors
    /// [`proxyprocess_code::PROXYPROCESS_E_NULL_ARGUMENT`], [`proxyprocess_code::PROXYPROCESS_E_STRUCT_SIZE`].
    pub(super) fn fill(&mut self, name: &str, value: T) -> Result<(), Failure> {
        let size = self.size(name)?;
        self.write(size, value);
        Ok(())
    }

    /// The size that the caller has set, checked.
    pub(super) fn size(&self, name: &str) -> Result<usize, Failure> {
        if self.0.is_null() {
            return Err(Failure::null(name));
        }
        // SAFETY: C made the pointer and promises that a struct of this kind is there, which begins with its size.
        let size = unsafe { self.0.cast::<u32>().read() } as usize;
        check_size::<T>(size)
    }

    /// Initializes a struct of so many bytes with the defaults.
    ///
    /// # Errors
    /// As [`Out::fill`].
    pub(super) fn initialize(&mut self, name: &str, size: usize) -> Result<(), Failure> {
        if self.0.is_null() {
            return Err(Failure::null(name));
        }
        let size = check_size::<T>(size)?;
        // SAFETY: C promises that it has `size` writable bytes.
        unsafe { std::ptr::write_bytes(self.0.cast::<u8>(), 0, size) };
        self.write(size, T::defaults());
        Ok(())
    }

    /// Writes what the caller knows of a value, and its own size.
    fn write(&mut self, size: usize, value: T) {
        let known = size.min(size_of::<T>());
        // SAFETY: C promises `size` writable bytes, and that is at least `known`; `value` has as many, and is no part
        // of the caller's memory.
        unsafe { std::ptr::copy_nonoverlapping((&raw const value).cast::<u8>(), self.0.cast(), known) };
        // SAFETY: the first four of those bytes are the size, and `check_size` has made sure that they hold it.
        unsafe { self.0.cast::<u32>().write(size as u32) };
    }
}

fn check_size<T: SizedStruct>(size: usize) -> Result<usize, Failure> {
    const { assert!(T::FIRST_SIZE <= size_of::<T>(), "structs only grow") };
    if (T::FIRST_SIZE..=LARGEST).contains(&size) {
        return Ok(size);
    }
    let (name, least) = (T::NAME, T::FIRST_SIZE);
    let message = format!("{name}.struct_size: expected sizeof the struct ({least} to {LARGEST}), got {size}");
    Err(Failure::new(proxyprocess_code::PROXYPROCESS_E_STRUCT_SIZE, message))
}

/// Fields that later versions may give a meaning.
pub(super) fn reserved(name: &str, bytes: &[u8]) -> Result<(), Failure> {
    if bytes.iter().all(|&byte| byte == 0) {
        return Ok(());
    }
    Err(Failure::argument(format!("{name}: expected 0, for it is reserved")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    #[repr(C)]
    struct Sample {
        struct_size: u32,
        first: u32,
        later: u64,
    }

    // SAFETY: it is repr(C), begins with its size, and consists of plain numbers.
    unsafe impl SizedStruct for Sample {
        const NAME: &'static str = "sample";
        const FIRST_SIZE: usize = 8;

        fn defaults() -> Sample {
            Sample { struct_size: 0, first: 1, later: 2 }
        }
    }

    fn read(words: &[u32]) -> Result<Sample, Failure> {
        let words = [words, &[0; 1024]].concat();
        In::<Sample>(words.as_ptr().cast()).required("sample")
    }

    #[test]
    fn an_older_caller_gets_the_defaults_of_what_it_does_not_know() {
        assert_eq!(read(&[8, 7, 99, 99]).unwrap(), Sample { struct_size: 8, first: 7, later: 2 });
        assert_eq!(read(&[16, 7, 9, 0]).unwrap(), Sample { struct_size: 16, first: 7, later: 9 });
    }

    #[test]
    fn a_newer_caller_may_set_nothing_that_is_not_known() {
        assert_eq!(read(&[24, 7, 9, 0, 0, 0]).unwrap().later, 9);
        let error = read(&[24, 7, 9, 0, 0, 1]).unwrap_err();
        assert!(error.to_string().contains("offset 20"), "{error}");
        for size in [0, 7, 4097, u32::MAX] {
            assert!(read(&[size]).unwrap_err().to_string().contains("struct_size"), "{size}");
        }
    }

    #[test]
    fn only_what_the_caller_has_is_written() {
        let mut words = [8u32, 5, 5, 5];
        let mut out = Out::<Sample>(words.as_mut_ptr().cast());
        out.fill("sample", Sample { struct_size: 0, first: 1, later: 2 }).unwrap();
        assert_eq!(words, [8, 1, 5, 5]);
        let mut words = [77u32; 6];
        Out::<Sample>(words.as_mut_ptr().cast()).initialize("sample", 20).unwrap();
        assert_eq!(words, [20, 1, 2, 0, 0, 77]);
    }
}
