//! The soak itself: a company that lives, faults on both sides, a controller that is stopped and
//! killed, and a judge that reads the provider's journal. `tests/soak/main.rs` explains it.

pub mod company;
pub mod faults;
pub mod judge;
pub mod late;
pub mod stage;
pub mod standing;

use std::time::{Duration, Instant};

use bobsync::domain::account::Access;
use jiff::{SignedDuration, Timestamp, ToSpan as _, tz::TimeZone};
use simulators::rng::Rng;
use testbed::ControlPlane;

use self::{
    company::Company,
    judge::{Judge, Wrong},
    late::Leavers,
    stage::Stage,
    standing::Standing,
};

/// The length and the seed.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Everything follows from the seed, except the order in which simultaneous calls arrive.
    pub seed: u64,
    /// Simulated days.
    pub days: u32,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Simulated days.
    pub days: u32,
    /// Steps, each a few days.
    pub steps: u32,
    /// Events in Bob.
    pub events: u32,
    /// Faults that were set.
    pub faults: u32,
    /// Times the controller was killed or stopped.
    pub restarts: u32,
    /// Applied writes, each checked.
    pub writes: usize,
    /// Moments without faults at which all employees were compared with the decision.
    pub rests: u32,
    /// Employees who lost access, and how long it took.
    pub leavers: Leavers,
    /// The first broken rule; it ends the run.
    pub wrong: Vec<Wrong>,
    /// Real time.
    pub took: Duration,
}

/// Steps between two moments without faults.
const BETWEEN_RESTS: u32 = 12;
/// Real time within which a pass that is under way has ended. The controller makes 40 reads of Bob
/// a minute, waits for the rest in real time, and a step takes seconds.
const BOBS_MINUTE: Duration = Duration::from_secs(130);

/// Runs the life. Ends at the first broken rule.
pub async fn soak(plane: &ControlPlane, wish: Wish) -> Seen {
    let (began, mut seen) = (Instant::now(), Seen::default());
    let start: Timestamp = "2026-01-05T12:00:00Z".parse().expect("a time");
    let mut now = start;
    let mut rng = Rng::new(wish.seed);
    let mut stage = Stage::set(plane, wish.seed, now).await;
    let mut company = Company::found(&stage.control, &mut rng, now).await;
    let mut judge = Judge::new(&stage.control, &company).await;
    stage.integrate().await;
    stage.sync().await;
    seen.wrong = judge.look(&company, stage.now()).await;
    while seen.wrong.is_empty() && seen.days < wish.days {
        let rest = seen.steps % BETWEEN_RESTS == BETWEEN_RESTS - 1;
        // A rest is an hour later, so that a retry is due. Often it is the day of a start, or a
        // last day.
        let some_days = 1 + u32::try_from(rng.below(20)).unwrap_or(0);
        let to_a_date = company
            .days_until_next(stage.now())
            .filter(|days| (1..20).contains(days) && rng.chance(0.5));
        let days = if rest { 0 } else { to_a_date.unwrap_or(some_days) };
        now =
            stage.now() + SignedDuration::from_mins(1 + i64::try_from(rng.below(600)).unwrap_or(0));
        if days > 0 {
            let day = (stage.now().to_zoned(TimeZone::UTC).date() + i64::from(days).days())
                .to_zoned(TimeZone::UTC);
            let minute = i64::try_from(rng.below(24 * 60)).unwrap_or(0);
            now = day.expect("within the calendar").timestamp() + SignedDuration::from_mins(minute);
        }
        seen.steps += 1;
        seen.days += days;
        if rest {
            faults::none(&stage.control).await;
            stage.to(now).await;
            judge.time_passes(&company, now);
            stage.sync().await;
            seen.wrong = judge.look(&company, stage.now()).await;
            // A second 404 half an interval after the first one confirms that a file was deleted.
            let later = stage.now() + SignedDuration::from_hours(13);
            stage.to(later).await;
            judge.time_passes(&company, later);
            let rested = stage.comes_to_rest().await;
            seen.wrong.extend(judge.look(&company, stage.now()).await);
            seen.wrong.extend(rested.err().map(Wrong::no_rest));
            let mut at_rest = judge.comes_right(&company, &stage).await;
            if seen.wrong.is_empty() && !at_rest.is_empty() {
                // The next interval repairs what a pass has missed.
                at_rest.iter().for_each(|wrong| {
                    println!("seed {}, step {}: not at once: {wrong}", wish.seed, seen.steps)
                });
                let later = stage.now() + SignedDuration::from_hours(25);
                stage.to(later).await;
                judge.time_passes(&company, later);
                let rested = stage.comes_to_rest().await;
                seen.wrong.extend(judge.look(&company, stage.now()).await);
                seen.wrong.extend(rested.err().map(Wrong::no_rest));
                at_rest = judge.comes_right(&company, &stage).await;
            }
            seen.wrong.extend(at_rest);
            seen.rests += 1;
        } else {
            seen.events += company.live(&stage.control, &mut rng, now).await;
            seen.faults += faults::some(&stage.control, &mut rng).await;
            let at_work = judge.active(&company, now, Access::Active).await;
            let leaving = judge.active(&company, now, Access::Suspended).await;
            let mut standing = Standing::begin(&stage.control, &mut rng, &at_work, &leaving).await;
            seen.faults += standing.count;
            stage.to(now).await;
            judge.time_passes(&company, now);
            let visitors = faults::visitors(&stage.control, &mut rng);
            if rng.chance(0.1) {
                stage.restarts_under_way(&mut rng).await;
                seen.restarts += 1;
            }
            if standing.holds_all {
                stage.tries().await;
            } else {
                stage.sync().await;
            }
            visitors.await;
            seen.wrong = judge.look(&company, stage.now()).await;
            late::measure(&stage, &judge, &company, &mut standing, &mut seen.leavers).await;
            seen.wrong.extend(judge.look(&company, stage.now()).await);
            seen.wrong.extend(seen.leavers.late.iter().map(|id| Wrong::late(id)));
            standing.end(&stage.control).await;
        }
        (seen.writes, seen.leavers.out) = (judge.writes, judge.out);
    }
    for wrong in &mut seen.wrong {
        let said = stage.says_of(wrong.employee.as_deref()).await;
        wrong.add(&said);
    }
    seen.took = began.elapsed();
    stage.end();
    seen
}
