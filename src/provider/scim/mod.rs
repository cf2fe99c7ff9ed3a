//! Any server that speaks SCIM 2.0 (RFC 7643, RFC 7644, RFC 9865).
//!
//! [`catalog`] is known without a connection; `dialect` says how calls are made; `discovery` is
//! what a server says about itself; `write` makes new users, PATCHes and PUTs; `ignored` finds what
//! a server did not change; `errors` turns refusals into what to do. This file has the calls.

pub mod catalog;

mod dialect;
mod discovery;
mod errors;
mod ignored;
mod write;

pub use catalog::{CATALOG, MarkPlace, pacer};
pub use dialect::{Tenant, UpdateMethod, Way};

use self::{
    catalog::TABLE,
    dialect::ScimDialect,
    discovery::{Discovery, Hints},
    errors::{CHANGED, EXPECTED, NO_SUCH_CALL, is_about_filters},
    ignored::Ignored,
    write::{Writing, path, version, version_of},
};
use crate::{
    domain::mapping::equal,
    provider::{prelude::*, reader::Page},
};

const USERS: &str = "/Users";

/// The most users that a search may find. All but one have another value than was asked for.
const FEW: &str = "10";

/// What a listing has read, and whether it is whole.
type ReadPages = (Lister<u128>, bool);

/// One SCIM server, through one credential.
pub struct ScimServer {
    service: Service<ScimDialect>,
    discovery: Discovery,
}

impl ScimServer {
    /// Prepares the connection and calls nothing yet. All callers of this tenant share the pacer.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the TLS settings of this machine cannot be used.
    pub fn new(to: Tenant, way: Way, hooks: Hooks, pacer: Arc<Pacer>) -> Result<Self, Error> {
        let service = Service::new(ScimDialect::new(to, way), hooks, pacer)?;
        Ok(Self { service, discovery: Discovery::default() })
    }

    fn tenant(&self) -> &Tenant {
        &self.service.dialect().tenant
    }

    fn reader<'m>(&self, mapping: &'m Mapping) -> UserReader<'m> {
        UserReader::marked(&TABLE, mapping, self.tenant().mark.place())
    }

    async fn hints(&self, mapping: &Mapping) -> Arc<Hints> {
        let missing = |hints: &Hints| !lacking(hints, mapping).is_empty();
        self.discovery.hints(&self.service, missing).await
    }

    /// Reads every page by index. An index is no snapshot: the totals tell whether users came or
    /// went in between (RFC 7644, 3.4.2.4).
    async fn by_index(&self, reader: &UserReader<'_>, sink: Sink<'_>) -> Result<ReadPages, Error> {
        let mut lister = Lister::new(CATALOG.capabilities.page);
        let mut pages = CountedPages::new(lister.size());
        loop {
            let start = (pages.rows() + 1).to_string();
            let asked = lister.page(async |size| {
                let query = [("startIndex", &*start), ("count", &*size.to_string())];
                self.service.get(Route::LIST, USERS, &query, Sent::Nothing).await
            });
            let answer = asked.await?;
            pages.are_of(lister.size());
            let page = page_of(reader, &answer)?;
            let rows = page.users.len() as u64;
            let fresh = lister.take(reader, &page, |id| Some(short(id)), sink)?;
            let total: Option<u64> = page.rest.read("totalResults");
            // Servers give fewer users than were asked for, and without a total only an empty page
            // is the end.
            let counts = PageCounts { total, follows: rows > 0, ..PageCounts::default() };
            if !pages.more(counts, rows, fresh)? {
                let whole = pages.whole(lister.accounts().into()) && !pages.repeats();
                return Ok((lister, whole));
            }
        }
    }

    /// Reads every page by cursor (RFC 9865). A cursor belongs to one size of pages, so smaller
    /// pages begin anew. Returns `None`, and no user, if the server takes no cursors any more.
    async fn by_cursor(
        &self,
        reader: &UserReader<'_>,
        sink: Sink<'_>,
    ) -> Result<Option<ReadPages>, Error> {
        let mut lister = Lister::new(CATALOG.capabilities.page);
        let (mut cursor, mut total, mut steady) = (String::new(), None, true);
        loop {
            let begun = lister.size();
            let asked = lister.page(async |size| {
                let cursor = if size == begun { &*cursor } else { "" };
                let query = [("cursor", cursor), ("count", &*size.to_string())];
                self.service.get(Route::LIST, USERS, &query, Sent::Nothing).await
            });
            let answer = asked.await?;
            let page = page_of(reader, &answer)?;
            let said: Option<u64> = page.rest.read("totalResults");
            let is_all = said.is_none_or(|total| total <= page.users.len() as u64);
            if cursor.is_empty() && page.rest.text("nextCursor").is_none() && !is_all {
                return Ok(None);
            }
            lister.take(reader, &page, |id| Some(short(id)), sink)?;
            steady &= said.is_none() || said == *total.get_or_insert(said);
            let Some(next) = page.rest.text("nextCursor") else {
                let all = total.flatten().is_none_or(|total| total == u64::from(lister.accounts()));
                return Ok(Some((lister, steady && all)));
            };
            lister.goes_to(&next)?;
            cursor = next.into_owned();
        }
    }

    /// Reads one user. The read shows what was written, unlike a search.
    async fn user(&self, id: &str) -> Result<Option<Answer>, Error> {
        let Some(path) = path_of(id) else { return Ok(None) };
        unless_gone(self.service.get(Route::FIND, &path, &[], Sent::Key(id)).await)
    }

    async fn by_id(&self, mapping: &Mapping, id: &str) -> Result<One, Error> {
        let Some(answer) = self.user(id).await? else { return Ok(None) };
        let account = self.reader(mapping).one(&answer)?;
        let other = || unreadable("the answer names another user");
        (*account.id == *id).then_some(Some(account)).ok_or_else(other)
    }

    /// Returns the users with this value in an attribute.
    ///
    /// # Errors
    /// [`Error::Rejected`] if the server has no such filter. [`Error::Unavailable`] if its answer
    /// does not say who has the value: some servers ignore filters and list all users.
    async fn search(
        &self,
        key: Key<'_>,
        filter: &str,
        value: &str,
        mapping: &Mapping,
    ) -> Result<FoundAccounts, Error> {
        let reader = self.reader(mapping);
        let query = [("filter", filter), ("count", FEW)];
        let answer = self.service.get(Route::FIND, USERS, &query, Sent::Key(value)).await;
        let answer = searched(answer)?;
        let page = page_of(&reader, &answer)?;
        let mut found = reader.found(&answer)?;
        let has_address = |account: &Account<'_>, address: &str| {
            let have = mapping.address.and_then(|row| account.attributes.get(row)?.as_deref());
            have.is_some_and(|have| equal(Compare::IgnoringCase, have, address))
        };
        match key {
            Key::MarkOrAddress(mark, address) => found.retain(|account| {
                account.mark.as_deref() == Some(mark) || has_address(account, address)
            }),
            key => keep_those_with(key, &mut found),
        }
        let total: Option<u64> = page.rest.read("totalResults");
        if found.is_empty() && (total.is_some_and(|total| total > 0) || !page.users.is_empty()) {
            return Err(unreadable(
                "the server answers a search with users that were not asked for, so it cannot say \
                 that a user does not exist",
            ));
        }
        Ok(found)
    }

    /// Returns the users with this login. Some servers compare it with its case, so a login that is
    /// not found is looked for in lower case too.
    async fn by_login(&self, mapping: &Mapping, login: &str) -> Result<FoundAccounts, Error> {
        let (login, lower, key) = (login.trim(), login.trim().to_lowercase(), Key::Email(login));
        let found = self.search(key, &is("userName", login), login, mapping).await?;
        if found.is_empty() && lower != login {
            return self.search(key, &is("userName", &lower), &lower, mapping).await;
        }
        Ok(found)
    }

    /// Returns whether changes go by PATCH.
    fn patches(&self, hints: &Hints) -> bool {
        match self.tenant().updates {
            UpdateMethod::Auto => {
                hints.patch.unwrap_or(true) && !self.service.dialect().is_patchless()
            }
            UpdateMethod::Patch => true,
            UpdateMethod::Put => false,
        }
    }

    async fn patch(
        &self,
        change: AccountChange<'_>,
        hints: &Hints,
        path: &str,
    ) -> Result<Written, Error> {
        let AccountChange { mapping, id, write, urgency } = change;
        let needs = needs_foreign(&TABLE, mapping, write);
        let mut write = with_foreign(write, needs, self.by_id(mapping, id)).await?;
        let mut again = true;
        loop {
            let form = Writing { mapping, mark: self.tenant().mark, hints };
            let body = form.patch(&write)?;
            let (version, sent) = (version(&write), Sent::Write(mapping, &write));
            let call = Call::write(Route::UPDATE, urgency, Method::PATCH, path, sent).with(body);
            let call = Call { version: version.as_deref(), ..call };
            match self.service.call(&call).await {
                Err(Error::Unavailable { said }) if said == CHANGED && again => again = false,
                outcome => {
                    let (had, of) = (self.before(mapping, &write), Of::new(mapping, &write));
                    let of = Of { id: Some(id), ..of };
                    return self.confirmed(of, had.as_ref(), outcome?).await;
                }
            }
            let now = AccountWrite { foreign: None, ..write.into_owned() };
            write =
                Cow::Owned(with_foreign(&now, true, self.by_id(mapping, id)).await?.into_owned());
        }
    }

    /// Returns the account as it was before a write, as far as that was kept.
    fn before(&self, mapping: &Mapping, write: &AccountWrite) -> Option<Account<'static>> {
        let mut user: Map<String, Value> = serde_json::from_str(write.foreign.as_deref()?).ok()?;
        user.insert("id".to_owned(), json!("-"));
        let text = Value::Object(user).to_string();
        let user: Object<'_> = serde_json::from_str(&text).ok()?;
        Some(self.reader(mapping).account(&user)?.into_owned())
    }

    /// Writes the whole user, as it is right before that.
    async fn put(
        &self,
        change: AccountChange<'_>,
        hints: &Hints,
        path: &str,
    ) -> Result<Written, Error> {
        let AccountChange { mapping, id, write, urgency } = change;
        let mut again = true;
        loop {
            let answer = self.user(id).await?.ok_or(Error::NotFound)?;
            let had = self.reader(mapping).one(&answer)?;
            let user: Map<String, Value> = serde_json::from_slice(&answer.body)
                .map_err(|_| unreadable("the answer is not a user"))?;
            let form = Writing { mapping, mark: self.tenant().mark, hints };
            let body = form.whole(write, &user)?;
            let version = version_of(user.get("meta").unwrap_or_default());
            let sent = Sent::Write(mapping, write);
            let call = Call::write(Route::UPDATE, urgency, Method::PUT, path, sent).with(body);
            let call = Call { version: version.as_deref(), ..call };
            match self.service.call(&call).await {
                Err(Error::Unavailable { said }) if said == CHANGED && again => again = false,
                outcome => {
                    let of = Of { mapping, write, id: Some(id) };
                    return self.confirmed(of, Some(&had), outcome?).await;
                }
            }
        }
    }

    /// Returns what the answer to a change confirms. An answer without the user, or with the user
    /// as it was, is not the last word: the user is read. `had` is the account before the change.
    ///
    /// # Errors
    /// [`Error::Rejected`] if the server has answered with success and changed nothing.
    async fn confirmed(
        &self,
        of: Of<'_>,
        had: Option<&Account<'_>>,
        answer: Answer,
    ) -> Result<Written, Error> {
        let Of { mapping, write, id } = of;
        let reader = self.reader(mapping);
        let Some(id) = id else { return reader.written(of, None, &answer, None) };
        // An answer that is no user is no confirmation, and no reason to read either.
        let is_doubtful = is_empty(&answer)
            || reader.one(&answer).is_ok_and(|told| {
                *told.id != *id || !Ignored::of(mapping, write, had, &told).is_nothing()
            });
        if !is_doubtful {
            return reader.written(of, None, &answer, None);
        }
        let read = match self.user(id).await {
            Ok(Some(read)) => read,
            Ok(None) => return Err(Error::NotFound),
            // The change is made as far as can be told. The next listing shows what became of it.
            Err(_) => {
                let account = as_sent(mapping, write, id.to_owned());
                let state = had.map_or(account.state, |had| had.state);
                let state = write.access.map_or(state, state_of);
                let account = Account { state, ..account };
                return Ok(Written { account, request_id: None, left: None });
            }
        };
        let account = reader.one(&read)?;
        let ignored = Ignored::of(mapping, write, had, &account);
        let left = ignored.left(mapping, write, self.tenant().mark)?;
        Ok(Written { account, request_id: None, left })
    }

    /// Asks again what the server's schemas are if a refusal has named an attribute of an
    /// extension. Returns the outcome.
    async fn doubting<T>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::Rejected { field: Some(name), .. }) = &outcome
            && name.starts_with("urn:")
        {
            self.discovery.forget().await;
        }
        outcome
    }
}

/// Returns the page in an answer, and says what was expected if there is no page in it.
fn page_of<'a>(reader: &UserReader<'_>, answer: &'a Answer) -> Result<Page<'a>, Error> {
    let none = |what: &str| unreadable(&format!("{what} came from /Users: {EXPECTED}"));
    if TABLE.page(answer).is_none() {
        return Err(none("no list of users"));
    }
    let page = reader.page(answer)?;
    let total: Option<u64> = page.rest.read("totalResults");
    if page.rest.raw("Resources").is_none() && total != Some(0) {
        return Err(none("a list without Resources"));
    }
    Ok(page)
}

/// Returns the refusal of every change, because the server does not have the call.
fn no_call(method: &str) -> Error {
    let other = if method == "PUT" { "Patch" } else { "Put or Auto" };
    let said = format!(
        "the server does not have {method} for /Users; set spec.provider.scim.updates to \
         {other} if it has the other one"
    );
    Error::Rejected { field: None, said }
}

/// Returns the filter for users with exactly this value.
fn is(attribute: &str, value: &str) -> String {
    format!("{attribute} eq {}", json!(value))
}

/// Returns whether the answer to a change shows nothing of the user.
fn is_empty(answer: &Answer) -> bool {
    let mut shown = answer.body.iter().filter(|b| !b.is_ascii_whitespace());
    shown.clone().eq(b"{}") || shown.next().is_none()
}

/// Returns the rows with attributes that the server does not have.
fn lacking(hints: &Hints, mapping: &Mapping) -> Vec<usize> {
    (0..mapping.rows.len()).filter(|row| hints.lacks(&mapping.rows[*row].target)).collect()
}

/// Returns the address of one user. A text that could be another address is not an id.
fn path_of(id: &str) -> Option<String> {
    let plain = !id.is_empty() && !id.bytes().all(|b| b == b'.') && !id.starts_with(".search");
    plain.then(|| format!("{USERS}/{}", encoded(id)))
}

impl Directory for ScimServer {
    const CATALOG: &'static Catalog = &CATALOG;

    async fn list(&self, mapping: &Mapping, sink: Sink<'_>) -> Result<Listing, Error> {
        let hints = self.hints(mapping).await;
        let unavailable = lacking(&hints, mapping);
        let mut reader = self.reader(mapping);
        reader.leave_out(&unavailable);
        let by_cursor = if hints.cursor { self.by_cursor(&reader, sink).await? } else { None };
        let (lister, whole) = match by_cursor {
            Some(listed) => listed,
            None => self.by_index(&reader, sink).await?,
        };
        Ok(lister.listing(whole, unavailable))
    }

    async fn find(&self, mapping: &Mapping, key: Key<'_>) -> Result<FoundAccounts, Error> {
        let place = self.tenant().mark.place();
        match key {
            Key::Id(id) => Ok(Vec::from_iter(self.by_id(mapping, id).await?)),
            Key::Email(login) => match self.by_login(mapping, login).await {
                Err(error) if is_about_filters(&error) => Err(unreadable(&format!(
                    "the server has no filter on userName: {}",
                    error.said()
                ))),
                found => found,
            },
            Key::Mark(mark) => self.search(key, &is(&path(&place), mark), mark, mapping).await,
            Key::MarkOrAddress(mark, address) => {
                let own = is(&path(&place), mark);
                let has = format!("emails[type eq \"work\" and {}]", is("value", address));
                let either = format!("{own} or {has}");
                match self.search(key, &either, address, mapping).await {
                    // Many servers know only the simplest filters.
                    Err(error) if is_about_filters(&error) => {
                        self.search(Key::Mark(mark), &own, mark, mapping).await
                    }
                    found => found,
                }
            }
        }
    }

    async fn create(&self, new: New<'_>) -> Result<Written, Error> {
        let New { mapping, write, initial } = new;
        let hints = self.hints(mapping).await;
        undefined_in(mapping, write, |target| hints.lacks(target))?;
        let form = Writing { mapping, mark: self.tenant().mark, hints: &hints };
        let body = form.user(write, initial.password)?;
        let password =
            initial.password.map_or(Password::Absent, |text| Password::Default(text.expose()));
        let call = Call::create(USERS, Sent::Create(mapping, write, password)).with(body);
        let answer = self.doubting(self.service.call(&call).await).await?;
        let state = state_of(write.access.unwrap_or(Access::Active));
        self.reader(mapping).written(Of::new(mapping, write), Some(state), &answer, None)
    }

    async fn update(&self, change: AccountChange<'_>) -> Result<Written, Error> {
        let AccountChange { mapping, id, write, .. } = change;
        let path = path_of(id).ok_or(Error::NotFound)?;
        let hints = self.hints(mapping).await;
        undefined_in(mapping, write, |target| hints.lacks(target))?;
        if self.patches(&hints) {
            match self.patch(change, &hints, &path).await {
                Err(Error::Unavailable { said }) if said == NO_SUCH_CALL => {}
                outcome => return self.doubting(outcome).await,
            }
            if self.patches(&hints) {
                return Err(no_call("PATCH"));
            }
        }
        match self.put(change, &hints, &path).await {
            Err(Error::Unavailable { said }) if said == NO_SUCH_CALL => Err(no_call("PUT")),
            outcome => self.doubting(outcome).await,
        }
    }
}
