// SPDX-License-Identifier: MPL-2.0
//! The declaration of a proxy as C gives it: a struct, in which several fields are JSON or text. The input has one after the
//! other, with a NUL byte behind each; an empty one is NULL.

#![no_main]

mod c_abi;

use std::ffi::{CString, c_char};
use std::ptr::{null, null_mut};

use c_abi::{
    Error, State, call, listed, proxyprocess_state_free, proxyprocess_state_new, proxyprocess_state_replace_all_json,
};

// As in include/proxyprocess.h; the struct by its size.
unsafe extern "C" {
    fn proxyprocess_proxy_options_init(options: *mut u64, struct_size: usize) -> i32;
    fn proxyprocess_state_set(state: *const State, id: *const c_char, options: *const u64, err: *mut *mut Error)
    -> i32;
}

/// The struct in words of eight bytes.
const WORDS: usize = 360 / 8;
/// Where `argv` is.
const ARGV: usize = 16 / 8;
/// Where the fields with JSON and text are: `ffi-tests/abi.c`.
const FIELDS: [usize; 19] = [192, 200, 208, 216, 240, 248, 312, 320, 352, 56, 8, 24, 40, 48, 160, 168, 256, 280, 288];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let given: Vec<CString> = data.split(|byte| *byte == 0).filter_map(|field| CString::new(field).ok()).collect();
    let argv = [c"/bin/a".as_ptr(), null()];
    let (mut options, mut state, mut again) = ([0; WORDS], null_mut(), null_mut());
    // SAFETY: all pointers are to what lives until the end of the calls; what is made is freed once.
    unsafe {
        assert_eq!(proxyprocess_proxy_options_init(options.as_mut_ptr(), size_of_val(&options)), 0);
        options[ARGV] = argv.as_ptr() as u64;
        for (at, field) in FIELDS.iter().zip(&given).filter(|(_, field)| !field.is_empty()) {
            options[at / 8] = field.as_ptr() as u64;
        }
        assert!(call(|error| proxyprocess_state_new(&mut state, error)));
        assert!(call(|error| proxyprocess_state_new(&mut again, error)));
        if call(|error| proxyprocess_state_set(state, c"web".as_ptr(), options.as_ptr(), error)) {
            let text = listed(state);
            let json = text.as_ptr().cast();
            assert!(call(|error| proxyprocess_state_replace_all_json(again, json, text.len(), error)));
            assert_eq!(listed(again), text);
        }
        proxyprocess_state_free(state);
        proxyprocess_state_free(again);
    }
});
