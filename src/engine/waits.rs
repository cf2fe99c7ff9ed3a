//! Waits that a service asked for, as they are shown to people: in the conditions of the
//! integration with their end, and once in the log. A call that meets a wait notes it. The wait is
//! shown until it ends.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::Notify, time::Instant};

use super::clock::Clock;
use crate::{
    api::key::IntegrationKey,
    http::waits::{Wait, WaitReason, Waits as Met},
};

/// A shorter wait is not shown.
const TOLD: Duration = Duration::from_secs(10);
/// Ends that lie closer together than this belong to one wait, because services count in whole
/// seconds.
const SAME: Duration = Duration::from_secs(3);

/// The service that calls wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Bob, the source.
    Bob,
    /// The provider, the target.
    Provider,
}

/// A wait, in the words of a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownWait {
    /// The service that calls wait for.
    pub side: Side,
    /// The text: what calls wait for, and until when.
    pub message: String,
}

/// How many of the employees with access against evidence are named.
const NAMED: usize = 3;

/// Employees who still have access although evidence on record takes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StillOpen {
    /// How many they are.
    pub count: u32,
    /// The names of some of their EmployeeSyncs, which hold Bob's ids. Usernames may be hidden.
    pub named: Vec<String>,
}

impl StillOpen {
    /// Returns these objects, with the first ones by name.
    #[must_use]
    pub fn of(mut objects: Vec<String>) -> Self {
        let count = u32::try_from(objects.len()).unwrap_or(u32::MAX);
        objects.sort_unstable();
        objects.truncate(NAMED);
        Self { count, named: objects }
    }
}

/// The waits that calls of one integration have met.
pub struct IntegrationWaits {
    key: IntegrationKey,
    clock: Clock,
    known: Mutex<[Option<KnownWait>; 2]>,
    pub(super) news: Notify,
    /// The employees who still have access that evidence on record should have taken some time ago.
    open: Mutex<StillOpen>,
}

struct KnownWait {
    until: Instant,
    told: ShownWait,
}

impl IntegrationWaits {
    /// Returns the key of the integration.
    #[must_use]
    pub const fn key(&self) -> &IntegrationKey {
        &self.key
    }

    /// Returns an empty collection of waits.
    #[must_use]
    pub fn new(key: IntegrationKey, clock: Clock) -> Self {
        Self { key, clock, known: Mutex::default(), news: Notify::new(), open: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, [Option<KnownWait>; 2]> {
        self.known.lock()
    }

    /// Returns the time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the function that calls to this service use to report a wait.
    pub fn of(self: &Arc<Self>, side: Side, name: &'static str) -> Met {
        let waits = self.clone();
        Arc::new(move |wait| waits.meet(side, name, wait))
    }

    /// Notes a wait that a call has met.
    fn meet(&self, side: Side, name: &str, wait: Wait) {
        let left = wait.until.saturating_duration_since(Instant::now());
        if left < TOLD {
            return;
        }
        let mut known = self.known();
        let slot = &mut known[side as usize];
        if slot.as_ref().is_some_and(|known| wait.until < known.until + SAME) {
            return;
        }
        let message = sentence(name, wait.why, rounded_up(self.clock.now(), left));
        tracing::warn!(integration = %self.key, wait = message, "calls wait");
        *slot = Some(KnownWait { until: wait.until, told: ShownWait { side, message } });
        drop(known);
        self.news.notify_waiters();
    }

    /// Forgets all waits, because the integration is suspended or calls go to another tenant.
    pub fn clear(&self) {
        *self.known() = [None, None];
        self.news.notify_waiters();
    }

    /// Returns the waits to show now.
    #[must_use]
    pub fn told(&self) -> Vec<ShownWait> {
        let now = Instant::now();
        self.known()
            .iter()
            .flatten()
            .filter(|known| known.until > now)
            .map(|known| known.told.clone())
            .collect()
    }

    /// Returns the employees who still have access that evidence on record should have taken some
    /// time ago.
    #[must_use]
    pub fn open(&self) -> StillOpen {
        self.open.lock().clone()
    }

    /// Notes these employees in place of the ones that were noted before.
    pub fn note_open(&self, open: StillOpen) {
        *self.open.lock() = open;
    }

    /// Returns how long it takes until the last wait ends.
    #[must_use]
    pub fn longest(&self) -> Duration {
        let now = Instant::now();
        self.known()
            .iter()
            .flatten()
            .map(|known| known.until.saturating_duration_since(now))
            .max()
            .unwrap_or_default()
    }

    /// Returns when the next wait ends.
    pub(super) fn next_end(&self) -> Option<Instant> {
        let now = Instant::now();
        self.known().iter().flatten().map(|known| known.until).filter(|until| *until > now).min()
    }
}

fn sentence(name: &str, why: WaitReason, at: Timestamp) -> String {
    match why {
        WaitReason::Asked => {
            format!("Waiting until {at}: {name} asked for a pause, and is not called before.")
        }
        WaitReason::Trouble => {
            format!(
                "Waiting until {at}: {name} is in trouble and asked for a pause; only access that \
                 has to be taken does not wait."
            )
        }
        WaitReason::Spent => {
            format!("Waiting until {at}: the calls that {name} allows are used up.")
        }
    }
}

/// Returns the whole second in which a wait that ends in `left` is over.
fn rounded_up(now: Timestamp, left: Duration) -> Timestamp {
    let end = SignedDuration::try_from(left)
        .ok()
        .and_then(|left| now.checked_add(left).ok())
        .unwrap_or(now);
    let second = end.as_second() + i64::from(end.subsec_nanosecond() > 0);
    Timestamp::from_second(second).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits() -> Arc<IntegrationWaits> {
        let (clock, hand) = Clock::adjustable();
        hand.set("2026-11-30T08:00:00.25Z".parse().expect("a time"));
        Arc::new(IntegrationWaits::new(
            IntegrationKey { namespace: "people".into(), name: "onelogin".into() },
            clock,
        ))
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_is_told_until_its_time_has_come_and_however_often_it_is_met_in_the_same_words()
    {
        let waits = waits();
        let (bob, provider) = (waits.of(Side::Bob, "Bob"), waits.of(Side::Provider, "OneLogin"));
        let (now, hour) = (Instant::now(), Duration::from_hours(1));
        let until = |wait: Duration, why| Wait { until: now + wait, why };
        provider(until(Duration::from_secs(9), WaitReason::Asked));
        assert_eq!(waits.told(), [], "that one is over in a moment");
        provider(until(hour, WaitReason::Asked));
        let told = waits.told();
        let message = "Waiting until 2026-11-30T09:00:01Z: OneLogin asked for a pause, and is not \
            called before.";
        assert_eq!(told, [ShownWait { side: Side::Provider, message: message.to_owned() }]);
        tokio::time::advance(hour / 2).await;
        provider(until(hour + Duration::from_secs(1), WaitReason::Asked));
        provider(until(hour / 2 + Duration::from_secs(20), WaitReason::Trouble));
        assert_eq!(waits.told(), told);
        bob(until(hour / 2 + Duration::from_secs(40), WaitReason::Asked));
        assert_eq!(waits.told().len(), 2);
        tokio::time::advance(Duration::from_secs(40)).await;
        assert_eq!(waits.told(), told, "what Bob asked for is over");
        tokio::time::advance(hour / 2).await;
        assert_eq!(waits.told(), []);
        provider(until(2 * hour, WaitReason::Spent));
        assert!(
            waits.told()[0]
                .message
                .starts_with("Waiting until 2026-11-30T10:00:01Z: the calls that OneLogin"),
            "{:?}",
            waits.told()
        );
        waits.clear();
        assert_eq!(waits.told(), []);
    }
}
