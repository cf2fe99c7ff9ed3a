//! Late leavers: employees who still have access two intervals after Bob and the provider both
//! answer for them. A refusal for other employees, or of other things, is not an excuse.

use std::time::{Duration, Instant};

use jiff::SignedDuration;

use super::{
    BOBS_MINUTE, company::Company, faults, judge::Judge, stage::Stage, standing::Standing,
};

/// A part of an interval of the integration, which is 24 hours. Four of them are two intervals.
const HALF_A_DAY: SignedDuration = SignedDuration::from_hours(12);
/// The real time in which the controller does what is due at a moment.
const AT_A_MOMENT: Duration = Duration::from_secs(4);

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Leavers {
    /// Employees who lost access.
    pub out: u32,
    /// Those who had waited for a fault to end.
    pub waited: u32,
    /// Bob's ids of the late ones.
    pub late: Vec<String>,
}

/// Ends the faults that concern everything or strike at random. Moves the clock until each leaver
/// has lost access, two intervals at most.
pub async fn measure(
    stage: &Stage,
    judge: &Judge,
    company: &Company,
    standing: &mut Standing,
    leavers: &mut Leavers,
) {
    let mut owed = judge.owed(company, stage.now(), standing).await;
    if owed.is_empty() {
        return;
    }
    faults::none(&stage.control).await;
    standing.answers(&stage.control).await;
    standing.again(&stage.control).await;
    let since = stage.now();
    owed = judge.owed(company, since, standing).await;
    leavers.waited += u32::try_from(owed.len()).unwrap_or(0);
    for moment in 1..=4 {
        stage.to(since + HALF_A_DAY * moment).await;
        let began = Instant::now();
        let patience = if moment == 4 { BOBS_MINUTE } else { AT_A_MOMENT };
        while !owed.is_empty() && began.elapsed() < patience {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let left = judge.owed(company, stage.now(), standing).await;
            owed.retain(|id| left.contains(id));
        }
        if owed.is_empty() {
            return;
        }
    }
    leavers.late.extend(owed);
}
