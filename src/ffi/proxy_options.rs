// SPDX-License-Identifier: MPL-2.0
//! The declaration of one proxy, as C fills it.

use super::failure::{ErrorOut, Failure};
use super::handle::enter;
use super::input::{Numbers, Text, TextList, boolean};
use super::json::{object, value};
use super::options::period;
use super::sized::{In, Out, SizedStruct, reserved};
use super::version::*;
use crate::declaration::{
    ExecMode, ProxyConfig, Ready, Reload, Replace, listen_json, read_expected_exit, read_limits, read_steps,
};
use crate::lifecycle::{GiveUpAfter, RestartWhen};
use crate::sys::signal::Signal;

/// The declaration of one proxy. Set it up with proxyprocess_proxy_options_init(), then set `argv`; everything else
/// may stay. All that it points to is copied by the call that gets it.
///
/// The JSON form of the same, which proxyprocess_state_set_json() and others take, is an object with the fields
/// command, dir, env, unset_env, clear_env, token, target_service, stop_signal ("SIGTERM", "SIGRTMIN+3" or 15), grace_period_ms,
/// stop [{signal or command, for_ms, leader_only}], leftover_grace_ms, credentials {uid, gid, groups}, user, group, descriptor_limit, oom_score_adj,
/// rlimits {core, nofile, ...: a number, "unlimited" or {soft, hard}}, nice, cpu_affinity [0, "2-5"], umask ("0027"), no_new_privs, argv0,
/// output {stdout, stderr, owner, max_bytes, keep}, detached, ready ("started", "notify", {tcp}, {unix}, {fd} or {command, timeout_ms}), start_timeout_ms, listen, watchdog_ms, fd_store_max, limits {memory_max, memory_high, pids_max, cpu_max, io_weight},
/// reload ("notify", {signal, notify} or {command, timeout_ms}), replace ("stop-first" or "overlap"), restart {healthy_after_ms, attempts_before_backoff,
/// max_wait_ms, jitter, policy ("always", "on-failure" or "never"), give_up_after {failures, within_ms}}, expected_exit, enabled, mode and options.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct proxyprocess_proxy_options {
    /// The size of this struct as the caller knows it.
    pub struct_size: u32,
    /// The signal that asks the process group to end, 1 to 64 (SIGINT).
    pub stop_signal: i32,
    /// The kind of the proxy, ASCII; NULL is "daemon".
    pub mode: Text,
    /// Program and arguments, any bytes, with a NULL at the end; required for a daemon. A program without a slash is
    /// looked up in the PATH that the process will have.
    pub argv: TextList,
    /// The working directory, any bytes; NULL is the agent's.
    pub dir: Text,
    /// Environment variables of its own, each NAME=value of any bytes, with a NULL at the end; NULL is none.
    pub env: TextList,
    /// The secret by which the proxy identifies itself, UTF-8; with NULL a state generates one.
    pub token: Text,
    /// The id of the service that it is the sidecar of, UTF-8; NULL is none.
    pub target_service: Text,
    /// What a kind of the host's own is configured by: a JSON object; NULL is none.
    pub options_json: Text,
    /// How long it may take to obey the stop signal, in milliseconds.
    pub grace_period_ms: u64,
    /// A run of so many milliseconds resets the backoff.
    pub restart_healthy_after_ms: u64,
    /// The longest wait for a restart, in milliseconds.
    pub restart_max_wait_ms: u64,
    /// The fraction of each wait that is left to chance, 0 to 1 (0).
    pub restart_jitter: f64,
    /// Restarts in a row that are made without waiting.
    pub restart_attempts_before_backoff: u32,
    /// 1: it runs as `uid`, `gid` and `groups`, which needs privilege. 0: as the agent, and those are ignored.
    pub has_credentials: u8,
    /// 0.
    pub reserved: [u8; 3],
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// All supplementary groups; may be NULL when there are none.
    pub groups: Numbers,
    /// How many `groups` there are.
    pub group_count: usize,
    /// Names of environment variables that it does not get from the agent or from the manager's proxy_env, any bytes,
    /// with a NULL at the end; NULL is none. None of them may be in `env`.
    pub unset_env: TextList,
    /// How long what it left of its process group when it crashed may take to obey the stop signal before SIGKILL, in
    /// milliseconds (0: it is killed at once).
    pub leftover_grace_ms: u64,
    /// How many descriptors it may have, the soft limit of RLIMIT_NOFILE, at most the hard limit; 0 is the soft limit
    /// that the agent had when the library was loaded.
    pub descriptor_limit: u64,
    /// Its oom_score_adj (proc(5)), an absolute value from -1000 to 1000; ignored without `has_oom_score_adj`. One
    /// below the agent's needs CAP_SYS_RESOURCE.
    pub oom_score_adj: i32,
    /// 1: it gets `oom_score_adj`. 0: it gets 0 if the kernel permits that, else the agent's (0).
    pub has_oom_score_adj: u8,
    /// 1: it gets nothing of the agent's environment, only the manager's proxy_env, `env`, and what the library sets (0).
    pub clear_env: u8,
    /// 1: it is started as an orphan and no child of the agent, for a program that asks to be killed when its parent
    /// ends (PR_SET_PDEATHSIG), as Envoy does: as a child it ends with the agent, and when the last manager or daemon
    /// of the program is closed (0).
    pub detached: u8,
    /// 0.
    pub reserved_2: [u8; 1],
    /// It is ready when a TCP connect to this address succeeds, like "127.0.0.1:8080", ASCII, an IPv6 address in brackets;
    /// NULL is none. It is no address of `listen_json`, nor is `ready_unix`. At most one of the five `ready_` fields is set; with none it is ready once it is started.
    pub ready_tcp: Text,
    /// It is ready when a connect to the stream socket at this absolute path succeeds, any bytes; NULL is none.
    pub ready_unix: Text,
    /// It is ready when it writes a newline to this descriptor, 3 to 1023, which is opened for it; 0 is none.
    pub ready_fd: u32,
    /// 1: it is ready when it sends READY=1 to the socket that NOTIFY_SOCKET names in its environment (sd_notify(3)); 0: not so.
    pub ready_notify: u8,
    /// 0.
    pub reserved_3: [u8; 3],
    /// How long it may take from its start until it is ready, in milliseconds, not 0; then it is stopped, and started again as
    /// after a crash.
    pub start_timeout_ms: u64,
    /// The steps of a stop, at most 16, each a signal or a command, and how long the processes may take to obey it before the
    /// next one; after the last one, SIGKILL. A JSON list like [{"command": ["drain", "--now"], "for_ms": 30000}, {"signal":
    /// "SIGUSR1", "for_ms": 5000, "leader_only": true}, {"signal": "SIGTERM", "for_ms": 2000}]; NULL is one step, of `stop_signal` and `grace_period_ms`, which keep their defaults otherwise.
    pub stop_json: Text,
    /// The sockets that it gets from descriptor 3 on, a JSON list: ["tcp:127.0.0.1:8080", "unix:/run/web.sock"], or in
    /// place of an address an object with address and, each if it is not to be the default, name, backlog, reuse_port,
    /// ipv6_only and mode. They are open as long as the proxy is declared. NULL is none.
    pub listen_json: Text,
    /// How proxyprocess_manager_reload() has it reload its configuration, JSON: {"signal": "SIGHUP"}, to the leader; "notify", in
    /// its quotes, which is SIGHUP as well, and {"signal": "SIGUSR1", "notify": true}, which the process confirms by its
    /// notifications; or {"command": ["program", "argument"], "timeout_ms": 30000}; NULL is none.
    pub reload_json: Text,
    /// When it is ready, as `ready` of a declaration, JSON: for a command, which is the only one without a field of its own,
    /// {"command": ["program", "argument"], "timeout_ms": 10000}. It is run again until it exits with code 0. NULL is none.
    pub ready_json: Text,
    /// How long it may be silent once it is ready, in milliseconds: one that sends no WATCHDOG=1 to the socket that NOTIFY_SOCKET
    /// names for so long (sd_notify(3)) gets SIGABRT, and is started again as after a crash; 0 is no watchdog.
    pub watchdog_ms: u64,
    /// How its process is replaced: a value of proxyprocess_replace.
    pub replace: i32,
    /// How many descriptors it can hand over with FDSTORE=1 to the socket that NOTIFY_SOCKET names (sd_notify(3)), at most 512,
    /// which are kept while it is declared and given to each next process after the sockets of `listen_json`; 0 is none.
    pub fd_store_max: u32,
    /// Its resource limits by their names in getrlimit(2), JSON: {"core": 0, "memlock": "unlimited", "nproc": {"soft": 64, "hard":
    /// 128}}. A number or "unlimited" is the soft and the hard limit; "soft" without "hard" leaves the agent's hard limit. NULL is
    /// none: the limits are the agent's. "nofile" excludes `descriptor_limit`.
    pub rlimits_json: Text,
    /// The CPUs on which it may run, a JSON list like [0, "2-5"]; NULL is the agent's.
    pub cpu_affinity_json: Text,
    /// What it is told as its name in place of `argv[0]`, which is executed all the same, any bytes; NULL is that.
    pub argv0: Text,
    /// Its nice value, -20 to 19; ignored without `has_nice`. One below the agent's needs CAP_SYS_NICE.
    pub nice: i32,
    /// Its umask, at most 0777; ignored without `has_umask`.
    pub umask: u32,
    /// 1: it gets `nice`. 0: it gets the agent's nice value (0).
    pub has_nice: u8,
    /// 1: it gets `umask`. 0: it gets the agent's (0).
    pub has_umask: u8,
    /// 1: neither it nor what it starts gets privileges by executing a program (PR_SET_NO_NEW_PRIVS); 0: as the agent (0).
    pub no_new_privs: u8,
    /// 0.
    pub reserved_4: [u8; 5],
    /// The user that it runs as by name, UTF-8, which is looked up at each start, with the groups of that user, and HOME, USER and
    /// LOGNAME in its environment; NULL is none. It excludes `has_credentials`.
    pub user: Text,
    /// The group that it has in place of the first one of `user`, by name, UTF-8; NULL is that.
    pub group: Text,
    /// After which ends it is started again: a value of proxyprocess_restart_when.
    pub restart_policy: i32,
    /// After so many failures within `restart_give_up_within_ms` it is not started any more, at most 1000; 0 is never.
    pub restart_give_up_failures: u32,
    /// 0 without `restart_give_up_failures`.
    pub restart_give_up_within_ms: u64,
    /// How it may end besides by exit code 0, a JSON list of exit codes and of signals in quotes: [64, "SIGTERM"]. Such an end is
    /// no failure. NULL is none.
    pub expected_exit_json: Text,
    /// Where its standard output and error go, JSON: {"stdout": "null", "stderr": "journal"}, each "file" (the log in the data
    /// directory), "inherit" (where the agent's goes), "null", "journal" or an absolute path that is appended to, and "owner":
    /// "proxy" where the logs are to be of the user that it runs as, for a program that opens /dev/stdout. "max_bytes", 65536 to 2^50: how large
    /// each of the files may become, of which the oldest lines are removed then while it writes on; "keep", 0 to 99: how many files
    /// with older lines are kept beside each. NULL is "file" for both.
    pub output_json: Text,
    /// 1: it is run (1). 0: it is declared, and in the state PROXYPROCESS_PROXY_PAUSED.
    pub enabled: u8,
    /// 0.
    pub reserved_5: [u8; 7],
    /// A descriptor that its standard output goes to, open for writing: a file, pipe, socket or terminal. It is duplicated by the
    /// call that gets it, so that it may be closed then, and given to each start. The next agent does not have it: what that
    /// starts before the proxy is declared again writes to its log. Ignored without `has_stdout_fd`.
    pub stdout_fd: i32,
    /// The same for its standard error; ignored without `has_stderr_fd`.
    pub stderr_fd: i32,
    /// 1: its standard output goes to `stdout_fd`, and `output_json` has no "stdout" (0).
    pub has_stdout_fd: u8,
    /// 1: its standard error goes to `stderr_fd`, and `output_json` has no "stderr" (0).
    pub has_stderr_fd: u8,
    /// 0.
    pub reserved_6: [u8; 6],
    /// What all its processes may use together, by a cgroup of its own (`cgroup` of proxyprocess_manager_options): a JSON object
    /// with "memory_max" and "memory_high" in bytes, from 1048576 on, "pids_max", 1 to 4194304, "cpu_max" in percent of one processor, 1 to 100000, and
    /// "io_weight", 1 to 10000, where 100 is the usual one; NULL is no limit. A change is made at once, without a new process.
    /// Where one cannot be set no process is started.
    pub limits_json: Text,
}

/// After which ends a proxy is started again. A failure is an exit that is no expected one, a start that failed, a process
/// that was not ready in time, and one that has not fed its watchdog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum proxyprocess_restart_when {
    /// After each end.
    PROXYPROCESS_RESTART_ALWAYS = 0,
    /// After each failure. After an expected end it is in the state PROXYPROCESS_PROXY_COMPLETED.
    PROXYPROCESS_RESTART_ON_FAILURE = 1,
    /// After none. After an expected end it is in the state PROXYPROCESS_PROXY_COMPLETED, after another one
    /// PROXYPROCESS_PROXY_FAILED.
    PROXYPROCESS_RESTART_NEVER = 2,
}

/// How the process of a proxy is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum proxyprocess_replace {
    /// The next process is started when the last one is gone.
    PROXYPROCESS_REPLACE_STOP_FIRST = 0,
    /// The next process is started beside the last one, which is stopped once the next one is ready.
    PROXYPROCESS_REPLACE_OVERLAP = 1,
}

/// In C: `const proxyprocess_proxy_options *`.
pub type ProxyOptionsIn = In<proxyprocess_proxy_options>;

/// In C: `proxyprocess_proxy_options *`.
pub type ProxyOptionsOut = Out<proxyprocess_proxy_options>;

// SAFETY: it is repr(C), begins with its size, and consists of numbers and pointers, of which any bytes are valid.
unsafe impl SizedStruct for proxyprocess_proxy_options {
    const NAME: &'static str = "proxy_options";
    const FIRST_SIZE: usize = 128;

    fn defaults() -> Self {
        proxyprocess_proxy_options {
            struct_size: 0,
            stop_signal: Signal::INT.as_raw(),
            mode: Text::NULL,
            argv: TextList::NULL,
            dir: Text::NULL,
            env: TextList::NULL,
            token: Text::NULL,
            target_service: Text::NULL,
            options_json: Text::NULL,
            grace_period_ms: PROXYPROCESS_DAEMON_GRACE_PERIOD_MS,
            restart_healthy_after_ms: PROXYPROCESS_DAEMON_RESTART_HEALTHY_MS,
            restart_max_wait_ms: PROXYPROCESS_DAEMON_RESTART_MAX_WAIT_MS,
            restart_jitter: 0.0,
            restart_attempts_before_backoff: PROXYPROCESS_DAEMON_RESTART_BACKOFF_MIN,
            has_credentials: 0,
            reserved: [0; 3],
            uid: 0,
            gid: 0,
            groups: Numbers::NULL,
            group_count: 0,
            unset_env: TextList::NULL,
            leftover_grace_ms: 0,
            descriptor_limit: 0,
            oom_score_adj: 0,
            has_oom_score_adj: 0,
            clear_env: 0,
            detached: 0,
            reserved_2: [0; 1],
            ready_tcp: Text::NULL,
            ready_unix: Text::NULL,
            ready_fd: 0,
            ready_notify: 0,
            reserved_3: [0; 3],
            start_timeout_ms: PROXYPROCESS_START_TIMEOUT_MS,
            stop_json: Text::NULL,
            listen_json: Text::NULL,
            reload_json: Text::NULL,
            ready_json: Text::NULL,
            watchdog_ms: 0,
            replace: proxyprocess_replace::PROXYPROCESS_REPLACE_STOP_FIRST as i32,
            fd_store_max: 0,
            rlimits_json: Text::NULL,
            cpu_affinity_json: Text::NULL,
            argv0: Text::NULL,
            nice: 0,
            umask: 0,
            has_nice: 0,
            has_umask: 0,
            no_new_privs: 0,
            reserved_4: [0; 5],
            user: Text::NULL,
            group: Text::NULL,
            restart_policy: proxyprocess_restart_when::PROXYPROCESS_RESTART_ALWAYS as i32,
            restart_give_up_failures: 0,
            restart_give_up_within_ms: 0,
            expected_exit_json: Text::NULL,
            output_json: Text::NULL,
            enabled: 1,
            reserved_5: [0; 7],
            stdout_fd: -1,
            stderr_fd: -1,
            has_stdout_fd: 0,
            has_stderr_fd: 0,
            reserved_6: [0; 6],
            limits_json: Text::NULL,
        }
    }
}

impl proxyprocess_proxy_options {
    /// The declaration; what only the declaration as a whole shows is checked by the function that takes it.
    pub(super) fn config(&self) -> Result<ProxyConfig, Failure> {
        reserved("reserved", &self.reserved)?;
        reserved("reserved_2", &self.reserved_2)?;
        reserved("reserved_3", &self.reserved_3)?;
        reserved("reserved_4", &self.reserved_4)?;
        let mode = self.mode.optional_utf8("mode")?;
        let mode = mode.map_or(Ok(ExecMode::DAEMON), |mode| ExecMode::new(&mode))?;
        let mut config = ProxyConfig::of_mode(mode);
        config.command = self.command()?;
        config.token = self.token.optional_utf8("token")?;
        config.target_service = self.target_service.optional_utf8("target_service")?;
        if let Some(options) = self.options_json.optional_utf8("options_json")? {
            config.options = object("options_json", &options)?;
        }
        config.stop.signal = Signal::from_raw(self.stop_signal).ok_or_else(|| {
            Failure::argument(format!("stop_signal: expected a number from 1 to 64, got {}", self.stop_signal))
        })?;
        config.stop.grace_period = period("grace_period_ms", self.grace_period_ms)?;
        if let Some(steps) = self.stop_json.optional_utf8("stop_json")? {
            config.stop.steps = read_steps("stop_json", value("stop_json", "list", &steps)?)?;
        }
        config.stop.leftover_grace = period("leftover_grace_ms", self.leftover_grace_ms)?;
        config.restart.healthy_after = period("restart_healthy_after_ms", self.restart_healthy_after_ms)?;
        config.restart.attempts_before_backoff = self.restart_attempts_before_backoff;
        config.restart.max_wait = period("restart_max_wait_ms", self.restart_max_wait_ms)?;
        config.restart.jitter = self.restart_jitter;
        config.restart.policy = self.restart_policy()?;
        config.restart.give_up_after = self.give_up_after()?;
        if let Some(expected) = self.expected_exit_json.optional_utf8("expected_exit_json")? {
            let list = value("expected_exit_json", "list", &expected)?;
            config.expected_exit = read_expected_exit("expected_exit_json", list)?;
        }
        config.ready = self.ready()?;
        if let Some(reload) = self.reload_json.optional_utf8("reload_json")? {
            let reload = value("reload_json", "value", &reload)?;
            config.reload = Some(Reload::from_json("reload_json", reload)?);
        }
        config.start_timeout = period("start_timeout_ms", self.start_timeout_ms)?;
        config.watchdog = period("watchdog_ms", self.watchdog_ms)?;
        if let Some(sockets) = self.listen_json.optional_utf8("listen_json")? {
            config.listen = listen_json::read_list("listen_json", value("listen_json", "list", &sockets)?)?;
        }
        config.fd_store_max = self.fd_store_max;
        if let Some(limits) = self.limits_json.optional_utf8("limits_json")? {
            config.limits = read_limits("limits_json", value("limits_json", "object", &limits)?)?;
        }
        config.replace = self.replace()?;
        reserved("reserved_5", &self.reserved_5)?;
        reserved("reserved_6", &self.reserved_6)?;
        config.enabled = boolean("enabled", self.enabled)?;
        Ok(config)
    }

    fn replace(&self) -> Result<Replace, Failure> {
        use proxyprocess_replace as C;
        let all = [
            (C::PROXYPROCESS_REPLACE_STOP_FIRST, Replace::StopFirst),
            (C::PROXYPROCESS_REPLACE_OVERLAP, Replace::Overlap),
        ];
        let known = all.into_iter().find(|(number, _)| *number as i32 == self.replace).map(|(_, replace)| replace);
        known.ok_or_else(|| Failure::argument(format!("replace: expected 0 or 1, got {}", self.replace)))
    }

    fn restart_policy(&self) -> Result<RestartWhen, Failure> {
        use proxyprocess_restart_when as C;
        let all = [
            (C::PROXYPROCESS_RESTART_ALWAYS, RestartWhen::Always),
            (C::PROXYPROCESS_RESTART_ON_FAILURE, RestartWhen::OnFailure),
            (C::PROXYPROCESS_RESTART_NEVER, RestartWhen::Never),
        ];
        let known = all.into_iter().find(|(number, _)| *number as i32 == self.restart_policy);
        let unknown = || Failure::argument(format!("restart_policy: expected 0 to 2, got {}", self.restart_policy));
        known.map(|(_, policy)| policy).ok_or_else(unknown)
    }

    fn give_up_after(&self) -> Result<Option<GiveUpAfter>, Failure> {
        let within = period("restart_give_up_within_ms", self.restart_give_up_within_ms)?;
        match self.restart_give_up_failures {
            0 if within.is_zero() => Ok(None),
            0 => Err(Failure::argument("restart_give_up_within_ms: expected 0 without restart_give_up_failures")),
            failures => Ok(Some(GiveUpAfter::new(failures, within))),
        }
    }

    fn ready(&self) -> Result<Ready, Failure> {
        let tcp = self.ready_tcp.optional_utf8("ready_tcp")?.map(|address| {
            let wanted = "an IP address and a port, like \"127.0.0.1:8080\"";
            let parsed = address.parse().map(Ready::Tcp);
            parsed.map_err(|_| Failure::argument(format!("ready_tcp: expected {wanted}")))
        });
        let unix = self.ready_unix.optional_path().map(Ready::Unix);
        let fd = Some(self.ready_fd).filter(|number| *number != 0).map(Ready::Fd);
        let notify = boolean("ready_notify", self.ready_notify)?.then_some(Ready::Notify);
        let json = self.ready_json.optional_utf8("ready_json")?;
        let json = json.map(|json| value("ready_json", "value", &json)).transpose()?;
        let json = json.map(|json| Ready::from_json("ready_json", json)).transpose()?;
        let mut declared = [tcp.transpose()?, unix, fd, notify, json].into_iter().flatten();
        let ready = declared.next().unwrap_or_default();
        if declared.next().is_some() {
            return Err(Failure::argument(
                "ready_tcp, ready_unix, ready_fd, ready_notify, ready_json: expected at most one of them",
            ));
        }
        Ok(ready)
    }
}

/// Fills a struct with the defaults.
///
/// `options`: need not be initialized.
///
/// `struct_size`: `sizeof *options`.
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT, PROXYPROCESS_E_STRUCT_SIZE.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_proxy_options_init(mut options: ProxyOptionsOut, struct_size: usize) -> i32 {
    enter(ErrorOut::none(), || options.initialize("options", struct_size))
}
