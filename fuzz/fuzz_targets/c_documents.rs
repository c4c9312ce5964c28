// SPDX-License-Identifier: MPL-2.0
//! The same documents through the C ABI: bytes that need not be UTF-8 and have no NUL behind them.

#![no_main]

mod c_abi;

use std::ffi::c_char;
use std::ptr::{null, null_mut};

use c_abi::{
    Error, State, call, listed, proxyprocess_state_free, proxyprocess_state_new, proxyprocess_state_replace_all_json,
};

enum Daemon {}

// As in include/proxyprocess.h.
unsafe extern "C" {
    fn proxyprocess_state_set_json(
        state: *const State,
        id: *const c_char,
        json: *const c_char,
        length: usize,
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
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let json = data.as_ptr().cast();
    let (mut state, mut daemon) = (null_mut(), null_mut());
    // SAFETY: every pointer is NULL where the header allows it, or good for the call; what is made is freed once.
    unsafe {
        assert!(call(|error| proxyprocess_state_new(&mut state, error)));
        call(|error| proxyprocess_state_set_json(state, c"web".as_ptr(), json, data.len(), error));
        if call(|error| proxyprocess_state_replace_all_json(state, json, data.len(), error)) {
            let text = listed(state);
            assert!(call(|error| proxyprocess_state_replace_all_json(state, text.as_ptr().cast(), text.len(), error)));
        }
        if call(|error| proxyprocess_daemon_new_json(c"web".as_ptr(), json, data.len(), null(), &mut daemon, error)) {
            proxyprocess_daemon_free(daemon);
        }
        proxyprocess_state_free(state);
    }
});
