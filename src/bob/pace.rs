//! Keeps this client below Bob's limits, and makes no calls while Bob asks for silence.

use std::{collections::VecDeque, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

use super::error::Error;
use crate::domain::priority::Urgency;

/// 50 searches in a minute (apidocs.hibob.com, "Rate limiting"). The limit of the single read is
/// not published, so the same limit is assumed.
const CALLS: usize = 50;
/// How many of these calls are reserved for urgent ones, such as reads of employees who may lose
/// access.
const RESERVE: usize = 10;

/// A minute and a second, because calls are counted where they arrive, and not where they start.
const WINDOW: Duration = Duration::from_secs(61);

/// Two ends of Bob's minute that are closer together than this belong to the same minute, because
/// Bob gives whole seconds.
const SAME: Duration = Duration::from_secs(3);

/// How long to be silent if a 429 does not say, and the longest silence that counts.
const UNKNOWN: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(3600);

/// The routes. Each has a limit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BobRoute {
    Search,
    Read,
    Metadata,
}

impl BobRoute {
    /// Returns the word for metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Read => "read",
            Self::Metadata => "metadata",
        }
    }
}

/// The starts of recent calls of each route, and the time until which no call is made. Bob counts
/// calls for each service user, so all callers with one service user share one of these.
#[derive(Debug, Default)]
pub struct BobPace {
    searches: RouteLane,
    reads: RouteLane,
    metadata: RouteLane,
    silent_until: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct RouteLane {
    counted: Mutex<CountedCalls>,
    // Each lock is held while waiting, so that callers of one urgency are served in the order in
    // which they came.
    urgent: tokio::sync::Mutex<()>,
    normal: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct CountedCalls {
    /// The starts of calls within the last minute.
    starts: VecDeque<Instant>,
    /// What Bob last said is left of its own minute, without the calls that began since then.
    told: Option<Allowance>,
}

/// What Bob says about a minute. Other programs may call with the same service user.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    left: usize,
    reserve: usize,
    ends: Instant,
}

impl CountedCalls {
    fn tidy(&mut self, now: Instant) {
        while self.starts.front().is_some_and(|start| now.duration_since(*start) >= WINDOW) {
            self.starts.pop_front();
        }
        self.told = self.told.filter(|told| now < told.ends);
    }

    /// Returns how many calls of this urgency may start now.
    fn free(&self, urgency: Urgency) -> usize {
        let own = limit(urgency).saturating_sub(self.starts.len());
        own.min(self.told.map_or(usize::MAX, |told| told.free(urgency)))
    }
}

impl Allowance {
    const fn free(self, urgency: Urgency) -> usize {
        match urgency {
            Urgency::Urgent => self.left,
            Urgency::Normal => self.left.saturating_sub(self.reserve),
        }
    }
}

const fn limit(urgency: Urgency) -> usize {
    match urgency {
        Urgency::Urgent => CALLS,
        Urgency::Normal => CALLS - RESERVE,
    }
}

impl RouteLane {
    /// Returns when the next call of this urgency may start. `None` means now, and counts the call.
    fn turn(&self, urgency: Urgency, now: Instant) -> Option<Instant> {
        let mut counted = self.counted.lock();
        counted.tidy(now);
        if counted.free(urgency) == 0 {
            let starts = &counted.starts;
            let own = starts
                .len()
                .checked_sub(limit(urgency))
                .and_then(|over| starts.get(over))
                .map(|start| *start + WINDOW);
            let theirs = counted.told.filter(|told| told.free(urgency) == 0).map(|told| told.ends);
            return own.into_iter().chain(theirs).max();
        }
        counted.starts.push_back(now);
        if let Some(told) = &mut counted.told {
            told.left = told.left.saturating_sub(1);
        }
        None
    }
}

impl BobPace {
    /// Waits until a call of this route may start. The wait is at most about a minute for each
    /// forty callers ahead. A share of each minute is reserved for urgent calls, which wait for no
    /// normal call.
    ///
    /// # Errors
    /// [`Error::Throttled`] at once while the wait of a 429 lasts: an hour is too long to sleep
    /// inside a call.
    pub(super) async fn admit(&self, route: BobRoute, urgency: Urgency) -> Result<(), Error> {
        let lane = self.lane(route);
        let _first = match urgency {
            Urgency::Urgent => lane.urgent.lock().await,
            Urgency::Normal => lane.normal.lock().await,
        };
        loop {
            if let Some(wait) = self.silence() {
                return Err(Error::Throttled { wait: Some(wait) });
            }
            match lane.turn(urgency, Instant::now()) {
                Some(at) => tokio::time::sleep_until(at).await,
                None => return Ok(()),
            }
        }
    }

    /// Returns how many calls of this route and urgency may start now.
    pub(super) fn free(&self, route: BobRoute, urgency: Urgency) -> usize {
        if self.silence().is_some() {
            return 0;
        }
        let mut counted = self.lane(route).counted.lock();
        counted.tidy(Instant::now());
        counted.free(urgency)
    }

    /// Takes in how many calls an answer says are left of this route's minute. `ends` is the time
    /// until the minute ends.
    pub(super) fn told(&self, route: BobRoute, left: usize, limit: Option<usize>, ends: Duration) {
        let (now, reserve) =
            (Instant::now(), limit.map_or(RESERVE, |limit| RESERVE.min(limit / 5)));
        let mut counted = self.lane(route).counted.lock();
        counted.tidy(now);
        let ends = now + ends;
        // Answers overtake each other. Of the answers of one minute, the one with the lowest number
        // is the latest.
        counted.told = Some(match counted.told {
            Some(known) if ends.saturating_duration_since(known.ends) < SAME => {
                Allowance { left: known.left.min(left), reserve, ends: known.ends.max(ends) }
            }
            _ => Allowance { left, reserve, ends },
        });
    }

    const fn lane(&self, route: BobRoute) -> &RouteLane {
        match route {
            BobRoute::Search => &self.searches,
            BobRoute::Read => &self.reads,
            BobRoute::Metadata => &self.metadata,
        }
    }

    /// Makes no calls of any route for this long, because it is not published whether Bob counts
    /// routes separately. A longer silence that already holds stays.
    pub(super) fn be_silent(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut silent = self.silent_until.lock();
        *silent = Some(silent.map_or(until, |earlier| earlier.max(until)));
    }

    fn silence(&self) -> Option<Duration> {
        let until = (*self.silent_until.lock())?;
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }
}

/// Returns what an answer's headers say about the minute: calls left, calls in total, and the time
/// until it ends.
pub(super) fn left_of(
    headers: &HeaderMap,
    now: Timestamp,
) -> Option<(usize, Option<usize>, Duration)> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse().ok();
    let left = number("x-ratelimit-remaining")?;
    let ends = until_reset(headers, now).unwrap_or(UNKNOWN).clamp(Duration::from_secs(1), WINDOW);
    Some((left, number("x-ratelimit-limit"), ends))
}

/// Returns the time until `X-RateLimit-Reset`, counted from the answer's own `Date`, or from `now`.
fn until_reset(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |value: Option<&reqwest::header::HeaderValue>| {
        Some(value?.to_str().ok()?.trim().to_owned())
    };
    let reset: i64 = text(headers.get("x-ratelimit-reset"))?.parse().ok()?;
    let date = text(headers.get(DATE)).and_then(|date| jiff::fmt::rfc2822::parse(&date).ok());
    let now = date.map_or(now, |date| date.timestamp()).as_second();
    Some(Duration::from_secs(u64::try_from(reset.saturating_sub(now)).unwrap_or(0)))
}

/// Returns how long a 429 asks to wait. That is `Retry-After` in seconds, else the time until
/// `X-RateLimit-Reset` in seconds of the epoch, counted from the answer's own `Date` or from `now`,
/// else a minute. It is at least a second and at most an hour.
pub(super) fn wait_of(headers: &HeaderMap, now: Timestamp) -> Duration {
    let after =
        headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
    let wait = after.map(Duration::from_secs).or_else(|| until_reset(headers, now));
    wait.unwrap_or(UNKNOWN).clamp(Duration::from_secs(1), LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn no_minute_sees_more_than_fifty_calls_of_a_route() {
        let pace = BobPace::default();
        let mut starts = Vec::new();
        for call in 0..170 {
            if call == 30 {
                tokio::time::advance(Duration::from_secs(40)).await;
            }
            pace.admit(BobRoute::Search, Urgency::Urgent).await.unwrap();
            starts.push(Instant::now());
        }
        for window in starts.windows(51) {
            assert!(window[50] - window[0] > Duration::from_secs(60));
        }
        assert!(
            starts[169] - starts[0] < Duration::from_secs(185),
            "no slower than the limit asks for"
        );
        let before = Instant::now();
        pace.admit(BobRoute::Read, Urgency::Urgent).await.unwrap();
        assert_eq!(Instant::now(), before, "the other route has a limit of its own");
    }

    #[tokio::test(start_paused = true)]
    async fn who_cannot_wait_has_a_share_of_each_minute() {
        let pace = BobPace::default();
        for _ in 0..CALLS - RESERVE {
            pace.admit(BobRoute::Search, Urgency::Normal).await.unwrap();
        }
        let began = Instant::now();
        let mut normal = std::pin::pin!(pace.admit(BobRoute::Search, Urgency::Normal));
        tokio::time::timeout(Duration::from_secs(30), &mut normal)
            .await
            .expect_err("the share of normal calls is used up");
        for _ in 0..RESERVE {
            pace.admit(BobRoute::Search, Urgency::Urgent).await.unwrap();
        }
        assert_eq!(began.elapsed(), Duration::from_secs(30), "no urgent call waited");
        normal.await.unwrap();
        assert!(began.elapsed() <= WINDOW, "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn silence_stops_every_route_and_ends() {
        let pace = BobPace::default();
        pace.be_silent(Duration::from_secs(90));
        pace.be_silent(Duration::from_secs(5));
        tokio::time::advance(Duration::from_secs(30)).await;
        for route in [BobRoute::Search, BobRoute::Read] {
            let refused = pace.admit(route, Urgency::Urgent).await.unwrap_err();
            assert_eq!(refused, Error::Throttled { wait: Some(Duration::from_secs(60)) });
        }
        tokio::time::advance(Duration::from_secs(60)).await;
        pace.admit(BobRoute::Search, Urgency::Urgent).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_silence_that_falls_while_callers_wait_stops_them_too() {
        let pace = BobPace::default();
        for _ in 0..CALLS {
            pace.admit(BobRoute::Search, Urgency::Urgent).await.unwrap();
        }
        let (waited, ()) = tokio::join!(pace.admit(BobRoute::Search, Urgency::Urgent), async {
            pace.be_silent(Duration::from_secs(300))
        });
        assert!(matches!(waited, Err(Error::Throttled { wait: Some(_) })), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_bob_says_is_left_is_believed_until_its_minute_ends() {
        let pace = BobPace::default();
        pace.admit(BobRoute::Search, Urgency::Normal).await.unwrap();
        // Other programs call with the same service user.
        pace.told(BobRoute::Search, 12, Some(50), Duration::from_secs(40));
        assert_eq!(
            (
                pace.free(BobRoute::Search, Urgency::Normal),
                pace.free(BobRoute::Read, Urgency::Normal)
            ),
            (2, CALLS - RESERVE)
        );
        let began = Instant::now();
        for _ in 0..2 {
            pace.admit(BobRoute::Search, Urgency::Normal).await.unwrap();
        }
        // An answer that was overtaken says more than is left.
        pace.told(BobRoute::Search, 11, Some(50), Duration::from_secs(39));
        assert_eq!(pace.free(BobRoute::Search, Urgency::Normal), 0);
        pace.admit(BobRoute::Search, Urgency::Urgent).await.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO);
        pace.admit(BobRoute::Search, Urgency::Normal).await.unwrap();
        assert_eq!(began.elapsed(), Duration::from_secs(40));
        assert_eq!(pace.free(BobRoute::Search, Urgency::Normal), CALLS - RESERVE - 5);
        // No call is left, so an urgent call waits too.
        pace.told(BobRoute::Search, 0, Some(50), Duration::from_secs(30));
        pace.admit(BobRoute::Search, Urgency::Urgent).await.unwrap();
        assert_eq!(began.elapsed(), Duration::from_secs(70));
        // A smaller limit has a smaller reserve.
        pace.told(BobRoute::Read, 3, Some(5), Duration::from_secs(30));
        assert_eq!(pace.free(BobRoute::Read, Urgency::Normal), 2);
    }

    #[test]
    fn an_answer_says_what_is_left_and_until_when() {
        let now = Timestamp::from_second(1_795_510_800).unwrap();
        let date = ("date", "Tue, 24 Nov 2026 09:00:10 GMT");
        for (pairs, told) in [
            (
                &[
                    ("x-ratelimit-remaining", "7"),
                    ("x-ratelimit-limit", "50"),
                    ("x-ratelimit-reset", "1795510830"),
                    date,
                ][..],
                Some((7, Some(50), 20)),
            ),
            (&[("x-ratelimit-remaining", "7")], Some((7, None, 60))),
            // Bob's minute is a minute, even if clocks differ.
            (
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "9999999999999")],
                Some((0, None, 61)),
            ),
            (&[("x-ratelimit-remaining", "many")], None),
            (&[("x-ratelimit-reset", "1795510830")], None),
        ] {
            let told = told.map(|(left, limit, ends)| (left, limit, Duration::from_secs(ends)));
            assert_eq!(left_of(&headers(pairs), now), told, "{pairs:?}");
        }
    }

    #[test]
    fn the_wait_is_what_bob_says_within_reason() {
        let now = Timestamp::from_second(1_795_510_800).unwrap();
        for (pairs, seconds) in [
            (&[("retry-after", "7"), ("x-ratelimit-reset", "1795510830")][..], 7),
            (&[("x-ratelimit-reset", "1795510830")], 30),
            (&[("x-ratelimit-reset", "1795510830"), ("date", "Tue, 24 Nov 2026 09:00:10 GMT")], 20),
            (&[("x-ratelimit-reset", "1795510830"), ("date", "yesterday")], 30),
            (&[("x-ratelimit-reset", "1795510000")], 1),
            (&[("x-ratelimit-reset", "9999999999999")], 3600),
            (&[("retry-after", "999999")], 3600),
            (&[("retry-after", "0")], 1),
            (&[("retry-after", "soon")], 60),
            (&[], 60),
        ] {
            assert_eq!(wait_of(&headers(pairs), now), Duration::from_secs(seconds), "{pairs:?}");
        }
    }
}
