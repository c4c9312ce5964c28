// SPDX-License-Identifier: MPL-2.0
//! A network namespace of the benchmark's own, in which it may change what the kernel does with connections.

use std::fs;
use std::process::Command;

use crate::Result;

/// In the environment of one that is in its own.
const INSIDE: &str = "GAPLESS_NETWORK";

const MIGRATE: &str = "/proc/sys/net/ipv4/tcp_migrate_req";

/// Whether this is in a namespace of its own.
pub(crate) fn is_own() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs the same in a namespace of its own; whether it succeeds.
pub(crate) fn run_again() -> Result<bool> {
    let script = "ip link set lo up && exec \"$0\" \"$@\"";
    let mut again = Command::new("unshare");
    again.args(["--net", "sh", "-c", script]).arg(std::env::current_exe()?).args(std::env::args_os().skip(1));
    let status = again.env(INSIDE, "1").status().map_err(|error| format!("--network: unshare: {error}"))?;
    Ok(status.success())
}

/// What waits at a listener that is closed goes to another one of its address while this lives (Linux 5.14, ip-sysctl).
pub(crate) struct Migrated;

impl Migrated {
    pub(crate) fn begin() -> Result<Migrated> {
        fs::write(MIGRATE, "1").map_err(|error| format!("write {MIGRATE}: {error}"))?;
        Ok(Migrated)
    }
}

impl Drop for Migrated {
    fn drop(&mut self) {
        let _ = fs::write(MIGRATE, "0");
    }
}
