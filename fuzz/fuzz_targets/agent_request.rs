// SPDX-License-Identifier: MPL-2.0
//! What the example agent and its commands say to each other. The agent is a program: its module is compiled here.

#![no_main]

#[allow(dead_code, reason = "what the agent uses of it")]
#[path = "../../examples/agent/src/control/protocol.rs"]
mod protocol;

use protocol::{Line, Request};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(request) = serde_json::from_slice::<Request>(data) {
        let text = serde_json::to_string(&request).expect("a request is JSON");
        assert!(!text.contains('\n'), "{text}");
        let again: Request = serde_json::from_str(&text).expect("what is written can be read");
        assert_eq!(serde_json::to_string(&again).expect("a request is JSON"), text);
    }
    if let Ok(Line::Known(answer)) = serde_json::from_slice(data) {
        let text = serde_json::to_string(&answer).expect("an answer is JSON");
        assert!(!text.contains('\n'), "{text}");
        let Ok(Line::Known(again)) = serde_json::from_str(&text) else { panic!("it cannot be read: {text}") };
        assert_eq!(serde_json::to_string(&again).expect("an answer is JSON"), text);
    }
});
