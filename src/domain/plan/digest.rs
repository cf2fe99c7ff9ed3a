//! Digests of a plan: one of the whole plan, which a person approves, and one of each employee's
//! part in it. They cover employees, kinds of change and every target value.

use foldhash::HashMap;
use sha2::{Digest as _, Sha256};

use super::{Change, ChangeKind, Planned};
use crate::domain::{
    account::{Access, NewValue},
    matching::PersonIndex,
};

impl Planned<'_> {
    /// Returns the SHA-256 over employees, kinds of change and target values. The order of the
    /// employees does not matter.
    #[must_use]
    pub fn digest(&self) -> String {
        self.digest_of(&[], |_| true)
    }

    /// Returns the same digest over the changes with an index that is `wanted`, and over the
    /// `frozen` rows of all other changes.
    #[must_use]
    pub fn digest_of(&self, frozen: &[usize], wanted: impl Fn(usize) -> bool) -> String {
        // Which employee of a circle gets the manager last is only a matter of order.
        let late: HashMap<PersonIndex, PersonIndex> =
            self.plan.late_managers.iter().copied().collect();
        let manager =
            |change: &Change| change.manager.or_else(|| late.get(&change.person).copied());
        let mut lines: Vec<[u8; 32]> = self
            .plan
            .changes
            .iter()
            .enumerate()
            .filter_map(|(index, change)| {
                if wanted(index) {
                    return Some(self.line(change, manager(change)));
                }
                let frozen = change.only_rows(frozen)?;
                Some(self.line(&frozen, None))
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

    /// Returns the digest of one employee's part in the plan that follows the release `after`. It
    /// is never 0. With `rows`, the digest covers only what the change writes to these rows.
    ///
    /// The manager counts as the employee's id, so that the digest is the same before and after the
    /// manager's account is made.
    #[must_use]
    pub fn part(&self, change: &Change, rows: Option<&[usize]>, after: &str) -> u64 {
        let mut change = match rows {
            Some(rows) => change.only_rows(rows).unwrap_or_else(|| change.clone()),
            None => change.clone(),
        };
        let named = |row: &usize| self.mapping.manager == Some(*row);
        let mut manager = None;
        if change.manager.is_some()
            || change.kind == ChangeKind::Create
            || change.write.attributes.iter().any(|(row, _)| named(row))
        {
            manager = self.plan.managers.get(change.person as usize).copied().flatten();
        }
        if manager.is_some() {
            change.write.attributes.retain(|(row, _)| !named(row));
        }
        let mut hash = Sha256::new_with_prefix(after);
        hash.update(self.line(&change, manager));
        hash.finalize().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)).max(1)
    }

    /// Returns the hash of one change.
    fn line(&self, change: &Change, manager: Option<PersonIndex>) -> [u8; 32] {
        let mut hash = Sha256::new();
        field(&mut hash, self.people[change.person as usize].employee.id());
        field(
            &mut hash,
            match change.kind {
                ChangeKind::Create => "create",
                ChangeKind::Adopt => "adopt",
                ChangeKind::Update => "update",
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
        field(&mut hash, manager.map_or("", |manager| self.people[manager as usize].employee.id()));
        let mut attributes: Vec<_> = change
            .write
            .attributes
            .iter()
            .map(|(row, value)| (&*self.mapping.rows[*row].target, value))
            .collect();
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
}

/// Adds `text` to the hash, after its length, so that no two lists of fields give the same bytes.
fn field(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text.as_bytes());
}
