// SPDX-License-Identifier: MPL-2.0
//! A status as one line of text. It is a contract, because hosts show it. The JSON form has the fields.

use std::fmt;

use super::status::ProxyStatus;

impl fmt::Display for ProxyStatus {
    /// One line, as in `proxy web-proxy: running, pid 7, adopted, 2 restarts, last exit: signal SIGKILL, last error: <error>`.
    /// What there is not is left out, the restarts if there were none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proxy {}: {}", self.id.escape_debug(), self.state)?;
        if let Some(pid) = self.pid {
            write!(f, ", pid {pid}")?;
        }
        if self.adopted {
            f.write_str(", adopted")?;
        }
        match self.restarts {
            0 => {}
            1 => f.write_str(", 1 restart")?,
            restarts => write!(f, ", {restarts} restarts")?,
        }
        if let Some(wait) = self.next_start_ms {
            write!(f, ", next start in {wait} ms")?;
        }
        if let Some(exit) = self.last_exit {
            write!(f, ", last exit: {exit}")?;
        }
        if let Some(line) = self.last_stderr.last() {
            write!(f, ", last line: {}", line.escape_debug())?;
        }
        if let Some(error) = &self.last_error {
            write!(f, ", last error: {error}")?;
        }
        for (index, process) in self.unproven.iter().enumerate() {
            write!(f, "{}{process}", if index == 0 { ", unproven: " } else { " and " })?;
        }
        if let Some(text) = &self.status_text {
            write!(f, ", status: {}", text.escape_debug())?;
        }
        self.hint.iter().try_for_each(|hint| write!(f, ", hint: {hint}"))?;
        self.other.iter().try_for_each(|other| write!(f, "; {other}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declaration::ExecMode;
    use crate::lifecycle::{EndedBy, ProxyState};
    use crate::supervisor::{OtherGeneration, UnprovenProcess};
    use crate::sys::wait::ExitStatus;

    #[test]
    fn status_has_its_text_and_its_json_form() {
        let mut status = ProxyStatus::new("web", &ExecMode::DAEMON, ProxyState::Idle);
        assert_eq!(status.to_string(), "proxy web: idle");
        let json = |status: &ProxyStatus| serde_json::to_string(status).unwrap();
        assert_eq!(
            json(&status),
            r#"{"id":"web","mode":"daemon","state":"idle","pid":null,"adopted":false,"restarts":0,"last_exit":null,"last_exit_kind":null,"last_exit_value":null,"last_exit_core_dumped":null,"next_start_ms":null,"last_error":null,"unproven":[],"hint":null,"ready":false,"generation":null,"status_text":null,"other":null,"state_ms":null,"uptime_ms":null,"last_exit_by":null,"last_exit_expected":null,"last_exit_oom":null,"last_stderr":[],"stdout_log":null,"stderr_log":null,"cgroup":null}"#
        );
        (status.state, status.pid, status.adopted, status.restarts) = (ProxyState::Running, Some(7), true, 2);
        status.last_exit = Some(ExitStatus::Signaled { signal: 9, core_dumped: false });
        assert_eq!(status.to_string(), "proxy web: running, pid 7, adopted, 2 restarts, last exit: signal SIGKILL");
        (status.state, status.pid, status.adopted, status.restarts) = (ProxyState::Waiting, None, false, 1);
        (status.last_exit, status.next_start_ms) = (Some(ExitStatus::Exited(3)), Some(1999));
        (status.last_error, status.hint) = (Some("broken".to_owned()), Some("a question?".to_owned()));
        status.status_text = Some("2 \"workers\"".to_owned());
        status.last_exit_expected = Some(false);
        (status.last_exit_by, status.stdout_log) = (Some(EndedBy::Watchdog), Some("/logs/a".into()));
        status.last_stderr = ["one", "two"].map(str::to_owned).to_vec();
        let process =
            |pid| UnprovenProcess { pid, program: "nginx".to_owned(), why: "it is of the session".to_owned() };
        status.unproven = vec![process(8), process(9)];
        assert_eq!(
            status.to_string(),
            "proxy web: waiting, 1 restart, next start in 1999 ms, last exit: exit code 3, last line: two, last error: broken, unproven: pid 8 \
             (nginx: it is of the session) and pid 9 (nginx: it is of the session), status: 2 \\\"workers\\\", hint: a question?"
        );
        status.unproven.truncate(1);
        status.generation = Some(4);
        let mut next = ProxyStatus::new("web", &ExecMode::DAEMON, ProxyState::Waiting);
        (next.last_error, next.next_start_ms) = (Some("late".to_owned()), Some(1500));
        next.last_exit = Some(ExitStatus::Signaled { signal: 11, core_dumped: true });
        (next.last_exit_by, next.last_exit_expected) = (Some(EndedBy::Itself), Some(false));
        next.last_stderr = vec!["no file".to_owned()];
        status.other = Some(OtherGeneration::of(next, Some(5), 2));
        assert!(
            status.to_string().ends_with(
                ", hint: a question?; generation 5: waiting, next start in 1500 ms, last exit: signal SIGSEGV (core dumped), \
                 last line: no file, last error: late"
            ),
            "{status}"
        );
        assert_eq!(
            json(&status),
            r#"{"id":"web","mode":"daemon","state":"waiting","pid":null,"adopted":false,"restarts":1,"last_exit":"exit code 3","last_exit_kind":"code","last_exit_value":3,"last_exit_core_dumped":null,"next_start_ms":1999,"last_error":"broken","unproven":[{"pid":8,"program":"nginx","why":"it is of the session"}],"hint":"a question?","ready":false,"generation":4,"status_text":"2 \"workers\"","other":{"generation":5,"state":"waiting","pid":null,"last_error":"late","attempts":2,"next_start_ms":1500,"last_exit":"signal SIGSEGV (core dumped)","last_exit_kind":"signal","last_exit_value":11,"last_exit_core_dumped":true,"last_exit_by":"itself","last_exit_expected":false,"last_exit_oom":null,"last_stderr":["no file"]},"state_ms":null,"uptime_ms":null,"last_exit_by":"watchdog","last_exit_expected":false,"last_exit_oom":null,"last_stderr":["one","two"],"stdout_log":"/logs/a","stderr_log":null,"cgroup":null}"#
        );
    }
}
