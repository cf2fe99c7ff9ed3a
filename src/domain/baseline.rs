//! The baseline of employees who were in Bob before the integration, for
//! `existingEmployees: OnChange`. bobsync leaves their accounts alone until Bob says something else
//! about them.
//!
//! The status keeps what Bob said first as digests, so that it survives restarts and shows no
//! value.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{
    employee::{Cell, Employee, FieldIndex, LAST_DAY, LIFECYCLE, START, STATUS, TERMINATION},
    employment::{Phase, phase},
    mapping::Mapping,
    settings::Settings,
};

/// What Bob said about one employee, in digests of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Baseline {
    /// The part of the employment at that time.
    phase: Phase,
    /// Digests of the fields that decide about access.
    access: Digests,
    /// Digests of the fields that the settings map.
    values: Digests,
}

/// What some fields said. Two of these can be compared only if both show the same fields. A field
/// that Bob hides, or that is mapped later, is not a change of the employee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Digests {
    /// Digest of the ids of the fields that were shown.
    shown: u64,
    /// Digest of their values.
    value: u64,
}

impl Digests {
    fn differs_from(self, before: Self) -> bool {
        self.shown == before.shown && self.value != before.value
    }
}

impl Baseline {
    /// Returns what Bob says about `employee` at `now`. `mapped` is the result of [`mapped`], which
    /// the caller computes once for all employees.
    #[must_use]
    pub fn of(
        settings: &Settings,
        mapped: &[FieldIndex],
        employee: &Employee,
        now: Timestamp,
    ) -> Self {
        let ids = settings.mapping.fields.ids();
        Self {
            phase: phase(settings, employee, now),
            access: said(employee, ids, &[LIFECYCLE, STATUS, START, TERMINATION, LAST_DAY]),
            values: said(employee, ids, mapped),
        }
    }

    /// Returns whether Bob says something else about the employee than `before`.
    #[must_use]
    pub fn differs_from(self, before: Self) -> bool {
        self.phase != before.phase
            || self.access.differs_from(before.access)
            || self.values.differs_from(before.values)
    }

    /// Returns the text that the status keeps.
    #[must_use]
    pub fn to_text(self) -> String {
        let phase = match self.phase {
            Phase::Ahead => 'a',
            Phase::Employed => 'b',
            Phase::Ended => 'c',
        };
        let Self { access, values, .. } = self;
        format!(
            "{phase}-{:016x}-{:016x}-{:016x}-{:016x}",
            access.shown, access.value, values.shown, values.value
        )
    }

    /// Reads a text of [`Baseline::to_text`]. Returns `None` for any other text.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let (phase, digests) = text.split_once('-')?;
        let phase = match phase {
            "a" => Phase::Ahead,
            "b" => Phase::Employed,
            "c" => Phase::Ended,
            _ => return None,
        };
        let digests: Vec<u64> = digests
            .split('-')
            .map(|part| u64::from_str_radix(part, 16))
            .collect::<Result<_, _>>()
            .ok()?;
        let &[access_shown, access, values_shown, values] = &digests[..] else { return None };
        Some(Self {
            phase,
            access: Digests { shown: access_shown, value: access },
            values: Digests { shown: values_shown, value: values },
        })
    }
}

/// Returns the fields that rows of the mapping use.
#[must_use]
pub fn mapped(mapping: &Mapping) -> Vec<FieldIndex> {
    (0..mapping.fields.ids().len()).filter(|&field| mapping.uses(field)).collect()
}

/// Returns the digests of `fields`. The employee's id comes first, so that the digests of two
/// employees do not show which values they share.
fn said(employee: &Employee, ids: &[Box<str>], fields: &[FieldIndex]) -> Digests {
    let (mut shown, mut value) = (Sha256::new(), Sha256::new());
    text(&mut value, employee.id());
    for &field in fields {
        match employee.values.get(field) {
            Cell::Absent => continue,
            Cell::Null => value.update([0]),
            Cell::Text(said) => text(&mut value, said.trim()),
        }
        text(&mut shown, &ids[field]);
    }
    Digests { shown: short(shown), value: short(value) }
}

fn text(digest: &mut Sha256, value: &str) {
    digest.update([1]);
    digest.update((value.len() as u64).to_be_bytes());
    digest.update(value.as_bytes());
}

fn short(digest: Sha256) -> u64 {
    digest.finalize().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}
