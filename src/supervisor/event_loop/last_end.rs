// SPDX-License-Identifier: MPL-2.0
//! What is reported about the last end of a process of a proxy: one value, which a handover passes to the other
//! generation.

use std::sync::Arc;

use crate::error::excerpt;
use crate::lifecycle::hints::exit_code;
use crate::lifecycle::hints::killed_stops::KilledStops;
use crate::lifecycle::restart_policy::End;
use crate::lifecycle::{EndedBy, StopSettings};
use crate::store::RecordedEnd;
use crate::supervisor::mailbox::LastWords;
use crate::supervisor::process_key::ProcessKey;
use crate::sys::proc::port_holder::{PortHolder, TakenAddress};
use crate::sys::wait::ExitStatus;

/// What is told of the last end of a process, and of the starts after it that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LastEnd {
    /// How it ended; absent before the first end.
    pub(crate) exit: Option<ExitStatus>,
    /// What made it end, unless an earlier agent has recorded the end.
    pub(crate) by: Option<EndedBy>,
    /// Whether that was a stop, or a way in which the declaration has it end by itself.
    pub(crate) expected: Option<bool>,
    /// Whether the kernel killed it for lack of memory; absent if that is not counted, or it did not end by SIGKILL.
    pub(crate) oom: Option<bool>,
    /// The other generation of a handover, if it is an end of that one.
    of_other: Option<ProcessKey>,
    /// The last lines of its standard error, once they are read.
    pub(crate) last_stderr: Vec<String>,
    /// The address that it, or a start after it, could not have, and what has that, if that is known of which proxy.
    taken_address: Option<(TakenAddress, PortHolder, Option<Arc<str>>)>,
    /// Whether the program does not obey the signals of its stops.
    killed_stops: KilledStops,
}

impl LastEnd {
    /// None has ended.
    pub(crate) const NONE: &LastEnd = &LastEnd {
        exit: None,
        by: None,
        expected: None,
        oom: None,
        of_other: None,
        last_stderr: Vec::new(),
        taken_address: None,
        killed_stops: KilledStops::NONE,
    };

    /// The end that comes after this one; `end`: what the declaration has such an exit mean.
    pub(crate) fn next(&self, exit: ExitStatus, end: End, by: EndedBy, stop: &StopSettings) -> LastEnd {
        let (expected, killed_stops) = match by {
            EndedBy::Stop => (true, self.killed_stops.after(exit, stop)),
            EndedBy::Itself => (end == End::Expected, self.killed_stops),
            EndedBy::NotReady | EndedBy::Watchdog => (false, self.killed_stops),
        };
        LastEnd { exit: Some(exit), by: Some(by), expected: Some(expected), killed_stops, ..LastEnd::NONE.clone() }
    }

    /// The same, as a kill by the kernel for lack of memory, if that is known.
    pub(crate) fn for_memory(self, oom: Option<bool>) -> LastEnd {
        LastEnd { oom, ..self }
    }

    /// The same of a process whose grace a caller has ended: that it was killed says nothing of what it obeys.
    pub(crate) fn without_grace(self, before: &LastEnd) -> LastEnd {
        LastEnd { killed_stops: before.killed_stops, ..self }
    }

    /// An end that an earlier agent has recorded.
    pub(crate) fn recorded(RecordedEnd { status, completed }: RecordedEnd) -> LastEnd {
        LastEnd { exit: Some(status), expected: Some(completed), ..LastEnd::NONE.clone() }
    }

    /// This end of the generation `key`, which is the last one of its proxy, after one of the other generation. A crash says
    /// nothing of stops.
    pub(crate) fn after_other(&self, key: ProcessKey, other: &LastEnd) -> LastEnd {
        let killed_stops = if self.by == Some(EndedBy::Stop) { self.killed_stops } else { other.killed_stops };
        LastEnd { of_other: Some(key), killed_stops, ..self.clone() }
    }

    /// The same as [`LastEnd::learn`], from the other generation. Lines are of its end: this generation may have ended by itself
    /// while they were read.
    pub(crate) fn learn_of_other(&mut self, other: ProcessKey, words: &LastWords) {
        if words.lines.is_empty() || self.of_other == Some(other) {
            self.learn(words);
        }
    }

    /// Takes what was found out after the end, or after a start that failed, which has no lines.
    pub(crate) fn learn(&mut self, LastWords { lines, taken_address, taken_by }: &LastWords) {
        if !lines.is_empty() {
            self.last_stderr.clone_from(lines);
        }
        self.taken_address = taken_address.clone().map(|(address, holder)| (address, holder, taken_by.clone()));
    }

    /// A process runs: whatever address was taken is its own now.
    pub(crate) fn forget_taken_address(&mut self) {
        self.taken_address = None;
    }

    /// Advice from a taken address.
    pub(crate) fn hint_of_address(&self) -> Option<String> {
        let (address, holder, proxy) = self.taken_address.as_ref()?;
        let of_proxy = proxy.as_ref().map(|proxy| format!(" of proxy {}", excerpt(proxy))).unwrap_or_default();
        Some(format!("{address} seems to be taken by {holder}{of_proxy}"))
    }

    /// Advice from how a process ended by itself.
    pub(crate) fn hint_of_exit(&self) -> Option<String> {
        if self.oom == Some(true) {
            return Some(
                "the kernel killed it, or another process of the proxy, for lack of memory: limits.memory_max or the memory of the machine is too small"
                    .to_owned(),
            );
        }
        self.exit.filter(|_| self.by == Some(EndedBy::Itself)).and_then(exit_code::hint)
    }

    /// Advice from how the last stops ended.
    pub(crate) fn hint_of_stops(&self, stop: &StopSettings) -> Option<String> {
        self.killed_stops.hint(stop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILLED: ExitStatus = ExitStatus::Signaled { signal: libc::SIGKILL, core_dumped: false };
    const EXITED: ExitStatus = ExitStatus::Exited(1);

    fn words(lines: &[&str], port: Option<u16>) -> LastWords {
        let taken = |port| (TakenAddress { is_udp: false, ip: None, port }, PortHolder::Unreadable);
        LastWords {
            lines: lines.iter().map(ToString::to_string).collect(),
            taken_address: port.map(taken),
            taken_by: None,
        }
    }

    #[test]
    fn next_end_keeps_nothing_of_the_one_before_but_its_killed_stops() {
        let stop = StopSettings::default();
        let mut end = LastEnd::NONE.next(KILLED, End::Unexpected, EndedBy::Stop, &stop);
        end.learn(&words(&["a line"], Some(80)));
        let next = end.next(EXITED, End::Unexpected, EndedBy::Itself, &stop);
        assert_eq!((next.exit, next.by, next.expected), (Some(EXITED), Some(EndedBy::Itself), Some(false)));
        assert_eq!((&next.last_stderr[..], &next.taken_address), (&[][..], &None));
        assert_eq!(next.hint_of_stops(&stop), None, "one killed stop is no habit");
        assert!(next.next(KILLED, End::Unexpected, EndedBy::Stop, &stop).hint_of_stops(&stop).is_some());
    }

    #[test]
    fn kill_of_a_process_whose_grace_a_caller_has_ended_is_no_habit() {
        let stop = StopSettings::default();
        let killed = LastEnd::NONE.next(KILLED, End::Unexpected, EndedBy::Stop, &stop);
        let again = killed.next(KILLED, End::Unexpected, EndedBy::Stop, &stop);
        assert!(again.hint_of_stops(&stop).is_some());
        assert_eq!(again.without_grace(&killed).hint_of_stops(&stop), None);
    }

    #[test]
    fn crash_of_the_other_generation_is_the_last_end_and_leaves_the_killed_stops() {
        let stop = StopSettings::default();
        let stopped = LastEnd::NONE.next(KILLED, End::Unexpected, EndedBy::Stop, &stop);
        let mut crashed = LastEnd::NONE.next(ExitStatus::Exited(127), End::Unexpected, EndedBy::Itself, &stop);
        crashed.learn(&words(&["not found"], None));
        let told = crashed.after_other(7, &stopped);
        assert_eq!((told.exit, &told.last_stderr), (crashed.exit, &crashed.last_stderr));
        assert_eq!(told.killed_stops, stopped.killed_stops);
        assert!(told.hint_of_exit().is_some());
        assert_eq!(LastEnd { of_other: None, ..stopped.after_other(7, &crashed) }, stopped);
    }

    #[test]
    fn lines_of_the_other_generation_are_not_of_an_end_of_this_one_that_came_meanwhile() {
        let end = |exit| LastEnd::NONE.next(exit, End::Unexpected, EndedBy::Itself, &StopSettings::default());
        let mut told = end(EXITED).after_other(7, LastEnd::NONE);
        let mut ended_meanwhile = told.next(KILLED, End::Unexpected, EndedBy::Itself, &StopSettings::default());
        let lines = words(&["bind: Address already in use"], Some(80));
        told.learn_of_other(7, &lines);
        ended_meanwhile.learn_of_other(7, &lines);
        assert_eq!(told.last_stderr, lines.lines);
        assert_eq!(ended_meanwhile, end(KILLED));
        ended_meanwhile.learn_of_other(7, &words(&[], Some(80)));
        assert!(ended_meanwhile.hint_of_address().is_some(), "of a start that failed");
    }

    #[test]
    fn failed_start_leaves_the_lines_of_the_process_before() {
        let mut end = LastEnd::recorded(RecordedEnd { status: EXITED, completed: false });
        end.learn(&words(&["a line"], None));
        end.learn(&words(&[], Some(80)));
        assert_eq!(end.last_stderr, ["a line"]);
        assert!(end.hint_of_address().is_some_and(|hint| hint.starts_with("tcp port 80 ")));
        end.forget_taken_address();
        assert_eq!(end.hint_of_address(), None);
    }

    #[test]
    fn end_is_expected_by_a_stop_and_as_declared_and_not_of_a_process_that_is_stopped_as_failed() {
        let expected = |end, by| LastEnd::NONE.next(EXITED, end, by, &StopSettings::default()).expected;
        assert_eq!(expected(End::Unexpected, EndedBy::Stop), Some(true));
        assert_eq!(expected(End::Expected, EndedBy::Itself), Some(true));
        for end in [End::Unexpected, End::Unknown] {
            assert_eq!(expected(end, EndedBy::Itself), Some(false));
        }
        for by in [EndedBy::NotReady, EndedBy::Watchdog] {
            assert_eq!(expected(End::Expected, by), Some(false));
        }
    }
}
