//! The answer of a search, read while it arrives.

use std::collections::HashMap;

use foldhash::HashSet;
use serde::de::IgnoredAny;

use super::{
    error::{Error, sentence},
    row,
    splitter::{Malformed, Piece, Splitter},
    wanted::FieldPaths,
};
use crate::domain::employee::{Cell, Employee, Fields};

/// All employees in Bob, as far as the service user sees them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    /// Each employee once, in Bob's order.
    pub employees: Vec<Employee>,
    /// For each field, in the order of the [`Fields`]: whether any employee had it, filled or
    /// empty. A field that no employee has is hidden by permission or misspelt (apidocs.hibob.com,
    /// "Read company employees").
    pub seen: Vec<bool>,
    /// How many employees were left out because their id came before.
    pub duplicates: u32,
    /// How many employees were left out because they have no id.
    pub without_id: u32,
}

/// Reads one answer chunk by chunk. It never holds more than one employee's JSON in addition to a
/// chunk.
#[derive(Debug)]
pub struct Reader {
    splitter: Splitter,
    rows: Rows,
}

#[derive(Debug)]
struct Rows {
    wanted: FieldPaths,
    people: People,
    ids: Ids,
    /// The top-level `key` and `error`, if the answer is an error object.
    error: Option<String>,
}

impl Reader {
    /// Returns a reader for the answer to a search for these fields.
    #[must_use]
    pub fn new(fields: &Fields) -> Self {
        Self::with_paths(fields, &HashMap::new())
    }

    /// Returns such a reader with the paths of fields that are not where their ids say.
    pub(super) fn with_paths(fields: &Fields, moved: &HashMap<Box<str>, Box<str>>) -> Self {
        let people = People { seen: vec![false; fields.ids().len()], ..People::default() };
        let rows = Rows {
            wanted: FieldPaths::new(fields, moved),
            people,
            ids: Ids::default(),
            error: None,
        };
        Self { splitter: Splitter::default(), rows }
    }

    /// Takes the next chunk of the body.
    ///
    /// # Errors
    /// [`Error::Unavailable`] as soon as the body cannot be an answer any more.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), Error> {
        let rows = &mut self.rows;
        self.splitter
            .feed(chunk, &mut |piece| rows.take(piece))
            .map_err(|malformed| self.refuse(malformed))
    }

    /// Returns all employees, if the body was complete.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the body ended early, had no `employees` array or was an error
    /// object.
    pub fn finish(self) -> Result<People, Error> {
        self.splitter.finish().map_err(|malformed| self.refuse(malformed))?;
        if self.rows.error.is_some() {
            return Err(self.refuse(Malformed::NoEmployees));
        }
        let mut people = self.rows.people;
        people.employees.shrink_to_fit();
        Ok(people)
    }

    fn refuse(&self, malformed: Malformed) -> Error {
        Error::unavailable(match &self.rows.error {
            Some(said) => format!("200 with an error object: {said}"),
            None => malformed.to_string(),
        })
    }
}

impl Rows {
    fn take(&mut self, piece: Piece<'_>) -> Result<(), Malformed> {
        match piece {
            Piece::Employee(bytes) => self.employee(bytes),
            Piece::Member(key, value) => self.member(key, value),
        }
    }

    fn employee(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let values = row::read(&self.wanted, bytes).ok_or(Malformed::Element)?;
        for (field, seen) in self.people.seen.iter_mut().enumerate() {
            *seen |= values.get(field) != Cell::Absent;
        }
        match Employee::from_values(values) {
            None => self.people.without_id += 1,
            Some(employee) if self.ids.insert(employee.id()) => {
                self.people.employees.push(employee)
            }
            Some(_) => self.people.duplicates += 1,
        }
        Ok(())
    }

    /// Checks a member next to the array. It only has to be JSON, but a member `error` makes the
    /// whole answer an error.
    fn member(&mut self, key: &[u8], value: &[u8]) -> Result<(), Malformed> {
        serde_json::from_slice::<IgnoredAny>(value).map_err(|_| Malformed::Grammar)?;
        if key == b"\"error\"" && value != b"null" {
            let body = [b"{\"error\":".as_slice(), value, b"}"].concat();
            self.error = Some(sentence(&body, &[]).unwrap_or_else(|| "no words".to_owned()));
        }
        Ok(())
    }
}

/// The ids that came so far. Bob's ids are numbers of 19 digits, which take 8 bytes each as
/// numbers. Other ids are kept as text.
#[derive(Debug, Default)]
struct Ids {
    numbers: HashSet<u64>,
    texts: HashSet<Box<str>>,
}

impl Ids {
    /// Adds an id. Returns whether it is new.
    fn insert(&mut self, id: &str) -> bool {
        match id.parse() {
            // "007" and "+7" would be the same number as "7".
            Ok(number) if !id.starts_with(['0', '+']) => self.numbers.insert(number),
            _ => self.texts.insert(id.into()),
        }
    }
}

#[cfg(test)]
mod tests;
