//! JumpCloud, through version 1 of its API.
//!
//! [`catalog`] is known without a connection; `dialect` says how calls are made; `write` is what is
//! special in a body; `errors` turns refusals into what to do about them. This file has the calls.

pub mod catalog;

mod dialect;
mod errors;
mod write;

use std::collections::HashSet;

pub use catalog::{CATALOG, pacer};
pub use dialect::{Region, Tenant};

use self::{
    catalog::TABLE,
    dialect::JumpCloudDialect,
    errors::{EXPIRE, UNIQUE},
    write::body,
};
use crate::provider::prelude::*;

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
    organization: Whose,
}

impl JumpCloud {
    /// Prepares the connection and calls nothing yet. All callers of this tenant share the pacer.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if the key cannot be valid, [`Error::Unavailable`] if this machine
    /// cannot connect.
    pub fn new(org: Tenant, key: &Secret, hooks: Hooks, pacer: Arc<Pacer>) -> Result<Self, Error> {
        let service = Service::new(JumpCloudDialect::new(org, key)?, hooks, pacer)?;
        Ok(Self { service, organization: Whose::told_in("organization") })
    }

    fn tenant(&self) -> &Tenant {
        &self.service.dialect().tenant
    }

    /// Returns the account. The settings decide whether the directory of an externally managed user
    /// is its master.
    fn ours<'a>(&self, account: Account<'a>) -> Account<'a> {
        Account { elsewhere: account.elsewhere && self.tenant().mastered, ..account }
    }

    /// Reads every page once, in the order of the ids. Users that are not known yet go into `sink`.
    /// Returns whether the pages fit together.
    async fn sweep(
        &self,
        mapping: &Mapping,
        mut lister: Lister<u128>,
        sink: &mut (dyn FnMut(Account<'_>) + Send),
    ) -> Result<bool, Error> {
        let reader = UserReader::new(&TABLE, mapping);
        let fields = reader.members().join(" ");
        let mut pages = CountedPages::new(lister.size());
        loop {
            let skip = pages.rows().to_string();
            let answer = lister
                .page(async |size| {
                    let query = [
                        ("limit", &*size.to_string()),
                        ("skip", &*skip),
                        ("sort", "_id"),
                        ("fields", &*fields),
                    ];
                    self.service.get(Route::LIST, USERS, &query, Sent::Nothing).await
                })
                .await?;
            pages.are_of(lister.size());
            let page = reader.page(&answer)?;
            self.organization.learn(&page);
            let fresh = lister.take(&reader, &page, |id| Some(short(id)), sink)?;
            let counts =
                PageCounts { total: page.rest.read("totalCount"), ..PageCounts::default() };
            if !pages.more(counts, page.users.len() as u64, fresh)? {
                return Ok(pages.whole(lister.accounts().into()) && !pages.repeats());
            }
        }
    }

    async fn by_id(&self, mapping: &Mapping, id: &str) -> Result<One, Error> {
        let Some(path) = path_of(id) else { return Ok(None) };
        let asked = self.service.get(Route::FIND, &path, &[], Sent::Nothing).await;
        let Some(answer) = unless_gone(asked)? else { return Ok(None) };
        let account = UserReader::new(&TABLE, mapping).one(&answer)?;
        let other = || unreadable("the answer names another user");
        (*account.id == *id).then_some(Some(account)).ok_or_else(other)
    }

    /// Returns the users with a member that is exactly this value (JumpCloud API v1, `filter`: the
    /// comparison is case-sensitive).
    async fn by_member(
        &self,
        mapping: &Mapping,
        name: &str,
        text: &str,
    ) -> Result<FoundAccounts, Error> {
        let reader = UserReader::new(&TABLE, mapping);
        let (filter, fields) = (format!("{name}:$eq:{text}"), reader.members().join(" "));
        let query = [
            ("filter", &*filter),
            ("limit", FEW),
            ("skip", "0"),
            ("sort", "_id"),
            ("fields", &*fields),
        ];
        let answer = self.service.get(Route::FIND, USERS, &query, Sent::Key(text)).await;
        reader.found(&searched(answer)?)
    }

    /// Returns the users with an e-mail. The first address is in the form in which it is most
    /// likely kept. If no user has it, the second one is as written in Bob.
    async fn by_email(&self, mapping: &Mapping, email: &str) -> Result<FoundAccounts, Error> {
        let lower = email.to_lowercase();
        let mut found = Vec::new();
        for address in [&*lower, email].into_iter().take(if lower == email { 1 } else { 2 }) {
            found = self.by_member(mapping, "email", address).await?;
            keep_those_with(Key::Email(email), &mut found);
            if !found.is_empty() {
                break;
            }
        }
        Ok(found)
    }

    async fn write(
        &self,
        call: &Call<'_>,
        of: Of<'_>,
        state: Option<AccountState>,
    ) -> Result<Written, Error> {
        let answer = match self.service.call(call).await {
            // The text is "User already exists or Bad Request". Only a search tells which, and
            // which value another account has.
            Err(
                error @ (Error::Duplicate { field: None } | Error::Rejected { field: None, .. }),
            ) => {
                return Err(match self.in_the_way(of.mapping, of.id, call).await? {
                    None => error,
                    field => Error::Duplicate { field },
                });
            }
            answer => answer?,
        };
        UserReader::new(&TABLE, of.mapping).written(of, state, &answer, None)
    }

    /// Returns which of the values that have to be unique another account has.
    async fn in_the_way(
        &self,
        mapping: &Mapping,
        own: Option<&str>,
        call: &Call<'_>,
    ) -> Result<Option<String>, Error> {
        let body = call.body.as_deref().and_then(|body| serde_json::from_slice(body).ok());
        let sent: Map<String, Value> = body.unwrap_or_default();
        for name in UNIQUE {
            let Some(text) = sent.get(name).and_then(Value::as_str) else { continue };
            let found = match name {
                "email" => self.by_email(mapping, text).await?,
                _ => self.by_member(mapping, name, text).await?,
            };
            if found.iter().any(|account| own.is_none_or(|own| *account.id != *own)) {
                return Ok(Some(name.to_owned()));
            }
        }
        Ok(None)
    }
}

/// Returns the username of a new account, if another one may be chosen in its place.
fn free_username<'w>(mapping: &Mapping, write: &'w AccountWrite) -> Option<&'w str> {
    let row = &mapping.rows[mapping.username];
    let free = row.compare == Compare::Numbered && row.on_create_only;
    write.text(mapping.username).filter(|_| free)
}

/// Returns the address of one user. Ids are 24 hexadecimal digits. A text that could be another
/// address is not an id.
fn path_of(id: &str) -> Option<String> {
    let plain = (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    plain.then(|| format!("{USERS}/{id}"))
}

impl Directory for JumpCloud {
    const CATALOG: &'static Catalog = &CATALOG;

    /// The id of the organization. The right to list users is enough to learn it.
    async fn tenant(&self, ask: bool) -> Option<String> {
        let named = Some(&*self.tenant().organization).filter(|named| !named.is_empty());
        let query =
            [("limit", "1"), ("skip", "0"), ("sort", "_id"), ("fields", "_id organization")];
        let asked = self.service.get(Route::LIST, USERS, &query, Sent::Nothing);
        let id = self.organization.known(&TABLE, named, ask, asked).await?;
        Some(format!("jumpcloud organization {id}"))
    }

    /// Reads every page. If users were added or removed between the pages, reads everything once
    /// more, so that no user is missed that moved from one page to another: there is no search for
    /// marks that could find it later.
    async fn list(&self, mapping: &Mapping, sink: Sink<'_>) -> Result<Listing, Error> {
        let (page, mut known) =
            (CATALOG.capabilities.page, HashSet::<_, foldhash::fast::RandomState>::default());
        let mut once = |account: Account<'_>| {
            if known.insert(short(&account.id)) {
                sink(self.ours(account));
            }
        };
        let whole = self.sweep(mapping, Lister::new(page), &mut once).await?;
        if !whole {
            self.sweep(mapping, Lister::going_on(page), &mut once).await?;
        }
        let accounts = u32::try_from(known.len()).unwrap_or(u32::MAX);
        Ok(Listing { accounts, whole, unavailable: Vec::new() })
    }

    async fn find(&self, mapping: &Mapping, key: Key<'_>) -> Result<FoundAccounts, Error> {
        let found = match key {
            Key::Id(id) => Vec::from_iter(self.by_id(mapping, id).await?),
            Key::Email(email) => self.by_email(mapping, email).await?,
            Key::Mark(_) | Key::MarkOrAddress(..) => {
                let said = "JumpCloud has no search for custom attributes".to_owned();
                return Err(Error::Rejected { field: None, said });
            }
        };
        Ok(found.into_iter().map(|account| self.ours(account)).collect())
    }

    async fn create(&self, new: New<'_>) -> Result<Written, Error> {
        let New { mapping, write, initial } = new;
        let of = Of::new(mapping, write);
        let mut members = body(of)?;
        let access = write.access.unwrap_or(Access::Active);
        let staged = access == Access::Active && initial.password.is_none() && self.tenant().stages;
        writer::put_access(&TABLE, access, &mut members);
        if staged {
            members.insert("state".to_owned(), json!("STAGED"));
        }
        let mut password = Password::Absent;
        // This asks JumpCloud to say why a password is refused (JumpCloud API v1, `User_Create`).
        let mut query: &[(&str, &str)] = &[];
        if let Some(default) = initial.password {
            members.insert("password".to_owned(), json!(default.expose()));
            password = Password::Default(default.expose());
            query = &[("fullValidationDetails", "password")];
        }
        let wanted = if staged { AccountState::Staged } else { state_of(access) };
        let name = free_username(mapping, write);
        let mut number = 1;
        let written = loop {
            let sent = Sent::Create(mapping, write, password);
            let call = Call { query, ..Call::create(USERS, sent).with(members.clone()) };
            match (self.write(&call, of, Some(wanted)).await, name) {
                (Err(Error::Duplicate { field: Some(field) }), Some(name))
                    if field == "username" && number < MOST_NUMBERS =>
                {
                    number += 1;
                    members.insert(field, json!(format!("{name}.{number}")));
                }
                (outcome, _) => break outcome?,
            }
        };
        let finished = Directory::finish(self, &written.account.id, initial).await;
        finished.map_err(|error| Error::unknown(error.to_string()))?;
        Ok(written)
    }

    /// Expires the password of a new account if its owner has to choose another one. There is no
    /// field for it.
    async fn finish(&self, id: &str, initial: &Initial<'_>) -> Result<(), Error> {
        if !initial.change_at_first_login || initial.password.is_none() {
            return Ok(());
        }
        let path = format!("{}/expire", path_of(id).ok_or(Error::NotFound)?);
        // Expiring twice has the same effect as once.
        let pauses =
            std::iter::successors(Some(Duration::from_millis(250)), |pause| Some(*pause * 2));
        let expire = async || {
            let (urgency, sent) = (Urgency::Urgent, Sent::Nothing);
            let call = Call::write(EXPIRE, urgency, Method::POST, &path, sent);
            self.service.call(&call).await.map(drop)
        };
        settled(pauses, PERSISTENCE, Error::may_pass, expire).await
    }

    async fn update(&self, change: AccountChange<'_>) -> Result<Written, Error> {
        let AccountChange { mapping, write, id, urgency } = change;
        let path = path_of(id).ok_or(Error::NotFound)?;
        // Entries of others are sent along, so they have to be known.
        let needs = needs_foreign(&TABLE, mapping, write);
        let write = &*with_foreign(write, needs, self.by_id(mapping, id)).await?;
        let of = Of::change(mapping, write, id);
        let call = Call::write(Route::UPDATE, urgency, Method::PUT, &path, of.sent());
        self.write(&call.with(body(of)?), of, None).await
    }
}
