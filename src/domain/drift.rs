//! Drift of values under `driftPolicy: Report`: bobsync shows a value that was changed at the
//! provider, and leaves it.
//!
//! To tell such a value from one that Bob changed, bobsync remembers what was in place before. It
//! keeps one digest for each target in the status, so that the memory survives restarts and shows
//! no value.

use sha2::{Digest as _, Sha256};

use super::{
    employee::Employee,
    mapping::{Desired, Mapping, key},
};

/// What was last in place on one employee's account: a digest for each target, by the target's
/// name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct InPlace(Vec<(Box<str>, u32)>);

impl InPlace {
    /// Returns the list that the status keeps: `<target>=<eight hexadecimal digits>`, by target.
    #[must_use]
    pub fn to_list(&self) -> Vec<String> {
        self.0.iter().map(|(target, digest)| format!("{target}={digest:08x}")).collect()
    }

    /// Reads a list of [`InPlace::to_list`]. An entry that cannot be read counts as not known.
    pub fn from_list<'a>(list: impl Iterator<Item = &'a str>) -> Self {
        let read = |entry: &str| {
            let (target, digest) = entry.rsplit_once('=')?;
            Some((target.into(), u32::from_str_radix(digest, 16).ok()?))
        };
        Self(list.filter_map(read).collect())
    }

    /// Returns what is in place after a pass.
    ///
    /// A row for which `as_desired` is true has the digest of the desired value. Every other row
    /// keeps what `before` has. So does a target that is not mapped any more, because it may be
    /// mapped again. `manager` is the value by which the attribute names the manager, if it is
    /// known.
    #[must_use]
    pub fn after(
        before: Option<&Self>,
        mapping: &Mapping,
        employee: &Employee,
        manager: Option<&str>,
        as_desired: impl Fn(usize) -> bool,
    ) -> Self {
        let mut list: Vec<(Box<str>, u32)> = (0..mapping.rows.len())
            .filter(|&row| mapping.keeps(row, employee))
            .filter_map(|row| {
                let target = &mapping.rows[row].target;
                let now = digest(mapping, employee, row, manager).filter(|_| as_desired(row));
                now.or_else(|| before?.of(target)).map(|digest| (target.clone(), digest))
            })
            .collect();
        let unmapped = |target: &str| !mapping.rows.iter().any(|row| *row.target == *target);
        list.extend(
            before
                .into_iter()
                .flat_map(|before| &before.0)
                .filter(|(target, _)| unmapped(target))
                .cloned(),
        );
        list.sort_unstable();
        Self(list)
    }

    /// Returns whether the value that Bob wants now in `row` was already in place. If it was, the
    /// value was changed at the provider.
    #[must_use]
    pub fn holds(
        &self,
        mapping: &Mapping,
        employee: &Employee,
        row: usize,
        manager: Option<&str>,
    ) -> bool {
        digest(mapping, employee, row, manager)
            .is_some_and(|now| self.of(&mapping.rows[row].target) == Some(now))
    }

    fn of(&self, target: &str) -> Option<u32> {
        self.0.iter().find(|(own, _)| **own == *target).map(|(_, digest)| *digest)
    }
}

/// Returns 32 bits of a digest over employee, target and value. That is enough to tell one value
/// from another, and too little to find out the value. Returns `None` where Bob does not say which
/// value there should be.
fn digest(
    mapping: &Mapping,
    employee: &Employee,
    row: usize,
    manager: Option<&str>,
) -> Option<u32> {
    let value = match mapping.desired(row, employee) {
        Desired::Text(text) => Some(if row == mapping.email || row == mapping.username {
            key(&text).into_owned()
        } else {
            text.into_owned()
        }),
        Desired::Person(id) => Some(format!("{id} {}", key(manager?))),
        Desired::Empty if !mapping.rows[row].required => None,
        Desired::Empty | Desired::Keep | Desired::Failed(_) => return None,
    };
    Some(short_digest([
        employee.id(),
        &mapping.rows[row].target,
        value.as_deref().unwrap_or_default(),
    ]))
}

/// Returns 32 bits of a digest over employee, target and value.
pub(super) fn short_digest(parts: [&str; 3]) -> u32 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte))
}
