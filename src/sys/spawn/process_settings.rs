// SPDX-License-Identifier: MPL-2.0
//! What a child sets about itself before it executes: resource limits, nice value, CPUs, umask, `no_new_privs`.

use std::ffi::{c_int, c_ulong, c_void};
use std::mem::MaybeUninit;

use super::child_step::{ChildStep, Failed, step};
use super::start_error::{StartError, above_own_limit, failure};
use crate::command::{ProcessSettings, Resource};
use crate::sys::check;

/// The settings of one child, in the kernel's form.
#[derive(Debug)]
pub(crate) struct RawSettings {
    limits: Vec<RawLimit>,
    nice: Option<c_int>,
    /// A bit for each CPU; empty without a declaration.
    cpus: Vec<u64>,
    umask: Option<u32>,
    no_new_privs: bool,
}

/// A limit, as prlimit64 takes it: 64 bits also where `struct rlimit` has fewer.
#[derive(Debug)]
struct RawLimit {
    resource: Resource,
    /// Soft and hard.
    limit: [u64; 2],
}

impl RawSettings {
    /// What a child has to set to have what is declared.
    ///
    /// # Errors
    /// A soft limit is declared alone, and the hard limit of the agent is lower or cannot be read.
    pub(crate) fn of_child(declared: &ProcessSettings) -> Result<RawSettings, StartError> {
        let limit = |(&resource, &limit): (&Resource, &crate::command::ResourceLimit)| {
            let name = format!("rlimits.{resource}");
            let hard = limit.hard.map_or_else(|| hard_limit_now(resource), Ok);
            let hard = hard.map_err(|error| failure("read the agent's limit for", &name, error))?;
            match limit.soft <= hard {
                true => Ok(RawLimit { resource, limit: [limit.soft, hard] }),
                false => Err(above_own_limit(resource, limit, hard)),
            }
        };
        let mut cpus = Vec::new();
        for &cpu in declared.cpu_affinity.iter().flatten() {
            let word = (cpu / u64::BITS) as usize;
            cpus.resize(cpus.len().max(word + 1), 0);
            cpus[word] |= 1u64 << (cpu % u64::BITS);
        }
        let ProcessSettings { nice, umask, no_new_privs, .. } = *declared;
        let limits = declared.rlimits.iter().map(limit).collect::<Result<Vec<RawLimit>, StartError>>()?;
        Ok(RawSettings { limits, nice, cpus, umask, no_new_privs })
    }

    /// Whether the limit of descriptors is among them.
    pub(crate) fn limits_descriptors(&self) -> bool {
        self.limits.iter().any(|limit| limit.resource == Resource::Nofile)
    }
}

/// The hard limit of this process at this moment.
fn hard_limit_now(resource: Resource) -> std::io::Result<u64> {
    let (own_pid, no_new) = (0, std::ptr::null::<c_void>());
    let mut limit = MaybeUninit::<[u64; 2]>::uninit();
    // SAFETY: a null pointer says that nothing is set; the other one is to writable memory for two numbers of 64 bits.
    let got = unsafe { libc::syscall(libc::SYS_prlimit64, own_pid, number(resource), no_new, limit.as_mut_ptr()) };
    check(got)?;
    // SAFETY: the call succeeded and has written both.
    Ok(unsafe { limit.assume_init() }[1])
}

fn number(resource: Resource) -> i64 {
    i64::from(match resource {
        Resource::As => libc::RLIMIT_AS,
        Resource::Core => libc::RLIMIT_CORE,
        Resource::Cpu => libc::RLIMIT_CPU,
        Resource::Data => libc::RLIMIT_DATA,
        Resource::Fsize => libc::RLIMIT_FSIZE,
        Resource::Locks => libc::RLIMIT_LOCKS,
        Resource::Memlock => libc::RLIMIT_MEMLOCK,
        Resource::Msgqueue => libc::RLIMIT_MSGQUEUE,
        Resource::Nice => libc::RLIMIT_NICE,
        Resource::Nofile => libc::RLIMIT_NOFILE,
        Resource::Nproc => libc::RLIMIT_NPROC,
        Resource::Rss => libc::RLIMIT_RSS,
        Resource::Rtprio => libc::RLIMIT_RTPRIO,
        Resource::Rttime => libc::RLIMIT_RTTIME,
        Resource::Sigpending => libc::RLIMIT_SIGPENDING,
        Resource::Stack => libc::RLIMIT_STACK,
    })
}

/// CHILD: all but what may take the privileges that others need.
pub(crate) fn apply(it: &RawSettings) -> Result<(), Failed> {
    let (own_pid, no_old) = (0, std::ptr::null_mut::<c_void>());
    for RawLimit { resource, limit } in &it.limits {
        // SAFETY: `limit` are two numbers of 64 bits, and a null pointer says that the old limit is not asked for.
        let set = unsafe { libc::syscall(libc::SYS_prlimit64, own_pid, number(*resource), limit.as_ptr(), no_old) };
        step(ChildStep::ResourceLimit(*resource), set)?;
    }
    if let Some(nice) = it.nice {
        // ORDER: after the limits, of which one may permit it.
        // SAFETY: no pointers are passed.
        step(ChildStep::Nice, unsafe { libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, own_pid, nice) })?;
    }
    if !it.cpus.is_empty() {
        let bytes = size_of_val(it.cpus.as_slice());
        // SAFETY: the pointer and size are of one live array.
        let set = unsafe { libc::syscall(libc::SYS_sched_setaffinity, own_pid, bytes, it.cpus.as_ptr()) };
        step(ChildStep::CpuAffinity, set)?;
    }
    if let Some(mask) = it.umask {
        // It cannot fail. The umask is not in the memory that is shared with the agent.
        // SAFETY: no pointers are passed.
        unsafe { libc::syscall(libc::SYS_umask, mask) };
    }
    Ok(())
}

/// CHILD: what has to be last.
pub(crate) fn give_up_privileges(it: &RawSettings) -> Result<(), Failed> {
    const UNUSED: c_ulong = 0;
    if !it.no_new_privs {
        return Ok(());
    }
    let on: c_ulong = 1;
    // SAFETY: no pointers are passed.
    let set = unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, on, UNUSED, UNUSED, UNUSED) };
    step(ChildStep::NoNewPrivs, set)
}
