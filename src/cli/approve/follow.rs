//! `bobsync approve --wait`: waits from the approval to the release.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Place,
    held::{Held, People},
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
enum Stage {
    /// It is not released yet. The text says why, if there is more to say than that a pass is due.
    Waiting(Option<String>),
    /// It is released, and carried out as far as this pass came.
    Released(Approved, Option<LastPass>),
    /// It will not be released.
    Over(String),
}

/// Waits until the approved plan is released, at most `within`.
///
/// # Errors
/// A sentence for the person at the terminal: the plan was not released.
pub async fn follow(
    place: &Place,
    held: &Held,
    written: &ProvisioningIntegration,
    people: Option<&People>,
    within: Duration,
) -> Result<(), String> {
    let generation = written.metadata.generation.unwrap_or(0);
    let began = Instant::now();
    let mut told = String::new();
    let mut list_again = began;
    let mut progress = None;
    loop {
        let note = match stage(&place.integration().await?, held, generation) {
            Stage::Released(approved, last) => {
                println!(
                    "released at {}, approved by {}",
                    approved.at.0,
                    approved.by.as_deref().unwrap_or("a caller that the API server did not record")
                );
                if let Some(last) = last {
                    println!("{}", outcome(&last));
                }
                return Ok(());
            }
            Stage::Over(why) => return Err(why),
            Stage::Waiting(why) => why,
        };
        if began.elapsed() >= within {
            let why = note.map(|note| format!(": {note}")).unwrap_or_default();
            return Err(format!("approved, but not released within {}s{why}", within.as_secs()));
        }
        // The EmployeeSyncs show how far a long pass is. The integration shows it only at its end.
        if let Some(before) = people.map(People::waiting).filter(|_| Instant::now() >= list_again) {
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

fn stage(integration: &ProvisioningIntegration, held: &Held, generation: i64) -> Stage {
    let status = integration.status.clone().unwrap_or_default();
    if let Some(approved) = status
        .approved
        .filter(|approved| approved.digest == held.digest && Some(approved) != held.before.as_ref())
    {
        return Stage::Released(approved, status.last_pass);
    }
    if integration.metadata.uid.as_deref() != Some(&held.uid) {
        return Stage::Over(
            "the integration was deleted and created again; nothing was released".to_owned(),
        );
    }
    if integration.spec.approved_plan.as_deref() != Some(&held.digest) {
        return Stage::Over(
            "spec.approvedPlan was changed in the meantime; nothing was released".to_owned(),
        );
    }
    let ready = conditions::find(&status.conditions, conditions::Type::Ready)
        .filter(|ready| ready.observed_generation.unwrap_or(0) >= generation);
    let Some(ready) = ready.filter(|ready| ready.reason != IntegrationReason::Progressing.as_str())
    else {
        return Stage::Waiting(None);
    };
    match &status.plan {
        Some(plan) if plan.digest != held.digest => Stage::Over(format!(
            "nothing was released, because the plan has changed. Look at the new plan, and approve \
             {} if it is right",
            plan.digest
        )),
        None => Stage::Over("nothing was released, because nothing is held any more".to_owned()),
        // A successful pass would have released the plan, so this pass was not successful.
        Some(_) => Stage::Waiting(Some(format!("{}: {}", ready.reason, ready.message))),
    }
}

fn outcome(last: &LastPass) -> String {
    let LastPass { created, updated, reactivated, disabled, failed, .. } = last;
    format!(
        "the pass suspended {disabled}, reactivated {reactivated}, updated {updated} and created \
         {created} accounts; {failed} changes failed"
    )
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
