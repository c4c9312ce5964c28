// SPDX-License-Identifier: MPL-2.0
//! systemd, as a manager of a user's units: it need not be the first process. It wants to see that the system was booted by
//! systemd, so it gets a `/run` of its own that says so.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use super::external::{External, Order, Source};
use crate::Result;
use crate::beacons::SOCKET_VARIABLE;
use crate::tools::in_path;

pub(super) const SYSTEMD: External = External {
    option: "systemd",
    program: "systemctl",
    source: Source::Debian("systemd"),
    remarks: "a user's manager, a unit for each process with `Restart=always`, `RestartSec=0` and no output",
    stop_signal: Signal::TERM,
    most_kills: u32::MAX,
    descriptors_each: 8,
    refuses,
    set_up,
};

const MANAGER: &str = "/lib/systemd/systemd";

/// What is done in the mount namespace before it is executed: the arguments are the directory of its sockets, and of its units.
const BOOT: &str = "mount --make-rprivate / && mount -t tmpfs -o mode=755 tmpfs /run && mkdir -p /run/systemd/system && \
                    exec env XDG_RUNTIME_DIR=\"$1\" SYSTEMD_UNIT_PATH=\"$2:\" \
                    \"$0\" --user --unit=beacons.target --log-target=null";

fn refuses() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root can give it a /run of its own".to_owned());
    }
    if in_path("unshare").is_none() {
        return Some("unshare is not installed (package util-linux)".to_owned());
    }
    (!Path::new(MANAGER).is_file()).then(|| format!("{MANAGER} is not installed (package systemd)"))
}

fn set_up(order: &Order<'_>) -> Result<Command> {
    let (run, units) = (order.directory.join("run"), order.directory.join("units"));
    let wanted = units.join("beacons.target.wants");
    fs::create_dir(&run)?;
    fs::set_permissions(&run, fs::Permissions::from_mode(0o700))?;
    fs::create_dir_all(&wanted)?;
    let template = units.join("beacon@.service");
    let program = order.beacon.display();
    fs::write(
        &template,
        format!(
            "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart={program} %i\nPassEnvironment={SOCKET_VARIABLE}\n\
             Restart=always\nRestartSec=0\nStandardOutput=null\nStandardError=null\n"
        ),
    )?;
    fs::write(units.join("beacons.target"), "[Unit]\n")?;
    for id in 0..order.n {
        symlink(&template, wanted.join(format!("beacon@{id}.service")))?;
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", BOOT, MANAGER]).arg(&run).arg(&units);
    Ok(command)
}
