//! Step 5: sends the released changes, leavers first and then in turns (`domain::priority`). Each
//! change is independent: a failure counts against one employee only. A value of one employee that
//! cannot be written does not hold back the employee's other values.
//!
//! - `change`: changes an account as a whole, or in parts if that fails. `create`: makes a new
//!   account, and deals with what the provider may answer.
//! - `kept`: what the provider has made of the values.
//! - `licences`: whether accounts that were given access can be used.
//! - `streaks`: when several failures in a row say something about the next change.
//!
//! A refused write is reported. A throttled write waits for its turn. A write that was certainly
//! not applied is tried again. A write with an unknown outcome is read back before anything else.

mod change;
mod create;
mod kept;
mod licences;
mod streaks;

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    time::Duration,
};

use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use parking_lot::Mutex;
use tokio::time::Instant;

use self::{
    change::{Aim, Landed},
    licences::{Licences, UNLICENSED, Unproven},
    streaks::{Sort, Streaks},
};
use super::guard::Released;
use super::outcome::{Done, Failure, Outcome, RefusedPart};
use crate::{
    api::employee_sync::{Action, MatchedBy},
    cluster::leadership::Leadership,
    domain::{
        account::{Access, Account, AccountState, AccountWrite, NewValue},
        guard::Room,
        matching::PersonIndex,
        plan::{Change, ChangeKind, EmployeePlan, Planned},
        priority::{Class, Queue},
        safety::Protected,
    },
    engine::{
        intake::claims::{PassHandle, Refused, WriteClaim},
        stop::Stop,
    },
    provider::{Error, Initial, Key, Provider, call::BACK_IN_LINE, tries::Tries},
};

/// How many changes are under way at the same time. The provider's pacer limits the rate; this
/// number only hides latency.
const CONCURRENT: usize = 8;
/// The longest time that a single write may take. No write begins unless the lease lasts longer.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// The first pause before another look for an account that certainly exists, if reads lag behind
/// writes.
const LAG: Duration = Duration::from_secs(1);
/// How many refused values are left out of a new account one after the other. After that, all
/// values are left out that the account can be without.
const LEFT_OUT: usize = 3;

/// Everything that the step needs.
pub struct Execution<'a, 'c> {
    /// The provider.
    pub provider: &'a dyn Provider,
    /// How the first login to a new account works. If it is an error, no account is made.
    pub initial: Result<Initial<'a>, &'a Stop>,
    /// The plan.
    pub planned: &'a Planned<'a>,
    /// The rows whose target the provider does not have.
    pub unavailable: &'a [usize],
    /// What the guard decided about the plan.
    pub released: &'a Released,
    /// Whether accounts without a mark may be adopted.
    pub adopt: bool,
    /// The accounts that bobsync never writes to.
    pub protected: &'a Protected,
    /// When changes begin, and in which order.
    pub pace: Pace<'a, 'c>,
}

/// When changes begin, and in which order.
pub struct Pace<'a, 'c> {
    /// Since when this pass looks at the employees. A later pass knows more.
    pub handle: &'a PassHandle<'c>,
    /// Says whether this process may write.
    pub leadership: &'a Leadership,
    /// Returns whether the pass has to end early: there is a newer spec, or the process stops.
    pub halted: &'a (dyn Fn() -> bool + Sync),
    /// The time after which changes that are not urgent no longer begin.
    pub deadline: Instant,
    /// Returns since when an employee waits, in seconds of the epoch. Within a class, the oldest
    /// change goes first.
    pub waiting_since: &'a (dyn Fn(PersonIndex) -> i64 + Sync),
    /// Receives, for each class, how many changes wait and since when the oldest waits, in seconds
    /// of the epoch.
    pub waiting: &'a (dyn Fn([(usize, Option<i64>); Class::ALL.len()]) + Sync),
    /// How many changes that are not urgent have had their turn, in all passes. The count keeps any
    /// class from waiting forever.
    pub turns: &'a AtomicU64,
    /// Returns the refusal of a change that the provider refused before and that is not due again.
    pub skip: &'a (dyn Fn(&Change) -> Option<Failure> + Sync),
    /// Returns whether the last try of an employee's change failed. Such a change goes after the
    /// others. If the provider again gives no answer to such a creation, the account is made with
    /// only the values that it needs.
    pub failed_before: &'a (dyn Fn(&Change) -> bool + Sync),
    /// Waits between two tries.
    pub pause: &'a (dyn Fn(Duration) -> BoxFuture<'static, ()> + Sync),
}

impl<'a, 'c> Pace<'a, 'c> {
    /// Returns a pace for tests, at which every change begins at once: no employee has waited, no
    /// change failed before, and the pass has an hour.
    #[must_use]
    pub fn unhurried(
        handle: &'a PassHandle<'c>,
        leadership: &'a Leadership,
        turns: &'a AtomicU64,
    ) -> Self {
        Self {
            handle,
            leadership,
            halted: &|| false,
            deadline: Instant::now() + Duration::from_hours(1),
            waiting_since: &|_| 0,
            waiting: &|_| (),
            turns,
            skip: &|_| None,
            failed_before: &|_| false,
            pause: &pause,
        }
    }
}

/// Waits for this time.
#[must_use]
pub fn pause(wait: Duration) -> BoxFuture<'static, ()> {
    Box::pin(tokio::time::sleep(wait))
}

/// What the step as a whole found out.
#[derive(Debug, Default)]
pub struct Summary {
    /// Why the other changes were not tried.
    pub stop: Option<Stop>,
    /// Why changes are left, if the pass ended early.
    pub cut: Option<Cut>,
}

/// Why a pass ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The time of the pass was over. The next pass continues at once.
    Deadline,
    /// There is a newer spec, the process stops, or another process may lead.
    Halted,
    /// What has to be on record before any change goes out could not be recorded.
    Unrecorded,
}

/// An account that proved to exist when it was to be made.
#[derive(Clone)]
struct MetAccount {
    account: Box<str>,
    state: AccountState,
    /// What is done to the account. `fields` has the rows of that.
    action: Action,
    fields: Vec<usize>,
}

struct Run<'a, 'b, 'c> {
    cx: &'a Execution<'b, 'c>,
    accounts: Mutex<HashMap<PersonIndex, Box<str>>>,
    met: Mutex<HashMap<PersonIndex, MetAccount>>,
    /// How much room the budgets have in addition to the plan.
    room: Mutex<Room>,
    streaks: Streaks,
    /// How many new accounts in a row got no licence.
    unlicensed: AtomicU32,
    /// Whether a change did not begin because the time of the pass was over. `halted` says the same
    /// for a pass that has to end early.
    late: AtomicBool,
    halted: AtomicBool,
}

/// Executes every released change and passes each outcome to `tell` once. The guard reports the
/// held changes. With an outcome comes the claim on the person. The claim is given back when the
/// outcome is on record.
pub async fn execute<'c>(
    cx: &Execution<'_, 'c>,
    tell: impl Fn(PersonIndex, Outcome, Option<WriteClaim<'c>>) + Sync,
) -> Summary {
    let run = Run {
        cx,
        accounts: Mutex::default(),
        met: Mutex::default(),
        room: Mutex::new(cx.released.held.room.clone()),
        streaks: Streaks::default(),
        unlicensed: AtomicU32::new(0),
        late: AtomicBool::new(false),
        halted: AtomicBool::new(false),
    };
    let late: HashSet<PersonIndex> =
        cx.planned.plan.late_managers.iter().map(|(person, _)| *person).collect();
    let held_back: Mutex<HashMap<PersonIndex, Outcome>> = Mutex::default();
    let over = |person: PersonIndex, outcome: Outcome, claim: Option<WriteClaim<'c>>| {
        if late.contains(&person) && matches!(outcome, Outcome::Done(_)) {
            held_back.lock().insert(person, outcome);
        } else {
            tell(person, outcome, claim);
        }
    };
    let mut queue = Queue::new(cx.planned, cx.pace.waiting_since, cx.pace.failed_before);
    let mut licences = Licences::new(cx.provider);
    let mut under_way = FuturesUnordered::new();
    loop {
        while under_way.len() < CONCURRENT
            && let Some(next) = licences.next(&mut queue, cx.pace.turns.load(Ordering::Relaxed))
        {
            licences.began(&cx.planned.plan.changes[next]);
            under_way.push(run.step(StepUnderWay::Change(next)));
        }
        if let Some(group) = licences.due(under_way.is_empty()) {
            under_way.push(run.step(StepUnderWay::Licences(group)));
        }
        (cx.pace.waiting)(queue.depths());
        let until = licences.until();
        let ended = tokio::select! {
            biased;
            ended = under_way.next() => ended,
            () = tokio::time::sleep_until(until.unwrap_or_else(Instant::now)),
                if until.is_some() => continue,
        };
        match ended {
            None => break,
            Some(Stepped::Change { change, outcome, claim }) => {
                let had_its_turn = matches!(outcome, Outcome::Done(_) | Outcome::Failed { .. });
                // A change that got no answer from the provider has had no turn. It comes first in
                // the next pass.
                if queue.ended(change) && had_its_turn {
                    cx.pace.turns.fetch_add(1, Ordering::Relaxed);
                }
                licences.over(&cx.planned.plan.changes[change]);
                let person = cx.planned.plan.changes[change].person;
                match (outcome, claim) {
                    (Outcome::Done(done), Some(claim)) if run.may_lack_licence(&done) => {
                        licences.wait(Unproven { person, done, claim });
                    }
                    (outcome, claim) => over(person, outcome, claim),
                }
            }
            Some(Stepped::Licences(group)) => {
                licences.ended();
                group
                    .into_iter()
                    .for_each(|one| over(one.person, Outcome::Done(one.done), Some(one.claim)));
            }
        }
    }
    drop(under_way);
    for (person, manager) in &cx.planned.plan.late_managers {
        let waiting = held_back.lock().remove(person);
        if let Some(Outcome::Done(done)) = waiting {
            tell(*person, run.late_manager(*person, *done, *manager).await, None);
        }
    }
    let cut = match (run.halted.into_inner(), run.late.into_inner()) {
        (true, _) => Some(Cut::Halted),
        (false, true) => Some(Cut::Deadline),
        (false, false) => None,
    };
    Summary { stop: run.streaks.into_stop(), cut }
}

/// A step that is under way.
enum StepUnderWay<'c> {
    /// Executes the change with this index.
    Change(usize),
    /// Reads the accounts of this group.
    Licences(Vec<Unproven<'c>>),
}

/// How a step ended.
enum Stepped<'c> {
    Change { change: usize, outcome: Outcome, claim: Option<WriteClaim<'c>> },
    Licences(Vec<Unproven<'c>>),
}

impl<'c> Run<'_, '_, 'c> {
    async fn step(&self, step: StepUnderWay<'c>) -> Stepped<'c> {
        let next = match step {
            StepUnderWay::Change(next) => next,
            StepUnderWay::Licences(group) => {
                return Stepped::Licences(self.with_licences(group).await);
            }
        };
        let change = &self.cx.planned.plan.changes[next];
        match self.cx.pace.handle.write(self.employee(change.person)) {
            Ok(claim) => Stepped::Change {
                change: next,
                outcome: self.all(change).await,
                claim: Some(claim),
            },
            Err(Refused::Busy) => {
                Stepped::Change { change: next, outcome: Outcome::Busy, claim: None }
            }
            Err(_) => Stepped::Change { change: next, outcome: Outcome::Outdated, claim: None },
        }
    }

    /// Returns whether another call for a change of this sort may begin.
    fn may_begin(&self, sort: Sort) -> bool {
        let open = self.streaks.open(sort);
        let late = sort != Sort::Suspension && Instant::now() >= self.cx.pace.deadline;
        let halted = (self.cx.pace.halted)() || !self.cx.pace.leadership.may_start(WRITE_TIMEOUT);
        self.halted.fetch_or(open && halted, Ordering::Relaxed);
        self.late.fetch_or(open && late, Ordering::Relaxed);
        open && !late && !halted
    }

    fn employee(&self, person: PersonIndex) -> &str {
        self.cx.planned.id(person)
    }

    /// Returns the account of a person: the one in the plan, or the one that was just made.
    fn account_of(&self, person: PersonIndex) -> Option<Box<str>> {
        let made = self.accounts.lock().get(&person).cloned();
        made.or_else(|| {
            self.cx.planned.standing(person).account.as_ref().map(|held| held.id.clone())
        })
    }

    /// Executes a change on each of its accounts. A failure on one account does not keep the others
    /// open.
    async fn all(&self, change: &Change) -> Outcome {
        let mut told = self.one(change).await;
        if matches!(told, Outcome::Outdated) || (self.cx.pace.skip)(change).is_some() {
            return told;
        }
        for account in &change.also {
            let alone =
                Change { account: Some(account.clone()), also: Vec::new(), ..change.clone() };
            told = worse(told, self.one(&alone).await);
        }
        told
    }

    async fn one(&self, change: &Change) -> Outcome {
        let (sort, action) = (Sort::of(change), action_of(change.kind, change.write.access));
        let mut write = change.write.clone();
        let manager = change.manager.and_then(|manager| self.account_of(manager));
        if let (Some(row), Some(manager)) = (self.cx.planned.mapping.manager, &manager) {
            write.attributes.push((row, NewValue::Set(manager.clone())));
        }
        let manager_pending = change.manager.is_some() && manager.is_none();
        if write.is_empty() {
            // The only value to set was a manager without an account: it could not be made.
            return Outcome::Waiting;
        }
        if let Some(failure) = (self.cx.pace.skip)(change) {
            return Outcome::Failed { failure, action, fields: self.sent(&write), account: None };
        }
        if !self.may_begin(sort) {
            return Outcome::Waiting;
        }
        if matches!(change.kind, ChangeKind::Create)
            && self.unlicensed.load(Ordering::Relaxed) >= UNLICENSED
        {
            return Outcome::Waiting;
        }
        let sent = self.sent(&write);
        let result = match &change.account {
            Some(id) if change.look_up_first => match self.recheck_account(change, id).await {
                Ok(Some(AccountState::Suspended)) => {
                    return Outcome::Seen(Some(AccountState::Suspended));
                }
                Ok(None) => return Outcome::Seen(None),
                Ok(Some(state)) => {
                    self.settle(Self::aim(change, id, state), write, action, MatchedBy::Mark).await
                }
                Err(ended) => Err(ended),
            },
            Some(id) => {
                let matched_by = if change.kind == ChangeKind::Adopt {
                    MatchedBy::Email
                } else {
                    MatchedBy::Mark
                };
                self.settle(
                    Self::aim(change, id, self.state_of(change.person)),
                    write,
                    action,
                    matched_by,
                )
                .await
            }
            None => self.create(change, write).await,
        };
        match result {
            Ok(mut landed) => {
                self.read_back(change.person, sort, &mut landed).await;
                self.streaks.went_through(sort);
                self.accounts.lock().insert(change.person, (*landed.account).into());
                self.ended(landed, manager_pending)
            }
            Err(CallEnd::Halted) => Outcome::Waiting,
            Err(CallEnd::Outdated) => Outcome::Outdated,
            Err(ended) => {
                let met = self.met.lock().get(&change.person).cloned();
                let failure = match ended {
                    CallEnd::Refused(error) => match self.blame(
                        sort,
                        &error,
                        met.as_ref().map_or(&sent, |met| &met.fields),
                    ) {
                        Some(failure) => failure,
                        None => return Outcome::Waiting,
                    },
                    CallEnd::Failed(failure) => failure,
                    CallEnd::Halted | CallEnd::Outdated => return Outcome::Waiting,
                };
                match met {
                    Some(MetAccount { account, state, action, fields }) => {
                        Outcome::Failed { failure, action, fields, account: Some((account, state)) }
                    }
                    None => Outcome::Failed { failure, action, fields: sent, account: None },
                }
            }
        }
    }

    /// Returns the outcome of a change that landed as a whole or in part.
    fn ended(&self, landed: Landed, manager_pending: bool) -> Outcome {
        let Landed {
            account,
            state,
            matched_by,
            action,
            mut fields,
            unconfirmed,
            answered,
            left,
            sessions,
            request_id,
            only_found,
        } = landed;
        let rows = &self.cx.planned.mapping.rows;
        fields.sort_unstable_by_key(|&row| (rows[row].compare.is_person(), &rows[row].target));
        if let Some(failure) = sessions {
            // Access is taken. A status that said so would hide that the sessions are still to be
            // ended.
            return Outcome::Failed { failure, action, fields, account: None };
        }
        let manager_pending = manager_pending
            || self.cx.planned.mapping.manager.is_some_and(|row| unconfirmed.contains(&row));
        let refused = left.into_parts();
        Outcome::Done(Box::new(Done {
            action,
            matched_by,
            fields,
            account,
            state,
            manager_pending,
            request_id,
            only_found,
            refused,
            answered,
        }))
    }

    /// Returns what an error means for this person. Returns `None` if the error is about the
    /// credential, because then the pass stops.
    fn blame(&self, sort: Sort, error: &Error, fields: &[usize]) -> Option<Failure> {
        match error {
            Error::Unauthorized { .. } => {
                self.streaks.credential_refused(error);
                return None;
            }
            Error::Forbidden { .. } | Error::Denied { .. } | Error::Rejected { .. } => {
                self.streaks.refused(sort, error)
            }
            Error::Throttled { .. } | Error::Unavailable { .. } | Error::Unknown { .. } => {
                self.streaks.unreachable(sort, error)
            }
            Error::Duplicate { .. }
            | Error::Conflict { .. }
            | Error::Mastered { .. }
            | Error::ByHand { .. }
            | Error::Misconfigured { .. }
            | Error::NotFound => {}
        }
        Some(self.failure(error, fields))
    }

    /// Returns an error as a failure. `fields` has the rows that the error is about.
    fn failure(&self, error: &Error, fields: &[usize]) -> Failure {
        match error {
            Error::Mastered { .. } => Failure::ManagedElsewhere,
            Error::ByHand { .. } => Failure::ByHand(error.to_string()),
            Error::Misconfigured { .. } => Failure::Rejected(error.to_string(), RefusedPart::Other),
            Error::Rejected { field, .. } => {
                let mapping = self.cx.planned.mapping;
                let is_value =
                    field.as_deref().is_none_or(|field| mapping.position(field).is_some());
                let part = if is_value { RefusedPart::Value } else { RefusedPart::Other };
                Failure::Rejected(error.to_string(), part)
            }
            Error::Duplicate { field } => {
                let mapping = self.cx.planned.mapping;
                let mut keys = vec![mapping.email, mapping.username];
                keys.dedup();
                let what = field.clone().unwrap_or_else(|| {
                    keys.iter()
                        .map(|row| &*mapping.rows[*row].target)
                        .collect::<Vec<_>>()
                        .join(" or ")
                });
                let also = if keys.iter().any(|row| *mapping.rows[*row].target == *what) {
                    self.cx.provider.capabilities().phrases.address_holders
                } else {
                    ""
                };
                Failure::Conflict(format!(
                    "another account{also} has this {what}: free it there, or correct it in Bob"
                ))
            }
            Error::Conflict { .. } => Failure::Conflict(error.to_string()),
            Error::Forbidden { .. } | Error::Denied { .. } | Error::Unauthorized { .. } => {
                Failure::Forbidden(error.to_string())
            }
            Error::NotFound => Failure::Retrying("the account no longer exists".to_owned()),
            Error::Throttled { .. } | Error::Unavailable { .. } | Error::Unknown { .. } => {
                let names = self.names(fields);
                Failure::Retrying(if names.is_empty() {
                    error.to_string()
                } else {
                    format!("could not write {names}: {error}")
                })
            }
        }
    }

    /// Returns the provider's names of these rows.
    fn names(&self, rows: &[usize]) -> String {
        rows.iter()
            .map(|row| &*self.cx.planned.mapping.rows[*row].target)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Returns the state of an account that is on record and not in the listing. Returns `None` if
    /// the account is gone, or belongs to another person now.
    async fn recheck_account(
        &self,
        change: &Change,
        id: &str,
    ) -> Result<Option<AccountState>, CallEnd> {
        let mark = self.cx.planned.id(change.person);
        let found = self.look(change.person, Sort::of(change), Key::Id(id), Tries::all()).await?;
        let leaves = self.cx.planned.person(change.person).decision.ends_access();
        let protected = found.iter().find_map(|account| self.cx.protected.covers(account));
        if let Some(by) = protected.filter(|by| !(leaves && self.cx.protected.lets_go(*by))) {
            return Err(CallEnd::Failed(Failure::Protected(by)));
        }
        if found.iter().any(|account| account.elsewhere) {
            return Err(CallEnd::Failed(Failure::ManagedElsewhere));
        }
        let Some(account) = found.into_iter().find(|account| *account.id == *id) else {
            return Ok(None);
        };
        if account.mark.as_deref().is_none_or(|own| own == mark) {
            return Ok(Some(account.state));
        }
        let holder =
            |standing: &EmployeePlan| standing.account.as_ref().is_some_and(|held| *held.id == *id);
        if self.cx.planned.plan.standings.iter().any(holder) {
            return Ok(None);
        }
        // No known employee has this mark. As far as is known, the account still belongs to the
        // employee who has to lose access.
        let said = "the recorded account has a mark that is not this employee's: suspend it by \
            hand, or correct the mark";
        Err(CallEnd::Failed(Failure::Conflict(said.to_owned())))
    }

    /// Returns the state in which the plan found the account of this person.
    fn state_of(&self, person: PersonIndex) -> AccountState {
        self.cx
            .planned
            .standing(person)
            .account
            .as_ref()
            .map_or(AccountState::Other, |held| held.state)
    }

    /// Makes a call, and repeats it if it was certainly not applied. A throttled call waits in the
    /// provider's pacer.
    async fn call<T, F>(
        &self,
        person: PersonIndex,
        sort: Sort,
        tries: &mut Tries,
        call: impl Fn() -> F,
    ) -> Result<T, CallEnd>
    where
        F: Future<Output = Result<T, Error>>,
    {
        loop {
            if !self.may_begin(sort) {
                return Err(CallEnd::Halted);
            }
            if self.cx.pace.handle.is_outdated(self.employee(person)) {
                return Err(CallEnd::Outdated);
            }
            match call().await {
                Ok(value) => return Ok(value),
                // The turn of the call has not come. The pacer of the provider keeps all callers
                // waiting as long as needed. Between its waits, this loop checks whether the call
                // is still wanted.
                Err(Error::Throttled { .. }) => (self.cx.pace.pause)(BACK_IN_LINE).await,
                Err(error @ Error::Unavailable { .. }) => match tries.again() {
                    Some(wait) => (self.cx.pace.pause)(wait).await,
                    None => return Err(CallEnd::Refused(often(error, tries.made()))),
                },
                Err(error) => return Err(CallEnd::Refused(error)),
            }
        }
    }

    /// Looks accounts up by a key.
    async fn look(
        &self,
        person: PersonIndex,
        sort: Sort,
        key: Key<'_>,
        mut tries: Tries,
    ) -> Result<Vec<Account<'static>>, CallEnd> {
        self.call(person, sort, &mut tries, || self.cx.provider.find(self.cx.planned.mapping, key))
            .await
    }

    /// Sets the manager of one of two employees who are managers of each other. Both accounts exist
    /// now, so the account that was made first gets the other as its manager.
    async fn late_manager(
        &self,
        person: PersonIndex,
        mut done: Done,
        manager: PersonIndex,
    ) -> Outcome {
        let (Some(row), Some(manager)) =
            (self.cx.planned.mapping.manager, self.account_of(manager))
        else {
            done.manager_pending = true;
            return Outcome::Done(Box::new(done));
        };
        let write = AccountWrite {
            attributes: vec![(row, NewValue::Set(manager))],
            ..AccountWrite::default()
        };
        let aim = Aim { person, id: &done.account, before: done.state, sort: Sort::Update };
        match self.update(&aim, &write, Tries::all()).await {
            Ok(written) if written.left.is_none() => {
                if std::mem::take(&mut done.only_found) {
                    (done.action, done.fields) = (Action::Update, Vec::new());
                }
                done.fields.push(row);
            }
            _ => done.manager_pending = true,
        }
        Outcome::Done(Box::new(done))
    }

    /// Returns the rows that a write carries, in the order of the provider's names, with the
    /// manager last.
    fn sent(&self, write: &AccountWrite) -> Vec<usize> {
        let rows = &self.cx.planned.mapping.rows;
        let mut sent: Vec<usize> = write.attributes.iter().map(|(row, _)| *row).collect();
        sent.sort_unstable_by_key(|&row| (rows[row].compare.is_person(), &rows[row].target));
        sent
    }
}

/// Returns which of two outcomes is told for one person with two accounts: the one that is tried
/// again sooner. The outcome is `Done` only if both are.
fn worse(one: Outcome, other: Outcome) -> Outcome {
    let rank = |outcome: &Outcome| match outcome {
        Outcome::Outdated | Outcome::Busy => 5,
        Outcome::Waiting => 4,
        Outcome::Failed { failure: Failure::Retrying(_), .. } => 3,
        Outcome::Failed { .. } => 2,
        Outcome::Done(done) if done.state != AccountState::Suspended => 1,
        Outcome::Done(_) | Outcome::Seen(_) => 0,
    };
    if rank(&other) > rank(&one) { other } else { one }
}

/// How a call ended that brought no result.
enum CallEnd {
    /// The pass ends early.
    Halted,
    /// A later pass deals with this person.
    Outdated,
    /// The provider answered with this error.
    Refused(Error),
    /// The steps around the call found this failure.
    Failed(Failure),
}

/// Returns the error with the number of tries, if that number is more than one.
fn often(error: Error, times: u32) -> Error {
    let counted = |said: String| if times > 1 { format!("{said} ({times} tries)") } else { said };
    match error {
        Error::Unavailable { said } => Error::Unavailable { said: counted(said) },
        Error::Unknown { said } => Error::Unknown { said: counted(said) },
        other => other,
    }
}

fn action_of(kind: ChangeKind, access: Option<Access>) -> Action {
    match (kind, access) {
        (ChangeKind::Create, _) => Action::Create,
        (_, Some(Access::Suspended)) => Action::Suspend,
        (_, Some(Access::Active)) => Action::Reactivate,
        (ChangeKind::Adopt, None) => Action::Adopt,
        (ChangeKind::Update, None) => Action::Update,
    }
}
