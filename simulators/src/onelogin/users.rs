//! Users in memory: rows in the order of their ids, and indices for the look-ups that clients do
//! before a create.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;

use jiff::Timestamp;

use super::attributes::{ATTRIBUTES, Cell, EMAIL, EXTERNAL_ID, STATE, STATUS, USERNAME};

/// One user.
#[derive(Debug, Clone)]
pub struct User {
    pub id: i64,
    /// In the order of [`ATTRIBUTES`].
    cells: Box<[Option<Cell>]>,
    /// Shortname to value; absent is null.
    pub custom: BTreeMap<Box<str>, Box<str>>,
}

impl User {
    pub fn new(id: i64) -> Self {
        let mut cells = vec![None; ATTRIBUTES.len()].into_boxed_slice();
        cells[0] = Some(Cell::Int(id));
        Self { id, cells, custom: BTreeMap::new() }
    }

    pub fn cell(&self, attribute: usize) -> Option<&Cell> {
        self.cells[attribute].as_ref()
    }

    pub fn set(&mut self, attribute: usize, cell: Option<Cell>) {
        self.cells[attribute] = cell;
    }

    pub fn text(&self, attribute: usize) -> Option<&str> {
        match self.cell(attribute) {
            Some(Cell::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub fn int(&self, attribute: usize) -> Option<i64> {
        match self.cell(attribute) {
            Some(Cell::Int(number)) => Some(*number),
            _ => None,
        }
    }

    pub fn time(&self, attribute: usize) -> Option<Timestamp> {
        match self.cell(attribute) {
            Some(Cell::Time(at)) => Some(*at),
            _ => None,
        }
    }

    pub fn status(&self) -> i64 {
        self.int(STATUS).unwrap_or(0)
    }

    pub fn is_licensed(&self) -> bool {
        self.int(STATE) == Some(1)
    }

    /// Writes the chosen attributes as a JSON object; `defined` are the tenant's
    /// custom attributes, all of them shown, null where unset.
    pub fn write(&self, shown: &Shown, defined: &[&str], out: &mut Vec<u8>) {
        out.push(b'{');
        for (position, attribute) in shown.attributes.iter().enumerate() {
            if position > 0 {
                out.push(b',');
            }
            let _ = write!(out, "\"{}\":", ATTRIBUTES[*attribute].name);
            match self.cell(*attribute) {
                None => out.extend_from_slice(if ATTRIBUTES[*attribute].name == "role_ids" {
                    b"[]"
                } else {
                    b"null"
                }),
                Some(Cell::Int(number)) => drop(write!(out, "{number}")),
                Some(Cell::Text(text)) => {
                    serde_json::to_writer(&mut *out, &**text).expect("writing to memory")
                }
                Some(other) => {
                    serde_json::to_writer(&mut *out, &other.json()).expect("writing to memory")
                }
            }
        }
        if shown.custom {
            out.extend_from_slice(b",\"custom_attributes\":{");
            for (position, shortname) in defined.iter().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                serde_json::to_writer(&mut *out, shortname).expect("writing to memory");
                out.push(b':');
                serde_json::to_writer(&mut *out, &self.custom.get(*shortname))
                    .expect("writing to memory");
            }
            out.push(b'}');
        }
        out.push(b'}');
    }
}

/// The attributes that an answer shows.
#[derive(Debug, Clone)]
pub struct Shown {
    attributes: Vec<usize>,
    custom: bool,
}

impl Shown {
    /// Everything, as for a read of one user.
    pub fn full() -> Self {
        Self { attributes: (0..ATTRIBUTES.len()).collect(), custom: true }
    }

    /// The attributes of a listing without `fields`.
    pub fn thin() -> Self {
        Self {
            attributes: (0..ATTRIBUTES.len()).filter(|number| ATTRIBUTES[*number].thin).collect(),
            custom: false,
        }
    }

    /// The named attributes and always the id; unknown names are ignored.
    pub fn named(fields: &str) -> Self {
        let names: Vec<&str> = fields.split(',').map(str::trim).collect();
        let wanted = |number: &usize| *number == 0 || names.contains(&ATTRIBUTES[*number].name);
        Self {
            attributes: (0..ATTRIBUTES.len()).filter(wanted).collect(),
            custom: names.contains(&"custom_attributes"),
        }
    }
}

const INDEXED: [usize; 3] = [USERNAME, EMAIL, EXTERNAL_ID];

/// All users of the tenant.
#[derive(Debug, Default)]
pub struct Users {
    rows: Vec<User>,
    /// Per indexed attribute: lower-case value to ids.
    indices: [HashMap<String, Vec<i64>>; 3],
    last: i64,
    licensed: u64,
}

const FIRST: i64 = 190_000_001;

impl Users {
    pub fn rows(&self) -> &[User] {
        &self.rows
    }

    pub fn next_id(&self) -> i64 {
        (self.last + 1).max(FIRST)
    }

    /// Returns how many users hold a licence (state 1).
    pub fn licensed(&self) -> u64 {
        self.licensed
    }

    fn position(&self, id: i64) -> Result<usize, usize> {
        self.rows.binary_search_by_key(&id, |user| user.id)
    }

    pub fn get(&self, id: i64) -> Option<&User> {
        self.position(id).ok().map(|position| &self.rows[position])
    }

    /// Returns the ids of the users with this value, ignoring case; `attribute` is an indexed one.
    pub fn find(&self, attribute: usize, value: &str) -> Option<&[i64]> {
        let index = INDEXED.iter().position(|indexed| *indexed == attribute)?;
        Some(self.indices[index].get(&value.to_lowercase()).map_or(&[], Vec::as_slice))
    }

    /// Adds a user or replaces the one with the same id.
    pub fn put(&mut self, user: User) {
        self.last = self.last.max(user.id);
        let licensed = user.is_licensed();
        match self.position(user.id) {
            Ok(position) => {
                let old = std::mem::replace(&mut self.rows[position], user);
                self.forget(&old);
                self.learn(position);
            }
            Err(position) => {
                self.rows.insert(position, user);
                self.learn(position);
            }
        }
        self.licensed += u64::from(licensed);
    }

    pub fn remove(&mut self, id: i64) -> bool {
        let Ok(position) = self.position(id) else { return false };
        let old = self.rows.remove(position);
        self.forget(&old);
        true
    }

    pub fn clear(&mut self) {
        *self = Self { last: self.last, ..Self::default() };
    }

    fn learn(&mut self, position: usize) {
        let user = &self.rows[position];
        for (index, attribute) in self.indices.iter_mut().zip(INDEXED) {
            if let Some(text) = user.text(attribute) {
                index.entry(text.to_lowercase()).or_default().push(user.id);
            }
        }
    }

    fn forget(&mut self, user: &User) {
        self.licensed -= u64::from(user.is_licensed());
        for (index, attribute) in self.indices.iter_mut().zip(INDEXED) {
            let Some(key) = user.text(attribute).map(str::to_lowercase) else { continue };
            if let Some(ids) = index.get_mut(&key) {
                ids.retain(|id| *id != user.id);
                if ids.is_empty() {
                    index.remove(&key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: i64, email: &str) -> User {
        let mut user = User::new(id);
        user.set(EMAIL, Some(Cell::Text(email.into())));
        user.set(STATE, Some(Cell::Int(1)));
        user
    }

    #[test]
    fn look_ups_follow_every_change() {
        let mut users = Users::default();
        users.put(user(1, "Ann@example.com"));
        users.put(user(2, "bo@example.com"));
        assert_eq!(users.find(EMAIL, "ann@EXAMPLE.com"), Some([1].as_slice()));
        users.put(user(1, "anna@example.com"));
        assert_eq!(users.find(EMAIL, "ann@example.com"), Some([].as_slice()));
        assert_eq!(users.find(EMAIL, "anna@example.com"), Some([1].as_slice()));
        assert_eq!(users.licensed(), 2);
        assert!(users.remove(1));
        assert_eq!(users.find(EMAIL, "anna@example.com"), Some([].as_slice()));
        assert_eq!((users.licensed(), users.rows().len()), (1, 1));
    }

    #[test]
    fn an_id_is_never_given_twice() {
        let mut users = Users::default();
        users.put(user(users.next_id(), "a@example.com"));
        let first = users.rows()[0].id;
        users.remove(first);
        assert_ne!(users.next_id(), first);
    }
}
