//! A new account, and what its creation may meet: a value that is refused or taken, an earlier try
//! with a lost answer, or the account of another employee.

use super::{
    CallEnd, LAG, LEFT_OUT, MetAccount, Run,
    change::{Aim, Landed, LeftOut, Suspects, action_on},
    often,
    streaks::Sort,
};
use crate::{
    api::employee_sync::{Action, MatchedBy},
    domain::{
        account::{Access, Account, AccountState, AccountWrite, NewValue},
        budget::BudgetKind,
        mapping::{equal, key},
        matching::{PersonIndex, differences, is_frozen},
        plan::{Change, occasion},
        safety::ProtectedBy,
    },
    engine::pass::outcome::Failure,
    provider::{Error, Key, Written, tries::Tries},
};

/// How often a create is sent if its outcome stays unknown.
const SENT: u32 = 2;

/// The account with a person's mark, and accounts without a mark that may be the person's.
type KnownAccounts = (Option<Account<'static>>, Vec<Account<'static>>);

impl Run<'_, '_, '_> {
    pub(super) async fn create(
        &self,
        change: &Change,
        mut write: AccountWrite,
    ) -> Result<Landed, CallEnd> {
        let person = change.person;
        let employee = &self.cx.planned.person(person).employee;
        let names = [self.cx.planned.mapping.email, self.cx.planned.mapping.username]
            .map(|row| self.cx.planned.mapping.text(row, employee));
        if names.iter().flatten().any(|name| self.cx.protected.names(name)) {
            return Err(CallEnd::Failed(Failure::Protected(ProtectedBy::Settings)));
        }
        if change.look_up_first {
            let (own, mut free) = self.by_mark(person).await?;
            if let Some(account) = own {
                let mut landed =
                    self.bring_up(person, account, &write, MatchedBy::Mark, false).await?;
                // The last try may have made the account, with a lost answer.
                landed.only_found &= !(self.cx.pace.failed_before)(change);
                return Ok(landed);
            }
            if free.len() > 1 && self.cx.adopt {
                return Err(CallEnd::Failed(Failure::Ambiguous));
            }
            if let Some(account) = free.pop().filter(|_| self.cx.adopt) {
                return self.bring_up(person, account, &write, MatchedBy::Email, false).await;
            }
        }
        let initial = match &self.cx.initial {
            Ok(initial) => initial,
            Err(stop) => {
                self.streaks.close(Sort::Creation, stop);
                return Err(CallEnd::Halted);
            }
        };
        let (mut left, mut tries, mut sent) = (LeftOut::default(), Tries::all(), 0);
        loop {
            let call = || self.cx.provider.create(self.cx.planned.mapping, &write, initial);
            match self.call(person, Sort::Creation, &mut tries, call).await {
                Ok(Written { account, request_id, left: _ }) => {
                    let fields = self.sent(&write);
                    let shown =
                        |row: &usize| account.attributes.get(*row).is_none_or(Option::is_some);
                    let unconfirmed = fields.iter().copied().filter(|row| !shown(row)).collect();
                    let mut answered = self.answered(&account, &write, &fields);
                    answered.retain(|one| one.kept.is_some());
                    let (account, state) = ((*account.id).into(), account.state);
                    let (matched_by, action) = (MatchedBy::Created, Action::Create);
                    return Ok(Landed {
                        account,
                        state,
                        matched_by,
                        action,
                        fields,
                        unconfirmed,
                        answered,
                        left,
                        sessions: None,
                        request_id,
                        only_found: false,
                    });
                }
                Err(CallEnd::Refused(Error::Unknown { said })) => {
                    tracing::debug!(said, "the outcome of a create is unknown; reading back");
                    sent += 1;
                    if let Some(wait) = tries.again() {
                        (self.cx.pace.pause)(wait).await;
                    }
                    if let (Some(account), _) = self.by_mark(person).await? {
                        self.call(person, Sort::Creation, &mut Tries::all(), || {
                            self.cx.provider.finish(&account.id, initial)
                        })
                        .await?;
                        return self
                            .bring_up(person, account, &write, MatchedBy::Created, true)
                            .await;
                    }
                    let error = often(Error::Unknown { said }, sent);
                    if sent >= SENT {
                        return Err(CallEnd::Refused(error));
                    }
                    // The last try ended like this too. One of the values may cause an error at the
                    // provider.
                    if (self.cx.pace.failed_before)(change) {
                        let rows = self.droppable_rows(&write, |_| true);
                        self.leave_out(&mut write, &mut left, &error, rows);
                    }
                }
                Err(CallEnd::Refused(
                    error @ (Error::Rejected { .. } | Error::Duplicate { .. }),
                )) => {
                    let many = left.rows().len() >= LEFT_OUT;
                    let rows = match self.suspects(&write, &error) {
                        Suspects::These(rows) | Suspects::Among(rows) if !many => {
                            self.droppable_rows(&write, |row| rows.contains(&row))
                        }
                        Suspects::These(rows)
                            if self
                                .droppable_rows(&write, |row| rows.contains(&row))
                                .is_empty() =>
                        {
                            Vec::new()
                        }
                        Suspects::These(_) | Suspects::Among(_) => {
                            self.droppable_rows(&write, |_| true)
                        }
                        Suspects::None => Vec::new(),
                    };
                    match error {
                        error if !rows.is_empty() => {
                            self.leave_out(&mut write, &mut left, &error, rows)
                        }
                        Error::Duplicate { field } => {
                            return self.duplicate(person, &write, field, sent > 0).await;
                        }
                        error => return Err(CallEnd::Refused(error)),
                    }
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// Returns the rows that a new account can be without and for which `which` is true.
    fn droppable_rows(&self, write: &AccountWrite, which: impl Fn(usize) -> bool) -> Vec<usize> {
        let mapping = self.cx.planned.mapping;
        let needed = |row: usize| {
            mapping.rows[row].required || row == mapping.email || row == mapping.username
        };
        write
            .attributes
            .iter()
            .map(|(row, _)| *row)
            .filter(|row| !needed(*row) && which(*row))
            .collect()
    }

    fn leave_out(
        &self,
        write: &mut AccountWrite,
        left: &mut LeftOut,
        error: &Error,
        rows: Vec<usize>,
    ) {
        write.attributes.retain(|(row, _)| !rows.contains(row));
        let names = self.names(&rows);
        let failure = match self.failure(error, &rows) {
            // The provider does not say which of several values it refuses.
            Failure::Rejected(said, part) if rows.len() > 1 => {
                Failure::Rejected(format!("{said} (one of {names})"), part)
            }
            other => other,
        };
        left.add(failure, rows);
    }

    /// Returns the account with this person's mark, if there is one. The account on record is read
    /// first, because an account that cannot be read is not absent. If searches lag behind writes,
    /// a search by e-mail comes next. If the provider cannot search marks, nothing else is tried.
    ///
    /// If logins decide, also returns the accounts without a mark that have the person's login. If
    /// no account has the login, these are the accounts with the person's e-mail.
    async fn by_mark(&self, index: PersonIndex) -> Result<KnownAccounts, CallEnd> {
        let person = self.cx.planned.person(index);
        let mark = person.employee.id();
        let email = self.cx.planned.mapping.text(self.cx.planned.mapping.email, &person.employee);
        let searches = self.cx.provider.capabilities().searches_marks;
        let by_email = self.cx.provider.capabilities().lags || !searches;
        let known = person.known_account.as_deref().map(Key::Id);
        let email = email.as_deref().filter(|_| by_email).map(Key::Email);
        let address = self.cx.planned.mapping.address;
        let address = address.and_then(|row| self.cx.planned.mapping.text(row, &person.employee));
        let marked = match &address {
            Some(address) => Key::MarkOrAddress(mark, address),
            None => Key::Mark(mark),
        };
        let (mut by_login, mut free) = (None, Vec::new());
        for key in [known, email, searches.then_some(marked)].into_iter().flatten() {
            let found = match self.look(index, Sort::Creation, key, Tries::all()).await {
                // This service has no search for marks, and the login has been looked up.
                Err(CallEnd::Refused(Error::Rejected { .. }))
                    if matches!(key, Key::Mark(_) | Key::MarkOrAddress(..)) && by_email =>
                {
                    Vec::new()
                }
                found => found?,
            };
            let (mut own, others): (Vec<_>, Vec<_>) =
                found.into_iter().partition(|account| account.mark.as_deref() == Some(mark));
            if own.len() > 1 {
                return Err(CallEnd::Failed(Failure::Ambiguous));
            }
            if let Some(account) = own.pop() {
                return Ok((Some(account), Vec::new()));
            }
            match key {
                Key::Email(_) if address.is_some() && !others.is_empty() => by_login = Some(others),
                Key::MarkOrAddress(..) => {
                    free = by_login.take().unwrap_or(others);
                    free.retain(|account| account.mark.is_none());
                }
                _ => {}
            }
        }
        Ok((None, free))
    }

    /// Returns the accounts with this e-mail. If reads lag behind writes, an account that is `sure`
    /// to exist is looked for again.
    async fn by_email(
        &self,
        index: PersonIndex,
        email: &str,
        sure: bool,
    ) -> Result<Vec<Account<'static>>, CallEnd> {
        let mut pause = LAG;
        loop {
            let mut found =
                self.look(index, Sort::Creation, Key::Email(email), Tries::all()).await?;
            found.retain(|account| {
                account.email.as_deref().is_some_and(|have| key(have) == key(email))
            });
            if !found.is_empty()
                || !sure
                || !self.cx.provider.capabilities().lags
                || pause > LAG * 4
            {
                return Ok(found);
            }
            (self.cx.pace.pause)(pause).await;
            pause *= 2;
        }
    }

    /// Deals with a create that the provider answered with "such an account exists": finds out
    /// which employee it belongs to. `doubtful` says that an earlier try may have made it.
    async fn duplicate(
        &self,
        index: PersonIndex,
        write: &AccountWrite,
        field: Option<String>,
        doubtful: bool,
    ) -> Result<Landed, CallEnd> {
        let person = self.cx.planned.person(index);
        let mapping = self.cx.planned.mapping;
        let conflict = |said: &str| CallEnd::Failed(Failure::Conflict(said.to_owned()));
        let Some(email) = mapping.text(mapping.email, &person.employee) else {
            return Err(CallEnd::Refused(Error::Duplicate { field }));
        };
        let target = &mapping.rows[mapping.email].target;
        // If another value is taken, the account with that value may have another e-mail, so a
        // search by e-mail may not find it.
        let other = field.as_deref().filter(|field| **field != **target);
        let twice = self.cx.provider.capabilities().looks_twice;
        let sure = !twice && (doubtful || other.is_none());
        let mut found = self.by_email(index, &email, sure).await?;
        if found.len() > 1 {
            return Err(CallEnd::Failed(Failure::Ambiguous));
        }
        if found.is_empty() && twice {
            let mark = person.employee.id();
            found = match self.look(index, Sort::Creation, Key::Mark(mark), Tries::all()).await {
                // This service has no search for marks.
                Err(CallEnd::Refused(Error::Rejected { .. })) => Vec::new(),
                found => found?,
            };
            found.retain(|account| account.mark.as_deref() == Some(mark));
        }
        let Some(account) = found.pop() else {
            if doubtful && self.cx.provider.capabilities().lags {
                let said = "the provider has an account with this e-mail and does not show it yet";
                return Err(CallEnd::Failed(Failure::Retrying(said.to_owned())));
            }
            return Err(match other {
                Some(other) => conflict(&format!(
                    "another account has this {other}: free it there, or correct it in Bob"
                )),
                None => {
                    let username = &mapping.rows[mapping.username].target;
                    let keys = if target == username {
                        target.to_string()
                    } else {
                        format!("{target} or {username}")
                    };
                    let holders = self.cx.provider.capabilities().phrases.hidden_holders;
                    conflict(&format!(
                        "this {keys} is in use, and no account shows it: {holders} has it; free it \
                         there, or correct it in Bob"
                    ))
                }
            });
        };
        match account.mark.as_deref() {
            Some(mark) if mark == person.employee.id() => {
                if let (true, Ok(initial)) = (doubtful, &self.cx.initial) {
                    self.call(index, Sort::Creation, &mut Tries::all(), || {
                        self.cx.provider.finish(&account.id, initial)
                    })
                    .await?;
                }
                self.bring_up(index, account, write, MatchedBy::Mark, doubtful).await
            }
            Some(mark)
                if self.cx.planned.people.iter().any(|person| person.employee.id() == mark) =>
            {
                Err(conflict(&format!(
                    "the account {} has this {target} and belongs to employee {mark} in Bob: \
                     correct one of the two in Bob, or hand the account over by setting its mark \
                     to this employee's id",
                    account.id
                )))
            }
            Some(_) => Err(conflict(&format!(
                "the account {} has this {target} and the mark of another employee: correct the \
                 mark there, or the value in Bob",
                account.id
            ))),
            None if !self.cx.adopt => Err(conflict(&format!(
                "the account {} has this {target}, and with spec.safety.adoption: Never an account \
                 without a mark is not adopted: free it there, or put the mark on it by hand",
                account.id
            ))),
            None => self.bring_up(index, account, write, MatchedBy::Email, false).await,
        }
    }

    /// Writes to an account that proved to exist, so that it becomes what the create would have
    /// made. `own` says that an earlier try of this create made it. For any other account the
    /// frozen rows and the budgets apply, as if the plan had known it.
    async fn bring_up(
        &self,
        index: PersonIndex,
        account: Account<'static>,
        wanted: &AccountWrite,
        matched_by: MatchedBy,
        own: bool,
    ) -> Result<Landed, CallEnd> {
        if let Some(by) = self.cx.protected.covers(&account) {
            return Err(CallEnd::Failed(Failure::Protected(by)));
        }
        if account.elsewhere {
            return Err(CallEnd::Failed(Failure::ManagedElsewhere));
        }
        let person = self.cx.planned.person(index);
        let frozen = is_frozen(account.phase, person.decision.existing);
        let mut write = AccountWrite::default();
        if !frozen {
            (write.attributes, _) = differences(
                self.cx.planned.mapping,
                &person.employee,
                person.kept.as_deref(),
                &account,
            );
        }
        write.attributes.retain(|(row, _)| !self.cx.unavailable.contains(row));
        if let Some(row) = self.cx.planned.mapping.manager.filter(|_| !frozen) {
            let have = account.attributes.get(row).and_then(Option::as_deref);
            write.attributes.extend(
                wanted
                    .attributes
                    .iter()
                    .filter(|(r, value)| {
                        let same = |want: &str| {
                            have.is_some_and(|have| {
                                equal(self.cx.planned.mapping.rows[row].compare, have, want)
                            })
                        };
                        *r == row
                            && !matches!(value, NewValue::Set(want) if same(want))
                            && (*value != NewValue::Clear || have.is_some())
                    })
                    .cloned(),
            );
        }
        if !own {
            write.attributes.retain(|(row, _)| !self.cx.released.held.frozen.contains(row));
        }
        write.mark = wanted.mark.clone().filter(|_| account.mark.is_none() && !frozen);
        write.access = match (person.decision.existing, account.state) {
            (Some(Access::Suspended), state) if state != AccountState::Suspended => {
                Some(Access::Suspended)
            }
            (Some(Access::Active), AccountState::Suspended | AccountState::Unactivated) => {
                Some(Access::Active)
            }
            _ => None,
        };
        write.occasion = occasion(person, write.access);
        // If an earlier try with a lost answer made the account, the action is the create.
        // Otherwise it is what is done to the account now.
        let made =
            matched_by == MatchedBy::Created || (write.is_empty() && matched_by == MatchedBy::Mark);
        let action = if made { Action::Create } else { action_on(account.mark.is_some(), &write) };
        let fields = self.sent(if made { wanted } else { &write });
        let (id, state): (Box<str>, _) = ((*account.id).into(), account.state);
        let met = MetAccount { account: id.clone(), state, action, fields: fields.clone() };
        self.met.lock().insert(index, met);
        if write.is_empty() {
            let (unconfirmed, answered, left) = (Vec::new(), Vec::new(), LeftOut::default());
            return Ok(Landed {
                account: id,
                state,
                matched_by,
                action,
                fields,
                unconfirmed,
                answered,
                left,
                sessions: None,
                request_id: None,
                only_found: !own,
            });
        }
        if !own && let Some(kind) = kind_of(&write) {
            let marked = account.mark.is_some();
            if !self.room.lock().take(kind, marked) {
                let said = "the account exists already, and the budget does not allow the change \
                    that it needs: the next plan holds it, and PlanHeld of the integration then \
                    says how to go on";
                return Err(CallEnd::Failed(Failure::Retrying(said.to_owned())));
            }
        }
        write.foreign = account.foreign.as_deref().map(Into::into);
        let sort =
            if write.access == Some(Access::Suspended) { Sort::Suspension } else { Sort::Update };
        let aim = Aim { person: index, id: &id, before: state, sort };
        let mut landed = self.settle(aim, write, action, matched_by).await?;
        if made {
            let left = landed.left.rows();
            landed.fields = fields.into_iter().filter(|row| !left.contains(row)).collect();
        }
        Ok(landed)
    }
}

/// Returns the budget that counts a write to an account, or `None` if the write only sets the mark.
fn kind_of(write: &AccountWrite) -> Option<BudgetKind> {
    match write.access {
        Some(Access::Suspended) => Some(BudgetKind::Disable),
        Some(Access::Active) => Some(BudgetKind::Reactivate),
        None => (!write.attributes.is_empty()).then_some(BudgetKind::Update),
    }
}
