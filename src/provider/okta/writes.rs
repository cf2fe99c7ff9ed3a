//! Creates, changes, and the steps from one status to another.

use super::{
    Okta, User,
    catalog::TABLE,
    errors::{LIFECYCLE, SESSIONS},
    schema::Schema,
    steps::{Goal, LifecycleStep, Next, Now},
};
use crate::{domain::mapping::equal, provider::prelude::*};

/// The most steps of the life cycle in one change: two lead from LOCKED_OUT to SUSPENDED.
const MOST_STEPS: u32 = 5;

/// How long the end of a transition is waited for. A later try waits again.
const WITHIN: Duration = Duration::from_secs(5);

/// The user that a step is for, and how urgent the step is.
#[derive(Clone, Copy)]
struct Whom<'a> {
    id: &'a str,
    urgency: Urgency,
}

impl Okta {
    /// Returns the profile of a write. `None` if there is nothing to write.
    async fn profile(&self, of: Of<'_>) -> Result<Option<Map<String, Value>>, Error> {
        let Of { mapping, write, .. } = of;
        let is_own = |target: &str| !super::is_base(target);
        let mut targets = write.attributes.iter().filter_map(|(row, _)| mapping.rows.get(*row));
        let schema =
            if targets.any(|row| is_own(&row.target)) { self.attributes().await? } else { None };
        let known = |schema: &Schema, target: &str| !is_own(target) || schema.has(target);
        undefined_in(mapping, write, |target| {
            schema.as_ref().is_some_and(|schema| !known(schema, target))
        })?;
        let mut body = attributes(&TABLE, of, |place, text, _| {
            let schema = schema.as_ref().filter(|_| is_own(place.target));
            Ok(match (schema, text) {
                (Some(schema), Some(text)) => Own::Value(schema.value(place.target, text)),
                _ => Own::Table,
            })
        })?;
        if let Some(mark) = &write.mark {
            object(&mut body, "profile").insert(self.tenant.mark.clone(), json!(mark));
        }
        Ok((!body.is_empty()).then_some(body))
    }

    /// Makes an account.
    pub(super) async fn make(
        &self,
        New { mapping, write, initial }: New<'_>,
    ) -> Result<Written, Error> {
        let mut body = self.profile(Of::new(mapping, write)).await?.ok_or_else(nothing)?;
        let (mut password, active) = (Password::Absent, write.access != Some(Access::Suspended));
        if let Some(default) = initial.password {
            password = Password::Default(default.expose());
            let value = json!({"password": {"value": default.expose()}});
            body.insert("credentials".to_owned(), value);
        }
        // Okta mails everyone who is activated by a create without a password.
        let activates = active && (initial.password.is_some() || self.tenant.mails);
        let mut query = vec![("activate", if activates { "true" } else { "false" })];
        if activates && initial.password.is_some() && initial.change_at_first_login {
            query.push(("nextLogin", "changePassword"));
        }
        let path = self.service.dialect().users();
        let sent = Sent::Create(mapping, write, password);
        let call = Call::create(&path, sent).with(body);
        let answer = self.call(mapping, &Call { query: &query, ..call }).await?;
        let user = self.told(mapping, &answer, None)?;
        let id = &*user.account.id.clone();
        let user = if active && !activates {
            let (whom, goal) = (Whom { id, urgency: Urgency::Normal }, self.goal(write));
            let reached = self.lead(mapping, whom, user, goal).await;
            reached.map_err(|error| Error::Unknown { said: error.said() })?
        } else if user.now.changes {
            // The account is there. If it takes longer, a later pass sees its status.
            self.settled(mapping, id).await.unwrap_or(user)
        } else {
            user
        };
        let account = user.account;
        Ok(Written { account, request_id: request_id(&answer, REQUEST), left: None })
    }

    /// Changes an account: attributes first, so that they are in place before a deactivation, and
    /// before an activation mails the owner.
    pub(super) async fn change(&self, change: AccountChange<'_>) -> Result<Written, Error> {
        let AccountChange { mapping, write, id, urgency } = change;
        self.service.dialect().user(id).ok_or(Error::NotFound)?;
        let mut body = self.profile(Of { mapping, write, id: Some(id) }).await?;
        if write.access.is_none() {
            let body = body.ok_or_else(nothing)?;
            return self.post(change, body).await;
        }
        let (whom, goal) = (Whom { id, urgency }, self.goal(write));
        let before = self.settled(mapping, id).await?;
        if goal.next(&before.now) == Next::ByHand {
            return Err(self.by_hand(whom, &before.now, goal).await);
        }
        let mut written = None;
        if !before.now.is_deactivated()
            && let Some(body) = body.take()
        {
            written = Some(self.post(change, body).await?);
        }
        let User { mut account, now } = self.lead(mapping, whom, before, goal).await?;
        let mut left = written.as_mut().and_then(|written| written.left.take());
        if let Some(body) = body {
            let rows = || write.attributes.iter().map(|(row, _)| *row).collect();
            let late = if now.is_deactivated() {
                let said = "Okta does not change the profile of a DEPROVISIONED account";
                Err(unreadable(said))
            } else {
                self.post(change, body).await
            };
            match late {
                Ok(late) => {
                    account =
                        Account { state: account.state, phase: account.phase, ..late.account };
                    left = late.left;
                }
                Err(error) => left = Some(LeftUndone { error, rows: rows(), sessions: false }),
            }
        }
        if write.access == Some(Access::Suspended) && now.status == "SUSPENDED" {
            match self.end_sessions(whom).await {
                Ok(()) => {}
                Err(error @ Error::Forbidden { .. }) => {
                    let rows = left.map(|left| left.rows).unwrap_or_default();
                    left = Some(LeftUndone { error, rows, sessions: true });
                }
                Err(error) => return Err(error),
            }
        }
        let request_id = written.and_then(|written| written.request_id);
        Ok(Written { account, request_id, left })
    }

    fn goal(&self, write: &AccountWrite) -> Goal<'_> {
        let access = write.access.unwrap_or(Access::Active);
        Goal { access, occasion: write.occasion, tenant: &self.tenant, locked: false }
    }

    /// Writes attributes of an account.
    async fn post(
        &self,
        change: AccountChange<'_>,
        body: Map<String, Value>,
    ) -> Result<Written, Error> {
        let AccountChange { mapping, id, write, urgency } = change;
        let path = self.service.dialect().user(id).ok_or(Error::NotFound)?;
        let sent = Sent::Write(mapping, write);
        let call = Call::write(Route::UPDATE, urgency, Method::POST, &path, sent).with(body);
        let answer = match self.call(mapping, &call).await {
            Err(Error::NotFound) if self.by_id(mapping, id).await?.is_some() => {
                // Okta answers so to any change of a DEPROVISIONED user (okta-sdk-java issue 721).
                return Err(unreadable("the account was deactivated meanwhile"));
            }
            answer => answer?,
        };
        let account = self.told(mapping, &answer, Some(id))?.account;
        let left = self.ignored(Of { mapping, write, id: Some(id) }, &account, &answer)?;
        match left {
            Some(left) if left.rows.len() == write.attributes.len() => Err(left.error),
            left => Ok(Written { account, request_id: request_id(&answer, REQUEST), left }),
        }
    }

    /// Makes a write with attributes. An attribute that Okta does not know may be gone since the
    /// schema was read.
    async fn call(&self, mapping: &Mapping, call: &Call<'_>) -> Result<Answer, Error> {
        let answer = self.service.call(call).await;
        match &answer {
            Ok(answer) => self.note(answer),
            Err(Error::Rejected { field: Some(field), .. })
                if mapping.position(field).is_some() && !super::is_base(field) =>
            {
                self.schema.forget();
            }
            Err(_) => {}
        }
        answer
    }

    /// Returns the user in the answer to a write.
    fn told(&self, mapping: &Mapping, answer: &Answer, id: Option<&str>) -> Result<User, Error> {
        let no = |said: &str| Error::Unknown { said: said.to_owned() };
        let account =
            self.reader(mapping).one(answer).map_err(|_| no("the answer is not a user"))?;
        if id.is_some_and(|id| *account.id != *id) {
            return Err(no("the answer names another account"));
        }
        let now = TABLE.user(answer).and_then(|user| Now::of(&user));
        let now = now.ok_or_else(|| no("the answer shows no status"))?;
        Ok(User { account, now })
    }

    /// Returns the rows that Okta has answered with success and not changed.
    ///
    /// # Errors
    /// The mark was not changed.
    fn ignored(
        &self,
        of: Of<'_>,
        account: &Account<'_>,
        answer: &Answer,
    ) -> Result<Option<LeftUndone>, Error> {
        let Of { mapping, write, .. } = of;
        let before: Option<Value> =
            write.foreign.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let had = |target: &str| {
            let value = before.as_ref()?["profile"].get(target)?;
            scalar(&value.to_string()).map(Cow::into_owned)
        };
        let is_ignored = |row: usize, value: &NewValue| {
            let Some(row_of) = mapping.rows.get(row) else { return false };
            let have = account.attributes.get(row).and_then(Option::as_deref);
            match (value, have) {
                (NewValue::Clear, None) => false,
                (NewValue::Clear, Some(_)) | (NewValue::Set(_), None) => true,
                (NewValue::Set(want), Some(have)) if equal(row_of.compare, have, want) => false,
                // Another form of the value is kept differently, and is no refusal.
                (NewValue::Set(want), Some(have)) => {
                    had(&row_of.target).is_some_and(|had| had == have)
                        && letters(have) != letters(want)
                }
            }
        };
        let rows: Vec<usize> = write
            .attributes
            .iter()
            .filter(|(row, value)| is_ignored(*row, value))
            .map(|(row, _)| *row)
            .collect();
        let mark = write.mark.as_deref().is_some_and(|mark| account.mark.as_deref() != Some(mark));
        if rows.is_empty() && !mark {
            return Ok(None);
        }
        let names: Vec<&str> = rows.iter().map(|row| &*mapping.rows[*row].target).collect();
        let names = if mark { self.tenant.mark.clone() } else { names.join(", ") };
        let said = "Okta answered with success and did not change it".to_owned();
        let user = TABLE.user(answer);
        let credentials = user.and_then(|user| user.read::<Value>("credentials"));
        let source = credentials.map(|all| text_of(&all["provider"]["type"])).unwrap_or_default();
        let error = if matches!(&*source, "" | "OKTA" | "FEDERATION" | "SOCIAL") {
            Error::Rejected { field: Some(names), said }
        } else {
            Error::Mastered { said: format!("{names}: {said}") }
        };
        if mark { Err(error) } else { Ok(Some(LeftUndone { error, rows, sessions: false })) }
    }

    /// Reads a user until no transition is under way.
    async fn settled(&self, mapping: &Mapping, id: &str) -> Result<User, Error> {
        let pauses =
            std::iter::successors(Some(Duration::from_millis(250)), |pause| Some(*pause * 2));
        let read = async || match self.by_id(mapping, id).await? {
            None => Err(Error::NotFound),
            Some(user) if user.now.changes => {
                Err(unreadable("the account is still changing its status"))
            }
            Some(user) => Ok(user),
        };
        settled(pauses, WITHIN, |error| matches!(error, Error::Unavailable { .. }), read).await
    }

    /// Leads a user to the wanted access, step by step. A step counts when a read by id shows the
    /// new status.
    async fn lead(
        &self,
        mapping: &Mapping,
        whom: Whom<'_>,
        mut user: User,
        mut goal: Goal<'_>,
    ) -> Result<User, Error> {
        for _ in 0..MOST_STEPS {
            let step = match goal.next(&user.now) {
                Next::Done => return Ok(user),
                Next::ByHand => return Err(self.by_hand(whom, &user.now, goal).await),
                Next::Step(step) => step,
            };
            let before = user.now.status.clone();
            let refused = match self.step(whom, step).await {
                Ok(()) => None,
                Err(error @ (Error::Rejected { .. } | Error::NotFound)) => Some(error),
                Err(error) => return Err(error),
            };
            user = self.settled(mapping, whom.id).await?;
            match refused {
                // Okta does not unlock users of another directory.
                Some(Error::Rejected { .. })
                    if step == LifecycleStep::Unlock && user.now.status == before =>
                {
                    goal.locked = true;
                }
                Some(error) if user.now.status == before => return Err(error),
                _ => {}
            }
        }
        Err(unreadable("the account does not reach the status that was asked for"))
    }

    async fn step(&self, whom: Whom<'_>, step: LifecycleStep) -> Result<(), Error> {
        let path = self.service.dialect().user(whom.id).ok_or(Error::NotFound)?;
        let (name, query) = step.call();
        let path = format!("{path}/lifecycle/{name}");
        let call = Call::write(LIFECYCLE, whom.urgency, Method::POST, &path, Sent::Nothing);
        // The answer to an activation has a link with which anyone could log in. It is dropped.
        self.service.call(&Call { query, ..call }).await.map(drop)
    }

    /// Ends the sessions of a user who lost access. If it fails, the whole change is made again.
    async fn end_sessions(&self, whom: Whom<'_>) -> Result<(), Error> {
        let path = self.service.dialect().user(whom.id).ok_or(Error::NotFound)?;
        let path = format!("{path}/sessions");
        let call = Call::write(SESSIONS, whom.urgency, Method::DELETE, &path, Sent::Nothing);
        repeatable(self.service.call(&call).await)
    }

    /// Ends the sessions of a user who cannot be suspended, once. Returns what a person has to do.
    async fn by_hand(&self, whom: Whom<'_>, now: &Now, goal: Goal<'_>) -> Error {
        if self.ended.get(whom.id).is_none() {
            match self.end_sessions(whom).await {
                Ok(()) | Err(Error::Forbidden { .. }) => self.ended.set(whom.id, ()),
                Err(error) => return error,
            }
        }
        Error::ByHand { said: advice(&now.status, goal.occasion) }
    }
}

/// The header of the request id.
const REQUEST: &str = "x-okta-request-id";

fn advice(status: &str, occasion: Occasion) -> String {
    let setting = if occasion == Occasion::Leaves {
        ", or set spec.provider.okta.notSuspendable: Deactivate"
    } else {
        ""
    };
    format!(
        "Okta suspends only ACTIVE accounts, and this one is {status}: deactivate it in \
         Okta{setting}"
    )
}

/// Returns the letters and digits of a text, without case and accents.
fn letters(text: &str) -> String {
    deunicode::deunicode(text).to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect()
}
