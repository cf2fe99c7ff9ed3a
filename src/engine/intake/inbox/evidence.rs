//! Writes evidence that Bob pushed into the status of the `EmployeeSync`. A revocation is also
//! written into the status of the integration.

use std::{sync::atomic::Ordering, time::Duration};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{Inbox, Mailbox};
use crate::{
    api::{
        EmployeeSync, EmployeeSyncStatus,
        conditions::{self, ConditionUpdate, Type, find, merge},
        employee_sync::Evidence,
        key::IntegrationKey,
        reasons::{DetailReason, EmployeeReason},
        time::to_the_second,
    },
    bob::webhook::Kind,
    cluster::{
        roster::{Entry, evidence},
        status::{WriteError, Writer},
    },
    domain::{
        evidence::{BobReport, Proof},
        known::Revoked,
        why::Why,
    },
    engine::{
        intake::revocations,
        planned::{OPEN, PlannedChange},
    },
};

/// How long the write to the employee's own status may take. Bob waits for its answer for ten
/// seconds at most.
const OBJECT_WITHIN: Duration = Duration::from_secs(4);
/// How long the write that access is still open may take.
const SAID_WITHIN: Duration = Duration::from_secs(1);
/// The wait before evidence is written again to an object that has changed.
const AGAIN: Duration = Duration::from_millis(50);

impl Inbox {
    /// Records what no later read would show. Ends a revocation once Bob reports the employee
    /// activated.
    pub(super) async fn record(
        &self,
        key: &IntegrationKey,
        mailbox: &Mailbox,
        employee: &str,
        kind: Kind,
        at: Timestamp,
    ) -> Result<(), WriteError> {
        let at = to_the_second(at);
        if kind == Kind::Activated {
            mailbox.was_activated(employee, at);
        } else if kind == Kind::AccessRevoked && mailbox.is_activated_since(employee, at) {
            // A later event overtook this one: Bob repeats what was not answered.
            return Ok(());
        }
        if kind == Kind::AccessRevoked
            && revocations::is_over(&mailbox.revoked.list(), employee, at)
        {
            return Ok(());
        }
        let _guard = mailbox.claims.record(employee).await;
        let known = mailbox.employees.get(employee);
        let before = known.as_ref().map_or_else(Proof::default, Entry::proof);
        let report = match kind {
            Kind::AccessRevoked => BobReport::Revoked,
            Kind::Deleted => BobReport::Deleted,
            Kind::Activated => BobReport::Activated,
            _ => return Ok(()),
        };
        let Some(after) = before.after(report, at, known.is_some()) else { return Ok(()) };
        let evidence = evidence(after);
        if kind == Kind::Activated {
            // This is written before the evidence is removed, because a pass that begins in between
            // takes up what this list has.
            mailbox
                .revoked
                .change(&self.writer(key), key, &|list| revocations::ended(list, employee, at))
                .await?;
        }
        mailbox.employees.writing(employee, true);
        let written = tokio::time::timeout(
            OBJECT_WITHIN,
            self.write(key, mailbox, employee, evidence.as_ref()),
        )
        .await;
        let refused = match written {
            Ok(Ok(Some(object))) => {
                mailbox.employees.wrote(&object, 0);
                self.say_open(key, mailbox, employee, &object).await;
                None
            }
            Ok(Ok(None)) => {
                mailbox.employees.forget_revocation(employee);
                None
            }
            Ok(Err(error)) => Some(error),
            Err(_) => Some(WriteError::for_now(
                "writing the evidence",
                "the API server did not answer in time",
            )),
        };
        if refused.is_some() {
            mailbox.employees.writing(employee, false);
        }
        match (kind, refused) {
            (Kind::AccessRevoked, refused) => {
                // The revocation outlives the object in this list, and is valid even if only this
                // list has it.
                let revoked = Revoked { at, start: None };
                mailbox
                    .revoked
                    .change(&self.writer(key), key, &|list| {
                        revocations::with(list, employee, revoked)
                    })
                    .await?;
                if let Some(error) = refused {
                    tracing::warn!(integration = %key, employee, %error,
                        "evidence from Bob is in the integration's status alone");
                    mailbox.employees.remember(employee, revoked);
                }
            }
            (_, Some(error)) => return Err(error),
            (_, None) => {}
        }
        tracing::info!(integration = %key, employee, ?kind, "evidence from Bob is recorded");
        Ok(())
    }

    /// Writes that access is still to be taken, if it is. The evidence is on record, so a status
    /// with another text is wrong until access is taken.
    async fn say_open(
        &self,
        key: &IntegrationKey,
        mailbox: &Mailbox,
        employee: &str,
        object: &EmployeeSync,
    ) {
        let gone = mailbox.employees.with(employee, |entry| {
            entry
                .filter(|entry| entry.is_open_against_evidence())
                .map(|entry| entry.file_deleted.is_some())
        });
        let Some(gone) = gone.filter(|_| mailbox.takes_access.load(Ordering::Acquire)) else {
            return;
        };
        let why = if gone { Why::FileDeleted } else { Why::AccessRevoked };
        let (status, generation) =
            (object.status.clone().unwrap_or_default(), object.metadata.generation.unwrap_or(0));
        let Some(conditions) = still_open(&status, generation, why, self.0.clock.now()) else {
            return;
        };
        let reason = find(&conditions, Type::Ready).map(|ready| ready.reason.clone());
        let (writer, status) =
            (self.writer(key), EmployeeSyncStatus { reason, conditions, ..status });
        mailbox.employees.writing(employee, true);
        match tokio::time::timeout(SAID_WITHIN, writer.apply_person(object, &status)).await {
            Ok(Ok(object)) => mailbox.employees.wrote(&object, 0),
            Ok(Err(_)) | Err(_) => {
                tracing::debug!(integration = %key, employee,
                    "that access is still open could not be said");
                mailbox.employees.writing(employee, false);
            }
        }
    }

    fn writer(&self, key: &IntegrationKey) -> Writer {
        Writer::new(&self.0.client, &key.namespace, &self.0.leadership)
    }

    /// Writes the evidence into the status, and creates an object for an employee without one.
    /// Returns `None` if there is no object to write to.
    async fn write(
        &self,
        key: &IntegrationKey,
        mailbox: &Mailbox,
        employee: &str,
        evidence: Option<&Evidence>,
    ) -> Result<Option<EmployeeSync>, WriteError> {
        if mailbox.employees.is_leaving(employee, &mailbox.uid) {
            return if evidence.is_none() {
                Ok(None)
            } else {
                Err(WriteError::for_now("writing evidence", "the object is being deleted"))
            };
        }
        let writer = self.writer(key);
        loop {
            let object = match writer.read_person(key, employee).await {
                Err(error) if error.is_gone() && evidence.is_none() => return Ok(None),
                Err(error) if error.is_gone() => {
                    writer.create_person(key, &mailbox.uid, employee).await?
                }
                read => read?,
            };
            let status = EmployeeSyncStatus {
                evidence: evidence.cloned(),
                ..object.status.clone().unwrap_or_default()
            };
            match writer.apply_person(&object, &status).await {
                // A person changed the object, or it was deleted. The caller does not wait for
                // ever.
                Err(error) if error.is_outdated() || error.is_gone() => {
                    tokio::time::sleep(AGAIN).await
                }
                written => return written.map(Some),
            }
        }
    }
}

/// Returns the conditions of an employee with an open account, from which evidence takes access
/// from now on. They replace what was written before the evidence came. Returns `None` if they
/// already say that something differs from the decision.
fn still_open(
    status: &EmployeeSyncStatus,
    generation: i64,
    why: Why,
    now: Timestamp,
) -> Option<Vec<Condition>> {
    let ready = conditions::find(&status.conditions, conditions::Type::Ready);
    if ready.is_some_and(|ready| ready.status != "True") {
        return None;
    }
    let why = why.sentence();
    let message = format!("Waiting for its turn to {}; {why}.", PlannedChange::Suspend.words());
    let wanted = [
        ConditionUpdate {
            kind: conditions::Type::Ready,
            status: false,
            reason: EmployeeReason::Pending.as_str(),
            message,
        },
        ConditionUpdate {
            kind: conditions::Type::AccessSynced,
            status: false,
            reason: DetailReason::NotAsDecided.as_str(),
            message: format!("{OPEN}: {why}."),
        },
    ];
    let mut list = status.conditions.clone();
    for fresh in merge(&status.conditions, &wanted, generation, now) {
        match list.iter_mut().find(|known| known.type_ == fresh.type_) {
            Some(known) => *known = fresh,
            None => list.push(fresh),
        }
    }
    Some(list)
}
