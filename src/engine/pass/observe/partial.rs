//! Step 2 of a partial pass. Bob is read by one search with a filter for all of them. The
//! provider is read by one look-up for each account on record. If Bob does not show an announced
//! change yet, the employee is listed for another look: a read may be up to 20 s behind a change
//! (apidocs.hibob.com, "Update employee").

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;

use super::SeenBob;
use crate::{
    api::employee_sync::Trigger,
    bob,
    cluster::roster::{Employees, Entry},
    domain::{
        account::{Account, AccountState},
        employee::{Cell, Employee, LIFECYCLE, known_to_bob},
        mapping::{Compare, Desired, Mapping},
        matching::Person,
        missing::{Absence, MissingEmployee, StatusAnswer, Words},
        priority::Urgency,
        settings::Settings,
    },
    engine::{
        intake::lines::Causes,
        pass::{
            answered::{company, is_just_deleted, row, shown},
            scope::Rest,
        },
        stop::{Stop, bob_stop, provider_stop},
    },
    provider::{self, Key, Provider, call::BACK_IN_LINE},
};

/// The number of ids in one filter. Bob does not publish its limit.
const CHUNK: usize = 100;
/// How many look-ups at the provider are under way at the same time.
const AT_ONCE: usize = 8;
/// Returns whether a look-up that waits for its turn is still wanted.
pub type StillWanted<'a> = &'a (dyn Fn() -> bool + Sync);

/// What Bob answered, as far as it was asked.
#[derive(Debug, Default)]
pub struct PartialSight {
    /// The employees to decide on.
    pub employees: Vec<Employee>,
    /// The employees with a change that Bob does not show yet, and those that Bob does not have
    /// yet.
    pub unseen: Vec<Box<str>>,
    /// The employees that Bob gave no answer about.
    pub unread: Vec<Box<str>>,
    /// The employees for which a search looked for all accounts with their mark.
    pub searched: HashSet<Box<str>>,
    /// The id of the company in Bob.
    pub company: Option<u64>,
    /// The employees with a file that was confirmed to be gone.
    pub deleted_now: HashSet<Box<str>>,
    /// Whether only an answer about all employees can judge one of these.
    pub in_doubt: bool,
    /// The fields that Bob sent for at least one of these employees.
    pub fields: HashSet<Box<str>>,
}

impl From<PartialSight> for SeenBob {
    fn from(seen: PartialSight) -> Self {
        let PartialSight { unseen, unread, in_doubt, .. } = seen;
        Self {
            employees: seen.employees,
            rest: Rest { unseen, unread, in_doubt, ..Rest::default() },
            company: seen.company,
            deleted_now: seen.deleted_now,
            searched: seen.searched,
            ..Self::default()
        }
    }
}

/// Reads these employees. If an earlier look found no change for an employee, the employee is
/// decided on only if there is a change now.
///
/// # Errors
/// A [`Stop`]: Bob does not answer, or not to this service user.
pub async fn employees(
    bob: &bob::Client,
    settings: &Settings,
    roster: &Employees,
    wanted: &Causes,
    urgency: Urgency,
    now: Timestamp,
    apart: Duration,
) -> Result<PartialSight, Stop> {
    let fields = &settings.mapping.fields;
    let mut seen = PartialSight::default();
    let mut ids: Vec<&str> = wanted.keys().map(|id| &**id).collect();
    ids.sort_unstable_by_key(|id| (wanted[*id].class, wanted[*id].since, *id));
    let mut found: HashMap<Box<str>, Employee> = HashMap::new();
    for chunk in ids.chunks(CHUNK) {
        let people = bob.some(fields, chunk, urgency).await.map_err(bob_stop)?;
        roster.shown(shown(&people.employees));
        seen.company = seen.company.or_else(|| company(settings, &people.employees));
        seen.fields.extend(
            fields
                .ids()
                .iter()
                .zip(&people.seen)
                .filter(|(_, came)| **came)
                .map(|(field, _)| known_to_bob(field).into()),
        );
        found.extend(people.employees.into_iter().map(|employee| (employee.id().into(), employee)));
    }
    for id in ids {
        let waiting = &wanted[id];
        // Bob does not show the employee, so what is on record counts.
        let on_record = |entry: &Entry| {
            (settings.disabling_trigger && entry.has_left(now)).then(|| Employee::unread(id))
        };
        let entry = roster.get(id);
        let known_row = entry.as_ref().map_or(0, |entry| entry.row);
        if let Some(employee) = found.remove(id) {
            if entry.as_ref().is_some_and(|entry| is_just_deleted(entry, now)) {
                seen.employees.push(Employee::gone(id));
                continue;
            }
            if employee.values.get(LIFECYCLE) == Cell::Absent {
                // The field is hidden for this employee, or for all. Only an answer about all
                // employees shows which.
                seen.in_doubt = true;
                continue;
            }
            let changed = known_row != row(&employee);
            if !changed {
                seen.unseen.push(id.into());
            }
            if changed || waiting.looks == 0 {
                seen.employees.push(employee);
            }
            continue;
        }
        match entry {
            // The employee is not in Bob yet.
            None => seen.unseen.push(id.into()),
            Some(entry) if entry.file_deleted.is_some() => seen.employees.push(Employee::gone(id)),
            Some(entry) if entry.was_in_bob() => {
                if bob.free_reads(urgency) == 0 {
                    seen.unread.push(id.into());
                    continue;
                }
                match bob.one(fields, id, urgency).await {
                    Ok(Some(employee)) => {
                        roster.shown(shown(std::slice::from_ref(&employee)));
                        seen.employees.push(employee);
                    }
                    Ok(None) => {
                        let missing = MissingEmployee {
                            id: id.into(),
                            word: entry.lifecycle,
                            absence: entry.absence,
                        };
                        // This pass does not know the other employees in Bob. Instead of that
                        // knowledge, a person's request is enough for a second 404.
                        let answer =
                            StatusAnswer { shown: &Words::default(), memory: None, now, apart };
                        if answer.confirms(&missing)
                            || (waiting.trigger == Trigger::Manual && answer.is_second(&missing))
                        {
                            seen.deleted_now.insert(id.into());
                            seen.employees.push(Employee::gone(id));
                        } else {
                            seen.in_doubt |= !entry.absence.is_doubt();
                            roster.absent(id, entry.absence.not_found(now));
                            seen.employees.extend(on_record(&entry));
                        }
                    }
                    Err(bob::Error::Forbidden { .. }) => {
                        seen.in_doubt |= !entry.absence.forbidden;
                        roster.absent(id, Absence::FORBIDDEN);
                        seen.employees.extend(on_record(&entry));
                    }
                    Err(error @ bob::Error::Unauthorized) => return Err(bob_stop(error)),
                    // A missing answer is no evidence.
                    Err(_) => seen.unread.push(id.into()),
                }
            }
            Some(_) => seen.employees.push(Employee::expected(id)),
        }
    }
    Ok(seen)
}

/// Returns which of these employees lose access by evidence on record and have an open account
/// according to their status. Bob is not asked.
#[must_use]
pub fn by_evidence(roster: &Employees, wanted: &Causes) -> PartialSight {
    let mut seen = PartialSight::default();
    for id in wanted.keys() {
        let (takes, gone) = roster.with(id, |entry| {
            (
                entry.is_some_and(Entry::is_open_against_evidence),
                entry.is_some_and(|entry| entry.file_deleted.is_some()),
            )
        });
        if takes {
            seen.employees.push(if gone { Employee::gone(id) } else { Employee::unread(id) });
        }
    }
    seen
}

/// Looks accounts up. A throttled call keeps its place in the provider's line as long as needed. If
/// it left the line, all callers that wait there would go first when the window opens.
async fn look_up(
    provider: &dyn Provider,
    mapping: &Mapping,
    key: Key<'_>,
    wanted: StillWanted<'_>,
) -> Result<Vec<Account<'static>>, provider::Error> {
    loop {
        match provider.find(mapping, key).await {
            Err(provider::Error::Throttled { .. }) if wanted() => {
                tokio::time::sleep(BACK_IN_LINE).await
            }
            Err(provider::Error::NotFound) => return Ok(Vec::new()),
            found => return found,
        }
    }
}

/// Looks up the accounts on record. If one employee has several accounts, it looks up all accounts
/// with the mark. Removes the employees that cannot be looked up now, because a missing answer is
/// no evidence. An employee with a refused look-up stays, and the refusal is reported when the
/// change is tried.
///
/// # Errors
/// A [`Stop`]: the credential is refused.
pub async fn accounts(
    provider: &dyn Provider,
    mapping: &Mapping,
    roster: &Employees,
    seen: &mut PartialSight,
    wanted: StillWanted<'_>,
) -> Result<Vec<Account<'static>>, Stop> {
    let searches = provider.capabilities().searches_marks;
    let recorded = seen.employees.iter().filter_map(|employee| {
        let (account, several) = roster.with(employee.id(), |entry| {
            let account = entry.and_then(|entry| entry.known_account().map(Box::<str>::from));
            (account, searches && entry.is_some_and(|entry| entry.several))
        });
        (account.is_some() || several).then(|| (Box::<str>::from(employee.id()), account, several))
    });
    let recorded: Vec<_> = recorded.collect();
    let looked_up: Vec<_> = stream::iter(recorded)
        .map(|(employee, account, several)| async move {
            let own = match &account {
                Some(account) => look_up(provider, mapping, Key::Id(account), wanted).await,
                None => Ok(Vec::new()),
            };
            let own =
                own.map(|found| found.into_iter().find(|one| Some(&*one.id) == account.as_deref()));
            let marked = if several {
                Some(look_up(provider, mapping, Key::Mark(&employee), wanted).await)
            } else {
                None
            };
            (employee, own, marked)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut accounts: Vec<Account<'static>> = Vec::with_capacity(looked_up.len());
    let mut failed: HashSet<Box<str>> = HashSet::new();
    for (employee, own, marked) in looked_up {
        let first = accounts.len();
        match own {
            Ok(account) => accounts.extend(account),
            Err(
                error @ (provider::Error::Unauthorized { .. } | provider::Error::Denied { .. }),
            ) => return Err(provider_stop(&error)),
            Err(provider::Error::Forbidden { .. }) => {}
            // The accounts that were found by the mark are still used.
            Err(_) if matches!(&marked, Some(Ok(found)) if !found.is_empty()) => {
                seen.unread.push(employee.clone())
            }
            Err(error) => {
                tracing::debug!(integration = %roster.key, employee, %error,
                    "an account could not be looked up; it is tried again");
                failed.insert(employee.clone());
            }
        }
        match marked {
            Some(Ok(found)) => {
                let known: Vec<_> =
                    accounts[first..].iter().map(|account| account.id.clone()).collect();
                accounts.extend(found.into_iter().filter(|account| !known.contains(&account.id)));
                seen.searched.insert(employee);
            }
            Some(Err(error @ provider::Error::Unauthorized { .. })) => {
                return Err(provider_stop(&error));
            }
            Some(Err(error)) if !failed.contains(&employee) => {
                tracing::debug!(integration = %roster.key, employee, %error,
                    "the accounts with a mark could not be looked up; it is tried again");
                seen.unread.push(employee);
            }
            Some(Err(_)) | None => {}
        }
    }
    seen.employees.retain(|employee| !failed.contains(employee.id()));
    seen.unread.extend(failed);
    Ok(accounts)
}

/// Looks up by their mark the accounts of employees that have no account on record and lost access
/// by a revocation in Bob. Removes the employees that cannot be looked up now.
///
/// # Errors
/// A [`Stop`]: the credential is refused.
pub async fn marked(
    provider: &dyn Provider,
    mapping: &Mapping,
    roster: &Employees,
    seen: &mut PartialSight,
) -> Result<Vec<Account<'static>>, Stop> {
    let is_unknown = |employee: &&Employee| {
        roster.with(employee.id(), |entry| entry.is_some_and(Entry::is_unknown_against_evidence))
    };
    let unknown: Vec<Box<str>> =
        seen.employees.iter().filter(is_unknown).map(|employee| employee.id().into()).collect();
    let searches = provider.capabilities().searches_marks;
    let looked_up: Vec<_> = stream::iter(unknown)
        .map(|employee| async move {
            let found = if searches {
                Some(provider.find(mapping, Key::Mark(&employee)).await)
            } else {
                None
            };
            (employee, found)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut accounts = Vec::new();
    let mut failed: HashSet<Box<str>> = HashSet::new();
    for (employee, found) in looked_up {
        match found {
            Some(Ok(mut found)) => {
                found.retain(|account| account.mark.as_deref() == Some(&*employee));
                if found.iter().all(|account| account.state == AccountState::Suspended) {
                    roster.without_account(Some(&employee));
                }
                accounts.extend(found);
            }
            Some(Err(provider::Error::NotFound)) => roster.without_account(Some(&employee)),
            Some(Err(
                error @ (provider::Error::Unauthorized { .. } | provider::Error::Denied { .. }),
            )) => {
                return Err(provider_stop(&error));
            }
            Some(Err(error)) => {
                tracing::debug!(integration = %roster.key, employee, %error,
                    "an account could not be looked up by its mark; it is tried again");
                failed.insert(employee);
            }
            None => {
                tracing::warn!(integration = %roster.key, employee,
                    "access is revoked, and the account is not recorded: it waits for a full pass");
                failed.insert(employee);
            }
        }
    }
    seen.employees.retain(|employee| !failed.contains(employee.id()));
    seen.unread.extend(failed);
    Ok(accounts)
}

/// The managers that are not among the employees of a pass.
#[derive(Debug, Default)]
pub struct Managers {
    /// How accounts name these managers, by `root.id`: the id of the manager's account, or its
    /// e-mail.
    pub known: HashMap<Box<str>, Box<str>>,
    /// The employees with a manager that could not be looked up now. Their changes still go out,
    /// and they are looked at again.
    pub without_answer: Vec<Box<str>>,
}

/// Returns how the accounts of these employees name managers that are not among them. An id is on
/// record. An e-mail is read from the manager's account, with one look-up for each manager.
///
/// # Errors
/// A [`Stop`]: the credential is refused.
pub async fn managers(
    provider: &dyn Provider,
    mapping: &Mapping,
    roster: &Employees,
    people: &[Person],
    wanted: StillWanted<'_>,
) -> Result<Managers, Stop> {
    let mut managers = Managers::default();
    let Some(row) = mapping.manager else { return Ok(managers) };
    let present: HashSet<&str> = people.iter().map(|person| person.employee.id()).collect();
    let reports: Vec<(&str, &str)> = people
        .iter()
        .filter(|person| person.decision.managed && !person.employee.deleted)
        .filter_map(|person| match mapping.desired(row, &person.employee) {
            Desired::Person(manager) if !present.contains(manager) => {
                Some((person.employee.id(), manager))
            }
            _ => None,
        })
        .collect();
    let distinct: HashSet<&str> = reports.iter().map(|(_, manager)| *manager).collect();
    let mut recorded: Vec<(Box<str>, Box<str>)> = Vec::new();
    for manager in distinct {
        let account =
            roster.with(manager, |entry| entry?.account.as_ref().map(|(id, _)| id.clone()));
        recorded.extend(account.map(|account| (manager.into(), account)));
    }
    if mapping.rows[row].compare != Compare::PersonByEmail {
        managers.known = recorded.into_iter().collect();
        return Ok(managers);
    }
    let looked_up: Vec<_> = stream::iter(recorded)
        .map(|(manager, account)| async move {
            let found = look_up(provider, mapping, Key::Id(&account), wanted).await;
            (manager, found.map(|found| found.into_iter().find(|one| *one.id == *account)))
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut failed: HashSet<Box<str>> = HashSet::new();
    for (manager, found) in looked_up {
        match found {
            Ok(account) => {
                let ours = account
                    .filter(|account| account.mark.as_deref().is_none_or(|mark| *mark == *manager));
                managers.known.extend(
                    ours.and_then(|account| account.email).map(|email| (manager, (*email).into())),
                );
            }
            // A manager that the credential cannot reach is left as it is.
            Err(provider::Error::Forbidden { .. }) => {}
            Err(
                error @ (provider::Error::Unauthorized { .. } | provider::Error::Denied { .. }),
            ) => return Err(provider_stop(&error)),
            Err(error) => {
                tracing::debug!(integration = %roster.key, manager, %error,
                    "a manager's account could not be looked up; it is tried again");
                failed.insert(manager);
            }
        }
    }
    managers.without_answer = reports
        .iter()
        .filter(|(_, manager)| failed.contains(*manager))
        .map(|(report, _)| (*report).into())
        .collect();
    Ok(managers)
}
