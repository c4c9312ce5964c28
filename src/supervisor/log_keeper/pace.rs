// SPDX-License-Identifier: MPL-2.0
//! How soon the size of a log that is being written to is checked again.

use std::time::Duration;

/// The least and the longest time in between.
const LEAST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

/// What a log may grow by in a second at any time, in bytes.
const FAST: u64 = 16 << 20;

/// After what time a log may have grown by `room`, if it is written to twice as fast as in the time before, `grown` in
/// `time`, and fast at least.
pub(super) fn next_look(room: u64, grown: u64, time: Duration) -> Duration {
    let milliseconds = u64::try_from(time.max(LEAST).as_millis()).unwrap_or(u64::MAX);
    let a_second = grown.saturating_mul(1000) / milliseconds;
    let fill = room.saturating_mul(1000) / a_second.saturating_mul(2).max(FAST);
    Duration::from_millis(fill).clamp(LEAST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_faster_a_log_grows_and_the_less_room_it_has_the_sooner_it_is_looked_at() {
        let second = Duration::from_secs(1);
        assert_eq!(next_look(1 << 30, 100, second), LONGEST);
        assert_eq!(next_look(16 << 20, 100, second), second);
        assert_eq!(next_look(80 << 20, 40 << 20, second), second);
        assert_eq!(next_look(80 << 20, 40 << 20, second / 2), second / 2);
        assert_eq!(next_look(0, 100, second), LEAST);
        assert_eq!(next_look(u64::MAX, 0, Duration::MAX), LONGEST);
    }
}
