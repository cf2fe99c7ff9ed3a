//! `OneLogin`, through the users API of developers.onelogin.com, version 2.
//!
//! [`catalog`] is known without a connection; `dialect` says how calls are made; `errors` turns
//! refusals into what to do about them. This file has the calls.

pub mod catalog;

mod dialect;
mod errors;

use std::collections::HashSet;

pub use catalog::{CATALOG, base_for, pacer};
pub use dialect::Tenant;

use self::{
    catalog::{CUSTOM, TABLE},
    dialect::OneLoginDialect,
};
use crate::provider::prelude::*;

const USERS: &str = "/api/2/users";

/// Ends the sessions of a user.
const LOGOUT: Route = Route::new("sessions", Purpose::Update);

/// Asks which custom attributes are defined.
const DEFINITIONS: Route = Route::new("custom_attributes", Purpose::Definitions);

/// One `OneLogin` account (tenant), through one API credential.
pub struct OneLogin {
    service: Service<OneLoginDialect>,
    definitions: Remembered<HashSet<Box<str>>>,
}

impl OneLogin {
    /// Prepares the connection and calls nothing yet. All callers of this tenant share the pacer.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the TLS settings of this machine cannot be used.
    pub fn new(
        tenant: Tenant,
        client_id: String,
        client_secret: Secret,
        hooks: Hooks,
        pacer: Arc<Pacer>,
    ) -> Result<Self, Error> {
        let dialect = OneLoginDialect { tenant, client_id, client_secret };
        Ok(Self {
            service: Service::new(dialect, hooks, pacer)?,
            definitions: Remembered::default(),
        })
    }

    /// Returns the account. The settings decide whether a directory that is named with it is its
    /// master.
    fn ours<'a>(&self, account: Account<'a>) -> Account<'a> {
        let mastered = self.service.dialect().tenant.mastered;
        Account { elsewhere: account.elsewhere && mastered, ..account }
    }

    /// Returns which of the custom attributes in these rows are not defined. `shown` are the rows
    /// that a user showed, even with null: `OneLogin` shows every defined custom attribute with
    /// every user.
    async fn unavailable(
        &self,
        custom: &[(usize, &str)],
        shown: Option<HashSet<usize>>,
    ) -> Result<Vec<usize>, Error> {
        if custom.is_empty() {
            return Ok(Vec::new());
        }
        let Some(shown) = shown else {
            let defined = self.defined().await?;
            let missing = custom.iter().filter(|(_, name)| !defined.contains(*name));
            return Ok(missing.map(|(row, _)| *row).collect());
        };
        // The users show what is defined, so an earlier answer may be out of date.
        self.definitions.forget();
        Ok(custom.iter().map(|(row, _)| *row).filter(|row| !shown.contains(row)).collect())
    }

    /// Returns the shortnames of the tenant's custom attributes. The set is empty if its
    /// subscription does not have custom attributes.
    async fn defined(&self) -> Result<HashSet<Box<str>>, Error> {
        if let Some(defined) = self.definitions.get() {
            return Ok(defined);
        }
        let defined = match self.ask_for_definitions().await {
            Ok(answer) => shortnames(&answer)
                .ok_or_else(|| unreadable("the answer is not a list of custom attributes"))?,
            // The listing was granted with the same token, so the route is what is missing.
            Err(Error::Unauthorized { .. } | Error::Denied { .. }) => HashSet::new(),
            Err(error) => return Err(error),
        };
        self.definitions.set(defined.clone());
        Ok(defined)
    }

    async fn ask_for_definitions(&self) -> Result<Answer, Error> {
        let path = "/api/2/users/custom_attributes";
        self.service.get(DEFINITIONS, path, &[], Sent::Nothing).await
    }

    /// Makes or changes an account.
    async fn write(&self, call: Call<'_>, of: Of<'_>) -> Result<Written, Error> {
        let body = writer::body(&TABLE, of, |_, _, _| Ok(Own::Table))?;
        let defined = self.definitions.get();
        undefined_in(of.mapping, of.write, |target| {
            let name = target.strip_prefix(CUSTOM).zip(defined.as_ref());
            name.is_some_and(|(name, defined)| !defined.contains(name))
        })?;
        let answer = self.service.call(&call.with(body)).await;
        if let Err(Error::Rejected { field: Some(field), .. }) = &answer
            && field.starts_with(CUSTOM)
        {
            // The attribute may be gone since the last listing. Without an answer, nothing is
            // remembered.
            self.definitions.forget();
            if let Some(defined) =
                self.ask_for_definitions().await.ok().as_ref().and_then(shortnames)
            {
                self.definitions.set(defined);
            }
        }
        UserReader::new(&TABLE, of.mapping).written(of, None, &answer?, Some("x-request-id"))
    }

    /// Ends the sessions of a user who just lost access (developers.onelogin.com, "Log User Out").
    /// If the call fails, the whole change fails and is made again. If it is refused, access is
    /// still taken.
    async fn end_sessions(&self, id: &str, urgency: Urgency) -> Result<(), Error> {
        let path = format!("/api/1/users/{id}/logout");
        let call = Call::write(LOGOUT, urgency, Method::PUT, &path, Sent::Nothing);
        let needs = "access is taken, and open sessions cannot be ended: the API credential needs \
            the scope \"Manage users\" for logout";
        match repeatable(self.service.call(&call.with(Map::new())).await) {
            // A refusal of this call says nothing about the account.
            Err(
                Error::Forbidden { said } | Error::Denied { said } | Error::Rejected { said, .. },
            ) => Err(Error::forbidden(format!("{needs}; OneLogin said: {said}"))),
            Err(Error::NotFound) => {
                Err(Error::forbidden(format!("{needs}; OneLogin said: HTTP 404")))
            }
            outcome => outcome,
        }
    }
}

/// One of the tenant's custom attributes (developers.onelogin.com, "List Custom Attributes").
#[derive(Deserialize)]
struct Definition {
    shortname: Box<str>,
}

fn shortnames(answer: &Answer) -> Option<HashSet<Box<str>>> {
    let list: Vec<Definition> = serde_json::from_slice(&answer.body).ok()?;
    Some(list.into_iter().map(|definition| definition.shortname).collect())
}

/// Returns the address of one account. Ids are numbers.
fn path_of(id: &str) -> Option<String> {
    (!id.is_empty() && id.bytes().all(|b| b.is_ascii_digit())).then(|| format!("{USERS}/{id}"))
}

/// Returns what the headers say about the end of a listing. If they are missing, an `After-Cursor`
/// decides, and otherwise the length of the page. The cursor itself is only an offset in another
/// form and may not be sent with a page number. `Link` points at another version of the interface.
fn counts(answer: &Answer) -> PageCounts {
    PageCounts {
        total: answer.number("total-count"),
        pages: answer.number("total-pages"),
        follows: answer.header("after-cursor").is_some_and(|cursor| !cursor.is_empty()),
    }
}

impl Directory for OneLogin {
    const CATALOG: &'static Catalog = &CATALOG;

    /// Returns the number of the account, which is the same under every address.
    async fn tenant(&self, ask: bool) -> Option<String> {
        Some(format!("onelogin account {}", self.service.tenant(ask).await?))
    }

    async fn list(&self, mapping: &Mapping, sink: Sink<'_>) -> Result<Listing, Error> {
        let reader = UserReader::new(&TABLE, mapping);
        // Without the fields, OneLogin leaves most attributes out of a listing.
        let fields = reader.members().join(",");
        let custom: Vec<_> =
            reader.family("custom_attributes").map(|(row, place)| (row, place.member)).collect();
        let mut shown = HashSet::new();
        let mut lister = Lister::<u64>::new(CATALOG.capabilities.page);
        let mut pages = CountedPages::new(lister.size());
        let mut ours = |account: Account<'_>| sink(self.ours(account));
        loop {
            let asked = lister.page(async |size| {
                let (limit, page) = (size.to_string(), pages.next(size).to_string());
                let query = [("limit", &*limit), ("page", &*page), ("fields", &*fields)];
                self.service.get(Route::LIST, USERS, &query, Sent::Nothing).await
            });
            let answer = asked.await?;
            let page = reader.page(&answer)?;
            pages.are_of(lister.size());
            shown.extend(
                custom
                    .iter()
                    .map(|(row, _)| *row)
                    .filter(|row| page.users.iter().any(|user| reader.shows(user, *row))),
            );
            let fresh = lister.take(&reader, &page, |id| id.parse().ok(), &mut ours)?;
            if !pages.more(counts(&answer), page.users.len() as u64, fresh)? {
                let shown = (lister.accounts() > 0).then_some(shown);
                let unavailable = self.unavailable(&custom, shown).await?;
                return Ok(lister.listing(pages.whole(lister.accounts().into()), unavailable));
            }
        }
    }

    async fn find(&self, mapping: &Mapping, key: Key<'_>) -> Result<FoundAccounts, Error> {
        let reader = UserReader::new(&TABLE, mapping);
        let (filter, text) = match key {
            Key::Id(id) => {
                let Some(path) = path_of(id) else { return Ok(Vec::new()) };
                let account = match self.service.get(Route::FIND, &path, &[], Sent::Nothing).await {
                    Ok(answer) => reader.one(&answer)?,
                    Err(Error::NotFound) => return Ok(Vec::new()),
                    // The refusal is about this account only.
                    Err(Error::Denied { said }) => return Err(Error::Forbidden { said }),
                    Err(error) => return Err(error),
                };
                let same = *account.id == *id;
                let same = same.then(|| vec![self.ours(account)]);
                return same.ok_or_else(|| unreadable("the answer names another account"));
            }
            Key::Mark(mark) | Key::MarkOrAddress(mark, _) => ("external_id", mark),
            Key::Email(email) => ("email", email),
        };
        let query = [(filter, text), ("fields", &*reader.members().join(","))];
        let answer = self.service.get(Route::FIND, USERS, &query, Sent::Key(text)).await;
        let mut found = reader.found(&searched(answer)?)?;
        // An asterisk in a value is a wildcard.
        keep_those_with(key, &mut found);
        Ok(found.into_iter().map(|account| self.ours(account)).collect())
    }

    async fn create(&self, New { mapping, write, .. }: New<'_>) -> Result<Written, Error> {
        let of = Of::new(mapping, write);
        self.write(Call::create(USERS, of.sent()), of).await
    }

    async fn update(&self, change: AccountChange<'_>) -> Result<Written, Error> {
        let AccountChange { mapping, id, write, urgency } = change;
        let path = path_of(id).ok_or(Error::NotFound)?;
        let of = Of::change(mapping, write, id);
        let call = Call::write(Route::UPDATE, urgency, Method::PUT, &path, of.sent());
        let mut written = self.write(call, of).await?;
        if write.access == Some(Access::Suspended) {
            match self.end_sessions(id, urgency).await {
                Err(error @ Error::Forbidden { .. }) => {
                    written.left = Some(LeftUndone { error, rows: Vec::new(), sessions: true });
                }
                outcome => outcome?,
            }
        }
        Ok(written)
    }

    /// Reads the users by the filter `user_ids` (developers.onelogin.com, "List Users").
    async fn unlicensed(&self, mapping: &Mapping, ids: &[&str]) -> Result<Vec<Box<str>>, Error> {
        let (all, limit) = (ids.join(","), ids.len().to_string());
        let query = [("user_ids", &*all), ("fields", "id,status,state"), ("limit", &*limit)];
        let answer = self.service.get(Route::FIND, USERS, &query, Sent::Nothing).await?;
        let found = UserReader::new(&TABLE, mapping).found(&answer)?;
        let lacks = found.into_iter().filter(|one| one.state == AccountState::Unlicensed);
        Ok(lacks.map(|account| account.id.into()).collect())
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod read_tests;

#[cfg(test)]
#[path = "write_tests.rs"]
mod write_tests;
