//! Lives that are cut, several at a time.

use std::any::Any;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
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

/// Plays all, two for each core, for most of the time they wait; says how many were played, and for how long.
#[track_caller]
pub(crate) fn play_all<T: Debug + Sync, R: Send>(what: &str, cases: &[T], play: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (begun, next) = (Instant::now(), AtomicUsize::new(0));
    let (results, failures) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            match catch_unwind(AssertUnwindSafe(|| play(case))) {
                Ok(result) => results.lock().unwrap().push(result),
                Err(panic) => failures.lock().unwrap().push(format!("{case:?}: {}", message(&*panic))),
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get()) * 2;
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    println!("{what}: {} lives in {:.1} s", cases.len(), begun.elapsed().as_secs_f64());
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} failed:\n{}", failures.len(), cases.len(), failures.join("\n"));
    results.into_inner().unwrap()
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic")
}
