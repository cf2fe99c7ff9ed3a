//! JumpCloud, through version 1 of its API.
//!
//! [`catalog`] is known without a connection; `dialect` says how calls are made; `read`, `write`
//! and `pages` are the wire; `errors` turns refusals into what to do about them. This file has the
//! calls.

pub mod catalog;

mod dialect;
mod errors;
mod pages;
mod read;
mod write;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::future::BoxFuture;
use reqwest::Method;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

pub use catalog::{CATALOG, pacer};
pub use dialect::{Region, Tenant};

use self::{
    dialect::JumpCloudDialect,
    errors::{EXPIRE, UNIQUE},
    pages::Pages,
    read::{Page, Reader, User},
    write::{body, state, touches_arrays},
};
use super::{
    Capabilities, Error, Initial, Key, Listing, Provider, Written,
    answers::{Password, Route, Sent},
    call::{Call, Service, Ties},
    limits::Pacer,
    listing::{Lister, unreadable},
};
use crate::{
    domain::{
        account::{Access, Account, AccountState, AccountWrite, NewValue},
        mapping::{Compare, Mapping, equal},
        priority::Urgency,
    },
    http::{client::Answer, secret::Secret},
};

const USERS: &str = "/api/systemusers";

/// The most accounts that a search returns when bobsync looks for the account that has a value.
const FEW: &str = "10";

/// The most numbers that a username is tried with. Another employee of the same name needs a
/// username of another form.
const MOST_NUMBERS: u32 = 50;

/// How long bobsync tries to expire the password of a new account.
const PERSISTENCE: Duration = Duration::from_secs(20);

/// One JumpCloud organization, through one administrator's API key.
pub struct JumpCloud {
    service: Service<JumpCloudDialect>,
    /// The id of the organization, once a user has told it.
    organization: OnceLock<Box<str>>,
}

impl JumpCloud {
    /// Prepares the connection and calls nothing yet. All callers of this tenant share the pacer.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if the key cannot be valid, [`Error::Unavailable`] if this machine
    /// cannot connect.
    pub fn new(tenant: Tenant, key: &Secret, ties: Ties, pacer: Arc<Pacer>) -> Result<Self, Error> {
        let service = Service::new(JumpCloudDialect::new(tenant, key)?, ties, pacer);
        let service = service.map_err(|error| Error::Unavailable { said: error.to_string() })?;
        Ok(Self { service, organization: OnceLock::new() })
    }

    /// Returns the account. The settings decide whether the directory of an externally managed user
    /// is its master.
    fn ours<'a>(&self, account: Account<'a>) -> Account<'a> {
        Account {
            elsewhere: account.elsewhere && self.service.dialect().tenant.mastered,
            ..account
        }
    }

    async fn get(
        &self,
        route: Route,
        path: &str,
        query: &[(&str, &str)],
        sent: Sent<'_>,
    ) -> Result<Answer, Error> {
        self.service.call(&Call::get(route, path, query, sent)).await
    }

    /// Reads every page. If users were added or removed between the pages, reads everything once
    /// more, so that no user is missed that moved from one page to another: there is no search for
    /// marks that could find it later.
    async fn list_all(
        &self,
        mapping: &Mapping,
        sink: &mut (dyn FnMut(Account<'_>) + Send),
    ) -> Result<Listing, Error> {
        let mut ids: foldhash::HashSet<u128> = foldhash::HashSet::default();
        let whole =
            self.sweep(mapping, Lister::new(CATALOG.capabilities.page), &mut ids, sink).await?;
        if !whole {
            self.sweep(mapping, Lister::going_on(CATALOG.capabilities.page), &mut ids, sink)
                .await?;
        }
        Ok(Listing {
            accounts: u32::try_from(ids.len()).unwrap_or(u32::MAX),
            whole,
            unavailable: Vec::new(),
        })
    }

    /// Reads every page once, in the order of the ids. Users that are not known yet go into `sink`.
    /// Returns whether the pages fit together.
    async fn sweep(
        &self,
        mapping: &Mapping,
        mut lister: Lister<u128>,
        known: &mut foldhash::HashSet<u128>,
        sink: &mut (dyn FnMut(Account<'_>) + Send),
    ) -> Result<bool, Error> {
        let reader = Reader::new(mapping);
        let fields = reader.fields();
        let mut pages = Pages::default();
        loop {
            let skip = pages.rows().to_string();
            let answer = lister
                .page(async |size| {
                    let limit = size.to_string();
                    let query = [
                        ("limit", &*limit),
                        ("skip", &*skip),
                        ("sort", "_id"),
                        ("fields", &*fields),
                    ];
                    self.get(Route::LIST, USERS, &query, Sent::Nothing).await
                })
                .await?;
            let page = page_in(&answer)?;
            self.belongs_to(&page.results);
            let mut fresh = 0;
            for user in &page.results {
                let account = reader
                    .account(user)
                    .ok_or_else(|| unreadable("the listing holds a user without an id"))?;
                let id = number_of(&account.id);
                fresh += u64::from(lister.is_new(id));
                if known.insert(id) {
                    sink(account);
                }
            }
            if !pages.more(page.total_count, lister.size(), page.results.len() as u64, fresh)? {
                return Ok(pages.whole(lister.accounts().into()));
            }
        }
    }

    /// Remembers which organization these users belong to.
    fn belongs_to(&self, users: &[User<'_>]) {
        if let Some(id) =
            users.iter().find_map(|user| user.organization.as_deref()).filter(|id| !id.is_empty())
        {
            self.organization.get_or_init(|| id.into());
        }
    }

    /// Asks for any one user, because users say which organization they belong to. An
    /// organization without users does not say.
    async fn ask_whose(&self) {
        let query =
            [("limit", "1"), ("skip", "0"), ("sort", "_id"), ("fields", "_id organization")];
        let Ok(answer) = self.get(Route::LIST, USERS, &query, Sent::Nothing).await else { return };
        if let Ok(page) = page_in(&answer) {
            self.belongs_to(&page.results);
        }
    }

    async fn by_id(&self, mapping: &Mapping, id: &str) -> Result<Option<Account<'static>>, Error> {
        let Some(path) = path_of(id) else { return Ok(None) };
        match self.get(Route::FIND, &path, &[], Sent::Nothing).await {
            Ok(answer) => {
                let account = user_in(&answer)
                    .and_then(|user| Reader::new(mapping).account(&user).map(Account::into_owned));
                let account = account.ok_or_else(|| unreadable("the answer is not a user"))?;
                if *account.id == *id {
                    Ok(Some(account))
                } else {
                    Err(unreadable("the answer names another user"))
                }
            }
            Err(Error::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the users with a member that is exactly this value (JumpCloud API v1, `filter`: the
    /// comparison is case-sensitive).
    async fn by_member(
        &self,
        mapping: &Mapping,
        name: &str,
        text: &str,
    ) -> Result<Vec<Account<'static>>, Error> {
        let reader = Reader::new(mapping);
        let (filter, fields) = (format!("{name}:$eq:{text}"), reader.fields());
        let query = [
            ("filter", &*filter),
            ("limit", FEW),
            ("skip", "0"),
            ("sort", "_id"),
            ("fields", &*fields),
        ];
        let answer = match self.get(Route::FIND, USERS, &query, Sent::Key(text)).await {
            // A filter that finds no user is answered with an empty list. A 404 means a wrong
            // address.
            Err(Error::NotFound) => return Err(unreadable("HTTP 404 for the list of users")),
            Err(Error::Forbidden { said }) => return Err(Error::Denied { said }),
            answer => answer?,
        };
        let page = page_in(&answer)?;
        Ok(page
            .results
            .iter()
            .filter_map(|user| reader.account(user))
            .map(Account::into_owned)
            .collect())
    }

    async fn look_up(
        &self,
        mapping: &Mapping,
        key: Key<'_>,
    ) -> Result<Vec<Account<'static>>, Error> {
        let (Key::Id(text) | Key::Mark(text) | Key::Email(text)) = key;
        let refuse = |said: &str| Err(Error::Rejected { field: None, said: said.to_owned() });
        if text.trim().is_empty() {
            return refuse("an account cannot be looked up by an empty key");
        }
        match key {
            Key::Id(id) => Ok(Vec::from_iter(self.by_id(mapping, id).await?)),
            Key::Mark(_) => refuse("JumpCloud has no search for custom attributes"),
            Key::Email(email) => {
                let lower = email.to_lowercase();
                let mut found = Vec::new();
                // The first address is in the form in which it is most likely kept. If no user has
                // it, the second one is as written in Bob.
                for address in [&*lower, email].into_iter().take(if lower == email { 1 } else { 2 })
                {
                    found = self.by_member(mapping, "email", address).await?;
                    found.retain(|account| {
                        account
                            .email
                            .as_deref()
                            .is_some_and(|have| equal(Compare::IgnoringCase, have, email))
                    });
                    if !found.is_empty() {
                        break;
                    }
                }
                Ok(found)
            }
        }
    }

    async fn make(
        &self,
        mapping: &Mapping,
        write: &AccountWrite,
        initial: &Initial<'_>,
    ) -> Result<Written, Error> {
        let mut members = body(mapping, write, true)?;
        let access = write.access.unwrap_or(Access::Active);
        let staged = access == Access::Active
            && initial.password.is_none()
            && self.service.dialect().tenant.stages;
        members.insert("state".to_owned(), json!(if staged { "STAGED" } else { state(access) }));
        if let Some(password) = initial.password {
            members.insert("password".to_owned(), json!(password.expose()));
        }
        let password = initial
            .password
            .map_or(Password::Absent, |password| Password::Default(password.expose()));
        // This asks JumpCloud to say why a password is refused (JumpCloud API v1, `User_Create`).
        let query: &[(&str, &str)] =
            if initial.password.is_none() { &[] } else { &[("fullValidationDetails", "password")] };
        let wanted = if staged { AccountState::Staged } else { state_of(access) };
        let name = free_username(mapping, write);
        let mut number = 1;
        let written = loop {
            let call = Call {
                route: Route::CREATE,
                urgency: Urgency::Normal,
                method: Method::POST,
                path: USERS,
                query,
                body: encoded(&members),
                sent: Sent::Create(mapping, write, password),
            };
            match self.write(&call, mapping, (None, Some(wanted)), write).await {
                Err(Error::Duplicate { field: Some(field) })
                    if field == "username" && number < MOST_NUMBERS =>
                {
                    let Some(name) = name else {
                        return Err(Error::Duplicate { field: Some(field) });
                    };
                    number += 1;
                    members.insert("username".to_owned(), json!(format!("{name}.{number}")));
                }
                outcome => break outcome?,
            }
        };
        self.finish_new(&written.account.id, initial)
            .await
            .map_err(|error| Error::Unknown { said: error.to_string() })?;
        Ok(written)
    }

    /// Expires the password of a new account if its owner has to choose another one. There is no
    /// field for it.
    async fn finish_new(&self, id: &str, initial: &Initial<'_>) -> Result<(), Error> {
        if !initial.change_at_first_login || initial.password.is_none() {
            return Ok(());
        }
        let path = format!("{}/expire", path_of(id).ok_or(Error::NotFound)?);
        let until = Instant::now() + PERSISTENCE;
        let mut pause = Duration::from_millis(250);
        loop {
            let (route, urgency, method, sent) =
                (EXPIRE, Urgency::Urgent, Method::POST, Sent::Nothing);
            let call = Call { route, urgency, method, path: &path, query: &[], body: None, sent };
            match self.service.call(&call).await {
                Ok(_) => return Ok(()),
                // Expiring twice has the same effect as once.
                Err(
                    Error::Throttled { .. } | Error::Unavailable { .. } | Error::Unknown { .. },
                ) if Instant::now() + pause < until => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn change(
        &self,
        mapping: &Mapping,
        id: &str,
        write: &AccountWrite,
        urgency: Urgency,
    ) -> Result<Written, Error> {
        let path = path_of(id).ok_or(Error::NotFound)?;
        // Entries of others are sent along, so they have to be known.
        let with_arrays = if write.foreign.is_none() && touches_arrays(mapping, write) {
            let now = self.by_id(mapping, id).await?.ok_or(Error::NotFound)?;
            Some(AccountWrite {
                foreign: now.foreign.map(|foreign| foreign.as_ref().into()),
                ..write.clone()
            })
        } else {
            None
        };
        let write = with_arrays.as_ref().unwrap_or(write);
        let body = encoded(&body(mapping, write, false)?);
        let (route, method, sent) = (Route::UPDATE, Method::PUT, Sent::Write(mapping, write));
        let call = Call { route, urgency, method, path: &path, query: &[], body, sent };
        self.write(&call, mapping, (Some(id), write.access.map(state_of)), write).await
    }

    async fn write(
        &self,
        call: &Call<'_>,
        mapping: &Mapping,
        expected: (Option<&str>, Option<AccountState>),
        write: &AccountWrite,
    ) -> Result<Written, Error> {
        let answer = match self.service.call(call).await {
            // The text is "User already exists or Bad Request". Only a search tells which, and
            // which value another account has.
            Err(Error::Duplicate { field: None }) => {
                return Err(Error::Duplicate {
                    field: self.in_the_way(mapping, expected.0, call).await?,
                });
            }
            Err(Error::Rejected { field: None, said }) => {
                return Err(match self.in_the_way(mapping, expected.0, call).await? {
                    None => Error::Rejected { field: None, said },
                    field => Error::Duplicate { field },
                });
            }
            answer => answer?,
        };
        let account = confirmed(mapping, write, expected, &answer)
            .map_err(|said| Error::Unknown { said: said.to_owned() })?;
        Ok(Written { account, request_id: None, left: None })
    }

    /// Returns which of the values that have to be unique another account has.
    async fn in_the_way(
        &self,
        mapping: &Mapping,
        own: Option<&str>,
        call: &Call<'_>,
    ) -> Result<Option<String>, Error> {
        let sent: Map<String, Value> = call
            .body
            .as_deref()
            .and_then(|body| serde_json::from_slice(body).ok())
            .unwrap_or_default();
        for name in UNIQUE {
            let Some(text) = sent.get(name).and_then(Value::as_str) else { continue };
            let found = if name == "email" {
                self.look_up(mapping, Key::Email(text)).await?
            } else {
                self.by_member(mapping, name, text).await?
            };
            if found.iter().any(|account| own.is_none_or(|own| *account.id != *own)) {
                return Ok(Some(name.to_owned()));
            }
        }
        Ok(None)
    }
}

fn encoded(members: &Map<String, Value>) -> Option<Vec<u8>> {
    serde_json::to_vec(members).ok()
}

const fn state_of(access: Access) -> AccountState {
    match access {
        Access::Active => AccountState::Active,
        Access::Suspended => AccountState::Suspended,
    }
}

/// Returns the username of a new account, if another one may be chosen in its place.
fn free_username<'w>(mapping: &Mapping, write: &'w AccountWrite) -> Option<&'w str> {
    let row = &mapping.rows[mapping.username];
    let free = row.compare == Compare::Numbered && row.on_create_only;
    write.attributes.iter().filter(|_| free).find_map(|(row, value)| match value {
        NewValue::Set(text) if *row == mapping.username => Some(&**text),
        _ => None,
    })
}

/// Returns the address of one user. Ids are 24 hexadecimal digits. A text that could be another
/// address is not an id.
fn path_of(id: &str) -> Option<String> {
    let plain = (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    plain.then(|| format!("{USERS}/{id}"))
}

/// Returns an id as a number that no other user has. It is short, because a listing keeps many ids.
fn number_of(id: &str) -> u128 {
    if id.len() == 24
        && let Ok(number) = u128::from_str_radix(id, 16)
    {
        return number;
    }
    Sha256::digest(id).iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// Returns the body, if it is an object: the deserializer accepts a list as one too.
fn object(answer: &Answer) -> Option<&[u8]> {
    Some(&answer.body[..]).filter(|body| body.trim_ascii_start().first() == Some(&b'{'))
}

fn page_in(answer: &Answer) -> Result<Page<'_>, Error> {
    let page: Option<Page<'_>> = object(answer).and_then(|body| serde_json::from_slice(body).ok());
    page.ok_or_else(|| unreadable("the answer is not a list of users"))
}

/// Returns the user of an answer. An error with a status of success is not a user.
fn user_in(answer: &Answer) -> Option<User<'_>> {
    let user: Option<User<'_>> = object(answer).and_then(|body| serde_json::from_slice(body).ok());
    user.filter(|user| user.message.is_none())
}

/// Returns the account as the answer shows it. What the answer lacks is filled from what was sent.
/// `expected` is its id and its state, if they are known before.
///
/// # Errors
/// Why the answer confirms nothing.
fn confirmed(
    mapping: &Mapping,
    write: &AccountWrite,
    (id, state): (Option<&str>, Option<AccountState>),
    answer: &Answer,
) -> Result<Account<'static>, &'static str> {
    let user = user_in(answer).ok_or("the answer is not a user")?;
    let mut account =
        Reader::new(mapping).account(&user).ok_or("the answer names no account")?.into_owned();
    if id.is_some_and(|id| *account.id != *id) {
        return Err("the answer names another account");
    }
    match state {
        Some(state) if !user.tells_state() => account.state = state,
        Some(state) if state != account.state => {
            return Err("the answered state is not the one that was asked for");
        }
        _ => {}
    }
    for (row, value) in &write.attributes {
        if let (NewValue::Set(text), Some(slot @ None)) = (value, account.attributes.get_mut(*row))
        {
            *slot = Some(String::from(&**text).into());
        }
    }
    let sent = |row: usize| account.attributes.get(row).cloned().flatten();
    let (email, username) = (sent(mapping.email), sent(mapping.username));
    account.email = account.email.or(email);
    account.username = account.username.or(username);
    account.mark =
        account.mark.or_else(|| write.mark.as_deref().map(|mark| mark.to_owned().into()));
    Ok(account)
}

impl Provider for JumpCloud {
    /// The id of the organization. The right to list users is enough to learn it.
    fn tenant(&self, ask: bool) -> BoxFuture<'_, Option<String>> {
        Box::pin(async move {
            let named = &*self.service.dialect().tenant.organization;
            if named.is_empty() && ask && self.organization.get().is_none() {
                self.ask_whose().await;
            }
            let id = if named.is_empty() {
                self.organization.get().map(|id| &**id)
            } else {
                Some(named)
            };
            id.map(|id| format!("jumpcloud organization {id}"))
        })
    }

    fn list<'a>(
        &'a self,
        mapping: &'a Mapping,
        sink: &'a mut (dyn FnMut(Account<'_>) + Send),
    ) -> BoxFuture<'a, Result<Listing, Error>> {
        Box::pin(async move {
            let mut ours = |account: Account<'_>| sink(self.ours(account));
            self.list_all(mapping, &mut ours).await
        })
    }

    fn find<'a>(
        &'a self,
        mapping: &'a Mapping,
        key: Key<'a>,
    ) -> BoxFuture<'a, Result<Vec<Account<'static>>, Error>> {
        Box::pin(async move {
            Ok(self
                .look_up(mapping, key)
                .await?
                .into_iter()
                .map(|account| self.ours(account))
                .collect())
        })
    }

    fn create<'a>(
        &'a self,
        mapping: &'a Mapping,
        write: &'a AccountWrite,
        initial: &'a Initial<'a>,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        Box::pin(self.make(mapping, write, initial))
    }

    fn update<'a>(
        &'a self,
        mapping: &'a Mapping,
        id: &'a str,
        write: &'a AccountWrite,
        urgency: Urgency,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        Box::pin(self.change(mapping, id, write, urgency))
    }

    fn finish<'a>(
        &'a self,
        id: &'a str,
        initial: &'a Initial<'a>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.finish_new(id, initial))
    }

    fn capabilities(&self) -> &'static Capabilities {
        &CATALOG.capabilities
    }
}
