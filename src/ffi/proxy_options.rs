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

/// The declaration of one proxy. Set it up with proxyprocess_proxy_options_init(), then set `argv`; all other fields
/// may keep their defaults. A call copies everything that the struct points to.
///
/// The same declaration as JSON, which proxyprocess_state_set_json() and other functions take, is an object with the
/// fields command, dir, env, unset_env, clear_env, token, target_service, stop_signal ("SIGTERM", "SIGRTMIN+3" or 15),
/// grace_period_ms, stop [{signal or command, for_ms, leader_only}], leftover_grace_ms, credentials {uid, gid, groups},
/// user, group, descriptor_limit, oom_score_adj, rlimits {core, nofile, ...: a number, "unlimited" or {soft, hard}},
/// nice, cpu_affinity [0, "2-5"], umask ("0027"), no_new_privs, argv0, output {stdout, stderr, owner, max_bytes, keep},
/// detached, ready ("started", "notify", {tcp}, {unix}, {fd} or {command, timeout_ms}), start_timeout_ms, listen,
/// watchdog_ms, fd_store_max, limits {memory_max, memory_high, pids_max, cpu_max, io_weight}, reload ("notify",
/// {signal, notify} or {command, timeout_ms}), replace ("stop-first" or "overlap"), restart {healthy_after_ms,
/// attempts_before_backoff, max_wait_ms, jitter, policy ("always", "on-failure" or "never"), give_up_after {failures,
/// within_ms}}, expected_exit, enabled, mode and options.
///
/// A value in parentheses in the description of a field is its default.
/// max_wait_ms, jitter, policy ("always", "on-failure" or "never"), give_up_after {failures, within_ms}}, expected_exit, enabled, mode and options.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct proxyprocess_proxy_options {
    /// The size of this struct as the caller was compiled with it.
    pub struct_size: u32,
    /// The signal that asks the process group to end, 1 to 64 (SIGINT).
    pub stop_signal: i32,
    /// The kind of the proxy, ASCII; NULL means "daemon".
    pub mode: Text,
    /// Program and arguments, any bytes; the last element is NULL. Required for a daemon. A program without a slash is
    /// searched for in the PATH that the process will have.
    pub argv: TextList,
    /// The working directory, any bytes; NULL means that of the agent.
    pub dir: Text,
    /// Additional environment variables, each NAME=value in any bytes; the last element is NULL. NULL means none.
    pub env: TextList,
    /// The secret by which the proxy identifies itself, UTF-8; if NULL, a state generates one.
    pub token: Text,
    /// The id of the service that the proxy is the sidecar of, UTF-8; NULL means none.
    pub target_service: Text,
    /// The configuration for a kind that the host registered: a JSON object; NULL means none.
    pub options_json: Text,
    /// The time between the stop signal and SIGKILL, in milliseconds.
    pub grace_period_ms: u64,
    /// A process that ran this long resets the backoff, in milliseconds.
    pub restart_healthy_after_ms: u64,
    /// The longest wait before a restart, in milliseconds.
    pub restart_max_wait_ms: u64,
    /// The fraction of each wait that is random, 0 to 1 (0).
    pub restart_jitter: f64,
    /// How many restarts in a row are made without waiting.
    pub restart_attempts_before_backoff: u32,
    /// 1: the process runs as `uid`, `gid` and `groups`, which requires privileges. 0: it runs as the agent, and these
    /// three are ignored.
    pub has_credentials: u8,
    /// Reserved, 0.
    pub reserved: [u8; 3],
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// All supplementary groups; may be NULL if there are none.
    pub groups: Numbers,
    /// The number of `groups`.
    pub group_count: usize,
    /// Names of environment variables that the process does not inherit from the agent or from the manager's proxy_env,
    /// any bytes; the last element is NULL. NULL means none. None of them may be in `env`.
    pub unset_env: TextList,
    /// When the process crashed: the time between the stop signal to the processes that are left in its group and
    /// SIGKILL, in milliseconds (0: SIGKILL at once).
    pub leftover_grace_ms: u64,
    /// The soft limit on open descriptors (RLIMIT_NOFILE), at most the hard limit; 0 means the soft limit that the
    /// agent had when the library was loaded.
    pub descriptor_limit: u64,
    /// The oom_score_adj of the process (proc(5)), an absolute value from -1000 to 1000; ignored without
    /// `has_oom_score_adj`. A value below the agent's requires CAP_SYS_RESOURCE.
    pub oom_score_adj: i32,
    /// 1: the process gets `oom_score_adj`. 0: it gets 0 if the kernel permits that, else the agent's value (0).
    pub has_oom_score_adj: u8,
    /// 1: the process inherits nothing of the agent's environment; it gets only the manager's proxy_env, `env`, and
    /// what the library sets (0).
    pub clear_env: u8,
    /// 1: the process is started as an orphan instead of as a child of the agent. For a program that asks to be killed
    /// when its parent ends (PR_SET_PDEATHSIG), as Envoy does: as a child it would end with the agent, and when the
    /// last manager or daemon of the program is closed (0).
    pub detached: u8,
    /// Reserved, 0.
    pub reserved_2: [u8; 1],
    /// Ready when a TCP connect to this address succeeds, like "127.0.0.1:8080", ASCII, with an IPv6 address in
    /// brackets; NULL means none. It must not be an address of `listen_json`; the same holds for `ready_unix`. At most
    /// one of the five `ready_` fields may be set; without one, the process is ready once it is started.
    pub ready_tcp: Text,
    /// Ready when a connect to the stream socket at this absolute path succeeds, any bytes; NULL means none.
    pub ready_unix: Text,
    /// Ready when the process writes a newline to this descriptor, 3 to 1023, which is opened for it; 0 means none.
    pub ready_fd: u32,
    /// 1: ready when the process sends READY=1 to the socket named by NOTIFY_SOCKET in its environment (sd_notify(3)).
    /// 0: not used.
    pub ready_notify: u8,
    /// Reserved, 0.
    pub reserved_3: [u8; 3],
    /// The longest time from the start until the process is ready, in milliseconds, not 0. A process that is not ready
    /// by then is stopped and started again as after a crash.
    pub start_timeout_ms: u64,
    /// The steps of a stop, at most 16. Each is a signal or a command, with the time that the processes have to end
    /// before the next step; SIGKILL follows the last step. A JSON list like [{"command": ["drain", "--now"], "for_ms":
    /// 30000}, {"signal": "SIGUSR1", "for_ms": 5000, "leader_only": true}, {"signal": "SIGTERM", "for_ms": 2000}]. NULL
    /// means one step, `stop_signal` for `grace_period_ms`; with a list these two must keep their defaults.
    pub stop_json: Text,
    /// The sockets that the process gets from descriptor 3 on, a JSON list: ["tcp:127.0.0.1:8080",
    /// "unix:/run/web.sock"]. An element may also be an object with address and any of name, backlog, reuse_port,
    /// ipv6_only and mode. The sockets are open as long as the proxy is declared. NULL means none.
    pub listen_json: Text,
    /// How proxyprocess_manager_reload() makes the process reload its configuration, JSON: {"signal": "SIGHUP"}, sent
    /// to the leader; "notify" (with its quotes), SIGHUP that the process confirms by its notifications; {"signal":
    /// "SIGUSR1", "notify": true}, the same with another signal; or {"command": ["program", "argument"], "timeout_ms":
    /// 30000}. NULL means none.
    pub reload_json: Text,
    /// When the process is ready, JSON, as `ready` of a declaration. Needed only for a command, which has no field of
    /// its own: {"command": ["program", "argument"], "timeout_ms": 10000}. The command is run again until it exits with
    /// code 0. NULL means none.
    pub ready_json: Text,
    /// The watchdog period, in milliseconds. A process that is ready and sends no WATCHDOG=1 to the socket named by
    /// NOTIFY_SOCKET (sd_notify(3)) for this long gets SIGABRT and is started again as after a crash. 0 means no
    /// watchdog.
    pub watchdog_ms: u64,
    /// How the process is replaced: a value of proxyprocess_replace.
    pub replace: i32,
    /// How many descriptors the process can store with FDSTORE=1 at the socket named by NOTIFY_SOCKET (sd_notify(3)),
    /// at most 512. They are kept while the proxy is declared, and each next process gets them after the sockets of
    /// `listen_json`. 0 means none.
    pub fd_store_max: u32,
    /// The resource limits of the process by their names in getrlimit(2), JSON: {"core": 0, "memlock": "unlimited",
    /// "nproc": {"soft": 64, "hard": 128}}. A number or "unlimited" sets the soft and the hard limit; "soft" without
    /// "hard" keeps the agent's hard limit. NULL means the agent's limits. "nofile" excludes `descriptor_limit`.
    pub rlimits_json: Text,
    /// The CPUs on which the process may run, a JSON list like [0, "2-5"]; NULL means those of the agent.
    pub cpu_affinity_json: Text,
    /// The name that the process gets in place of `argv[0]`, any bytes; the executed program is still `argv[0]`. NULL
    /// means `argv[0]`.
    pub argv0: Text,
    /// The nice value, -20 to 19; ignored without `has_nice`. A value below the agent's requires CAP_SYS_NICE.
    pub nice: i32,
    /// The umask, at most 0777; ignored without `has_umask`.
    pub umask: u32,
    /// 1: the process gets `nice`. 0: it gets the agent's nice value (0).
    pub has_nice: u8,
    /// 1: the process gets `umask`. 0: it gets the agent's umask (0).
    pub has_umask: u8,
    /// 1: neither the process nor its descendants gain privileges by executing a program (PR_SET_NO_NEW_PRIVS). 0: as
    /// for the agent (0).
    pub no_new_privs: u8,
    /// Reserved, 0.
    pub reserved_4: [u8; 5],
    /// The name of the user that the process runs as, UTF-8. It is looked up at each start; the process gets the groups
    /// of that user, and HOME, USER and LOGNAME in its environment. NULL means none. Excludes `has_credentials`.
    pub user: Text,
    /// The name of the group that replaces the primary group of `user`, UTF-8; NULL means the primary group.
    pub group: Text,
    /// When the proxy is started again after its process ended: a value of proxyprocess_restart_when.
    pub restart_policy: i32,
    /// The proxy is not started again after this many failures within `restart_give_up_within_ms`, at most 1000; 0
    /// means no limit.
    pub restart_give_up_failures: u32,
    /// The period for `restart_give_up_failures`, in milliseconds; 0 without that.
    pub restart_give_up_within_ms: u64,
    /// Expected exits besides exit code 0, a JSON list of exit codes and of signal names: [64, "SIGTERM"]. An expected
    /// exit is no failure. NULL means none.
    pub expected_exit_json: Text,
    /// Where standard output and error go, JSON: {"stdout": "null", "stderr": "journal"}. Each is "file" (the log in
    /// the data directory), "inherit" (where the agent's goes), "null", "journal", or an absolute path to append to.
    /// "owner": "proxy" makes the logs belong to the user that the process runs as, for a program that opens
    /// /dev/stdout. "max_bytes", 65536 to 2^50: the size limit of each file, above which the oldest lines are removed
    /// while the process keeps writing. "keep", 0 to 99: how many files with older lines are kept beside each. NULL
    /// means "file" for both.
    pub output_json: Text,
    /// 1: the proxy runs (1). 0: it is declared but does not run; its state is PROXYPROCESS_PROXY_PAUSED.
    pub enabled: u8,
    /// Reserved, 0.
    pub reserved_5: [u8; 7],
    /// A descriptor for standard output, open for writing: a file, pipe, socket or terminal. The call duplicates it, so
    /// the caller may close it afterwards; each start gets it. The next agent does not have it: processes that it
    /// starts before the proxy is declared again write to the log. Ignored without `has_stdout_fd`.
    pub stdout_fd: i32,
    /// The same for standard error; ignored without `has_stderr_fd`.
    pub stderr_fd: i32,
    /// 1: standard output goes to `stdout_fd`; `output_json` must not have "stdout" (0).
    pub has_stdout_fd: u8,
    /// 1: standard error goes to `stderr_fd`; `output_json` must not have "stderr" (0).
    pub has_stderr_fd: u8,
    /// Reserved, 0.
    pub reserved_6: [u8; 6],
    /// Limits on what all processes of the proxy use together, enforced by its own cgroup (`cgroup` of
    /// proxyprocess_manager_options): a JSON object with "memory_max" and "memory_high" in bytes, at least 1048576,
    /// "pids_max", 1 to 4194304, "cpu_max" in percent of one processor, 1 to 100000, and "io_weight", 1 to 10000, where
    /// 100 is the kernel's default. NULL means no limits. A change takes effect at once, without a new process. If a
    /// limit cannot be set, no process is started.
    pub limits_json: Text,
}

/// When a proxy is started again after its process ended. Failures are: an exit that is not expected, a failed start, a
/// process that was not ready in time, and a process that did not feed its watchdog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum proxyprocess_restart_when {
    /// Always.
    PROXYPROCESS_RESTART_ALWAYS = 0,
    /// After a failure. After an expected exit the proxy is in the state PROXYPROCESS_PROXY_COMPLETED.
    PROXYPROCESS_RESTART_ON_FAILURE = 1,
    /// Never. The proxy is then in the state PROXYPROCESS_PROXY_COMPLETED after an expected exit, else in
    /// PROXYPROCESS_PROXY_FAILED.
    PROXYPROCESS_RESTART_NEVER = 2,
}

/// How the process of a proxy is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum proxyprocess_replace {
    /// The next process is started after the previous one is gone.
    PROXYPROCESS_REPLACE_STOP_FIRST = 0,
    /// The next process is started beside the previous one, which is stopped once the next one is ready.
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
    /// The declaration. What only the complete declaration shows is checked by the function that takes it.
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
