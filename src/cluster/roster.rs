//! What the controller remembers of every `EmployeeSync`: a compact row in place of the object. The
//! rows come from the watch and from the controller's own writes. The newer one counts.

#[cfg(test)]
mod apart_tests;
mod asked;
mod employees;
mod figures;
mod latest;
mod objects;
mod people;
mod reading;
mod seen;
mod standing;
mod tries;
#[cfg(test)]
mod versions_tests;
pub(crate) mod visited;

use std::{num::NonZeroU64, sync::Arc};

use foldhash::HashMap;
use jiff::Timestamp;
use kube::ResourceExt as _;
use parking_lot::Mutex;
use tokio::sync::Notify;

pub use self::{
    asked::Hold,
    employees::Employees,
    latest::Latest,
    objects::{Owner, Tie, object_name, owner_reference, owners, version},
    people::Sums,
    reading::{digest, evidence, met, same},
    standing::{Counts, Standing},
};
use self::{
    objects::key_of,
    people::Entries,
    reading::{
        access, awaiting_manager, ended, kept, managed_by_another, only_found, overrides, proof,
        several, unready_since,
    },
};
use crate::{
    api::{
        EmployeeSync, SYNC_REQUESTED,
        employee_sync::{Access, Because, MatchedBy},
        key::IntegrationKey,
    },
    domain::{
        drift::InPlace,
        ended::Ended,
        kept::Kept,
        known::{Met, Overrides, Revoked},
        missing::{Absence, Word},
        why::Why,
    },
};

/// One `EmployeeSync`, as far as a pass needs it.
// Each is a fact of its own about one object, not a state in pieces.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Whether the object exists now. When the object is deleted, what is known of the employee
    /// stays, because the account still exists: a revocation, what the employee waits for, and the
    /// latest changes.
    pub exists: bool,
    /// Whether the object was deleted and still exists. Nothing is written to it.
    pub going: bool,
    /// The owner of the object.
    pub owner: Owner,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.resourceVersion` as a number, to tell older versions from newer ones.
    version: u64,
    /// What the spec asks for; `None` if it asks for nothing.
    pub overrides: Option<Box<Overrides>>,
    /// What was done for the employee before; `None` without a status.
    pub met: Option<Met>,
    /// Access according to the status.
    pub access: Option<Access>,
    /// The employee's state according to the status.
    pub standing: Standing,
    /// Whether the status says that another integration manages the employee.
    managed_by_another: bool,
    /// Evidence that access is revoked at once.
    pub revoked: Option<Revoked>,
    /// The end of the employment that the status names. It may be in the future.
    ended: Option<Box<Ended>>,
    /// The account that bobsync has written to, and how it was found.
    pub account: Option<(Box<str>, MatchedBy)>,
    /// An account that was found by e-mail and is shown. Nothing has been written to it, and it
    /// belongs to no integration.
    pub found: Option<Box<str>>,
    /// Whether the status says that the employee has several accounts.
    pub several: bool,
    /// When the read by id first said that the file is gone.
    pub file_deleted: Option<Timestamp>,
    /// When a change of each kind was last sent.
    pub latest: Latest,
    /// Whether the status says that the start date brings access.
    pub awaited_start: bool,
    /// Whether the status says that the manager has no account.
    pub awaiting_manager: bool,
    /// The employee's part in a plan that is held, or that was approved and is not finished.
    pub part: Option<NonZeroU64>,
    /// The values that were last in place on the account, if the status has them.
    pub in_place: Option<Box<InPlace>>,
    /// Values that the provider stores in another form than the one that was sent.
    pub kept: Option<Box<Kept>>,
    /// A sync request that has not been answered yet.
    pub sync_requested: Option<Box<str>>,
    /// The sync request that was answered last.
    pub sync_handled: Option<Box<str>>,
    /// [`digest`] of the status in the API server.
    pub digest: u64,
    /// The next moment at which the decision changes by itself, in seconds of the epoch, and the
    /// access from then on.
    pub next: Option<(i64, Access)>,
    /// Since when the status says that something differs from the decision, in seconds of the
    /// epoch; 0 if nothing does.
    unready_since: u32,
    /// The hash of Bob's row that was last looked at; 0 if there was none.
    pub row: u64,
    /// The lifecycle status that Bob last showed to this process, or that the status names.
    pub lifecycle: Word,
    /// What reads by id have returned, if Bob's answer does not contain the employee.
    pub absence: Absence,
    /// Whether the API server refuses the object, or its status.
    pub unrecorded: bool,
    /// Whether the controller is writing a status. The watch may bring it before the answer
    /// arrives.
    writing: bool,
    /// Whether the answer to an own write had another spec or another request than was known. The
    /// watch has not brought it yet, so no pass was asked to look at it.
    unheard: bool,
    /// The hash of the verdict that this status was written from; 0 if it is not known.
    pub verdict: u64,
}

/// What a watch event means for an integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// A pass would do nothing differently: the event is an own write, or repeats one.
    Nothing,
    /// The spec, a sync request or the status was changed by another writer, or the object was
    /// deleted.
    Wake,
}

/// Every `EmployeeSync` of every integration. Each integration has a lock of its own, and none is
/// held for long: what one integration does delays no other.
#[derive(Clone, Default)]
pub struct Roster {
    /// The integrations that exist or that an object names. This lock is held only to find one, to
    /// add one or to remove one.
    integrations: Arc<Mutex<HashMap<IntegrationKey, Arc<Employees>>>>,
    /// Notified of every pin that has an owner.
    owned_pin: Arc<Notify>,
}

impl Roster {
    /// Returns what is known of the employees of this integration. If nothing is known of it, that
    /// stays so: what the result then takes in is known to no other caller.
    #[must_use]
    pub fn of(&self, key: &IntegrationKey) -> Arc<Employees> {
        self.find(key).unwrap_or_else(|| Arc::new(Employees::of(key.clone())))
    }

    /// Notes that an integration of this name exists, and returns what is known of its employees.
    pub fn come(&self, key: &IntegrationKey) -> Arc<Employees> {
        self.among(key, |employees, people| {
            people.come();
            employees.clone()
        })
    }

    /// Forgets an integration that is gone, and everything that no object shows. Objects and
    /// revocations that outlive the integration stay known, with what they say, until they are gone
    /// as well.
    pub fn leave(&self, key: &IntegrationKey) {
        if let Some(employees) = self.find(key) {
            employees.rows().leave();
            self.drop_if_empty(&employees);
        }
    }

    fn find(&self, key: &IntegrationKey) -> Option<Arc<Employees>> {
        self.integrations.lock().get(key).cloned()
    }

    /// Returns every integration of `namespace` (all namespaces if `None`).
    fn within(&self, namespace: Option<&str>) -> Vec<Arc<Employees>> {
        let all = self.integrations.lock();
        let within = |key: &IntegrationKey| namespace.is_none_or(|n| *n == *key.namespace);
        all.iter().filter(|(key, _)| within(key)).map(|(_, employees)| employees.clone()).collect()
    }

    /// Calls `change` for an integration, which is added if nothing is known of it.
    fn among<T>(
        &self,
        key: &IntegrationKey,
        change: impl FnOnce(&Arc<Employees>, &mut Entries) -> T,
    ) -> T {
        loop {
            let employees = self
                .integrations
                .lock()
                .entry(key.clone())
                .or_insert_with(|| Arc::new(Employees::of(key.clone())))
                .clone();
            let mut people = employees.rows();
            if !people.is_dropped() {
                return change(&employees, &mut people);
            }
            // It was dropped after it was found here.
            drop(people);
            self.remove(&employees);
        }
    }

    /// Drops an integration that is gone, once nothing is known of it any more.
    fn drop_if_empty(&self, employees: &Arc<Employees>) {
        if employees.rows().drop_if_empty() {
            self.remove(employees);
        }
    }

    fn remove(&self, employees: &Arc<Employees>) {
        let mut all = self.integrations.lock();
        if all.get(&employees.key).is_some_and(|known| Arc::ptr_eq(known, employees)) {
            all.remove(&employees.key);
        }
    }

    /// Takes in an object that the watch or a write brought.
    pub fn see(&self, object: &EmployeeSync) -> News {
        let Some((key, employee)) = key_of(object) else { return News::Nothing };
        let fresh = entry(object);
        let untie = fresh.tie() == Some(Tie::Untie);
        let news = self.among(&key, |_, people| people.see(employee, fresh, is_of_another(object)));
        if untie {
            self.owned_pin.notify_one();
        }
        news
    }

    /// Takes out an object that was deleted. Returns its integration and its employee, because the
    /// object is made again while the employee exists.
    pub fn gone(&self, object: &EmployeeSync) -> Option<(IntegrationKey, Box<str>)> {
        let (key, employee) = key_of(object)?;
        let employees = self.find(&key)?;
        let version = version(object);
        let mut people = employees.rows();
        // This is an older object of the same name: the known one is newer.
        people.get(&employee).filter(|entry| entry.exists && entry.version <= version)?;
        people.lose(&employee, version);
        drop(people);
        self.drop_if_empty(&employees);
        Some((key, employee))
    }

    /// Returns the newest known version of all objects of `namespace` (all namespaces if `None`). A
    /// list that is requested now is not older.
    #[must_use]
    pub fn newest(&self, namespace: Option<&str>) -> u64 {
        let newest = |employees: Arc<Employees>| {
            employees.rows().iter().map(|(_, entry)| entry.version).max()
        };
        self.within(namespace).into_iter().filter_map(newest).max().unwrap_or(0)
    }

    /// Takes in a complete list of `namespace` (all namespaces if `None`) that has this `version`
    /// or a later one. An object that is not in the list and not newer was deleted without an
    /// event.
    pub fn keep_only(
        &self,
        namespace: Option<&str>,
        version: u64,
        listed: &std::collections::HashSet<(Arc<str>, Box<str>)>,
    ) -> Vec<IntegrationKey> {
        let mut woken = Vec::new();
        for employees in self.within(namespace) {
            let key = &employees.key;
            let unlisted = |employee: &str| {
                !listed.contains(&(key.namespace.clone(), object_name(&key.name, employee).into()))
            };
            let gone = |entry: &Entry| entry.exists && entry.version <= version;
            let mut people = employees.rows();
            let lost: Vec<Box<str>> = people
                .iter()
                .filter(|(employee, entry)| gone(entry) && unlisted(employee))
                .map(|(employee, _)| employee.into())
                .collect();
            lost.iter().for_each(|employee| people.lose(employee, version));
            drop(people);
            if !lost.is_empty() {
                woken.push(key.clone());
            }
            self.drop_if_empty(&employees);
        }
        woken
    }

    /// Returns the number of objects of all integrations.
    #[must_use]
    pub fn objects(&self) -> usize {
        self.within(None).iter().map(|employees| employees.count()).sum()
    }
}

/// Returns whether a person or Git wrote this object: it has neither a status nor an owner. The
/// controller's own object will soon have a status.
fn is_of_another(object: &EmployeeSync) -> bool {
    object.status.is_none() && object.owner_references().is_empty()
}

fn entry(object: &EmployeeSync) -> Entry {
    let status = object.status.as_ref();
    let handled = status.and_then(|s| s.last_handled_sync_at.as_deref());
    let account = status.and_then(|s| s.account.as_ref());
    let only_found = status.is_some_and(only_found);
    let proof = status.map(proof).unwrap_or_default();
    let requested = object
        .metadata
        .annotations
        .as_ref()
        .and_then(|a| a.get(SYNC_REQUESTED))
        .map(String::as_str);
    Entry {
        exists: true,
        going: object.metadata.deletion_timestamp.is_some(),
        owner: Owner::of(object),
        generation: object.metadata.generation.unwrap_or(0),
        version: version(object),
        overrides: overrides(&object.spec),
        met: status.and_then(met),
        access: status.and_then(|status| access(object, status)),
        standing: status.map(Standing::of).unwrap_or_default(),
        managed_by_another: status.is_some_and(managed_by_another),
        revoked: proof.revoked,
        ended: status.and_then(ended),
        account: account.filter(|_| !only_found).map(|a| (a.id.as_str().into(), a.matched_by)),
        found: account.filter(|_| only_found).map(|a| a.id.as_str().into()),
        several: status.is_some_and(several),
        file_deleted: proof.file_deleted,
        latest: status.map(Latest::of_status).unwrap_or_default(),
        awaited_start: status
            .and_then(|s| s.next_transition.as_ref())
            .is_some_and(|next| next.because == Because::StartDate),
        awaiting_manager: status.is_some_and(awaiting_manager),
        part: status
            .and_then(|s| u64::from_str_radix(s.held_part.as_deref()?, 16).ok())
            .and_then(NonZeroU64::new),
        in_place: status
            .map(|s| &s.last_applied)
            .filter(|list| !list.is_empty())
            .map(|list| Box::new(InPlace::from_list(list.iter().map(String::as_str)))),
        kept: status.and_then(kept),
        next: status
            .and_then(|s| s.next_transition.as_ref())
            .and_then(|next| Some((next.at.parse::<Timestamp>().ok()?.as_second(), next.access))),
        unready_since: status.map_or(0, unready_since),
        row: 0,
        lifecycle: status
            .and_then(ended)
            .filter(|e| e.why == Why::Terminated)
            .map_or(Word::default(), |_| Word::terminated()),
        absence: Absence::default(),
        sync_requested: requested.filter(|r| Some(*r) != handled).map(Into::into),
        // Without a request, nothing was answered: another writer wrote it, or the request is gone.
        sync_handled: handled.filter(|_| requested.is_some()).map(Into::into),
        digest: status.map_or(0, digest),
        unrecorded: false,
        writing: false,
        unheard: false,
        verdict: 0,
    }
}

impl Entry {
    /// Notes that the object was deleted at this version, so that its spec no longer counts.
    /// Another object of this name is newer.
    fn lose_object(&mut self, version: u64) {
        *self = Self {
            exists: false,
            going: false,
            owner: Owner::default(),
            generation: 1,
            version,
            overrides: None,
            sync_requested: None,
            sync_handled: None,
            digest: 0,
            writing: false,
            unheard: false,
            verdict: 0,
            ..self.clone()
        };
    }

    /// Returns this entry in place of `known`. An object without a status says nothing about the
    /// employee, and an object with only evidence says nothing about the account. So what was known
    /// stays.
    fn after(mut self, known: &Self) -> Self {
        (self.row, self.lifecycle, self.absence) =
            (known.row, known.lifecycle.or(self.lifecycle), known.absence);
        self.kept = self.kept_after(known);
        // What was sent stays sent, for the same object and for another one.
        let latest = self.latest.or_later(&known.latest);
        if self.says_something() {
            return Self { latest, ..self };
        }
        Self {
            account: self.account.or_else(|| known.account.clone()),
            found: self.found.or_else(|| known.found.clone()),
            several: self.several || known.several,
            met: self.met.or(known.met),
            access: self.access.or(known.access),
            standing: if self.digest == 0 { known.standing } else { self.standing },
            managed_by_another: if self.digest == 0 {
                known.managed_by_another
            } else {
                self.managed_by_another
            },
            // The evidence has been written again, or removed.
            revoked: if self.digest == 0 { known.revoked } else { self.revoked },
            ended: self.ended.or_else(|| known.ended.clone()),
            latest,
            awaited_start: known.awaited_start,
            in_place: self.in_place.or_else(|| known.in_place.clone()),
            kept: known.kept.clone(),
            part: self.part.or(known.part),
            next: known.next,
            unready_since: known.unready_since,
            ..self
        }
    }

    /// Returns whether this object asks for something that is not in `known`: it has another spec,
    /// or a request that is new.
    fn asks_other_than(&self, known: &Self) -> bool {
        let requested =
            self.sync_requested.is_some() && self.sync_requested != known.sync_requested;
        self.generation != known.generation || self.overrides != known.overrides || requested
    }

    /// Returns whether the status says what was done for the employee.
    const fn says_something(&self) -> bool {
        self.met.is_some() || self.account.is_some() || self.found.is_some()
    }
}
