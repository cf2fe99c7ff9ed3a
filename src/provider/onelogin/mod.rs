//! `OneLogin`, through the users API of developers.onelogin.com, version 2.
//!
//! [`catalog`] is what is known without a connection; `dialect` is how it is spoken to; `read` and `write` are the wire;
//! `errors` turns refusals into what to do about them. This file says which calls there are.

pub mod catalog;

mod dialect;
mod errors;
mod pages;
mod read;
mod write;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use reqwest::Method;
use serde::Deserialize;
use tokio::time::Instant;

pub use catalog::{CATALOG, base_for, pacer};
pub use dialect::{Config, Tenant};

use self::{
    dialect::OneLoginDialect,
    pages::Pages,
    read::Reader,
    write::{body, confirmed},
};
use super::{
    Capabilities, Error, Initial, Key, Listing, Provider, Urgency, Written,
    answers::{Purpose, Route, Sent, request_id},
    call::{Call, Service},
    limits::Pacer,
};
use crate::domain::{
    account::{Account, AccountWrite},
    mapping::{Compare, Mapping, equal},
};

const USERS: &str = "/api/2/users";

/// The largest page (developers.onelogin.com, "List Users"; a server may give less).
const PAGE: u64 = 100;

/// Asks which custom attributes are defined.
const DEFINITIONS: Route = Route::new("custom_attributes", Purpose::Definitions);

/// No tenant has this many pages; a listing that reaches it goes in circles.
const MOST_PAGES: u64 = 20_000;

/// Pauses before a later page of the listing is asked for again.
const PAUSES: [Duration; 3] = [Duration::from_millis(250), Duration::from_millis(750), Duration::from_secs(2)];

/// How long the defined custom attributes of an empty tenant are remembered.
const REMEMBERED: Duration = Duration::from_secs(600);

/// One `OneLogin` account (tenant), through one API credential.
pub struct OneLogin {
    service: Service<OneLoginDialect>,
    definitions: Mutex<Option<(Instant, HashSet<Box<str>>)>>,
}

impl OneLogin {
    /// Prepares the connection; nothing is called yet. The pacer is shared by all who call this tenant.
    ///
    /// # Errors
    /// The TLS settings of this machine cannot be used.
    pub fn new(config: Config, pacer: Arc<Pacer>) -> Result<Self, reqwest::Error> {
        let (dialect, ties) = config.split();
        Ok(Self { service: Service::new(dialect, ties, pacer)?, definitions: Mutex::default() })
    }

    async fn get(&self, route: Route, path: &str, query: &[(&str, &str)], sent: Sent<'_>) -> Result<super::http::Answer, Error> {
        self.service.call(&Call::get(route, path, query, sent)).await
    }

    async fn list_all(&self, mapping: &Mapping, sink: &mut (dyn FnMut(Account<'_>) + Send)) -> Result<Listing, Error> {
        let unreadable = |said: &str| Error::Unavailable { said: said.to_owned() };
        let mut reader = Reader::new(mapping);
        let fields = reader.fields();
        let mut ids: foldhash::HashSet<u64> = foldhash::HashSet::default();
        let mut pages = Pages::new(PAGE);
        for page in 1..=MOST_PAGES {
            let query = [("limit", &*PAGE.to_string()), ("page", &*page.to_string()), ("fields", &*fields)];
            let answer = self.page(&query, page > 1).await?;
            let (mut rows, mut fresh, mut nameless) = (0, 0, false);
            reader
                .page(&answer.body, &mut |user| {
                    rows += 1;
                    let Some(account) = user.account() else {
                        nameless = true;
                        return;
                    };
                    match account.id.parse() {
                        Ok(id) if ids.insert(id) => {
                            fresh += 1;
                            sink(account);
                        }
                        Ok(_) => {}
                        Err(_) => nameless = true,
                    }
                })
                .map_err(unreadable)?;
            if nameless {
                return Err(unreadable("the listing holds an account without an id"));
            }
            if !pages.more(&answer, rows, fresh).map_err(unreadable)? {
                return Ok(Listing {
                    accounts: u32::try_from(ids.len()).unwrap_or(u32::MAX),
                    whole: pages.whole(ids.len() as u64),
                    unavailable: self.unavailable(&reader, ids.is_empty()).await?,
                });
            }
        }
        Err(unreadable("the listing does not end"))
    }

    /// One page of the listing. A first page that fails is an outage, told at once. A later one is asked for again a few
    /// times: of a hundred pages one fails easily, and all the others would be read in vain.
    async fn page(&self, query: &[(&str, &str)], later: bool) -> Result<super::http::Answer, Error> {
        let mut pauses = PAUSES.iter().filter(|_| later);
        loop {
            let failed = match self.get(Route::LIST, USERS, query, Sent::Nothing).await {
                Err(error @ (Error::Unavailable { .. } | Error::Throttled { .. })) => error,
                outcome => return outcome,
            };
            let Some(pause) = pauses.next() else { return Err(failed) };
            tokio::time::sleep(*pause).await;
        }
    }

    /// The rows of custom attributes that are not defined.
    async fn unavailable(&self, reader: &Reader<'_>, empty: bool) -> Result<Vec<usize>, Error> {
        if !empty || reader.custom().is_empty() {
            return Ok(reader.custom().iter().map(|(_, row)| *row).filter(|&row| !reader.defined[row]).collect());
        }
        let defined = self.defined().await?;
        Ok(reader.custom().iter().filter(|(shortname, _)| !defined.contains(*shortname)).map(|(_, row)| *row).collect())
    }

    /// The shortnames of the tenant's custom attributes; none where its subscription has no such thing.
    async fn defined(&self) -> Result<HashSet<Box<str>>, Error> {
        let remembered = self.definitions.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, defined)) = remembered
            && at.elapsed() < REMEMBERED
        {
            return Ok(defined);
        }
        let defined: HashSet<_> = match self.get(DEFINITIONS, "/api/2/users/custom_attributes", &[], Sent::Nothing).await {
            Ok(answer) => {
                let list: Vec<Definition> = serde_json::from_slice(&answer.body)
                    .map_err(|_| Error::Unavailable { said: "the answer is not a list of custom attributes".to_owned() })?;
                list.into_iter().map(|definition| definition.shortname).collect()
            }
            // The listing was granted with this very token: the route is what is missing.
            Err(Error::Unauthorized { .. } | Error::Denied { .. }) => HashSet::new(),
            Err(error) => return Err(error),
        };
        *self.definitions.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), defined.clone()));
        Ok(defined)
    }

    async fn look_up(&self, mapping: &Mapping, key: Key<'_>) -> Result<Vec<Account<'static>>, Error> {
        let (Key::Id(text) | Key::Mark(text) | Key::Email(text)) = key;
        // A filter with an empty value is no filter: the whole tenant would be the answer.
        if text.trim().is_empty() {
            return Err(Error::Rejected { field: None, said: "an account cannot be looked up by an empty key".to_owned() });
        }
        let mut reader = Reader::new(mapping);
        let unreadable = |said: &str| Error::Unavailable { said: said.to_owned() };
        if let Key::Id(id) = key {
            let Some(path) = path_of(id) else { return Ok(Vec::new()) };
            return match self.get(Route::FIND, &path, &[], Sent::Nothing).await {
                Ok(answer) => {
                    let account = reader.user(&answer.body).map_err(unreadable)?.account().map(Account::into_owned);
                    let account =
                        account.filter(|account| *account.id == *id).ok_or_else(|| unreadable("the answer names another account"))?;
                    Ok(vec![account])
                }
                Err(Error::NotFound) => Ok(Vec::new()),
                Err(error) => Err(error),
            };
        }
        let fields = reader.fields();
        let filter = if matches!(key, Key::Mark(_)) { "external_id" } else { "email" };
        let answer = match self.get(Route::FIND, USERS, &[(filter, text), ("fields", &fields)], Sent::Key(text)).await {
            // A filter that finds nothing is answered with an empty list; this is the wrong address.
            Err(Error::NotFound) => return Err(unreadable("HTTP 404 for the list of users")),
            answer => answer?,
        };
        let mut found = Vec::new();
        reader.page(&answer.body, &mut |user| found.extend(user.account().map(Account::into_owned))).map_err(unreadable)?;
        // An asterisk in a value is a wildcard.
        found.retain(|account| match key {
            Key::Email(_) => account.email.as_deref().is_some_and(|email| equal(Compare::IgnoringCase, email, text)),
            _ => account.mark.as_deref().is_some_and(|mark| equal(Compare::Exact, mark, text)),
        });
        Ok(found)
    }

    async fn write(&self, call: Call<'_>, mapping: &Mapping, id: Option<&str>, write: &AccountWrite) -> Result<Written, Error> {
        let answer = self.service.call(&call).await?;
        let account = confirmed(mapping, write, id, &answer.body).map_err(|said| Error::Unknown { said: said.to_owned() })?;
        Ok(Written { account, request_id: request_id(&answer, "x-request-id"), left: None })
    }
}

/// One of the tenant's custom attributes (developers.onelogin.com, "List Custom Attributes").
#[derive(Deserialize)]
struct Definition {
    shortname: Box<str>,
}

/// The address of one account; ids are numbers.
fn path_of(id: &str) -> Option<String> {
    (!id.is_empty() && id.bytes().all(|b| b.is_ascii_digit())).then(|| format!("{USERS}/{id}"))
}

impl Provider for OneLogin {
    fn list<'a>(&'a self, mapping: &'a Mapping, sink: &'a mut (dyn FnMut(Account<'_>) + Send)) -> BoxFuture<'a, Result<Listing, Error>> {
        Box::pin(self.list_all(mapping, sink))
    }

    fn find<'a>(&'a self, mapping: &'a Mapping, key: Key<'a>) -> BoxFuture<'a, Result<Vec<Account<'static>>, Error>> {
        Box::pin(self.look_up(mapping, key))
    }

    fn create<'a>(&'a self, mapping: &'a Mapping, write: &'a AccountWrite, _: &'a Initial<'a>) -> BoxFuture<'a, Result<Written, Error>> {
        Box::pin(async move {
            let body = Some(body(mapping, write, true)?);
            let (route, urgency, method) = (Route::CREATE, Urgency::Normal, Method::POST);
            let call = Call { route, urgency, method, path: USERS, query: &[], body, sent: Sent::Write(mapping, write) };
            self.write(call, mapping, None, write).await
        })
    }

    fn update<'a>(
        &'a self,
        mapping: &'a Mapping,
        id: &'a str,
        write: &'a AccountWrite,
        urgency: Urgency,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        Box::pin(async move {
            let path = path_of(id).ok_or(Error::NotFound)?;
            let body = Some(body(mapping, write, false)?);
            let call = Call {
                route: Route::UPDATE,
                urgency,
                method: Method::PUT,
                path: &path,
                query: &[],
                body,
                sent: Sent::Write(mapping, write),
            };
            self.write(call, mapping, Some(id), write).await
        })
    }

    fn capabilities(&self) -> &'static Capabilities {
        &CATALOG.capabilities
    }
}
