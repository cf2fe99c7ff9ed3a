//! The simulators' clock: wall time plus an offset that tests move.

use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};

/// Starts at wall time, or at a given instant, and runs on with wall time. Limits, token lifetimes,
/// locks and lags follow this clock.
#[derive(Debug, Default)]
pub struct Clock {
    offset: Mutex<SignedDuration>,
}

impl Clock {
    /// Returns a clock that shows `start` now; wall time when `None`.
    pub fn starting_at(start: Option<Timestamp>) -> Self {
        let clock = Self::default();
        if let Some(start) = start {
            clock.set(start);
        }
        clock
    }

    /// Returns the simulated instant.
    pub fn now(&self) -> Timestamp {
        let offset = *self.offset.lock().expect("clock lock");
        Timestamp::now().checked_add(offset).unwrap_or(Timestamp::MAX)
    }

    /// Moves the clock to `instant`, forwards or backwards.
    pub fn set(&self, instant: Timestamp) {
        *self.offset.lock().expect("clock lock") = instant.duration_since(Timestamp::now());
    }

    /// Moves the clock by `seconds`.
    pub fn advance(&self, seconds: i64) {
        let mut offset = self.offset.lock().expect("clock lock");
        *offset = offset.saturating_add(SignedDuration::from_secs(seconds));
    }
}

/// Prints an instant as `OneLogin` does: UTC with milliseconds.
pub fn millis(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
