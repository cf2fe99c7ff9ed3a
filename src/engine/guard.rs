//! Step 4: nothing is written before the whole plan was looked at. Splits it into what is released and what is held.
//!
//! Decisions never rest on absence (`domain::access`), and accounts with somebody else's mark never reach the plan
//! (`domain::matching`). What is left to hold here is what a listing that is too short would make us create twice.

use crate::{
    domain::{
        matching::Person,
        plan::{Kind, Plan},
        safety::ShortRead,
    },
    provider::Listing,
};

/// The plan after the guards.
#[derive(Debug, Default)]
pub struct Released {
    /// For each change of the plan: whether it may go out.
    pub go: Vec<bool>,
    /// Why the provider's listing is not believed, if it is not.
    pub target_suspect: Option<String>,
}

/// Looks at the whole plan.
#[must_use]
pub fn release(plan: &Plan, people: &[Person], listing: &Listing) -> Released {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let known = count(people.iter().filter(|person| person.known_account.is_some()).count());
    let lost =
        plan.changes.iter().filter(|change| change.kind == Kind::Create && people[change.person as usize].known_account.is_some()).count();
    let suspect = lost > 0 && ShortRead::default().is_suspect(known, known - count(lost).min(known));
    let held = |kind: Kind, person: u32| suspect && kind == Kind::Create && people[person as usize].known_account.is_some();
    Released {
        go: plan.changes.iter().map(|change| !held(change.kind, change.person)).collect(),
        target_suspect: suspect.then(|| {
            format!(
                "the provider listed {} accounts, and {lost} of the {known} accounts that are known are not among them; nobody missing is created on its word alone",
                listing.accounts
            )
        }),
    }
}
