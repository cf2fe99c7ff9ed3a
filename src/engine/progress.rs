//! Progress of the full pass that is under way. It is counted in memory, shown once the pass has
//! taken some seconds, and dropped with the pass. A shorter pass shows no progress.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::clock::Clock;
use crate::{
    api::integration::{Progress, Step},
    api::time::to_the_second,
};

/// The progress of a pass is shown once the pass has taken this long. After that it is updated at
/// this interval.
pub const APART: Duration = Duration::from_secs(5);

/// Counts what the full pass has done.
pub struct Counting {
    clock: Clock,
    run: Mutex<Option<RunningPass>>,
}

struct RunningPass {
    since: Timestamp,
    began: Instant,
    /// How many accounts of the provider were read.
    read: u32,
    /// The changes of the plan; `None` until the plan is made and its changes go out.
    changes: Option<DoneOf>,
    /// The statuses of employees without a change, which are written at the same time.
    statuses: Option<DoneOf>,
}

/// A number of items, and how many of them are done.
struct DoneOf {
    began: Instant,
    done: u32,
    of: u32,
    /// When the last item was done.
    at: Instant,
}

impl DoneOf {
    fn new(of: usize) -> Self {
        let now = Instant::now();
        Self { began: now, done: 0, of: u32::try_from(of).unwrap_or(u32::MAX), at: now }
    }

    fn one_more(&mut self) {
        self.done = (self.done + 1).min(self.of);
        self.at = Instant::now();
    }

    fn is_done(&self) -> bool {
        self.done >= self.of
    }

    /// Returns how long it takes from now until all items are done at the pace so far. `wait`: how
    /// long calls wait before that.
    fn left(&self, wait: Duration) -> Option<Duration> {
        let pace = self.at.duration_since(self.began).checked_div(self.done)?;
        let left = pace.saturating_mul(self.of - self.done);
        let since_last = self.at.elapsed();
        Some(if wait.is_zero() {
            left.saturating_sub(since_last)
        } else {
            left.saturating_add(wait)
        })
    }
}

/// A full pass that is under way. Dropping it ends the pass.
pub struct UnderWay<'a>(&'a Counting);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        *self.0.run() = None;
    }
}

impl Counting {
    /// Returns a counter for which no pass is under way.
    #[must_use]
    pub const fn new(clock: Clock) -> Self {
        Self { clock, run: Mutex::new(None) }
    }

    fn run(&self) -> MutexGuard<'_, Option<RunningPass>> {
        self.run.lock()
    }

    /// Notes that a pass begins.
    pub fn begin(&self) -> UnderWay<'_> {
        *self.run() = Some(RunningPass {
            since: self.clock.now(),
            began: Instant::now(),
            read: 0,
            changes: None,
            statuses: None,
        });
        UnderWay(self)
    }

    /// Notes that one more account of the provider was read.
    pub fn read_one(&self) {
        self.run().iter_mut().for_each(|run| run.read = run.read.saturating_add(1));
    }

    /// Notes that this many changes go out now.
    pub fn write(&self, of: usize) {
        self.run().iter_mut().for_each(|run| run.changes = Some(DoneOf::new(of)));
    }

    /// Notes that one more change has ended.
    pub fn wrote_one(&self) {
        self.run().iter_mut().flat_map(|run| &mut run.changes).for_each(DoneOf::one_more);
    }

    /// Notes that this many statuses of employees without a change are written now.
    pub fn record(&self, of: usize) {
        self.run().iter_mut().for_each(|run| run.statuses = Some(DoneOf::new(of)));
    }

    /// Notes that one more of these statuses is written.
    pub fn recorded_one(&self) {
        self.run().iter_mut().flat_map(|run| &mut run.statuses).for_each(DoneOf::one_more);
    }

    /// Returns the progress of the pass once it has taken long enough to be shown. `wait`: how long
    /// calls wait now, if they wait.
    #[must_use]
    pub fn told(&self, wait: Duration) -> Option<Progress> {
        let run = self.run();
        let run = run.as_ref().filter(|run| run.began.elapsed() >= APART)?;
        let since = Time(to_the_second(run.since));
        let (step, part) = match (&run.changes, &run.statuses) {
            (None, None) => {
                return Some(Progress {
                    step: Step::Reading,
                    done: run.read,
                    of: None,
                    since,
                    eta: None,
                });
            }
            (Some(changes), _) if !changes.is_done() => (Step::Writing, changes),
            (_, Some(statuses)) if !statuses.is_done() => (Step::Recording, statuses),
            (Some(changes), _) if changes.of > 0 => (Step::Writing, changes),
            (_, Some(statuses)) => (Step::Recording, statuses),
            (Some(changes), None) => (Step::Writing, changes),
        };
        let left = part
            .left(wait)
            .filter(|left| !left.is_zero())
            .and_then(|left| SignedDuration::try_from(left).ok());
        let eta = left
            .and_then(|left| self.clock.now().checked_add(left).ok())
            .map(|at| Time(to_the_second(at)));
        Some(Progress { step, done: part.done, of: Some(part.of), since, eta })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Timestamp {
        time.parse().expect("a time")
    }

    #[tokio::test(start_paused = true)]
    async fn a_pass_that_takes_long_tells_how_far_it_is_and_nothing_once_it_is_over() {
        let (clock, hand) = Clock::adjustable();
        hand.set(at("2026-11-30T08:00:00Z"));
        let counting = Counting::new(clock);
        let told = || counting.told(Duration::ZERO);
        let second = Duration::from_secs(1);
        let pass = counting.begin();
        counting.read_one();
        tokio::time::advance(second * 4).await;
        assert_eq!(told(), None, "most passes are over sooner");
        tokio::time::advance(second).await;
        counting.read_one();
        let since = Time(at("2026-11-30T08:00:00Z"));
        let reading =
            Progress { step: Step::Reading, done: 2, of: None, since: since.clone(), eta: None };
        assert_eq!(told(), Some(reading));

        counting.write(100);
        counting.record(3);
        let writing = |done, eta: Option<&str>| {
            Some(Progress {
                step: Step::Writing,
                done,
                of: Some(100),
                since: since.clone(),
                eta: eta.map(|eta| Time(at(eta))),
            })
        };
        assert_eq!(told(), writing(0, None), "nothing tells of the pace yet");
        for _ in 0..10 {
            tokio::time::advance(second).await;
            counting.wrote_one();
        }
        assert_eq!(told(), writing(10, Some("2026-11-30T08:01:45Z")), "90 more at one in a second");
        tokio::time::advance(second * 2).await;
        assert_eq!(
            told(),
            writing(10, Some("2026-11-30T08:01:45Z")),
            "it is said in the same words while nothing happens"
        );
        let hour = Duration::from_hours(1);
        assert_eq!(
            counting.told(hour),
            writing(10, Some("2026-11-30T09:01:47Z")),
            "calls wait for an hour, and then the rest goes out"
        );
        tokio::time::advance(second * 100).await;
        assert_eq!(told(), writing(10, None), "an estimate that was wrong is not told");

        (0..200).for_each(|_| counting.wrote_one());
        counting.recorded_one();
        let recording = told().expect("the statuses are not written");
        assert_eq!((recording.step, recording.done, recording.of), (Step::Recording, 1, Some(3)));
        (0..2).for_each(|_| counting.recorded_one());
        assert_eq!(told(), writing(100, None));
        drop(pass);
        assert_eq!(told(), None);
    }
}
