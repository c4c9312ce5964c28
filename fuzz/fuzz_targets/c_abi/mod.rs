// SPDX-License-Identifier: MPL-2.0
//! What the targets of the C ABI share: the functions that each of them calls, and how.

use std::ffi::{CStr, c_char};
use std::ptr::null_mut;

// Nothing else of it is used here, and it has to be linked.
use proxyprocess as _;

pub(crate) enum State {}
pub(crate) enum Error {}

// As in include/proxyprocess.h.
unsafe extern "C" {
    pub(crate) fn proxyprocess_state_new(state: *mut *mut State, err: *mut *mut Error) -> i32;
    pub(crate) fn proxyprocess_state_free(state: *mut State);
    pub(crate) fn proxyprocess_state_replace_all_json(
        state: *const State,
        json: *const c_char,
        length: usize,
        err: *mut *mut Error,
    ) -> i32;
    fn proxyprocess_state_list_json(
        state: *const State,
        json: *mut *mut c_char,
        length: *mut usize,
        err: *mut *mut Error,
    ) -> i32;
    fn proxyprocess_error_message(error: *const Error, length: *mut usize) -> *const c_char;
    fn proxyprocess_error_free(error: *mut Error);
    fn proxyprocess_text_free(text: *mut c_char);
}

/// Makes a call that may fail; true when it did not. A failure has a message of bounded length on one line.
pub(crate) fn call(made: impl FnOnce(*mut *mut Error) -> i32) -> bool {
    let mut error = null_mut();
    let code = made(&mut error);
    assert_eq!(code == 0, error.is_null());
    if code == 0 {
        return true;
    }
    assert!(code < 0);
    // SAFETY: the error was made by the call and is freed once; its message is a string that lives as long.
    unsafe {
        let message = CStr::from_ptr(proxyprocess_error_message(error, null_mut()));
        assert!((1..=4096).contains(&message.to_bytes().len()), "{message:?}");
        assert!(!message.to_bytes().contains(&b'\n'), "{message:?}");
        proxyprocess_error_free(error);
    }
    false
}

/// All that is declared.
pub(crate) fn listed(state: *const State) -> Vec<u8> {
    let (mut text, mut length) = (null_mut(), 0);
    // SAFETY: the state lives, and the text is as long as it says until it is freed.
    unsafe {
        assert!(call(|error| proxyprocess_state_list_json(state, &mut text, &mut length, error)));
        let listed = std::slice::from_raw_parts(text.cast::<u8>(), length).to_vec();
        proxyprocess_text_free(text);
        listed
    }
}
