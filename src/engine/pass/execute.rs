//! Step 5: the released changes go out, leavers first and then in turns (`domain::priority`), each on its own: one failure
//! blames one employee, and of one employee what cannot land holds back nothing else.
//!
//! - `change`: a change of an account, as a whole and else in parts. `create`: a new account, and what making it may meet.
//! - `kept`: what the provider has made of the values.
//! - `licences`: whether accounts that were given access can be used.
//! - `streaks`: when several failures in a row speak for the next change.
//!
//! A refused write is told. A throttled one waits for its turn. One that surely was not applied is tried again. One
//! whose outcome is unknown is read back before anything else.

mod change;
mod create;
mod kept;
mod licences;
mod streaks;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::Instant;

use self::{
    change::{Aim, Landed},
    licences::{Licences, UNLICENSED, Unproven},
    streaks::{Sort, Streaks},
};
use super::guard::Released;
use super::outcome::{Done, Failure, Outcome};
use crate::{
    api::employee_sync::{Action, MatchedBy},
    cluster::leadership::Leadership,
    domain::{
        account::{Access, Account, AccountState, AccountWrite, NewValue},
        guard::Room,
        mapping::Mapping,
        matching::{Person, PersonIndex},
        plan::{Change, Kind, Plan, Standing},
        priority::{Class, Queue},
        safety::Protected,
    },
    engine::{
        intake::claims::{Looking, Refused, Writing},
        stop::Stop,
    },
    provider::{Error, Initial, Key, Provider, call::BACK_IN_LINE, tries::Tries},
};

/// How many changes are under way at once. The provider's pace is kept by its pacer; this only hides latency.
const CONCURRENT: usize = 8;
/// The longest a single write may take; no write begins unless the lease outlives it.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// The first pause before an account that surely exists is looked for again, where reads lag behind writes.
const LAG: Duration = Duration::from_secs(1);
/// So many refused values are left out of a new account one after the other; then everything goes that it can be without.
const LEFT_OUT: usize = 3;

/// Everything the step needs.
pub struct Execution<'a, 'c> {
    /// The provider.
    pub provider: &'a dyn Provider,
    /// How the first login to a new account goes; without it none is made.
    pub initial: Result<Initial<'a>, &'a Stop>,
    /// The mapping.
    pub mapping: &'a Mapping,
    /// Rows whose target the provider does not have.
    pub unavailable: &'a [usize],
    /// The people of the plan.
    pub people: &'a [Person],
    /// The plan.
    pub plan: &'a Plan,
    /// Since when this pass looks: later ones know better.
    pub looking: &'a Looking<'c>,
    /// What may go out.
    pub released: &'a Released,
    /// Whether this process may write.
    pub leadership: &'a Leadership,
    /// Set when the pass shall end early: a newer spec, or the process stops.
    pub halted: &'a (dyn Fn() -> bool + Sync),
    /// Changes that are not urgent do not begin after this.
    pub deadline: Instant,
    /// Since when somebody waits, in seconds of the epoch: within a class the oldest goes first.
    pub since: &'a (dyn Fn(PersonIndex) -> i64 + Sync),
    /// Told how many changes wait, by class, and since when the oldest, in seconds of the epoch.
    pub waiting: &'a (dyn Fn([(usize, Option<i64>); Class::ALL.len()]) + Sync),
    /// How many changes that are not urgent have had their turn, in all passes: no class waits for ever.
    pub turns: &'a AtomicU64,
    /// Whether accounts without a mark may be adopted.
    pub adopt: bool,
    /// Accounts that are never written.
    pub protected: &'a Protected,
    /// Changes the provider refused before and that are not due again.
    pub skip: &'a (dyn Fn(&Change) -> Option<Failure> + Sync),
    /// Whether the last try of an employee's change failed: it goes after those that did not, and an account whose creation
    /// ends in silence again is made with what it needs alone.
    pub failed_before: &'a (dyn Fn(&Change) -> bool + Sync),
    /// Waits between two tries.
    pub pause: &'a (dyn Fn(Duration) -> BoxFuture<'static, ()> + Sync),
}

/// Waits for so long.
#[must_use]
pub fn pause(wait: Duration) -> BoxFuture<'static, ()> {
    Box::pin(tokio::time::sleep(wait))
}

/// What the step as a whole found out.
#[derive(Debug, Default)]
pub struct Summary {
    /// Why the rest was not tried.
    pub stop: Option<Stop>,
    /// Why changes are left, where the pass ended early.
    pub cut: Option<Cut>,
}

/// Why a pass ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Its time was over. The next pass goes on at once.
    Deadline,
    /// There is a newer spec, the process stops, or another one may lead.
    Halted,
    /// What has to be on record before anything goes out could not be recorded.
    Unrecorded,
}

/// An account that turned out to exist where one was to be made.
#[derive(Clone)]
struct Met {
    account: Box<str>,
    state: AccountState,
    /// What is done with it, and the rows of that.
    action: Action,
    fields: Vec<usize>,
}

struct Run<'a, 'b, 'c> {
    cx: &'a Execution<'b, 'c>,
    accounts: Mutex<HashMap<PersonIndex, Box<str>>>,
    met: Mutex<HashMap<PersonIndex, Met>>,
    /// What the budgets have room for beside the plan.
    room: Mutex<Room>,
    streaks: Streaks,
    /// New accounts in a row for which there was no licence.
    unlicensed: AtomicU32,
    /// Whether a change did not begin because the time of the pass was over, or because it is halted.
    late: AtomicBool,
    halted: AtomicBool,
}

/// Executes every released change and tells each outcome once. Held changes are told by the guard, not here.
/// With an outcome comes the claim on the person, to be given back once it is on record.
pub async fn execute<'c>(
    cx: &Execution<'_, 'c>,
    tell: impl Fn(PersonIndex, Outcome, Option<Writing<'c>>) + Sync,
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
        cx.plan.late_managers.iter().map(|(person, _)| *person).collect();
    let held_back: Mutex<HashMap<PersonIndex, Outcome>> = Mutex::default();
    let over = |person: PersonIndex, outcome: Outcome, claim: Option<Writing<'c>>| {
        if late.contains(&person) && matches!(outcome, Outcome::Done(_)) {
            held_back.lock().unwrap_or_else(PoisonError::into_inner).insert(person, outcome);
        } else {
            tell(person, outcome, claim);
        }
    };
    let mut queue =
        Queue::new(cx.plan, cx.people, cx.mapping, &cx.released.go, cx.since, cx.failed_before);
    let mut licences = Licences::default();
    let mut under_way = FuturesUnordered::new();
    loop {
        while under_way.len() < CONCURRENT
            && let Some(next) = queue.next(cx.turns.load(Ordering::Relaxed))
        {
            under_way.push(run.step(Step::Change(next)));
        }
        if let Some(group) = licences.due(under_way.is_empty()) {
            under_way.push(run.step(Step::Licences(group)));
        }
        (cx.waiting)(queue.depths());
        let until = licences.until();
        let ended = tokio::select! {
            biased;
            ended = under_way.next() => ended,
            () = tokio::time::sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => continue,
        };
        match ended {
            None => break,
            Some(Stepped::Change { change, outcome, claim }) => {
                let had_its_turn = matches!(outcome, Outcome::Done(_) | Outcome::Failed { .. });
                // Who waited in vain for the provider has had no turn: it comes first in the next pass.
                if queue.ended(change) && had_its_turn {
                    cx.turns.fetch_add(1, Ordering::Relaxed);
                }
                let person = cx.plan.changes[change].person;
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
    for (person, manager) in &cx.plan.late_managers {
        let waiting = held_back.lock().unwrap_or_else(PoisonError::into_inner).remove(person);
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

/// What is under way.
enum Step<'c> {
    /// The change of this index.
    Change(usize),
    /// The accounts of this group are read.
    Licences(Vec<Unproven<'c>>),
}

/// How it ended.
enum Stepped<'c> {
    Change { change: usize, outcome: Outcome, claim: Option<Writing<'c>> },
    Licences(Vec<Unproven<'c>>),
}

impl<'c> Run<'_, '_, 'c> {
    async fn step(&self, step: Step<'c>) -> Stepped<'c> {
        let next = match step {
            Step::Change(next) => next,
            Step::Licences(group) => return Stepped::Licences(self.with_licences(group).await),
        };
        let change = &self.cx.plan.changes[next];
        match self.cx.looking.write(self.employee(change.person)) {
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

    /// Whether another call for a change of this sort may begin.
    fn may_begin(&self, sort: Sort) -> bool {
        let open = self.streaks.open(sort);
        let late = sort != Sort::Suspension && Instant::now() >= self.cx.deadline;
        let halted = (self.cx.halted)() || !self.cx.leadership.may_start(WRITE_TIMEOUT);
        self.halted.fetch_or(open && halted, Ordering::Relaxed);
        self.late.fetch_or(open && late, Ordering::Relaxed);
        open && !late && !halted
    }

    fn employee(&self, person: PersonIndex) -> &str {
        self.cx.people[person as usize].employee.id()
    }

    /// The account of a person, planned or just made.
    fn account_of(&self, person: PersonIndex) -> Option<Box<str>> {
        let made =
            self.accounts.lock().unwrap_or_else(PoisonError::into_inner).get(&person).cloned();
        made.or_else(|| {
            self.cx.plan.standings[person as usize].account.as_ref().map(|held| held.id.clone())
        })
    }

    /// Executes a change on each of its accounts: what becomes of one keeps none of the others open.
    async fn all(&self, change: &Change) -> Outcome {
        let mut told = self.one(change).await;
        if matches!(told, Outcome::Outdated) || (self.cx.skip)(change).is_some() {
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
        if let (Some(row), Some(manager)) = (self.cx.mapping.manager, &manager) {
            write.attributes.push((row, NewValue::Set(manager.clone())));
        }
        let manager_pending = change.manager.is_some() && manager.is_none();
        if write.is_empty() {
            // All that was to be set is a manager whose account could not be made.
            return Outcome::Waiting;
        }
        if let Some(failure) = (self.cx.skip)(change) {
            return Outcome::Failed { failure, action, fields: self.sent(&write), account: None };
        }
        if !self.may_begin(sort) {
            return Outcome::Waiting;
        }
        if matches!(change.kind, Kind::Create)
            && self.unlicensed.load(Ordering::Relaxed) >= UNLICENSED
        {
            return Outcome::Waiting;
        }
        let sent = self.sent(&write);
        let result = match &change.account {
            Some(id) if change.look_up_first => match self.still_there(change, id).await {
                Ok(Some(AccountState::Suspended)) => {
                    return Outcome::Seen(Some(AccountState::Suspended));
                }
                Ok(None) => return Outcome::Seen(None),
                Ok(Some(state)) => {
                    self.settle(Self::aim(change, id, state), write, (action, MatchedBy::Mark))
                        .await
                }
                Err(ended) => Err(ended),
            },
            Some(id) => {
                let matched_by =
                    if change.kind == Kind::Adopt { MatchedBy::Email } else { MatchedBy::Mark };
                self.settle(
                    Self::aim(change, id, self.state_of(change.person)),
                    write,
                    (action, matched_by),
                )
                .await
            }
            None => self.create(change, write).await,
        };
        match result {
            Ok(mut landed) => {
                self.read_back(change.person, sort, &mut landed).await;
                self.streaks.went_through(sort);
                self.accounts
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(change.person, (*landed.account).into());
                self.ended(landed, manager_pending)
            }
            Err(Ended::Halted) => Outcome::Waiting,
            Err(Ended::Outdated) => Outcome::Outdated,
            Err(ended) => {
                let met = self
                    .met
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get(&change.person)
                    .cloned();
                let failure = match ended {
                    Ended::Refused(error) => match self.blame(
                        sort,
                        &error,
                        met.as_ref().map_or(&sent, |met| &met.fields),
                    ) {
                        Some(failure) => failure,
                        None => return Outcome::Waiting,
                    },
                    Ended::Failed(failure) => failure,
                    Ended::Halted | Ended::Outdated => return Outcome::Waiting,
                };
                match met {
                    Some(Met { account, state, action, fields }) => {
                        Outcome::Failed { failure, action, fields, account: Some((account, state)) }
                    }
                    None => Outcome::Failed { failure, action, fields: sent, account: None },
                }
            }
        }
    }

    /// What is told of a change that landed, or of which a part did.
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
        } = landed;
        let rows = &self.cx.mapping.rows;
        fields.sort_unstable_by_key(|&row| (rows[row].compare.is_person(), &rows[row].target));
        if let Some(failure) = sessions {
            // Access is taken; that its sessions are still to be ended would be forgotten if it were said.
            return Outcome::Failed { failure, action, fields, account: None };
        }
        let manager_pending = manager_pending
            || self.cx.mapping.manager.is_some_and(|row| unconfirmed.contains(&row));
        let refused = left.into_parts();
        Outcome::Done(Box::new(Done {
            action,
            matched_by,
            fields,
            account,
            state,
            manager_pending,
            request_id,
            refused,
            answered,
        }))
    }

    /// What an error means for this person; `None` where it means the credential, and the pass stops.
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
            Error::Duplicate { .. } | Error::Conflict { .. } | Error::NotFound => {}
        }
        Some(self.failure(error, fields))
    }

    /// The same in words; `fields`: the rows it is about.
    fn failure(&self, error: &Error, fields: &[usize]) -> Failure {
        match error {
            Error::Rejected { .. } => Failure::Rejected(error.to_string()),
            Error::Duplicate { field } => {
                let mapping = self.cx.mapping;
                let mut keys = vec![mapping.email, mapping.username];
                keys.dedup();
                let what = field.clone().unwrap_or_else(|| {
                    keys.iter()
                        .map(|row| &*mapping.rows[*row].target)
                        .collect::<Vec<_>>()
                        .join(" or ")
                });
                let also = if keys.iter().any(|row| *mapping.rows[*row].target == *what) {
                    ", an alias or a group"
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
            Error::NotFound => {
                Failure::Retrying("the account went away; the next pass looks again".to_owned())
            }
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

    /// The provider's names of these rows.
    fn names(&self, rows: &[usize]) -> String {
        rows.iter().map(|row| &*self.cx.mapping.rows[*row].target).collect::<Vec<_>>().join(", ")
    }

    /// The state of an account that is on record and not in the listing; `None` if it is gone, or another person's by now.
    async fn still_there(&self, change: &Change, id: &str) -> Result<Option<AccountState>, Ended> {
        let mark = self.cx.people[change.person as usize].employee.id();
        let found = self.look(change.person, Sort::of(change), Key::Id(id), Tries::all()).await?;
        let leaves = self.cx.people[change.person as usize].decision.ends_access();
        let protected = found.iter().find_map(|account| self.cx.protected.covers(account));
        if let Some(by) = protected.filter(|by| !(leaves && self.cx.protected.lets_go(*by))) {
            return Err(Ended::Failed(Failure::Protected(by)));
        }
        if found.iter().any(|account| account.elsewhere) {
            return Err(Ended::Failed(Failure::ManagedElsewhere));
        }
        let Some(account) = found.into_iter().find(|account| *account.id == *id) else {
            return Ok(None);
        };
        if account.mark.as_deref().is_none_or(|own| own == mark) {
            return Ok(Some(account.state));
        }
        let holder =
            |standing: &Standing| standing.account.as_ref().is_some_and(|held| *held.id == *id);
        if self.cx.plan.standings.iter().any(holder) {
            return Ok(None);
        }
        // Nobody's mark that is known: as far as anybody can tell, it is still the account of the one who has to lose access.
        let said = "the account on record bears a mark that is not this employee's: suspend it by hand, or put the mark right";
        Err(Ended::Failed(Failure::Conflict(said.to_owned())))
    }

    /// The state in which the plan found the account of this person.
    fn state_of(&self, person: PersonIndex) -> AccountState {
        self.cx.plan.standings[person as usize]
            .account
            .as_ref()
            .map_or(AccountState::Other, |held| held.state)
    }

    /// Makes a call, and again where it surely was not applied. A throttled call waits in the provider's pacer.
    async fn call<T, F>(
        &self,
        (person, sort): (PersonIndex, Sort),
        tries: &mut Tries,
        call: impl Fn() -> F,
    ) -> Result<T, Ended>
    where
        F: Future<Output = Result<T, Error>>,
    {
        loop {
            if !self.may_begin(sort) {
                return Err(Ended::Halted);
            }
            if self.cx.looking.is_outdated(self.employee(person)) {
                return Err(Ended::Outdated);
            }
            match call().await {
                Ok(value) => return Ok(value),
                // Its turn has not come: the provider's pacer keeps everybody waiting as long as it takes, and in
                // between it is asked here whether the call is still wanted.
                Err(Error::Throttled { .. }) => (self.cx.pause)(BACK_IN_LINE).await,
                Err(error @ Error::Unavailable { .. }) => match tries.again() {
                    Some(wait) => (self.cx.pause)(wait).await,
                    None => return Err(Ended::Refused(often(error, tries.made()))),
                },
                Err(error) => return Err(Ended::Refused(error)),
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
    ) -> Result<Vec<Account<'static>>, Ended> {
        self.call((person, sort), &mut tries, || self.cx.provider.find(self.cx.mapping, key)).await
    }

    /// Two managers of each other: both accounts exist now, and the one who was first gets the other.
    async fn late_manager(
        &self,
        person: PersonIndex,
        mut done: Done,
        manager: PersonIndex,
    ) -> Outcome {
        let (Some(row), Some(manager)) = (self.cx.mapping.manager, self.account_of(manager)) else {
            done.manager_pending = true;
            return Outcome::Done(Box::new(done));
        };
        let write = AccountWrite {
            attributes: vec![(row, NewValue::Set(manager))],
            ..AccountWrite::default()
        };
        let aim = Aim { person, id: &done.account, before: done.state, sort: Sort::Update };
        match self.update(&aim, &write, Tries::all()).await {
            Ok(written) if written.left.is_none() => done.fields.push(row),
            _ => done.manager_pending = true,
        }
        Outcome::Done(Box::new(done))
    }

    /// The rows that a write carries, in the order of the provider's names; the manager last.
    fn sent(&self, write: &AccountWrite) -> Vec<usize> {
        let rows = &self.cx.mapping.rows;
        let mut sent: Vec<usize> = write.attributes.iter().map(|(row, _)| *row).collect();
        sent.sort_unstable_by_key(|&row| (rows[row].compare.is_person(), &rows[row].target));
        sent
    }
}

/// What is told of two accounts of one person: what is tried again soonest, and that all is done only where it is.
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

/// How a call ended that brought nothing.
enum Ended {
    /// The pass ends early.
    Halted,
    /// A later pass deals with this person.
    Outdated,
    /// The provider's error.
    Refused(Error),
    /// What the steps around the call found.
    Failed(Failure),
}

/// The error, and how often it was met, where that says something.
fn often(error: Error, times: u32) -> Error {
    let counted = |said: String| if times > 1 { format!("{said} ({times} tries)") } else { said };
    match error {
        Error::Unavailable { said } => Error::Unavailable { said: counted(said) },
        Error::Unknown { said } => Error::Unknown { said: counted(said) },
        other => other,
    }
}

fn action_of(kind: Kind, access: Option<Access>) -> Action {
    match (kind, access) {
        (Kind::Create, _) => Action::Create,
        (_, Some(Access::Suspended)) => Action::Suspend,
        (_, Some(Access::Active)) => Action::Reactivate,
        (Kind::Adopt, None) => Action::Adopt,
        (Kind::Update, None) => Action::Update,
    }
}
