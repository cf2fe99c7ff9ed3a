//! Microsoft Entra ID, through Microsoft Graph, version 1.0.
//!
//! [`catalog`] is known without a connection; `dialect` makes calls; `mark` is where Bob's id is;
//! `paths` and `write` are what is special on the wire; `batch` sends waiting writes together;
//! `errors` turns refusals into what to do. This file has the calls.

pub mod catalog;

mod batch;
mod dialect;
mod errors;
mod mark;
mod paths;
mod write;

pub use catalog::{CATALOG, pacer};
pub use dialect::{App, Cloud, Tenant};
pub use mark::Mark;

use self::{
    catalog::TABLE,
    dialect::EntraDialect,
    errors::{EXTENSION, MANAGER, SESSIONS, sensitive, speaks_of_lag},
    paths::{is_id, user_path},
    write::{ManagerReference, WriteCalls, apart, complete, parts},
};
use crate::provider::prelude::*;

/// The largest pages, without and with managers (Microsoft Graph, "List users", known issue 13635).
const PAGE: usize = 999;
const PAGE_WITH_MANAGERS: usize = CATALOG.capabilities.page;

/// How long it is remembered whether a directory extension is defined.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The pauses between tries to finish a new user, which not all of the directory knows yet.
const LAG: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// How long finishing a new user may take. The pauses end it much earlier.
const WITHIN: Duration = Duration::from_secs(600);

/// How long after its creation a refusal may mean that not all of the directory knows a user yet.
const YOUNG: Duration = Duration::from_secs(120);

/// How a write is sent: how urgent it is, and what must not come back in a text.
#[derive(Clone, Copy)]
struct How<'a> {
    urgency: Urgency,
    sent: Sent<'a>,
}

/// The last answer to a write, if there was one.
type Asked = Result<Option<Answer>, Error>;

/// One Entra ID tenant, through one app registration.
pub struct Entra {
    tenant: Arc<Tenant>,
    graph: Service<EntraDialect>,
    lane: Lane,
    /// Whether a directory extension is defined, as the last answer said.
    extensions: Facts<bool>,
    /// Users that were made lately.
    young: Facts<()>,
}

impl Entra {
    /// Prepares the connection and calls nothing yet. All callers of this tenant share the pacer.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the TLS settings of this machine cannot be used.
    pub fn new(tenant: Tenant, app: App, hooks: Hooks, pacer: Arc<Pacer>) -> Result<Self, Error> {
        let tenant = Arc::new(tenant);
        let graph = Service::new(EntraDialect::new(Arc::clone(&tenant), app), hooks, pacer)?;
        let (extensions, young) = (Facts::new(REMEMBERED), Facts::new(YOUNG));
        Ok(Self { tenant, graph, lane: Lane::default(), extensions, young })
    }

    fn path(&self, below: &str) -> String {
        self.graph.dialect().path(below)
    }

    /// Returns a reader of all rows.
    fn reader_of_all<'m>(&'m self, mapping: &'m Mapping) -> UserReader<'m> {
        let mark = Place::of(&TABLE.mark, self.tenant.mark.attribute());
        UserReader::marked(&TABLE, mapping, mark)
    }

    /// Returns a reader that leaves out directory extensions that are known to be missing.
    fn reader<'m>(&'m self, mapping: &'m Mapping) -> UserReader<'m> {
        let mut reader = self.reader_of_all(mapping);
        let missing: Vec<usize> = extensions(&reader)
            .filter(|(_, name)| self.extensions.get(name) == Some(false))
            .map(|(row, _)| row)
            .collect();
        reader.leave_out(&missing);
        reader
    }

    /// Returns the account with Bob's id in place of its form in the mark.
    fn ours<'a>(&self, account: Account<'a>) -> Account<'a> {
        Account { mark: account.mark.map(|text| self.tenant.mark.decode(text)), ..account }
    }

    async fn get(&self, route: Route, path: &str, sent: Sent<'_>) -> Result<Answer, Error> {
        self.graph.get(route, path, &[], sent).await
    }

    /// Returns the rows of directory extensions that the tenant lacks. Asks for each once in a
    /// while, by a filter, because a list silently leaves out what does not exist.
    async fn undefined(&self, reader: &UserReader<'_>) -> Result<Vec<usize>, Error> {
        let mut missing = Vec::new();
        for (row, name) in extensions(reader) {
            if !self.is_defined(name).await? {
                missing.push(row);
            }
        }
        if let Mark::Extension(name) = &self.tenant.mark
            && !self.is_defined(name).await?
        {
            let said = "markAttribute names a directory extension that this tenant does not have: \
                define it, with a service principal of its app";
            return Err(Error::Denied { said: said.to_owned() });
        }
        Ok(missing)
    }

    async fn is_defined(&self, extension: &str) -> Result<bool, Error> {
        if let Some(defined) = self.extensions.get(extension) {
            return Ok(defined);
        }
        let filter = encoded(&format!("{extension} eq '-'"));
        let path = self.path(&format!("/users?$filter={filter}&$select=id&$top=1"));
        let defined = match self.get(EXTENSION, &path, Sent::Nothing).await {
            Err(Error::NotFound) => false,
            // If the service cannot tell, a write will.
            Ok(_) | Err(Error::Unavailable { .. }) => true,
            Err(error) => return Err(error),
        };
        self.extensions.set(extension, defined);
        Ok(defined)
    }

    /// Refuses a write of an attribute that is known to be missing, before it is sent.
    fn check_defined(&self, mapping: &Mapping, write: &AccountWrite) -> Result<(), Error> {
        undefined_in(mapping, write, |target| self.extensions.get(target) == Some(false))
    }

    /// Asks again about a directory extension that a refusal has named. Returns the outcome.
    async fn doubting<T>(&self, mapping: &Mapping, outcome: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::Rejected { field: Some(name), .. }) = &outcome
            && name.starts_with("extension_")
        {
            self.extensions.forget(name);
            if let Err(error) = self.undefined(&self.reader_of_all(mapping)).await {
                tracing::debug!(
                    category = error.category(),
                    "whether a directory extension is defined could not be asked"
                );
            }
        }
        outcome
    }

    /// Reads one user by id or name. Unlike a search, it shows writes as soon as a copy has them.
    async fn by_key(&self, mapping: &Mapping, key: &str) -> Result<One, Error> {
        // A key of only dots would be another address.
        if key.bytes().all(|b| b == b'.') {
            return Ok(None);
        }
        let reader = self.reader(mapping);
        let path = self.path(&format!("{}?{}", user_path(key), query(&reader)));
        match self.get(Route::FIND, &path, Sent::Key(key)).await {
            Ok(answer) => Ok(Some(self.ours(reader.one(&answer)?))),
            Err(Error::NotFound) => Ok(None),
            // The refusal is about this account only.
            Err(Error::Denied { said }) => Err(Error::Forbidden { said }),
            Err(error) => Err(error),
        }
    }

    /// Returns the users with this value in an attribute. `key` is what the value was made of.
    async fn search(
        &self,
        mapping: &Mapping,
        attribute: &str,
        value: &str,
        key: &str,
    ) -> Result<FoundAccounts, Error> {
        let reader = self.reader(mapping);
        // In a text, a quote is written twice (OData 4.01, URL conventions, 5.1.1.6.2).
        let filter = encoded(&format!("{attribute} eq '{}'", value.replace('\'', "''")));
        let path = self.path(&format!("/users?$filter={filter}&{}", query(&reader)));
        let answer = self.get(Route::FIND, &path, Sent::Key(key)).await;
        let found = reader.found(&searched(answer)?)?;
        Ok(found.into_iter().map(|account| self.ours(account)).collect())
    }

    /// Returns the error of a create with a taken address, in the meaning that it has for this
    /// employee. If the user with the address has no mark, or has this employee's mark, and has
    /// another name, a second user of the same employee would be made.
    async fn whose_address(&self, mapping: &Mapping, write: &AccountWrite, error: Error) -> Error {
        let Error::Duplicate { field: Some(field) } = &error else { return error };
        if field != "mail" && !field.eq_ignore_ascii_case("proxyAddresses") {
            return error;
        }
        let row = |target: &str| mapping.rows.iter().position(|row| *row.target == *target);
        let sent = |target| write.text(row(target)?);
        let Some(address) = sent("mail").or_else(|| sent("userPrincipalName")) else {
            return error;
        };
        let found = self.search(mapping, "mail", address, address).await.unwrap_or_default();
        let theirs = |mark: Option<&str>| mark.is_none() || mark == write.mark.as_deref();
        if !found.iter().any(|account| theirs(account.mark.as_deref())) {
            return error;
        }
        let said = "an account with this mail has another userPrincipalName: where people log in \
            by another name than their mail, map userPrincipalName to that name (formula or cel) \
            and mail to the address";
        Error::Conflict { said: said.to_owned() }
    }

    /// Finishes a new account, and returns whether it succeeded. The next pass sees what it lacks.
    async fn soon<F: Future<Output = Asked>>(&self, call: impl Fn() -> F) -> bool {
        let again = |error: &Error| error.may_pass() || *error == Error::NotFound;
        let outcome = settled(LAG, WITHIN, again, call).await;
        if let Err(error) = &outcome {
            tracing::debug!(
                category = error.category(),
                "what belongs to a new account could not be written yet"
            );
        }
        outcome.is_ok()
    }

    async fn change(&self, change: AccountChange<'_>) -> Result<Written, Error> {
        let AccountChange { mapping, id, write, urgency } = change;
        is_id(id).then_some(()).ok_or(Error::NotFound)?;
        self.check_defined(mapping, write)?;
        let needs = needs_foreign(&TABLE, mapping, &AccountWrite { mark: None, ..write.clone() });
        let write = &*with_foreign(write, needs, self.by_key(mapping, id)).await?;
        let of = Of::change(mapping, write, id);
        let WriteCalls { members, manager, ends, .. } = parts(&self.tenant, of)?;
        let how = How { urgency, sent: of.sent() };
        let (mut last, mut left, mut refused, mut unset_manager) = (None, None, None, false);
        if !members.is_empty() {
            match self.patch(id, members.clone(), how).await {
                Ok(answer) => last = answer,
                // The engine takes access in a write of its own, so there is no harmless part.
                Err(Error::Forbidden { said }) if write.access != Some(Access::Suspended) => {
                    let (error, kept) = self.harmless_part(id, &members, how, said).await?;
                    let is_kept = |row: &usize| {
                        mapping.rows.get(*row).is_some_and(|row| kept.contains_key(&*row.target))
                    };
                    let rows =
                        write.attributes.iter().map(|(row, _)| *row).filter(is_kept).collect();
                    match write.access {
                        None => left = Some(LeftUndone { error, rows, sessions: false }),
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
                    left = Some(LeftUndone { error, rows: Vec::new(), sessions: true })
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(manager) = manager {
            match self.set_manager(id, manager, how).await {
                Ok(answer) => last = answer.or(last),
                Err(error @ (Error::Forbidden { .. } | Error::Rejected { .. }))
                    if !members.is_empty() =>
                {
                    let none = LeftUndone { error, rows: Vec::new(), sessions: false };
                    left.get_or_insert(none).rows.extend(mapping.manager);
                }
                // Not all of the directory knows the manager yet. All other attributes are written.
                Err(Error::NotFound) => unset_manager = true,
                Err(error) => return Err(error),
            }
        }
        match refused {
            Some(error) => Err(error),
            None => Ok(Written {
                account: match as_sent(mapping, write, id.to_owned()) {
                    account if unset_manager => without(mapping, account, catalog::MANAGER),
                    account => account,
                },
                request_id: last.as_ref().and_then(|answer| request_id(answer, "request-id")),
                left,
            }),
        }
    }

    async fn make(&self, New { mapping, write, initial }: New<'_>) -> Result<Written, Error> {
        self.check_defined(mapping, write)?;
        let of = Of::new(mapping, write);
        let WriteCalls { mut members, later, manager, .. } = parts(&self.tenant, of)?;
        let password = First::of(initial)?;
        let change = initial.change_at_first_login;
        complete(&self.tenant, &mut members, password.secret().expose(), change)?;
        let path = self.path("/users");
        let call = Call::create(&path, Sent::Create(mapping, write, password.sent()));
        let answer = match self.send(call.with(members)).await {
            Err(error) => return Err(self.whose_address(mapping, write, error).await),
            Ok(answer) => answer,
        };
        let mut account = made(mapping, write, &answer).map_err(Error::unknown)?;
        self.young.set(&account.id, ());
        let how = How { urgency: Urgency::Normal, sent: of.sent() };
        if !later.is_empty() && !self.soon(|| self.patch(&account.id, later.clone(), how)).await {
            account = without(mapping, account, catalog::NUMBERED);
        }
        if let Some(manager) = manager
            && !self.soon(|| self.set_manager(&account.id, manager, how)).await
        {
            account = without(mapping, account, catalog::MANAGER);
        }
        Ok(Written { account, request_id: request_id(&answer, "request-id"), left: None })
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
        how: How<'_>,
        said: String,
    ) -> Result<(Error, Map<String, Value>), Error> {
        let (kept, harmless) = apart(members);
        if kept.is_empty() || harmless.is_empty() {
            return Err(Error::Forbidden { said });
        }
        match self.patch(id, harmless, how).await {
            Ok(_) => {
                let names: Vec<&str> = kept.keys().map(String::as_str).collect();
                let said = format!("{} of an administrator: {said}", sensitive(&names));
                Ok((Error::Forbidden { said }, kept))
            }
            Err(Error::Forbidden { .. }) => Err(Error::Forbidden { said }),
            Err(error) => Err(error),
        }
    }

    async fn patch(&self, id: &str, members: Map<String, Value>, how: How<'_>) -> Asked {
        let path = self.path(&user_path(id));
        let call = Call::write(Route::UPDATE, how.urgency, Method::PATCH, &path, how.sent);
        let answer = match self.send(call.with(members)).await {
            // Nothing was applied, and a later try will succeed.
            Err(Error::Rejected { field: None, said })
                if speaks_of_lag(&said) && self.young.get(id).is_some() =>
            {
                let said =
                    format!("the directory does not know this new user everywhere yet: {said}");
                return Err(Error::unavailable(said));
            }
            answer => answer?,
        };
        confirmed(id, &answer).map_err(Error::unknown)?;
        Ok(Some(answer))
    }

    /// Sets the manager by a reference, or removes the manager, if there is one.
    async fn set_manager(&self, id: &str, manager: ManagerReference<'_>, how: How<'_>) -> Asked {
        let path = self.path(&format!("{}/manager/$ref", user_path(id)));
        let call = |method| Call::write(MANAGER, how.urgency, method, &path, how.sent);
        let call = match manager {
            ManagerReference::To(manager) => {
                let target = format!("{}/v1.0{}", self.tenant.cloud.graph, user_path(manager));
                call(Method::PUT).with(Map::from_iter([("@odata.id".to_owned(), json!(target))]))
            }
            ManagerReference::Gone => call(Method::DELETE),
        };
        match self.send(call).await {
            Ok(answer) => Ok(Some(answer)),
            Err(Error::NotFound) if manager == ManagerReference::Gone => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends the sessions of a user who lost access. If it fails, the whole change is repeated.
    async fn end_sessions(&self, id: &str, urgency: Urgency) -> Result<(), Error> {
        let path = self.path(&format!("{}/revokeSignInSessions", user_path(id)));
        let call = Call::write(SESSIONS, urgency, Method::POST, &path, Sent::Nothing);
        match repeatable(self.send(call).await) {
            Err(Error::Forbidden { said }) => {
                let what = "access is taken, and open sessions cannot be ended without the \
                    application permission User.RevokeSessions.All";
                Err(Error::forbidden(format!("{what}: {said}")))
            }
            outcome => outcome,
        }
    }

    /// Makes a write, alone or with others.
    async fn send(&self, call: Call<'_>) -> Result<Answer, Error> {
        match call.urgency {
            // An urgent write goes alone.
            Urgency::Urgent => self.graph.call(&call).await,
            Urgency::Normal => self.lane.send(&self.graph, &call).await,
        }
    }
}

/// Returns the directory extensions that are mapped, with their rows.
fn extensions<'m>(reader: &UserReader<'m>) -> impl Iterator<Item = (usize, &'m str)> {
    let all = reader.places().map(|(row, place)| (row, place.target));
    all.filter(|(_, name)| name.starts_with("extension_"))
}

/// Returns whether managers have to be asked for.
fn has_manager(reader: &UserReader<'_>) -> bool {
    reader.family(catalog::MANAGER).next().is_some()
}

/// Returns the query of a read. Without it, Graph shows eleven properties, without state and mark.
fn query(reader: &UserReader<'_>) -> String {
    let expand = if has_manager(reader) { "&$expand=manager($select=id)" } else { "" };
    format!("$select={}{expand}", reader.members().join(","))
}

/// Returns whether the answer to a change confirms it: it is empty, or it is the user.
fn confirmed(id: &str, answer: &Answer) -> Result<(), &'static str> {
    if answer.body.is_empty() {
        return Ok(());
    }
    let user = TABLE.user(answer).ok_or("the answer is not a user")?;
    match user.text("id") {
        Some(answered) if !answered.eq_ignore_ascii_case(id) => {
            Err("the answer names another account")
        }
        _ => Ok(()),
    }
}

/// Returns the new account: its id as it was answered, the rest as it was sent. The answer shows
/// neither state nor mark.
fn made(
    mapping: &Mapping,
    write: &AccountWrite,
    answer: &Answer,
) -> Result<Account<'static>, &'static str> {
    let user = TABLE.user(answer).ok_or("the answer is not a user")?;
    let id = user.text("id").ok_or("the answer names no account")?;
    let suspended = write.access == Some(Access::Suspended);
    if user.read("accountEnabled") == Some(suspended) {
        return Err("the answered state is not the one that was asked for");
    }
    let mut account = as_sent(mapping, write, id.into_owned());
    if write.access.is_none() {
        account.state = AccountState::Active;
    }
    Ok(account)
}

/// Returns the account without the values in this member, which could not be written yet.
fn without(mapping: &Mapping, mut account: Account<'static>, member: &str) -> Account<'static> {
    for (row, value) in mapping.rows.iter().zip(&mut account.attributes) {
        if row.target.split('.').next() == Some(member) {
            *value = None;
        }
    }
    account
}

impl Directory for Entra {
    const CATALOG: &'static Catalog = &CATALOG;

    async fn tenant(&self, ask: bool) -> Option<String> {
        Some(format!("entra directory {}", self.graph.tenant(ask).await?))
    }

    async fn list(&self, mapping: &Mapping, sink: Sink<'_>) -> Result<Listing, Error> {
        let mut reader = self.reader_of_all(mapping);
        let mut unavailable = self.undefined(&reader).await?;
        reader.leave_out(&unavailable);
        let page = if has_manager(&reader) { PAGE_WITH_MANAGERS } else { PAGE };
        let mut lister = Lister::new(page);
        let first = |reader: &UserReader<'_>, size: usize| {
            self.path(&format!("/users?{}&$top={size}", query(reader)))
        };
        let mut path = first(&reader, lister.size());
        let mut ours = |account: Account<'_>| sink(self.ours(account));
        loop {
            lister.goes_to(&path)?;
            let asked = lister.page(async |size| {
                self.get(Route::LIST, &sized(&path, "$top", size), Sent::Nothing).await
            });
            let answer = match asked.await {
                Err(Error::Rejected { field: Some(name), said }) => {
                    // The list lacks an extension that the probe saw. Each row is left out once.
                    self.extensions.set(&name, false);
                    let missing = self.undefined(&self.reader_of_all(mapping)).await?;
                    if missing.len() == unavailable.len() {
                        return Err(unreadable(&said));
                    }
                    unavailable = missing;
                    reader.leave_out(&unavailable);
                    path = first(&reader, lister.size());
                    continue;
                }
                answer => answer?,
            };
            let page = reader.page(&answer)?;
            lister.take(&reader, &page, |id| Some(short(id)), &mut ours)?;
            let Some(link) = page.rest.text("@odata.nextLink") else {
                return Ok(lister.listing(!lister.repeats(), unavailable));
            };
            path = path_of_link(self.graph.dialect().base(), &link)?;
        }
    }

    async fn find(&self, mapping: &Mapping, key: Key<'_>) -> Result<FoundAccounts, Error> {
        let mark = &self.tenant.mark;
        let mut found = match key {
            Key::Id(id) if !is_id(id) => Vec::new(),
            Key::Id(id) => {
                let found = self.by_key(mapping, id).await?;
                return Ok(found
                    .into_iter()
                    .filter(|one| one.id.eq_ignore_ascii_case(id))
                    .collect());
            }
            Key::Email(name) => Vec::from_iter(self.by_key(mapping, name.trim()).await?),
            Key::Mark(id) | Key::MarkOrAddress(id, _) => match mark.encode(id) {
                Some(value) => self.search(mapping, mark.attribute(), &value, id).await?,
                None => Vec::new(),
            },
        };
        keep_those_with(key, &mut found);
        Ok(found)
    }

    async fn update(&self, change: AccountChange<'_>) -> Result<Written, Error> {
        self.doubting(change.mapping, self.change(change).await).await
    }

    async fn create(&self, new: New<'_>) -> Result<Written, Error> {
        self.doubting(new.mapping, self.make(new).await).await
    }
}
