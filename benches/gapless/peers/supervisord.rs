// SPDX-License-Identifier: MPL-2.0
//! supervisord, asked by supervisorctl.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::{GRACE_SECONDS, Launch, Supervised, appears, ask};
use crate::Result;
use crate::programs::Place;

struct Supervisord {
    config: PathBuf,
    process: Child,
}

pub(super) fn start(place: &Place<'_>, launch: &Launch) -> Result<Box<dyn Supervised>> {
    let (folder, socket) = (place.directory.display(), place.directory.join("supervisord.sock"));
    // `%` begins an expansion, and words are split as by a shell.
    let quoted = |word: &String| format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"));
    let command: Vec<String> = launch.command.iter().map(quoted).collect();
    let variable =
        |line: &String| line.split_once('=').map(|(name, value)| format!("{name}={}", quoted(&value.into())));
    let env: Vec<String> = launch.env.iter().filter_map(variable).collect();
    let text = format!(
        "[unix_http_server]\nfile={socket}\n\
         [supervisord]\nnodaemon=true\nlogfile={folder}/supervisord.log\npidfile={folder}/supervisord.pid\n\
         [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
         [supervisorctl]\nserverurl=unix://{socket}\n\
         [program:web]\ncommand={command}\nenvironment={env}\ndirectory={folder}\nautorestart=true\nstartsecs=0\n\
         stopsignal={signal}\nstopwaitsecs={GRACE_SECONDS}\nredirect_stderr=true\nstdout_logfile={folder}/proxy.log\n",
        socket = socket.display(),
        command = command.join(" "),
        env = env.join(","),
        signal = launch.stop_signal.trim_start_matches("SIG"),
    );
    let config = place.directory.join("supervisord.conf");
    std::fs::write(&config, text)?;
    let mut supervisord = Command::new("supervisord");
    supervisord.arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
    let supervised = Supervisord { config, process: supervisord.spawn()? };
    appears(&socket)?;
    Ok(Box::new(supervised))
}

impl Supervisord {
    fn ask(&self, words: &[&str]) -> Result<String> {
        ask(Command::new("supervisorctl").arg("-c").arg(&self.config).args(words))
    }
}

impl Supervised for Supervisord {
    fn pid(&mut self) -> Result<Option<Pid>> {
        // It fails while there is none.
        Ok(self.ask(&["pid", "web"]).ok().and_then(|pid| Pid::from_raw(pid.parse().ok()?)))
    }

    fn restart(&mut self) -> Result<()> {
        self.ask(&["restart", "web"]).map(drop)
    }
}

impl Drop for Supervisord {
    fn drop(&mut self) {
        // It stops the proxy first.
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        let _ = self.process.wait();
    }
}
