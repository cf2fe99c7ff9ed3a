//! Google Workspace, through the Directory API of the Admin SDK, version 1.
//!
//! [`catalog`] is known without a connection; `dialect` says how calls are made; `schemas` and
//! `write` are what is special in a body; `errors` turns refusals into what to do about them. This
//! file has the calls.

pub mod catalog;

mod dialect;
mod errors;
mod schemas;
mod write;

pub use catalog::{CATALOG, pacer};
pub use dialect::{API, ServiceAccount, TOKENS, Tenant};

use self::{
    catalog::{CUSTOM, TABLE},
    dialect::GoogleDialect,
    schemas::Schemas,
    write::{body, touches_arrays},
};
use crate::provider::prelude::*;

const USERS: &str = "/admin/directory/v1/users";

/// Asks which custom schemas there are.
const DEFINITIONS: Route = Route::new("schemas", Purpose::Definitions);

/// What Google calls the account of the caller.
const OWN: &str = "my_customer";

/// The most users that a search by a mark may find.
const FEW: &str = "500";

/// The most users of a listing without their flags that are read one by one. Such users were just
/// made.
const MOST_READ_AGAIN: usize = 20;

/// How a change is written.
struct WriteManner {
    urgency: Urgency,
    schemas: Schemas,
}

/// One Google Workspace account, through one service account that acts for one administrator.
pub struct Google {
    tenant: Arc<Tenant>,
    users: Service<GoogleDialect>,
    /// A service with its own token, so that the right to read schemas is asked for only if a row
    /// needs it.
    definitions: Service<GoogleDialect>,
    schemas: Remembered<Schemas>,
    /// The id of the account, once a user has told it.
    customer: Whose,
}

impl Google {
    /// Prepares the connection and calls nothing yet. All callers of this tenant share the pacer.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the TLS settings of this machine cannot be used.
    pub fn new(
        tenant: Tenant,
        account: ServiceAccount,
        hooks: &Hooks,
        pacer: &Arc<Pacer>,
    ) -> Result<Self, Error> {
        let (tenant, account) = (Arc::new(tenant), Arc::new(account));
        let service = |scope| {
            let (tenant, account) = (Arc::clone(&tenant), Arc::clone(&account));
            let dialect = GoogleDialect { tenant, account, scope };
            Service::new(dialect, hooks.clone(), Arc::clone(pacer))
        };
        let (users, definitions) = (service(dialect::USERS)?, service(dialect::SCHEMAS)?);
        let (schemas, customer) = (Remembered::default(), Whose::told_in("customerId"));
        Ok(Self { tenant, users, definitions, schemas, customer })
    }

    /// Returns the custom schemas, if rows need them.
    async fn schemas_for(&self, needed: bool) -> Result<Schemas, Error> {
        if !needed {
            return Ok(Schemas::default());
        }
        if let Some(schemas) = self.schemas.get() {
            return Ok(schemas);
        }
        let path = format!("/admin/directory/v1/customer/{}/schemas", self.tenant.customer);
        let answer = self.definitions.get(DEFINITIONS, &path, &[], Sent::Nothing).await?;
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
        let needed = places(&TABLE, mapping, write).any(|(place, _)| place.outer == CUSTOM);
        let schemas = self.schemas_for(needed).await?;
        undefined_in(mapping, write, |target| {
            let place = TABLE.locate(target).filter(|place| place.outer == CUSTOM);
            place.is_some_and(|place| !schemas.has(place.key, place.member))
        })?;
        Ok(schemas)
    }

    /// Reads one user by id, e-mail or alias. Unlike a search, it shows what was written.
    async fn by_key(&self, reader: &UserReader<'_>, key: &str) -> Result<One, Error> {
        // A key of only dots would be another address.
        if key.bytes().all(|b| b == b'.') {
            return Ok(None);
        }
        let (path, mask) = (path_of(key), mask(reader));
        let query: Vec<_> = projection(&mask).collect();
        let asked = self.users.get(Route::FIND, &path, &query, Sent::Key(key)).await;
        unless_gone(asked)?.map(|answer| reader.one(&answer)).transpose()
    }

    async fn by_mark(&self, reader: &UserReader<'_>, mark: &str) -> Result<FoundAccounts, Error> {
        let (search, mask) = (format!("externalId={}", quoted(mark)), mask(reader));
        let mut query =
            vec![("customer", &*self.tenant.customer), ("query", &*search), ("maxResults", FEW)];
        query.extend(projection(&mask));
        let answer = self.users.get(Route::FIND, USERS, &query, Sent::Key(mark)).await;
        reader.found(&searched(answer)?)
    }

    async fn put(&self, id: &str, of: Of<'_>, how: &WriteManner) -> Result<Written, Error> {
        let path = path_of(id);
        let call = Call::write(Route::UPDATE, how.urgency, Method::PUT, &path, of.sent());
        self.write(&call.with(body(of, &how.schemas)?), of).await
    }

    async fn write(&self, call: &Call<'_>, of: Of<'_>) -> Result<Written, Error> {
        let answer = self.users.call(call).await;
        if let Err(Error::Rejected { field: Some(field), .. }) = &answer
            && TABLE.locate(field).is_some_and(|place| place.outer == CUSTOM)
        {
            // The field may be gone since the schemas were asked for.
            self.schemas.forget();
        }
        UserReader::new(&TABLE, of.mapping).written(of, None, &answer?, Some("x-request-id"))
    }
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Returns the names of the custom schemas that are mapped.
fn mask(reader: &UserReader<'_>) -> String {
    let mut schemas: Vec<&str> = reader.family(CUSTOM).map(|(_, place)| place.key).collect();
    schemas.sort_unstable();
    schemas.dedup();
    schemas.join(",")
}

/// Returns the query pairs that make Google show custom fields.
fn projection(mask: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = [("projection", "custom"), ("customFieldMask", mask)];
    pairs.into_iter().filter(|_| !mask.is_empty())
}

/// Returns the address of one user. A key is one segment of it.
fn path_of(key: &str) -> String {
    format!("{USERS}/{}", encoded(key))
}

/// Returns whether a user is complete. For a new user, Google shows only parts for a while.
fn is_whole(user: &Object<'_>) -> bool {
    ["suspended", "name", "primaryEmail"].iter().all(|name| user.some(name).is_some())
}

/// Returns a value in a search (developers.google.com, "Search for users"). It is quoted unless it
/// is one plain word.
fn quoted(text: &str) -> String {
    if text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

impl Directory for Google {
    const CATALOG: &'static Catalog = &CATALOG;

    /// The id of the account. The right to list users is enough to learn it.
    async fn tenant(&self, ask: bool) -> Option<String> {
        let customer = &*self.tenant.customer;
        let query = [("customer", customer), ("maxResults", "1"), ("fields", "users(customerId)")];
        let asked = self.users.get(Route::LIST, USERS, &query, Sent::Nothing);
        let named = Some(customer).filter(|customer| *customer != OWN);
        let id = self.customer.known(&TABLE, named, ask, asked).await?;
        Some(format!("google customer {id}"))
    }

    async fn list(&self, mapping: &Mapping, sink: Sink<'_>) -> Result<Listing, Error> {
        let reader = UserReader::new(&TABLE, mapping);
        let mask = mask(&reader);
        let schemas = self.schemas_for(!mask.is_empty()).await?;
        let fields = format!("nextPageToken,users({})", reader.members().join(","));
        let mut lister = Lister::<u128>::new(CATALOG.capabilities.page);
        let (mut read_again, mut token) = (0, None::<String>);
        loop {
            let answer = lister
                .page(async |size| {
                    let size = size.to_string();
                    let customer = ("customer", &*self.tenant.customer);
                    let mut query = vec![customer, ("maxResults", &*size), ("fields", &*fields)];
                    query.extend(projection(&mask));
                    query.extend(token.as_deref().map(|token| ("pageToken", token)));
                    self.users.get(Route::LIST, USERS, &query, Sent::Nothing).await
                })
                .await?;
            let page = reader.page(&answer)?;
            self.customer.learn(&page);
            for user in &page.users {
                let account = reader.account(user).ok_or_else(nameless)?;
                // Ids have 21 digits.
                let no_number = |_| unreadable("the listing holds a user whose id is no number");
                if !lister.is_new(account.id.parse().map_err(no_number)?) {
                    continue;
                }
                if !is_whole(user) && read_again < MOST_READ_AGAIN {
                    read_again += 1;
                    // A read that fails does not make the page fail: the user is taken as the
                    // listing shows it, and its gaps are no evidence.
                    if let Ok(Some(whole)) = self.by_key(&reader, &account.id).await
                        && whole.id == account.id
                    {
                        sink(whole);
                        continue;
                    }
                }
                sink(account);
            }
            token = page.rest.text("nextPageToken").map(std::borrow::Cow::into_owned);
            let Some(token) = &token else {
                let lacks = |schema, field| !schemas.has(schema, field);
                let missing = reader.family(CUSTOM).filter(|(_, at)| lacks(at.key, at.member));
                let missing = missing.map(|(row, _)| row).collect();
                return Ok(lister.listing(!lister.repeats(), missing));
            };
            lister.goes_to(token)?;
        }
    }

    async fn find(&self, mapping: &Mapping, key: Key<'_>) -> Result<FoundAccounts, Error> {
        let reader = UserReader::new(&TABLE, mapping);
        let mut found = match key {
            Key::Id(id) if !is_id(id) => Vec::new(),
            Key::Id(id) => Vec::from_iter(self.by_key(&reader, id).await?),
            Key::Email(email) => match self.by_key(&reader, email).await {
                // An address out of reach shows no account. If the id is known, the refusal stays
                // an error, because the account may still be there.
                Err(Error::Forbidden { .. }) => Vec::new(),
                found => Vec::from_iter(found?),
            },
            Key::Mark(mark) | Key::MarkOrAddress(mark, _) => self.by_mark(&reader, mark).await?,
        };
        // An alias gives the account of another user.
        keep_those_with(key, &mut found);
        Ok(found)
    }

    async fn create(&self, new: New<'_>) -> Result<Written, Error> {
        let New { mapping, write, initial } = new;
        let schemas = self.schemas_written(mapping, write).await?;
        let of = Of::new(mapping, write);
        let mut members = body(of, &schemas)?;
        let password = First::of(initial)?;
        members.insert("password".to_owned(), json!(password.secret().expose()));
        if is_crypt(password.secret()) {
            members.insert("hashFunction".to_owned(), json!("crypt"));
        }
        let changes = json!(initial.change_at_first_login);
        members.insert("changePasswordAtNextLogin".to_owned(), changes);
        members.entry("orgUnitPath").or_insert_with(|| json!(self.tenant.org_unit));
        let sent = Sent::Create(mapping, write, password.sent());
        self.write(&Call::create(USERS, sent).with(members), of).await
    }

    async fn update(&self, change: AccountChange<'_>) -> Result<Written, Error> {
        let AccountChange { mapping, id, write, urgency } = change;
        if !is_id(id) {
            return Err(Error::NotFound);
        }
        let schemas = self.schemas_written(mapping, write).await?;
        let needs = touches_arrays(mapping, write, &schemas);
        let reader = UserReader::new(&TABLE, mapping);
        let write = &*with_foreign(write, needs, self.by_key(&reader, id)).await?;
        let (of, how) = (Of::change(mapping, write, id), WriteManner { urgency, schemas });
        let renames = write.attributes.iter().any(|(row, _)| *row == mapping.email);
        if let (true, Some(access)) = (renames, write.access) {
            // A rename and a suspension in one call end in errors, and the suspension has to come
            // last.
            let rest = AccountWrite { access: None, ..write.clone() };
            self.put(id, Of { write: &rest, ..of }, &how).await?;
            let access = AccountWrite { access: Some(access), ..AccountWrite::default() };
            return self.put(id, Of { write: &access, ..of }, &how).await;
        }
        self.put(id, of, &how).await
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
}
