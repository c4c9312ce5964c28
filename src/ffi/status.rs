// SPDX-License-Identifier: MPL-2.0
//! The status of proxies.

use std::ffi::CString;
use std::mem::MaybeUninit;

use super::ended_by::{ended_by, proxyprocess_ended_by};
use super::exit::{exit, proxyprocess_exit};
use super::failure::{ErrorOut, Failure};
use super::handle::{Handle, call, free};
use super::json::encode;
use super::output::{OwnedText, TextOut, c_path, c_string};
use super::owned_text::give;
use super::proxy_state::{proxyprocess_proxy_state, state};
use super::sized::{Out, SizedStruct};
use crate::declaration::ProxySnapshot;
use crate::lifecycle::ProxyState;
use crate::supervisor::{ProxyStatus, UnprovenProcess};
use crate::sys::wait::ExitStatus;

/// The status of one proxy at one moment. Set `struct_size` to the `sizeof` of the struct before a call fills it. The
/// pointers are valid until the list is freed.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct proxyprocess_proxy_status {
    /// The size of this struct as the caller was compiled with it.
    pub struct_size: u32,
    /// A value of proxyprocess_proxy_state.
    pub state: i32,
    /// The id, UTF-8.
    pub id: TextOut,
    /// The kind (mode), ASCII.
    pub mode: TextOut,
    /// The last error, UTF-8, kept until the next start succeeds; NULL if there is none. If that start stopped waiting
    /// for a zombie, the zombie stays named until the start after it.
    pub last_error: TextOut,
    /// How many times a process was started after the first start or adoption.
    pub restarts: u64,
    /// Milliseconds until the next start if one is scheduled, else UINT64_MAX.
    pub next_start_ms: u64,
    /// The pid; 0 while there is no process, also while processes that it left are being ended.
    pub pid: u32,
    /// 1 if an earlier agent started the process, else 0.
    pub adopted: u8,
    /// Reserved, 0.
    pub reserved: [u8; 3],
    /// How the last process ended: a value of proxyprocess_exit.
    pub last_exit: i32,
    /// The exit code or the signal.
    pub last_exit_value: i32,
    /// Processes that are alive and that the proxy may have left, but that are not proven to belong to it (they were
    /// not signalled), UTF-8 on one line: "pid 7 (nginx: why)", separated by commas; NULL if there are none.
    pub unproven: TextOut,
    /// Advice about the declaration if the exits suggest some, one sentence of UTF-8; else NULL.
    pub hint: TextOut,
    /// How the last process ended as text, like "exit code 1" or "signal SIGKILL", UTF-8; NULL if none has ended.
    pub last_exit_text: TextOut,
    /// 1 if the process runs and was ready once since its last start (or if the declaration has no readiness check). 0
    /// otherwise, and while it reports that it reloads or stops.
    pub ready: u8,
    /// Reserved, 0.
    pub reserved_2: [u8; 7],
    /// The generation of the process, or of the last one: 1 for the first process of the proxy, one more for each later
    /// one. The next agent continues the count; it starts again at 1 only if no record of the last process is left. 0
    /// before the first start, and for a process that an earlier version of the library started.
    pub generation: u64,
    /// What the process reports about itself (`STATUS=`, sd_notify(3)), UTF-8, one line of at most 512 bytes; NULL if
    /// it reports nothing.
    pub status_text: TextOut,
    /// The generation of the other process during a handover (PROXYPROCESS_REPLACE_OVERLAP): greater than `generation`
    /// for the next process, which is not ready yet; smaller for the previous process, which is being stopped. 0 before
    /// the next process was started, for a process that an earlier version of the library started, and if there is no
    /// other process; `other_state` tells these apart.
    pub other_generation: u64,
    /// The last error of the other process, UTF-8; NULL if there is none.
    pub other_error: TextOut,
    /// The state of the other process: a value of proxyprocess_proxy_state; PROXYPROCESS_PROXY_IDLE if there is none.
    pub other_state: i32,
    /// The pid of the other process; 0 while there is none.
    pub other_pid: u32,
    /// Milliseconds since the last change of `state`; UINT64_MAX for a kind that the host registered.
    pub state_ms: u64,
    /// Milliseconds since the process was started, by this agent or an earlier one, if it is alive and the time is
    /// known; else UINT64_MAX.
    pub uptime_ms: u64,
    /// The last lines that the last process wrote to its standard error, UTF-8, separated by newlines: at most 10 lines
    /// and 4096 bytes, without empty lines, control characters replaced. NULL if a stop ended the process, if it wrote
    /// none or not to a log, and for a moment after the end until the lines are read.
    pub last_stderr: TextOut,
    /// The path of the file that standard output goes to; NULL if there is none.
    pub stdout_log: TextOut,
    /// The same for standard error.
    pub stderr_log: TextOut,
    /// What made the last process end: a value of proxyprocess_ended_by.
    pub last_exit_by: i32,
    /// Reserved, 0.
    pub reserved_3: [u8; 4],
    /// Milliseconds until the next start of the other generation if one is scheduled, else UINT64_MAX.
    pub other_next_start_ms: u64,
    /// For a next generation: how many processes were started in this handover to take over, including those of
    /// declarations that were replaced meanwhile. 0 for a previous generation.
    pub other_attempts: u64,
    /// How the last process of the other generation ended as text, UTF-8; NULL if none has ended.
    pub other_last_exit_text: TextOut,
    /// The last lines that it wrote to its standard error, as `last_stderr`.
    pub other_last_stderr: TextOut,
    /// How it ended: a value of proxyprocess_exit.
    pub other_last_exit: i32,
    /// The exit code or the signal.
    pub other_last_exit_value: i32,
    /// What made it end: a value of proxyprocess_ended_by.
    pub other_last_exit_by: i32,
    /// 1 if that end was expected, as `last_exit_expected`; else 0.
    pub other_last_exit_expected: u8,
    /// 1 if the end of the last process was expected: caused by a stop or a replacement, or an exit that the
    /// declaration expects (expected_exit). Else 0, also if none has ended.
    pub last_exit_expected: u8,
    /// 1 if the kernel killed the last process, or another process of the proxy before it, for lack of memory. Else 0,
    /// also where this is not counted: it is counted where the memory of the proxy's cgroup is controlled, as with
    /// `limits_json`.
    pub last_exit_oom: u8,
    /// The same for the last process of the other generation.
    pub other_last_exit_oom: u8,
    /// The directory of the cgroup of the processes, now or before they ended; NULL if the proxy has no cgroup of its
    /// own.
    pub cgroup: TextOut,
}

/// In C: `proxyprocess_proxy_status *`.
pub type ProxyStatusOut = Out<proxyprocess_proxy_status>;

// SAFETY: it is repr(C), begins with its size, and consists of numbers and pointers, of which any bytes are valid.
unsafe impl SizedStruct for proxyprocess_proxy_status {
    const NAME: &'static str = "proxy_status";
    const FIRST_SIZE: usize = 64;

    fn defaults() -> Self {
        proxyprocess_proxy_status {
            struct_size: 0,
            state: proxyprocess_proxy_state::PROXYPROCESS_PROXY_IDLE as i32,
            id: TextOut::NULL,
            mode: TextOut::NULL,
            last_error: TextOut::NULL,
            restarts: 0,
            next_start_ms: u64::MAX,
            pid: 0,
            adopted: 0,
            reserved: [0; 3],
            last_exit: proxyprocess_exit::PROXYPROCESS_EXIT_NONE as i32,
            last_exit_value: 0,
            unproven: TextOut::NULL,
            hint: TextOut::NULL,
            last_exit_text: TextOut::NULL,
            ready: 0,
            reserved_2: [0; 7],
            generation: 0,
            status_text: TextOut::NULL,
            other_generation: 0,
            other_error: TextOut::NULL,
            other_state: proxyprocess_proxy_state::PROXYPROCESS_PROXY_IDLE as i32,
            other_pid: 0,
            state_ms: u64::MAX,
            uptime_ms: u64::MAX,
            last_stderr: TextOut::NULL,
            stdout_log: TextOut::NULL,
            stderr_log: TextOut::NULL,
            last_exit_by: proxyprocess_ended_by::PROXYPROCESS_ENDED_BY_NONE as i32,
            reserved_3: [0; 4],
            other_next_start_ms: u64::MAX,
            other_attempts: 0,
            other_last_exit_text: TextOut::NULL,
            other_last_stderr: TextOut::NULL,
            other_last_exit: proxyprocess_exit::PROXYPROCESS_EXIT_NONE as i32,
            other_last_exit_value: 0,
            other_last_exit_by: proxyprocess_ended_by::PROXYPROCESS_ENDED_BY_NONE as i32,
            other_last_exit_expected: 0,
            last_exit_expected: 0,
            last_exit_oom: 0,
            other_last_exit_oom: 0,
            cgroup: TextOut::NULL,
        }
    }
}

/// The status of several proxies at one moment, sorted by id. It never changes, and can be read from any thread,
/// several at the same time.
pub struct proxyprocess_status_list(Handle<List>);

struct List {
    proxies: Vec<ProxyStatus>,
    /// The same strings in C's form, in the same order.
    texts: Vec<Texts>,
}

struct Texts {
    id: CString,
    mode: CString,
    last_error: Option<CString>,
    unproven: Option<CString>,
    hint: Option<CString>,
    status_text: Option<CString>,
    last_exit: Option<CString>,
    other_error: Option<CString>,
    other_last_exit: Option<CString>,
    other_last_stderr: Option<CString>,
    last_stderr: Option<CString>,
    stdout_log: Option<CString>,
    stderr_log: Option<CString>,
    cgroup: Option<CString>,
}

impl List {
    fn no_index(&self, index: usize) -> Failure {
        Failure::argument(format!("index: expected less than {}, got {index}", self.proxies.len()))
    }
}

impl proxyprocess_status_list {
    pub(super) fn new(proxies: Vec<ProxyStatus>) -> proxyprocess_status_list {
        let texts = proxies.iter().map(|proxy| Texts {
            id: c_string(&proxy.id),
            mode: c_string(proxy.mode.as_str()),
            last_error: proxy.last_error.as_deref().map(c_string),
            unproven: unproven(&proxy.unproven).as_deref().map(c_string),
            hint: proxy.hint.as_deref().map(c_string),
            status_text: proxy.status_text.as_deref().map(c_string),
            other_error: proxy.other.as_ref().and_then(|other| other.last_error.as_deref()).map(c_string),
            last_exit: proxy.last_exit.map(exit_text),
            other_last_exit: proxy.other.as_ref().and_then(|other| other.last_exit).map(exit_text),
            other_last_stderr: proxy.other.as_ref().and_then(|other| lines(&other.last_stderr)),
            last_stderr: lines(&proxy.last_stderr),
            stdout_log: proxy.stdout_log.as_deref().map(c_path),
            stderr_log: proxy.stderr_log.as_deref().map(c_path),
            cgroup: proxy.cgroup.as_deref().map(c_path),
        });
        let texts = texts.collect();
        proxyprocess_status_list(Handle::new(List { proxies, texts }))
    }
}

/// Returns the number of proxies in the list; 0 for NULL.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_status_list_count(list: Option<&proxyprocess_status_list>) -> usize {
    list.map_or(0, |list| list.0.peek().proxies.len())
}

/// Returns one proxy of the list.
///
/// `index`: from 0.
///
/// `status`: the struct to fill; its `struct_size` is set.
///
/// Returns 0; PROXYPROCESS_E_INVALID_ARGUMENT: the index is out of range; PROXYPROCESS_E_NULL_ARGUMENT,
/// PROXYPROCESS_E_STRUCT_SIZE.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_status_list_get(
    list: Option<&proxyprocess_status_list>,
    index: usize,
    mut status: ProxyStatusOut,
    err: ErrorOut<'_>,
) -> i32 {
    call("list", list.map(|list| &list.0), err, |list| {
        let (Some(proxy), Some(texts)) = (list.proxies.get(index), list.texts.get(index)) else {
            return Err(list.no_index(index));
        };
        let (last_exit, last_exit_value) = exit(proxy.last_exit);
        let other = proxy.other.as_ref();
        let (other_last_exit, other_last_exit_value) = exit(other.and_then(|other| other.last_exit));
        let filled = proxyprocess_proxy_status {
            state: state(proxy.state) as i32,
            id: TextOut::of(&texts.id),
            mode: TextOut::of(&texts.mode),
            last_error: texts.last_error.as_deref().map_or(TextOut::NULL, TextOut::of),
            restarts: proxy.restarts,
            next_start_ms: proxy.next_start_ms.unwrap_or(u64::MAX),
            pid: proxy.pid.unwrap_or(0),
            adopted: u8::from(proxy.adopted),
            last_exit,
            last_exit_value,
            unproven: texts.unproven.as_deref().map_or(TextOut::NULL, TextOut::of),
            hint: texts.hint.as_deref().map_or(TextOut::NULL, TextOut::of),
            last_exit_text: texts.last_exit.as_deref().map_or(TextOut::NULL, TextOut::of),
            ready: u8::from(proxy.ready),
            generation: proxy.generation.unwrap_or(0),
            status_text: texts.status_text.as_deref().map_or(TextOut::NULL, TextOut::of),
            other_generation: other.and_then(|other| other.generation).unwrap_or(0),
            other_error: texts.other_error.as_deref().map_or(TextOut::NULL, TextOut::of),
            other_state: state(other.map_or(ProxyState::Idle, |other| other.state)) as i32,
            other_pid: other.and_then(|other| other.pid).unwrap_or(0),
            state_ms: proxy.state_ms.unwrap_or(u64::MAX),
            uptime_ms: proxy.uptime_ms.unwrap_or(u64::MAX),
            last_stderr: texts.last_stderr.as_deref().map_or(TextOut::NULL, TextOut::of),
            stdout_log: texts.stdout_log.as_deref().map_or(TextOut::NULL, TextOut::of),
            stderr_log: texts.stderr_log.as_deref().map_or(TextOut::NULL, TextOut::of),
            cgroup: texts.cgroup.as_deref().map_or(TextOut::NULL, TextOut::of),
            last_exit_by: ended_by(proxy.last_exit_by) as i32,
            other_next_start_ms: other.and_then(|other| other.next_start_ms).unwrap_or(u64::MAX),
            other_attempts: other.map_or(0, |other| other.attempts),
            other_last_exit_text: texts.other_last_exit.as_deref().map_or(TextOut::NULL, TextOut::of),
            other_last_stderr: texts.other_last_stderr.as_deref().map_or(TextOut::NULL, TextOut::of),
            other_last_exit,
            other_last_exit_value,
            other_last_exit_by: ended_by(other.and_then(|other| other.last_exit_by)) as i32,
            other_last_exit_expected: u8::from(other.and_then(|other| other.last_exit_expected) == Some(true)),
            last_exit_expected: u8::from(proxy.last_exit_expected == Some(true)),
            last_exit_oom: u8::from(proxy.last_exit_oom == Some(true)),
            other_last_exit_oom: u8::from(other.and_then(|other| other.last_exit_oom) == Some(true)),
            ..proxyprocess_proxy_status::defaults()
        };
        status.fill("status", filled)
    })
}

/// Returns one proxy of the list as a JSON object with the keys id, mode, state, pid, adopted, restarts, last_exit (as
/// text), last_exit_kind ("code", "signal" or "unknown"), last_exit_value (the exit code, or the number of the signal),
/// last_exit_core_dumped (for a signal), next_start_ms, last_error, unproven (a list of objects with pid, program and
/// why), hint, ready, generation, status_text, other (an object with generation, state, pid, last_error, attempts,
/// next_start_ms, and the keys that begin with last_exit, and last_stderr), state_ms, uptime_ms, last_exit_by
/// ("itself", "stop", "not-ready" or "watchdog"), last_exit_expected, last_exit_oom, last_stderr (a list of lines),
/// stdout_log, stderr_log and cgroup, in this order. A missing value is null.
///
/// `index`: from 0.
///
/// `json`: receives the text; free it with proxyprocess_text_free().
///
/// `json_length`: receives its length; may be NULL.
///
/// Returns 0; PROXYPROCESS_E_INVALID_ARGUMENT: the index is out of range; PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_status_list_get_json(
    list: Option<&proxyprocess_status_list>,
    index: usize,
    json: Option<&mut MaybeUninit<OwnedText>>,
    json_length: Option<&mut MaybeUninit<usize>>,
    err: ErrorOut<'_>,
) -> i32 {
    call("list", list.map(|list| &list.0), err, |list| {
        let proxy = list.proxies.get(index).ok_or_else(|| list.no_index(index))?;
        let encoded = serde_json::to_vec(proxy);
        let encoded = encoded.map_err(|error| Failure::internal(format!("encode status: {error}")))?;
        give("json", json, json_length, Some(encoded))
    })
}

/// Returns the list as one JSON object by id. Each value has the keys of proxyprocess_status_list_get_json() except the
/// id; a missing value is null.
///
/// `json`: receives the text; free it with proxyprocess_text_free().
///
/// `json_length`: receives its length; may be NULL.
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_status_list_json(
    list: Option<&proxyprocess_status_list>,
    json: Option<&mut MaybeUninit<OwnedText>>,
    json_length: Option<&mut MaybeUninit<usize>>,
    err: ErrorOut<'_>,
) -> i32 {
    call("list", list.map(|list| &list.0), err, |list| {
        let mut proxies = ProxySnapshot::new();
        for proxy in &list.proxies {
            let mut value =
                serde_json::to_value(proxy).map_err(|error| Failure::internal(format!("encode status: {error}")))?;
            // The id is already the key of the object.
            value.as_object_mut().and_then(|fields| fields.remove("id"));
            proxies.insert(proxy.id.clone(), value);
        }
        give("json", json, json_length, Some(encode(proxies)?))
    })
}

/// Frees a list.
///
/// `list`: may be NULL, which does nothing.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_status_list_free(list: Option<Box<proxyprocess_status_list>>) {
    free(list, |list| &list.0);
}

fn exit_text(exit: ExitStatus) -> CString {
    c_string(&exit.to_string())
}

/// NULL for none.
fn lines(lines: &[String]) -> Option<CString> {
    (!lines.is_empty()).then(|| c_string(&lines.join("\n")))
}

fn unproven(processes: &[UnprovenProcess]) -> Option<String> {
    let texts: Vec<String> = processes.iter().map(ToString::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}
