// SPDX-License-Identifier: MPL-2.0
//! The configuration of the example agent, in JSON and in TOML. The agent is a program: its modules are compiled here.

#![no_main]

#[allow(dead_code, unused_imports, reason = "what the agent uses of it")]
#[path = "../../examples/agent/src/config/mod.rs"]
mod config;
#[allow(dead_code, unused_imports, reason = "what the agent uses of it")]
#[path = "../../examples/agent/src/output/mod.rs"]
mod output;
#[allow(dead_code, reason = "what the agent uses of it")]
#[path = "../../examples/agent/src/spelling.rs"]
mod spelling;

use std::path::Path;
use std::sync::LazyLock;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Where the files are that the agent is to read: in memory.
static FILES: LazyLock<String> = LazyLock::new(|| format!("/dev/shm/proxyprocess-fuzz-{}", std::process::id()));

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for format in ["json", "toml"] {
        let path = format!("{}.{format}", *FILES);
        std::fs::write(&path, data).expect("write the file");
        let read = config::Config::load(Path::new(&path), Path::new("/bin/agent"));
        std::fs::remove_file(&path).expect("remove the file");
        if let Err(mistakes) = read {
            assert!(!mistakes.all().is_empty());
            for line in mistakes.all() {
                assert!(!line.contains(char::is_control), "{line:?}");
            }
        }
    }
});
