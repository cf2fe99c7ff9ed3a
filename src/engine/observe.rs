//! Step 2: the two worlds are read. Bob in one search; those who are missing from it, one by one and only a few; the
//! provider's accounts in one listing, straight into the matcher.

use std::collections::HashSet;

use jiff::Timestamp;

use super::validate::Stop;
use crate::{
    api::reasons::IntegrationReason,
    bob,
    cluster::roster::{IntegrationKey, Roster},
    domain::{
        employee::{self, Employee, Fields},
        mapping::Mapping,
        matching::Matcher,
        safety::ShortRead,
    },
    provider::{self, Listing, Provider},
};

/// How many missing people one pass asks Bob about; the others wait for the next pass.
const MOST_SINGLE_READS: usize = 10;

/// Bob, as one pass saw it.
#[derive(Debug)]
pub struct Source {
    /// Everybody in the answer, and those whose file is confirmed to be gone.
    pub employees: Vec<Employee>,
    /// How many the search answered.
    pub in_bob: u32,
    /// Why the answer is not believed about who is missing, if it is not.
    pub suspect: Option<String>,
    /// Fields asked for that Bob sent for nobody.
    pub unseen_fields: Vec<String>,
    /// People whose file was confirmed to be gone in this pass.
    pub deleted_now: HashSet<Box<str>>,
}

/// Reads everybody, and confirms who is gone.
///
/// # Errors
/// A [`Stop`]: without Bob there is no pass.
pub async fn employees(bob: &bob::Client, fields: &Fields, roster: &Roster, key: &IntegrationKey, before: u32) -> Result<Source, Stop> {
    let people = bob.everybody(fields).await.map_err(bob_stop)?;
    let in_bob = u32::try_from(people.employees.len()).unwrap_or(u32::MAX);
    let unseen_fields = unseen(fields, &people.seen, in_bob);
    if let Some(stop) = blind(&unseen_fields) {
        return Err(stop);
    }
    let mut source = Source { employees: people.employees, in_bob, suspect: None, unseen_fields, deleted_now: HashSet::new() };
    let mut missing = Vec::new();
    let mut gone = Vec::new();
    {
        let present: foldhash::HashSet<&str> = source.employees.iter().map(Employee::id).collect();
        roster.for_each(key, |employee, entry| {
            if !present.contains(employee) {
                if entry.file_deleted.is_some() { gone.push(employee.to_owned()) } else { missing.push(employee.to_owned()) }
            }
        });
    }
    if ShortRead::default().is_suspect(before, in_bob) {
        source.suspect = Some(format!("Bob answered {in_bob} people after {before} a moment ago; nothing rests on who is missing"));
    } else {
        missing.sort_unstable();
        for id in missing.into_iter().take(MOST_SINGLE_READS) {
            match bob.one(fields, &id).await {
                Ok(Some(employee)) => source.employees.push(employee),
                Ok(None) => {
                    source.deleted_now.insert(id.as_str().into());
                    gone.push(id);
                }
                // No answer is no evidence; the next pass asks again.
                Err(error @ (bob::Error::Unauthorized | bob::Error::Forbidden { .. })) => return Err(bob_stop(error)),
                Err(_) => break,
            }
        }
    }
    source.employees.extend(gone.iter().map(|id| Employee::gone(id)));
    Ok(source)
}

fn unseen(fields: &Fields, seen: &[bool], in_bob: u32) -> Vec<String> {
    if in_bob == 0 {
        return Vec::new();
    }
    fields.ids().iter().zip(seen).filter(|(_, seen)| !**seen).map(|(id, _)| id.to_string()).collect()
}

/// Without the lifecycle nobody can be judged: that is a permission to give, not a fact about people.
fn blind(unseen: &[String]) -> Option<Stop> {
    let needed = Fields::default();
    let hidden = |index: usize| unseen.iter().any(|id| **id == *needed.ids()[index]);
    (hidden(employee::LIFECYCLE) && hidden(employee::STATUS)).then(|| {
        Stop::new(
            IntegrationReason::BobForbidden,
            "Bob shows neither internal.lifecycleStatus nor internal.status: give the service user's permission group the right to view the Lifecycle category",
        )
    })
}

/// What a failed call to Bob means for the integration.
#[must_use]
pub fn bob_stop(error: bob::Error) -> Stop {
    let reason = match &error {
        bob::Error::Unauthorized => IntegrationReason::BobUnauthorized,
        bob::Error::Forbidden { .. } => IntegrationReason::BobForbidden,
        bob::Error::Throttled { .. } | bob::Error::Unavailable { .. } => IntegrationReason::BobUnavailable,
    };
    Stop::new(reason, error.to_string())
}

/// Lists the provider's accounts into the matcher.
///
/// # Errors
/// A [`Stop`]: without the listing there is no plan.
pub async fn accounts(provider: &dyn Provider, mapping: &Mapping, matcher: &mut Matcher<'_>) -> Result<Listing, Stop> {
    provider.list(mapping, &mut |account| matcher.see(account)).await.map_err(|error| provider_stop(&error))
}

/// What a failed call to the provider means for the integration.
#[must_use]
pub fn provider_stop(error: &provider::Error) -> Stop {
    let reason = match error {
        provider::Error::Unauthorized { .. } => IntegrationReason::ProviderUnauthorized,
        provider::Error::Denied { .. } | provider::Error::Forbidden { .. } => IntegrationReason::ProviderForbidden,
        _ => IntegrationReason::ProviderUnavailable,
    };
    Stop::new(reason, error.to_string())
}

/// Whether somebody who is gone has been kept long enough.
#[must_use]
pub fn is_expired(deleted: Option<Timestamp>, retention: std::time::Duration, now: Timestamp) -> bool {
    deleted.is_some_and(|at| now.duration_since(at).unsigned_abs() >= retention && now >= at)
}
