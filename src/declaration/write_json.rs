// SPDX-License-Identifier: MPL-2.0
//! Writes the JSON form of declarations, for the snapshot.

use serde_json::Value;

use super::fields::milliseconds;
use super::stop::put_stop;
use super::{
    ExecMode, ProxyConfig, ProxySnapshot, Replace, command_settings, expected_exit, limits, listen_json, restart, text,
};
use crate::defaults::START_TIMEOUT;
use crate::lifecycle::RestartSettings;

impl ProxyConfig {
    /// The declaration as [`ProxyConfig::from_json`] reads it back; what has its default value is left out.
    pub fn to_json(&self) -> ProxySnapshot {
        let mut object = ProxySnapshot::new();
        let mut put = |field: &str, value: Value| {
            object.insert(field.to_owned(), value);
        };
        if self.mode != ExecMode::DAEMON {
            put("mode", self.mode.as_str().into());
        }
        if !self.command.argv().is_empty() {
            put("command", self.command.argv().iter().map(|word| text::to_json(word)).collect());
        }
        command_settings::put(&self.command, &mut put);
        if self.command.is_detached() {
            put("detached", true.into());
        }
        if let Some(token) = &self.token {
            put("token", token.as_str().into());
        }
        if let Some(target) = &self.target_service {
            put("target_service", target.as_str().into());
        }
        put_stop(&self.stop, &mut put);
        if self.restart != RestartSettings::default() {
            put("restart", restart::to_json(&self.restart));
        }
        if !self.expected_exit.is_empty() {
            put("expected_exit", expected_exit::to_json(&self.expected_exit));
        }
        if let Some(ready) = self.ready.to_json() {
            put("ready", ready);
        }
        if self.replace != Replace::StopFirst {
            put("replace", self.replace.as_str().into());
        }
        if !self.enabled {
            put("enabled", false.into());
        }
        if self.start_timeout != START_TIMEOUT {
            put("start_timeout_ms", milliseconds(self.start_timeout));
        }
        if let Some(sockets) = listen_json::write(&self.listen) {
            put("listen", sockets);
        }
        if !self.watchdog.is_zero() {
            put("watchdog_ms", milliseconds(self.watchdog));
        }
        if self.fd_store_max > 0 {
            put("fd_store_max", self.fd_store_max.into());
        }
        if !self.limits.is_empty() {
            put("limits", limits::to_json(&self.limits));
        }
        if let Some(reload) = &self.reload {
            put("reload", reload.to_json());
        }
        if !self.options.is_empty() {
            put("options", self.options.clone().into());
        }
        object
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    use std::time::Duration;

    use super::*;
    use crate::command::{Command, Credentials, Resource, ResourceLimit};
    use crate::declaration::{CgroupLimits, ExpectedExit, Listen, Ready, Reload};
    use crate::defaults::LONGEST_PERIOD;
    use crate::lifecycle::{GiveUpAfter, RestartWhen, StopSettings};

    fn whole() -> ProxyConfig {
        let not_utf8 = OsString::from_vec(vec![b'a', 0xff]);
        let command = Command::new("/bin/a").arg(not_utf8.clone()).dir("/tmp").env("A", "b=c").env("B", not_utf8);
        let mut config = ProxyConfig::new(command.credentials(Credentials { uid: 1, gid: 2, groups: vec![3, 4] }));
        config.token = Some("secret".to_owned());
        config.target_service = Some("web".to_owned());
        config.command = config.command.unset_env("C").unset_env(OsString::from_vec(vec![0xff])).clear_env();
        config.command = config.command.descriptor_limit(u64::MAX).oom_score_adj(-1000).detached();
        config.command = config.command.rlimit(Resource::Stack, ResourceLimit::soft(1).with_hard(u64::MAX)).nice(-20);
        config.command =
            config.command.cpu_affinity([1, 2, 9]).umask(0o27).no_new_privs().argv0(OsString::from_vec(vec![0xff]));
        config.stop = StopSettings {
            signal: "SIGUSR1".parse().unwrap(),
            grace_period: Duration::from_millis(7),
            leftover_grace: Duration::from_millis(8),
            steps: vec![],
        };
        config.restart = RestartSettings {
            healthy_after: Duration::from_millis(1),
            attempts_before_backoff: 2,
            max_wait: Duration::from_millis(3),
            jitter: 0.5,
            policy: RestartWhen::Never,
            give_up_after: Some(GiveUpAfter::new(6, Duration::from_millis(7))),
        };
        config.expected_exit = vec![ExpectedExit::Code(64)];
        config.enabled = false;
        config.start_timeout = Duration::from_millis(4);
        let address = |text: &str| text.parse().unwrap();
        config.listen = vec![
            Listen::new(address("tcp:[::1]:8080")).with_ipv6_only(false).with_backlog(7).with_reuse_port(),
            Listen::new(address("udp:127.0.0.1:53")).with_name("dns"),
            Listen::new(address("unix:/run/web.sock")).with_mode(0o60),
            Listen::new(address("tcp:127.0.0.1:1")),
        ];
        config.ready = Ready::Fd(9);
        config.watchdog = Duration::from_millis(5);
        config.fd_store_max = 2;
        config.limits = CgroupLimits::default().with_memory_max(1 << 20).with_io_weight(4);
        config.reload = Some(Reload::command(["/bin/a"]));
        config
    }

    #[test]
    fn a_declaration_comes_back_whole_and_defaults_are_left_out() {
        for config in [whole(), ProxyConfig::new(Command::new("a")), ProxyConfig::of_mode(ExecMode::NOOP)] {
            let text = serde_json::to_string(&config.to_json()).unwrap();
            assert_eq!(ProxyConfig::from_json(&text).unwrap(), config);
        }
        assert_eq!(ProxyConfig::new(Command::new("a")).to_json().len(), 1);
    }

    /// What could not be read back would cost the next agent the whole declaration.
    #[test]
    fn a_period_without_end_is_written_as_the_longest_one_that_is_read() {
        let mut config = ProxyConfig::new(Command::new("a"));
        (config.stop.grace_period, config.stop.leftover_grace) = (Duration::MAX, Duration::MAX);
        (config.restart.healthy_after, config.restart.max_wait) = (Duration::MAX, LONGEST_PERIOD * 2);
        config.start_timeout = Duration::MAX;
        let read = ProxyConfig::from_json(&serde_json::to_string(&config.to_json()).unwrap()).unwrap();
        let (stop, restart) = (read.stop, read.restart);
        let periods = [stop.grace_period, stop.leftover_grace, restart.healthy_after, restart.max_wait];
        assert_eq!((periods, read.start_timeout), ([LONGEST_PERIOD; 4], LONGEST_PERIOD));
    }
}
