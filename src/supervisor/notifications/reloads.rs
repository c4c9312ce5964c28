// SPDX-License-Identifier: MPL-2.0
//! Reloads that the process confirms by notifications (`Type=notify-reload` of systemd.service(5)): which of them it
//! has confirmed, and what is missing for the others. Pure, except for the answer.

use std::fmt;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::notice::Notice;
use crate::deadline::after;
use crate::error::{Error, ErrorCode, Result};
use crate::sys::monotonic_time::MonotonicTime;

/// Those that a process has not confirmed yet.
#[derive(Debug, Default)]
pub(crate) struct AwaitedReloads(Vec<AwaitedReload>);

/// A call that waits for its answer. Dropped without one, the proxy is not supervised any more.
#[derive(Debug)]
pub(crate) struct AwaitedReload {
    /// Before its signal was sent.
    pub(crate) asked: MonotonicTime,
    pub(crate) timeout: Duration,
    pub(crate) until: Instant,
    pub(crate) missing: Missing,
    pub(crate) reply: Sender<Result<()>>,
}

/// What a process has to say yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Reloading,
    /// It says that it reloads, but not since when.
    Time,
    /// It says that it reloads, but since before it was asked to.
    LaterTime,
    Ready,
}

impl AwaitedReloads {
    pub(crate) fn add(&mut self, reload: AwaitedReload) {
        self.0.push(reload);
    }

    /// When the first of them is too late.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.0.iter().map(|reload| reload.until).min()
    }

    /// The process has said something. One READY=1 confirms each reload that had begun after it was asked for, and no other:
    /// the program has read its configuration before.
    pub(crate) fn hear(&mut self, notice: &Notice, now: Instant) {
        match notice {
            Notice::Reloading(since) => {
                for reload in self.0.iter_mut().filter(|reload| reload.missing != Missing::Ready) {
                    reload.missing = match since {
                        None => Missing::Time,
                        Some(since) if *since < reload.asked => Missing::LaterTime,
                        Some(_) => Missing::Ready,
                    };
                }
            }
            Notice::Ready => self.answer(|reload| (reload.missing == Missing::Ready).then_some(Ok(()))),
            Notice::ExtendTimeout(by) => {
                let until = after(now, *by);
                self.0.iter_mut().for_each(|reload| reload.until = reload.until.max(until));
            }
            Notice::Stopping
            | Notice::StoreDescriptors(_)
            | Notice::RemoveStored(_)
            | Notice::Status(_)
            | Notice::Errno(_)
            | Notice::Alive
            | Notice::ExpireWatchdog
            | Notice::WatchdogPeriod(_)
            | Notice::Leader(_) => {}
        }
    }

    /// Gives up those whose time is over; `status`: what the process says of itself.
    pub(crate) fn give_up(&mut self, now: Instant, status: &str) {
        self.answer(|reload| {
            let error = || {
                let (timeout, missing) = (reload.timeout.as_millis(), reload.missing);
                Error::new(ErrorCode::Timeout, format!("not confirmed in {timeout} ms: {missing}{status}"))
            };
            (reload.until <= now).then(|| Err(error()))
        });
    }

    /// The process has ended.
    pub(crate) fn end(&mut self, error: &Error) {
        self.answer(|_| Some(Err(error.clone())));
    }

    fn answer(&mut self, answer: impl Fn(&AwaitedReload) -> Option<Result<()>>) {
        self.0.retain(|reload| match answer(reload) {
            Some(answer) => {
                // The caller may be gone.
                let _ = reload.reply.send(answer);
                false
            }
            None => true,
        });
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Missing::Reloading => "no RELOADING=1",
            Missing::Time => "RELOADING=1 without MONOTONIC_USEC=",
            Missing::LaterTime => "RELOADING=1 with a MONOTONIC_USEC= from before it was asked to",
            Missing::Ready => "no READY=1 after RELOADING=1",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::Receiver;

    struct Scene {
        reloads: AwaitedReloads,
        start: Instant,
    }

    impl Scene {
        fn new() -> Scene {
            Scene { reloads: AwaitedReloads::default(), start: Instant::now() }
        }

        fn at(&self, second: u64) -> Instant {
            self.start + Duration::from_secs(second)
        }

        /// Asked for at this second, with nine seconds.
        fn ask(&mut self, second: u64) -> Receiver<Result<()>> {
            let (reply, answer) = crossbeam_channel::bounded(1);
            let (asked, until) = (MonotonicTime::of_microseconds(second), self.at(second + 9));
            let timeout = Duration::from_secs(9);
            self.reloads.add(AwaitedReload { asked, timeout, until, missing: Missing::Reloading, reply });
            answer
        }

        fn reloading(&mut self, since: Option<u64>) {
            let since = since.map(MonotonicTime::of_microseconds);
            self.reloads.hear(&Notice::Reloading(since), self.start);
        }

        fn ready(&mut self) {
            self.reloads.hear(&Notice::Ready, self.start);
        }
    }

    #[test]
    fn ready_confirms_the_reloads_that_began_after_they_were_asked_for_and_no_other() {
        let mut scene = Scene::new();
        let first = scene.ask(1);
        scene.ready();
        scene.reloading(Some(1));
        let second = scene.ask(2);
        scene.reloading(Some(1));
        scene.ready();
        assert_eq!((first.try_recv(), second.try_recv().ok()), (Ok(Ok(())), None));
        let third = scene.ask(3);
        scene.reloading(Some(3));
        scene.reloading(None);
        scene.ready();
        assert_eq!((second.try_recv(), third.try_recv()), (Ok(Ok(())), Ok(Ok(()))));
        assert_eq!(scene.reloads.due(), None);
    }

    #[test]
    fn one_that_is_not_confirmed_in_time_says_what_is_missing() {
        let said: [(&[Option<u64>], &str); 5] = [
            (&[], "no RELOADING=1"),
            (&[None], "RELOADING=1 without MONOTONIC_USEC="),
            (&[Some(0)], "RELOADING=1 with a MONOTONIC_USEC= from before it was asked to"),
            (&[None, Some(1)], "no READY=1 after RELOADING=1"),
            (&[Some(1), Some(0)], "no READY=1 after RELOADING=1"),
        ];
        for (said, missing) in said {
            let mut scene = Scene::new();
            let answer = scene.ask(1);
            said.iter().for_each(|since| scene.reloading(*since));
            scene.reloads.give_up(scene.at(10) - Duration::from_nanos(1), "");
            assert!(answer.is_empty());
            scene.reloads.give_up(scene.at(10), "; its status is \"a\"");
            let error = answer.try_recv().unwrap().unwrap_err();
            assert_eq!(error.code(), ErrorCode::Timeout);
            assert_eq!(error.to_string(), format!("not confirmed in 9000 ms: {missing}; its status is \"a\""));
            assert_eq!(scene.reloads.due(), None);
        }
    }

    #[test]
    fn process_that_asks_for_more_time_has_it_and_never_less() {
        let mut scene = Scene::new();
        let (first, second) = (scene.ask(1), scene.ask(11));
        let more = Notice::ExtendTimeout(Duration::from_secs(5));
        scene.reloads.hear(&more, scene.at(9));
        assert_eq!(scene.reloads.due(), Some(scene.at(14)));
        scene.reloads.give_up(scene.at(14), "");
        assert!(first.try_recv().unwrap().is_err() && second.is_empty());
        assert_eq!(scene.reloads.due(), Some(scene.at(20)));
        scene.reloads.end(&Error::new(ErrorCode::NotRunning, "gone"));
        assert_eq!(second.try_recv().unwrap().unwrap_err().code(), ErrorCode::NotRunning);
    }
}
