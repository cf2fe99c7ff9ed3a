//! Managers, in the form in which the provider keeps them. Some providers name a manager by the id
//! of the account, which may not exist yet. Others use the manager's e-mail, which is known before.

use foldhash::HashMap;

use super::{Block, Change, ChangeKind, Elsewhere, EmployeePlan, Manager, OwnAccount, Planned};
use crate::domain::{
    account::{AccountWrite, NewValue},
    drift::InPlace,
    kept::{Left, text_of},
    mapping::{Compare, Desired, Mapping, equal},
    matching::{Matcher, PersonIndex, is_frozen},
};

/// Returns the manager of each employee, if the manager is one of the employees too.
pub(super) fn managers(matcher: &Matcher<'_>) -> Vec<Option<PersonIndex>> {
    let (mapping, people) = (matcher.mapping(), matcher.people());
    let Some(row) = mapping.manager else { return Vec::new() };
    people
        .iter()
        .map(|person| match mapping.desired(row, &person.employee) {
            Desired::Person(id) => matcher.person(id),
            _ => None,
        })
        .collect()
}

impl Planned<'_> {
    /// Adds the manager to the changes. Makes a change where only the manager differs.
    pub(super) fn set_managers(
        &mut self,
        elsewhere: Elsewhere<'_>,
        current: &HashMap<PersonIndex, Box<str>>,
    ) {
        let Planned { mapping, people, .. } = *self;
        let Some(row) = mapping.manager else { return };
        for (index, person) in (0..).zip(people) {
            if !person.decision.managed || person.employee.is_without_a_row() {
                continue;
            }
            let i = index as usize;
            let creating = self.plan.standings[i]
                .change
                .is_some_and(|c| self.plan.changes[c].kind == ChangeKind::Create);
            if self.plan.standings[i].account.is_none() && !creating {
                continue;
            }
            // A protected account gets no manager either.
            if matches!(
                self.plan.standings[i].block,
                Some(Block::Protected(_) | Block::ManagedElsewhere)
            ) {
                continue;
            }
            let frozen = |own: &OwnAccount| is_frozen(own.phase, person.decision.existing);
            if self.plan.standings[i].account.as_ref().is_some_and(frozen) {
                continue;
            }
            if !creating && !mapping.keeps(row, &person.employee) {
                continue;
            }
            let (state, value, waits_for) = match mapping.desired(row, &person.employee) {
                Desired::Keep | Desired::Text(_) | Desired::Failed(_) => continue,
                Desired::Empty => (
                    Manager::Nothing,
                    current.contains_key(&index).then_some(NewValue::Clear),
                    None,
                ),
                Desired::Person(id) => match self.plan.managers[i].filter(|&m| m != index) {
                    None => match elsewhere(id).filter(|_| self.plan.managers[i].is_none()) {
                        Some(reference) => {
                            let same = current.get(&index).is_some_and(|now| {
                                equal(mapping.rows[row].compare, now, &reference)
                            });
                            self.plan.elsewhere.insert(index, reference.clone());
                            (Manager::Resolved, (!same).then_some(NewValue::Set(reference)), None)
                        }
                        None => (Manager::NotManaged, None, None),
                    },
                    Some(manager) if mapping.rows[row].compare == Compare::PersonByEmail => {
                        match self.email_of(manager) {
                            Some(email) => {
                                let same = current
                                    .get(&index)
                                    .is_some_and(|now| equal(Compare::PersonByEmail, now, &email));
                                (Manager::Resolved, (!same).then_some(NewValue::Set(email)), None)
                            }
                            None => (Manager::NotManaged, None, None),
                        }
                    }
                    Some(manager) => match &self.plan.standings[manager as usize] {
                        EmployeePlan { account: Some(account), .. } => {
                            let same = current.get(&index).is_some_and(|now| **now == *account.id);
                            (
                                Manager::Resolved,
                                (!same).then(|| NewValue::Set(account.id.clone())),
                                None,
                            )
                        }
                        EmployeePlan { change: Some(change), .. }
                            if self.plan.changes[*change].kind == ChangeKind::Create =>
                        {
                            (Manager::Pending, None, Some(manager))
                        }
                        EmployeePlan { .. } => (Manager::NotManaged, None, None),
                    },
                },
            };
            self.plan.standings[i].manager = state;
            let account = match &value {
                Some(NewValue::Set(account)) => Some(account),
                Some(NewValue::Clear) | None => None,
            };
            let (want, have) =
                (value.as_ref().map(text_of), current.get(&index).map_or("", |now| &**now));
            let known = person.kept.as_deref().filter(|_| !creating).zip(want);
            match known.and_then(|(known, want)| {
                known.left(&person.employee, &mapping.rows[row], want, have)
            }) {
                Some(Left::Kept) => {
                    self.plan.standings[i].kept.push(row);
                    continue;
                }
                Some(Left::Contested) => {
                    self.plan.standings[i].contested.push(row);
                    continue;
                }
                None => {}
            }
            let drift = |in_place: &InPlace| {
                !creating && in_place.holds(mapping, &person.employee, row, account.map(|id| &**id))
            };
            if value.is_some() && person.in_place.as_deref().is_some_and(drift) {
                self.plan.standings[i].drifted.push(row);
                continue;
            }
            if value.is_none() && waits_for.is_none() {
                continue;
            }
            let change = match self.plan.standings[i].change {
                Some(change) => change,
                None => {
                    let Some(account) = self.plan.standings[i].account.as_ref() else { continue };
                    let account = Some(account.id.clone());
                    self.plan.changes.push(Change {
                        person: index,
                        account,
                        ..Change::new(AccountWrite::default())
                    });
                    self.plan.standings[i].change = Some(self.plan.changes.len() - 1);
                    self.plan.changes.len() - 1
                }
            };
            if current.contains_key(&index) {
                self.plan.changes[change].replaced.push(row);
            }
            if let Some(value) = value {
                self.plan.changes[change].write.attributes.push((row, value));
            }
            self.plan.changes[change].manager = waits_for;
        }
    }

    /// Returns the value by which this employee's account names the manager. Returns `None` if
    /// there is no manager, or if the manager has no account.
    #[must_use]
    pub fn manager_of(&self, person: PersonIndex) -> Option<Box<str>> {
        match self.plan.managers.get(person as usize).copied().flatten() {
            Some(manager) => self.reference(manager),
            None => self.plan.elsewhere.get(&person).cloned(),
        }
    }

    /// Returns the value by which the accounts of this employee's reports name the employee.
    /// Returns `None` if the employee has no account.
    #[must_use]
    pub fn reference(&self, person: PersonIndex) -> Option<Box<str>> {
        if self.names_managers_by_email() {
            return self.email_of(person);
        }
        self.plan.standings[person as usize].account.as_ref().map(|held| held.id.clone())
    }

    /// Returns whether one of the changes that go out gives an account another e-mail, if reports
    /// name their manager by e-mail.
    #[must_use]
    pub fn renames(&self) -> bool {
        let renames = |change: &Change| {
            change.kind != ChangeKind::Create
                && change.write.attributes.iter().any(|(row, _)| *row == self.mapping.email)
        };
        self.names_managers_by_email()
            && self.plan.changes.iter().any(|change| change.goes() && renames(change))
    }

    /// Returns whether accounts name their manager by the manager's e-mail.
    fn names_managers_by_email(&self) -> bool {
        let Mapping { rows, manager, .. } = self.mapping;
        manager.is_some_and(|row| rows[row].compare == Compare::PersonByEmail)
    }

    /// Returns the e-mail that this employee's account has after the plan is carried out. Returns
    /// `None` if the employee has no account.
    fn email_of(&self, person: PersonIndex) -> Option<Box<str>> {
        let EmployeePlan { account, change, .. } = &self.plan.standings[person as usize];
        let change = change
            .map(|change| &self.plan.changes[change])
            .filter(|change| account.is_some() || change.kind == ChangeKind::Create);
        let written = change.and_then(|change| {
            change.write.attributes.iter().find_map(|(row, value)| match value {
                NewValue::Set(text) if *row == self.mapping.email => Some(text.clone()),
                NewValue::Set(_) | NewValue::Clear => None,
            })
        });
        let wanted = || {
            self.mapping
                .text(self.mapping.email, &self.people[person as usize].employee)
                .map(|text| text.as_ref().into())
        };
        match account {
            Some(held) => written.or_else(|| held.email.clone()),
            None => written.or_else(|| change.and_then(|_| wanted())),
        }
    }
}
