//! The plan: every change that makes the provider equal to the decisions, and for everybody what stands in the way.

use foldhash::HashMap;
use sha2::{Digest as _, Sha256};

use super::{
    access::Missing,
    account::{Access, AccountState, AccountWrite, NewValue},
    mapping::{Desired, Mapping},
    matching::{Candidate, Match, Matcher, Person, PersonIndex},
};

/// What kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A new account.
    Create,
    /// An account without a mark, found by e-mail: the mark goes on with the first write.
    Adopt,
    /// An account of ours.
    Update,
}

/// One write to the provider, for one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub person: PersonIndex,
    /// What kind.
    pub kind: Kind,
    /// The account; empty for a new one.
    pub account: Option<Box<str>>,
    /// What to write.
    pub write: AccountWrite,
    /// The manager whose account is made by this same plan: known when that is done.
    pub manager: Option<PersonIndex>,
    /// Managers first: how many creations have to come before this one.
    pub level: u32,
    /// Whether the person must be looked up before the account is created, because an account was known once or the
    /// listing did not hang together.
    pub look_up_first: bool,
}

impl Change {
    /// Takes access away.
    #[must_use]
    pub fn suspends(&self) -> bool {
        self.kind != Kind::Create && self.write.access == Some(Access::Suspended)
    }

    /// Gives access back.
    #[must_use]
    pub fn reactivates(&self) -> bool {
        self.kind != Kind::Create && self.write.access == Some(Access::Active)
    }
}

/// Why somebody cannot be brought in sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Block {
    /// Another account has the e-mail or username, or the matching account belongs to another employee.
    Conflict,
    /// Several accounts match.
    Ambiguous,
    /// The required row of this index has no value in Bob.
    MissingAttribute(usize),
}

/// What is known of the manager attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Manager {
    /// There is nothing to resolve: not mapped, none in Bob, or hidden.
    Nothing,
    /// The manager's account is known.
    Resolved,
    /// The manager's account is made by this plan.
    Pending,
    /// The manager has no account, and none is planned.
    NotManaged,
}

/// Where one person stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The account that is this person's.
    pub account: Option<Held>,
    /// The manager attribute.
    pub manager: Manager,
    /// What stands in the way; a change may still take access away.
    pub block: Option<Block>,
    /// Index into [`Plan::changes`].
    pub change: Option<usize>,
}

/// An account that is somebody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The provider's id.
    pub id: Box<str>,
    /// Whether it can be used.
    pub state: AccountState,
    /// Whether it bears the mark already.
    pub marked: bool,
}

/// The whole plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Every change, in the order in which they are executed.
    pub changes: Vec<Change>,
    /// Where everybody stands, in the order of the people.
    pub standings: Vec<Standing>,
    /// Changes that set a manager after both accounts exist, because managers refer to each other in a circle:
    /// person and manager.
    pub late_managers: Vec<(PersonIndex, PersonIndex)>,
}

/// How many changes of each kind. A change that suspends or reactivates counts as that and nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// New accounts.
    pub creates: u32,
    /// Access given back.
    pub reactivations: u32,
    /// Everything else.
    pub updates: u32,
    /// Access taken away.
    pub disables: u32,
}

/// Makes the plan out of what the matcher saw. `whole`: the listing hung together.
#[must_use]
pub fn plan(mapping: &Mapping, people: &[Person], matcher: Matcher<'_>, whole: bool) -> Plan {
    let managers: Vec<Option<PersonIndex>> = managers(mapping, people, &matcher);
    let matches = matcher.finish();
    let mut plan = Plan { standings: Vec::with_capacity(people.len()), ..Plan::default() };
    let mut current_manager: HashMap<PersonIndex, Box<str>> = HashMap::default();
    for (index, (person, found)) in (0..).zip(people.iter().zip(matches)) {
        if let Match::One { candidate, .. } = &found
            && let Some(manager) = &candidate.manager
        {
            current_manager.insert(index, manager.clone());
        }
        let (standing, change) = one(mapping, person, found, whole);
        plan.standings.push(standing);
        if let Some(mut change) = change {
            change.person = index;
            plan.standings[index as usize].change = Some(plan.changes.len());
            plan.changes.push(change);
        }
    }
    if let Some(row) = mapping.manager {
        set_managers(&mut plan, mapping, people, row, &managers, &current_manager);
    }
    order(&mut plan);
    plan
}

/// The manager of everybody who has one that is among the people.
fn managers(mapping: &Mapping, people: &[Person], matcher: &Matcher<'_>) -> Vec<Option<PersonIndex>> {
    let Some(row) = mapping.manager else { return Vec::new() };
    people
        .iter()
        .map(|person| match mapping.desired(row, &person.employee) {
            Desired::Person(id) => matcher.person(id),
            _ => None,
        })
        .collect()
}

/// Standing and change of one person, managers aside.
fn one(mapping: &Mapping, person: &Person, found: Match, whole: bool) -> (Standing, Option<Change>) {
    let standing = |account, block| Standing { account, manager: Manager::Nothing, block, change: None };
    let missing = mapping.missing_required(&person.employee).map(Block::MissingAttribute);
    if !person.decision.managed {
        let account = match found {
            Match::One { candidate, .. } if candidate.marked => Some(held(&candidate)),
            _ => None,
        };
        return (standing(account, None), None);
    }
    match found {
        Match::Ambiguous => (standing(None, Some(Block::Ambiguous)), None),
        Match::One { candidate, taken } => {
            let account = held(&candidate);
            let missing = missing.filter(|_| !person.employee.deleted);
            let block = if taken { Some(Block::Conflict) } else { missing };
            let change = existing(mapping, person, *candidate, taken);
            (standing(Some(account), block), change)
        }
        Match::None | Match::Taken => match person.decision.missing {
            Missing::NotYet | Missing::Never => (standing(None, None), None),
            Missing::Create(access) => {
                let block = missing.or_else(|| (found == Match::Taken).then_some(Block::Conflict));
                let change = block.is_none().then(|| create(mapping, person, access, whole));
                (standing(None, block), change)
            }
        },
    }
}

fn held(candidate: &Candidate) -> Held {
    Held { id: candidate.account.clone(), state: candidate.state, marked: candidate.marked }
}

fn existing(mapping: &Mapping, person: &Person, candidate: Candidate, taken: bool) -> Option<Change> {
    let mut write = candidate.write.map(|write| *write).unwrap_or_default();
    if taken {
        write.attributes.retain(|(row, _)| *row != mapping.email && *row != mapping.username);
    }
    write.access = match (person.decision.existing, candidate.state) {
        (Some(Access::Suspended), AccountState::Active | AccountState::Unactivated | AccountState::Other) => Some(Access::Suspended),
        (Some(Access::Active), AccountState::Suspended | AccountState::Unactivated) => Some(Access::Active),
        _ => None,
    };
    let kind = if candidate.marked { Kind::Update } else { Kind::Adopt };
    Some(Change { person: 0, kind, account: Some(candidate.account), write, manager: None, level: 0, look_up_first: false })
        .filter(|change| !change.write.is_empty())
}

fn create(mapping: &Mapping, person: &Person, access: Access, whole: bool) -> Change {
    let employee = &person.employee;
    let attributes = (0..mapping.rows.len())
        .filter_map(|row| match mapping.desired(row, employee) {
            Desired::Text(text) => Some((row, NewValue::Set(text.as_ref().into()))),
            Desired::Empty | Desired::Keep | Desired::Person(_) => None,
        })
        .collect();
    Change {
        person: 0,
        kind: Kind::Create,
        account: None,
        write: AccountWrite { attributes, mark: Some(employee.id().into()), access: Some(access), foreign: None },
        manager: None,
        level: 0,
        look_up_first: !whole || person.known_account.is_some(),
    }
}

/// Adds the manager to the changes, and makes changes where it is all that differs.
fn set_managers(
    plan: &mut Plan,
    mapping: &Mapping,
    people: &[Person],
    row: usize,
    managers: &[Option<PersonIndex>],
    current: &HashMap<PersonIndex, Box<str>>,
) {
    for (index, person) in (0..).zip(people) {
        if !person.decision.managed || person.employee.deleted {
            continue;
        }
        let i = index as usize;
        let creating = plan.standings[i].change.is_some_and(|c| plan.changes[c].kind == Kind::Create);
        if plan.standings[i].account.is_none() && !creating {
            continue;
        }
        if mapping.rows[row].on_create_only && !creating {
            continue;
        }
        let (state, value, waits_for) = match mapping.desired(row, &person.employee) {
            Desired::Keep | Desired::Text(_) => continue,
            Desired::Empty => (Manager::Nothing, current.contains_key(&index).then_some(NewValue::Clear), None),
            Desired::Person(_) => match managers[i].filter(|&m| m != index) {
                None => (Manager::NotManaged, None, None),
                Some(manager) => match &plan.standings[manager as usize] {
                    Standing { account: Some(account), .. } => {
                        let same = current.get(&index).is_some_and(|now| **now == *account.id);
                        (Manager::Resolved, (!same).then(|| NewValue::Set(account.id.clone())), None)
                    }
                    Standing { change: Some(_), .. } => (Manager::Pending, None, Some(manager)),
                    Standing { .. } => (Manager::NotManaged, None, None),
                },
            },
        };
        plan.standings[i].manager = state;
        if value.is_none() && waits_for.is_none() {
            continue;
        }
        let change = match plan.standings[i].change {
            Some(change) => change,
            None => {
                let Some(account) = plan.standings[i].account.as_ref() else { continue };
                plan.changes.push(Change {
                    person: index,
                    kind: Kind::Update,
                    account: Some(account.id.clone()),
                    write: AccountWrite::default(),
                    manager: None,
                    level: 0,
                    look_up_first: false,
                });
                plan.standings[i].change = Some(plan.changes.len() - 1);
                plan.changes.len() - 1
            }
        };
        if let Some(value) = value {
            plan.changes[change].write.attributes.push((row, value));
        }
        plan.changes[change].manager = waits_for;
    }
}

/// Leavers first, then people who get access back, then new accounts with managers before their people, then the rest.
fn order(plan: &mut Plan) {
    let creates: HashMap<PersonIndex, usize> =
        plan.changes.iter().enumerate().filter(|(_, c)| c.kind == Kind::Create).map(|(i, c)| (c.person, i)).collect();
    let mut level: Vec<Option<u32>> = vec![None; plan.changes.len()];
    for start in 0..plan.changes.len() {
        // Walk up to somebody whose level is known or who waits for nobody, then back down.
        let mut path: Vec<usize> = Vec::new();
        let mut at = start;
        let mut base = loop {
            if let Some(known) = level[at] {
                break known + 1;
            }
            if let Some(position) = path.iter().position(|&p| p == at) {
                // A circle: the one with the smallest index gets the manager later.
                let first = path[position..].iter().copied().min_by_key(|&c| plan.changes[c].person).unwrap_or(at);
                let change = &mut plan.changes[first];
                if let Some(manager) = change.manager.take() {
                    plan.late_managers.push((change.person, manager));
                }
                path.clear();
                at = start;
                continue;
            }
            path.push(at);
            match plan.changes[at].manager.and_then(|manager| creates.get(&manager)) {
                Some(&next) => at = next,
                None => break 0,
            }
        };
        for &change in path.iter().rev() {
            level[change] = Some(base);
            base += 1;
        }
    }
    for (change, level) in plan.changes.iter_mut().zip(level) {
        change.level = level.unwrap_or(0);
    }
    plan.changes.sort_by_key(|change| (rank(change), change.level, change.person));
    for (position, change) in plan.changes.iter().enumerate() {
        plan.standings[change.person as usize].change = Some(position);
    }
}

fn rank(change: &Change) -> u8 {
    match change {
        change if change.suspends() => 0,
        change if change.reactivates() => 1,
        Change { kind: Kind::Create, .. } => 2,
        Change { .. } => 3,
    }
}

impl Plan {
    /// How many changes of each kind.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for change in &self.changes {
            match rank(change) {
                0 => counts.disables += 1,
                1 => counts.reactivations += 1,
                2 => counts.creates += 1,
                _ => counts.updates += 1,
            }
        }
        counts
    }

    /// Leaves out rows whose target the provider does not have; a change with nothing left to write goes.
    pub fn without_rows(&mut self, rows: &[usize]) {
        if rows.is_empty() {
            return;
        }
        for change in &mut self.changes {
            change.write.attributes.retain(|(row, _)| !rows.contains(row));
        }
        let standings = &mut self.standings;
        self.changes.retain(|change| {
            let keep = !change.write.is_empty() || change.manager.is_some();
            if !keep {
                standings[change.person as usize].change = None;
            }
            keep
        });
        for (position, change) in self.changes.iter().enumerate() {
            standings[change.person as usize].change = Some(position);
        }
    }

    /// SHA-256 over who, what and the target values, whatever the order of the people.
    #[must_use]
    pub fn digest(&self, mapping: &Mapping, people: &[Person]) -> String {
        let mut lines: Vec<[u8; 32]> = self.changes.iter().map(|change| line(change, mapping, people)).collect();
        for (person, manager) in &self.late_managers {
            let mut hash = Sha256::new();
            field(&mut hash, "late-manager");
            field(&mut hash, people[*person as usize].employee.id());
            field(&mut hash, people[*manager as usize].employee.id());
            lines.push(hash.finalize().into());
        }
        lines.sort_unstable();
        let mut all = Sha256::new();
        lines.iter().for_each(|line| all.update(line));
        all.finalize().iter().fold(String::from("sha256:"), |mut text, byte| {
            use std::fmt::Write as _;
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

fn line(change: &Change, mapping: &Mapping, people: &[Person]) -> [u8; 32] {
    let mut hash = Sha256::new();
    field(&mut hash, people[change.person as usize].employee.id());
    field(
        &mut hash,
        match change.kind {
            Kind::Create => "create",
            Kind::Adopt => "adopt",
            Kind::Update => "update",
        },
    );
    field(&mut hash, change.account.as_deref().unwrap_or(""));
    field(
        &mut hash,
        match change.write.access {
            Some(Access::Active) => "active",
            Some(Access::Suspended) => "suspended",
            None => "",
        },
    );
    field(&mut hash, change.write.mark.as_deref().unwrap_or(""));
    field(&mut hash, change.manager.map_or("", |manager| people[manager as usize].employee.id()));
    let mut attributes: Vec<_> = change.write.attributes.iter().map(|(row, value)| (&*mapping.rows[*row].target, value)).collect();
    attributes.sort_unstable_by_key(|(target, _)| *target);
    for (target, value) in attributes {
        field(&mut hash, target);
        match value {
            NewValue::Set(text) => field(&mut hash, text),
            NewValue::Clear => hash.update([0xff]),
        }
    }
    hash.finalize().into()
}

/// Length first, so that no two lists of fields give the same bytes.
fn field(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text.as_bytes());
}
