//! Changes that failed before, and when they are tried again.

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::outcome::Failure;

/// The wait after the first refusal of a write.
const REFUSED: Duration = Duration::from_secs(5);
/// The shortest average time between tries of refused writes.
const REFUSED_APART: Duration = Duration::from_millis(200);

/// The changes that the provider refused. Each is tried again after growing waits.
#[derive(Default)]
pub struct Refusals {
    refused: Mutex<HashMap<Box<str>, RefusedChange>>,
    /// How often in a row an employee's change failed for now.
    failed: Mutex<HashMap<Box<str>, u32>>,
}

/// A change that the provider refused.
struct RefusedChange {
    fingerprint: u64,
    failure: Failure,
    times: u32,
    again: Instant,
}

impl Refusals {
    /// Forgets all refusals, because something that they depend on has changed.
    pub fn clear(&self) {
        self.refused.lock().clear();
    }

    /// Returns why this change is not tried now, if it is not.
    #[must_use]
    pub fn of(&self, employee: &str, fingerprint: u64) -> Option<Failure> {
        let refused = self.refused.lock();
        let refusal = refused.get(employee).filter(|refusal| refusal.fingerprint == fingerprint)?;
        (Instant::now() < refusal.again).then(|| refusal.failure.clone())
    }

    /// Returns whether the last try of this employee's change failed, for whatever reason.
    #[must_use]
    pub fn failed(&self, employee: &str) -> bool {
        let refused = self.refused.lock().contains_key(employee);
        refused || self.failed.lock().contains_key(employee)
    }

    /// Remembers a refused write and returns how long from now until it is tried again; `None` if
    /// nothing is to be tried again for it. The write is tried at once when something changed, and
    /// otherwise after growing waits: after 5 s, 10 s, and so on, at most `longest`. If many writes
    /// are refused, the tries are further apart, so that they take no turns from others.
    pub fn remember(
        &self,
        employee: &str,
        fingerprint: u64,
        failure: Option<&Failure>,
        longest: Duration,
    ) -> Option<Duration> {
        let mut refused = self.refused.lock();
        match failure {
            None => {
                refused.remove(employee);
                self.settled(employee);
                None
            }
            Some(Failure::Retrying(_)) => None,
            Some(failure) => {
                let (same, now) = (
                    refused.get(employee).filter(|known| known.fingerprint == fingerprint),
                    Instant::now(),
                );
                if let Some(known) = same.filter(|known| now < known.again) {
                    return Some(known.again - now);
                }
                let times = same.map_or(0, |known| known.times) + 1;
                let many =
                    REFUSED_APART.saturating_mul(u32::try_from(refused.len()).unwrap_or(u32::MAX));
                let wait = REFUSED.saturating_mul(1 << (times - 1).min(16)).max(many).min(longest);
                refused.insert(
                    employee.into(),
                    RefusedChange {
                        fingerprint,
                        failure: failure.clone(),
                        times,
                        again: now + wait,
                    },
                );
                Some(wait)
            }
        }
    }

    /// Forgets the refusals of all employees that `holds` does not accept.
    pub fn keep(&self, holds: impl Fn(&str) -> bool) {
        self.refused.lock().retain(|employee, _| holds(employee));
        self.failed.lock().retain(|employee, _| holds(employee));
    }

    /// Notes that an employee's change is finished.
    pub fn settled(&self, employee: &str) {
        self.failed.lock().remove(employee);
    }

    /// Returns how long an employee waits whose change failed for now: `first`, doubled each time,
    /// up to `most`.
    pub fn back_off(&self, employee: &str, first: Duration, most: Duration) -> Duration {
        let mut failed = self.failed.lock();
        let times = failed.entry(employee.into()).or_default();
        let wait = first.saturating_mul(1 << (*times).min(16)).min(most);
        *times += 1;
        wait
    }
}
