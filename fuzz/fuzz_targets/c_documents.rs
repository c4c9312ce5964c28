// SPDX-License-Identifier: MPL-2.0
//! The same documents through the C ABI: bytes that need not be UTF-8 and have no NUL behind them.

#![no_main]

use std::ffi::{CStr, c_char};
use std::ptr::{null, null_mut};

// Nothing else of it is used here, and it has to be linked.
use proxyprocess as _;

enum State {}
enum Daemon {}
enum Error {}

// As in include/proxyprocess.h.
unsafe extern "C" {
    fn proxyprocess_state_new(state: *mut *mut State, err: *mut *mut Error) -> i32;
    fn proxyprocess_state_free(state: *mut State);
    fn proxyprocess_state_set_json(
        state: *const State,
        id: *const c_char,
        json: *const c_char,
        length: usize,
        err: *mut *mut Error,
    ) -> i32;
    fn proxyprocess_state_replace_all_json(
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
    fn proxyprocess_daemon_new_json(
        id: *const c_char,
        json: *const c_char,
        length: usize,
        files: *const u8,
        daemon: *mut *mut Daemon,
        err: *mut *mut Error,
    ) -> i32;
    fn proxyprocess_daemon_free(daemon: *mut Daemon);
    fn proxyprocess_error_message(error: *const Error, length: *mut usize) -> *const c_char;
    fn proxyprocess_error_free(error: *mut Error);
    fn proxyprocess_text_free(text: *mut c_char);
}

/// Makes a call that may fail; true when it did not. A failure has a message of bounded length.
fn call(made: impl FnOnce(*mut *mut Error) -> i32) -> bool {
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

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let json = data.as_ptr().cast();
    let (mut state, mut daemon, mut text, mut length) = (null_mut(), null_mut(), null_mut(), 0);
    // SAFETY: every pointer is NULL where the header allows it, or good for the call; what is made is freed once.
    unsafe {
        assert!(call(|error| proxyprocess_state_new(&mut state, error)));
        call(|error| proxyprocess_state_set_json(state, c"web".as_ptr(), json, data.len(), error));
        if call(|error| proxyprocess_state_replace_all_json(state, json, data.len(), error)) {
            assert!(call(|error| proxyprocess_state_list_json(state, &mut text, &mut length, error)));
            assert!(call(|error| proxyprocess_state_replace_all_json(state, text, length, error)));
            proxyprocess_text_free(text);
        }
        if call(|error| proxyprocess_daemon_new_json(c"web".as_ptr(), json, data.len(), null(), &mut daemon, error)) {
            proxyprocess_daemon_free(daemon);
        }
        proxyprocess_state_free(state);
    }
});
