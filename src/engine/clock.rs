//! Time, which stories can move. Production reads the system's clock. A story holds the hand of an
//! adjustable clock.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::{sync::watch, time::Instant};

/// The longest sleep between two looks at the system's clock. Within this time the process notices
/// that a laptop was suspended, or that the wall clock was set. The sleep itself follows a clock
/// that shows neither.
const LOOK: Duration = Duration::from_secs(30);

/// Tells the time. All clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock(TimeSource);

#[derive(Clone, Debug)]
enum TimeSource {
    System,
    Adjustable(watch::Receiver<Anchor>),
}

/// The point from which an adjustable clock runs on.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    shown: Timestamp,
    at: Instant,
}

impl Anchor {
    fn now(self) -> Timestamp {
        let passed = SignedDuration::try_from(self.at.elapsed()).unwrap_or(SignedDuration::MAX);
        self.shown.checked_add(passed).unwrap_or(Timestamp::MAX)
    }
}

/// Moves an adjustable clock. Dropping it leaves the clock running.
#[derive(Debug)]
pub struct ClockHand(watch::Sender<Anchor>);

impl Clock {
    /// Returns the system's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(TimeSource::System)
    }

    /// Returns a clock for tests: it starts at the system's time, runs on by itself, and can be
    /// moved.
    #[must_use]
    pub fn adjustable() -> (Self, ClockHand) {
        let (hand, clock) = watch::channel(Anchor { shown: Timestamp::now(), at: Instant::now() });
        (Self(TimeSource::Adjustable(clock)), ClockHand(hand))
    }

    /// Returns the time that the clock shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            TimeSource::System => Timestamp::now(),
            TimeSource::Adjustable(anchor) => anchor.borrow().now(),
        }
    }

    /// Completes when the hand moves after this call. The time of the call counts, and not the time
    /// of the first poll, so that no move between reading the time and waiting is missed. Never
    /// completes for the system's clock.
    pub fn changed(&self) -> impl Future<Output = ()> + Send + use<> {
        let anchor = match &self.0 {
            TimeSource::System => None,
            TimeSource::Adjustable(anchor) => {
                let mut anchor = anchor.clone();
                anchor.mark_unchanged();
                Some(anchor)
            }
        };
        async move {
            if let Some(mut anchor) = anchor
                && anchor.changed().await.is_ok()
            {
                return;
            }
            std::future::pending().await
        }
    }

    /// Completes once the clock shows `at` or later, whether time passed or the clock was moved.
    /// Cancel safe.
    pub async fn sleep_until(&self, at: Timestamp) {
        loop {
            let changed = self.changed();
            let Ok(left) = Duration::try_from(at.duration_since(self.now())) else { return };
            if left.is_zero() {
                return;
            }
            let slice = match self.0 {
                TimeSource::System => left.min(LOOK),
                TimeSource::Adjustable(_) => left,
            };
            tokio::select! {
                () = tokio::time::sleep(slice) => {}
                () = changed => {}
            }
        }
    }
}

impl ClockHand {
    /// Makes the clock show `now`, forwards or backwards.
    pub fn set(&self, now: Timestamp) {
        self.0.send_replace(Anchor { shown: now, at: Instant::now() });
    }

    /// Moves the clock by `by`, forwards or backwards, for tests.
    pub fn advance(&self, by: SignedDuration) {
        self.0.send_modify(|anchor| {
            let shown = anchor.now().saturating_add(by).unwrap_or(anchor.shown);
            *anchor = Anchor { shown, at: Instant::now() };
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    #[tokio::test(start_paused = true)]
    async fn a_sleeper_wakes_when_the_hand_passes_its_instant() {
        let (clock, hand) = Clock::adjustable();
        hand.set(at("2026-03-01T00:00:00Z"));
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move {
                clock.sleep_until(at("2026-04-01T00:00:00Z")).await;
                clock.now()
            }
        });
        tokio::task::yield_now().await;
        hand.advance(SignedDuration::from_hours(24 * 30));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished(), "the hand is at 31 March");
        let began = Instant::now();
        hand.advance(SignedDuration::from_hours(24));
        assert!(sleeper.await.expect("no panic") >= at("2026-04-01T00:00:00Z"));
        assert!(began.elapsed() < Duration::from_secs(1), "woken by the hand, not by waiting");
    }

    #[tokio::test(start_paused = true)]
    async fn an_adjustable_clock_runs_on_by_itself() {
        let (clock, hand) = Clock::adjustable();
        hand.set(at("2026-03-01T00:00:00Z"));
        clock.sleep_until(at("2026-03-01T00:10:00Z")).await;
        assert_eq!(clock.now().as_second(), at("2026-03-01T00:10:00Z").as_second());
        drop(hand);
        clock.sleep_until(at("2026-03-01T00:20:00Z")).await;
        assert_eq!(clock.now().as_second(), at("2026-03-01T00:20:00Z").as_second());
    }

    #[tokio::test(start_paused = true)]
    async fn a_move_between_reading_and_waiting_is_not_missed() {
        let (clock, hand) = Clock::adjustable();
        let changed = clock.changed();
        hand.advance(SignedDuration::from_secs(1));
        tokio::time::timeout(Duration::from_secs(1), changed).await.expect("seen");
        let unmoved = clock.changed();
        tokio::time::timeout(Duration::from_secs(1), unmoved).await.expect_err("the hand rests");
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_set_back_makes_the_sleeper_wait_longer() {
        let (clock, hand) = Clock::adjustable();
        hand.set(at("2026-03-01T00:00:00Z"));
        let began = Instant::now();
        let mut sleep = std::pin::pin!(clock.sleep_until(at("2026-03-01T00:00:10Z")));
        tokio::time::timeout(Duration::from_secs(5), &mut sleep).await.expect_err("not yet");
        hand.set(at("2026-03-01T00:00:00Z"));
        sleep.await;
        assert_eq!(began.elapsed().as_secs(), 15);
    }

    // Only the virtual clock of the runtime moves here, just as only the wall clock moves on a
    // machine that was suspended. The sleeper has to look at the wall clock again and again, and
    // must not believe its own sleep.
    #[tokio::test(start_paused = true)]
    async fn the_system_clock_is_looked_at_again_and_again() {
        let clock = Clock::system();
        let soon = clock.now() + SignedDuration::from_hours(1);
        let slept = tokio::time::timeout(Duration::from_hours(3), clock.sleep_until(soon)).await;
        assert!(slept.is_err(), "three hours of sleep are no proof that the wall clock moved");
        tokio::time::timeout(Duration::from_secs(1), clock.sleep_until(clock.now()))
            .await
            .expect("already there");
    }
}
