//! Reads users as accounts, by the table of the provider. It keeps only what the mapping needs.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    Error, Written,
    answers::{request_id, unreadable},
    directory::Of,
    json::{Object, object_in, scalar},
    table::{At, Place, Table},
    writer::state_of,
};
use crate::{
    domain::{
        account::{Account, AccountPhase, AccountState, AccountWrite, NewValue},
        mapping::Mapping,
        visible::trimmed_of,
    },
    http::client::Answer,
};

/// Where the rows of one mapping are, read once for a whole listing.
pub(super) struct UserReader<'m> {
    table: &'static Table,
    rows: Vec<Option<Place<'m>>>,
    mark: Place<'m>,
    /// Where the e-mail and the username are.
    names: [Option<Place<'static>>; 2],
    /// The members that arrays and objects of the mapping are in, and those that are kept.
    outers: Vec<&'m str>,
    /// Those of them that a write replaces as a whole, and whether they are arrays.
    whole: Vec<(&'m str, bool)>,
}

/// One page of a listing.
pub(super) struct Page<'a> {
    pub(super) users: Vec<Object<'a>>,
    /// The other members of the page.
    pub(super) rest: Object<'a>,
}

impl Page<'_> {
    /// Returns the first text that a user has in this member.
    pub(super) fn first_text(&self, name: &str) -> Option<String> {
        self.users.iter().find_map(|user| user.text(name)).map(Cow::into_owned)
    }
}

impl Table {
    /// Returns the page in an answer. An error with a status of success is not a page.
    pub(super) fn page<'a>(&self, answer: &'a Answer) -> Option<Page<'a>> {
        let Some((member, may_lack)) = self.users else {
            let users = serde_json::from_slice(&answer.body).ok()?;
            return Some(Page { users, rest: Object::default() });
        };
        let rest: Object<'_> = object_in(answer)?;
        if self.error.is_some_and(|error| rest.some(error).is_some()) {
            return None;
        }
        let users = match rest.raw(member) {
            Some(users) => serde_json::from_str(users.get()).ok()?,
            None if may_lack => Vec::new(),
            None => return None,
        };
        Some(Page { users, rest })
    }

    /// Returns the user in an answer. An error with a status of success is not a user.
    pub(super) fn user<'a>(&self, answer: &'a Answer) -> Option<Object<'a>> {
        let user: Object<'_> = object_in(answer)?;
        let is_error = self.error.is_some_and(|error| user.some(error).is_some());
        (!is_error).then_some(user)
    }
}

impl<'m> UserReader<'m> {
    pub(super) fn new(table: &'static Table, mapping: &'m Mapping) -> Self {
        Self::marked(table, mapping, table.mark_place())
    }

    /// Returns a reader for a tenant that chooses where the mark is.
    pub(super) fn marked(table: &'static Table, mapping: &'m Mapping, mark: Place<'m>) -> Self {
        let rows = mapping.rows.iter().map(|row| table.locate(&row.target)).collect();
        let names = table.names.map(|name| table.locate(name));
        let mut reader = Self { table, rows, mark, names, outers: Vec::new(), whole: Vec::new() };
        reader.outers = reader.outers();
        let places = || reader.places().map(|(_, place)| place).chain([mark]);
        let whole = |name: &&'m str| {
            let place = places().find(|place| place.outer == *name && place.is_whole())?;
            Some((*name, place.array().is_some()))
        };
        reader.whole = reader.outers.iter().filter_map(whole).collect();
        reader
    }

    /// Returns the arrays and objects that are mapped, in the order of the table, and the one with
    /// the mark.
    fn outers(&self) -> Vec<&'m str> {
        let mut outers: Vec<&str> = Vec::new();
        for field in self.table.fields {
            let places = self.places().map(|(_, place)| place).chain([self.mark]);
            for place in places.filter(|place| !place.member.is_empty()) {
                let same = if field.is_placed() {
                    place.field.target == field.target
                } else {
                    Place::of(field, field.target).outer == place.outer
                };
                if same && !outers.contains(&place.outer) {
                    outers.push(place.outer);
                }
            }
        }
        outers
    }

    /// Returns the rows that the provider has, with their places.
    pub(super) fn places(&self) -> impl Iterator<Item = (usize, Place<'m>)> + '_ {
        self.rows.iter().enumerate().filter_map(|(row, place)| Some((row, (*place)?)))
    }

    /// Returns the mapped rows of one family of targets.
    pub(super) fn family(
        &self,
        outer: &'static str,
    ) -> impl Iterator<Item = (usize, Place<'m>)> + '_ {
        self.places().filter(move |(_, place)| place.outer == outer)
    }

    /// Leaves out these rows, so that they are not asked for.
    pub(super) fn leave_out(&mut self, rows: &[usize]) {
        rows.iter().for_each(|row| self.rows[*row] = None);
    }

    /// Returns the members of a user that are asked for.
    pub(super) fn members(&self) -> Vec<&'m str> {
        let mut members: Vec<&str> = self.table.always.split(' ').collect();
        let arrays = |outer: &&&str| {
            let places = self.places().map(|(_, place)| place).chain([self.mark]);
            places.into_iter().any(|place| place.outer == **outer && place.array().is_some())
        };
        let places = self.places().map(|(_, place)| place).chain([self.mark]);
        let places = places.filter(|place| !matches!(place.field.at, At::Reference));
        // Objects that are written as a whole come last.
        let (last, first): (Vec<_>, Vec<_>) = places.partition(Place::is_whole);
        let mapped = first.iter().chain(&last).map(|place| place.outer);
        for name in self.outers.iter().filter(arrays).copied().chain(mapped) {
            if !members.iter().any(|known| known.split('(').next() == Some(name)) {
                members.push(name);
            }
        }
        members
    }

    /// Returns the page in an answer.
    pub(super) fn page<'a>(&self, answer: &'a Answer) -> Result<Page<'a>, Error> {
        let page = self.table.page(answer);
        let page = page.ok_or_else(|| unreadable("the answer is not a list of users"))?;
        match page.users.iter().find_map(|user| self.odd(user)) {
            Some(name) => Err(unreadable(&format!("the {name} of a user have an unknown form"))),
            None => Ok(page),
        }
    }

    /// Returns the accounts in the answer to a search.
    pub(super) fn found(&self, answer: &Answer) -> Result<Vec<Account<'static>>, Error> {
        let page = self.page(answer)?;
        Ok(page.users.iter().filter_map(|user| self.account(user)?.into_owned().into()).collect())
    }

    /// Returns the account in the answer to a read of one user.
    pub(super) fn one(&self, answer: &Answer) -> Result<Account<'static>, Error> {
        let user = self.table.user(answer).filter(|user| self.odd(user).is_none());
        let account = user.and_then(|user| Some(self.account(&user)?.into_owned()));
        account.ok_or_else(|| unreadable("the answer is not a user"))
    }

    /// Returns the name of a member that a write replaces as a whole, if its form is not the one of
    /// the table. A write would lose what is in it.
    fn odd(&self, user: &Object<'_>) -> Option<&'m str> {
        let odd = self.whole.iter().find(|(name, is_array)| {
            let Some(json) = user.some(name).map(RawValue::get) else { return false };
            let fits = json.starts_with(if *is_array { '[' } else { '{' });
            // An empty list is also how some services write an object without members.
            !fits && json != "[]"
        });
        odd.map(|(name, _)| *name)
    }

    /// Returns the account, or `None` if the user has no id.
    pub(super) fn account<'a>(&self, user: &Object<'a>) -> Option<Account<'a>> {
        let Table { id, hooks, .. } = self.table;
        let [email, username] = self.names;
        let id = id.iter().find_map(|name| user.scalar(name))?;
        let parts = UserParts::of(user, &self.outers);
        let value = |place: &Place<'_>| {
            let raw = parts.value(user, place)?;
            (place.field.form.read)(raw).filter(|text| !text.trim().is_empty())
        };
        Some(Account {
            id,
            mark: value(&self.mark).and_then(trimmed_of),
            email: email.and_then(|place| scalar(parts.value(user, &place)?.get())),
            username: username.and_then(|place| scalar(parts.value(user, &place)?.get())),
            state: (hooks.judged)(user, (hooks.state)(user)),
            phase: (hooks.phase)(user),
            attributes: self.rows.iter().map(|place| value(place.as_ref()?)).collect(),
            administrator: (hooks.administrator)(user),
            elsewhere: (hooks.elsewhere)(user),
            foreign: self.foreign(user).map(Cow::Owned),
        })
    }

    /// Returns the members that a write replaces as a whole, as one object.
    fn foreign(&self, user: &Object<'_>) -> Option<String> {
        let mut foreign = String::new();
        for name in self.whole.iter().map(|(name, _)| name).chain(self.table.kept) {
            let Some(raw) = user.some(name) else { continue };
            if (self.table.hooks.keeps)(name, raw.get()) {
                foreign.push_str(if foreign.is_empty() { "{\"" } else { ",\"" });
                foreign.push_str(name);
                foreign.push_str("\":");
                foreign.push_str(raw.get());
            }
        }
        (!foreign.is_empty()).then(|| foreign + "}")
    }

    /// Returns whether an answer shows a row, even with null.
    pub(super) fn shows(&self, user: &Object<'_>, row: usize) -> bool {
        let Some(place) = &self.rows[row] else { return false };
        UserParts::of(user, &[place.outer]).value(user, place).is_some()
    }

    /// Returns the account as the answer to a write shows it. What the answer lacks is filled from
    /// what was sent. `id` and `state` are what the answer has to show, if that is known before.
    ///
    /// # Errors
    /// Why the answer confirms nothing.
    pub(super) fn confirmed(
        &self,
        mapping: &Mapping,
        write: &AccountWrite,
        id: Option<&str>,
        state: Option<AccountState>,
        answer: &Answer,
    ) -> Result<Account<'static>, &'static str> {
        let user = self.table.user(answer).filter(|user| self.odd(user).is_none());
        let user = user.ok_or("the answer is not a user")?;
        let mut account = self.account(&user).ok_or("the answer names no account")?.into_owned();
        if id.is_some_and(|id| *account.id != *id) {
            return Err("the answer names another account");
        }
        match (state, (self.table.hooks.state)(&user)) {
            (Some(state), None) => account.state = state,
            (Some(state), Some(told)) if state != told => {
                return Err("the answered state is not the one that was asked for");
            }
            _ => {}
        }
        for (row, value) in &write.attributes {
            let told = self.table.shows_null && self.shows(&user, *row);
            if let (NewValue::Set(text), Some(slot @ None), false) =
                (value, account.attributes.get_mut(*row), told)
            {
                *slot = Some(String::from(&**text).into());
            }
        }
        let sent = |row: usize| account.attributes.get(row).cloned().flatten();
        let (email, username) = (sent(mapping.email), sent(mapping.username));
        account.email = account.email.or(email);
        account.username = account.username.or(username);
        let owned = |text: &Option<Box<str>>| text.as_deref().map(|text| text.to_owned().into());
        account.mark = account.mark.or_else(|| owned(&write.mark));
        if self.table.shows_null {
            account.foreign = account.foreign.or_else(|| owned(&write.foreign));
        }
        Ok(account)
    }

    /// Returns the write that an answer confirms. `state` is what the answer has to show, if that
    /// is not what the write asks for. `header` is the one of the provider's request id.
    ///
    /// # Errors
    /// [`Error::Unknown`] if the answer confirms nothing.
    pub(super) fn written(
        &self,
        of: Of<'_>,
        state: Option<AccountState>,
        answer: &Answer,
        header: Option<&str>,
    ) -> Result<Written, Error> {
        let state = state.or_else(|| of.write.access.map(state_of));
        let account = self.confirmed(of.mapping, of.write, of.id, state, answer);
        let account = account.map_err(Error::unknown)?;
        let request_id = header.and_then(|header| request_id(answer, header));
        Ok(Written { account, request_id, left: None })
    }
}

/// The arrays and objects of one user, each read once. An object is an array of one entry.
struct UserParts<'o, 'a>(Vec<(&'o str, Vec<Object<'a>>)>);

impl<'o, 'a> UserParts<'o, 'a> {
    fn of(user: &Object<'a>, outers: &[&'o str]) -> Self {
        let read = |name: &&'o str| {
            let raw = user.some(name)?.get();
            let entries = if raw.starts_with('[') {
                // An entry of another form matches no target, hides none of the others, and keeps
                // its place.
                let all: Vec<&'a RawValue> = serde_json::from_str(raw).ok()?;
                let entry =
                    |raw: &&'a RawValue| serde_json::from_str(raw.get()).unwrap_or_default();
                all.iter().map(entry).collect()
            } else {
                vec![serde_json::from_str(raw).ok()?]
            };
            Some((*name, entries))
        };
        Self(outers.iter().filter_map(read).collect())
    }

    fn value(&self, user: &Object<'a>, place: &Place<'_>) -> Option<&'a RawValue> {
        if place.member.is_empty() {
            return user.raw(place.outer);
        }
        let (_, entries) = self.0.iter().find(|(outer, _)| *outer == place.outer)?;
        let entry = match place.field.at {
            At::Entry(_) => {
                let has = |entry: &Object<'_>, name: &str, value: &str| entry.has(name, value);
                &entries[place.entry(entries, has, |entry| entry.is_true("primary"))?]
            }
            _ if place.key.is_empty() => entries.first()?,
            _ => return entries.first()?.read::<Object<'a>>(place.key)?.raw(place.member),
        };
        entry.raw(place.member)
    }
}

/// Returns what is known of an account after a write with an answer that shows nothing.
pub(super) fn as_sent(mapping: &Mapping, write: &AccountWrite, id: String) -> Account<'static> {
    let mut attributes = vec![None; mapping.rows.len()];
    for (row, value) in &write.attributes {
        if let (NewValue::Set(text), Some(slot)) = (value, attributes.get_mut(*row)) {
            *slot = Some(String::from(&**text).into());
        }
    }
    let sent = |row: usize| attributes.get(row).cloned().flatten();
    Account {
        id: id.into(),
        mark: write.mark.as_deref().map(|mark| mark.to_owned().into()),
        email: sent(mapping.email),
        username: sent(mapping.username),
        state: write.access.map_or(AccountState::Other, state_of),
        phase: AccountPhase::Usual,
        attributes: attributes.into(),
        administrator: false,
        elsewhere: false,
        foreign: None,
    }
}
