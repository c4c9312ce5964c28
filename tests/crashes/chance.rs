// SPDX-License-Identifier: MPL-2.0
//! Chance that comes back with its seed.

/// SplitMix64: numbers that look random, and are the same for the same seed.
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// Of one test: the seed is that of the environment, for another choice each time, or else 1.
    pub(crate) fn of_test(name: &str) -> Chance {
        let seed: u64 = number("PROXYPROCESS_SWEEP_SEED").unwrap_or(1);
        println!("{name}: PROXYPROCESS_SWEEP_SEED={seed}");
        Chance(name.bytes().fold(seed, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into())))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below another one, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Some of all, if not everything is wanted: as many as fit into a minute, or with PROXYPROCESS_SWEEP_PART=n into the n-th
/// part of one.
pub(crate) fn some<T>(mut all: Vec<T>, most: usize, chance: &mut Chance) -> Vec<T> {
    let part = number("PROXYPROCESS_SWEEP_PART").unwrap_or(1) as usize;
    (0..all.len().min(most / part)).map(|_| all.swap_remove(chance.below(all.len()))).collect()
}

/// A number from the environment.
pub(crate) fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{variable}={text}: {error}")))
}
