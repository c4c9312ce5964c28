// SPDX-License-Identifier: MPL-2.0
//! A long time of accidents: agents and proxies are killed at random instants, and the configuration changes at random.
//!
//! `PROXYPROCESS_CAMPAIGN_ROUNDS` and `PROXYPROCESS_CAMPAIGN_SEED` say how long, and which accidents;
//! `PROXYPROCESS_AGENT` which agent. The agent ends once a round, in some way, and the next one comes.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::crashes::cases;
use crate::crashes::chance::{Chance, number};
use crate::crashes::player::{Player, Sums};
use crate::crashes::wanted::{Kind, Wanted};
use crate::support::agent_under_test;

/// Rounds of one scene; then nothing may be left, and another one begins.
const ROUNDS_OF_SCENE: u64 = 50;

const IDS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// One scene of a campaign.
#[derive(Debug)]
struct Part {
    seed: u64,
    rounds: u64,
}

/// What has happened.
#[derive(Debug, Default)]
struct Count {
    rounds: u64,
    agents_killed: usize,
    agents_left: usize,
    agents_quit: usize,
    proxies_killed: usize,
    changes: usize,
    checks: usize,
    adoptions: usize,
}

/// The accidents of one scene.
struct Accidents {
    chance: Chance,
    it: Player,
    /// Of the last declaration; none is ever declared again.
    version: u32,
    count: Count,
}

impl Accidents {
    fn once_in(&mut self, times: usize) -> bool {
        self.chance.below(times) == 0
    }

    /// Lets a moment pass, to act at ever other moments of what goes on elsewhere; never to wait for it.
    fn moment(&mut self) {
        let longest = [1, 1_000, 5_000, 20_000][self.chance.below(4)];
        let microseconds = self.chance.below(longest);
        std::thread::sleep(Duration::from_micros(microseconds as u64));
    }

    /// Something else is wanted than before.
    fn change(&mut self) -> Wanted {
        let mut wanted = self.it.wanted.clone();
        for _ in 0..=self.chance.below(4) {
            let id = IDS[self.chance.below(IDS.len())];
            let known = wanted.0.contains_key(id);
            wanted = match self.chance.below(4) {
                0 if known => wanted.without(id),
                1 if known => wanted.grace(id, 20 + self.chance.below(60) as u64),
                _ => {
                    self.version += 1;
                    let kinds = [
                        Kind::Runs,
                        Kind::Overlaps,
                        Kind::Polite,
                        Kind::Detached,
                        Kind::Stubborn,
                        Kind::Leads,
                        Kind::Ends,
                        Kind::Once,
                        Kind::Paused,
                        Kind::Missing,
                    ];
                    wanted.with(id, kinds[self.chance.below(kinds.len())], self.version)
                }
            };
        }
        self.count.changes += 1;
        wanted
    }

    /// Some of the proxies are killed, whether anybody looks after them or not.
    fn kill_proxies(&mut self) {
        let mut leaders = self.it.leaders();
        for _ in 0..self.chance.below(3).min(leaders.len()) {
            let leader = leaders.swap_remove(self.chance.below(leaders.len()));
            self.it.kill(&leader);
            self.count.proxies_killed += 1;
        }
    }

    /// While an agent runs.
    fn disturb(&mut self) {
        self.moment();
        if self.once_in(2) {
            let wanted = self.change();
            self.it.reload(wanted);
            self.moment();
        }
        if self.once_in(3) {
            self.kill_proxies();
            self.moment();
        }
    }

    /// The agent ends, in one way or another.
    fn end(&mut self) {
        let signal = match self.chance.below(10) {
            0..6 => return self.kill_agent(),
            6..9 => Signal::TERM,
            _ => Signal::QUIT,
        };
        if self.once_in(3) {
            self.it.ask_to_end(signal);
            self.moment();
            return self.kill_agent();
        }
        match signal {
            Signal::QUIT => self.count.agents_quit += 1,
            _ => self.count.agents_left += 1,
        }
        self.it.end(signal).expect("an agent that is not killed");
    }

    fn kill_agent(&mut self) {
        self.it.kill_agent();
        self.count.agents_killed += 1;
    }

    /// The next agent comes, perhaps after some that do not come far.
    fn begin(&mut self) {
        if self.once_in(4) {
            self.kill_proxies();
        }
        if self.once_in(4) {
            self.it.wanted = self.change();
        }
        while self.once_in(4) {
            self.it.begin();
            self.moment();
            self.kill_agent();
        }
        self.it.launch().expect("an agent that is not killed");
    }

    fn check(&mut self) {
        self.it.settle().expect("an agent that is not killed");
        self.count.checks += 1;
    }
}

fn play(part: &Part) -> Count {
    let wanted = Wanted::default().with("a", Kind::Runs, 1).with("b", Kind::Polite, 1).with("c", Kind::Leads, 1);
    let it = Player::of(agent_under_test().to_owned(), wanted, []);
    let mut accidents = Accidents { chance: Chance::new(part.seed), it, version: 1, count: Count::default() };
    accidents.begin();
    for _ in 0..part.rounds {
        if accidents.once_in(2) {
            accidents.check();
        }
        accidents.disturb();
        accidents.end();
        accidents.begin();
        accidents.count.rounds += 1;
    }
    accidents.check();
    let Accidents { it, count, .. } = accidents;
    let Sums { adoptions, .. } = it.finish();
    Count { adoptions, ..count }
}

#[test]
fn nothing_is_lost_or_doubled_however_often_agents_and_proxies_are_killed() {
    let rounds = number("PROXYPROCESS_CAMPAIGN_ROUNDS").unwrap_or(200);
    let seed = number("PROXYPROCESS_CAMPAIGN_SEED").unwrap_or(1);
    let begun = Instant::now();
    let mut seeds = Chance::new(seed);
    let starts = (0..rounds).step_by(ROUNDS_OF_SCENE as usize);
    let parts: Vec<Part> =
        starts.map(|start| Part { seed: seeds.next(), rounds: ROUNDS_OF_SCENE.min(rounds - start) }).collect();
    let counts = cases::play_all("campaign", &parts, play);
    let sum = |of: fn(&Count) -> usize| counts.iter().map(of).sum::<usize>();
    println!(
        "campaign: seed {seed}, {} rounds in {:.0} s; agents: {} killed, {} left their proxies, {} stopped them; \
         proxies killed: {}, changes: {}, checks: {}, adoptions: {}, duplicates: 0, orphans: 0",
        counts.iter().map(|count| count.rounds).sum::<u64>(),
        begun.elapsed().as_secs_f64(),
        sum(|count| count.agents_killed),
        sum(|count| count.agents_left),
        sum(|count| count.agents_quit),
        sum(|count| count.proxies_killed),
        sum(|count| count.changes),
        sum(|count| count.checks),
        sum(|count| count.adoptions),
    );
}
