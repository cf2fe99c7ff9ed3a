//! Matching: says which account belongs to which employee. Accounts stream by once. The matcher
//! keeps candidates for each employee, and never the whole list.
//!
//! An account belongs to the employee named by its mark. An account without a mark may be adopted
//! by e-mail. bobsync never touches an account with another employee's mark. Where two answers are
//! possible, the matcher gives none.

mod logins;

use std::borrow::Cow;

use foldhash::{HashMap, HashMapExt as _, HashSet};

use self::logins::{Logins, may_be_a_mark};
use super::{
    access::Decision,
    account::{Access, Account, AccountPhase, AccountState, AccountWrite, NewValue},
    baseline::Baseline,
    drift::InPlace,
    employee::{BobStatus, Employee},
    kept::{Kept, Left},
    mapping::{Compare, Desired, Mapping, equal, is_disguised, key, key_of},
    safety::{Protected, ProtectedBy},
};

/// One employee with the decision about the employee.
// Each flag is a fact of its own. They are not the parts of one state.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone, Debug)]
pub struct Person {
    /// The employee as Bob shows it.
    pub employee: Employee,
    /// The decision.
    pub decision: Decision,
    /// The account recorded in this employee's `EmployeeSync`, if any.
    pub known_account: Option<Box<str>>,
    /// Whether the status says that this account can be used.
    pub known_active: bool,
    /// Whether the status says that several accounts belong to this employee, and not all accounts
    /// with the mark were looked up.
    pub several: bool,
    /// Whether a suspended account may still have open sessions: the provider ends them by a
    /// separate call, and no status says yet that access was taken.
    pub sessions_open: bool,
    /// Whether bobsync made the account on record, and its owner has to choose another password at
    /// the first login.
    pub first_login: bool,
    /// Another integration that manages this employee's account at the same tenant and comes before
    /// this one.
    pub claimed_by: Option<Box<str>>,
    /// Why the scope's expression failed for this employee.
    pub scope_failure: Option<Box<str>>,
    /// A target that the `EmployeeSync` pins and the provider does not have.
    pub unknown_target: Option<Box<str>>,
    /// Whether this employee's status may have been lost, and with it the record of the account.
    pub forgotten: bool,
    /// What Bob says about an employee who waits for a change.
    pub baseline: Option<Box<Baseline>>,
    /// What was last in place on the account, if a change at the provider is only reported.
    pub in_place: Option<Box<InPlace>>,
    /// Values that the provider keeps in another form than bobsync sent them.
    pub kept: Option<Box<Kept>>,
}

/// Index of an employee in the slice given to [`Matcher::new`].
pub type PersonIndex = u32;

/// An account that may belong to an employee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The provider's id of the account.
    pub account: Box<str>,
    /// Whether the account can be used.
    pub state: AccountState,
    /// What else decisions have to know of the state.
    pub phase: AccountPhase,
    /// The manager that the account names now, by id or e-mail as the mapping has it.
    pub manager: Option<Box<str>>,
    /// The account's e-mail, if employees' accounts name their manager by e-mail.
    pub email: Option<Box<str>>,
    /// Whether the account has the mark. Otherwise it was found by e-mail or by the recorded id.
    pub marked: bool,
    /// Why bobsync never writes the account, if it is protected.
    pub protected: Option<ProtectedBy>,
    /// Whether bobsync takes access from the account although it is protected.
    pub lets_go: bool,
    /// Whether another directory is the account's master.
    pub elsewhere: bool,
    /// Rows that have to be written and that have another value on the account now.
    pub replaced: Vec<usize>,
    /// Rows that are not as desired and are not written: the provider keeps them so, or something
    /// else sets them back.
    pub left: Box<[(usize, Left)]>,
    /// What has to be written, except access and manager.
    pub write: Option<Box<AccountWrite>>,
}

/// What was found for one employee.
// Each flag is a fact of its own. They are not the parts of one state.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatchResult {
    /// The account with the mark or, if no account has it, the recorded account.
    own: Option<Box<Candidate>>,
    own_again: bool,
    /// If several accounts have the mark: those that can be used, may be written and have no other
    /// employee's e-mail.
    own_in_use: Vec<Box<str>>,
    /// Whether another account with the mark can be used.
    own_stays_open: bool,
    own_has: MatchedKeys,
    by_email: Option<Box<Candidate>>,
    by_email_again: bool,
    /// An account without a mark that has the e-mail, if logins decide and several accounts may
    /// have one e-mail.
    by_address: Option<Box<Candidate>>,
    by_address_again: bool,
    /// Whether one of the accounts that may belong to this employee can be used.
    open: bool,
    taken: Taken,
}

/// Whether another account has the e-mail or the username that an employee should have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Taken {
    /// No other account has it.
    #[default]
    No,
    /// This account has it. The account belongs to this other employee and may give it up.
    By(PersonIndex, Box<str>),
    /// An account that will not give it up has it, or several accounts have it.
    ForGood(Holder),
}

/// Which account has the e-mail or the username, as far as bobsync can tell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// This account, which has no mark.
    Stranger(Box<str>),
    /// This account, with the mark of an employee who is not in Bob.
    Marked(Box<str>),
    /// This other employee has the same e-mail in Bob, and keeps the account that has it.
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
            (Self::By(..) | Self::ForGood(_), Self::By(..) | Self::ForGood(_)) => {
                Self::ForGood(Holder::Several)
            }
        }
    }
}

impl MatchResult {
    fn take(&mut self, by: Taken) {
        self.taken = std::mem::take(&mut self.taken).also(by);
    }

    fn take_if(&mut self, has: bool, account: &str) {
        if has {
            self.take(Taken::ForGood(Holder::Stranger(account.into())));
        }
    }
}

/// Which of an employee's e-mail and username an account has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct MatchedKeys {
    email: bool,
    username: bool,
}

impl MatchedKeys {
    fn any(self) -> bool {
        self.email || self.username
    }
}

/// The answer for one employee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// No account.
    None,
    /// This account. While `taken` says that the e-mail or username is taken, these two cannot be
    /// written.
    One {
        /// The account.
        candidate: Box<Candidate>,
        /// Whether another account has the e-mail or the username.
        taken: Taken,
    },
    /// Several accounts. A person has to say which one is right.
    Ambiguous {
        /// The accounts that have the mark, can be used and may be written, by id. An employee who
        /// has to lose access loses it on each of them.
        in_use: Vec<Box<str>>,
        /// Whether any of the accounts can be used.
        open: bool,
        /// Whether an account that is not in `in_use` can be used.
        stays_open: bool,
    },
    /// The employee has no account, and another account has the e-mail or the username.
    Taken {
        /// The account that has it.
        by: Taken,
        /// Whether an account without a mark that has the employee's e-mail can be used.
        open: bool,
    },
}

impl Candidate {
    /// Returns whether the settings and the provider allow bobsync to take access from the account.
    fn may_be_suspended(&self) -> bool {
        (self.protected.is_none() || self.lets_go) && !self.elsewhere
    }
}

impl Match {
    /// Returns the match for an employee with several accounts if the other accounts were not
    /// looked up. It assumes that the others can be used.
    #[must_use]
    pub fn among_several(self) -> Self {
        let in_use = match self {
            Self::Ambiguous { in_use, .. } => in_use,
            Self::One { candidate, .. }
                if candidate.state != AccountState::Suspended && candidate.may_be_suspended() =>
            {
                vec![candidate.account]
            }
            Self::None | Self::One { .. } | Self::Taken { .. } => Vec::new(),
        };
        Self::Ambiguous { in_use, open: true, stays_open: true }
    }
}

/// Employees who should have one key. There is almost always only one.
#[derive(Debug, Default)]
struct Owners {
    first: PersonIndex,
    more: Vec<PersonIndex>,
}

impl Owners {
    /// Returns whether `person` is the only one.
    fn are_only(&self, person: Option<PersonIndex>) -> bool {
        self.more.is_empty() && Some(self.first) == person
    }

    fn iter(&self) -> impl Iterator<Item = PersonIndex> + '_ {
        std::iter::once(self.first).chain(self.more.iter().copied())
    }
}

/// Sees every account once, and finds the account of each employee.
pub struct Matcher<'a> {
    mapping: &'a Mapping,
    people: &'a [Person],
    by_id: HashMap<&'a str, PersonIndex>,
    by_account: HashMap<&'a str, PersonIndex>,
    by_email: HashMap<Cow<'a, str>, Owners>,
    /// Only usernames that differ from the employee's e-mail.
    by_username: HashMap<Cow<'a, str>, Owners>,
    /// What is wanted if logins decide.
    logins: Logins,
    found: Vec<MatchResult>,
    /// How many accounts of employees have a value in place of a mark that is no mark.
    foreign_marks: u32,
    /// Accounts on record that the matcher has not seen yet.
    unseen: HashSet<&'a str>,
    adopt: bool,
    protected: Option<&'a Protected>,
}

impl<'a> Matcher<'a> {
    /// Indexes the employees. If `adopt` is true, accounts without a mark are matched by e-mail.
    #[must_use]
    pub fn new(mapping: &'a Mapping, people: &'a [Person], adopt: bool) -> Self {
        let mut matcher = Self {
            mapping,
            people,
            by_id: HashMap::with_capacity(people.len()),
            by_account: HashMap::new(),
            by_email: HashMap::with_capacity(people.len()),
            by_username: HashMap::new(),
            logins: Logins::default(),
            found: vec![MatchResult::default(); people.len()],
            foreign_marks: 0,
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
            matcher.want_login(index, email.as_deref());
            if let Some(email) = email {
                own(&mut matcher.by_email, email, index);
            }
        }
        // If two records name one account, neither says which employee it belongs to.
        for known in recorded_twice {
            matcher.by_account.remove(&**known);
        }
        matcher
    }

    /// Sets which accounts are never written.
    #[must_use]
    pub fn protecting(self, protected: &'a Protected) -> Self {
        Self { protected: Some(protected), ..self }
    }

    /// Returns the mapping.
    #[must_use]
    pub const fn mapping(&self) -> &'a Mapping {
        self.mapping
    }

    /// Returns the employees.
    #[must_use]
    pub const fn people(&self) -> &'a [Person] {
        self.people
    }

    /// Returns the index of the employee with this `root.id`.
    #[must_use]
    pub fn person(&self, id: &str) -> Option<PersonIndex> {
        self.by_id.get(id).copied()
    }

    /// Returns how many accounts of managed employees have another system's value in place of a
    /// mark.
    #[must_use]
    pub const fn foreign_marks(&self) -> u32 {
        self.foreign_marks
    }

    /// Returns the ids of accounts on record that the matcher did not see.
    pub fn unseen(&self) -> impl Iterator<Item = &'a str> {
        self.unseen.iter().copied()
    }

    /// Takes in one account of the listing.
    pub fn see(&mut self, account: Account<'_>) {
        self.unseen.remove(&*account.id);
        let email = account.email.as_deref().map(key);
        let username = account.username.as_deref().map(key);
        let owner = match &account.mark {
            Some(mark) => self.by_id.get(&**mark).copied(),
            // The mark was taken off. The recorded id still says which employee the account belongs
            // to.
            None => self.by_account.get(&*account.id).copied(),
        };
        let is_foreign = |mark: &Cow<'_, str>| owner.is_none() && !may_be_a_mark(mark);
        let is_wanted = || email.as_deref().is_some_and(|key| self.by_email.contains_key(key));
        if account.mark.as_ref().is_some_and(is_foreign) && is_wanted() {
            self.foreign_marks += 1;
        }
        let free = account.mark.is_none() && owner.is_none();
        let nobodys = if account.mark.is_none() { Holder::Stranger } else { Holder::Marked };
        let holder = || {
            let id: Box<str> = (*account.id).into();
            owner.map_or_else(
                || Taken::ForGood(nobodys(id.clone())),
                |owner| Taken::By(owner, id.clone()),
            )
        };
        let wants_email = email
            .as_deref()
            .and_then(|k| self.by_email.get(k))
            .filter(|owners| !owners.are_only(owner));
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
        self.see_login(&account, email.as_deref(), owner, free, holder);
        // If the username equals the e-mail and no employee wants it only as a username, the code
        // above has already handled it.
        if let Some(name) =
            username.filter(|name| !(self.by_username.is_empty() && email.as_ref() == Some(name)))
        {
            // Two kinds of employees want a username: those with a separate username, and those
            // with a username equal to their e-mail.
            let others = self
                .by_username
                .get(&*name)
                .map(|o| o.iter().collect::<Vec<_>>())
                .unwrap_or_default();
            let same = if email.as_ref() == Some(&name) { None } else { self.by_email.get(&*name) };
            let same: Vec<_> = same
                .map(|o| {
                    o.iter()
                        .filter(|&p| {
                            let employee = &self.people[p as usize].employee;
                            let wanted = self.mapping.text(self.mapping.username, employee);
                            wanted.is_some_and(|text| key(&text) == name)
                                && !self.mapping.numbers_username(employee)
                        })
                        .collect()
                })
                .unwrap_or_default();
            for person in others.into_iter().chain(same) {
                let adoptable = free
                    && self.adopt
                    && email.as_deref().is_some_and(|k| {
                        self.by_email.get(k).is_some_and(|o| o.iter().any(|p| p == person))
                    });
                if Some(person) != owner && !adoptable {
                    self.found[person as usize].take(holder());
                }
            }
        }
        if let Some(person) = owner {
            let candidate = self.candidate(person, &account, account.mark.is_some());
            let has = MatchedKeys {
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
                // The mark counts more than a recorded id. The recorded account is then just
                // another account.
                Some(own) if own.marked => found.take_if(has.any(), &candidate.account),
                own => {
                    let recorded =
                        own.as_ref().filter(|_| found.own_has.any()).map(|own| own.account.clone());
                    if let Some(recorded) = recorded {
                        found.take_if(true, &recorded);
                    }
                    (found.own, found.own_has) = (Some(candidate), has);
                }
            }
        }
    }

    /// Returns whether `have` is the value that the employee should have in `row`, which is the row
    /// of the e-mail or the username.
    fn wants(&self, person: PersonIndex, row: usize, have: Option<&str>) -> bool {
        let Person { employee, decision, .. } = &self.people[person as usize];
        let want = self.mapping.text(row, employee).filter(|_| decision.managed);
        have.zip(want).is_some_and(|(have, want)| equal(Compare::IgnoringCase, have, &want))
    }

    /// Returns whether the employee is active in Bob. The decision says so or, where it leaves
    /// accounts as they are, Bob's own status.
    fn is_active(&self, person: PersonIndex) -> bool {
        let Person { employee, decision, .. } = &self.people[person as usize];
        decision
            .existing
            .map_or(employee.status == BobStatus::Active, |access| access == Access::Active)
    }

    /// Returns `account` as a candidate, with what differs from what the employee should have.
    /// Access and manager are left to the plan.
    fn candidate(
        &self,
        person: PersonIndex,
        account: &Account<'_>,
        marked: bool,
    ) -> Box<Candidate> {
        let employee = &self.people[person as usize].employee;
        let mut write = AccountWrite::default();
        let mut left = Vec::new();
        let decision = &self.people[person as usize].decision;
        if decision.managed && !is_frozen(account.phase, decision.existing) {
            let known = self.people[person as usize].kept.as_deref();
            (write.attributes, left) = differences(self.mapping, employee, known, account);
            if !marked {
                write.mark = Some(employee.id().into());
            }
        }
        let had = |row: usize| {
            account
                .attributes
                .get(row)
                .and_then(Option::as_deref)
                .is_some_and(|have| !have.trim().is_empty())
        };
        let replaced =
            write.attributes.iter().map(|(row, _)| *row).filter(|row| had(*row)).collect();
        let write = (!write.is_empty()).then(|| {
            write.foreign = account.foreign.as_deref().map(Into::into);
            Box::new(write)
        });
        let manager = self
            .mapping
            .manager
            .and_then(|row| account.attributes.get(row)?.as_deref())
            .map(Into::into);
        let role = || account.administrator.then_some(ProtectedBy::Role);
        let protected = self.protected.map_or_else(role, |protected| protected.covers(account));
        let leaves = self.people[person as usize].decision.ends_access();
        let lets_go = leaves
            && protected
                .is_some_and(|by| self.protected.is_some_and(|protected| protected.lets_go(by)));
        let by_email = self
            .mapping
            .manager
            .is_some_and(|row| self.mapping.rows[row].compare == Compare::PersonByEmail);
        let email = account.email.as_deref().filter(|_| by_email).map(Into::into);
        let (state, phase, elsewhere) = (account.state, account.phase, account.elsewhere);
        let (account, left) = ((*account.id).into(), left.into());
        Box::new(Candidate {
            account,
            state,
            phase,
            manager,
            email,
            marked,
            protected,
            lets_go,
            elsewhere,
            replaced,
            left,
            write,
        })
    }

    /// Returns the matches, in the order of the employees.
    #[must_use]
    pub fn finish(mut self) -> Vec<Match> {
        self.settle_shared_emails();
        self.settle_addresses();
        self.found
            .into_iter()
            .map(|found| match found {
                MatchResult {
                    own_again: true,
                    own_in_use: mut in_use,
                    own_stays_open: stays_open,
                    open,
                    ..
                } => {
                    in_use.sort_unstable();
                    Match::Ambiguous { in_use, open, stays_open }
                }
                MatchResult { own: Some(candidate), by_email: Some(other), taken, .. } => {
                    Match::One {
                        candidate,
                        taken: taken.also(Taken::ForGood(Holder::Stranger(other.account))),
                    }
                }
                MatchResult { own: Some(candidate), by_email: None, taken, .. } => {
                    Match::One { candidate, taken }
                }
                MatchResult {
                    by_email: None,
                    taken: by @ (Taken::By(..) | Taken::ForGood(_)),
                    open,
                    ..
                } => Match::Taken { by, open },
                // Adopting writes e-mail and username, and another account still has one of them.
                MatchResult {
                    by_email: Some(_),
                    taken: Taken::By(..) | Taken::ForGood(_),
                    open,
                    ..
                } => Match::Taken { by: Taken::ForGood(Holder::Several), open },
                MatchResult { by_email_again: true, open, .. } => {
                    Match::Ambiguous { in_use: Vec::new(), open, stays_open: open }
                }
                MatchResult { by_email: Some(candidate), taken: Taken::No, .. } => {
                    Match::One { candidate, taken: Taken::No }
                }
                MatchResult { taken: Taken::No, by_address_again: true, open, .. } => {
                    Match::Ambiguous { in_use: Vec::new(), open, stays_open: open }
                }
                MatchResult { taken: Taken::No, by_address: Some(candidate), .. } => {
                    Match::One { candidate, taken: Taken::No }
                }
                MatchResult { by_email: None, by_address: None, taken: Taken::No, .. } => {
                    Match::None
                }
            })
            .collect()
    }

    /// Settles e-mails that several Bob profiles share. The e-mail stays with the profile that has
    /// the account with this e-mail, else with the only profile that is active in Bob. For all
    /// others it is taken.
    fn settle_shared_emails(&mut self) {
        for owners in self.by_email.values().filter(|owners| !owners.more.is_empty()) {
            let all: Vec<_> = owners.iter().collect();
            // The provider does not allow two accounts with one e-mail, so the first holder that is
            // found is good enough.
            let holder = all.iter().copied().find(|&p| self.found[p as usize].own_has.email);
            let active: Vec<_> = all.iter().copied().filter(|&p| self.is_active(p)).collect();
            let winner = holder.or(match active[..] {
                [only] => Some(only),
                _ => None,
            });
            for &person in &all {
                if Some(person) != winner {
                    let other = winner
                        .or_else(|| all.iter().copied().find(|other| *other != person))
                        .unwrap_or(person);
                    self.found[person as usize].taken = Taken::ForGood(Holder::SameEmail(other));
                    self.found[person as usize].by_email = None;
                    self.found[person as usize].open &= self.found[person as usize].own.is_some();
                }
            }
        }
    }
}

fn own<K: Eq + std::hash::Hash>(map: &mut HashMap<K, Owners>, key: K, person: PersonIndex) {
    match map.entry(key) {
        std::collections::hash_map::Entry::Occupied(mut entry) => entry.get_mut().more.push(person),
        std::collections::hash_map::Entry::Vacant(entry) => {
            entry.insert(Owners { first: person, more: Vec::new() });
        }
    }
}

/// Returns whether the attributes of an account have to wait until it gets access. `decided` is the
/// access that the account should have.
#[must_use]
pub fn is_frozen(phase: AccountPhase, decided: Option<Access>) -> bool {
    phase == AccountPhase::Deactivated && decided != Some(Access::Active)
}

/// Rows that are not as desired and are not written, and why.
pub type LeftRows = Vec<(usize, Left)>;

/// Returns the rows whose value at the provider is not as desired, and the rows of which it is not
/// and that are left so. The manager's row is left to the plan.
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
        let have = account
            .attributes
            .get(index)
            .and_then(Option::as_deref)
            .filter(|have| !have.trim().is_empty());
        let why = |want: &str| known?.left(employee, row, want, have.unwrap_or_default());
        let mut is_left = |want: &str| why(want).map(|why| left.push((index, why))).is_some();
        match (mapping.desired(index, employee), have) {
            (Desired::Text(want), Some(have))
                if equal(row.compare, have, &want)
                    && !(mapping.is_address(index) && is_disguised(have)) => {}
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
