//! What changes without a call of the API: an administrator's edits, and what is due at a time.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::attributes::{
    ATTEMPTS, ATTRIBUTES, CREATED, Cell, LOCKED_UNTIL, STATE, STATUS, UPDATED, number,
};
use super::state::{Definition, State};
use super::users::User;
use super::writes;

impl State {
    /// Applies what is due by `now`: locks end, mappings run.
    pub fn tick(&mut self, now: Timestamp) {
        self.license();
        if self.locks.is_empty() && self.due.is_empty() {
            return;
        }
        let over = |list: &mut Vec<(Timestamp, i64)>| -> Vec<i64> {
            let ids = list.iter().filter(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
            list.retain(|(at, _)| *at > now);
            ids
        };
        for id in over(&mut self.locks) {
            let Some(mut user) = self.users.get(id).cloned() else { continue };
            if user.status() == 3 && user.time(LOCKED_UNTIL).is_some_and(|until| until <= now) {
                user.set(STATUS, Some(Cell::Int(1)));
                user.set(LOCKED_UNTIL, None);
                self.users.put(user);
            }
        }
        for id in over(&mut self.due) {
            let Some(mut user) = self.users.get(id).cloned() else { continue };
            writes::map(self, &mut user);
            user.set(UPDATED, Some(Cell::Time(now)));
            self.users.put(user);
        }
    }

    /// Gives free licences to the users who wait for one.
    fn license(&mut self) {
        if !self.quirks.licenses_waiting {
            return;
        }
        let free = self.quirks.licences.map_or(usize::MAX, |all| {
            usize::try_from(all.saturating_sub(self.users.licensed())).unwrap_or(usize::MAX)
        });
        let waiting: Vec<i64> = self
            .users
            .rows()
            .iter()
            .filter(|user| user.int(STATE) == Some(3))
            .map(|user| user.id)
            .take(free)
            .collect();
        for id in waiting {
            let Some(mut user) = self.users.get(id).cloned() else { continue };
            user.set(STATE, Some(Cell::Int(1)));
            self.users.put(user);
        }
    }

    /// Defines custom attributes by their shortnames; existing ones stay.
    pub fn define(&mut self, shortname: &str) {
        if !self.definitions.iter().any(|definition| definition.shortname == shortname) {
            let id =
                self.definitions.iter().map(|definition| definition.id).max().unwrap_or(88_000) + 1;
            let name = super::attributes::human(shortname);
            self.definitions.push(Definition {
                id,
                name,
                shortname: shortname.to_owned(),
                position: None,
            });
        }
    }

    /// Applies an administrator's edit. Only types are checked. Creates the user when `id` is
    /// `None`.
    ///
    /// # Errors
    /// Unknown attributes or values of a wrong type; then nothing is changed.
    pub fn edit(
        &mut self,
        id: Option<i64>,
        given: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<i64, String> {
        let mut user = if let Some(id) = id {
            self.users.get(id).cloned().ok_or("no such user")?
        } else {
            let id = match given.get("id") {
                None => self.users.next_id(),
                Some(id) => id.as_i64().ok_or("id takes an integer")?,
            };
            if self.users.get(id).is_some() {
                return Err(format!("user {id} exists"));
            }
            let mut user = User::new(id);
            user.set(STATUS, Some(Cell::Int(1)));
            user.set(STATE, Some(Cell::Int(1)));
            user.set(ATTEMPTS, Some(Cell::Int(0)));
            user.set(CREATED, Some(Cell::Time(now)));
            user
        };
        user.set(UPDATED, Some(Cell::Time(now)));
        let mut shortnames = Vec::new();
        for (name, value) in given {
            if name == "custom_attributes" {
                let custom = value.as_object().ok_or("custom_attributes takes an object")?;
                for (shortname, value) in custom {
                    shortnames.push(shortname.clone());
                    match value {
                        Value::Null => user.custom.remove(shortname.as_str()),
                        Value::String(text) => {
                            user.custom.insert(shortname.as_str().into(), text.as_str().into())
                        }
                        _ => {
                            return Err(format!(
                                "custom_attributes.{shortname} takes a string or null"
                            ));
                        }
                    };
                }
            } else if name != "id" {
                let number = number(name).ok_or_else(|| format!("unknown attribute {name}"))?;
                let cell = Cell::read(ATTRIBUTES[number].kind, value)
                    .map_err(|wanted| format!("{name} takes {wanted}"))?;
                user.set(number, cell);
            }
        }
        for shortname in shortnames {
            self.define(&shortname);
        }
        if let Some(until) = user.time(LOCKED_UNTIL) {
            self.locks.push((until, user.id));
        }
        let id = user.id;
        self.users.put(user);
        Ok(id)
    }
}
