//! Pacing: the calls of a provider's window go out at full speed until only a reserve for urgent
//! calls is left. What is left is spread until the reset. The pacer trusts what the provider's own
//! headers say.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{
    bursts::{Bursts, Slot},
    slowdown::Slowdown,
};
use crate::{
    domain::priority::Urgency,
    http::waits::{Wait, WaitReason},
};

/// The share of the window that is kept for urgent calls, in percent.
const RESERVE_PERCENT: u32 = 15;

/// How long all callers wait after a refusal that does not say how long.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(60);

/// The longest wait that a refusal may ask for. It may be about another limit than the one that is
/// paced here.
pub const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// How far a reset may be off, because it is told in whole seconds and rounded up or down.
const ROUNDING: Duration = Duration::from_secs(1);

/// Shares one tenant's window of calls among all its callers.
///
/// Calls of one urgency go in the order in which they come. An urgent call overtakes every normal
/// one. Each wait ends: a window lasts at most its published length, and no refusal counts for
/// longer than [`LONGEST_WAIT`].
#[derive(Debug)]
pub struct Pacer {
    length: Duration,
    /// The first wait after a refusal that does not say how long. Every further refusal doubles it.
    /// `None` means [`DEFAULT_WAIT`].
    first_wait: Option<Duration>,
    /// The limit of new accounts, if the provider counts them.
    creations: Option<Bursts>,
    /// Windows of other calls, if the provider counts them apart.
    buckets: Vec<Self>,
    state: Mutex<State>,
    /// The first caller in the line of an urgency holds its turnstile. The lock passes it on in
    /// order of arrival.
    urgent: tokio::sync::Mutex<()>,
    normal: tokio::sync::Mutex<()>,
    /// How many urgent calls are in line. Normal calls let them go first.
    urgent_waiting: AtomicU32,
    normal_waiting: AtomicU32,
    /// Notifies the first caller in line that the window or the line changed, so that it looks
    /// again.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    limit: u32,
    /// The window, from its first call on.
    window: Option<LimitWindow>,
    /// No caller makes a call before this time, because the provider said so.
    blocked_until: Option<Instant>,
    /// No normal call is made before this time, because the provider is in trouble and said so.
    held_back_until: Option<Instant>,
    /// How many calls were admitted so far.
    admitted: u64,
    /// How many calls are admitted and not yet finished.
    in_flight: u32,
    /// How many refusals because of the number of calls came since a call was granted. Refusals
    /// that came together count once.
    refusals: u32,
    /// The pace after refusals, if the provider publishes no limit.
    slowdown: Option<Slowdown>,
}

#[derive(Clone, Copy, Debug)]
struct LimitWindow {
    /// Calls that were admitted earlier belong to the window before.
    began: Instant,
    ends: Instant,
    remaining: u32,
    /// Normal calls are spread from this time on: the last one that went, or the moment at which
    /// the reserve was reached.
    spread_from: Instant,
}

/// The permission to make one call. Dropping it says that the call is over.
#[derive(Debug)]
#[must_use = "the call is counted as over when this is dropped"]
pub struct Ticket<'a> {
    pacer: &'a Pacer,
    at: Instant,
    /// Position among all admissions.
    number: u64,
    /// How many calls were admitted earlier and not yet finished at that time.
    beside: u32,
}

impl Pacer {
    /// Returns a pacer with a window of `limit` calls that lasts `length` from its first call on.
    #[must_use]
    pub fn new(limit: u32, length: Duration) -> Self {
        let state = State {
            limit: limit.max(1),
            window: None,
            blocked_until: None,
            held_back_until: None,
            admitted: 0,
            in_flight: 0,
            refusals: 0,
            slowdown: None,
        };
        Self {
            length,
            first_wait: None,
            creations: None,
            buckets: Vec::new(),
            state: Mutex::new(state),
            urgent: tokio::sync::Mutex::default(),
            normal: tokio::sync::Mutex::default(),
            urgent_waiting: AtomicU32::new(0),
            normal_waiting: AtomicU32::new(0),
            changed: Notify::new(),
        }
    }

    /// Sets the first wait for a provider that does not say when to come back. It is doubled up to
    /// [`DEFAULT_WAIT`], with jitter.
    #[must_use]
    pub fn backing_off_from(self, first_wait: Duration) -> Self {
        Self { first_wait: Some(first_wait), ..self }
    }

    /// Sets the pace, in calls a second, after the first refusal that does not say how long. It is
    /// for a provider that publishes no limit: such a refusal makes callers slower and does not
    /// stop them.
    #[must_use]
    pub fn slowing_to(self, calls: u32) -> Self {
        self.lock().slowdown = Some(Slowdown::to(calls));
        self
    }

    /// Sets a limit for a provider that takes at most `most` new accounts in any stretch of
    /// `within`.
    #[must_use]
    pub fn creating(self, most: usize, within: Duration) -> Self {
        Self { creations: Some(Bursts::new(most, within)), ..self }
    }

    /// Adds a window for calls that the provider counts apart.
    #[must_use]
    pub fn with_bucket(mut self, limit: u32) -> Self {
        self.buckets.push(Self::new(limit, self.length));
        self
    }

    /// Returns the window of a bucket. Bucket 0 is this pacer itself. The others have numbers in
    /// the order in which they were added.
    #[must_use]
    pub fn bucket(&self, number: usize) -> &Self {
        number.checked_sub(1).and_then(|at| self.buckets.get(at)).unwrap_or(self)
    }

    /// Waits until another account may be made. The caller holds the slot while the call is under
    /// way.
    pub async fn creation(&self) -> Option<Slot<'_>> {
        match &self.creations {
            Some(creations) => Some(creations.slot().await),
            None => None,
        }
    }

    /// Waits for a turn. Dropping the future leaves the line.
    pub async fn admit(&self, urgency: Urgency) -> Ticket<'_> {
        let (turnstile, waiting) = match urgency {
            Urgency::Urgent => (&self.urgent, &self.urgent_waiting),
            Urgency::Normal => (&self.normal, &self.normal_waiting),
        };
        let _standing = PlaceInLine::new(waiting, &self.changed);
        let _first = turnstile.lock().await;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // The listener starts before the check, so that no change falls between the two.
            changed.as_mut().enable();
            match self.try_admit(urgency, Instant::now()) {
                Turn::Go(ticket) => return ticket,
                Turn::At(at) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = changed => {}
                },
                Turn::AfterUrgent => changed.await,
            }
        }
    }

    /// Makes all callers wait, because the provider refused a call for the number of calls. Without
    /// a time, each wait is longer than the one before.
    pub fn throttled(&self, wait: Option<Duration>) {
        let now = Instant::now();
        let mut state = self.lock();
        // The ticket of the call has made all others slower.
        if wait.is_none() && state.slowdown.is_some() {
            return;
        }
        // Calls that were under way together are refused together.
        if state.blocked_until.is_none_or(|until| until <= now) {
            state.refusals = state.refusals.saturating_add(1);
        }
        let doubled = |first: Duration| {
            jittered(first.saturating_mul(1 << (state.refusals.clamp(1, 7) - 1)).min(DEFAULT_WAIT))
        };
        let wait = wait.unwrap_or_else(|| self.first_wait.map_or(DEFAULT_WAIT, doubled));
        let until = now + wait.min(LONGEST_WAIT);
        drop(state);
        self.buckets.iter().chain([self]).for_each(|bucket| bucket.block(until));
    }

    /// Makes all callers of this window wait until then.
    fn block(&self, until: Instant) {
        let mut state = self.lock();
        state.blocked_until = state.blocked_until.max(Some(until));
        drop(state);
        self.changed.notify_waiters();
    }

    /// Makes normal calls wait, because the provider is in trouble and says for how long.
    pub fn hold_back(&self, wait: Duration) {
        let until = Instant::now() + wait.min(LONGEST_WAIT);
        for bucket in self.buckets.iter().chain([self]) {
            let mut state = bucket.lock();
            state.held_back_until = state.held_back_until.max(Some(until));
            drop(state);
            bucket.changed.notify_waiters();
        }
    }

    /// Notes that a call was granted, so that the next refusal counts as the first.
    pub fn granted(&self) {
        let mut state = self.lock();
        state.refusals = 0;
        if let Some(slowdown) = &mut state.slowdown {
            slowdown.granted(Instant::now());
        }
    }

    /// Returns how many calls the window has left now.
    #[must_use]
    pub fn left(&self) -> u32 {
        let now = Instant::now();
        let state = self.lock();
        if state.blocked_until.is_some_and(|until| until > now) {
            return 0;
        }
        state
            .window
            .filter(|window| window.ends > now)
            .map_or(state.limit, |window| window.remaining)
    }

    /// Returns how long no caller makes a call because the provider said so.
    #[must_use]
    pub fn silence(&self) -> Option<Duration> {
        let left = self.lock().blocked_until?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Returns what a call of this urgency waits for now, if the provider named the time. A slower
    /// pace is not a wait.
    #[must_use]
    pub fn wait(&self, urgency: Urgency) -> Option<Wait> {
        let now = Instant::now();
        let state = self.lock();
        let spent = state.window.filter(|window| window.remaining == 0).map(|window| window.ends);
        let held_back = state.held_back_until.filter(|_| urgency == Urgency::Normal);
        let all = [
            (state.blocked_until, WaitReason::Asked),
            (spent, WaitReason::Spent),
            (held_back, WaitReason::Trouble),
        ];
        let ahead = all.into_iter().filter_map(|(until, why)| {
            until.filter(|until| *until > now).map(|until| Wait { until, why })
        });
        // If two waits end together, the first one says more.
        ahead.reduce(
            |longest, wait| if wait.until > longest.until + 2 * ROUNDING { wait } else { longest },
        )
    }

    fn try_admit(&self, urgency: Urgency, now: Instant) -> Turn<'_> {
        let mut state = self.lock();
        if let Some(until) = state.blocked_until {
            if until > now {
                return Turn::At(until);
            }
            state.blocked_until = None;
        }
        if let Some(until) = state.held_back_until.filter(|_| urgency == Urgency::Normal) {
            if until > now {
                return Turn::At(until);
            }
            state.held_back_until = None;
        }
        if urgency == Urgency::Normal && self.urgent_waiting.load(Ordering::Acquire) > 0 {
            return Turn::AfterUrgent;
        }
        if let Some(at) = state.slowdown.as_ref().and_then(|slowdown| slowdown.ahead(now)) {
            return Turn::At(at);
        }
        let (limit, reserve) = (state.limit, state.reserve());
        let fresh =
            LimitWindow { began: now, ends: now + self.length, remaining: limit, spread_from: now };
        let window = state.window.get_or_insert(fresh);
        if window.ends <= now {
            *window = fresh;
        }
        if window.remaining == 0 {
            return Turn::At(window.ends);
        }
        if urgency == Urgency::Normal {
            if window.remaining <= reserve {
                let due = window.spread_from
                    + window.ends.saturating_duration_since(window.spread_from) / window.remaining;
                if due > now {
                    return Turn::At(due);
                }
            }
            window.spread_from = now;
        }
        window.remaining -= 1;
        if let Some(slowdown) = &mut state.slowdown {
            slowdown.goes(now);
        }
        let beside = state.in_flight;
        state.admitted += 1;
        state.in_flight += 1;
        Turn::Go(Ticket { pacer: self, at: now, number: state.admitted, beside })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code in here panics halfway. Numbers are complete after every statement.
        self.state.lock()
    }
}

/// Returns a wait that is up to a tenth longer, so that callers that were refused together do not
/// come back together.
fn jittered(wait: Duration) -> Duration {
    use std::hash::{BuildHasher as _, RandomState};
    let chance = u32::try_from(RandomState::new().hash_one(0_u8) % 1000).unwrap_or_default();
    wait + wait / 10 * chance / 1000
}

impl State {
    fn reserve(&self) -> u32 {
        u32::try_from((u64::from(self.limit) * u64::from(RESERVE_PERCENT)).div_ceil(100))
            .unwrap_or(self.limit)
    }
}

enum Turn<'a> {
    Go(Ticket<'a>),
    At(Instant),
    AfterUrgent,
}

impl Ticket<'_> {
    /// Learns from the provider's answer to this call: calls per window, calls left, time to the
    /// reset.
    ///
    /// Answers overtake each other. So the calls left are only known up to the calls that the
    /// provider may not have counted yet when it wrote this answer. Within that range the pacer's
    /// own count is kept. Outside of it the provider is right.
    pub fn learn(&self, limit: u32, remaining: u32, reset: Duration) {
        let now = Instant::now();
        let reset = reset.min(self.pacer.length);
        let mut state = self.pacer.lock();
        state.limit = limit.max(1);
        let uncounted = u32::try_from(state.admitted - self.number)
            .unwrap_or(u32::MAX)
            .saturating_add(self.beside);
        let least = remaining.saturating_sub(uncounted);
        // The provider wrote the answer between the call and now, so the reset is within a range
        // too.
        let (earliest, latest) =
            ((self.at + reset).checked_sub(ROUNDING).unwrap_or(self.at), now + reset + ROUNDING);
        match &mut state.window {
            Some(window) if self.at < window.began => {}
            Some(window) if earliest <= window.ends => {
                window.remaining = window.remaining.clamp(least, remaining);
                window.ends = window.ends.min(latest);
            }
            window => {
                *window = Some(LimitWindow {
                    began: self.at,
                    ends: latest,
                    remaining: least,
                    spread_from: now,
                })
            }
        }
        drop(state);
        self.pacer.changed.notify_waiters();
    }

    /// Learns that the provider has refused this call for the number of calls, and names no time.
    pub fn slow_down(&self) {
        let mut state = self.pacer.lock();
        if let Some(slowdown) = &mut state.slowdown {
            slowdown.refused(self.at, Instant::now());
        }
        drop(state);
        self.pacer.changed.notify_waiters();
    }

    /// Says that the call was not made or did not reach the provider, so that it costs nothing.
    pub fn unused(self) {
        let mut state = self.pacer.lock();
        let limit = state.limit;
        if let Some(window) = state.window.as_mut().filter(|window| window.ends > self.at) {
            window.remaining = (window.remaining + 1).min(limit);
        }
        drop(state);
        self.pacer.changed.notify_waiters();
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut state = self.pacer.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
    }
}

/// One place in line, until the caller is admitted or leaves.
struct PlaceInLine<'a> {
    waiting: &'a AtomicU32,
    changed: &'a Notify,
}

impl<'a> PlaceInLine<'a> {
    fn new(waiting: &'a AtomicU32, changed: &'a Notify) -> Self {
        waiting.fetch_add(1, Ordering::AcqRel);
        Self { waiting, changed }
    }
}

impl Drop for PlaceInLine<'_> {
    fn drop(&mut self) {
        if self.waiting.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
