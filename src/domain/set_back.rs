//! Values that something else at the provider sets back: another tool, another cluster, a person
//! who does not know of bobsync. Each write of one value is remembered with its time, so that such
//! a fight ends after a few writes and is told.

use std::time::Duration;

use jiff::Timestamp;

use super::budget::Budgets;

/// After so many writes of one value within the window, it is written no more while it is set back
/// again.
pub const WRITES: usize = 6;

/// The window of `safety.updates`, and the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    now: u32,
    per: u32,
}

impl Window {
    /// Returns the window that ends now.
    #[must_use]
    pub fn of(budgets: &Budgets, now: Timestamp) -> Self {
        let per = budgets
            .updates
            .or(Budgets::default().updates)
            .map_or(Duration::ZERO, |budget| budget.per);
        Self {
            now: u32::try_from(now.as_second()).unwrap_or(0),
            per: u32::try_from(per.as_secs()).unwrap_or(u32::MAX),
        }
    }

    /// Returns when what happened at this second of the epoch leaves the window.
    const fn end(self, at: u32) -> u32 {
        at.saturating_add(self.per)
    }
}

/// The writes of one value of one attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetBack {
    /// The provider's name of the attribute.
    pub target: Box<str>,
    /// A digest of the value.
    pub sent: u32,
    /// When it was written, in seconds of the epoch, the last time last.
    pub at: Vec<u32>,
    /// Whether it was set back after so many writes within the window, and is not known to be in
    /// place again.
    pub contested: bool,
    /// When the last write leaves the window.
    pub until: u32,
    /// Whether no write goes out now.
    paused: bool,
}

impl SetBack {
    /// Returns what is known of a value after its first write.
    #[must_use]
    pub fn first(target: Box<str>, sent: u32, window: Window) -> Self {
        let mut new =
            Self { target, sent, at: vec![window.now], contested: false, until: 0, paused: false };
        new.look(window);
        new
    }

    /// Returns what a status says: its times, in any order. Nothing is known of the window yet.
    #[must_use]
    pub fn read(target: Box<str>, sent: u32, mut at: Vec<u32>, contested: bool) -> Self {
        at.sort_unstable();
        at.drain(..at.len().saturating_sub(WRITES));
        Self { target, sent, at, contested, until: 0, paused: false }
    }

    /// Finds out when the last write leaves the window, and whether a write may go out now.
    pub fn look(&mut self, window: Window) {
        self.until = self.at.last().map_or(0, |last| window.end(*last));
        self.paused = self.at.len() >= WRITES && self.until > window.now;
    }

    /// Takes down another write of the same value. What was contested stays so: only a later look
    /// shows whether it is in place.
    pub fn written(&mut self, window: Window) {
        if self.at.len() >= WRITES {
            self.at.remove(0);
        } else {
            self.at.retain(|at| window.end(*at) > window.now);
        }
        self.at.push(window.now);
        self.look(window);
    }

    /// Returns whether it was set back at all: only this is worth a line in a status.
    #[must_use]
    pub const fn is_told(&self) -> bool {
        self.at.len() > 1
    }

    /// Returns whether no write goes out now: it was written too often within the window.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.paused
    }

    /// Returns whether the last write has left the window: a value that is in place then has stayed
    /// so.
    #[must_use]
    pub const fn is_over(&self, window: Window) -> bool {
        self.until <= window.now
    }

    /// Returns the same without what the time alone changes.
    #[must_use]
    pub fn lasting(&self) -> Self {
        Self { paused: false, ..self.clone() }
    }
}
