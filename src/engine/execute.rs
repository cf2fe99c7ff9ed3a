//! Step 5: the released changes go out, leavers first and then in turns (`domain::priority`), each on its own: one failure
//! blames one employee.
//!
//! A refused write is told. A throttled one waits for its turn. One that surely was not applied is tried again. One
//! whose outcome is unknown is read back before anything else. A create that meets a duplicate looks once who has the
//! e-mail: its own account (an earlier answer was lost), one to adopt, or a stranger's.

mod create;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::Instant;

use super::{
    claims::{Looking, Refused, Writing},
    guard::Released,
    observe::provider_stop,
    validate::Stop,
};
use crate::{
    api::employee_sync::{Action, MatchedBy},
    cluster::leadership::Leadership,
    domain::{
        account::{Access, Account, AccountState, AccountWrite, NewValue},
        mapping::{Mapping, equal},
        matching::{Person, PersonIndex},
        plan::{Change, Kind, Plan, Standing},
        priority::{Class, Queue},
        safety::{Protected, ProtectedBy},
    },
    provider::{Error, Initial, Key, Provider, Urgency, Written, call::BACK_IN_LINE},
};

/// How many changes are under way at once. The provider's pace is kept by its pacer; this only hides latency.
const CONCURRENT: usize = 8;
/// The longest a single write may take; no write begins unless the lease outlives it.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Tries of one call that surely was not applied.
const TRIES: u32 = 4;
/// The first pause before an account that surely exists is looked for again, where reads lag behind writes.
const LAG: Duration = Duration::from_secs(1);
/// So many refused attributes at most are left out of a change.
const LEFT_OUT: usize = 3;
/// So many changes in a row without reaching the provider, and the rest waits for the next pass.
const UNREACHABLE: u32 = 10;

/// So many refusals for lack of rights without a single success: it is the credential, not the accounts.
const FORBIDDEN: u32 = 3;

/// How one change ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The provider confirmed it.
    Done(Box<Done>),
    /// It could not be done; `access` tells whether access was brought in order all the same.
    Failed {
        /// Why.
        failure: Failure,
        /// What was asked.
        action: Action,
        /// The rows of the attributes that were sent, by the provider's names.
        fields: Vec<usize>,
        /// The account as it is now, where it is known.
        account: Option<(Box<str>, AccountState)>,
    },
    /// Nothing had to be written: the account that the listing does not have is in this state, or is gone.
    Seen(Option<AccountState>),
    /// Its turn did not come.
    Waiting,
    /// Another pass that looked later deals with this person.
    Outdated,
    /// A write to this person was under way: the person is looked at again once it has ended.
    Busy,
}

/// A confirmed change.
#[derive(Clone, Debug)]
pub struct Done {
    /// What was done.
    pub action: Action,
    /// How the account was found.
    pub matched_by: MatchedBy,
    /// The rows of the attributes that were sent, by the provider's names.
    pub fields: Vec<usize>,
    /// The account's id.
    pub account: Box<str>,
    /// Whether it can be used now.
    pub state: AccountState,
    /// Whether the manager is set, where one was to be set.
    pub manager_pending: bool,
    /// The provider's request id.
    pub request_id: Option<String>,
    /// What the provider refused of the change, and its rows: they were left out, and the rest went out without them.
    pub refused: Option<(Failure, Vec<usize>)>,
}

/// Why a change could not be done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The provider refused a value.
    Rejected(String),
    /// Another account has the e-mail or username, or belongs to somebody else.
    Conflict(String),
    /// Several accounts match.
    Ambiguous,
    /// The account turned out to be one that is never written.
    Protected(ProtectedBy),
    /// Another directory turned out to be the account's master.
    ManagedElsewhere,
    /// The credential may not change this account.
    Forbidden(String),
    /// Tried again by itself.
    Retrying(String),
}

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
}

/// What the step as a whole found out.
#[derive(Debug, Default)]
pub struct Summary {
    /// Why the rest was not tried.
    pub stop: Option<Stop>,
    /// Whether changes are left because the pass ended early.
    pub unfinished: bool,
}

/// An account's id, and whether it can be used.
type FoundAccount = (Box<str>, AccountState);

struct Run<'a, 'b, 'c> {
    cx: &'a Execution<'b, 'c>,
    accounts: Mutex<HashMap<PersonIndex, Box<str>>>,
    /// Accounts that turned out to exist, by `root.id`.
    found: Mutex<HashMap<Box<str>, FoundAccount>>,
    stop: Mutex<Option<Stop>>,
    unreachable: AtomicU32,
    forbidden: AtomicU32,
    succeeded: AtomicU32,
    unfinished: std::sync::atomic::AtomicBool,
}

/// Executes every released change and tells each outcome once. Held changes are told by the guard, not here.
/// With an outcome comes the claim on the person, to be given back once it is on record.
pub async fn execute<'c>(cx: &Execution<'_, 'c>, tell: impl Fn(PersonIndex, Outcome, Option<Writing<'c>>) + Sync) -> Summary {
    let run = Run {
        cx,
        accounts: Mutex::default(),
        found: Mutex::default(),
        stop: Mutex::default(),
        unreachable: AtomicU32::new(0),
        forbidden: AtomicU32::new(0),
        succeeded: AtomicU32::new(0),
        unfinished: std::sync::atomic::AtomicBool::new(false),
    };
    let late: HashSet<PersonIndex> = cx.plan.late_managers.iter().map(|(person, _)| *person).collect();
    let held_back: Mutex<HashMap<PersonIndex, Outcome>> = Mutex::default();
    let mut queue = Queue::new(cx.plan, cx.people, cx.mapping, &cx.released.go, cx.since);
    let mut under_way = FuturesUnordered::new();
    loop {
        while under_way.len() < CONCURRENT
            && let Some(next) = queue.next(cx.turns.load(Ordering::Relaxed))
        {
            let (run, tell, late, held_back) = (&run, &tell, &late, &held_back);
            under_way.push(async move {
                let change = &run.cx.plan.changes[next];
                let claim = match run.cx.looking.write(run.employee(change.person)) {
                    Ok(claim) => claim,
                    Err(refused) => {
                        let outcome = if refused == Refused::Busy { Outcome::Busy } else { Outcome::Outdated };
                        tell(change.person, outcome, None);
                        return (next, false);
                    }
                };
                let outcome = run.one(change).await;
                let had_its_turn = matches!(outcome, Outcome::Done(_) | Outcome::Failed { .. });
                if late.contains(&change.person) && matches!(outcome, Outcome::Done(_)) {
                    held_back.lock().unwrap_or_else(PoisonError::into_inner).insert(change.person, outcome);
                } else {
                    tell(change.person, outcome, Some(claim));
                }
                (next, had_its_turn)
            });
        }
        (cx.waiting)(queue.depths());
        let Some((ended, had_its_turn)) = under_way.next().await else { break };
        // Who waited in vain for the provider has had no turn: it comes first in the next pass.
        if queue.ended(ended) && had_its_turn {
            cx.turns.fetch_add(1, Ordering::Relaxed);
        }
    }
    drop(under_way);
    for (person, manager) in &cx.plan.late_managers {
        let waiting = held_back.lock().unwrap_or_else(PoisonError::into_inner).remove(person);
        if let Some(Outcome::Done(done)) = waiting {
            tell(*person, run.late_manager(*person, *done, *manager).await, None);
        }
    }
    Summary { stop: run.stop.into_inner().unwrap_or_else(PoisonError::into_inner), unfinished: run.unfinished.into_inner() }
}

impl Run<'_, '_, '_> {
    /// Whether another write may begin.
    fn may_begin(&self, urgency: Urgency) -> bool {
        let stopped = self.stop.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        let late = urgency == Urgency::Normal && Instant::now() >= self.cx.deadline;
        let may = !stopped && !late && !(self.cx.halted)() && self.cx.leadership.may_start(WRITE_TIMEOUT);
        if !may && !stopped {
            self.unfinished.store(true, Ordering::Relaxed);
        }
        may
    }

    fn employee(&self, person: PersonIndex) -> &str {
        self.cx.people[person as usize].employee.id()
    }

    /// The account of a person, planned or just made.
    fn account_of(&self, person: PersonIndex) -> Option<Box<str>> {
        let made = self.accounts.lock().unwrap_or_else(PoisonError::into_inner).get(&person).cloned();
        made.or_else(|| self.cx.plan.standings[person as usize].account.as_ref().map(|held| held.id.clone()))
    }

    async fn one(&self, change: &Change) -> Outcome {
        let action = action_of(change.kind, change.write.access);
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
        let urgency = if change.suspends() { Urgency::Urgent } else { Urgency::Normal };
        if !self.may_begin(urgency) {
            return Outcome::Waiting;
        }
        let mut refused: Option<(Failure, Vec<usize>)> = None;
        let result = loop {
            let result = match &change.account {
                Some(id) if change.look_up_first => match self.still_there(change, id).await {
                    Ok(Some(AccountState::Suspended)) => return Outcome::Seen(Some(AccountState::Suspended)),
                    Ok(None) => return Outcome::Seen(None),
                    Ok(Some(state)) => {
                        self.update((change.person, state), id, &write, urgency).await.map(|written| (written, MatchedBy::Mark))
                    }
                    Err(ended) => Err(ended),
                },
                Some(id) => {
                    let matched_by = if change.kind == Kind::Adopt { MatchedBy::Email } else { MatchedBy::Mark };
                    self.update((change.person, self.state_of(change.person)), id, &write, urgency)
                        .await
                        .map(|written| (written, matched_by))
                }
                None => self.create(change, &write).await,
            };
            let Err(Ended::Refused(error)) = &result else { break result };
            let out = refused.as_ref().map_or(0, |(_, rows)| rows.len());
            let Some(row) = self.dispensable(change.kind, &write, error).filter(|_| out < LEFT_OUT) else { break result };
            write.attributes.retain(|(own, _)| *own != row);
            refused.get_or_insert_with(|| (Failure::Rejected(error.to_string()), Vec::new())).1.push(row);
        };
        let failed = |failure, account| Outcome::Failed { failure, action, fields: self.sent(&write), account };
        match result {
            Ok((written, matched_by)) => {
                self.unreachable.store(0, Ordering::Relaxed);
                self.succeeded.fetch_add(1, Ordering::Relaxed);
                let account = written.account;
                let unconfirmed = |row: usize| {
                    let asked = write.attributes.iter().any(|(r, value)| *r == row && matches!(value, NewValue::Set(_)));
                    asked && account.attributes.get(row).is_some_and(Option::is_none)
                };
                let manager_pending = manager_pending || self.cx.mapping.manager.is_some_and(unconfirmed);
                self.accounts.lock().unwrap_or_else(PoisonError::into_inner).insert(change.person, (*account.id).into());
                Outcome::Done(Box::new(Done {
                    action: if matched_by == MatchedBy::Email && change.kind == Kind::Create { Action::Adopt } else { action },
                    matched_by,
                    fields: self.sent(&write),
                    account: account.id.into(),
                    state: account.state,
                    manager_pending,
                    request_id: written.request_id,
                    refused,
                }))
            }
            Err(Ended::Halted) => Outcome::Waiting,
            Err(Ended::Outdated) => Outcome::Outdated,
            Err(Ended::Failed(failure)) => failed(failure, self.found_for(change)),
            Err(Ended::Refused(error)) => {
                let access = self.essence_alone(change, &error).await.or_else(|| self.found_for(change));
                match self.sort(error) {
                    Some(failure) => failed(failure, access),
                    None => Outcome::Waiting,
                }
            }
        }
    }

    /// The row whose value was refused, where the rest can go out without it: one value that the provider does not take keeps nobody
    /// from their account, and no other attribute from being right.
    fn dispensable(&self, kind: Kind, write: &AccountWrite, error: &Error) -> Option<usize> {
        let Error::Rejected { field: Some(field), .. } = error else { return None };
        let mapping = self.cx.mapping;
        let row = write.attributes.iter().map(|(row, _)| *row).find(|row| *mapping.rows[*row].target == **field)?;
        let needed = mapping.rows[row].required || row == mapping.email || row == mapping.username;
        let rest = write.access.is_some() || write.mark.is_some() || write.attributes.len() > 1;
        (rest && (kind != Kind::Create || !needed)).then_some(row)
    }

    /// The account that turned out to be this person's, although it could not be brought in line.
    fn found_for(&self, change: &Change) -> Option<(Box<str>, AccountState)> {
        let id = self.cx.people[change.person as usize].employee.id();
        self.found.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// A refused attribute never stops a suspension: access goes out by itself. Nor does it leave an adopted account
    /// without its owner: the mark goes on by itself.
    async fn essence_alone(&self, change: &Change, error: &Error) -> Option<(Box<str>, AccountState)> {
        let id = change.account.as_ref()?;
        let refused = matches!(error, Error::Rejected { .. } | Error::Duplicate { .. } | Error::Forbidden { .. });
        let alone = if change.suspends() {
            AccountWrite { access: change.write.access, ..AccountWrite::default() }
        } else {
            let foreign = change.write.foreign.clone();
            AccountWrite { mark: change.write.mark.clone(), foreign, ..AccountWrite::default() }
        };
        let same = (alone.access, &alone.mark) == (change.write.access, &change.write.mark) && change.write.attributes.is_empty();
        if !refused || alone.is_empty() || same {
            return None;
        }
        let urgency = if change.suspends() { Urgency::Urgent } else { Urgency::Normal };
        let written = self.update((change.person, self.state_of(change.person)), id, &alone, urgency).await.ok()?;
        Some((written.account.id.into(), written.account.state))
    }

    /// What an error means for this person; `None` where it means the whole integration and the pass stops.
    fn sort(&self, error: Error) -> Option<Failure> {
        match error {
            Error::Rejected { .. } => Some(Failure::Rejected(error.to_string())),
            Error::Duplicate { .. } => Some(Failure::Conflict(error.to_string())),
            Error::Forbidden { .. } => {
                let all = self.forbidden.fetch_add(1, Ordering::Relaxed) + 1;
                if all >= FORBIDDEN && self.succeeded.load(Ordering::Relaxed) == 0 {
                    self.stop.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| provider_stop(&error));
                }
                Some(Failure::Forbidden(error.to_string()))
            }
            Error::NotFound => Some(Failure::Retrying("the account went away; the next pass looks again".to_owned())),
            Error::Unauthorized { .. } | Error::Denied { .. } => {
                self.stop.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| provider_stop(&error));
                None
            }
            Error::Throttled { .. } | Error::Unavailable { .. } | Error::Unknown { .. } => {
                if self.unreachable.fetch_add(1, Ordering::Relaxed) + 1 >= UNREACHABLE {
                    self.stop.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| provider_stop(&error));
                }
                Some(Failure::Retrying(error.to_string()))
            }
        }
    }

    /// The state of an account that is on record and not in the listing; `None` if it is gone, or another person's by now.
    async fn still_there(&self, change: &Change, id: &str) -> Result<Option<AccountState>, Ended> {
        let mark = self.cx.people[change.person as usize].employee.id();
        let found = self.call(change.person, Urgency::Urgent, || self.cx.provider.find(self.cx.mapping, Key::Id(id))).await?;
        if let Some(by) = found.iter().find_map(|account| self.cx.protected.covers(account)) {
            return Err(Ended::Failed(Failure::Protected(by)));
        }
        if found.iter().any(|account| account.elsewhere) {
            return Err(Ended::Failed(Failure::ManagedElsewhere));
        }
        let Some(account) = found.into_iter().find(|account| *account.id == *id) else { return Ok(None) };
        if account.mark.as_deref().is_none_or(|own| own == mark) {
            return Ok(Some(account.state));
        }
        let holder = |standing: &Standing| standing.account.as_ref().is_some_and(|held| *held.id == *id);
        if self.cx.plan.standings.iter().any(holder) {
            return Ok(None);
        }
        // Nobody's mark that is known: as far as anybody can tell, it is still the account of the one who has to lose access.
        let said = "the account on record bears a mark that is not this employee's: suspend it by hand, or put the mark right";
        Err(Ended::Failed(Failure::Conflict(said.to_owned())))
    }

    /// Changes the account of a person, which was in this state before.
    async fn update(
        &self,
        (person, before): (PersonIndex, AccountState),
        id: &str,
        write: &AccountWrite,
        urgency: Urgency,
    ) -> Result<Written, Ended> {
        for _ in 0..TRIES {
            match self.call(person, urgency, || self.cx.provider.update(self.cx.mapping, id, write, urgency)).await {
                Ok(mut written) => {
                    if write.access.is_none() && !self.cx.provider.capabilities().answers_changes {
                        written.account.state = before;
                    }
                    return Ok(written);
                }
                Err(Ended::Refused(Error::Unknown { said })) => {
                    tracing::debug!(said, "the outcome of an update is unknown; reading back");
                    let found = self.call(person, Urgency::Urgent, || self.cx.provider.find(self.cx.mapping, Key::Id(id))).await?;
                    match found.into_iter().find(|account| *account.id == *id) {
                        None => return Err(Ended::Refused(Error::NotFound)),
                        Some(account) if self.holds(&account, write) => return Ok(Written { account, request_id: None }),
                        Some(_) => {}
                    }
                }
                other => return other,
            }
        }
        Err(Ended::Failed(Failure::Retrying("the provider accepted the change, and reading back does not show it".to_owned())))
    }

    /// The state in which the plan found the account of this person.
    fn state_of(&self, person: PersonIndex) -> AccountState {
        self.cx.plan.standings[person as usize].account.as_ref().map_or(AccountState::Other, |held| held.state)
    }

    /// Whether the account is already as the write would make it.
    fn holds(&self, account: &Account<'_>, write: &AccountWrite) -> bool {
        let attributes = write.attributes.iter().all(|(row, value)| {
            let have = account.attributes.get(*row).and_then(Option::as_deref).filter(|have| !have.is_empty());
            match value {
                NewValue::Set(want) => have.is_some_and(|have| equal(self.cx.mapping.rows[*row].compare, have, want)),
                NewValue::Clear => have.is_none(),
            }
        });
        let access = match write.access {
            // Whether sessions were ended, no read shows.
            Some(Access::Suspended) => account.state == AccountState::Suspended && !self.cx.provider.capabilities().ends_sessions,
            Some(Access::Active) => !matches!(account.state, AccountState::Suspended | AccountState::Unactivated),
            None => true,
        };
        attributes && access && write.mark.as_ref().is_none_or(|mark| account.mark.as_deref() == Some(&**mark))
    }

    /// Makes a call, and again where it surely was not applied. A throttled call waits in the provider's pacer.
    async fn call<T, F>(&self, person: PersonIndex, urgency: Urgency, call: impl Fn() -> F) -> Result<T, Ended>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut pause = Duration::from_millis(250);
        for attempt in 1.. {
            if !self.may_begin(urgency) {
                return Err(Ended::Halted);
            }
            if self.cx.looking.is_outdated(self.employee(person)) {
                return Err(Ended::Outdated);
            }
            match call().await {
                Ok(value) => return Ok(value),
                // Its turn has not come: the provider's pacer keeps everybody waiting as long as it takes, and in
                // between it is asked here whether the call is still wanted.
                Err(Error::Throttled { .. }) => tokio::time::sleep(BACK_IN_LINE).await,
                Err(Error::Unavailable { .. }) if attempt < TRIES => {
                    tokio::time::sleep(pause).await;
                    pause *= 3;
                }
                Err(error) => return Err(Ended::Refused(error)),
            }
        }
        Err(Ended::Halted)
    }

    /// Two managers of each other: both accounts exist now, and the one who was first gets the other.
    async fn late_manager(&self, person: PersonIndex, mut done: Done, manager: PersonIndex) -> Outcome {
        let (Some(row), Some(manager)) = (self.cx.mapping.manager, self.account_of(manager)) else {
            done.manager_pending = true;
            return Outcome::Done(Box::new(done));
        };
        let write = AccountWrite { attributes: vec![(row, NewValue::Set(manager))], ..AccountWrite::default() };
        match self.update((person, done.state), &done.account, &write, Urgency::Normal).await {
            Ok(_) => done.fields.push(row),
            Err(_) => done.manager_pending = true,
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

fn action_of(kind: Kind, access: Option<Access>) -> Action {
    match (kind, access) {
        (Kind::Create, _) => Action::Create,
        (_, Some(Access::Suspended)) => Action::Suspend,
        (_, Some(Access::Active)) => Action::Reactivate,
        (Kind::Adopt, None) => Action::Adopt,
        (Kind::Update, None) => Action::Update,
    }
}
