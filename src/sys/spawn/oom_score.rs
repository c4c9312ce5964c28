// SPDX-License-Identifier: MPL-2.0
//! How willingly the kernel kills a process when memory runs out: `/proc/<pid>/oom_score_adj` (proc(5)).

use std::ffi::CStr;
use std::fs::File;
use std::io::Read;

use super::child_step::ChildStep;
use super::child_step::{Failed, step};

const PATH: &CStr = c"/proc/self/oom_score_adj";

/// The longest value, `-1000`.
const LONGEST: usize = 5;

/// What a child writes about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawScore {
    text: [u8; LONGEST],
    length: usize,
    /// Without a declaration the value of the agent is good enough where the kernel does not permit another one.
    required: bool,
}

impl RawScore {
    /// What a child has to write for its process to have the declared value, or 0 without a declaration. Nothing if it
    /// has 0 anyway, by inheriting it from an agent of this value.
    pub(crate) fn of_child(declared: Option<i32>, own: Option<i32>) -> Option<RawScore> {
        match declared {
            Some(value) => Some(RawScore::new(value, true)),
            None if own == Some(0) => None,
            None => Some(RawScore::new(0, false)),
        }
    }

    fn new(value: i32, required: bool) -> RawScore {
        let (mut text, value) = ([0; LONGEST], value.to_string());
        let length = value.len().min(LONGEST);
        text[..length].copy_from_slice(&value.as_bytes()[..length]);
        RawScore { text, length, required }
    }
}

/// The value of this process, if it can be read.
pub(super) fn own() -> Option<i32> {
    let (mut text, path) = ([0; 16], PATH.to_str().ok()?);
    let length = File::open(path).and_then(|mut file| file.read(&mut text)).ok()?;
    std::str::from_utf8(&text[..length]).ok()?.trim_end().parse().ok()
}

/// CHILD: only for the child of a vfork. To all other processes that share memory the kernel gives the value together (Linux
/// 4.8, `__set_oom_adj`): a detached process would set that of the agent.
pub(crate) fn set(score: &RawScore) -> Result<(), Failed> {
    match write(score) {
        Err(failed) if score.required => Err(failed),
        _ => Ok(()),
    }
}

fn write(score: &RawScore) -> Result<(), Failed> {
    let flags = libc::O_WRONLY | libc::O_CLOEXEC;
    // SAFETY: the path is a NUL-terminated literal.
    let fd = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, PATH.as_ptr(), flags) };
    step(ChildStep::OomScore, fd)?;
    // SAFETY: the pointer and length are of one live array, and the length is at most that of the array.
    let written =
        step(ChildStep::OomScore, unsafe { libc::syscall(libc::SYS_write, fd, score.text.as_ptr(), score.length) });
    // SAFETY: opened above and not used again.
    unsafe { libc::syscall(libc::SYS_close, fd) };
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_value_is_written_and_without_one_only_what_differs_from_the_agent() {
        for (value, text) in [(0, "0"), (7, "7"), (-1000, "-1000"), (1000, "1000")] {
            let score = RawScore::of_child(Some(value), Some(0)).unwrap();
            assert_eq!((&score.text[..score.length], score.required), (text.as_bytes(), true));
        }
        assert_eq!(RawScore::of_child(None, Some(0)), None);
        for own in [None, Some(-7)] {
            assert_eq!(RawScore::of_child(None, own), Some(RawScore::new(0, false)));
        }
    }
}
