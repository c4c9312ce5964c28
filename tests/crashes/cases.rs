// SPDX-License-Identifier: MPL-2.0
//! Lives that are cut, several at a time.

use std::any::Any;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, OnceLock};
use std::time::Instant;

use crate::crashes::arm::{Arm, Cut};
use crate::crashes::life;
use crate::crashes::player::Player;
use crate::crashes::wanted::Wanted;

/// One life, and what happens in it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// By the number of the agent, from 1 on.
    pub(crate) arms: Vec<(usize, Arm)>,
    /// What the next agent is told.
    pub(crate) then: Then,
    /// Whether an agent in which a thread stands still is asked for more before it is killed.
    pub(crate) disturbed: bool,
}

/// What is wanted of the agent after one that was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Same,
    Other,
    Nothing,
}

/// Plays a life that may be cut, and what comes after. How many agents were cut.
#[track_caller]
pub(crate) fn play(case: &Case) -> usize {
    let mut it = Player::new(life::first(), case.arms.clone());
    if let Err(Cut) = life::play(&mut it) {
        if case.disturbed {
            it.disturb();
        }
        match case.then {
            Then::Same => {}
            Then::Other => it.wanted = life::other(),
            Then::Nothing => it.wanted = Wanted::default(),
        }
        it.recover();
    }
    it.finish().cuts
}

/// How many are played at a time, by all tests together: four for each core, for most of the time they wait.
struct Turns {
    free: Mutex<usize>,
    given_back: Condvar,
}

impl Turns {
    fn shared() -> &'static Turns {
        static TURNS: OnceLock<Turns> = OnceLock::new();
        TURNS.get_or_init(|| Turns { free: Mutex::new(4 * cores()), given_back: Condvar::new() })
    }

    /// Waits for a turn, and plays.
    fn take<R>(&self, play: impl FnOnce() -> R) -> R {
        let free = self.free.lock().unwrap();
        *self.given_back.wait_while(free, |free| *free == 0).unwrap() -= 1;
        let result = play();
        *self.free.lock().unwrap() += 1;
        self.given_back.notify_one();
        result
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// Plays all, two for each core and test; says how many were played, and for how long.
#[track_caller]
pub(crate) fn play_all<T: Debug + Sync, R: Send>(what: &str, cases: &[T], play: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (begun, next) = (Instant::now(), AtomicUsize::new(0));
    let (results, failures) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            match Turns::shared().take(|| catch_unwind(AssertUnwindSafe(|| play(case)))) {
                Ok(result) => results.lock().unwrap().push(result),
                Err(panic) => failures.lock().unwrap().push(format!("{case:?}: {}", message(&*panic))),
            }
        }
    };
    std::thread::scope(|scope| (0..2 * cores()).for_each(|_| drop(scope.spawn(work))));
    println!("{what}: {} lives in {:.1} s", cases.len(), begun.elapsed().as_secs_f64());
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} failed:\n{}", failures.len(), cases.len(), failures.join("\n"));
    results.into_inner().unwrap()
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic")
}
