//! Step 6: records what was found and done, by one status patch for each changed outcome.

mod early;
mod history;
pub mod kept;
mod tally;
mod unwritten;
mod write;

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
    num::NonZeroU64,
};

use parking_lot::Mutex;

pub use self::write::is_news;
use self::write::{OtherWriters, Write, WriteMoment};
pub use self::{
    early::unknown,
    tally::Tally,
    unwritten::{Unwritten, told},
};
use super::{
    context::{Cluster, Integration, Request, Requests},
    outcome::{Failure, Outcome},
    verdict::{PlannedChange, Trouble, Verdict},
};
use crate::{
    api::{
        employee_sync as api,
        employee_sync::{Action, MatchedBy},
        integration,
        reasons::EmployeeReason,
        time::to_the_second,
    },
    cluster::roster::{Entry, Standing},
    domain::{
        access::{Decision, Missing},
        account::{Access, AccountState},
        drift::InPlace,
        employee::SITE,
        evidence::{Found, Proof},
        kept::Kept,
        matching::PersonIndex,
        plan::{Approval, Block, Change, ChangeKind, Manager, Planned},
        set_back::Window,
    },
    engine::intake::claims::PassHandle,
};

/// Records what a pass found, person by person.
pub struct Recorder<'a> {
    /// The integration.
    pub integration: Integration<'a>,
    /// The cluster, and what this process is in it.
    pub cluster: Cluster<'a>,
    /// What the pass is to do, and why.
    pub request: Request<'a>,
    /// Since when this pass looks at the employees.
    pub handle: &'a PassHandle<'a>,
    /// The plan.
    pub planned: &'a Planned<'a>,
    /// What the statuses rest on in addition to the plan.
    pub basis: Basis<'a>,
    /// Whether history lines could not be written before.
    pub owes: bool,
    /// What is known in the end.
    pub results: Mutex<Results>,
}

/// What the statuses rest on in addition to the plan.
#[derive(Clone, Copy)]
pub struct Basis<'a> {
    /// The sync requests of single employees that this pass answers.
    pub requests: &'a Requests,
    /// The employees with a file that this pass confirmed to be gone.
    pub deleted_now: &'a HashSet<Box<str>>,
    /// What went out before, and goes out now, because a person approved it.
    pub approved: ApprovedParts<'a>,
    /// The rows that stay as they are: they are frozen, or the provider does not have their target.
    pub left_alone: &'a [usize],
}

/// What a recorder knows in the end.
#[derive(Debug, Default)]
pub struct Results {
    /// What is counted during the pass.
    tally: Tally,
    /// The employees with an unfinished change, and whether it was tried and failed for now.
    unsettled: Vec<(Box<str>, bool)>,
    /// The employees with a known outcome. What was to be said before it is dropped.
    ended: HashSet<PersonIndex>,
    /// The persons that are in order, except that their manager has no account yet.
    awaiting_manager: Vec<PersonIndex>,
    /// What the API server did not accept.
    unwritten: Unwritten,
    /// How many changes of each kind were to have an event.
    told: BTreeMap<&'static str, u32>,
}

/// What goes out because a person approved it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ApprovedParts<'a> {
    /// The digest of the held plan that this pass releases.
    pub now: Option<&'a str>,
    /// The plan that was released last, which may not have been completed.
    pub continued: Option<&'a integration::Approved>,
    /// The part that each person has in one of these plans, or in what is held.
    pub parts: Option<&'a foldhash::HashMap<PersonIndex, u64>>,
}

impl Recorder<'_> {
    /// Returns the persons that are in order, except that their manager has no account yet.
    pub fn take_awaiting_manager(&self) -> Vec<PersonIndex> {
        std::mem::take(&mut self.results.lock().awaiting_manager)
    }

    /// Records every employee for which the plan has nothing to do, or may do nothing.
    pub async fn without_change(&self, skip: impl Fn(&Change) -> Option<Trouble>) {
        let mut waiting = Vec::new();
        for (index, _) in (0..).zip(self.planned.people) {
            let trouble = match self.planned.change(index) {
                None => self.trouble(index, None),
                Some(change) => match skip(change) {
                    Some(_) if self.is_moot(index, change) => self.trouble(index, None),
                    Some(trouble) => trouble,
                    None => continue,
                },
            };
            if let Some(write) = self.weigh(index, trouble, None) {
                waiting.push(write);
            }
        }
        self.request.progress().iter().for_each(|progress| progress.record(waiting.len()));
        self.write_all(waiting).await;
    }

    /// Returns whether the change would only end the sessions of a suspended account, and another
    /// pass has ended them since this pass decided.
    fn is_moot(&self, index: PersonIndex, change: &Change) -> bool {
        let standing = self.planned.standing(index);
        let account = standing
            .account
            .as_ref()
            .filter(|held| held.state == AccountState::Suspended && change.suspends());
        let only_access = change.write.attributes.is_empty()
            && change.write.mark.is_none()
            && change.also.is_empty();
        account.is_some_and(|held| {
            only_access
                && self
                    .integration
                    .roster
                    .with(self.planned.id(index), |entry| ended_meanwhile(entry, &held.id))
        })
    }

    /// Records one person with a change that was tried.
    pub async fn outcome(&self, index: PersonIndex, outcome: Outcome) {
        if matches!(outcome, Outcome::Outdated | Outcome::Busy) {
            return;
        }
        self.results.lock().ended.insert(index);
        let trouble = self.trouble(index, Some(&outcome));
        let again = match &outcome {
            Outcome::Failed { failure: Failure::Retrying(_), .. } => Some(true),
            // A part is done, and the rest is tried again.
            Outcome::Done(done) if done.refused.is_some() => Some(true),
            Outcome::Waiting => Some(false),
            _ => None,
        };
        if let Some(failed) = again {
            let id = self.planned.id(index).into();
            self.results.lock().unsettled.push((id, failed));
        }
        let write = self.weigh(index, trouble, Some(outcome));
        self.write_all(write.into_iter().collect()).await;
    }

    /// Returns what keeps this person from being in sync after this outcome. Without an outcome
    /// there was no change to try.
    #[must_use]
    pub fn trouble(&self, index: PersonIndex, outcome: Option<&Outcome>) -> Trouble {
        match outcome {
            Some(Outcome::Done(done)) if let Some((failure, _)) = &done.refused => {
                Trouble::Failed(failure.clone())
            }
            None
            | Some(Outcome::Done(_) | Outcome::Seen(_) | Outcome::Outdated | Outcome::Busy) => {
                self.blocked(index)
            }
            // The status still says that there are several accounts, even if one of them was
            // refused.
            Some(Outcome::Failed { failure, .. })
                if self.blocked(index) == Trouble::Blocked(Block::Ambiguous) =>
            {
                Trouble::Several(failure.clone())
            }
            Some(Outcome::Failed { failure, .. }) => Trouble::Failed(failure.clone()),
            // The only value left is a manager without an account: it could not be made. Except for
            // that, the person is in sync.
            Some(Outcome::Waiting) if self.only_waits_for_a_manager(index) => self.blocked(index),
            Some(Outcome::Waiting) => self.refused_before(index).map_or_else(
                || Trouble::Waiting { planned: self.planned(index), dry_run: false },
                Trouble::RefusedBefore,
            ),
        }
    }

    /// Returns why the provider refused the last change of this employee, if the status says so.
    /// Returns `None` for a leaver, because the status of a leaver says that the change waits.
    fn refused_before(&self, index: PersonIndex) -> Option<EmployeeReason> {
        let change = self.planned.change(index)?;
        let id = self.planned.id(index);
        let standing = self.integration.roster.with(id, |entry| entry.map(|entry| entry.standing));
        match standing {
            Some(Standing::Unready(
                reason @ (EmployeeReason::Rejected
                | EmployeeReason::Conflict
                | EmployeeReason::Forbidden),
            )) if !change.suspends() => Some(reason),
            _ => None,
        }
    }

    fn blocked(&self, index: PersonIndex) -> Trouble {
        self.planned.standing(index).block.clone().map_or(Trouble::None, Trouble::Blocked)
    }

    fn only_waits_for_a_manager(&self, index: PersonIndex) -> bool {
        self.planned
            .standing(index)
            .change
            .is_some_and(|change| self.planned.plan.changes[change].write.is_empty())
    }

    /// Returns what is planned for this person.
    #[must_use]
    pub fn planned(&self, index: PersonIndex) -> PlannedChange {
        self.planned
            .standing(index)
            .change
            .map_or(PlannedChange::Update, |change| planned(&self.planned.plan.changes[change]))
    }

    /// Makes the verdict, counts it, and returns what has to be written.
    fn weigh(
        &self,
        index: PersonIndex,
        trouble: Trouble,
        outcome: Option<Outcome>,
    ) -> Option<Write<'_>> {
        let person = self.planned.person(index);
        let id = person.employee.id();
        let judged = self.judge(index, trouble, outcome.as_ref());
        let JudgedEmployee { verdict, seen, proof, .. } = &judged;
        self.count(verdict, outcome.as_ref());
        if seen.proof.revoked.is_some() && proof.revoked.is_none() && !person.employee.deleted {
            self.results.lock().tally.over.insert(id.into());
        }
        let settled = matches!(outcome, None | Some(Outcome::Done(_)))
            && verdict.decision.managed
            && verdict.account.is_some();
        if settled && matches!(verdict.manager, Manager::NotManaged | Manager::Pending) {
            self.results.lock().awaiting_manager.push(index);
        }
        self.draft(index, judged, outcome.as_ref())
    }

    /// Returns what is to be said of a person, and what is known.
    fn judge(
        &self,
        index: PersonIndex,
        trouble: Trouble,
        outcome: Option<&Outcome>,
    ) -> JudgedEmployee<'_> {
        self.integration.roster.with(self.planned.id(index), |entry| JudgedEmployee {
            verdict: self.verdict(index, trouble, outcome, entry),
            known: entry.filter(|entry| entry.exists).map(|entry| (entry.verdict, entry.digest)),
            unknown: entry.is_none(),
            unrecorded: entry.is_some_and(|entry| entry.unrecorded),
            seen: OtherWriters::of(entry),
            proof: self.proof(index, entry, None),
        })
    }

    /// Returns the verdict on one person. It is pure: everything that is written into a status
    /// comes from it.
    #[must_use]
    pub fn verdict(
        &self,
        index: PersonIndex,
        trouble: Trouble,
        outcome: Option<&Outcome>,
        entry: Option<&Entry>,
    ) -> Verdict<'_> {
        let person = self.planned.person(index);
        let standing = self.planned.standing(index);
        let mapping = &self.integration.settings().mapping;
        let planned = self.planned.change(index);
        let refused =
            matches!(outcome, Some(Outcome::Failed { failure: Failure::Forbidden(_), .. }));
        let held = standing
            .account
            .as_ref()
            .map(|held| {
                (
                    Cow::Borrowed(&*held.id),
                    held.state,
                    if held.marked { MatchedBy::Mark } else { MatchedBy::Email },
                )
            })
            // An account with open sessions does not count as suspended yet. Otherwise it would be
            // forgotten whether the sessions were ended. The sessions of an account that bobsync
            // may not change are left to the person who suspended it.
            .map(|(id, state, by)| {
                let open = state == AccountState::Suspended
                    && planned.is_some_and(Change::suspends)
                    && !refused
                    && !ended_meanwhile(entry, &id);
                (id, if open { AccountState::Other } else { state }, by)
            });
        let mut manager = standing.manager;
        let mut differs: Vec<Box<str>> = planned
            .map(|change| {
                change
                    .write
                    .attributes
                    .iter()
                    .map(|(row, _)| mapping.rows[*row].target.clone())
                    .collect()
            })
            .unwrap_or_default();
        let (account, state) = match outcome {
            Some(Outcome::Done(done)) => {
                differs.clear();
                let left = done.refused.iter().flat_map(|(_, rows)| rows);
                differs.extend(left.map(|row| mapping.rows[*row].target.clone()));
                if done.manager_pending {
                    manager = Manager::Pending;
                } else if manager == Manager::Pending {
                    manager = Manager::Resolved;
                }
                (Some((Cow::Owned(done.account.to_string()), done.matched_by)), Some(done.state))
            }
            Some(Outcome::Failed { account: Some((id, state)), fields, .. }) => {
                if planned.is_some_and(|change| change.kind == ChangeKind::Create) {
                    // The account proved to exist. What is not as decided is what was sent to it.
                    differs = fields.iter().map(|row| mapping.rows[*row].target.clone()).collect();
                }
                (
                    Some((
                        Cow::Owned(id.to_string()),
                        held.map_or(MatchedBy::Mark, |(_, _, by)| by),
                    )),
                    Some(*state),
                )
            }
            // The account was looked up and is gone.
            Some(Outcome::Seen(None)) => (None, None),
            Some(Outcome::Seen(Some(state))) => (recorded_account(entry), Some(*state)),
            // An account that is on record and not in the listing still exists as far as is known.
            _ => held.map_or_else(
                || (recorded_account(entry), entry.and_then(recorded_state)),
                |(id, state, by)| (Some((id, by)), Some(state)),
            ),
        };
        let kept = self.kept(index, outcome).map(|kept| kept.lasting()).unwrap_or_default();
        differs.extend(
            kept.contested()
                .map(|known| known.target.clone())
                .filter(|target| !differs.contains(target))
                .collect::<Vec<_>>(),
        );
        differs.extend(
            standing
                .drifted
                .iter()
                .chain(&standing.withheld)
                .map(|row| mapping.rows[*row].target.clone()),
        );
        // An account that was found by its e-mail and has no mark yet is shown, but it is not
        // recorded as this employee's. A recorded account stays recorded even if a person removed
        // the mark and bobsync may not set it again.
        let recorded = |id: &str| {
            entry.and_then(|entry| entry.account.as_ref()).is_some_and(|(known, _)| **known == *id)
        };
        let done = matches!(outcome, Some(Outcome::Done(_)));
        let only_found = account
            .as_ref()
            .is_some_and(|(id, by)| *by == MatchedBy::Email && !done && !recorded(id));
        // If there are several accounts, the one on record does not show whether access is open.
        let state = match (outcome, standing.beside.filter(|_| standing.several)) {
            (Some(Outcome::Done(_)), Some(_)) if standing.stays_open => Some(AccountState::Active),
            (Some(Outcome::Done(_)), Some(_)) | (_, None) => state,
            (_, Some(beside)) => Some(beside),
        };
        let state = state.filter(|_| account.is_some());
        let (decision, beside) = (self.decision(index, account.is_some()), standing.beside);
        let account = account.map(|(id, by)| {
            let before = entry
                .and_then(|entry| entry.account.as_ref())
                .filter(|(known, _)| **known == *id)
                .map(|(_, by)| *by);
            (id, before.unwrap_or(by))
        });
        let access_as_decided = match (decision.existing, state.or(beside)) {
            (Some(Access::Suspended), Some(state)) => state == AccountState::Suspended,
            (Some(Access::Active), Some(state)) => !matches!(
                state,
                AccountState::Suspended | AccountState::Unactivated | AccountState::Unlicensed
            ),
            (None, Some(_)) => true,
            (Some(_), None) if account.is_some() => false,
            (_, None) => !matches!(person.decision.missing, Missing::Create(_)),
        };
        let settled = matches!(outcome, Some(Outcome::Done(_))) || standing.change.is_none();
        let in_place = self.in_place(index, account.is_some() && !only_found, settled);
        let numbered = mapping.numbers_username(&person.employee);
        let id = person.employee.id();
        // Only the provider knows a username to which a number was added. In that case, people log
        // in by their e-mail too.
        let username =
            mapping.text(if numbered { mapping.email } else { mapping.username }, &person.employee);
        Verdict {
            generation: entry.map_or(1, |entry| entry.generation),
            nameless: self.integration.validated.show_usernames && username.is_none(),
            username: username.filter(|_| self.integration.validated.show_usernames),
            provider: self.integration.validated.target.catalog().name,
            phrases: &self.integration.validated.target.catalog().capabilities.phrases,
            account,
            only_found,
            state,
            beside,
            several: standing.several,
            unread: person.employee.unread,
            decision,
            unreadable: entry.and_then(|entry| entry.overrides.as_ref()?.unreadable.clone()),
            trouble,
            differs,
            access_as_decided,
            manager,
            adopts: self.integration.settings().adopt,
            manager_mapped: mapping.manager.is_some(),
            zone: self
                .integration
                .settings()
                .zones
                .of(person.employee.values.get(SITE).text())
                .iana_name()
                .unwrap_or("UTC"),
            baseline: person.baseline.as_deref().copied(),
            drifted: !standing.drifted.is_empty(),
            in_place,
            kept,
            part: self.part(index, outcome, entry),
            sync_handled: self
                .basis
                .requests
                .get(id)
                .cloned()
                .or_else(|| entry.and_then(|entry| entry.sync_handled.clone())),
        }
    }

    /// Returns the decision, as far as it has an effect. If the settings leave an employee out, the
    /// end of the employment takes access only from an account with the mark.
    fn decision(&self, index: PersonIndex, has_account: bool) -> Decision {
        let (person, standing) = (self.planned.person(index), self.planned.standing(index));
        let marked = standing.account.as_ref().map_or(has_account, |held| held.marked)
            || standing.beside.is_some();
        if marked && person.claimed_by.is_none() {
            person.decision
        } else {
            person.decision.left_alone()
        }
    }

    /// Returns the evidence to write for this person: what the roster knows now, and what this pass
    /// has found. `seen` is what was known when the verdict was made. For evidence that came or
    /// ended since then, the roster counts.
    fn proof(
        &self,
        index: PersonIndex,
        entry: Option<&Entry>,
        seen: Option<&OtherWriters>,
    ) -> Proof {
        let now = entry.map(Entry::proof).unwrap_or_default();
        if seen.is_some_and(|seen| seen.proof != now) {
            return now;
        }
        let employee = &self.planned.person(index).employee;
        let is_deleted_now = self.basis.deleted_now.contains(employee.id());
        now.with(&Found {
            is_hidden: employee.deleted || employee.unread,
            deleted: is_deleted_now.then(|| to_the_second(self.cluster.clock.now())),
            start: employee.start.date(),
        })
    }

    /// Returns what is in place on the account now, if a change at the provider is only reported.
    /// `settled` says that no planned value is left to write.
    fn in_place(&self, index: PersonIndex, exists: bool, settled: bool) -> Option<InPlace> {
        let person = self.planned.person(index);
        let settings = self.integration.settings();
        if !settings.report_drift || !exists {
            return None;
        }
        if !person.decision.managed {
            // Nothing is compared while the settings leave the person alone. What was in place is
            // kept.
            return person.in_place.as_deref().cloned();
        }
        let standing = self.planned.standing(index);
        let mapping = &settings.mapping;
        let planned = self.planned.change(index).filter(|_| !settled);
        let waits = |row: usize| {
            planned.is_some_and(|change| change.write.attributes.iter().any(|(own, _)| *own == row))
        };
        let taken = matches!(standing.block, Some(Block::Conflict(_)));
        let as_desired = |row: usize| {
            let key = row == mapping.email || row == mapping.username;
            let left = standing.drifted.contains(&row)
                || self.basis.left_alone.contains(&row)
                || taken && key;
            !waits(row) && !left
        };
        let manager = self.planned.manager_of(index);
        Some(InPlace::after(
            person.in_place.as_deref(),
            mapping,
            &person.employee,
            manager.as_deref(),
            as_desired,
        ))
    }

    /// Returns what is known of values that the provider keeps in another form.
    fn kept(&self, index: PersonIndex, outcome: Option<&Outcome>) -> Option<Box<Kept>> {
        let window = Window::of(&self.integration.settings().budgets, self.cluster.clock.now());
        kept::after(self.planned, index, self.basis.left_alone, outcome, window)
    }

    fn count(&self, verdict: &Verdict<'_>, outcome: Option<&Outcome>) {
        let tally = &mut self.results.lock().tally;
        tally.count(verdict.standing());
        if let Some(next) = verdict.next() {
            tally.next_transition =
                Some(tally.next_transition.map_or(next.at, |at| at.min(next.at)));
        }
        match outcome {
            Some(Outcome::Done(done)) if done.only_found => {}
            Some(Outcome::Done(done)) => {
                match done.action {
                    Action::Create => tally.changes.created += 1,
                    Action::Adopt | Action::Update => tally.changes.updated += 1,
                    Action::Reactivate => tally.changes.reactivated += 1,
                    Action::Suspend => tally.changes.disabled += 1,
                }
                self.cluster.metrics.change(
                    &self.integration.roster.key,
                    action_word(done.action),
                    "succeeded",
                );
            }
            Some(Outcome::Failed { action, .. }) => {
                tally.changes.failed += 1;
                self.cluster.metrics.change(
                    &self.integration.roster.key,
                    action_word(*action),
                    "failed",
                );
            }
            Some(Outcome::Seen(_) | Outcome::Waiting | Outcome::Outdated | Outcome::Busy)
            | None => {}
        }
    }

    /// Returns the part in a held or approved plan that is still to come after this outcome.
    fn part(
        &self,
        index: PersonIndex,
        outcome: Option<&Outcome>,
        entry: Option<&Entry>,
    ) -> Option<u64> {
        if matches!(outcome, Some(Outcome::Done(_))) {
            return None;
        }
        let goes_on = || {
            let is_part = |change: &Change| change.ruling.approval.goes_on();
            self.planned.change(index).filter(|change| is_part(change))?;
            entry?.part.map(NonZeroU64::get)
        };
        goes_on().or_else(|| self.basis.approved.parts?.get(&index).copied())
    }

    /// Returns the digest with which this person's change was approved. Returns `None` for a change
    /// that goes out in the same pass without an approval.
    fn approved_with(&self, index: PersonIndex) -> Option<&str> {
        let change = self.planned.change(index)?;
        let id = self.planned.id(index);
        match change.ruling.approval {
            Approval::None => None,
            Approval::Now => self.basis.approved.now,
            Approval::Before | Approval::Again => {
                let part = self.integration.roster.with(id, |entry| entry?.part)?;
                let of = |after: &str| self.planned.part(change, None, after);
                self.basis.approved.continued?.plan_of(part.get(), of)
            }
        }
    }
}

/// What is to be said of a person, and what is known.
struct JudgedEmployee<'a> {
    verdict: Verdict<'a>,
    /// The hash of the verdict and the digest of the status, if there is an object.
    known: Option<(u64, u64)>,
    /// Whether nothing is on record of the person.
    unknown: bool,
    /// Whether the API server refused to write this person's status before.
    unrecorded: bool,
    seen: OtherWriters,
    proof: Proof,
}

/// Returns the account in the status.
fn recorded_account(entry: Option<&Entry>) -> Option<(Cow<'static, str>, MatchedBy)> {
    entry.and_then(|entry| entry.account.as_ref()).map(|(id, by)| (Cow::Owned(id.to_string()), *by))
}

/// Returns whether the status says that access to this account was taken, with all sessions. A pass
/// that decided before another pass recorded it must not tell that access is open.
fn ended_meanwhile(entry: Option<&Entry>, account: &str) -> bool {
    entry.is_some_and(|entry| {
        entry.access == Some(api::Access::Suspended)
            && entry.account.as_ref().is_some_and(|(known, _)| **known == *account)
    })
}

/// Returns the state of the account according to the status.
fn recorded_state(entry: &Entry) -> Option<AccountState> {
    match entry.access? {
        api::Access::Active => Some(AccountState::Active),
        api::Access::Suspended => Some(AccountState::Suspended),
        api::Access::NotYet
        | api::Access::Absent
        | api::Access::Unmanaged
        | api::Access::Unknown => None,
    }
}

fn planned(change: &Change) -> PlannedChange {
    match (change.kind, change.write.access) {
        (ChangeKind::Create, access) => PlannedChange::Create(access.unwrap_or(Access::Active)),
        (_, Some(Access::Suspended)) => PlannedChange::Suspend,
        (_, Some(Access::Active)) => PlannedChange::Reactivate,
        (_, None) => PlannedChange::Update,
    }
}

const fn action_word(action: Action) -> &'static str {
    match action {
        Action::Create => "Create",
        Action::Adopt => "Adopt",
        Action::Update => "Update",
        Action::Suspend => "Suspend",
        Action::Reactivate => "Reactivate",
    }
}

/// Returns what the status says of an employee if the guard holds the creation of the account.
#[must_use]
pub fn held_by_suspicion() -> Trouble {
    Trouble::Failed(Failure::Retrying(
        "far too many accounts are missing from the provider's listing, and bobsync creates no \
         account only because the listing does not show it: TargetSuspect of the integration says \
         how to go on"
            .to_owned(),
    ))
}
