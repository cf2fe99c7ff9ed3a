//! What a plan is, in a few bytes: a digest over who, what and every target value, of the whole that a person approves, and
//! of each person's part in it.

use foldhash::HashMap;
use sha2::{Digest as _, Sha256};

use super::{Change, Kind, Plan};
use crate::domain::{
    account::{Access, NewValue},
    mapping::Mapping,
    matching::{Person, PersonIndex},
};

impl Plan {
    /// SHA-256 over who, what and the target values, whatever the order of the people.
    #[must_use]
    pub fn digest(&self, mapping: &Mapping, people: &[Person]) -> String {
        self.digest_of(mapping, people, &[], |_| true)
    }

    /// The same over the changes whose index is `wanted`, and over the `frozen` rows of all others.
    #[must_use]
    pub fn digest_of(&self, mapping: &Mapping, people: &[Person], frozen: &[usize], wanted: impl Fn(usize) -> bool) -> String {
        // Who in a circle gets the manager last is a matter of order.
        let late: HashMap<PersonIndex, PersonIndex> = self.late_managers.iter().copied().collect();
        let manager = |change: &Change| change.manager.or_else(|| late.get(&change.person).copied());
        let mut lines: Vec<[u8; 32]> = self
            .changes
            .iter()
            .enumerate()
            .filter_map(|(index, change)| {
                if wanted(index) {
                    return Some(line(change, manager(change), mapping, people));
                }
                let frozen = change.only_rows(frozen)?;
                Some(line(&frozen, None, mapping, people))
            })
            .collect();
        lines.sort_unstable();
        let mut all = Sha256::new();
        lines.iter().for_each(|line| all.update(line));
        all.finalize().iter().fold(String::from("sha256:"), |mut text, byte| {
            use std::fmt::Write as _;
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// One person's part in the plan that follows the release `after`; never 0. With `rows`: only what it writes to these.
    /// The manager counts as who it is, whether the account is there by now or not.
    #[must_use]
    pub fn part(&self, change: &Change, rows: Option<&[usize]>, mapping: &Mapping, people: &[Person], after: &str) -> u64 {
        let mut change = match rows {
            Some(rows) => change.only_rows(rows).unwrap_or_else(|| change.clone()),
            None => change.clone(),
        };
        let named = |row: &usize| mapping.manager == Some(*row);
        let mut manager = None;
        if change.manager.is_some() || change.kind == Kind::Create || change.write.attributes.iter().any(|(row, _)| named(row)) {
            manager = self.managers.get(change.person as usize).copied().flatten();
        }
        if manager.is_some() {
            change.write.attributes.retain(|(row, _)| !named(row));
        }
        let mut hash = Sha256::new_with_prefix(after);
        hash.update(line(&change, manager, mapping, people));
        hash.finalize().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)).max(1)
    }
}

fn line(change: &Change, manager: Option<PersonIndex>, mapping: &Mapping, people: &[Person]) -> [u8; 32] {
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
    change.also.iter().for_each(|account| field(&mut hash, account));
    field(
        &mut hash,
        match change.write.access {
            Some(Access::Active) => "active",
            Some(Access::Suspended) => "suspended",
            None => "",
        },
    );
    field(&mut hash, change.write.mark.as_deref().unwrap_or(""));
    field(&mut hash, manager.map_or("", |manager| people[manager as usize].employee.id()));
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
