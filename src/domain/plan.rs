//! The plan: every change that makes the provider equal to the decisions and, for each employee,
//! what prevents it.

mod conflict;
mod digest;
mod order;
mod planned;
mod reporting;
mod ruling;
mod withheld;

pub use self::{
    conflict::Conflict,
    planned::Planned,
    ruling::{Approval, Fate, Ruling},
};

use std::{borrow::Cow, collections::HashSet};

use foldhash::HashMap;

use super::{
    access::Missing,
    account::{Access, AccountPhase, AccountState, AccountWrite, NewValue, Occasion},
    kept::Left,
    mapping::{Desired, Mapping, Origin, key_of},
    matching::{Candidate, Match, Matcher, Person, PersonIndex, Taken},
    safety::ProtectedBy,
    why::Why,
};

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChangeKind {
    /// A new account.
    Create,
    /// An account without a mark, found by e-mail. The first write sets the mark.
    Adopt,
    /// An account that belongs to the employee already.
    Update,
}

/// One write to the provider, for one employee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The employee.
    pub person: PersonIndex,
    /// The kind of the change.
    pub kind: ChangeKind,
    /// The account, or `None` for a new one.
    pub account: Option<Box<str>>,
    /// What to write.
    pub write: AccountWrite,
    /// Rows of the write that have another value on the account now.
    pub replaced: Vec<usize>,
    /// The manager, if this plan makes the manager's account. The account is known once it is made.
    pub manager: Option<PersonIndex>,
    /// The employee with a change that gives up the e-mail or username that this one takes.
    pub after: Option<PersonIndex>,
    /// The stage. Changes of one stage and level go out together, after earlier ones have ended.
    pub stage: Stage,
    /// Within a stage, how many changes have to go out one after the other before this one.
    pub level: u32,
    /// Whether the employee's account must be looked up before this change. For a new account that
    /// is so because an account was known once or the listing was not consistent. For a suspension
    /// it is so because the listing does not have the account.
    pub look_up_first: bool,
    /// Other accounts of the same employee. Access is taken from each of them too, even if it fails
    /// for others.
    pub also: Vec<Box<str>>,
    /// What the guard says of it.
    pub ruling: Ruling,
}

impl Change {
    /// Returns an update with this write. The caller fills in the employee.
    const fn new(write: AccountWrite) -> Self {
        Self {
            person: 0,
            kind: ChangeKind::Update,
            account: None,
            write,
            replaced: Vec::new(),
            manager: None,
            after: None,
            stage: Stage::Rest,
            level: 0,
            look_up_first: false,
            also: Vec::new(),
            ruling: Ruling { budget: None, approval: Approval::None, fate: Fate::Goes },
        }
    }

    /// Returns a change of only these rows of an existing account. Returns `None` if it writes none
    /// of them.
    #[must_use]
    pub fn only_rows(&self, rows: &[usize]) -> Option<Self> {
        let attributes: Vec<_> =
            self.write.attributes.iter().filter(|(row, _)| rows.contains(row)).cloned().collect();
        let write = AccountWrite { attributes, ..AccountWrite::default() };
        let touched = self.kind != ChangeKind::Create && !write.attributes.is_empty();
        touched.then(|| Self {
            person: self.person,
            account: self.account.clone(),
            ..Self::new(write)
        })
    }

    /// Returns whether the change takes access away.
    #[must_use]
    pub fn suspends(&self) -> bool {
        self.kind != ChangeKind::Create && self.write.access == Some(Access::Suspended)
    }

    /// Returns whether the change gives access back.
    #[must_use]
    pub fn reactivates(&self) -> bool {
        self.kind != ChangeKind::Create && self.write.access == Some(Access::Active)
    }
}

/// The order in which changes go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Takes access away.
    Suspend,
    /// Gives access back.
    Reactivate,
    /// Gives up an e-mail or username that another change of this plan takes.
    GiveUp,
    /// Makes new accounts, with managers before their reports.
    Create,
    /// All other changes.
    Rest,
}

/// Why an employee cannot be brought in sync.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Block {
    /// Another account has the e-mail or username, or the matching account belongs to another
    /// employee.
    Conflict(Conflict),
    /// This other integration manages the account at the same tenant.
    ClaimedBy(Box<str>),
    /// Several accounts match.
    Ambiguous,
    /// The account is protected and never written.
    Protected(ProtectedBy),
    /// Another directory is the account's master.
    ManagedElsewhere,
    /// The required row has no value.
    MissingAttribute(Origin),
    /// The row has no usable value, for this reason. The attribute is left as it is.
    MappingFailed(Origin, Box<str>),
    /// The expression of `provisioning.scope` failed, for this reason.
    ScopeFailed(Box<str>),
    /// The `EmployeeSync` pins a target that the provider does not have.
    UnknownTarget(Box<str>),
    /// The row of this index would change for too many employees at once.
    Frozen(usize),
}

/// What is known of the manager attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Manager {
    /// Nothing has to be resolved: the row is not mapped, Bob has no manager, or Bob hides the
    /// manager.
    Nothing,
    /// The manager's account is known.
    Resolved,
    /// This plan makes the manager's account.
    Pending,
    /// The manager has no account, and none is planned.
    NotManaged,
}

/// The result of the plan for one employee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmployeePlan {
    /// The account that belongs to this employee.
    pub account: Option<OwnAccount>,
    /// The manager attribute.
    pub manager: Manager,
    /// Why the employee cannot be brought in sync. A change may still take access away.
    pub block: Option<Block>,
    /// Index into [`Plan::changes`].
    pub change: Option<usize>,
    /// Rows that were changed at the provider, and that are only reported.
    pub drifted: Vec<usize>,
    /// Rows that the provider keeps in its own form, and that are not written.
    pub kept: Vec<usize>,
    /// Rows that something else sets back again and again, and that are not written for now.
    pub contested: Vec<usize>,
    /// Rows that are not as decided on an account that exists, and are not written because
    /// something prevents it.
    pub withheld: Vec<usize>,
    /// The state of an account that may belong to this employee and that this integration does not
    /// write. `None` if there is no such account.
    pub beside: Option<AccountState>,
    /// Whether several accounts belong to this employee, or may belong.
    pub several: bool,
    /// Whether one of several accounts can still be used after the change.
    pub stays_open: bool,
}

/// An account that belongs to an employee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnAccount {
    /// The provider's id of the account.
    pub id: Box<str>,
    /// Whether the account can be used.
    pub state: AccountState,
    /// What else decisions have to know of the state.
    pub phase: AccountPhase,
    /// Whether the account already has the mark.
    pub marked: bool,
    /// The account's e-mail, if employees' accounts name their manager by e-mail.
    pub email: Option<Box<str>>,
}

/// The whole plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// All changes, in the order in which they are executed.
    pub changes: Vec<Change>,
    /// The result for each employee, in the order of the employees.
    pub standings: Vec<EmployeePlan>,
    /// Changes that set a manager after both accounts exist, because managers refer to each other
    /// in a circle: employee and manager.
    pub late_managers: Vec<(PersonIndex, PersonIndex)>,
    /// Each employee's manager, if the manager is one of the employees too. The list is empty if no
    /// manager is mapped.
    pub managers: Vec<Option<PersonIndex>>,
    /// For employees with a manager who is not one of the employees: the value by which their
    /// accounts name the manager, if it is known.
    pub elsewhere: HashMap<PersonIndex, Box<str>>,
}

/// How many changes of each kind. A change that suspends or reactivates counts only as that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeCounts {
    /// New accounts.
    pub creates: u32,
    /// Changes that give access back.
    pub reactivations: u32,
    /// All other changes.
    pub updates: u32,
    /// Changes that take access away.
    pub disables: u32,
}

/// Makes the plan from what the matcher saw. `whole` says whether the listing was consistent.
#[must_use]
pub fn plan(matcher: Matcher<'_>, whole: bool) -> Planned<'_> {
    plan_partial(matcher, whole, &|_| None)
}

/// Returns the value by which accounts name an employee who is not part of a plan and has an
/// account: its id or its e-mail, as the mapping has it.
pub type Elsewhere<'a> = &'a dyn Fn(&str) -> Option<Box<str>>;

/// Makes the plan of a partial pass. `elsewhere` gives the accounts of managers who are not
/// among them.
#[must_use]
pub fn plan_partial<'a>(
    matcher: Matcher<'a>,
    whole: bool,
    elsewhere: Elsewhere<'_>,
) -> Planned<'a> {
    let (mapping, people) = (matcher.mapping(), matcher.people());
    let cx = Planning { mapping, people, whole };
    let managers = reporting::managers(&matcher);
    let matches = matcher.finish();
    let after = cx.hand_overs(&matches);
    let mut plan = Plan { standings: Vec::with_capacity(people.len()), ..Plan::default() };
    let mut current_manager: HashMap<PersonIndex, Box<str>> = HashMap::default();
    for (index, (person, found)) in (0..).zip(people.iter().zip(matches)) {
        if let Match::One { candidate, .. } = &found
            && let Some(manager) = &candidate.manager
        {
            current_manager.insert(index, manager.clone());
        }
        // A listing that does not show every account is no evidence that there is only one.
        let uncertain = person.several && !whole;
        let unseen = uncertain && matches!(found, Match::None | Match::Taken { .. });
        let found = if uncertain { found.among_several() } else { found };
        let (standing, change) = cx.one(person, found, after[index as usize]);
        let change =
            change.or_else(|| unlisted(person).filter(|_| unseen && standing.beside.is_some()));
        plan.standings.push(standing);
        if let Some(mut change) = change {
            change.person = index;
            change.write.occasion = occasion(person, change.write.access);
            plan.standings[index as usize].change = Some(plan.changes.len());
            plan.changes.push(change);
        }
    }
    plan.managers = managers;
    let mut planned = Planned { mapping, people, plan };
    planned.set_managers(elsewhere, &current_manager);
    order::order(&mut planned.plan);
    planned
}

/// What the plan of one employee is made from, except the account that was found.
#[derive(Clone, Copy)]
struct Planning<'a> {
    mapping: &'a Mapping,
    people: &'a [Person],
    /// Whether the listing was consistent.
    whole: bool,
}

impl Planning<'_> {
    /// Returns for each employee the other employee with the account that has the e-mail or
    /// username, if the same plan makes that account give both up. Two employees who want to swap
    /// would wait for each other without end, so neither waits.
    fn hand_overs(&self, matches: &[Match]) -> Vec<Option<PersonIndex>> {
        let Planning { mapping, people, .. } = *self;
        let gives_up = |holder: PersonIndex, account: &str, to: PersonIndex| {
            let own = matches!(&matches[holder as usize], Match::One { candidate, .. }
                if *candidate.account == *account);
            let (holder, to) = (&people[holder as usize], &people[to as usize]);
            let wanted = self.keys(to);
            own && holder.decision.managed
                && holder.claimed_by.is_none()
                && self.keys(holder).iter().all(|(row, own)| {
                    mapping.keeps(*row, &holder.employee)
                        && own.is_some()
                        && !wanted.iter().any(|(_, key)| key == own)
                })
        };
        let leaves = |person: PersonIndex| match &matches[person as usize] {
            Match::One { candidate, .. } => {
                people[person as usize].decision.existing == Some(Access::Suspended)
                    && candidate.state != AccountState::Suspended
            }
            Match::None | Match::Ambiguous { .. } | Match::Taken { .. } => false,
        };
        let holder = |person: PersonIndex| match &matches[person as usize] {
            Match::One { taken, .. } | Match::Taken { by: taken, .. } => taken,
            Match::None | Match::Ambiguous { .. } => &Taken::No,
        };
        (0..)
            .zip(people)
            .map(|(person, _)| {
                let Taken::By(first, _) = holder(person) else { return None };
                let (mut at, mut seen) = (person, HashSet::new());
                loop {
                    match holder(at) {
                        Taken::No => return Some(*first),
                        // An employee who leaves does not wait, and gives up nothing while
                        // something else is taken.
                        Taken::By(..) if at != person && leaves(at) => return None,
                        Taken::By(next, account)
                            if seen.insert(at) && gives_up(*next, account, at) =>
                        {
                            at = *next
                        }
                        Taken::By(..) | Taken::ForGood(_) => return None,
                    }
                }
            })
            .collect()
    }

    /// Returns the keys that an employee's account should have, by row: the e-mail, and the
    /// username unless it is chosen with a number.
    fn keys<'b>(&self, person: &'b Person) -> Vec<(usize, Option<Cow<'b, str>>)> {
        let mapping = self.mapping;
        let rows = [mapping.email, mapping.username].into_iter();
        let rows =
            rows.filter(|row| *row == mapping.email || !mapping.numbers_username(&person.employee));
        rows.map(|row| (row, mapping.text(row, &person.employee).map(key_of))).collect()
    }

    /// Returns the [`EmployeePlan`] and the change of one employee, without the manager.
    fn one(
        &self,
        person: &Person,
        found: Match,
        after: Option<PersonIndex>,
    ) -> (EmployeePlan, Option<Change>) {
        let Planning { mapping, people, .. } = *self;
        if !person.decision.managed {
            return left_out(person, found);
        }
        if let Some(other) = &person.claimed_by {
            let beside = match &found {
                Match::One { candidate, .. } => Some(candidate.state),
                Match::Ambiguous { open, .. } if person.decision.ends_access() => {
                    Some(open_or_not(*open))
                }
                Match::None | Match::Ambiguous { .. } | Match::Taken { .. } => None,
            };
            return (
                EmployeePlan { beside, ..standing(None, Some(Block::ClaimedBy(other.clone()))) },
                None,
            );
        }
        let origin = |row| Origin::of(row, &person.employee);
        let missing = |exists| {
            let row = mapping.missing_required(&person.employee, exists);
            row.map(|row| Block::MissingAttribute(origin(row)))
        };
        let failed = || {
            let expression = mapping
                .failed(&person.employee)
                .map(|(row, why)| Block::MappingFailed(origin(row), why));
            let scope = || person.scope_failure.clone().map(Block::ScopeFailed);
            expression
                .or_else(scope)
                .or_else(|| person.unknown_target.clone().map(Block::UnknownTarget))
        };
        match found {
            Match::Ambiguous { in_use, open, stays_open } => {
                // Access has to end, so it does not matter which account is the right one. Each of
                // them is suspended.
                let leaves = person.decision.existing == Some(Access::Suspended);
                let change = if leaves { suspensions(in_use) } else { None };
                let beside = leaves.then(|| open_or_not(open));
                (
                    EmployeePlan {
                        beside,
                        several: true,
                        stays_open,
                        ..standing(None, Some(Block::Ambiguous))
                    },
                    change,
                )
            }
            Match::One { candidate, .. } if let Some(by) = candidate.protected => {
                let change = (candidate.lets_go && candidate.state != AccountState::Suspended)
                    .then(|| suspension(candidate.account.clone()));
                (standing(Some(held(&candidate)), Some(Block::Protected(by))), change)
            }
            Match::One { candidate, .. } if candidate.elsewhere => {
                (standing(Some(held(&candidate)), Some(Block::ManagedElsewhere)), None)
            }
            Match::One { mut candidate, taken } => {
                let account = held(&candidate);
                if person.employee.unread {
                    // Only a row of Bob says which values the account should have in addition to
                    // access.
                    candidate.replaced.clear();
                    candidate.write = candidate.write.map(|write| {
                        Box::new(AccountWrite { foreign: write.foreign, ..AccountWrite::default() })
                    });
                }
                let drifted = self.drifted(person, &mut candidate);
                let rows = |why| {
                    candidate
                        .left
                        .iter()
                        .filter(move |(_, own)| *own == why)
                        .map(|(row, _)| *row)
                        .collect()
                };
                let (kept, contested) = (rows(Left::Kept), rows(Left::Contested));
                let suspends = person.decision.existing == Some(Access::Suspended)
                    && candidate.state != AccountState::Suspended;
                // An employee who leaves does not wait for an e-mail to become free.
                let after = after.filter(|_| !suspends);
                let conflict = (taken != Taken::No && after.is_none())
                    .then(|| Block::Conflict(Conflict::new(&taken, people)));
                let missing =
                    missing(true).or_else(failed).filter(|_| !person.employee.is_without_a_row());
                let mut withheld = match missing {
                    Some(Block::MissingAttribute(from) | Block::MappingFailed(from, _)) => {
                        vec![from.row]
                    }
                    _ => Vec::new(),
                };
                let taken = conflict.is_some();
                let differs =
                    candidate.write.iter().flat_map(|write| &write.attributes).map(|(row, _)| *row);
                withheld.extend(
                    differs.filter(|row| taken && [mapping.email, mapping.username].contains(row)),
                );
                let change = self
                    .existing(person, *candidate, taken)
                    .map(|change| Change { after, ..change });
                (
                    EmployeePlan {
                        drifted,
                        kept,
                        contested,
                        withheld,
                        ..standing(Some(account), conflict.or(missing))
                    },
                    change,
                )
            }
            // An account without a mark that has the e-mail of an employee who left may belong to
            // that employee. It is reported, because bobsync may not adopt it.
            Match::Taken { open: true, by } if person.decision.ends_access() => {
                let beside = Some(AccountState::Active);
                (
                    EmployeePlan {
                        beside,
                        ..standing(None, Some(Block::Conflict(Conflict::new(&by, people))))
                    },
                    unlisted(person),
                )
            }
            Match::None | Match::Taken { .. } => match person.decision.missing {
                Missing::NotYet | Missing::Never => (standing(None, None), unlisted(person)),
                Missing::Create(access) => {
                    let taken = match &found {
                        Match::Taken { by, .. } if after.is_none() => {
                            Some(Block::Conflict(Conflict::new(by, people)))
                        }
                        _ => None,
                    };
                    let failed = failed();
                    // An account can be made even if an attribute that is not required has no
                    // value.
                    let possible = |block: &Block| match block {
                        Block::MappingFailed(from, _) => !mapping.rows[from.row].required,
                        Block::UnknownTarget(_) | Block::ScopeFailed(_) | Block::Frozen(_) => true,
                        Block::Conflict(_)
                        | Block::ClaimedBy(_)
                        | Block::Ambiguous
                        | Block::Protected(_)
                        | Block::ManagedElsewhere
                        | Block::MissingAttribute(_) => false,
                    };
                    let block = missing(false).or(taken).or(failed);
                    let change =
                        block.as_ref().is_none_or(possible).then(|| self.create(person, access));
                    (standing(None, block), change.map(|change| Change { after, ..change }))
                }
            },
        }
    }

    /// Takes rows that were changed at the provider out of the write, if drift is only reported.
    /// Returns these rows.
    fn drifted(&self, person: &Person, candidate: &mut Candidate) -> Vec<usize> {
        let (Some(in_place), Some(write)) = (&person.in_place, &mut candidate.write) else {
            return Vec::new();
        };
        let is_drift = |row: usize| in_place.holds(self.mapping, &person.employee, row, None);
        let drifted =
            write.attributes.iter().map(|(row, _)| *row).filter(|&row| is_drift(row)).collect();
        write.attributes.retain(|(row, _)| !is_drift(*row));
        candidate.replaced.retain(|&row| !is_drift(row));
        drifted
    }

    /// Returns the change of an account that exists, or `None` if there is nothing to write.
    /// `taken` says that another account has the e-mail or username.
    fn existing(&self, person: &Person, candidate: Candidate, taken: bool) -> Option<Change> {
        let access = access_of(person, &candidate);
        let mut write = candidate.write.map(|write| *write).unwrap_or_default();
        if taken {
            write
                .attributes
                .retain(|(row, _)| *row != self.mapping.email && *row != self.mapping.username);
        }
        write.access = access;
        let kind = if candidate.marked { ChangeKind::Update } else { ChangeKind::Adopt };
        let replaced = candidate.replaced;
        Some(Change { kind, account: Some(candidate.account), replaced, ..Change::new(write) })
            .filter(|change| !change.write.is_empty())
    }

    /// Returns the change that makes a new account.
    fn create(&self, person: &Person, access: Access) -> Change {
        let employee = &person.employee;
        let attributes = (0..self.mapping.rows.len())
            .filter_map(|row| match self.mapping.desired(row, employee) {
                Desired::Text(text) => Some((row, NewValue::Set(text.as_ref().into()))),
                Desired::Empty | Desired::Keep | Desired::Person(_) | Desired::Failed(_) => None,
            })
            .collect();
        let write = AccountWrite {
            attributes,
            mark: Some(employee.id().into()),
            access: Some(access),
            ..AccountWrite::default()
        };
        Change {
            kind: ChangeKind::Create,
            look_up_first: !self.whole || person.forgotten || person.known_account.is_some(),
            ..Change::new(write)
        }
    }
}

fn standing(account: Option<OwnAccount>, block: Option<Block>) -> EmployeePlan {
    EmployeePlan {
        account,
        manager: Manager::Nothing,
        block,
        change: None,
        drifted: Vec::new(),
        kept: Vec::new(),
        contested: Vec::new(),
        withheld: Vec::new(),
        beside: None,
        several: false,
        stays_open: false,
    }
}

/// Returns the [`EmployeePlan`] and the change of an employee that the settings leave out. Nothing
/// is written, with one exception: the end of the employment takes access from an account with the
/// mark. An account that another integration manages is left to that integration.
fn left_out(person: &Person, found: Match) -> (EmployeePlan, Option<Change>) {
    let leaves = person.decision.only_ends_access() && person.claimed_by.is_none();
    let unknown =
        [Some(person.decision.why), person.decision.also].contains(&Some(Why::ScopeUnknown));
    let failure = person.scope_failure.clone().filter(|_| unknown).map(Block::ScopeFailed);
    match found {
        // No e-mail is matched for such an employee, so the account has the mark or is the recorded
        // one.
        Match::One { candidate, .. } => {
            let leaves = leaves && candidate.marked;
            let block = match candidate.protected {
                Some(by) if leaves => Some(Block::Protected(by)),
                _ if leaves && candidate.elsewhere => Some(Block::ManagedElsewhere),
                _ => None,
            };
            let writes = leaves && (block.is_none() || candidate.lets_go);
            let change = access_of(person, &candidate)
                .filter(|_| writes)
                .map(|_| suspension(candidate.account.clone()));
            (standing(Some(held(&candidate)), block.or(failure)), change)
        }
        Match::Ambiguous { in_use, open, stays_open } if leaves => {
            let block = open.then_some(Block::Ambiguous).or(failure);
            let beside = Some(open_or_not(open));
            (
                EmployeePlan { beside, several: true, stays_open, ..standing(None, block) },
                suspensions(in_use),
            )
        }
        Match::None | Match::Taken { .. } if leaves => (standing(None, failure), unlisted(person)),
        Match::Ambiguous { .. } => {
            (EmployeePlan { several: true, ..standing(None, failure) }, None)
        }
        Match::None | Match::Taken { .. } => (standing(None, failure), None),
    }
}

const fn open_or_not(open: bool) -> AccountState {
    if open { AccountState::Active } else { AccountState::Suspended }
}

/// Returns a suspension of the recorded account. The account may still be there although the
/// listing does not have it, because absence is no evidence. An employee who has to lose access
/// loses it there, after the account was looked up by its id.
fn unlisted(person: &Person) -> Option<Change> {
    let account = person.known_account.clone().filter(|_| person.known_active)?;
    let suspends = person.decision.existing == Some(Access::Suspended);
    suspends.then(|| Change { look_up_first: true, ..suspension(account) })
}

/// Returns a change that takes access from this account and does nothing else.
fn suspension(account: Box<str>) -> Change {
    Change {
        account: Some(account),
        ..Change::new(AccountWrite { access: Some(Access::Suspended), ..AccountWrite::default() })
    }
}

/// Returns a change that takes access from each of these accounts, or `None` without accounts.
fn suspensions(accounts: Vec<Box<str>>) -> Option<Change> {
    let mut accounts = accounts.into_iter();
    let first = accounts.next()?;
    Some(Change { also: accounts.collect(), ..suspension(first) })
}

fn held(candidate: &Candidate) -> OwnAccount {
    OwnAccount {
        id: candidate.account.clone(),
        state: candidate.state,
        phase: candidate.phase,
        marked: candidate.marked,
        email: candidate.email.clone(),
    }
}

/// Returns the access to give or take.
fn access_of(person: &Person, candidate: &Candidate) -> Option<Access> {
    match (person.decision.existing, candidate.state) {
        (
            Some(Access::Suspended),
            AccountState::Active
            | AccountState::Unactivated
            | AccountState::Staged
            | AccountState::Unlicensed
            | AccountState::Other,
        ) => Some(Access::Suspended),
        // bobsync does not end the sessions of another account than the recorded one.
        (Some(Access::Suspended), AccountState::Suspended)
            if person.sessions_open
                && person
                    .known_account
                    .as_ref()
                    .is_none_or(|known| *known == candidate.account) =>
        {
            Some(Access::Suspended)
        }
        (Some(Access::Active), AccountState::Suspended | AccountState::Unactivated) => {
            Some(Access::Active)
        }
        // The account was activated, and its password is still to expire.
        (Some(Access::Active), AccountState::Active)
            if person.first_login && candidate.phase == AccountPhase::Unused =>
        {
            Some(Access::Active)
        }
        _ => None,
    }
}

/// Returns the occasion for this access of a person's account.
#[must_use]
pub fn occasion(person: &Person, access: Option<Access>) -> Occasion {
    match access {
        Some(Access::Suspended) if person.decision.ends_access() => Occasion::Leaves,
        Some(Access::Active) if person.first_login => Occasion::FirstLogin,
        _ => Occasion::Other,
    }
}

impl Plan {
    /// Returns how many changes of each kind there are.
    #[must_use]
    pub fn counts(&self) -> ChangeCounts {
        self.counts_of(|_| true)
    }

    /// Returns how many changes of each kind there are among those with an index that is `wanted`.
    #[must_use]
    pub fn counts_of(&self, wanted: impl Fn(usize) -> bool) -> ChangeCounts {
        let mut counts = ChangeCounts::default();
        for (_, change) in self.changes.iter().enumerate().filter(|(index, _)| wanted(*index)) {
            match change {
                change if change.suspends() => counts.disables += 1,
                change if change.reactivates() => counts.reactivations += 1,
                Change { kind: ChangeKind::Create, .. } => counts.creates += 1,
                Change { .. } => counts.updates += 1,
            }
        }
        counts
    }
}
