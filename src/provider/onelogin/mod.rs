//! `OneLogin`, through the users API of developers.onelogin.com, version 2.
//!
//! [`catalog`] is known without a connection; `dialect` says how calls are made; `read` and `write`
//! are the wire; `errors` turns refusals into what to do about them. This file has the calls.

pub mod catalog;

mod dialect;
mod errors;
mod pages;
mod read;
mod write;

use std::{collections::HashSet, sync::Arc};

use futures::future::BoxFuture;
use reqwest::Method;
use serde::Deserialize;

pub use catalog::{CATALOG, base_for, pacer};
pub use dialect::{Config, Tenant};

use self::{
    catalog::CUSTOM,
    dialect::OneLoginDialect,
    pages::Pages,
    read::Reader,
    write::{body, confirmed},
};
use super::{
    Capabilities, Error, Initial, Key, Left, Listing, Provider, Written,
    answers::{Purpose, Route, Sent, request_id},
    call::{Call, Service},
    limits::Pacer,
    listing::{Lister, unreadable},
    remembered::{Remembered, undefined_in},
};
use crate::domain::{
    account::{Access, Account, AccountState, AccountWrite},
    mapping::{Compare, Mapping, equal},
    priority::Urgency,
};

const USERS: &str = "/api/2/users";

/// Ends the sessions of a user.
const LOGOUT: Route = Route::new("sessions", Purpose::Update);

/// Asks which custom attributes are defined.
const DEFINITIONS: Route = Route::new("custom_attributes", Purpose::Definitions);

/// One `OneLogin` account (tenant), through one API credential.
pub struct OneLogin {
    service: Service<OneLoginDialect>,
    definitions: Remembered<HashSet<Box<str>>>,
    /// Whether a directory that is named with a user is the user's master.
    mastered: bool,
}

impl OneLogin {
    /// Prepares the connection and calls nothing yet. All callers of this tenant share the pacer.
    ///
    /// # Errors
    /// The TLS settings of this machine cannot be used.
    pub fn new(config: Config, pacer: Arc<Pacer>) -> Result<Self, reqwest::Error> {
        let mastered = config.mastered;
        let (dialect, ties) = config.split();
        Ok(Self {
            mastered,
            service: Service::new(dialect, ties, pacer)?,
            definitions: Remembered::default(),
        })
    }

    /// Returns the account. The settings decide whether a directory that is named with it is its
    /// master.
    fn ours<'a>(&self, account: Account<'a>) -> Account<'a> {
        Account { elsewhere: account.elsewhere && self.mastered, ..account }
    }

    async fn get(
        &self,
        route: Route,
        path: &str,
        query: &[(&str, &str)],
        sent: Sent<'_>,
    ) -> Result<crate::http::client::Answer, Error> {
        self.service.call(&Call::get(route, path, query, sent)).await
    }

    async fn list_all(
        &self,
        mapping: &Mapping,
        sink: &mut (dyn FnMut(Account<'_>) + Send),
    ) -> Result<Listing, Error> {
        let mut reader = Reader::new(mapping);
        let fields = reader.fields();
        let mut lister = Lister::<u64>::new(CATALOG.capabilities.page);
        let mut pages = Pages::new(lister.size());
        loop {
            let answer = lister
                .page(async |size| {
                    let (limit, page) = (size.to_string(), pages.next(size).to_string());
                    let query = [("limit", &*limit), ("page", &*page), ("fields", &*fields)];
                    self.get(Route::LIST, USERS, &query, Sent::Nothing).await
                })
                .await?;
            pages.are_of(lister.size());
            let (mut rows, mut fresh, mut nameless) = (0, 0, false);
            reader
                .page(&answer.body, &mut |user| {
                    rows += 1;
                    let Some(account) = user.account() else {
                        nameless = true;
                        return;
                    };
                    match account.id.parse() {
                        Ok(id) if lister.is_new(id) => {
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
            if !pages.more(&answer, rows, fresh)? {
                return Ok(Listing {
                    accounts: lister.accounts(),
                    whole: pages.whole(lister.accounts().into()),
                    unavailable: self.unavailable(&reader, lister.accounts() == 0).await?,
                });
            }
        }
    }

    /// Returns the rows of custom attributes that are not defined.
    async fn unavailable(&self, reader: &Reader<'_>, empty: bool) -> Result<Vec<usize>, Error> {
        if !empty || reader.custom().is_empty() {
            if !reader.custom().is_empty() {
                // The users show what is defined, so an earlier answer may be out of date.
                self.definitions.forget();
            }
            return Ok(reader
                .custom()
                .iter()
                .map(|(_, row)| *row)
                .filter(|&row| !reader.defined[row])
                .collect());
        }
        let defined = self.defined().await?;
        Ok(reader
            .custom()
            .iter()
            .filter(|(shortname, _)| !defined.contains(*shortname))
            .map(|(_, row)| *row)
            .collect())
    }

    /// Returns the shortnames of the tenant's custom attributes. The set is empty if its
    /// subscription does not have custom attributes.
    async fn defined(&self) -> Result<HashSet<Box<str>>, Error> {
        if let Some(defined) = self.definitions.get() {
            return Ok(defined);
        }
        let defined: HashSet<_> =
            match self.get(DEFINITIONS, "/api/2/users/custom_attributes", &[], Sent::Nothing).await
            {
                Ok(answer) => shortnames(&answer.body)
                    .ok_or_else(|| unreadable("the answer is not a list of custom attributes"))?,
                // The listing was granted with the same token, so the route is what is missing.
                Err(Error::Unauthorized { .. } | Error::Denied { .. }) => HashSet::new(),
                Err(error) => return Err(error),
            };
        self.definitions.set(defined.clone());
        Ok(defined)
    }

    /// Asks which custom attributes there are now, and remembers the answer. Without an answer,
    /// nothing is remembered.
    async fn ask_again(&self) {
        let answer =
            self.get(DEFINITIONS, "/api/2/users/custom_attributes", &[], Sent::Nothing).await;
        if let Some(defined) = answer.ok().and_then(|answer| shortnames(&answer.body)) {
            self.definitions.set(defined);
        }
    }

    async fn look_up(
        &self,
        mapping: &Mapping,
        key: Key<'_>,
    ) -> Result<Vec<Account<'static>>, Error> {
        let (Key::Id(text) | Key::Mark(text) | Key::Email(text)) = key;
        // A filter with an empty value is no filter: the whole tenant would be the answer.
        if text.trim().is_empty() {
            return Err(Error::Rejected {
                field: None,
                said: "an account cannot be looked up by an empty key".to_owned(),
            });
        }
        let mut reader = Reader::new(mapping);
        if let Key::Id(id) = key {
            let Some(path) = path_of(id) else { return Ok(Vec::new()) };
            return match self.get(Route::FIND, &path, &[], Sent::Nothing).await {
                Ok(answer) => {
                    let account = reader
                        .user(&answer.body)
                        .map_err(unreadable)?
                        .account()
                        .map(Account::into_owned);
                    let account = account
                        .filter(|account| *account.id == *id)
                        .ok_or_else(|| unreadable("the answer names another account"))?;
                    Ok(vec![account])
                }
                Err(Error::NotFound) => Ok(Vec::new()),
                // The refusal is about this account only.
                Err(Error::Denied { said }) => Err(Error::Forbidden { said }),
                Err(error) => Err(error),
            };
        }
        let fields = reader.fields();
        let filter = if matches!(key, Key::Mark(_)) { "external_id" } else { "email" };
        let answer = match self
            .get(Route::FIND, USERS, &[(filter, text), ("fields", &fields)], Sent::Key(text))
            .await
        {
            // A filter that finds nothing is answered with an empty list. A 404 means a wrong
            // address.
            Err(Error::NotFound) => return Err(unreadable("HTTP 404 for the list of users")),
            answer => answer?,
        };
        let mut found = Vec::new();
        reader
            .page(&answer.body, &mut |user| found.extend(user.account().map(Account::into_owned)))
            .map_err(unreadable)?;
        // An asterisk in a value is a wildcard.
        found.retain(|account| match key {
            Key::Email(_) => account
                .email
                .as_deref()
                .is_some_and(|email| equal(Compare::IgnoringCase, email, text)),
            _ => account.mark.as_deref().is_some_and(|mark| equal(Compare::Exact, mark, text)),
        });
        Ok(found)
    }

    /// Ends the sessions of a user who just lost access (developers.onelogin.com, "Log User Out").
    /// If the call fails, the whole change fails and is made again. If it is refused, access is
    /// still taken.
    async fn end_sessions(&self, id: &str, urgency: Urgency) -> Result<(), Error> {
        let path = format!("/api/1/users/{id}/logout");
        let call = Call {
            route: LOGOUT,
            urgency,
            method: Method::PUT,
            path: &path,
            query: &[],
            body: Some(b"{}".to_vec()),
            sent: Sent::Nothing,
        };
        let needs = "access is taken, and open sessions cannot be ended: the API credential needs the scope \"Manage users\" for logout";
        match self.service.call(&call).await {
            Ok(_) => Ok(()),
            // A refusal of this call says nothing about the account.
            Err(
                Error::Forbidden { said } | Error::Denied { said } | Error::Rejected { said, .. },
            ) => Err(Error::Forbidden { said: format!("{needs}; OneLogin said: {said}") }),
            Err(Error::NotFound) => {
                Err(Error::Forbidden { said: format!("{needs}; OneLogin said: HTTP 404") })
            }
            // Ending sessions twice does no harm.
            Err(Error::Unknown { said }) => Err(Error::Unavailable { said }),
            Err(error) => Err(error),
        }
    }

    async fn write(
        &self,
        call: Call<'_>,
        mapping: &Mapping,
        id: Option<&str>,
        write: &AccountWrite,
    ) -> Result<Written, Error> {
        undefined_in(mapping, write, |target| {
            let shortname = target.strip_prefix(CUSTOM);
            shortname.is_some_and(|name| {
                self.definitions.get().is_some_and(|defined| !defined.contains(name))
            })
        })?;
        let answer = self.service.call(&call).await;
        if let Err(Error::Rejected { field: Some(field), .. }) = &answer
            && field.starts_with(CUSTOM)
        {
            // The attribute may be gone since the last listing.
            self.definitions.forget();
            self.ask_again().await;
        }
        let answer = answer?;
        let account = confirmed(mapping, write, id, &answer.body)
            .map_err(|said| Error::Unknown { said: said.to_owned() })?;
        Ok(Written { account, request_id: request_id(&answer, "x-request-id"), left: None })
    }
}

/// One of the tenant's custom attributes (developers.onelogin.com, "List Custom Attributes").
#[derive(Deserialize)]
struct Definition {
    shortname: Box<str>,
}

fn shortnames(body: &[u8]) -> Option<HashSet<Box<str>>> {
    let list: Vec<Definition> = serde_json::from_slice(body).ok()?;
    Some(list.into_iter().map(|definition| definition.shortname).collect())
}

/// Returns the address of one account. Ids are numbers.
fn path_of(id: &str) -> Option<String> {
    (!id.is_empty() && id.bytes().all(|b| b.is_ascii_digit())).then(|| format!("{USERS}/{id}"))
}

impl Provider for OneLogin {
    /// Returns the number of the account, which is the same under every address.
    fn tenant(&self, ask: bool) -> BoxFuture<'_, Option<String>> {
        Box::pin(
            async move { Some(format!("onelogin account {}", self.service.tenant(ask).await?)) },
        )
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
        _: &'a Initial<'a>,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        Box::pin(async move {
            let body = Some(body(mapping, write, true)?);
            let (route, urgency, method) = (Route::CREATE, Urgency::Normal, Method::POST);
            let call = Call {
                route,
                urgency,
                method,
                path: USERS,
                query: &[],
                body,
                sent: Sent::Write(mapping, write),
            };
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
            let written = self.write(call, mapping, Some(id), write).await?;
            match write.access {
                Some(Access::Suspended) => match self.end_sessions(id, urgency).await {
                    Ok(()) => Ok(written),
                    Err(error @ Error::Forbidden { .. }) => Ok(Written {
                        left: Some(Left { error, rows: Vec::new(), sessions: true }),
                        ..written
                    }),
                    Err(error) => Err(error),
                },
                Some(Access::Active) | None => Ok(written),
            }
        })
    }

    /// Reads the users by the filter `user_ids` (developers.onelogin.com, "List Users").
    fn unlicensed<'a>(
        &'a self,
        mapping: &'a Mapping,
        ids: &'a [&'a str],
    ) -> BoxFuture<'a, Result<Vec<Box<str>>, Error>> {
        Box::pin(async move {
            let (all, limit) = (ids.join(","), ids.len().to_string());
            let query = [("user_ids", &*all), ("fields", "id,status,state"), ("limit", &*limit)];
            let answer = self.get(Route::FIND, USERS, &query, Sent::Nothing).await?;
            let mut unlicensed = Vec::new();
            Reader::new(mapping)
                .page(&answer.body, &mut |user| {
                    let lacks =
                        user.account().filter(|account| account.state == AccountState::Unlicensed);
                    unlicensed.extend(lacks.map(|account| account.id.into()));
                })
                .map_err(unreadable)?;
            Ok(unlicensed)
        })
    }

    fn capabilities(&self) -> &'static Capabilities {
        &CATALOG.capabilities
    }
}
