//! How a status is written: once, with the history lines that are owed, and never over what came in
//! the meantime.

use std::{num::NonZeroU64, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Resource as _, ResourceExt as _};

use super::{JudgedEmployee, Recorder, action_word};
use crate::{
    api::{
        EmployeeSync, EmployeeSyncStatus, ProvisioningIntegration, conditions,
        employee_sync::{Action, HistoryEntry, OutcomeWord},
        reasons::EmployeeReason,
    },
    cluster::{
        roster::{Entry, digest, same},
        status::WriteError,
    },
    domain::{
        access::Missing,
        employee::BobStatus,
        evidence::Proof,
        kept::Kept,
        matching::{Person, PersonIndex},
        why::Why,
    },
    engine::pass::{
        outcome::Outcome,
        verdict::{Trouble, Verdict, part_text},
    },
};

/// How often a status is made again if its object changed between the read and the write.
const TRIES: u32 = 4;
/// How many events of one kind a pass publishes. If there are more, one event of the integration
/// reports them together. Every warning still gets its own event.
const SINGLE: u32 = 20;

impl Recorder<'_> {
    /// Publishes one event for each kind of change that this pass did not report one by one. It
    /// says how many there are.
    pub fn sum_up(&self) {
        let told = std::mem::take(&mut self.results.lock().told);
        for (reason, count) in told.into_iter().filter(|(_, count)| *count > SINGLE) {
            let about = ObjectReference {
                api_version: Some(ProvisioningIntegration::api_version(&()).into_owned()),
                kind: Some(ProvisioningIntegration::kind(&()).into_owned()),
                name: Some(self.integration.roster.key.name.to_string()),
                namespace: Some(self.integration.roster.key.namespace.to_string()),
                uid: Some(self.integration.uid.to_owned()),
                ..ObjectReference::default()
            };
            let note = format!(
                "{count} employees in one pass; {SINGLE} of them have events of their own, and \
                 status.history has each."
            );
            self.cluster.events.publish(about, false, reason, "Sync", note);
        }
    }

    /// Returns what has to be written of the verdict, if anything.
    pub(super) fn draft<'b>(
        &'b self,
        index: PersonIndex,
        judged: JudgedEmployee<'b>,
        outcome: Option<&Outcome>,
    ) -> Option<Write<'b>> {
        let JudgedEmployee { verdict, known, unknown, unrecorded, seen, proof } = judged;
        let person = self.planned.person(index);
        let id = person.employee.id();
        if outcome.is_none() && self.handle.is_outdated(id) {
            // A later pass has looked at this person, so the older findings do not replace the
            // newer ones.
            return None;
        }
        if outcome.is_none() && unknown && person.employee.is_without_a_row() {
            // Only the record named this person. It is gone since the pass decided, because another
            // pass has found the retention to be over.
            return None;
        }
        let nothing_to_write = || {
            if unrecorded {
                self.integration.roster.recorded(id);
            }
        };
        if known.is_none() && !worth_an_object(person, &verdict) {
            nothing_to_write();
            return None;
        }
        let kept = self.kept(index, outcome);
        if [person.kept.as_deref(), kept.as_deref()].into_iter().flatten().any(Kept::has_memory) {
            self.integration.roster.tried(id, kept.as_deref());
        }
        let hash = verdict.hash64(proof);
        let unchanged = known.is_some_and(|(verdict, _)| verdict == hash);
        let news = match outcome {
            Some(Outcome::Done(done)) => !done.only_found,
            Some(Outcome::Failed { .. }) => !unchanged,
            Some(Outcome::Seen(_) | Outcome::Waiting | Outcome::Outdated | Outcome::Busy)
            | None => false,
        };
        let owed = if self.owes { self.integration.roster.owed(id) } else { Vec::new() };
        // Age alone does not remove an object: it remembers a suspension that is still to come, and
        // lines that are owed.
        let old = is_expired(
            seen.proof.file_deleted,
            self.integration.validated.retention,
            self.cluster.clock.now(),
        );
        let expired = old
            && outcome.is_none()
            && owed.is_empty()
            && verdict.access_as_decided
            && !verdict.is_left_open();
        if expired && known.is_none() {
            self.integration.roster.forget(id);
            return None;
        }
        if unchanged && !news && !expired && owed.is_empty() {
            self.cluster.metrics.person_unchanged();
            nothing_to_write();
            return None;
        }
        let history =
            news.then(|| outcome.and_then(|outcome| self.history(index, outcome))).flatten();
        Some(Write {
            index,
            verdict,
            hash,
            history,
            owed,
            expired,
            moment: if outcome.is_some() { WriteMoment::Tried } else { WriteMoment::Untried },
            seen,
            proof,
            exists: known.is_some(),
            digest: known.map_or(0, |(_, digest)| digest),
        })
    }

    pub(super) async fn write_all(&self, writes: Vec<Write<'_>>) {
        use futures::StreamExt as _;
        futures::stream::iter(writes).for_each_concurrent(32, |write| self.counted(write)).await;
    }

    async fn counted(&self, write: Write<'_>) {
        let untried = write.moment == WriteMoment::Untried;
        self.write(write).await;
        self.request
            .progress()
            .iter()
            .filter(|_| untried)
            .for_each(|progress| progress.recorded_one());
    }

    async fn write(&self, mut write: Write<'_>) {
        let id = self.planned.id(write.index);
        let _alone = self.handle.record(id).await;
        if write.moment == WriteMoment::Early && self.is_settled(write.index) {
            return;
        }
        if write.moment != WriteMoment::Tried && self.handle.is_outdated(id) {
            // A later pass has looked at this person while this write waited for its turn, so the
            // findings of that pass stay.
            return;
        }
        if write.expired {
            return match self.expire(&write, id).await {
                Ok(()) => {}
                Err(error) => self.not_written(id, None, &error),
            };
        }
        // What another pass has written in the meantime is no longer owed, and what it could not
        // write is owed now.
        write.owed = self.integration.roster.owed(id);
        match self.try_write(&write, id).await {
            Ok(()) if write.owed.is_empty() => {}
            Ok(()) => self.integration.roster.owe(id, Vec::new()),
            // The outcome is written when it is known.
            Err(error) if write.moment == WriteMoment::Early => {
                tracing::debug!(integration = %self.integration.roster.key, %error,
                    "what is said early could not be written")
            }
            Err(error) => {
                // A failed change is tried again and writes its line then. A change that was made
                // does not come again.
                let made =
                    write.history.into_iter().filter(|line| line.outcome == OutcomeWord::Succeeded);
                self.integration.roster.owe(id, made.chain(write.owed).collect());
                self.not_written(id, Some(&write.verdict), &error);
            }
        }
    }

    /// Deletes the object of an employee that has been gone for longer than the retention. A change
    /// in the meantime keeps the object.
    async fn expire(&self, write: &Write<'_>, id: &str) -> Result<(), WriteError> {
        if self.integration.roster.with(id, OtherWriters::of) != write.seen {
            return Ok(());
        }
        match self
            .cluster
            .writer
            .delete_person(
                &self.cluster.writer.read_person(&self.integration.roster.key, id).await?,
            )
            .await
        {
            // A change of the object keeps it for now.
            Err(error) if error.is_outdated() => return Ok(()),
            deleted => deleted?,
        }
        self.integration.roster.forget(id);
        Ok(())
    }

    async fn try_write(&self, write: &Write<'_>, id: &str) -> Result<(), WriteError> {
        let mapping = &self.integration.settings().mapping;
        let now = self.cluster.clock.now();
        let blank = EmployeeSyncStatus::default();
        if write.exists
            && write.history.is_none()
            && write.owed.is_empty()
            && write.proof.file_deleted.is_none()
        {
            // After a restart the verdict behind a status is not known, but its digest is.
            if digest(&write.verdict.status(mapping, &blank, write.proof, &[], now)) == write.digest
            {
                self.integration.roster.confirm(id, write.hash);
                self.cluster.metrics.status_patch("EmployeeSync", "skipped");
                return Ok(());
            }
        }
        if self.integration.roster.is_leaving(id, self.integration.uid) {
            // What is owed is written into the next object of this employee.
            return Err(WriteError::leaving("writing a status"));
        }
        let mut tries = 0;
        let (before, written, lines, changed) = loop {
            let object = if write.exists || tries > 0 {
                self.cluster.writer.read_person(&self.integration.roster.key, id).await?
            } else {
                let created = self
                    .cluster
                    .writer
                    .create_person(&self.integration.roster.key, self.integration.uid, id)
                    .await?;
                self.integration.roster.wrote(&created, 0);
                created
            };
            if object.metadata.deletion_timestamp.is_some() {
                return Err(WriteError::leaving("writing a status"));
            }
            let before = object.status.clone().unwrap_or_default();
            // A write with a lost answer may still have stored its line.
            let lines = write
                .history
                .iter()
                .chain(&write.owed)
                .filter(|line| !before.history.contains(line));
            let lines: Vec<HistoryEntry> = lines.cloned().collect();
            let (status, changed) = self.status(write, id, &object, &before, &lines);
            if object.status.as_ref().is_some_and(|old| same(old, &status)) {
                self.integration.roster.wrote(&object, if changed { 0 } else { write.hash });
                return Ok(());
            }
            self.integration.roster.writing(id, true);
            let written = self
                .cluster
                .writer
                .apply_person(&object, &status)
                .await
                .inspect_err(|_| self.integration.roster.writing(id, false));
            tries += 1;
            match written {
                // The object changed between the read and the write.
                Err(error) if error.is_outdated() && tries < TRIES => {}
                written => break (before, written?, lines, changed),
            }
        };
        self.integration.roster.wrote(&written, if changed { 0 } else { write.hash });
        self.cluster.metrics.status_patch("EmployeeSync", "written");
        let done =
            write.history.as_ref().is_some_and(|entry| entry.outcome == OutcomeWord::Succeeded);
        if let Some(cause) = self.request.causes.get(id).filter(|_| done) {
            self.cluster.metrics.reached(cause.trigger, cause.class, cause.since.elapsed());
        }
        for line in lines.iter().rev() {
            self.announce(&written, write, line);
        }
        let failed = lines.first().is_some_and(|line| line.outcome == OutcomeWord::Failed);
        if !failed {
            self.announce_stalled(&written, write, &before);
        }
        Ok(())
    }

    /// Returns the status to write over `before`, and whether something changed since the verdict
    /// was made.
    fn status(
        &self,
        write: &Write<'_>,
        id: &str,
        object: &EmployeeSync,
        before: &EmployeeSyncStatus,
        lines: &[HistoryEntry],
    ) -> (EmployeeSyncStatus, bool) {
        // The evidence is what the roster has at this moment: Bob may have reported something, or
        // withdrawn it, since the pass looked.
        let (proof, changed) = self.integration.roster.with(id, |entry| {
            (
                self.proof(write.index, entry, Some(&write.seen)),
                OtherWriters::of(entry) != write.seen,
            )
        });
        let mut status = write.verdict.status(
            &self.integration.settings().mapping,
            before,
            proof,
            lines,
            self.cluster.clock.now(),
        );
        // Another writer may have created the object already. Its generation is the true one.
        status.observed_generation = object
            .metadata
            .generation
            .map(|generation| generation.min(write.verdict.generation).max(1));
        let done =
            write.history.as_ref().is_some_and(|entry| entry.outcome == OutcomeWord::Succeeded);
        if changed {
            // What another pass has answered or released in the meantime is kept.
            let (sync, part) = (&before.last_handled_sync_at, &before.held_part);
            if sync.as_deref() != write.seen.sync_handled.as_deref() {
                status.last_handled_sync_at.clone_from(sync);
            }
            if !done && part.as_deref() != write.seen.part.map(part_text).as_deref() {
                status.held_part.clone_from(part);
            }
        }
        (status, changed)
    }

    /// Warns once when something begins for which a person should act and of which no failed change
    /// tells.
    fn announce_stalled(
        &self,
        object: &EmployeeSync,
        write: &Write<'_>,
        before: &EmployeeSyncStatus,
    ) {
        let verdict = &write.verdict;
        let reason = verdict.reason();
        if is_news(reason, before) {
            let note = verdict.message(&self.integration.settings().mapping);
            let action = if verdict.is_open() { action_word(Action::Suspend) } else { "Sync" };
            self.cluster.events.publish(reference(object), true, reason.as_str(), action, note);
        }
    }

    fn announce(&self, object: &EmployeeSync, write: &Write<'_>, entry: &HistoryEntry) {
        let regarding = reference(object);
        let fields = if entry.fields.is_empty() {
            String::new()
        } else {
            format!(" ({})", entry.fields.join(", "))
        };
        match entry.outcome {
            OutcomeWord::Succeeded => {
                let (reason, done) = match entry.action {
                    Action::Create => ("AccountCreated", "Created the account"),
                    Action::Adopt => ("AccountAdopted", "Adopted the account that has this e-mail"),
                    Action::Update => ("AccountUpdated", "Updated the account"),
                    Action::Suspend => ("AccountSuspended", "Suspended the account"),
                    Action::Reactivate => ("AccountReactivated", "Reactivated the account"),
                };
                let mut results = self.results.lock();
                let count = results.told.entry(reason).or_default();
                *count += 1;
                if *count > SINGLE {
                    return;
                }
                drop(results);
                let why = because(entry.action, write);
                self.cluster.events.publish(
                    regarding,
                    false,
                    reason,
                    action_word(entry.action),
                    format!("{done}{fields}{why}."),
                );
            }
            OutcomeWord::Failed => {
                let reason = write.verdict.reason();
                self.cluster.events.publish(
                    regarding,
                    true,
                    reason.as_str(),
                    action_word(entry.action),
                    write.verdict.message(&self.integration.settings().mapping),
                );
            }
        }
    }
}

/// Returns why a change was made. The decision is about access, and gives no reason for a write of
/// attributes.
fn because(action: Action, write: &Write<'_>) -> String {
    match action {
        Action::Adopt | Action::Update => String::new(),
        Action::Create | Action::Suspend | Action::Reactivate => {
            format!(": {}", write.verdict.decision.because())
        }
    }
}

/// Returns whether a person should act for this reason, and the status before did not say so.
pub fn is_news(reason: EmployeeReason, before: &EmployeeSyncStatus) -> bool {
    let known = conditions::find(&before.conditions, conditions::Type::Ready)
        .is_some_and(|ready| ready.reason == reason.as_str());
    reason.is_stalled() && !known
}

/// Returns whether an employee gets an object: employees that have, should have or will have an
/// account, and employees that are active in Bob even if the settings leave them out. Former
/// employees that never had an account get no object.
fn worth_an_object(person: &Person, verdict: &Verdict<'_>) -> bool {
    if verdict.decision.managed {
        verdict.in_scope() || verdict.trouble != Trouble::None
    } else {
        let waits = verdict.decision.why == Why::AwaitingChange
            && verdict.decision.missing != Missing::Never;
        let acts = verdict.decision.only_ends_access()
            || matches!(verdict.decision.why, Why::HandsOff | Why::Unreadable);
        waits || acts || person.employee.status == BobStatus::Active || verdict.account.is_some()
    }
}

/// What writers other than this pass write, as it was known when a verdict was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OtherWriters {
    /// The evidence. If it has come or ended since then, that is news to the pass.
    pub(super) proof: Proof,
    pub(super) sync_handled: Option<Box<str>>,
    pub(super) part: Option<u64>,
}

impl OtherWriters {
    pub(super) fn of(entry: Option<&Entry>) -> Self {
        let Some(entry) = entry else { return Self::default() };
        Self {
            proof: entry.proof(),
            sync_handled: entry.sync_handled.clone(),
            part: entry.part.map(NonZeroU64::get),
        }
    }
}

/// The moment of a pass at which a status is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteMoment {
    /// Before the outcome is known.
    Early,
    /// After it was clear that there is no change to try.
    Untried,
    /// After a change was tried. No other pass could look at the employee in the meantime.
    Tried,
}

/// One status to write.
pub(super) struct Write<'a> {
    pub(super) index: PersonIndex,
    pub(super) verdict: Verdict<'a>,
    pub(super) hash: u64,
    pub(super) history: Option<HistoryEntry>,
    /// Older history lines that could not be written when their changes were made, the newest
    /// first.
    pub(super) owed: Vec<HistoryEntry>,
    /// Whether the person has been gone for longer than the retention, so that the object is
    /// deleted.
    pub(super) expired: bool,
    /// The moment of the pass at which the status is written.
    pub(super) moment: WriteMoment,
    /// What was known when the verdict was made.
    pub(super) seen: OtherWriters,
    /// The evidence at that time.
    pub(super) proof: Proof,
    pub(super) exists: bool,
    pub(super) digest: u64,
}

fn reference(object: &EmployeeSync) -> ObjectReference {
    ObjectReference {
        api_version: Some(EmployeeSync::api_version(&()).into_owned()),
        kind: Some(EmployeeSync::kind(&()).into_owned()),
        name: Some(object.name_any()),
        namespace: object.namespace(),
        uid: object.uid(),
        ..ObjectReference::default()
    }
}

/// Returns whether an employee that is gone has been kept for long enough.
fn is_expired(deleted: Option<Timestamp>, retention: Duration, now: Timestamp) -> bool {
    deleted.is_some_and(|at| now.duration_since(at).unsigned_abs() >= retention && now >= at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::conditions::{ConditionUpdate, merge},
        domain::known::Revoked,
    };

    #[test]
    fn each_reason_for_which_a_person_should_act_is_an_event_when_it_begins() {
        let said = |reason: EmployeeReason| {
            let wanted = ConditionUpdate {
                kind: conditions::Type::Ready,
                status: reason.is_ready(),
                reason: reason.as_str(),
                message: String::new(),
            };
            let conditions = merge(&[], &[wanted], 1, Timestamp::UNIX_EPOCH);
            EmployeeSyncStatus { conditions, ..EmployeeSyncStatus::default() }
        };
        for reason in EmployeeReason::ALL.iter().copied() {
            for before in [EmployeeSyncStatus::default(), said(EmployeeReason::InSync)] {
                let begins = reason.is_stalled();
                assert_eq!(is_news(reason, &before), begins, "{reason}");
            }
            assert!(!is_news(reason, &said(reason)), "{reason} goes on");
        }
        for reason in
            [EmployeeReason::SuspendByHand, EmployeeReason::NoLicence, EmployeeReason::Contested]
        {
            assert!(is_news(reason, &said(EmployeeReason::InSync)), "{reason}");
        }
    }

    /// What a pass that took so long would write: the roster's word, whatever the pass knew.
    #[test]
    fn evidence_that_came_or_ended_while_a_pass_was_under_way_is_news_to_it() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let of = |proof| OtherWriters { proof, ..OtherWriters::default() };
        let revoked = |second| {
            let revoked = Some(Revoked { at: at(second), start: None });
            of(Proof { revoked, ..Proof::default() })
        };
        let (none, first, second) = (OtherWriters::of(None), revoked(1), revoked(2));
        let deleted = of(Proof { file_deleted: Some(at(3)), ..Proof::default() });
        for (seen, now) in [
            (&first, &none),
            (&none, &first),
            (&first, &second),
            (&none, &deleted),
            (&deleted, &none),
        ] {
            assert!(seen.proof != now.proof, "{seen:?} {now:?}");
        }
        let answered = OtherWriters { sync_handled: Some("now".into()), ..first.clone() };
        assert!(
            first.proof == answered.proof && first != answered,
            "an answered request is no evidence, and still news"
        );
    }
}
