//! Fixed rate-limit windows that follow the simulators' clock.

use jiff::{SignedDuration, Timestamp};

/// A budget of calls that starts with the first call and refills `length` later.
#[derive(Debug, Clone)]
pub struct Window {
    pub limit: u64,
    length: SignedDuration,
    left: u64,
    ends: Option<Timestamp>,
}

/// The state of a window after one call was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    pub granted: bool,
    pub limit: u64,
    pub remaining: u64,
    /// When the window refills.
    pub ends: Timestamp,
}

impl Taken {
    /// Returns the whole seconds until the refill, at least 1 so that a client never spins.
    pub fn seconds_left(&self, now: Timestamp) -> i64 {
        let left = self.ends.duration_since(now);
        (left.as_secs() + i64::from(left.subsec_nanos() > 0)).max(1)
    }
}

impl Window {
    pub fn new(limit: u64, seconds: i64) -> Self {
        Self { limit, length: SignedDuration::from_secs(seconds), left: limit, ends: None }
    }

    /// Returns the window as it is, without counting a call.
    pub fn look(&mut self, now: Timestamp) -> Taken {
        // If a test sets the clock back, the window would never end.
        let stale =
            self.ends.is_some_and(|ends| now >= ends || ends.duration_since(now) > self.length);
        if stale {
            self.ends = None;
            self.left = self.limit;
        }
        let ends = *self.ends.get_or_insert(now.checked_add(self.length).unwrap_or(Timestamp::MAX));
        Taken { granted: self.left > 0, limit: self.limit, remaining: self.left, ends }
    }

    /// Counts one call. It is granted while something is left.
    pub fn take(&mut self, now: Timestamp) -> Taken {
        let mut taken = self.look(now);
        if taken.granted {
            self.left -= 1;
            taken.remaining = self.left;
        }
        taken
    }

    /// Sets another length; a new window begins.
    pub fn last(&mut self, seconds: i64) {
        self.length = SignedDuration::from_secs(seconds);
        self.left = self.limit;
        self.ends = None;
    }

    /// Sets another limit, and what is left of it in this window (default: all of it).
    pub fn set(&mut self, limit: u64, remaining: Option<u64>) {
        self.limit = limit;
        self.left = remaining.unwrap_or(limit).min(limit);
        self.ends = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_refills_when_its_time_is_over() {
        let start: Timestamp = "2026-11-24T09:00:00Z".parse().unwrap();
        let mut window = Window::new(2, 60);
        assert_eq!(window.take(start).remaining, 1);
        assert!(window.take(start).granted);
        let over = window.take(start + SignedDuration::from_secs(59));
        assert!(!over.granted);
        assert_eq!(over.seconds_left(start + SignedDuration::from_secs(59)), 1);
        assert!(window.take(start + SignedDuration::from_secs(60)).granted);
    }

    #[test]
    fn a_clock_turned_back_does_not_lock_the_window() {
        let start: Timestamp = "2026-11-24T09:00:00Z".parse().unwrap();
        let mut window = Window::new(1, 60);
        assert!(window.take(start).granted);
        assert!(window.take(start - SignedDuration::from_hours(2)).granted);
    }

    #[test]
    fn a_shorter_window_refills_sooner() {
        let start: Timestamp = "2026-11-24T09:00:00Z".parse().unwrap();
        let mut window = Window::new(1, 3600);
        assert!(window.take(start).granted);
        window.last(60);
        assert!(
            window.take(start).granted
                && !window.take(start + SignedDuration::from_secs(59)).granted
        );
        assert!(window.take(start + SignedDuration::from_secs(60)).granted);
    }

    #[test]
    fn a_set_remainder_is_what_is_left_in_this_window() {
        let start: Timestamp = "2026-11-24T09:00:00Z".parse().unwrap();
        let mut window = Window::new(5000, 3600);
        window.set(5000, Some(1));
        assert!(window.take(start).granted);
        assert!(!window.take(start).granted);
        assert!(window.take(start + SignedDuration::from_secs(3600)).granted);
    }
}
