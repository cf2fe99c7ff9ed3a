//! `bobsync approve --wait`: waits from the approval until the plan is carried out.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    IntegrationPlace,
    held::{PlanOnHold, WaitingEmployees},
};
use crate::api::{
    ProvisioningIntegration, conditions,
    integration::{Approved, LastPass},
    reasons::IntegrationReason,
};

/// Time between two looks at the integration.
const LOOK: Duration = Duration::from_secs(1);
/// How many times longer the pause after a listing of the employees is than the listing itself.
const LISTING_SHARE: u32 = 10;

/// How far an approved plan is.
#[derive(Debug, PartialEq)]
enum FollowStage {
    /// It is not released yet. The text says why, if there is more to say than that a pass is due.
    Waiting(Option<String>),
    /// It is released, and its changes go out. The text says why they do not, if they do not.
    GoesOut(Approved, Option<String>),
    /// Everything of it that can go out is done.
    Done(Approved),
    /// It will not be released.
    Over(String),
}

/// Waits until the approved plan is carried out, at most `within`.
///
/// # Errors
/// A sentence for the person at the terminal: the plan was not released, or not carried out in
/// time.
pub async fn follow(
    place: &IntegrationPlace,
    held: &PlanOnHold,
    written: &ProvisioningIntegration,
    people: Option<&WaitingEmployees>,
    within: Duration,
) -> Result<(), String> {
    let generation = written.metadata.generation.unwrap_or(0);
    let began = Instant::now();
    let mut told = String::new();
    let mut list_again = began;
    let mut progress = None;
    let mut released = false;
    let mut passes = Vec::new();
    loop {
        let now = place.integration().await?;
        see_pass(&mut passes, held, &now);
        let stage = stage(&now, held, generation);
        if let FollowStage::GoesOut(approved, _) | FollowStage::Done(approved) = &stage
            && !std::mem::replace(&mut released, true)
        {
            println!("{}", told_of(approved));
        }
        let note = match stage {
            FollowStage::Done(_) => {
                println!("{}", outcome(&passes));
                return Ok(());
            }
            FollowStage::Over(why) => return Err(why),
            FollowStage::Waiting(why) | FollowStage::GoesOut(_, why) => why,
        };
        if began.elapsed() >= within {
            let why = note.map(|note| format!(": {note}")).unwrap_or_default();
            let what = if released {
                "released, but not carried out"
            } else {
                "approved, but not released"
            };
            return Err(format!("{what} within {}s{why}", within.as_secs()));
        }
        // The EmployeeSyncs show how far a long pass is. The integration shows it only at its end.
        if let Some(before) =
            people.map(WaitingEmployees::waiting).filter(|_| Instant::now() >= list_again)
        {
            let asked = Instant::now();
            progress = place.people().await?.map(|now| {
                format!("{} of {before} employees are done", before.saturating_sub(now.waiting()))
            });
            list_again = Instant::now() + asked.elapsed() * LISTING_SHARE;
        }
        let line = note
            .or_else(|| progress.clone())
            .unwrap_or_else(|| "waiting for the controller".to_owned());
        if line != told {
            println!("{line}");
            told = line;
        }
        tokio::time::sleep(LOOK.min(within)).await;
    }
}

fn told_of(approved: &Approved) -> String {
    format!(
        "released at {}, approved by {}",
        approved.at.0,
        approved.by.as_deref().unwrap_or("a caller that the API server did not record")
    )
}

/// Returns the approval of this plan, if it is released.
fn release(integration: &ProvisioningIntegration, held: &PlanOnHold) -> Option<Approved> {
    let approved = integration.status.as_ref()?.approved.as_ref()?;
    let is_new = approved.digest == held.digest && Some(approved) != held.before.as_ref();
    is_new.then(|| approved.clone())
}

/// Notes the last pass if it ended after the release. A pass from before says nothing of the plan.
fn see_pass(passes: &mut Vec<LastPass>, held: &PlanOnHold, integration: &ProvisioningIntegration) {
    let last = integration.status.as_ref().and_then(|status| status.last_pass.as_ref());
    let (Some(last), Some(approved)) = (last, release(integration, held)) else { return };
    let is_later = last.finished_at.0 >= approved.at.0 && Some(last) != held.last_pass.as_ref();
    if is_later && passes.last() != Some(last) {
        passes.push(last.clone());
    }
}

fn stage(integration: &ProvisioningIntegration, held: &PlanOnHold, generation: i64) -> FollowStage {
    let status = integration.status.clone().unwrap_or_default();
    let ready = conditions::find(&status.conditions, conditions::Type::Ready)
        .filter(|ready| ready.observed_generation.unwrap_or(0) >= generation);
    let is = |reason: IntegrationReason| ready.is_some_and(|ready| ready.reason == reason.as_str());
    let said = || ready.map(|ready| format!("{}: {}", ready.reason, ready.message));
    if let Some(approved) = release(integration, held) {
        // The release sets `Progressing`, and the pass that ends says something else. A scope that
        // shrinks is noted in the approval itself until the last of the employees has left.
        let ended =
            ready.is_some_and(|ready| ready.status == "True") || is(IntegrationReason::PlanHeld);
        return if ended && !approved.leaving {
            FollowStage::Done(approved)
        } else {
            let trouble = said().filter(|_| !ended && !is(IntegrationReason::Progressing));
            FollowStage::GoesOut(approved, trouble)
        };
    }
    if integration.metadata.uid.as_deref() != Some(&held.uid) {
        return FollowStage::Over(
            "the integration was deleted and created again; nothing was released".to_owned(),
        );
    }
    if integration.spec.approved_plan.as_deref() != Some(&held.digest) {
        return FollowStage::Over(
            "spec.approvedPlan was changed in the meantime; nothing was released".to_owned(),
        );
    }
    if ready.is_none() || is(IntegrationReason::Progressing) {
        return FollowStage::Waiting(None);
    }
    match &status.plan {
        Some(plan) if plan.digest != held.digest => FollowStage::Over(format!(
            "nothing was released, because the plan has changed. Look at the new plan, and approve \
             {} if it is right",
            plan.digest
        )),
        None => {
            FollowStage::Over("nothing was released, because nothing is held any more".to_owned())
        }
        // A successful pass would have released the plan, so this pass was not successful.
        Some(_) => FollowStage::Waiting(said()),
    }
}

/// Returns what the passes did that carried out the plan.
fn outcome(passes: &[LastPass]) -> String {
    if passes.is_empty() {
        return "no account had to be changed".to_owned();
    }
    let sum = |of: fn(&LastPass) -> u32| passes.iter().map(of).sum::<u32>();
    format!(
        "suspended {}, reactivated {}, updated {} and created {} accounts; {} changes failed",
        sum(|pass| pass.disabled),
        sum(|pass| pass.reactivated),
        sum(|pass| pass.updated),
        sum(|pass| pass.created),
        sum(|pass| pass.failed)
    )
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
