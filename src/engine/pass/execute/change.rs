//! A change of an account. The change is first sent as a whole. If that fails for any reason, the
//! most important part is sent alone: the access of an employee who leaves. Then the rest is sent
//! without the values that the provider names. If it names no value, or names an array that several
//! values share, the values are sent one after the other. Values that cannot be written are named.

use super::{CallEnd, Run, action_of, often, streaks::Sort};
use crate::{
    api::employee_sync::{Action, MatchedBy},
    domain::{
        account::{Access, Account, AccountState, AccountWrite, NewValue},
        kept::{Answered, text_of},
        mapping::equal,
        matching::PersonIndex,
        plan::{Change, ChangeKind},
        priority::Urgency,
    },
    engine::pass::outcome::Failure,
    provider::{Error, Key, Written, tries::Tries},
};

/// How many values in a row may get no answer when each is sent alone. After that, the other values
/// wait.
const SILENT: usize = 3;

/// The account that a change is for.
#[derive(Clone, Copy)]
pub(super) struct Aim<'a> {
    /// The person that owns the account.
    pub(super) person: PersonIndex,
    /// The id of the account.
    pub(super) id: &'a str,
    /// The state in which the account was found.
    pub(super) before: AccountState,
    /// The sort of the change that the write is part of.
    pub(super) sort: Sort,
}

/// The result of a change that landed as a whole or in part.
pub(super) struct Landed {
    /// The id of the account.
    pub(super) account: Box<str>,
    /// The state of the account now: whether it can be used.
    pub(super) state: AccountState,
    /// How the account was found.
    pub(super) matched_by: MatchedBy,
    /// What was done.
    pub(super) action: Action,
    /// The rows that were written.
    pub(super) fields: Vec<usize>,
    /// The written rows that the answer does not show.
    pub(super) unconfirmed: Vec<usize>,
    /// What was seen of the values after the write.
    pub(super) answered: Vec<Answered>,
    /// The values that could not be written.
    pub(super) left: LeftOut,
    /// Why sessions could not be ended although access is taken.
    pub(super) sessions: Option<Failure>,
    /// The provider's request id.
    pub(super) request_id: Option<String>,
    /// Whether no call was made: the account was found as it should be.
    pub(super) only_found: bool,
}

/// The values that were left out, and the reason.
#[derive(Default)]
pub(super) struct LeftOut(Option<(Failure, Vec<usize>)>);

impl LeftOut {
    /// Adds rows. A lasting failure is reported rather than one that ends without action.
    pub(super) fn add(&mut self, failure: Failure, rows: impl IntoIterator<Item = usize>) {
        let (told, all) = self.0.get_or_insert_with(|| (failure.clone(), Vec::new()));
        if matches!(told, Failure::Retrying(_)) {
            *told = failure;
        }
        all.extend(rows);
    }

    pub(super) fn rows(&self) -> &[usize] {
        self.0.as_ref().map_or(&[], |(_, rows)| rows)
    }

    pub(super) fn into_parts(self) -> Option<(Failure, Vec<usize>)> {
        self.0
    }
}

/// Which values a failure may be about.
pub(super) enum Suspects {
    /// It is about all of these rows.
    These(Vec<usize>),
    /// It is about one or more of these rows.
    Among(Vec<usize>),
    /// It is about no value that can be left out.
    None,
}

/// What has landed of a change so far.
#[derive(Default)]
struct ChangeProgress {
    written: Option<Written>,
    fields: Vec<usize>,
    unconfirmed: Vec<usize>,
    answered: Vec<Answered>,
    left: LeftOut,
    sessions: Option<Failure>,
    request_id: Option<String>,
}

impl Run<'_, '_, '_> {
    pub(super) fn aim<'i>(change: &Change, id: &'i str, before: AccountState) -> Aim<'i> {
        Aim { person: change.person, id, before, sort: Sort::of(change) }
    }

    /// Changes an account as far as possible.
    pub(super) async fn settle(
        &self,
        mut aim: Aim<'_>,
        write: AccountWrite,
        action: Action,
        matched_by: MatchedBy,
    ) -> Result<Landed, CallEnd> {
        let suspends = write.access == Some(Access::Suspended);
        let mixed = suspends && (write.mark.is_some() || !write.attributes.is_empty());
        let tries = if mixed || self.streaks.is_silent(aim.sort) {
            Tries::at_most(1)
        } else {
            Tries::all()
        };
        let mut progress = ChangeProgress::default();
        let mut rest = write;
        let mut failed = match self.update(&aim, &rest, tries).await {
            Ok(written) => {
                self.note(&mut progress, written, &rest);
                return Ok(progress.landed(aim, action, matched_by));
            }
            Err(CallEnd::Refused(error)) if may_be_a_part(&error) => Some(error),
            Err(other) => return Err(other),
        };
        let (mut refused, mut ended) = (None, None);
        if mixed {
            let alone = AccountWrite {
                access: rest.access.take(),
                occasion: rest.occasion,
                ..AccountWrite::default()
            };
            match self.update(&aim, &alone, Tries::all()).await {
                Ok(written) => {
                    aim.before = written.account.state;
                    self.note(&mut progress, written, &alone);
                }
                // The account itself may be out of reach, or only a part of the change: the
                // provider may still accept the rest.
                Err(CallEnd::Refused(
                    error @ (Error::Forbidden { .. }
                    | Error::Rejected { .. }
                    | Error::ByHand { .. }
                    | Error::Mastered { .. }),
                )) => refused = Some(error),
                Err(other) => return Err(other),
            }
            // An error about the whole write says nothing about the rest, unless it names a value.
            failed = failed.filter(|error| {
                matches!(self.suspects(&rest, error), Suspects::These(_)) && !is_forbidden(error)
            });
        }
        loop {
            if let Some(error) = failed.take() {
                match self.suspects(&rest, &error) {
                    Suspects::These(rows) => {
                        rest.attributes.retain(|(row, _)| !rows.contains(row));
                        progress.left.add(self.failure(&error, &rows), rows);
                        if rest.is_empty() {
                            ended = Some(CallEnd::Refused(error));
                            break;
                        }
                    }
                    Suspects::Among(rows) => {
                        ended =
                            self.one_by_one(&aim, &rest, &rows, error, &mut progress).await.err();
                        break;
                    }
                    Suspects::None => {
                        let rows = self.sent(&rest);
                        progress.left.add(self.failure(&error, &rows), rows);
                        ended = Some(CallEnd::Refused(error));
                        break;
                    }
                }
            }
            match self.update(&aim, &rest, Tries::all()).await {
                Ok(written) => {
                    self.note(&mut progress, written, &rest);
                    break;
                }
                Err(CallEnd::Refused(error)) if may_be_a_part(&error) => failed = Some(error),
                Err(other) => {
                    let rows = self.sent(&rest);
                    progress.left.add(
                        Failure::Retrying("the rest of the change waits for its turn".to_owned()),
                        rows,
                    );
                    ended = Some(other);
                    break;
                }
            }
        }
        if let Some(error) = refused {
            return Err(CallEnd::Refused(error));
        }
        match ended {
            Some(ended) if progress.written.is_none() => Err(ended),
            Some(CallEnd::Refused(error @ Error::Unauthorized { .. })) => {
                self.streaks.credential_refused(&error);
                Ok(progress.landed(aim, action, matched_by))
            }
            _ => Ok(progress.landed(aim, action, matched_by)),
        }
    }

    /// Writes the values that are not suspect together, and then each of the others alone. Each
    /// write uses the account as it is at that moment, because values that bobsync does not manage
    /// are sent back as they were read.
    ///
    /// # Errors
    /// The reason why no more writes are tried. `progress` has the values that were not written.
    async fn one_by_one(
        &self,
        aim: &Aim<'_>,
        write: &AccountWrite,
        suspects: &[usize],
        error: Error,
        progress: &mut ChangeProgress,
    ) -> Result<(), CallEnd> {
        let (alone, others): (Vec<_>, Vec<_>) =
            write.attributes.iter().cloned().partition(|(row, _)| suspects.contains(row));
        let others = AccountWrite { attributes: others, ..write.clone() };
        let parts = alone
            .into_iter()
            .map(|value| AccountWrite { attributes: vec![value], ..AccountWrite::default() });
        let mut parts =
            std::iter::once(others).filter(|others| !others.is_empty()).chain(parts).peekable();
        let (mut last, mut silent, mut stale) = (error, 0, false);
        while let Some(mut part) = parts.next() {
            let rows = self.sent(&part);
            part.foreign.clone_from(&write.foreign);
            let outcome = async {
                if stale {
                    let found =
                        self.look(aim.person, aim.sort, Key::Id(aim.id), Tries::at_most(2)).await?;
                    let now = found
                        .into_iter()
                        .find(|account| *account.id == *aim.id)
                        .ok_or(CallEnd::Refused(Error::NotFound))?;
                    part.foreign = now.foreign.map(|foreign| foreign.as_ref().into());
                }
                self.update(aim, &part, Tries::at_most(1)).await
            };
            match outcome.await {
                Ok(written) => {
                    self.note(progress, written, &part);
                    (silent, stale) = (0, true);
                }
                Err(CallEnd::Refused(error)) if may_be_a_part(&error) => {
                    silent = if is_silence(&error) { silent + 1 } else { 0 };
                    // The first error says more than the last one, because it came after all tries.
                    let told =
                        if is_silence(&error) && is_silence(&last) { last.clone() } else { error };
                    let told = self.naming(told, &rows);
                    progress.left.add(self.failure(&told, &rows), rows);
                    last = told;
                    if silent >= SILENT {
                        let waiting: Vec<usize> = parts.flat_map(|part| self.sent(&part)).collect();
                        progress.left.add(self.failure(&last, &waiting), waiting);
                        return Err(CallEnd::Refused(last));
                    }
                }
                Err(other) => {
                    let waiting = rows.into_iter().chain(parts.flat_map(|part| self.sent(&part)));
                    progress.left.add(
                        Failure::Retrying("the rest of the change waits for its turn".to_owned()),
                        waiting,
                    );
                    return Err(other);
                }
            }
        }
        if progress.written.is_none() { Err(CallEnd::Refused(last)) } else { Ok(()) }
    }

    /// Notes what a write brought.
    fn note(&self, progress: &mut ChangeProgress, mut written: Written, write: &AccountWrite) {
        let mut rows = self.sent(write);
        if let Some(left) = written.left.take() {
            rows.retain(|row| !left.rows.contains(row));
            if left.sessions {
                progress.sessions = Some(Failure::Sessions(left.error.said()));
            }
            if !left.rows.is_empty() {
                progress.left.add(self.failure(&left.error, &left.rows), left.rows);
            }
        }
        let shown = |row: &usize| written.account.attributes.get(*row).is_none_or(Option::is_some);
        let sets = |row: &usize| {
            write
                .attributes
                .iter()
                .any(|(own, value)| own == row && matches!(value, NewValue::Set(_)))
        };
        progress.unconfirmed.extend(rows.iter().copied().filter(|row| sets(row) && !shown(row)));
        progress.answered.extend(self.answered(&written.account, write, &rows));
        progress.fields.extend(rows);
        progress.request_id = written.request_id.take().or(progress.request_id.take());
        progress.written = Some(written);
    }

    /// Returns which values of this write an error may be about.
    pub(super) fn suspects(&self, write: &AccountWrite, error: &Error) -> Suspects {
        let mapping = self.cx.planned.mapping;
        let all = || -> Vec<usize> { write.attributes.iter().map(|(row, _)| *row).collect() };
        let of = |field: &str| -> Vec<usize> {
            let exactly = all().into_iter().find(|row| *mapping.rows[*row].target == *field);
            let within = |row: &usize| {
                mapping.rows[*row]
                    .target
                    .strip_prefix(field)
                    .is_some_and(|rest| rest.starts_with('.'))
            };
            exactly.map_or_else(|| all().into_iter().filter(within).collect(), |row| vec![row])
        };
        let parts = write.attributes.len()
            + usize::from(write.mark.is_some())
            + usize::from(write.access.is_some());
        match error {
            Error::Rejected { field: Some(field), .. } => match of(field) {
                rows if rows.is_empty() => Suspects::None,
                rows if rows.len() == 1 => Suspects::These(rows),
                rows => Suspects::Among(rows),
            },
            Error::Duplicate { field } => {
                let named = field.as_deref().map(of).unwrap_or_default();
                let keys = || {
                    all()
                        .into_iter()
                        .filter(|row| [mapping.email, mapping.username].contains(row))
                        .collect()
                };
                match if named.is_empty() { keys() } else { named } {
                    rows if rows.is_empty() => Suspects::None,
                    rows => Suspects::These(rows),
                }
            }
            // An attribute must not keep an account from its owner, or keep it from being used
            // again.
            Error::Forbidden { .. } | Error::Mastered { .. }
                if parts > write.attributes.len() && !write.attributes.is_empty() =>
            {
                Suspects::These(all())
            }
            Error::Rejected { field: None, .. }
            | Error::Unavailable { .. }
            | Error::Unknown { .. }
                if parts > 1 =>
            {
                Suspects::Among(all())
            }
            _ => Suspects::None,
        }
    }

    /// Returns the error with the name of the value that it is about, unless the error names it
    /// already.
    fn naming(&self, error: Error, rows: &[usize]) -> Error {
        match error {
            Error::Rejected { said, .. } if !rows.is_empty() => {
                Error::Rejected { field: Some(self.names(rows)), said }
            }
            other => other,
        }
    }

    /// Writes to an account. A write with an unknown outcome is read back. A write is also read
    /// back if the provider says that another account has the key, because that account may now be
    /// this one.
    pub(super) async fn update(
        &self,
        aim: &Aim<'_>,
        write: &AccountWrite,
        mut tries: Tries,
    ) -> Result<Written, CallEnd> {
        let urgency =
            if write.access == Some(Access::Suspended) { Urgency::Urgent } else { Urgency::Normal };
        let renames = write.attributes.iter().any(|(row, _)| {
            [self.cx.planned.mapping.email, self.cx.planned.mapping.username].contains(row)
        });
        loop {
            let call = || self.cx.provider.update(self.cx.planned.mapping, aim.id, write, urgency);
            let (error, wait) = match self.call(aim.person, aim.sort, &mut tries, call).await {
                Ok(mut written) => {
                    if write.access.is_none() && !self.cx.provider.capabilities().answers_changes {
                        written.account.state = aim.before;
                    }
                    return Ok(written);
                }
                Err(CallEnd::Refused(error @ Error::Unknown { .. })) => {
                    tracing::debug!(%error, "the outcome of an update is unknown; reading back");
                    (error, tries.again())
                }
                Err(CallEnd::Refused(error @ Error::Duplicate { .. })) if renames => (error, None),
                other => return other,
            };
            if let Some(wait) = wait {
                (self.cx.pace.pause)(wait).await;
            }
            match self.look(aim.person, aim.sort, Key::Id(aim.id), Tries::at_most(2)).await {
                Ok(found) => match found.into_iter().find(|account| *account.id == *aim.id) {
                    None => return Err(CallEnd::Refused(Error::NotFound)),
                    Some(account) if self.holds(aim.person, &account, write) => {
                        return Ok(Written { account, request_id: None, left: None });
                    }
                    Some(_) => {}
                },
                Err(CallEnd::Refused(said)) => tracing::debug!(%said, "reading back was refused"),
                Err(other) => return Err(other),
            }
            if wait.is_none() {
                return Err(CallEnd::Refused(often(error, tries.made())));
            }
        }
    }

    /// Returns whether the account of this person already is as the write would make it.
    fn holds(&self, person: PersonIndex, account: &Account<'_>, write: &AccountWrite) -> bool {
        let person = self.cx.planned.person(person);
        let attributes = write.attributes.iter().all(|(row, value)| {
            let have = account
                .attributes
                .get(*row)
                .and_then(Option::as_deref)
                .filter(|have| !have.is_empty());
            let row = &self.cx.planned.mapping.rows[*row];
            let known = person.kept.as_deref();
            known.is_some_and(|known| {
                known.is_settled(&person.employee, row, text_of(value), have.unwrap_or_default())
            }) || match value {
                NewValue::Set(want) => have.is_some_and(|have| equal(row.compare, have, want)),
                NewValue::Clear => have.is_none(),
            }
        });
        let access = match write.access {
            // No read shows whether sessions were ended.
            Some(Access::Suspended) => {
                account.state == AccountState::Suspended
                    && !self.cx.provider.capabilities().ends_sessions
            }
            Some(Access::Active) => {
                !matches!(account.state, AccountState::Suspended | AccountState::Unactivated)
            }
            None => true,
        };
        attributes
            && access
            && write.mark.as_ref().is_none_or(|mark| account.mark.as_deref() == Some(&**mark))
    }
}

impl ChangeProgress {
    fn landed(self, aim: Aim<'_>, action: Action, matched_by: MatchedBy) -> Landed {
        let Self { written, fields, unconfirmed, answered, left, sessions, request_id } = self;
        let (account, state) = written.map_or_else(
            || (aim.id.into(), aim.before),
            |written| ((*written.account.id).into(), written.account.state),
        );
        Landed {
            account,
            state,
            matched_by,
            action,
            fields,
            unconfirmed,
            answered,
            left,
            sessions,
            request_id,
            only_found: false,
        }
    }
}

/// Returns whether an error may be about a part of a change. Then the rest of it is worth a try.
fn may_be_a_part(error: &Error) -> bool {
    is_forbidden(error)
        || is_silence(error)
        || matches!(
            error,
            Error::Rejected { .. }
                | Error::Duplicate { .. }
                | Error::ByHand { .. }
                | Error::Mastered { .. }
        )
}

const fn is_forbidden(error: &Error) -> bool {
    matches!(error, Error::Forbidden { .. })
}

/// Returns whether the provider said nothing about the change.
const fn is_silence(error: &Error) -> bool {
    matches!(error, Error::Unavailable { .. } | Error::Unknown { .. })
}

/// Returns what is done to an account that was found when it was to be made.
pub(super) fn action_on(marked: bool, write: &AccountWrite) -> Action {
    action_of(if marked { ChangeKind::Update } else { ChangeKind::Adopt }, write.access)
}
