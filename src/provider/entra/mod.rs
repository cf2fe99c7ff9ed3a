//! Microsoft Entra ID, through Microsoft Graph, version 1.0.
//!
//! [`catalog`] is known without a connection; `dialect` makes calls; `mark` is where Bob's id is;
//! `read`, `write` and `told` are the wire; `whose` asks what a write has to know; `batch` sends
//! waiting writes together; `errors` turns refusals into what to do. This file has the calls.

pub mod catalog;

mod batch;
mod dialect;
mod errors;
mod mark;
mod paths;
mod read;
mod told;
mod whose;
mod write;

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use parking_lot::Mutex;
use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

pub use catalog::{CATALOG, pacer};
pub use dialect::{App, Cloud, Tenant};
pub use mark::Mark;

use self::{
    batch::Lane,
    dialect::EntraDialect,
    errors::{EXTENSION, MANAGER, SESSIONS, sensitive, speaks_of_lag},
    paths::{encoded, is_id, short, user_path, with_top},
    read::{Page, Reader, User},
    told::{made, told, without},
    write::{Parts, Reference, apart, complete, parts},
};
use super::{
    Capabilities, Error, Initial, Key, Left, Listing, Provider, Written,
    answers::{Password, Route, Sent, request_id, unreadable},
    call::{Call, Service, Ties},
    limits::Pacer,
    listing::Lister,
    passwords,
    remembered::undefined_in,
};
use crate::{
    domain::{
        account::{Access, Account, AccountWrite},
        mapping::{Compare, Mapping, equal},
        priority::Urgency,
    },
    http::client::Answer,
};

/// The largest pages, without and with managers (Microsoft Graph, "List users", known issue 13635).
const PAGE: usize = 999;
const PAGE_WITH_MANAGERS: usize = catalog::CATALOG.capabilities.page;

/// How long it is remembered whether a directory extension is defined.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The pauses between tries to finish a new user, which not all of the directory knows yet.
const LAG: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// How long after its creation a refusal may mean that not all of the directory knows a user yet.
const YOUNG: Duration = Duration::from_secs(120);

/// One Entra ID tenant, through one app registration.
pub struct Entra {
    tenant: Arc<Tenant>,
    graph: Service<EntraDialect>,
    lane: Lane,
    /// Whether a directory extension is defined, as the last answer said, and when.
    extensions: Mutex<HashMap<String, (Instant, bool)>>,
    /// Users that were made lately, and when.
    young: Mutex<HashMap<String, Instant>>,
}

impl Entra {
    /// Prepares the connection and calls nothing yet. All callers of this tenant share the pacer.
    ///
    /// # Errors
    /// The TLS settings of this machine cannot be used.
    pub fn new(tenant: Tenant, app: App, ties: Ties, pacer: Arc<Pacer>) -> Result<Self, Error> {
        let tenant = Arc::new(tenant);
        let graph = Service::new(EntraDialect::new(Arc::clone(&tenant), app), ties, pacer)?;
        Ok(Self {
            tenant,
            graph,
            lane: Lane::default(),
            extensions: Mutex::default(),
            young: Mutex::default(),
        })
    }

    fn path(&self, below: &str) -> String {
        self.graph.dialect().path(below)
    }

    /// Returns a reader that leaves out directory extensions that are known to be missing.
    fn reader<'m>(&'m self, mapping: &'m Mapping) -> Reader<'m> {
        let mut reader = Reader::new(mapping, &self.tenant.mark);
        let missing: Vec<usize> = reader
            .extensions()
            .filter(|(_, name)| self.is_missing(name))
            .filter_map(|(row, _)| row)
            .collect();
        reader.leave_out(&missing);
        reader
    }

    async fn get(&self, route: Route, path: &str, sent: Sent<'_>) -> Result<Answer, Error> {
        self.graph.call(&Call::get(route, path, &[], sent)).await
    }

    async fn list_all(
        &self,
        mapping: &Mapping,
        sink: &mut (dyn FnMut(Account<'_>) + Send),
    ) -> Result<Listing, Error> {
        let all = Reader::new(mapping, &self.tenant.mark);
        let mut reader = Reader::new(mapping, &self.tenant.mark);
        let mut unavailable = self.undefined(&all).await?;
        reader.leave_out(&unavailable);
        let mut lister = Lister::new(if reader.has_manager() { PAGE_WITH_MANAGERS } else { PAGE });
        let mut path = self.path(&format!("/users?{}&$top={}", reader.query(), lister.size()));
        loop {
            lister.goes_to(&path)?;
            let answer = match lister
                .page(async |size| {
                    self.get(Route::LIST, &with_top(&path, size), Sent::Nothing).await
                })
                .await
            {
                Err(Error::Rejected { field: Some(name), said }) => {
                    // The list lacks an extension that the probe saw. Each row is left out once.
                    self.remember(&name, false);
                    let missing = self.undefined(&all).await?;
                    if missing.len() == unavailable.len() {
                        return Err(unreadable(&said));
                    }
                    unavailable = missing;
                    reader.leave_out(&unavailable);
                    path = self.path(&format!("/users?{}&$top={}", reader.query(), lister.size()));
                    continue;
                }
                answer => answer?,
            };
            let page = page_in(&answer)?;
            for user in &page.value {
                let account = reader
                    .account(user)
                    .ok_or_else(|| unreadable("the listing holds a user without an id"))?;
                if lister.is_new(short(&account.id)) {
                    sink(account);
                }
            }
            let Some(link) = page.next_link.filter(|link| !link.is_empty()) else {
                return Ok(Listing {
                    accounts: lister.accounts(),
                    whole: !lister.repeats(),
                    unavailable,
                });
            };
            let next = self.graph.dialect().same_origin(&link);
            path = next.ok_or_else(|| unreadable("the next page of the listing is said to be at another address, which is not called"))?;
        }
    }

    /// Returns the rows of directory extensions that the tenant lacks. Asks for each once in a
    /// while, by a filter, because a list silently leaves out what does not exist.
    async fn undefined(&self, reader: &Reader<'_>) -> Result<Vec<usize>, Error> {
        let mut missing = Vec::new();
        for (row, name) in reader.extensions() {
            let remembered = self.extensions.lock().get(name).copied();
            let defined = match remembered.filter(|(at, _)| at.elapsed() < REMEMBERED) {
                Some((_, defined)) => defined,
                None => {
                    let filter = encoded(&format!("{name} eq '-'"));
                    let path = self.path(&format!("/users?$filter={filter}&$select=id&$top=1"));
                    let defined = match self.get(EXTENSION, &path, Sent::Nothing).await {
                        Err(Error::NotFound) => false,
                        // If the service cannot tell, a write will.
                        Ok(_) | Err(Error::Unavailable { .. }) => true,
                        Err(error) => return Err(error),
                    };
                    self.remember(name, defined);
                    defined
                }
            };
            match (defined, row) {
                (true, _) => {}
                (false, Some(row)) => missing.push(row),
                (false, None) => {
                    let said = "markAttribute names a directory extension that this tenant does not have: define it, with a service principal of its app";
                    return Err(Error::Denied { said: said.to_owned() });
                }
            }
        }
        Ok(missing)
    }

    /// Remembers whether a directory extension is defined.
    fn remember(&self, name: &str, defined: bool) {
        self.extensions.lock().insert(name.to_owned(), (Instant::now(), defined));
    }

    /// Returns whether a directory extension is remembered as missing.
    fn is_missing(&self, name: &str) -> bool {
        let extensions = self.extensions.lock();
        extensions.get(name).is_some_and(|(at, defined)| !defined && at.elapsed() < REMEMBERED)
    }

    /// Refuses a write of an attribute that is known to be missing, before it is sent.
    fn check_defined(&self, mapping: &Mapping, write: &AccountWrite) -> Result<(), Error> {
        undefined_in(mapping, write, |target| self.is_missing(target))
    }

    /// Asks again about a directory extension that a refusal has named.
    async fn doubt(&self, mapping: &Mapping, error: &Error) {
        let Error::Rejected { field: Some(name), .. } = error else { return };
        if !name.starts_with("extension_") {
            return;
        }
        self.extensions.lock().remove(name);
        if let Err(error) = self.undefined(&Reader::new(mapping, &self.tenant.mark)).await {
            tracing::debug!(
                category = error.category(),
                "whether a directory extension is defined could not be asked"
            );
        }
    }

    /// Reads one user by id or name. Unlike a search, it shows writes as soon as a copy has them.
    async fn by_key(
        &self,
        mapping: &Mapping,
        key: &str,
    ) -> Result<Option<Account<'static>>, Error> {
        // A key of only dots would be another address.
        if key.bytes().all(|b| b == b'.') {
            return Ok(None);
        }
        let reader = self.reader(mapping);
        let path = self.path(&format!("{}?{}", user_path(key), reader.query()));
        match self.get(Route::FIND, &path, Sent::Key(key)).await {
            Ok(answer) => {
                let user =
                    user_in(&answer).ok_or_else(|| unreadable("the answer is not a user"))?;
                Ok(Some(
                    reader
                        .account(&user)
                        .ok_or_else(|| unreadable("the answer is not a user"))?
                        .into_owned(),
                ))
            }
            Err(Error::NotFound) => Ok(None),
            // The refusal is about this account only.
            Err(Error::Denied { said }) => Err(Error::Forbidden { said }),
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
        let mark = match key {
            Key::Id(id) if !is_id(id) => return Ok(Vec::new()),
            Key::Id(id) => {
                let found = self.by_key(mapping, id).await?;
                return Ok(found
                    .into_iter()
                    .filter(|account| account.id.eq_ignore_ascii_case(id))
                    .collect());
            }
            Key::Email(name) => {
                let same = |account: &Account<'_>| {
                    account
                        .email
                        .as_deref()
                        .is_some_and(|have| equal(Compare::IgnoringCase, have, name))
                };
                return Ok(self
                    .by_key(mapping, name.trim())
                    .await?
                    .into_iter()
                    .filter(same)
                    .collect());
            }
            Key::Mark(mark) => mark,
        };
        let Some(value) = self.tenant.mark.encode(mark) else { return Ok(Vec::new()) };
        let reader = self.reader(mapping);
        // In a text, a quote is written twice (OData 4.01, URL conventions, 5.1.1.6.2).
        let filter = encoded(&format!(
            "{} eq '{}'",
            self.tenant.mark.attribute(),
            value.replace('\'', "''")
        ));
        let path = self.path(&format!("/users?$filter={filter}&{}", reader.query()));
        let answer = match self.get(Route::FIND, &path, Sent::Key(mark)).await {
            Err(Error::NotFound) => return Err(unreadable("HTTP 404 for the list of users")),
            answer => answer?,
        };
        let page = page_in(&answer)?;
        let found =
            page.value.iter().filter_map(|user| reader.account(user)).map(Account::into_owned);
        Ok(found.filter(|account| account.mark.as_deref() == Some(mark)).collect())
    }

    async fn make(
        &self,
        mapping: &Mapping,
        write: &AccountWrite,
        initial: &Initial<'_>,
    ) -> Result<Written, Error> {
        self.check_defined(mapping, write)?;
        let Parts { mut members, later, manager, .. } = parts(&self.tenant, mapping, write, true)?;
        let generated;
        let (password, kind) = match initial.password {
            Some(password) => (password, Password::Default(password.expose())),
            None => {
                generated = passwords::generate()
                    .map_err(|said| Error::Unavailable { said: said.to_owned() })?;
                (&generated, Password::Generated(generated.expose()))
            }
        };
        complete(&self.tenant, &mut members, password.expose(), initial.change_at_first_login)?;
        let (path, sent) = (self.path("/users"), Sent::Create(mapping, write, kind));
        let (urgency, method) = (Urgency::Normal, Method::POST);
        let answer =
            match self.write(Route::CREATE, urgency, method, &path, Some(members), sent).await {
                Err(error) => return Err(self.whose_address(mapping, write, error).await),
                Ok(answer) => answer,
            };
        let mut account = made(mapping, write, &answer)
            .map_err(|said| Error::Unknown { said: said.to_owned() })?;
        self.made_now(&account.id);
        let sent = Sent::Write(mapping, write);
        if !later.is_empty()
            && !self.soon(|| self.patch(&account.id, later.clone(), Urgency::Normal, sent)).await
        {
            account = without(mapping, account, |target| target.starts_with(catalog::NUMBERED));
        }
        if let Some(manager) = manager
            && !self.soon(|| self.set_manager(&account.id, manager, Urgency::Normal, sent)).await
        {
            account = without(mapping, account, |target| target == "manager");
        }
        Ok(Written { account, request_id: request_id(&answer, "request-id"), left: None })
    }

    fn made_now(&self, id: &str) {
        let mut young = self.young.lock();
        young.retain(|_, made| made.elapsed() < YOUNG);
        young.insert(id.to_owned(), Instant::now());
    }

    fn is_young(&self, id: &str) -> bool {
        self.young.lock().get(id).is_some_and(|made| made.elapsed() < YOUNG)
    }

    /// Finishes a new account, and returns whether it succeeded. The next pass sees what it lacks.
    async fn soon<F: Future<Output = Result<Option<Answer>, Error>>>(
        &self,
        call: impl Fn() -> F,
    ) -> bool {
        for pause in LAG.into_iter().map(Some).chain([None]) {
            match (call().await, pause) {
                (Ok(_), _) => return true,
                (
                    Err(
                        Error::NotFound
                        | Error::Unavailable { .. }
                        | Error::Unknown { .. }
                        | Error::Throttled { .. },
                    ),
                    Some(pause),
                ) => {
                    tokio::time::sleep(pause).await;
                }
                (Err(error), _) => {
                    tracing::debug!(
                        category = error.category(),
                        "what belongs to a new account could not be written yet"
                    );
                    return false;
                }
            }
        }
        false
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
        self.check_defined(mapping, write)?;
        let completed = self.completed(mapping, id, write).await?;
        let write = completed.as_ref().unwrap_or(write);
        let Parts { members, manager, ends, .. } = parts(&self.tenant, mapping, write, false)?;
        let sent = Sent::Write(mapping, write);
        let (mut last, mut left, mut refused, mut unset_manager) = (None, None, None, false);
        if !members.is_empty() {
            match self.patch(id, members.clone(), urgency, sent).await {
                Ok(answer) => last = answer,
                // The engine takes access in a write of its own, so there is no harmless part.
                Err(Error::Forbidden { said }) if write.access != Some(Access::Suspended) => {
                    let (error, kept) =
                        self.harmless_part(id, &members, urgency, sent, said).await?;
                    let is_kept = |row: &usize| {
                        mapping.rows.get(*row).is_some_and(|row| kept.contains_key(&*row.target))
                    };
                    let rows =
                        write.attributes.iter().map(|(row, _)| *row).filter(is_kept).collect();
                    match write.access {
                        None => left = Some(Left { error, rows, sessions: false }),
                        Some(_) => refused = Some(error),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if ends {
            match self.end_sessions(id, urgency).await {
                Ok(()) => {}
                Err(error @ Error::Forbidden { .. }) => {
                    left = Some(Left { error, rows: Vec::new(), sessions: true })
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(manager) = manager {
            match self.set_manager(id, manager, urgency, sent).await {
                Ok(answer) => last = answer.or(last),
                Err(error @ (Error::Forbidden { .. } | Error::Rejected { .. }))
                    if !members.is_empty() =>
                {
                    let left = left.get_or_insert_with(|| Left {
                        error,
                        rows: Vec::new(),
                        sessions: false,
                    });
                    left.rows.extend(mapping.manager);
                }
                // Not all of the directory knows the manager yet. All other attributes are written.
                Err(Error::NotFound) => unset_manager = true,
                Err(error) => return Err(error),
            }
        }
        match refused {
            Some(error) => Err(error),
            None => Ok(Written {
                account: match told(mapping, write, id.to_owned()) {
                    account if unset_manager => {
                        without(mapping, account, |target| target == "manager")
                    }
                    account => account,
                },
                request_id: last.as_ref().and_then(|answer| request_id(answer, "request-id")),
                left,
            }),
        }
    }

    /// Writes what remains without the sensitive attributes, which only a high role may write on an
    /// administrator. Returns the error that names the sensitive ones, and these.
    ///
    /// # Errors
    /// There is no other part, or it is refused too.
    async fn harmless_part(
        &self,
        id: &str,
        members: &Map<String, Value>,
        urgency: Urgency,
        sent: Sent<'_>,
        said: String,
    ) -> Result<(Error, Map<String, Value>), Error> {
        let (kept, harmless) = apart(members);
        if kept.is_empty() || harmless.is_empty() {
            return Err(Error::Forbidden { said });
        }
        match self.patch(id, harmless, urgency, sent).await {
            Ok(_) => {
                let names: Vec<&str> = kept.keys().map(String::as_str).collect();
                Ok((
                    Error::Forbidden {
                        said: format!("{} of an administrator: {said}", sensitive(&names)),
                    },
                    kept,
                ))
            }
            Err(Error::Forbidden { .. }) => Err(Error::Forbidden { said }),
            Err(error) => Err(error),
        }
    }

    async fn patch(
        &self,
        id: &str,
        members: Map<String, Value>,
        urgency: Urgency,
        sent: Sent<'_>,
    ) -> Result<Option<Answer>, Error> {
        let path = self.path(&user_path(id));
        let answer = match self
            .write(Route::UPDATE, urgency, Method::PATCH, &path, Some(members), sent)
            .await
        {
            // Nothing was applied, and a later try will succeed.
            Err(Error::Rejected { field: None, said })
                if speaks_of_lag(&said) && self.is_young(id) =>
            {
                return Err(Error::Unavailable {
                    said: format!(
                        "the directory does not know this new user everywhere yet: {said}"
                    ),
                });
            }
            answer => answer?,
        };
        confirmed(id, &answer).map_err(|said| Error::Unknown { said: said.to_owned() })?;
        Ok(Some(answer))
    }

    /// Sets the manager by a reference, or removes the manager, if there is one.
    async fn set_manager(
        &self,
        id: &str,
        manager: Reference<'_>,
        urgency: Urgency,
        sent: Sent<'_>,
    ) -> Result<Option<Answer>, Error> {
        let path = self.path(&format!("{}/manager/$ref", user_path(id)));
        let (method, body) = match manager {
            Reference::To(manager) => {
                let target = format!("{}/v1.0{}", self.tenant.cloud.graph, user_path(manager));
                (Method::PUT, json!({"@odata.id": target}).as_object().cloned())
            }
            Reference::Gone => (Method::DELETE, None),
        };
        match self.write(MANAGER, urgency, method, &path, body, sent).await {
            Ok(answer) => Ok(Some(answer)),
            Err(Error::NotFound) if manager == Reference::Gone => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends the sessions of a user who lost access. If it fails, the whole change is repeated.
    async fn end_sessions(&self, id: &str, urgency: Urgency) -> Result<(), Error> {
        let path = self.path(&format!("{}/revokeSignInSessions", user_path(id)));
        match self.write(SESSIONS, urgency, Method::POST, &path, None, Sent::Nothing).await {
            Ok(_) => Ok(()),
            Err(Error::Forbidden { said }) => {
                let what = "access is taken, and open sessions cannot be ended without the application permission User.RevokeSessions.All";
                Err(Error::Forbidden { said: format!("{what}: {said}") })
            }
            // Ending sessions twice does no harm.
            Err(Error::Unknown { said }) => Err(Error::Unavailable { said }),
            Err(error) => Err(error),
        }
    }

    async fn write(
        &self,
        route: Route,
        urgency: Urgency,
        method: Method,
        path: &str,
        members: Option<Map<String, Value>>,
        sent: Sent<'_>,
    ) -> Result<Answer, Error> {
        let body = members.map(|members| Value::Object(members).to_string().into_bytes());
        let call = Call { route, urgency, method, path, query: &[], body, sent };
        match urgency {
            // An urgent write goes alone.
            Urgency::Urgent => self.graph.call(&call).await,
            Urgency::Normal => self.lane.send(&self.graph, &call).await,
        }
    }
}

/// Returns the body, if it is an object: the deserializer accepts a list as one too.
fn object(answer: &Answer) -> Option<&[u8]> {
    Some(&answer.body[..]).filter(|body| body.trim_ascii_start().first() == Some(&b'{'))
}

fn page_in(answer: &Answer) -> Result<Page<'_>, Error> {
    let page: Option<Page<'_>> = object(answer).and_then(|body| serde_json::from_slice(body).ok());
    page.filter(|page| page.error.is_none())
        .ok_or_else(|| unreadable("the answer is not a list of users"))
}

fn user_in(answer: &Answer) -> Option<User<'_>> {
    serde_json::from_slice(object(answer)?).ok().filter(|user: &User<'_>| !user.is_error())
}

/// Returns whether the answer to a change confirms it: it is empty, or it is the user.
fn confirmed(id: &str, answer: &Answer) -> Result<(), &'static str> {
    if answer.body.is_empty() {
        return Ok(());
    }
    let user = user_in(answer).ok_or("the answer is not a user")?;
    match user.text("id") {
        Some(answered) if !answered.eq_ignore_ascii_case(id) => {
            Err("the answer names another account")
        }
        _ => Ok(()),
    }
}

impl Provider for Entra {
    fn tenant(&self, ask: bool) -> BoxFuture<'_, Option<String>> {
        Box::pin(async move { Some(format!("entra directory {}", self.graph.tenant(ask).await?)) })
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
        Box::pin(async move {
            let outcome = self.make(mapping, write, initial).await;
            if let Err(error) = &outcome {
                self.doubt(mapping, error).await;
            }
            outcome
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
            let outcome = self.change(mapping, id, write, urgency).await;
            if let Err(error) = &outcome {
                self.doubt(mapping, error).await;
            }
            outcome
        })
    }

    fn capabilities(&self) -> &'static Capabilities {
        &CATALOG.capabilities
    }
}
