//! Step 2 of a full pass. Bob is read by one search, and the employees that it lacks are read one
//! by one. The provider's accounts are read by one listing, directly into the matcher.

use jiff::Timestamp;

use super::SeenBob;
use crate::{
    api::reasons::IntegrationReason,
    bob,
    cluster::roster::Employees,
    domain::{
        employee::{self, Employee, SITE},
        mapping::Mapping,
        matching::Matcher,
        missing::{MissingEmployee, Words},
        safety::Read,
        settings::Settings,
    },
    engine::{
        pass::{
            answered::{company, is_just_deleted, shown},
            confirm::{Confirmed, Confirming},
            last_read::LastRead,
            report::{Absent, BobFound},
        },
        stop::{Stop, bob_stop, provider_stop},
    },
    provider::{Listing, Provider},
};

/// Reads all employees, and confirms which files are gone.
///
/// # Errors
/// A [`Stop`]: without Bob there is no pass.
pub async fn employees(
    bob: &bob::Client,
    settings: &Settings,
    roster: &Employees,
    last: &LastRead,
    now: Timestamp,
) -> Result<SeenBob, Stop> {
    let fields = &settings.mapping.fields;
    let mut people = bob.everybody(fields).await.map_err(bob_stop)?;
    let mut unseen_fields = unseen(settings, &people);
    if !unseen_fields.is_empty() && have_moved(bob, settings, &unseen_fields).await? {
        people = bob.everybody(fields).await.map_err(bob_stop)?;
        unseen_fields = unseen(settings, &people);
    }
    let in_bob = u32::try_from(people.employees.len()).unwrap_or(u32::MAX);
    if let Some(stop) = blind(&people) {
        return Err(stop);
    }
    let suspicion = settings.short_read.judge(&Read {
        before: last.believed,
        count: in_bob,
        at: now,
        suspicion: last.suspicion,
        apart: last.apart,
        asked: last.asked,
    });
    let company = company(settings, &people.employees);
    let mut source = SeenBob {
        employees: people.employees,
        company,
        found: BobFound {
            answered: Some(true),
            in_bob: Some(in_bob),
            suspicion,
            unseen_fields,
            ..BobFound::default()
        },
        ..SeenBob::default()
    };
    roster.shown(shown(&source.employees));
    let Apart { missing, mut gone, expected } = compare(roster, &mut source.employees, now);
    let still_missing: Vec<Box<str>>;
    if suspicion.is_some() {
        still_missing = missing.into_iter().map(|missing| missing.id).collect();
        source.suspect = Some(short_answer(in_bob, last.believed));
    } else {
        let confirming = Confirming { bob, fields, roster, last, now };
        let confirmed = confirming.run(Words::of(&source.employees), missing).await?;
        source.suspect = confirmed.why_suspect();
        roster.shown(shown(&confirmed.found));
        source.employees.extend(confirmed.found);
        let sites = source.employees.iter().filter_map(|employee| employee.values.get(SITE).text());
        source.found.zones = Some(settings.zones.gaps(sites));
        gone.extend(confirmed.gone.iter().cloned());
        source.deleted_now.extend(confirmed.gone);
        still_missing = confirmed.missing;
        source.found.absent = Absent {
            unconfirmed: confirmed.unconfirmed,
            forbidden: confirmed.forbidden,
            again: confirmed.again,
            memory: Some(confirmed.memory),
            hides_leavers: confirmed.hides_leavers,
        };
    }
    source.employees.extend(gone.iter().map(|id| Employee::gone(id)));
    source.employees.extend(expected.iter().map(|id| Employee::expected(id)));
    // Absence is no evidence, and it does not remove evidence: a leaver on record stays a leaver
    // until Bob shows otherwise.
    let left = |id: &str| {
        settings.disabling_trigger
            && roster.with(id, |entry| entry.is_some_and(|entry| entry.has_left(now)))
    };
    source
        .employees
        .extend(still_missing.iter().filter(|id| left(id)).map(|id| Employee::unread(id)));
    Ok(source)
}

/// The employees that the roster knows and that Bob does not show.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Apart {
    /// They were in Bob.
    pub missing: Vec<MissingEmployee>,
    /// Their file is deleted.
    pub gone: Vec<Box<str>>,
    /// They were never in Bob.
    pub expected: Vec<Box<str>>,
}

/// Compares Bob's answer with the roster, in one walk. Bob may have reported deletions that its
/// answer does not show yet: these employees are removed from the answer.
pub fn compare(roster: &Employees, answer: &mut Vec<Employee>, now: Timestamp) -> Apart {
    let mut apart = Apart::default();
    let mut just_deleted: foldhash::HashSet<Box<str>> = foldhash::HashSet::default();
    {
        let present: foldhash::HashSet<&str> = answer.iter().map(Employee::id).collect();
        roster.for_each(|employee, entry| {
            let deleted = is_just_deleted(entry, now);
            if deleted {
                just_deleted.insert(employee.into());
            }
            if present.contains(employee) && !deleted {
                return;
            }
            if entry.file_deleted.is_some() {
                apart.gone.push(employee.into());
            } else if entry.was_in_bob() {
                apart.missing.push(MissingEmployee {
                    id: employee.into(),
                    word: entry.lifecycle,
                    absence: entry.absence,
                });
            } else {
                apart.expected.push(employee.into());
            }
        });
    }
    answer.retain(|present| !just_deleted.contains(present.id()));
    apart
}

impl Confirmed {
    /// Returns why the answer is not believed about missing employees, if a whole lifecycle status
    /// is missing.
    fn why_suspect(&self) -> Option<String> {
        (!self.lost.is_empty()).then(|| lost_statuses(&self.lost))
    }
}

/// Returns why an answer of Bob with too few employees is not believed, and what helps.
#[must_use]
pub fn short_answer(in_bob: u32, believed: u32) -> String {
    format!(
        "Bob answered with {in_bob} employees, and with {believed} in the last answer that bobsync \
         believed; bobsync does not act on who is missing until a later answer says the same or a \
         sync of the integration is requested. Check which employees the service user may see"
    )
}

/// Returns why an answer of Bob without these lifecycle statuses is not believed, and what helps.
#[must_use]
pub fn lost_statuses(lost: &[String]) -> String {
    format!(
        "Bob's answer has no employee with the lifecycle status {} any more, and employees who had \
         it are missing: the service user's permission group may have lost the right to see it; \
         bobsync does not act on who is missing. Let the group see every lifecycle status. For an \
         employee with a file that was really deleted, request a sync of the EmployeeSync",
        lost.join(", ")
    )
}

/// Returns the fields that the settings or the decisions need and that Bob sent for no employee. A
/// field that is empty for all employees did come, because Bob sends null.
fn unseen(settings: &Settings, people: &bob::People) -> Vec<String> {
    if people.employees.is_empty() {
        return Vec::new();
    }
    let fields = settings.mapping.fields.ids().iter().zip(&people.seen).enumerate();
    let ends = [employee::TERMINATION, employee::LAST_DAY];
    let decides =
        |field| field == employee::START || (settings.disabling_trigger && ends.contains(&field));
    fields
        .filter(|(field, (_, seen))| !**seen && (settings.uses(*field) || decides(*field)))
        .map(|(_, (id, _))| employee::known_to_bob(id).to_owned())
        .fold(Vec::new(), |mut ids, id| {
            if !ids.contains(&id) {
                ids.push(id);
            }
            ids
        })
}

/// Asks Bob about fields that it sent for no employee. Returns whether one of them is to be looked
/// for in another place. A field that is missing in its right place is hidden from the service
/// user.
///
/// # Errors
/// A [`Stop`] that names a field that does not exist, and those that may be meant.
async fn have_moved(
    bob: &bob::Client,
    settings: &Settings,
    unseen: &[String],
) -> Result<bool, Stop> {
    let ids: Vec<&str> = unseen.iter().map(String::as_str).collect();
    let catalogue = match bob.catalogue(&ids).await {
        Ok(catalogue) => catalogue,
        Err(error @ bob::Error::Unauthorized) => return Err(bob_stop(error)),
        Err(error) => {
            tracing::warn!(%error, "Bob did not say which fields it has; a field that came with no \
                employee counts as hidden");
            return Ok(false);
        }
    };
    if let Some(id) = ids.iter().find(|id| !catalogue.has(id)) {
        let place = match settings.mapping.fields.position(id) {
            Some(field) if settings.mapping.uses(field) => "spec.mapping",
            Some(_) | None => "spec.provisioning.scope",
        };
        let nearest = catalogue.nearest(id);
        let hint = if nearest.is_empty() {
            "see Bob's field ids".to_owned()
        } else {
            format!("did you mean {}?", nearest.join(" or "))
        };
        return Err(Stop::new(
            IntegrationReason::InvalidSettings,
            format!("In {place}: Bob has no field `{id}`; {hint}"),
        ));
    }
    Ok(bob.look_where(&catalogue, &ids))
}

/// Returns a stop if the lifecycle is missing, because no employee can be judged without it. That
/// is a missing permission and not a fact about employees.
fn blind(people: &bob::People) -> Option<Stop> {
    (!people.employees.is_empty() && !people.seen[employee::LIFECYCLE]).then(|| {
        Stop::new(
            IntegrationReason::BobForbidden,
            "Bob shows internal.lifecycleStatus of no employee, and without it bobsync cannot \
             decide who has access: give the service user's permission group the right to view the \
             Lifecycle category",
        )
    })
}

/// Lists the provider's accounts into the matcher. `one` is called for each account.
///
/// # Errors
/// A [`Stop`]: without the listing there is no plan.
pub async fn accounts(
    provider: &dyn Provider,
    mapping: &Mapping,
    matcher: &mut Matcher<'_>,
    one: &(dyn Fn() + Sync),
) -> Result<Listing, Stop> {
    provider
        .list(mapping, &mut |account| {
            one();
            matcher.see(account);
        })
        .await
        .map_err(|error| provider_stop(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{EmployeeSync, key::IntegrationKey},
        cluster::roster::{Roster, visited},
    };

    fn now() -> Timestamp {
        "2026-11-20T10:00:30Z".parse().expect("a time")
    }

    fn key() -> IntegrationKey {
        IntegrationKey { namespace: "people".into(), name: "onelogin".into() }
    }

    fn object(id: &str, status: serde_json::Value) -> EmployeeSync {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": format!("onelogin-{id}"), "namespace": "people",
                "resourceVersion": "1"},
            "spec": {"integrationRef": {"name": "onelogin"}, "employeeId": id},
            "status": status,
        }))
        .expect("an EmployeeSync")
    }

    fn deleted(at: &str) -> serde_json::Value {
        serde_json::json!({"access": "Active", "account": {"id": "1", "matchedBy": "Mark"},
            "evidence": {"kind": "FileDeleted", "observedAt": at}})
    }

    #[test]
    fn who_was_just_deleted_is_taken_out_and_who_is_missing_is_sorted() {
        let roster = Roster::default();
        let managed =
            || serde_json::json!({"access": "Active", "account": {"id": "1", "matchedBy": "Mark"}});
        for (id, status) in [
            ("here", managed()),
            ("just", deleted("2026-11-20T10:00:00Z")),
            ("back", deleted("2026-11-19T10:00:00Z")),
            ("gone", deleted("2026-11-19T10:00:00Z")),
            ("away", managed()),
            ("pinned", serde_json::Value::Null),
        ] {
            roster.see(&object(id, status));
        }
        let mut answer: Vec<Employee> =
            ["here", "just", "back", "new"].map(Employee::expected).into();
        let mut apart = compare(&roster.of(&key()), &mut answer, now());
        let left: Vec<&str> = answer.iter().map(Employee::id).collect();
        assert_eq!(left, ["here", "back", "new"]);
        apart.gone.sort_unstable();
        assert_eq!(apart.gone, ["gone".into(), "just".into()]);
        assert_eq!(apart.expected, ["pinned".into()]);
        assert_eq!(apart.missing.iter().map(|missing| &*missing.id).collect::<Vec<_>>(), ["away"]);
    }

    #[test]
    fn a_deletion_adds_no_walk_over_the_employees() {
        for (people, deletions) in [(200, 0), (200, 100), (800, 400)] {
            let roster = Roster::default();
            let id = |place: usize| place.to_string();
            for place in 0..people {
                let at =
                    if place < deletions { "2026-11-20T10:00:00Z" } else { "2020-01-01T00:00:00Z" };
                roster.see(&object(&id(place), deleted(at)));
            }
            let mut answer: Vec<Employee> =
                (0..people).map(|place| Employee::expected(&id(place))).collect();
            let employees = roster.of(&key());
            let (apart, rows) = visited::during(|| compare(&employees, &mut answer, now()));
            assert_eq!((apart.gone.len(), answer.len()), (deletions, people - deletions));
            assert_eq!(rows, people, "{deletions} deletions among {people} employees");
        }
    }
}
