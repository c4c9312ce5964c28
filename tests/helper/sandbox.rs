// SPDX-License-Identifier: MPL-2.0
//! Kernels that lack something, and sandboxes that refuse it: calls that fail at once, for good, here and in all that is
//! executed or forked from here.

use std::collections::BTreeMap;

use rustix::process::PidfdFlags;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

/// `PIDFD_GET_INFO` of linux/pidfd.h.
const GET_INFO: u64 = 0xC040_FF0B;
/// `PIDFD_SIGNAL_PROCESS_GROUP` of linux/pidfd.h.
const SIGNAL_PROCESS_GROUP: u64 = 1 << 2;

/// How this program opens processes: it changes nothing for a caller that polls, and tells its own calls from those of the
/// program under test, whose sandbox it is in as well.
pub(crate) const OPEN: PidfdFlags = PidfdFlags::NONBLOCK;

/// Has calls refused: `<call>=<errno>`, and several of them with commas between.
pub(crate) fn refuse(calls: &str) {
    for call in calls.split(',').filter(|call| !call.is_empty()) {
        let (name, errno) = call.split_once('=').unwrap_or_else(|| panic!("no errno: {call}"));
        let (number, argument) = find(name);
        let errno = match errno {
            "EPERM" => libc::EPERM,
            "EINVAL" => libc::EINVAL,
            "ENOTTY" => libc::ENOTTY,
            "ENOSYS" => libc::ENOSYS,
            "EAGAIN" => libc::EAGAIN,
            // It pretends to have done it.
            "0" => 0,
            _ => panic!("unknown errno: {call}"),
        };
        let rules = argument.into_iter().map(|condition| SeccompRule::new(vec![condition]).expect("a rule"));
        let arch = std::env::consts::ARCH.try_into().expect("an architecture that has filters");
        let (allow, refuse) = (SeccompAction::Allow, SeccompAction::Errno(errno.unsigned_abs()));
        let filter = SeccompFilter::new(BTreeMap::from([(number, rules.collect())]), allow, refuse, arch);
        let program: BpfProgram = filter.expect("a filter").try_into().expect("a program");
        apply_filter(&program).expect("install the filter");
    }
}

/// The number of a call, and which of its arguments makes it the one that is meant.
fn find(name: &str) -> (i64, Option<SeccompCondition>) {
    let is = |at, value| argument(at, SeccompCmpOp::Eq, value);
    let has = |at, bits| argument(at, SeccompCmpOp::MaskedEq(bits), bits);
    match name {
        // The helper's own calls carry a flag.
        "pidfd_open" => (libc::SYS_pidfd_open, Some(is(1, 0))),
        "clone-with-pidfd" => (libc::SYS_clone, Some(has(0, 0x1000))),
        "pidfd_getfd" => (libc::SYS_pidfd_getfd, None),
        "pidfd_send_signal" => (libc::SYS_pidfd_send_signal, None),
        "signal-to-group" => (libc::SYS_pidfd_send_signal, Some(has(3, SIGNAL_PROCESS_GROUP))),
        "waitid-by-pidfd" => (libc::SYS_waitid, Some(is(0, 3))),
        // CLONE_VFORK and CLONE_FILES.
        "vfork-with-files" => (libc::SYS_clone, Some(has(0, 0x4400))),
        "close_range" => (libc::SYS_close_range, None),
        "close_range-unshare" => (libc::SYS_close_range, Some(has(2, 2))),
        "pidfd-get-info" => (libc::SYS_ioctl, Some(is(1, GET_INFO))),
        "faccessat2" => (libc::SYS_faccessat2, None),
        "openat2" => (libc::SYS_openat2, None),
        "statx" => (libc::SYS_statx, None),
        "clone3" => (libc::SYS_clone3, None),
        _ => panic!("unknown call: {name}"),
    }
}

fn argument(at: u8, operator: SeccompCmpOp, value: u64) -> SeccompCondition {
    SeccompCondition::new(at, SeccompCmpArgLen::Dword, operator, value).expect("an argument")
}
