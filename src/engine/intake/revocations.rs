//! The immediate revocations in an integration's status. It keeps those that hold, so that they
//! outlive an `EmployeeSync`. For some days it also keeps those that have ended, so that an older
//! event that Bob repeats does not start them again.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{
    api::{integration::RevokedAccess, key::IntegrationKey},
    cluster::{
        roster::Employees,
        status::{WriteError, Writer},
    },
    domain::known::Revoked,
};

/// Bob repeats a delivery for three days. An older event is no longer evidence, even with a valid
/// signature, because it names employees.
pub const OLDEST_EVIDENCE: SignedDuration = SignedDuration::from_hours(4 * 24);
/// How many revocations the status keeps.
const MOST: usize = 1000;

/// The list of revocations in the integration's status.
pub trait Revocations: Send + Sync {
    /// Returns the list as it was last read or written. It waits for no write.
    fn list(&self) -> Vec<RevokedAccess>;

    /// Changes the list.
    ///
    /// # Errors
    /// When the API server does not take it.
    fn change<'a>(
        &'a self,
        writer: &'a Writer,
        key: &'a IntegrationKey,
        change: &'a (dyn Fn(&[RevokedAccess]) -> Vec<RevokedAccess> + Send + Sync),
    ) -> BoxFuture<'a, Result<(), WriteError>>;
}

/// Returns the list after Bob has revoked access from one employee at once.
#[must_use]
pub fn with(list: &[RevokedAccess], employee: &str, revoked: Revoked) -> Vec<RevokedAccess> {
    let others = list.iter().filter(|one| one.employee_id != employee).cloned();
    bounded(others.chain([entry(employee, revoked)]).collect(), revoked.at)
}

/// Returns the list after Bob has reported one employee activated at `at`.
#[must_use]
pub fn ended(list: &[RevokedAccess], employee: &str, at: Timestamp) -> Vec<RevokedAccess> {
    let end = |one: &RevokedAccess| match one {
        one if one.employee_id == employee && one.observed_at.0 <= at => {
            RevokedAccess { ended_at: Some(Time(at)), ..one.clone() }
        }
        one => one.clone(),
    };
    bounded(list.iter().map(end).collect(), at)
}

/// Returns the list after a pass that found these revocations to be `over`, because another
/// employment has begun. `revoked`: the revocations that hold when the list is written, and not
/// when the pass began to look. One that Bob has ended in the list stays ended: its evidence is
/// removed from the object a moment later.
#[must_use]
pub fn after(
    list: &[RevokedAccess],
    over: &BTreeSet<Box<str>>,
    revoked: &BTreeMap<Box<str>, Revoked>,
    now: Timestamp,
) -> Vec<RevokedAccess> {
    let holds = |id: &str, revoked: &Revoked| !is_over(list, id, revoked.at);
    let stays = |one: &&RevokedAccess| {
        let id = &*one.employee_id;
        !revoked.get(id).is_some_and(|revoked| holds(id, revoked))
            && (one.ended_at.is_some() || !over.contains(id))
    };
    let found = revoked
        .iter()
        .filter(|(id, revoked)| holds(id, revoked))
        .map(|(id, revoked)| entry(id, *revoked));
    bounded(list.iter().filter(stays).cloned().chain(found).collect(), now)
}

/// Returns whether Bob has reported the employee activated after this moment.
#[must_use]
pub fn is_over(list: &[RevokedAccess], employee: &str, at: Timestamp) -> bool {
    list.iter().any(|one| {
        one.employee_id == employee && one.ended_at.as_ref().is_some_and(|ended| ended.0 >= at)
    })
}

/// Gives the roster the revocations that only the integration's status has.
pub fn remember(employees: &Employees, list: &[RevokedAccess]) {
    for one in list.iter().filter(|one| one.ended_at.is_none()) {
        let start = one.start_date.as_deref().and_then(|date| date.parse().ok());
        employees.remember(&one.employee_id, Revoked { at: one.observed_at.0, start });
    }
}

fn entry(employee: &str, revoked: Revoked) -> RevokedAccess {
    RevokedAccess {
        employee_id: employee.to_owned(),
        observed_at: Time(revoked.at),
        start_date: revoked.start.map(|date| date.to_string()),
        ended_at: None,
    }
}

/// Returns the list within its limit: revocations that hold come first, then the latest of those
/// that have ended; sorted by employee.
fn bounded(mut list: Vec<RevokedAccess>, now: Timestamp) -> Vec<RevokedAccess> {
    list.retain(|one| {
        one.ended_at.as_ref().is_none_or(|ended| now.duration_since(ended.0) < OLDEST_EVIDENCE)
    });
    list.sort_unstable_by_key(|one| (one.ended_at.is_some(), std::cmp::Reverse(one.observed_at.0)));
    list.truncate(MOST);
    list.sort_unstable_by(|a, b| a.employee_id.cmp(&b.employee_id));
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_ends_once_and_is_forgotten_when_bob_repeats_nothing_any_more() {
        let at = |hours: i64| Timestamp::from_second(hours * 3600).unwrap();
        let revoked = |hours| Revoked { at: at(hours), start: None };
        let nobody = BTreeMap::new();
        let (none, seven) = (BTreeSet::new(), BTreeSet::from(["7".into()]));
        let list = with(&[], "7", revoked(10));
        assert_eq!(
            after(&list, &none, &nobody, at(11)),
            list,
            "a pass that found nothing of it to be over leaves it"
        );
        assert_eq!(after(&list, &seven, &nobody, at(11)), [], "another start date has ended it");
        let found = BTreeMap::from([("7".into(), revoked(11))]);
        assert_eq!(
            after(&list, &seven, &found, at(11)),
            with(&[], "7", revoked(11)),
            "one that came while the pass looked holds"
        );
        assert_eq!(ended(&list, "7", at(9)), list, "an activation before it does not end it");
        let over = ended(&list, "7", at(20));
        assert!(
            is_over(&over, "7", at(10))
                && is_over(&over, "7", at(20))
                && !is_over(&over, "7", at(21))
                && !is_over(&over, "8", at(1))
        );
        assert_eq!(after(&over, &seven, &nobody, at(30)), over);
        let ending = BTreeMap::from([("7".into(), revoked(10))]);
        assert_eq!(
            after(&over, &none, &ending, at(21)),
            over,
            "the evidence that is being removed does not begin anew"
        );
        assert_eq!(after(&over, &none, &nobody, at(20 + 97)), []);
        assert_eq!(with(&over, "7", revoked(40)).len(), 1, "a later one takes its place");
        let found = BTreeMap::from([("7".into(), revoked(40))]);
        assert_eq!(after(&over, &none, &found, at(41)), with(&over, "7", revoked(40)));
        let many =
            (0..1100).fold(over, |list, one| with(&list, &(100 + one).to_string(), revoked(50)));
        assert!(many.len() == 1000 && !is_over(&many, "7", at(10)), "those that hold come first");
    }
}
