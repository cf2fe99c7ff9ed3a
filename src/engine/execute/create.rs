//! A new account, and what making it may meet: an earlier try whose answer was lost, somebody else's account.

use std::sync::PoisonError;

use super::{Ended, Failure, LAG, Run, TRIES};
use crate::{
    api::employee_sync::MatchedBy,
    domain::{
        account::{Access, Account, AccountState, AccountWrite, NewValue},
        mapping::{equal, key},
        matching::{PersonIndex, differences},
        plan::Change,
        safety::ProtectedBy,
    },
    provider::{Error, Key, Urgency, Written},
};

impl Run<'_, '_, '_> {
    pub(super) async fn create(&self, change: &Change, write: &AccountWrite) -> Result<(Written, MatchedBy), Ended> {
        let person = change.person;
        let employee = &self.cx.people[person as usize].employee;
        let names = [self.cx.mapping.email, self.cx.mapping.username].map(|row| self.cx.mapping.text(row, employee));
        if names.iter().flatten().any(|name| self.cx.protected.names(name)) {
            return Err(Ended::Failed(Failure::Protected(ProtectedBy::Settings)));
        }
        if change.look_up_first
            && let Some(account) = self.by_mark(person).await?
        {
            return self.bring_up(person, account, write).await.map(|written| (written, MatchedBy::Mark));
        }
        let initial = match &self.cx.initial {
            Ok(initial) => initial,
            Err(stop) => {
                self.stop.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| (*stop).clone());
                return Err(Ended::Halted);
            }
        };
        let mut doubtful = false;
        for _ in 0..TRIES {
            match self.call(person, Urgency::Normal, || self.cx.provider.create(self.cx.mapping, write, initial)).await {
                Ok(written) => return Ok((written, MatchedBy::Created)),
                Err(Ended::Refused(Error::Duplicate { field })) => return self.duplicate(person, write, field, doubtful).await,
                Err(Ended::Refused(Error::Unknown { said })) => {
                    tracing::debug!(said, "the outcome of a create is unknown; reading back");
                    doubtful = true;
                    if let Some(account) = self.by_mark(person).await? {
                        self.call(person, Urgency::Normal, || self.cx.provider.finish(&account.id, initial)).await?;
                        return self.bring_up(person, account, write).await.map(|written| (written, MatchedBy::Created));
                    }
                }
                Err(other) => return Err(other),
            }
        }
        Err(Ended::Failed(Failure::Retrying("the outcome of the create stayed unknown; the next pass looks again".to_owned())))
    }

    /// The account that bears this person's mark, if there is one. Where searches lag, it is read by its keys first; where
    /// marks cannot be searched, by its keys alone.
    async fn by_mark(&self, index: PersonIndex) -> Result<Option<Account<'static>>, Ended> {
        let person = &self.cx.people[index as usize];
        let mark = person.employee.id();
        let email = self.cx.mapping.text(self.cx.mapping.email, &person.employee);
        let keys = [person.known_account.as_deref().map(Key::Id), email.as_deref().map(Key::Email)].into_iter().flatten();
        let searches = self.cx.provider.capabilities().searches_marks;
        let by_keys = self.cx.provider.capabilities().lags || !searches;
        for key in keys.filter(|_| by_keys).chain(searches.then_some(Key::Mark(mark))) {
            let mut found = self.call(index, Urgency::Urgent, || self.cx.provider.find(self.cx.mapping, key)).await?;
            found.retain(|account| account.mark.as_deref() == Some(mark));
            if found.len() > 1 {
                return Err(Ended::Failed(Failure::Ambiguous));
            }
            if let Some(account) = found.pop() {
                return Ok(Some(account));
            }
        }
        Ok(None)
    }

    /// Accounts with this e-mail. Where reads lag behind writes, one that is `sure` to exist is looked for again.
    async fn by_email(&self, index: PersonIndex, email: &str, sure: bool) -> Result<Vec<Account<'static>>, Ended> {
        let mut pause = LAG;
        loop {
            let mut found = self.call(index, Urgency::Normal, || self.cx.provider.find(self.cx.mapping, Key::Email(email))).await?;
            found.retain(|account| account.email.as_deref().is_some_and(|have| key(have) == key(email)));
            if !found.is_empty() || !sure || !self.cx.provider.capabilities().lags || pause > LAG * 4 {
                return Ok(found);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    /// A create was answered "there is one": whose is it?
    /// `doubtful`: an earlier try may have made it.
    async fn duplicate(
        &self,
        index: PersonIndex,
        write: &AccountWrite,
        field: Option<String>,
        doubtful: bool,
    ) -> Result<(Written, MatchedBy), Ended> {
        let person = &self.cx.people[index as usize];
        let conflict = |said: &str| Ended::Failed(Failure::Conflict(said.to_owned()));
        let Some(email) = self.cx.mapping.text(self.cx.mapping.email, &person.employee) else {
            return Err(Ended::Refused(Error::Duplicate { field }));
        };
        // What another value is in the way of may be a stranger's, whose e-mail it is not.
        let other = field.as_deref().filter(|field| **field != *self.cx.mapping.rows[self.cx.mapping.email].target);
        let mut found = self.by_email(index, &email, doubtful || other.is_none()).await?;
        if found.len() > 1 {
            return Err(Ended::Failed(Failure::Ambiguous));
        }
        let Some(account) = found.pop() else {
            if doubtful && self.cx.provider.capabilities().lags {
                let said = "the provider has an account with this e-mail and does not show it yet; the next pass looks again";
                return Err(Ended::Failed(Failure::Retrying(said.to_owned())));
            }
            return Err(conflict(&format!("another account has this {}", other.unwrap_or("username"))));
        };
        match account.mark.as_deref() {
            Some(mark) if mark == person.employee.id() => {
                if let (true, Ok(initial)) = (doubtful, &self.cx.initial) {
                    self.call(index, Urgency::Normal, || self.cx.provider.finish(&account.id, initial)).await?;
                }
                self.bring_up(index, account, write).await.map(|written| (written, MatchedBy::Mark))
            }
            Some(_) => Err(conflict("the account with this e-mail belongs to another employee")),
            None if !self.cx.adopt => Err(conflict(
                "another account has this e-mail, and with spec.safety.adoption: Never an account without a mark is not taken over",
            )),
            None => self.bring_up(index, account, write).await.map(|written| (written, MatchedBy::Email)),
        }
    }

    /// Brings an account that turned out to exist to what the create would have made of it.
    async fn bring_up(&self, index: PersonIndex, account: Account<'static>, wanted: &AccountWrite) -> Result<Written, Ended> {
        if let Some(by) = self.cx.protected.covers(&account) {
            return Err(Ended::Failed(Failure::Protected(by)));
        }
        if account.elsewhere {
            return Err(Ended::Failed(Failure::ManagedElsewhere));
        }
        let person = &self.cx.people[index as usize];
        let mut write = AccountWrite { attributes: differences(self.cx.mapping, &person.employee, &account), ..AccountWrite::default() };
        write.attributes.retain(|(row, _)| !self.cx.unavailable.contains(row));
        let known = ((*account.id).into(), account.state);
        self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(person.employee.id().into(), known);
        if let Some(row) = self.cx.mapping.manager {
            let have = account.attributes.get(row).and_then(Option::as_deref);
            write.attributes.extend(
                wanted
                    .attributes
                    .iter()
                    .filter(|(r, value)| {
                        let same = |want: &str| have.is_some_and(|have| equal(self.cx.mapping.rows[row].compare, have, want));
                        *r == row && !matches!(value, NewValue::Set(want) if same(want)) && (*value != NewValue::Clear || have.is_some())
                    })
                    .cloned(),
            );
        }
        write.mark = wanted.mark.clone().filter(|_| account.mark.is_none());
        write.access = match (person.decision.existing, account.state) {
            (Some(Access::Suspended), state) if state != AccountState::Suspended => Some(Access::Suspended),
            (Some(Access::Active), AccountState::Suspended | AccountState::Unactivated) => Some(Access::Active),
            _ => None,
        };
        if write.is_empty() {
            return Ok(Written { account, request_id: None });
        }
        write.foreign = account.foreign.as_deref().map(Into::into);
        self.update((index, account.state), &account.id, &write, Urgency::Normal).await
    }
}
