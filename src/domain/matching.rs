//! Which account is whose. Accounts stream by once; what is kept is a candidate for each person, never the list.
//!
//! An account belongs to the employee whose mark it bears. An account without a mark may be adopted by e-mail. An
//! account with somebody else's mark is never touched. Where two answers are possible, there is none.

use std::borrow::Cow;

use foldhash::{HashMap, HashMapExt as _, HashSet};

use super::{
    access::Decision,
    account::{Access, Account, AccountState, AccountWrite, NewValue},
    baseline::Baseline,
    drift::InPlace,
    employee::{BobStatus, Employee},
    kept::{Kept, Left},
    mapping::{Compare, Desired, Mapping, equal, is_disguised, key, key_of},
    safety::{Protected, ProtectedBy},
};

/// One employee with what was decided.
// Each is a fact of its own, not a state in pieces.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone, Debug)]
pub struct Person {
    /// As Bob tells it.
    pub employee: Employee,
    /// What was decided.
    pub decision: Decision,
    /// The account recorded in this person's `EmployeeSync`, if any.
    pub known_account: Option<Box<str>>,
    /// Whether the status says that this account can be used.
    pub known_active: bool,
    /// Whether the status says that several accounts are this person's, and not all that bear the mark were looked for.
    pub several: bool,
    /// Whether a suspended account may still have open sessions: the provider ends them by a call of its own, and no status
    /// says yet that access was taken.
    pub sessions_open: bool,
    /// Another integration that manages this person's account at the same tenant, and comes before this one.
    pub claimed_by: Option<Box<str>>,
    /// Why the scope's expression failed for this person.
    pub scope_failure: Option<Box<str>>,
    /// A target that the `EmployeeSync` pins and the provider does not have.
    pub unknown_target: Option<Box<str>>,
    /// Whether the status of this person may have been lost, and with it which account is theirs.
    pub forgotten: bool,
    /// What Bob says of somebody who waits for a change.
    pub baseline: Option<Box<Baseline>>,
    /// What was last in place on the account, where a change at the provider is only reported.
    pub in_place: Option<Box<InPlace>>,
    /// Values that the provider keeps in another form than they were sent.
    pub kept: Option<Box<Kept>>,
}

/// Index of a person in the slice given to [`Matcher::new`].
pub type PersonIndex = u32;

/// An account that may be this person's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The provider's id.
    pub account: Box<str>,
    /// Whether it can be used.
    pub state: AccountState,
    /// The manager it names now, by id or e-mail as the mapping has it.
    pub manager: Option<Box<str>>,
    /// Its e-mail, where people refer to their manager by it.
    pub email: Option<Box<str>>,
    /// Whether it bears the mark (else it was found by e-mail, or by the recorded id).
    pub marked: bool,
    /// Why it is never written, if it is not.
    pub protected: Option<ProtectedBy>,
    /// Whether access is taken from it although it is protected.
    pub lets_go: bool,
    /// Whether another directory is its master.
    pub elsewhere: bool,
    /// Rows of what has to be written where the account has another value now.
    pub replaced: Vec<usize>,
    /// Rows that are not as desired and are not written: the provider keeps them so, or something else sets them back.
    pub left: Box<[(usize, Left)]>,
    /// What has to be written, but for access and manager.
    pub write: Option<Box<AccountWrite>>,
}

/// What was found for one person.
// Each is a fact of its own, not a state in pieces.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The account with the mark, or, with no mark on it, the one recorded for this person.
    own: Option<Box<Candidate>>,
    own_again: bool,
    /// Of several accounts with the mark, those that can be used, may be written and have no other employee's e-mail.
    own_in_use: Vec<Box<str>>,
    /// Whether another one with the mark can be used.
    own_stays_open: bool,
    own_has: Keys,
    by_email: Option<Box<Candidate>>,
    by_email_again: bool,
    /// Whether one of several accounts that may be this person's can be used.
    open: bool,
    taken: Taken,
}

/// Whether another account has the e-mail or the username that a person should have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Taken {
    /// None has.
    #[default]
    No,
    /// This account has, which is this other person's, and may give it up.
    By(PersonIndex, Box<str>),
    /// An account that will not give it up, or several accounts.
    ForGood(Holder),
}

/// Who has the e-mail or the username, as far as it can be told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// This account, which bears no mark.
    Stranger(Box<str>),
    /// This account, whose mark is that of nobody in Bob.
    Marked(Box<str>),
    /// This other person has the same e-mail in Bob, and keeps the account that has it.
    SameEmail(PersonIndex),
    /// More than one account.
    Several,
}

impl Taken {
    fn also(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, other) => other,
            (this, Self::No) => this,
            (this, other) if this == other => this,
            (Self::By(..) | Self::ForGood(_), Self::By(..) | Self::ForGood(_)) => Self::ForGood(Holder::Several),
        }
    }
}

impl Found {
    fn take(&mut self, by: Taken) {
        self.taken = std::mem::take(&mut self.taken).also(by);
    }

    fn take_if(&mut self, has: bool, account: &str) {
        if has {
            self.take(Taken::ForGood(Holder::Stranger(account.into())));
        }
    }
}

/// Which of the keys that a person should have an account has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Keys {
    email: bool,
    username: bool,
}

impl Keys {
    fn any(self) -> bool {
        self.email || self.username
    }
}

/// The answer for one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// No account.
    None,
    /// This one. While the e-mail or username is taken, these two cannot be written.
    One {
        /// The account.
        candidate: Box<Candidate>,
        /// Whether another account holds the e-mail or the username.
        taken: Taken,
    },
    /// Several accounts; a person has to say which.
    Ambiguous {
        /// Those that bear the mark, can be used and may be written, by id: an employee who has to lose access loses it on each of them.
        in_use: Vec<Box<str>>,
        /// Whether any of them can be used.
        open: bool,
        /// Whether one that is not among `in_use` can be used.
        stays_open: bool,
    },
    /// No account of one's own, and another account has the e-mail or the username.
    Taken {
        /// Which.
        by: Taken,
        /// Whether an account without a mark that has the person's e-mail can be used.
        open: bool,
    },
}

impl Candidate {
    /// Whether the settings and the provider let access be taken from it.
    fn may_be_suspended(&self) -> bool {
        (self.protected.is_none() || self.lets_go) && !self.elsewhere
    }
}

impl Match {
    /// Returns what this comes to where the others of several accounts were not looked for: as far as is known they are open.
    #[must_use]
    pub fn among_several(self) -> Self {
        let in_use = match self {
            Self::Ambiguous { in_use, .. } => in_use,
            Self::One { candidate, .. } if candidate.state != AccountState::Suspended && candidate.may_be_suspended() => {
                vec![candidate.account]
            }
            Self::None | Self::One { .. } | Self::Taken { .. } => Vec::new(),
        };
        Self::Ambiguous { in_use, open: true, stays_open: true }
    }
}

/// Persons who should have one key; almost always one.
#[derive(Debug, Default)]
struct Owners {
    first: PersonIndex,
    more: Vec<PersonIndex>,
}

impl Owners {
    /// Whether there is one, and it is this one.
    fn are_only(&self, person: Option<PersonIndex>) -> bool {
        self.more.is_empty() && Some(self.first) == person
    }

    fn iter(&self) -> impl Iterator<Item = PersonIndex> + '_ {
        std::iter::once(self.first).chain(self.more.iter().copied())
    }
}

/// Sees every account once.
pub struct Matcher<'a> {
    mapping: &'a Mapping,
    people: &'a [Person],
    by_id: HashMap<&'a str, PersonIndex>,
    by_account: HashMap<&'a str, PersonIndex>,
    by_email: HashMap<Cow<'a, str>, Owners>,
    /// Only usernames that are not the person's e-mail.
    by_username: HashMap<Cow<'a, str>, Owners>,
    found: Vec<Found>,
    /// Accounts on record that were not seen yet.
    unseen: HashSet<&'a str>,
    adopt: bool,
    protected: Option<&'a Protected>,
}

impl<'a> Matcher<'a> {
    /// Indexes the people. `adopt`: accounts without a mark are matched by e-mail.
    #[must_use]
    pub fn new(mapping: &'a Mapping, people: &'a [Person], adopt: bool) -> Self {
        let mut matcher = Self {
            mapping,
            people,
            by_id: HashMap::with_capacity(people.len()),
            by_account: HashMap::new(),
            by_email: HashMap::with_capacity(people.len()),
            by_username: HashMap::new(),
            found: vec![Found::default(); people.len()],
            unseen: people.iter().filter_map(|person| person.known_account.as_deref()).collect(),
            adopt,
            protected: None,
        };
        let mut recorded_twice = Vec::new();
        for (index, person) in (0..).zip(people) {
            matcher.by_id.insert(person.employee.id(), index);
            if let Some(known) = &person.known_account
                && matcher.by_account.insert(known, index).is_some()
            {
                recorded_twice.push(known);
            }
            if !person.decision.managed {
                continue;
            }
            let email = mapping.text(mapping.email, &person.employee).map(key_of);
            let username = mapping.text(mapping.username, &person.employee).map(key_of);
            let username = username.filter(|_| !mapping.numbers_username(&person.employee));
            if let Some(username) = username.filter(|username| Some(username) != email.as_ref()) {
                own(&mut matcher.by_username, username, index);
            }
            if let Some(email) = email {
                own(&mut matcher.by_email, email, index);
            }
        }
        // Two records that name one account say nothing of whose it is.
        for known in recorded_twice {
            matcher.by_account.remove(&**known);
        }
        matcher
    }

    /// Accounts that are never written.
    #[must_use]
    pub fn protecting(self, protected: &'a Protected) -> Self {
        Self { protected: Some(protected), ..self }
    }

    /// The person with this `root.id`.
    #[must_use]
    pub fn person(&self, id: &str) -> Option<PersonIndex> {
        self.by_id.get(id).copied()
    }

    /// Returns the ids of accounts on record that were not seen.
    pub fn unseen(&self) -> impl Iterator<Item = &'a str> {
        self.unseen.iter().copied()
    }

    /// Looks at one account.
    pub fn see(&mut self, account: Account<'_>) {
        self.unseen.remove(&*account.id);
        let email = account.email.as_deref().map(key);
        let username = account.username.as_deref().map(key);
        let owner = match &account.mark {
            Some(mark) => self.by_id.get(&**mark).copied(),
            // Somebody took the mark off; the recorded id still says whose it is.
            None => self.by_account.get(&*account.id).copied(),
        };
        let free = account.mark.is_none() && owner.is_none();
        let nobodys = if account.mark.is_none() { Holder::Stranger } else { Holder::Marked };
        let holder = || {
            let id: Box<str> = (*account.id).into();
            owner.map_or_else(|| Taken::ForGood(nobodys(id.clone())), |owner| Taken::By(owner, id.clone()))
        };
        let wants_email = email.as_deref().and_then(|k| self.by_email.get(k)).filter(|owners| !owners.are_only(owner));
        let wants_email: Vec<_> = wants_email.map(|o| o.iter().collect()).unwrap_or_default();
        let others_email = wants_email.iter().any(|&person| Some(person) != owner);
        for person in wants_email {
            if Some(person) == owner {
                continue;
            }
            let candidate = (free && self.adopt).then(|| self.candidate(person, &account, false));
            let found = &mut self.found[person as usize];
            found.open |= free && account.state != AccountState::Suspended;
            match candidate {
                Some(_) if found.by_email.is_some() => found.by_email_again = true,
                Some(candidate) => found.by_email = Some(candidate),
                None => found.take(holder()),
            }
        }
        // Where it is the e-mail as well and nobody wants it as a mere username, all is said.
        if let Some(name) = username.filter(|name| !(self.by_username.is_empty() && email.as_ref() == Some(name))) {
            // A username is wanted by those whose own username it is, and by those whose e-mail is their username.
            let others = self.by_username.get(&*name).map(|o| o.iter().collect::<Vec<_>>()).unwrap_or_default();
            let same = if email.as_ref() == Some(&name) { None } else { self.by_email.get(&*name) };
            let same: Vec<_> = same
                .map(|o| {
                    o.iter()
                        .filter(|&p| {
                            let employee = &self.people[p as usize].employee;
                            let wanted = self.mapping.text(self.mapping.username, employee);
                            wanted.is_some_and(|text| key(&text) == name) && !self.mapping.numbers_username(employee)
                        })
                        .collect()
                })
                .unwrap_or_default();
            for person in others.into_iter().chain(same) {
                let adoptable = free
                    && self.adopt
                    && email.as_deref().is_some_and(|k| self.by_email.get(k).is_some_and(|o| o.iter().any(|p| p == person)));
                if Some(person) != owner && !adoptable {
                    self.found[person as usize].take(holder());
                }
            }
        }
        if let Some(person) = owner {
            let candidate = self.candidate(person, &account, account.mark.is_some());
            let has = Keys {
                email: self.wants(person, self.mapping.email, account.email.as_deref()),
                username: self.wants(person, self.mapping.username, account.username.as_deref()),
            };
            let open = candidate.state != AccountState::Suspended;
            let found = &mut self.found[person as usize];
            found.open |= open;
            if open && candidate.marked && candidate.may_be_suspended() && !others_email {
                found.own_in_use.push(candidate.account.clone());
            } else {
                found.own_stays_open |= open && candidate.marked;
            }
            match &found.own {
                Some(own) if own.marked && candidate.marked => {
                    found.own_again = true;
                    found.own_has.email |= has.email;
                }
                // The mark weighs more than a recorded id; the recorded account is just another one then.
                Some(own) if own.marked => found.take_if(has.any(), &candidate.account),
                own => {
                    let recorded = own.as_ref().filter(|_| found.own_has.any()).map(|own| own.account.clone());
                    if let Some(recorded) = recorded {
                        found.take_if(true, &recorded);
                    }
                    (found.own, found.own_has) = (Some(candidate), has);
                }
            }
        }
    }

    /// Whether this is the value that the person should have in an e-mail or username row.
    fn wants(&self, person: PersonIndex, row: usize, have: Option<&str>) -> bool {
        let Person { employee, decision, .. } = &self.people[person as usize];
        let want = self.mapping.text(row, employee).filter(|_| decision.managed);
        have.zip(want).is_some_and(|(have, want)| equal(Compare::IgnoringCase, have, &want))
    }

    /// Active in Bob: so the decision says, or, where the settings leave accounts as they are, Bob's own status.
    fn is_active(&self, person: PersonIndex) -> bool {
        let Person { employee, decision, .. } = &self.people[person as usize];
        decision.existing.map_or(employee.status == BobStatus::Active, |access| access == Access::Active)
    }

    /// What differs between this account and what this person should have, access and manager aside.
    fn candidate(&self, person: PersonIndex, account: &Account<'_>, marked: bool) -> Box<Candidate> {
        let employee = &self.people[person as usize].employee;
        let mut write = AccountWrite::default();
        let mut left = Vec::new();
        if self.people[person as usize].decision.managed {
            let known = self.people[person as usize].kept.as_deref();
            (write.attributes, left) = differences(self.mapping, employee, known, account);
            if !marked {
                write.mark = Some(employee.id().into());
            }
        }
        let had = |row: usize| account.attributes.get(row).and_then(Option::as_deref).is_some_and(|have| !have.trim().is_empty());
        let replaced = write.attributes.iter().map(|(row, _)| *row).filter(|row| had(*row)).collect();
        let write = (!write.is_empty()).then(|| {
            write.foreign = account.foreign.as_deref().map(Into::into);
            Box::new(write)
        });
        let manager = self.mapping.manager.and_then(|row| account.attributes.get(row)?.as_deref()).map(Into::into);
        let role = || account.administrator.then_some(ProtectedBy::Role);
        let protected = self.protected.map_or_else(role, |protected| protected.covers(account));
        let leaves = self.people[person as usize].decision.ends_access();
        let lets_go = leaves && protected.is_some_and(|by| self.protected.is_some_and(|protected| protected.lets_go(by)));
        let by_email = self.mapping.manager.is_some_and(|row| self.mapping.rows[row].compare == Compare::PersonByEmail);
        let email = account.email.as_deref().filter(|_| by_email).map(Into::into);
        let (account, state, elsewhere) = ((*account.id).into(), account.state, account.elsewhere);
        let left = left.into();
        Box::new(Candidate { account, state, manager, email, marked, protected, lets_go, elsewhere, replaced, left, write })
    }

    /// The answers, in the order of the people.
    #[must_use]
    pub fn finish(mut self) -> Vec<Match> {
        self.settle_shared_emails();
        self.found
            .into_iter()
            .map(|found| match found {
                Found { own_again: true, own_in_use: mut in_use, own_stays_open: stays_open, open, .. } => {
                    in_use.sort_unstable();
                    Match::Ambiguous { in_use, open, stays_open }
                }
                Found { own: Some(candidate), by_email: Some(other), taken, .. } => {
                    Match::One { candidate, taken: taken.also(Taken::ForGood(Holder::Stranger(other.account))) }
                }
                Found { own: Some(candidate), by_email: None, taken, .. } => Match::One { candidate, taken },
                Found { by_email: None, taken: by @ (Taken::By(..) | Taken::ForGood(_)), open, .. } => Match::Taken { by, open },
                // Adopting means writing e-mail and username, one of which another account still has.
                Found { by_email: Some(_), taken: Taken::By(..) | Taken::ForGood(_), open, .. } => {
                    Match::Taken { by: Taken::ForGood(Holder::Several), open }
                }
                Found { by_email_again: true, open, .. } => Match::Ambiguous { in_use: Vec::new(), open, stays_open: open },
                Found { by_email: Some(candidate), taken: Taken::No, .. } => Match::One { candidate, taken: Taken::No },
                Found { by_email: None, taken: Taken::No, .. } => Match::None,
            })
            .collect()
    }

    /// Two Bob profiles with one e-mail: it stays with the profile whose account has it, else with the only one that
    /// is active in Bob; for everybody else it is taken.
    fn settle_shared_emails(&mut self) {
        for owners in self.by_email.values().filter(|owners| !owners.more.is_empty()) {
            let all: Vec<_> = owners.iter().collect();
            // Accounts that have one e-mail are in each other's way, so it does not matter which of two holders is met.
            let holder = all.iter().copied().find(|&p| self.found[p as usize].own_has.email);
            let active: Vec<_> = all.iter().copied().filter(|&p| self.is_active(p)).collect();
            let winner = holder.or(match active[..] {
                [only] => Some(only),
                _ => None,
            });
            for &person in &all {
                if Some(person) != winner {
                    let other = winner.or_else(|| all.iter().copied().find(|other| *other != person)).unwrap_or(person);
                    self.found[person as usize].taken = Taken::ForGood(Holder::SameEmail(other));
                    self.found[person as usize].by_email = None;
                    self.found[person as usize].open &= self.found[person as usize].own.is_some();
                }
            }
        }
    }
}

fn own<'a>(map: &mut HashMap<Cow<'a, str>, Owners>, key: Cow<'a, str>, person: PersonIndex) {
    match map.entry(key) {
        std::collections::hash_map::Entry::Occupied(mut entry) => entry.get_mut().more.push(person),
        std::collections::hash_map::Entry::Vacant(entry) => {
            entry.insert(Owners { first: person, more: Vec::new() });
        }
    }
}

/// Rows that are not as desired and are not written, and why.
pub type LeftRows = Vec<(usize, Left)>;

/// Returns the rows whose value at the provider is not as desired, and the rows of which it is not and that are left so.
/// The manager's row is left to the plan.
#[must_use]
pub fn differences(
    mapping: &Mapping,
    employee: &Employee,
    known: Option<&Kept>,
    account: &Account<'_>,
) -> (Vec<(usize, NewValue)>, LeftRows) {
    let (mut out, mut left) = (Vec::new(), Vec::new());
    for (index, row) in mapping.rows.iter().enumerate() {
        if !mapping.keeps(index, employee) || row.compare.is_person() {
            continue;
        }
        let have = account.attributes.get(index).and_then(Option::as_deref).filter(|have| !have.trim().is_empty());
        let why = |want: &str| known?.left(employee, row, want, have.unwrap_or_default());
        let mut is_left = |want: &str| why(want).map(|why| left.push((index, why))).is_some();
        match (mapping.desired(index, employee), have) {
            (Desired::Text(want), Some(have)) if equal(row.compare, have, &want) && !(mapping.is_address(index) && is_disguised(have)) => {}
            (Desired::Text(want), _) if is_left(&want) => {}
            (Desired::Text(want), _) => out.push((index, NewValue::Set(want.as_ref().into()))),
            // An account cannot be without a required value: the person is told, the value stays.
            (Desired::Empty, Some(_)) if !row.required && is_left("") => {}
            (Desired::Empty, Some(_)) if !row.required => out.push((index, NewValue::Clear)),
            (Desired::Empty | Desired::Keep | Desired::Person(_) | Desired::Failed(_), _) => {}
        }
    }
    (out, left)
}
