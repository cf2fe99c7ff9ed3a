//! Okta, through version 1 of its management API.
//!
//! [`catalog`] is known without a connection; `dialect` says how calls are made; `schema` is what
//! the org defines itself; `steps` is the life cycle of a user; `errors` turns refusals into what
//! to do about them. This file has the calls.

pub mod catalog;

mod dialect;
mod errors;
mod schema;
mod steps;
mod writes;

use std::sync::OnceLock;

use jiff::Timestamp;

pub use catalog::{CATALOG, pacer};
pub use dialect::{Caller, Leavers, NotSuspendable, ServiceApp, Tenant};

use self::{catalog::TABLE, dialect::OktaDialect, schema::Schema, steps::Now};
use crate::provider::prelude::*;

/// Asks which attributes users have.
const DEFINITIONS: Route = Route::new("schemas", Purpose::Definitions);

const SCHEMA: &str = "/api/v1/meta/schemas/user/default";

/// A search for all users. A list without a search leaves out DEPROVISIONED users (Okta Management
/// API, `listUsers`).
const EVERYBODY: &str = "created gt \"1970-01-01T00:00:00.000Z\"";

/// How long a search may not show what was written. Okta says less than a second, and its own tests
/// wait for ten.
const LAG: Duration = Duration::from_secs(600);

/// How long it is remembered that the sessions of a user who cannot be suspended were ended.
const ENDED: Duration = Duration::from_hours(30 * 24);

/// A profile attribute that has exactly this value.
#[derive(Clone, Copy)]
struct Term<'t> {
    name: &'t str,
    text: &'t str,
}

/// A user, and what counts for its life cycle.
struct User {
    account: Account<'static>,
    now: Now,
}

/// One Okta org, through one credential.
pub struct Okta {
    tenant: Arc<Tenant>,
    service: Service<OktaDialect>,
    schema: Remembered<Schema>,
    /// The id of the schema, which no other org has.
    id: OnceLock<Box<str>>,
    /// When users were changed that this process has written lately.
    written: Facts<Timestamp>,
    /// Users who cannot be suspended and whose sessions were ended.
    ended: Facts<()>,
}

impl Okta {
    /// Prepares the connection and calls nothing yet. All callers of this tenant share the pacer.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if this machine cannot connect or gives no randomness.
    pub fn new(org: Tenant, auth: Caller, hooks: Hooks, pacer: Arc<Pacer>) -> Result<Self, Error> {
        let tenant = Arc::new(org);
        let dialect = OktaDialect::new(Arc::clone(&tenant), auth)?;
        Ok(Self {
            tenant,
            service: Service::new(dialect, hooks, pacer)?,
            schema: Remembered::default(),
            id: OnceLock::new(),
            written: Facts::new(LAG),
            ended: Facts::new(ENDED),
        })
    }

    fn reader<'m>(&'m self, mapping: &'m Mapping) -> UserReader<'m> {
        UserReader::marked(&TABLE, mapping, Place::of(&TABLE.mark, &self.tenant.mark))
    }

    /// Returns the attributes of users, if Okta shows them. They are only a hint.
    ///
    /// # Errors
    /// The credential is refused or lacks the right to read them, or there were too many calls.
    async fn attributes(&self) -> Result<Option<Schema>, Error> {
        if let Some(schema) = self.schema.get() {
            return Ok(Some(schema));
        }
        let path = self.service.dialect().path(SCHEMA);
        let schema = match self.service.get(DEFINITIONS, &path, &[], Sent::Nothing).await {
            Ok(answer) => Schema::read(&answer.body),
            Err(Error::Unavailable { said }) => {
                tracing::debug!(said, "Okta does not show which attributes users have");
                None
            }
            Err(error) => return Err(error),
        };
        if let Some(schema) = &schema {
            self.schema.set(schema.clone());
            if let Some(id) = &schema.id {
                self.id.get_or_init(|| id.clone());
            }
        }
        Ok(schema)
    }

    /// Returns the rows of attributes that users do not have.
    ///
    /// # Errors
    /// The attribute of the mark is missing.
    fn missing(
        &self,
        reader: &UserReader<'_>,
        schema: Option<&Schema>,
    ) -> Result<Vec<usize>, Error> {
        let Some(schema) = schema else { return Ok(Vec::new()) };
        if !schema.has(&self.tenant.mark) {
            let said = format!(
                "spec.provider.okta.markAttribute: users have no attribute {}; add it to the \
                 default user type in Okta's profile editor, as a string that nothing else uses",
                self.tenant.mark
            );
            return Err(Error::Misconfigured { said });
        }
        let lacks = |target: &str| !is_base(target) && !schema.has(target);
        let rows = reader.places().filter(|(_, place)| lacks(place.target));
        Ok(rows.map(|(row, _)| row).collect())
    }

    /// Reads a user by a path. Returns also what counts for its life cycle.
    async fn read(
        &self,
        mapping: &Mapping,
        path: &str,
        sent: Sent<'_>,
    ) -> Result<Option<User>, Error> {
        let asked = self.service.get(Route::FIND, path, &[], sent).await;
        let Some(answer) = unless_gone(asked)? else { return Ok(None) };
        let account = self.reader(mapping).one(&answer)?;
        let now = TABLE.user(&answer).and_then(|user| Now::of(&user));
        let now = now.ok_or_else(|| unreadable("the user has no status"))?;
        if self.written.get(&account.id).is_some() {
            self.note(&answer);
        }
        Ok(Some(User { account, now }))
    }

    /// Reads the user with this id.
    async fn by_id(&self, mapping: &Mapping, id: &str) -> Result<Option<User>, Error> {
        let Some(path) = self.service.dialect().user(id) else { return Ok(None) };
        let found = self.read(mapping, &path, Sent::Nothing).await?;
        // Okta takes the first part of a login for a user, too.
        Ok(found.filter(|user| *user.account.id == *id))
    }

    fn marked<'t>(&'t self, text: &'t str) -> Term<'t> {
        Term { name: &self.tenant.mark, text }
    }

    /// Returns the users with an attribute that is exactly this value, or with another one.
    async fn by_attribute(
        &self,
        mapping: &Mapping,
        term: Term<'_>,
        or: Option<Term<'_>>,
    ) -> Result<FoundAccounts, Error> {
        let text = term.text;
        let written = |Term { name, text }: Term<'_>| format!("profile.{name} eq {}", json!(text));
        let terms: Vec<String> = [Some(term), or].into_iter().flatten().map(written).collect();
        let search = terms.join(" or ");
        let (path, query) =
            (self.service.dialect().users(), [("search", &*search), ("limit", "200")]);
        let answer = self.service.get(SEARCH, &path, &query, Sent::Key(text)).await;
        self.reader(mapping).found(&searched(answer)?)
    }

    /// Remembers that this process has written a user, as an answer shows it.
    fn note(&self, answer: &Answer) {
        if let Some(user) = TABLE.user(answer)
            && let Some(id) = user.text("id")
            && let Some(at) = changed(&user)
        {
            self.written.set(&id, at);
        }
    }

    /// Reads the user of a row of a listing, if the row is older than what this process wrote.
    async fn newer(&self, mapping: &Mapping, user: &Object<'_>, id: &str) -> One {
        let written = self.written.get(id)?;
        if changed(user).is_some_and(|shown| shown >= written) {
            return None;
        }
        // A read that fails does not make the listing fail: a later pass sees the change.
        self.by_id(mapping, id).await.ok().flatten().map(|user| user.account)
    }
}

/// Returns whether every org has this attribute.
fn is_base(target: &str) -> bool {
    CATALOG.targets().iter().any(|field| field.target == target)
}

/// A search for users, which Okta counts as a listing.
const SEARCH: Route = Route::new("find", Purpose::Find);

/// Returns the accounts that have this key: Okta takes the first part of a login for it, too.
fn those_with(key: Key<'_>, mut found: FoundAccounts) -> FoundAccounts {
    keep_those_with(key, &mut found);
    found
}

fn changed(user: &Object<'_>) -> Option<Timestamp> {
    user.text("lastUpdated")?.parse().ok()
}

/// Returns the address of the next page (RFC 8288), if there is one.
fn next_page(answer: &Answer) -> Option<&str> {
    let links = answer.headers.get_all("link").into_iter().filter_map(|link| link.to_str().ok());
    links.flat_map(|links| links.split(',')).find_map(|link| {
        let (address, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = |part: &str| matches!(part.trim(), "rel=\"next\"" | "rel=next");
        rest.split(';').any(is_next).then_some(address)
    })
}

/// Returns the path with another number of users for a page.
fn with_limit(path: &str, size: usize) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let others = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("limit="));
    let limit = format!("limit={size}");
    let pairs: Vec<&str> = others.chain([&*limit]).collect();
    format!("{path}?{}", pairs.join("&"))
}

impl Directory for Okta {
    const CATALOG: &'static Catalog = &CATALOG;

    /// The id of the schema of users. The same org has several addresses.
    async fn tenant(&self, ask: bool) -> Option<String> {
        if ask && self.id.get().is_none() {
            // The listing meets the same error and reports it.
            let _ = self.attributes().await;
        }
        Some(format!("okta user schema {}", self.id.get()?))
    }

    async fn list(&self, mapping: &Mapping, sink: Sink<'_>) -> Result<Listing, Error> {
        let reader = self.reader(mapping);
        let schema = self.attributes().await?;
        let unavailable = self.missing(&reader, schema.as_ref())?;
        let mut lister = Lister::<u128>::new(CATALOG.capabilities.page);
        let search = encoded(EVERYBODY);
        let mut path = format!("{}?search={search}", self.service.dialect().users());
        loop {
            lister.goes_to(&path)?;
            let answer = lister
                .page(async |size| {
                    let path = with_limit(&path, size);
                    self.service.get(Route::LIST, &path, &[], Sent::Nothing).await
                })
                .await?;
            let page = reader.page(&answer)?;
            for user in &page.users {
                let account = reader.account(user).ok_or_else(nameless)?;
                if !lister.is_new(short(&account.id)) {
                    continue;
                }
                match self.newer(mapping, user, &account.id).await {
                    Some(newer) => sink(newer),
                    None => sink(account),
                }
            }
            let Some(link) = next_page(&answer) else { break };
            path = self.service.dialect().next(link)?;
        }
        let whole = !lister.repeats();
        for (id, _) in self.written.all() {
            if lister.is_new(short(&id)) {
                match self.by_id(mapping, &id).await? {
                    Some(user) => sink(user.account),
                    None => self.written.forget(&id),
                }
            }
        }
        Ok(lister.listing(whole, unavailable))
    }

    async fn find(&self, mapping: &Mapping, key: Key<'_>) -> Result<FoundAccounts, Error> {
        let found = match key {
            Key::Id(id) => {
                let found = self.by_id(mapping, id).await?;
                return Ok(found.into_iter().map(|user| user.account).collect());
            }
            Key::Email(login) => match self.service.dialect().login(login.trim()) {
                // Unlike a search, it shows what was written, and logins that differ in accents.
                Some(path) => match self.read(mapping, &path, Sent::Key(login)).await {
                    // A login out of reach shows no account.
                    Err(Error::Forbidden { .. }) => Vec::new(),
                    found => found?.into_iter().map(|user| user.account).collect(),
                },
                None => {
                    self.by_attribute(mapping, Term { name: "login", text: login.trim() }, None)
                        .await?
                }
            },
            Key::Mark(mark) => self.by_attribute(mapping, self.marked(mark), None).await?,
            Key::MarkOrAddress(mark, address) => {
                let address = Term { name: "email", text: address };
                return self.by_attribute(mapping, self.marked(mark), Some(address)).await;
            }
        };
        Ok(those_with(key, found))
    }

    async fn create(&self, new: New<'_>) -> Result<Written, Error> {
        self.make(new).await
    }

    async fn update(&self, change: AccountChange<'_>) -> Result<Written, Error> {
        self.change(change).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::fixtures;

    #[test]
    fn the_next_page_is_the_link_of_that_name() {
        let mut answer = fixtures::answer(200, "application/json", "[]");
        assert_eq!(next_page(&answer), None);
        let own = "<https://acme.okta.com/api/v1/users?limit=200>; rel=\"self\"";
        let next = "<https://acme.okta.com/api/v1/users?after=1&limit=200>; rel=\"next\"";
        answer.headers.append("link", own.parse().unwrap());
        assert_eq!(next_page(&answer), None);
        answer.headers.append("link", next.parse().unwrap());
        let found = Some("https://acme.okta.com/api/v1/users?after=1&limit=200");
        assert_eq!(next_page(&answer), found);
        let both = format!("{own}, {next}");
        answer.headers.insert("link", both.parse().unwrap());
        assert_eq!(next_page(&answer), found);
        assert_eq!(with_limit("/a?after=1&limit=200", 50), "/a?after=1&limit=50");
        assert_eq!(with_limit("/a?search=x", 50), "/a?search=x&limit=50");
    }
}
