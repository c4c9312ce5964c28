// SPDX-License-Identifier: MPL-2.0
//! systemd, as a manager of a user's units: it need not be the first process. It wants to see that the system was booted by
//! systemd, so it gets a `/run` of its own that says so.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Pid;

use super::{GRACE_SECONDS, Launch, Supervised, appears, ask, in_path};
use crate::Result;
use crate::programs::{Place, Sockets};

const SYSTEMD: &str = "/lib/systemd/systemd";

/// What is done in the mount namespace before it is executed: the arguments are the directory of its sockets, and of its units.
const BOOT: &str = "mount --make-rprivate / && mount -t tmpfs -o mode=755 tmpfs /run && mkdir -p /run/systemd/system && \
                    exec env -i PATH=\"$PATH\" XDG_RUNTIME_DIR=\"$1\" SYSTEMD_UNIT_PATH=\"$2:\" \
                    \"$0\" --user --unit=basic.target --log-target=null";

struct Systemd {
    run: PathBuf,
    process: Child,
}

pub(super) fn is_installed() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    is_root && Path::new(SYSTEMD).is_file() && ["systemctl", "unshare"].into_iter().all(|name| in_path(name).is_some())
}

pub(super) fn start(place: &Place<'_>, launch: &Launch) -> Result<Box<dyn Supervised>> {
    let (run, units) = (place.directory.join("run"), place.directory.join("units"));
    fs::create_dir(&run)?;
    fs::set_permissions(&run, fs::Permissions::from_mode(0o700))?;
    fs::create_dir(&units)?;
    fs::write(units.join("web.service"), service(place, launch))?;
    let has_socket = place.sockets == Sockets::Inherited;
    if has_socket {
        let socket = format!("[Socket]\nListenStream={}\nBacklog=4096\nFileDescriptorName=web\n", place.address);
        fs::write(units.join("web.socket"), socket)?;
    }
    let mut systemd = Command::new("unshare");
    systemd.args(["--mount", "sh", "-c", BOOT, SYSTEMD]).arg(&run).arg(&units);
    systemd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let supervised = Systemd { run: run.clone(), process: systemd.spawn()? };
    appears(&run.join("systemd/private"))?;
    if has_socket {
        supervised.ask(&["start", "web.socket"])?;
    }
    supervised.ask(&["start", "web.service"])?;
    Ok(Box::new(supervised))
}

/// The unit: it restarts the program at once and however often, as the library does.
fn service(place: &Place<'_>, launch: &Launch) -> String {
    // `%` begins a specifier, and `$` a variable.
    let escaped = |word: &str| word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    let quoted = |word: &String| format!("\"{}\"", escaped(word));
    let command: Vec<String> = launch.command.iter().map(|word| quoted(&word.replace('$', "$$"))).collect();
    let env: Vec<String> = launch.env.iter().map(quoted).collect();
    format!(
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart={}\nEnvironment={}\nWorkingDirectory={}\nKillSignal={}\n\
         TimeoutStopSec={GRACE_SECONDS}\nRestart=always\nRestartSec=0\nStandardOutput=null\nStandardError=null\n",
        command.join(" "),
        env.join(" "),
        place.directory.display(),
        launch.stop_signal,
    )
}

impl Systemd {
    fn ask(&self, words: &[&str]) -> Result<String> {
        ask(Command::new("systemctl").arg("--user").args(words).env("XDG_RUNTIME_DIR", &self.run))
    }
}

impl Supervised for Systemd {
    fn pid(&mut self) -> Result<Option<Pid>> {
        let pid = self.ask(&["show", "--property=MainPID", "--value", "web.service"])?;
        Ok(pid.parse().ok().and_then(Pid::from_raw))
    }

    fn restart(&mut self) -> Result<()> {
        self.ask(&["restart", "web.service"]).map(drop)
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        // It stops its units first.
        if self.ask(&["exit"]).is_err() {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}
