//! Google Workspace, through the Directory API of the Admin SDK, version 1.
//!
//! [`catalog`] is known without a connection; `dialect` says how calls are made; `read`, `write`
//! and `schemas` are the wire; `errors` turns refusals into what to do about them. This file has
//! the calls.

pub mod catalog;

mod dialect;
mod errors;
mod read;
mod schemas;
mod write;

use std::sync::{Arc, OnceLock};

use futures::future::BoxFuture;
use reqwest::Method;
use serde_json::{Map, Value, json};

pub use catalog::{CATALOG, pacer};
pub use dialect::{API, ServiceAccount, TOKENS, Tenant};

use self::{
    catalog::{Target, locate},
    dialect::GoogleDialect,
    read::{Page, Reader, User},
    schemas::Schemas,
    write::{body, touches_arrays},
};
use super::{
    Capabilities, Error, Initial, Key, Listing, Provider, Written,
    answers::{Password, Purpose, Route, Sent, request_id, unreadable},
    call::{Call, Service, Ties},
    limits::Pacer,
    listing::Lister,
    passwords,
    remembered::{Remembered, undefined_in},
};
use crate::{
    domain::{
        account::{Access, Account, AccountState, AccountWrite, NewValue},
        mapping::{Compare, Mapping, equal},
        priority::Urgency,
    },
    http::{client::Answer, secret::Secret},
};

const USERS: &str = "/admin/directory/v1/users";

/// Asks which custom schemas there are.
const DEFINITIONS: Route = Route::new("schemas", Purpose::Definitions);

/// The largest page (Directory API, `users.list`).
const PAGE: usize = CATALOG.capabilities.page;

/// What Google calls the account of the caller.
const OWN: &str = "my_customer";

/// The most users that a search by a mark may find.
const FEW: &str = "500";

/// The most users of a listing without their flags that are read one by one. Such users were just
/// made.
const MOST_READ_AGAIN: usize = 20;

/// One Google Workspace account, through one service account that acts for one administrator.
pub struct Google {
    tenant: Arc<Tenant>,
    users: Service<GoogleDialect>,
    /// A service with its own token, so that the right to read schemas is asked for only if a row
    /// needs it.
    definitions: Service<GoogleDialect>,
    schemas: Remembered<Schemas>,
    /// The id of the account, once a user has told it.
    customer: OnceLock<Box<str>>,
}

impl Google {
    /// Prepares the connection and calls nothing yet. All callers of this tenant share the pacer.
    ///
    /// # Errors
    /// The TLS settings of this machine cannot be used.
    pub fn new(
        tenant: Tenant,
        account: ServiceAccount,
        ties: &Ties,
        pacer: &Arc<Pacer>,
    ) -> Result<Self, Error> {
        let (tenant, account) = (Arc::new(tenant), Arc::new(account));
        let service = |scope| {
            let dialect = GoogleDialect::new(Arc::clone(&tenant), Arc::clone(&account), scope);
            Service::new(dialect, ties.clone(), Arc::clone(pacer))
        };
        let (users, definitions) = (service(dialect::USERS)?, service(dialect::SCHEMAS)?);
        Ok(Self {
            tenant,
            users,
            definitions,
            schemas: Remembered::default(),
            customer: OnceLock::new(),
        })
    }

    async fn get(
        &self,
        route: Route,
        path: &str,
        query: &[(&str, &str)],
        sent: Sent<'_>,
    ) -> Result<Answer, Error> {
        self.users.call(&Call::get(route, path, query, sent)).await
    }

    async fn list_all(
        &self,
        mapping: &Mapping,
        sink: &mut (dyn FnMut(Account<'_>) + Send),
    ) -> Result<Listing, Error> {
        let reader = Reader::new(mapping);
        let schemas = self.schemas_for(&reader).await?;
        let (fields, mask) =
            (format!("nextPageToken,users({})", reader.fields()), reader.schemas().join(","));
        let mut lister = Lister::<u128>::new(PAGE);
        let (mut read_again, mut token) = (0, None::<String>);
        loop {
            let answer = lister
                .page(async |size| {
                    let size = size.to_string();
                    let mut query = vec![
                        ("customer", &*self.tenant.customer),
                        ("maxResults", &*size),
                        ("fields", &*fields),
                    ];
                    query.extend(projection(&mask));
                    query.extend(token.as_deref().map(|token| ("pageToken", token)));
                    self.get(Route::LIST, USERS, &query, Sent::Nothing).await
                })
                .await?;
            let page = page_in(&answer)?;
            self.belongs_to(&page.users);
            for user in &page.users {
                let account = reader
                    .account(user)
                    .ok_or_else(|| unreadable("the listing holds a user without an id"))?;
                // Ids have 21 digits.
                let id = account
                    .id
                    .parse()
                    .map_err(|_| unreadable("the listing holds a user whose id is no number"))?;
                if !lister.is_new(id) {
                    continue;
                }
                if !user.is_whole() && read_again < MOST_READ_AGAIN {
                    read_again += 1;
                    // A read that fails does not make the page fail: the user is taken as the
                    // listing shows it, and its gaps are no evidence.
                    if let Ok(Some(whole)) = self.by_key(mapping, &reader, &account.id).await
                        && whole.id == account.id
                    {
                        sink(whole);
                        continue;
                    }
                }
                sink(account);
            }
            let next = page
                .next_page_token
                .map(std::borrow::Cow::into_owned)
                .filter(|token| !token.is_empty());
            let Some(next) = next else {
                let missing = reader
                    .custom()
                    .filter(|(_, schema, field)| !schemas.has(schema, field))
                    .map(|(row, ..)| row);
                return Ok(Listing {
                    accounts: lister.accounts(),
                    whole: !lister.repeats(),
                    unavailable: missing.collect(),
                });
            };
            lister.goes_to(&next)?;
            token = Some(next);
        }
    }

    /// Remembers which account these users belong to.
    fn belongs_to(&self, users: &[User<'_>]) {
        if let Some(id) =
            users.iter().find_map(|user| user.customer_id.as_deref()).filter(|id| !id.is_empty())
        {
            self.customer.get_or_init(|| id.into());
        }
    }

    /// Asks for any one user, because users say which account they belong to.
    async fn ask_whose(&self) {
        let query = [
            ("customer", &*self.tenant.customer),
            ("maxResults", "1"),
            ("fields", "users(customerId)"),
        ];
        let Ok(answer) = self.get(Route::LIST, USERS, &query, Sent::Nothing).await else { return };
        if let Ok(page) = page_in(&answer) {
            self.belongs_to(&page.users);
        }
    }

    /// Returns the custom schemas, if rows need them.
    async fn schemas_for(&self, reader: &Reader<'_>) -> Result<Schemas, Error> {
        if reader.schemas().is_empty() {
            return Ok(Schemas::default());
        }
        if let Some(schemas) = self.schemas.get() {
            return Ok(schemas);
        }
        let path = format!("/admin/directory/v1/customer/{}/schemas", self.tenant.customer);
        let answer =
            self.definitions.call(&Call::get(DEFINITIONS, &path, &[], Sent::Nothing)).await?;
        let schemas = Schemas::read(&answer.body)
            .ok_or_else(|| unreadable("the answer is not a list of custom schemas"))?;
        self.schemas.set(schemas.clone());
        Ok(schemas)
    }

    /// Returns the custom schemas, if a write needs them.
    async fn schemas_written(
        &self,
        mapping: &Mapping,
        write: &AccountWrite,
    ) -> Result<Schemas, Error> {
        let reader = Reader::new(mapping);
        let needed = reader
            .custom()
            .any(|(row, ..)| write.attributes.iter().any(|(written, _)| *written == row));
        if !needed {
            return Ok(Schemas::default());
        }
        let schemas = self.schemas_for(&reader).await?;
        undefined_in(
            mapping,
            write,
            |target| matches!(locate(target), Some(Target::Custom(schema, field)) if !schemas.has(schema, field)),
        )?;
        Ok(schemas)
    }

    /// Reads one user by id, e-mail or alias. Unlike a search, it shows what was written.
    async fn by_key(
        &self,
        mapping: &Mapping,
        reader: &Reader<'_>,
        key: &str,
    ) -> Result<Option<Account<'static>>, Error> {
        // A key of only dots would be another address.
        if key.bytes().all(|b| b == b'.') {
            return Ok(None);
        }
        let (path, mask) = (path_of(key), reader.schemas().join(","));
        let query: Vec<_> = projection(&mask).collect();
        match self.get(Route::FIND, &path, &query, Sent::Key(key)).await {
            Ok(answer) => Ok(Some(
                account_in(mapping, &answer)
                    .ok_or_else(|| unreadable("the answer is not a user"))?,
            )),
            Err(Error::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn look_up(
        &self,
        mapping: &Mapping,
        key: Key<'_>,
    ) -> Result<Vec<Account<'static>>, Error> {
        let (Key::Id(text) | Key::Mark(text) | Key::Email(text)) = key;
        if text.trim().is_empty() {
            return Err(Error::Rejected {
                field: None,
                said: "an account cannot be looked up by an empty key".to_owned(),
            });
        }
        let reader = Reader::new(mapping);
        let Key::Mark(mark) = key else {
            if matches!(key, Key::Id(id) if !is_id(id)) {
                return Ok(Vec::new());
            }
            let found = match self.by_key(mapping, &reader, text).await {
                // An address out of reach shows no account. If the id is known, the refusal stays
                // an error, because the account may still be there.
                Err(Error::Forbidden { .. }) if matches!(key, Key::Email(_)) => None,
                found => found?,
            };
            let mut found = Vec::from_iter(found);
            // An alias gives the account of another user.
            found.retain(|account| match key {
                Key::Email(_) => account
                    .email
                    .as_deref()
                    .is_some_and(|email| equal(Compare::IgnoringCase, email, text)),
                _ => *account.id == *text,
            });
            return Ok(found);
        };
        let (search, mask) = (format!("externalId={}", quoted(mark)), reader.schemas().join(","));
        let mut query =
            vec![("customer", &*self.tenant.customer), ("query", &*search), ("maxResults", FEW)];
        query.extend(projection(&mask));
        let answer = match self.get(Route::FIND, USERS, &query, Sent::Key(mark)).await {
            Err(Error::NotFound) => return Err(unreadable("HTTP 404 for the list of users")),
            Err(Error::Forbidden { said }) => return Err(Error::Denied { said }),
            answer => answer?,
        };
        let page = page_in(&answer)?;
        let found =
            page.users.iter().filter_map(|user| reader.account(user)).map(Account::into_owned);
        Ok(found.filter(|account| account.mark.as_deref() == Some(mark)).collect())
    }

    async fn make(
        &self,
        mapping: &Mapping,
        write: &AccountWrite,
        initial: &Initial<'_>,
    ) -> Result<Written, Error> {
        let schemas = self.schemas_written(mapping, write).await?;
        let mut members = body(mapping, write, &schemas, true)?;
        let generated;
        let (password, kind) = match initial.password {
            Some(password) => (password, Password::Default(password.expose())),
            None => {
                generated = passwords::generate()
                    .map_err(|said| Error::Unavailable { said: said.to_owned() })?;
                (&generated, Password::Generated(generated.expose()))
            }
        };
        members.insert("password".to_owned(), json!(password.expose()));
        if is_crypt(password) {
            members.insert("hashFunction".to_owned(), json!("crypt"));
        }
        members
            .insert("changePasswordAtNextLogin".to_owned(), json!(initial.change_at_first_login));
        members.entry("orgUnitPath").or_insert_with(|| json!(self.tenant.org_unit));
        let sent = Sent::Create(mapping, write, kind);
        self.write(
            Route::CREATE,
            Urgency::Normal,
            Method::POST,
            USERS,
            members,
            sent,
            (mapping, write, None),
        )
        .await
    }

    async fn change(
        &self,
        mapping: &Mapping,
        id: &str,
        write: &AccountWrite,
        urgency: Urgency,
    ) -> Result<Written, Error> {
        if !is_id(id) {
            return Err(Error::NotFound);
        }
        let schemas = self.schemas_written(mapping, write).await?;
        // Entries of others are sent along, so they have to be known.
        let with_arrays = if write.foreign.is_none() && touches_arrays(mapping, write, &schemas) {
            let now =
                self.by_key(mapping, &Reader::new(mapping), id).await?.ok_or(Error::NotFound)?;
            Some(AccountWrite {
                foreign: now.foreign.map(|foreign| foreign.as_ref().into()),
                ..write.clone()
            })
        } else {
            None
        };
        let write = with_arrays.as_ref().unwrap_or(write);
        let renames = write.attributes.iter().any(|(row, _)| *row == mapping.email);
        if let (true, Some(access)) = (renames, write.access) {
            // A rename and a suspension in one call end in errors, and the suspension has to come
            // last.
            let rest = AccountWrite { access: None, ..write.clone() };
            self.put(mapping, id, &rest, &schemas, urgency).await?;
            let access = AccountWrite { access: Some(access), ..AccountWrite::default() };
            return self.put(mapping, id, &access, &schemas, urgency).await;
        }
        self.put(mapping, id, write, &schemas, urgency).await
    }

    async fn put(
        &self,
        mapping: &Mapping,
        id: &str,
        write: &AccountWrite,
        schemas: &Schemas,
        urgency: Urgency,
    ) -> Result<Written, Error> {
        let members = body(mapping, write, schemas, false)?;
        let sent = Sent::Write(mapping, write);
        self.write(
            Route::UPDATE,
            urgency,
            Method::PUT,
            &path_of(id),
            members,
            sent,
            (mapping, write, Some(id)),
        )
        .await
    }

    #[expect(clippy::too_many_arguments, reason = "everything that one write is")]
    async fn write(
        &self,
        route: Route,
        urgency: Urgency,
        method: Method,
        path: &str,
        members: Map<String, Value>,
        sent: Sent<'_>,
        (mapping, write, id): (&Mapping, &AccountWrite, Option<&str>),
    ) -> Result<Written, Error> {
        let body = Some(Value::Object(members).to_string().into_bytes());
        let answer =
            self.users.call(&Call { route, urgency, method, path, query: &[], body, sent }).await;
        if let Err(Error::Rejected { field: Some(field), .. }) = &answer
            && matches!(locate(field), Some(Target::Custom(..)))
        {
            // The field may be gone since the schemas were asked for.
            self.schemas.forget();
        }
        let answer = answer?;
        let account = confirmed(mapping, write, id, &answer)
            .map_err(|said| Error::Unknown { said: said.to_owned() })?;
        Ok(Written { account, request_id: request_id(&answer, "x-request-id"), left: None })
    }
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Returns the query pairs that make Google show custom fields.
fn projection(mask: &str) -> impl Iterator<Item = (&str, &str)> {
    (!mask.is_empty())
        .then_some([("projection", "custom"), ("customFieldMask", mask)])
        .into_iter()
        .flatten()
}

/// Returns the address of one user. A key is one segment of it.
fn path_of(key: &str) -> String {
    let mut path = format!("{USERS}/");
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            path.push(char::from(byte));
        } else {
            let hex = |nibble: u8| {
                char::from_digit(nibble.into(), 16).unwrap_or('0').to_ascii_uppercase()
            };
            path.extend(['%', hex(byte >> 4), hex(byte & 15)]);
        }
    }
    path
}

/// Returns a value in a search (developers.google.com, "Search for users"). It is quoted unless it
/// is one plain word.
fn quoted(text: &str) -> String {
    if text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Returns whether a password is a hash that Google takes in place of one: crypt's MD5, SHA-256 or
/// SHA-512 form.
fn is_crypt(password: &Secret) -> bool {
    let parts: Vec<&str> = password.expose().split('$').collect();
    let plain = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'/')
    };
    let length = |kind: &str| match kind {
        "1" => 22,
        "5" => 43,
        _ => 86,
    };
    match parts[..] {
        ["", kind @ ("1" | "5" | "6"), salt, hash] => {
            plain(salt) && plain(hash) && hash.len() == length(kind)
        }
        ["", kind @ ("5" | "6"), rounds, salt, hash] => {
            rounds.strip_prefix("rounds=").is_some_and(|n| n.parse::<u32>().is_ok())
                && plain(salt)
                && plain(hash)
                && hash.len() == length(kind)
        }
        _ => false,
    }
}

/// Returns the body, if it is an object: the deserializer accepts a list as one too.
fn object(answer: &Answer) -> Option<&[u8]> {
    Some(&answer.body[..]).filter(|body| body.trim_ascii_start().first() == Some(&b'{'))
}

/// Returns the page of an answer. A list with no users has no `users` member, so an error with a
/// status of success looks like one and has to be found.
fn page_in(answer: &Answer) -> Result<Page<'_>, Error> {
    let page: Option<Page<'_>> = object(answer).and_then(|body| serde_json::from_slice(body).ok());
    page.filter(|page| page.error.is_none())
        .ok_or_else(|| unreadable("the answer is not a list of users"))
}

fn account_in(mapping: &Mapping, answer: &Answer) -> Option<Account<'static>> {
    let user: User<'_> = serde_json::from_slice(object(answer)?).ok()?;
    Reader::new(mapping).account(&user).map(Account::into_owned)
}

/// Returns the account as the answer shows it. What the answer lacks is filled from what was sent.
///
/// # Errors
/// Why the answer confirms nothing.
fn confirmed(
    mapping: &Mapping,
    write: &AccountWrite,
    id: Option<&str>,
    answer: &Answer,
) -> Result<Account<'static>, &'static str> {
    let user: Option<User<'_>> = object(answer).and_then(|body| serde_json::from_slice(body).ok());
    let user = user.ok_or("the answer is not a user")?;
    let mut account =
        Reader::new(mapping).account(&user).ok_or("the answer names no account")?.into_owned();
    if id.is_some_and(|id| *account.id != *id) {
        return Err("the answer names another account");
    }
    let wanted = write.access.map(|access| match access {
        Access::Active => AccountState::Active,
        Access::Suspended => AccountState::Suspended,
    });
    match (wanted, user.suspended) {
        (Some(wanted), Some(suspended)) if (wanted == AccountState::Suspended) != suspended => {
            return Err("the answered state is not the one that was asked for");
        }
        (Some(wanted), None) => account.state = wanted,
        _ => {}
    }
    for (row, value) in &write.attributes {
        if let (NewValue::Set(text), Some(slot @ None)) = (value, account.attributes.get_mut(*row))
        {
            *slot = Some(String::from(&**text).into());
        }
    }
    let email = account.attributes.get(mapping.email).cloned().flatten();
    account.email = account.email.or_else(|| email.clone());
    account.username = account.username.or(email);
    account.mark =
        account.mark.or_else(|| write.mark.as_deref().map(|mark| mark.to_owned().into()));
    Ok(account)
}

impl Provider for Google {
    /// The id of the account. The right to list users is enough to learn it.
    fn tenant(&self, ask: bool) -> BoxFuture<'_, Option<String>> {
        Box::pin(async move {
            let own = self.tenant.customer == OWN;
            if own && ask && self.customer.get().is_none() {
                self.ask_whose().await;
            }
            let id = if own {
                self.customer.get().map(|id| &**id)
            } else {
                Some(&*self.tenant.customer)
            };
            id.map(|id| format!("google customer {id}"))
        })
    }

    fn list<'a>(
        &'a self,
        mapping: &'a Mapping,
        sink: &'a mut (dyn FnMut(Account<'_>) + Send),
    ) -> BoxFuture<'a, Result<Listing, Error>> {
        Box::pin(self.list_all(mapping, sink))
    }

    fn find<'a>(
        &'a self,
        mapping: &'a Mapping,
        key: Key<'a>,
    ) -> BoxFuture<'a, Result<Vec<Account<'static>>, Error>> {
        Box::pin(self.look_up(mapping, key))
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

    fn capabilities(&self) -> &'static Capabilities {
        &CATALOG.capabilities
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_segment_and_a_search_value_one_word() {
        assert_eq!(
            path_of("noa+1/x@example.com"),
            "/admin/directory/v1/users/noa%2B1%2Fx@example.com"
        );
        assert_eq!(path_of("../../é"), "/admin/directory/v1/users/..%2F..%2F%C3%A9");
        assert_eq!(
            (quoted("333"), quoted("a 'b' \\")),
            ("333".to_owned(), "'a \\'b\\' \\\\'".to_owned())
        );
    }

    #[test]
    fn only_what_is_surely_a_hash_is_sent_as_one() {
        let (md5, sha) = ("a".repeat(22), "b".repeat(86));
        for (text, hash) in [
            (format!("$1$salt${md5}"), true),
            (format!("$6$salt${sha}"), true),
            (format!("$6$rounds=5000$salt${sha}"), true),
            (format!("$6$salt${md5}"), false),
            ("$6$Correct-Horse".to_owned(), false),
            ("$1$a$b".to_owned(), false),
            ("Correct-Horse-7".to_owned(), false),
        ] {
            assert_eq!(is_crypt(&Secret::new(&*text)), hash, "{text}");
        }
    }
}
