//! The pace of calls to a service that publishes no limit: none, until it refuses calls for their
//! number and names no time. Each further refusal halves the pace, and time without one raises it.

use std::time::Duration;

use tokio::time::Instant;

/// The slowest pace. A caller in line does not wait for longer than this.
const SLOWEST: Duration = Duration::from_secs(4);

/// How long the service has to grant calls before the pace rises.
const CALM: Duration = Duration::from_secs(10);

/// A pace that is this often the first one is no pace any more.
const FREE: u32 = 10;

/// The time between two calls, if the service has refused some.
#[derive(Debug)]
pub(super) struct Slowdown {
    /// The time between two calls after the first refusal.
    first: Duration,
    pace: Option<SlowPace>,
}

#[derive(Clone, Copy, Debug)]
struct SlowPace {
    apart: Duration,
    /// When the pace changed last.
    since: Instant,
    /// When the next call may go.
    next: Instant,
}

impl Slowdown {
    /// Returns no pace yet. The first refusal makes it so many calls a second.
    pub(super) const fn to(calls: u32) -> Self {
        Self { first: Duration::from_millis(1000 / calls as u64), pace: None }
    }

    /// Takes in a refusal of a call that was admitted at `sent`. Calls that were under way together
    /// are refused together, and count once.
    pub(super) fn refused(&mut self, sent: Instant, now: Instant) {
        let apart = match self.pace {
            Some(pace) if sent < pace.since => return,
            Some(pace) => (pace.apart * 2).min(SLOWEST),
            None => self.first,
        };
        self.pace = Some(SlowPace { apart, since: now, next: now + apart });
    }

    /// Takes in a call that was granted.
    pub(super) fn granted(&mut self, now: Instant) {
        let Some(pace) = &mut self.pace else { return };
        if now.saturating_duration_since(pace.since) < CALM {
            return;
        }
        (pace.apart, pace.since) = (pace.apart * 4 / 5, now);
        if pace.apart * FREE < self.first {
            self.pace = None;
        }
    }

    /// Returns when the next call may go, if that is not now.
    pub(super) fn ahead(&self, now: Instant) -> Option<Instant> {
        self.pace.map(|pace| pace.next).filter(|next| *next > now)
    }

    /// Takes in a call that goes.
    pub(super) fn goes(&mut self, now: Instant) {
        if let Some(pace) = &mut self.pace {
            pace.next = now + pace.apart;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many calls go within a minute.
    fn in_a_minute(slowdown: &mut Slowdown, begin: Instant) -> usize {
        (0..60_000).fold(0, |calls, after| {
            let now = begin + Duration::from_millis(after);
            if slowdown.ahead(now).is_some() {
                return calls;
            }
            slowdown.goes(now);
            calls + 1
        })
    }

    #[test]
    fn every_refusal_halves_the_pace_and_calm_raises_it() {
        let (mut slowdown, begin) = (Slowdown::to(5), Instant::now());
        assert_eq!(slowdown.ahead(begin), None, "there is no pace before a refusal");
        let mut now = begin;
        for expected in [300, 150, 75, 38, 19, 15, 15] {
            slowdown.refused(now, now);
            // It was sent together with the one that counted.
            slowdown.refused(now - Duration::from_millis(1), now);
            let calls = in_a_minute(&mut slowdown, now);
            assert!(calls.abs_diff(expected) <= 1, "{calls} calls and not {expected}");
            now += Duration::from_mins(1);
        }
        let calm = now;
        while slowdown.pace.is_some() {
            slowdown.granted(now);
            now += Duration::from_secs(1);
        }
        let took = (now - calm).as_secs();
        assert!((60..600).contains(&took), "{took} s until there is no pace any more");
    }
}
