//! What the status of an integration says: its conditions by kstatus, its counts, and the last pass
//! that changed anything.

mod again;
mod beside;
mod counts;
mod found;
mod held;
mod source;

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub use self::{
    beside::{begun_anew, cannot_read, timed, with_open, with_parts, with_progress, with_waits},
    counts::{Reckoned, with_counts},
    found::{About, Absent, BobFound, GuardsFound, ProviderFound},
    held::released,
    source::{after_some, memory},
};
use super::{
    Rest,
    execute::Cut,
    record::{Tally, Unwritten},
};
use crate::{
    api::{
        ProvisioningIntegrationStatus,
        conditions::{self, ConditionUpdate, merge},
        integration::{Approved, BudgetState, BudgetStates, EmployeeCounts, LastPass},
        reasons::{DetailReason, IntegrationReason},
        time::to_the_second,
    },
    domain::{count::counted, known::Revoked, plan::ChangeCounts},
    engine::{intake::revocations, settings::words::named, stop::Stop},
    telemetry::metrics::PassFigures,
};

/// How far a pass came, and what it found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Why the pass ended early, or why its findings are not believed.
    pub stop: Option<Stop>,
    /// Why the pass ended with changes left to do, if it did.
    pub cut: Option<Cut>,
    /// When a pass that was stopped, or that left work undone, is tried again.
    pub again: Option<Timestamp>,
    /// What the pass was about.
    pub about: About,
    /// What the pass found out about Bob.
    pub bob: BobFound,
    /// What the pass found out about the provider.
    pub provider: ProviderFound,
    /// What the guards found.
    pub guards: GuardsFound,
    /// The totals of the pass, or `None` if the pass did not come that far.
    pub tally: Option<Tally>,
    /// What could not be written about the employees.
    pub unwritten: Unwritten,
    /// The employees that the pass did not finish.
    pub rest: Rest,
    /// How long the pass took.
    pub took: Duration,
    /// How long the pass read Bob and the provider.
    pub read_for: Duration,
}

impl Report {
    /// Returns the report of a pass that was stopped before it began.
    #[must_use]
    pub fn stopped(stop: Stop) -> Self {
        Self { stop: Some(stop), ..Self::default() }
    }

    /// Returns whether the pass ended with changes left to do, or with statuses left to write.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.cut.is_some() || self.unwritten.for_now() > 0
    }

    /// Returns what the metrics count of a full pass.
    #[must_use]
    pub fn figures(&self) -> PassFigures {
        let outcome = match &self.stop {
            Some(stop) => stop.reason.as_str(),
            None if self.is_unfinished() => "Unfinished",
            None => "Converged",
        };
        let through = self.stop.is_none() && !self.is_unfinished() && self.tally.is_some();
        PassFigures { outcome, took: self.bob.answered.map(|_| self.took), through }
    }

    /// Returns whether the plan was carried out. A status that could not be written is not a change
    /// that is left to do.
    #[must_use]
    pub fn is_carried_out(&self) -> bool {
        self.tally.is_some() && self.cut.is_none() && self.stop.is_none() && !self.about.dry_run
    }

    /// Returns whether this pass answers a sync request: the pass is completed, or a person has to
    /// act before a pass can be completed. The next pass takes up a request that is not answered.
    #[must_use]
    pub fn answers_requests(&self) -> bool {
        let refused = self.stop.as_ref().is_some_and(|stop| stop.reason.is_stalled());
        self.cut.is_none() && (refused || self.tally.is_some())
    }

    /// Returns whether the status of this pass is about its generation. A pass that was ended
    /// before there was a plan has found nothing.
    fn has_spoken(&self) -> bool {
        self.cut.is_none() || self.tally.is_some()
    }
}

/// Returns the status after a pass. `revoked` has the immediate revocations that hold now, whatever
/// the pass knew of them.
#[must_use]
pub fn after(
    before: &ProvisioningIntegrationStatus,
    report: &Report,
    revoked: &BTreeMap<Box<str>, Revoked>,
    generation: i64,
    now: Timestamp,
) -> ProvisioningIntegrationStatus {
    let reason = reason(report);
    let progressing = reason == IntegrationReason::Progressing;
    let through = !progressing && (reason.is_ready() || reason.is_stalled());
    let message = again::with_next_try(&message(report, reason), report);
    let mut wanted = vec![
        ConditionUpdate {
            kind: conditions::Type::Ready,
            status: reason.is_ready(),
            reason: reason.as_str(),
            message: message.clone(),
        },
        if through {
            ConditionUpdate {
                kind: conditions::Type::Reconciling,
                status: false,
                reason: DetailReason::UpToDate.as_str(),
                message: String::new(),
            }
        } else {
            ConditionUpdate {
                kind: conditions::Type::Reconciling,
                status: true,
                reason: reason.as_str(),
                message: message.clone(),
            }
        },
        if reason.is_stalled() {
            ConditionUpdate {
                kind: conditions::Type::Stalled,
                status: true,
                reason: reason.as_str(),
                message,
            }
        } else {
            ConditionUpdate {
                kind: conditions::Type::Stalled,
                status: false,
                reason: DetailReason::NothingStalled.as_str(),
                message: String::new(),
            }
        },
    ];
    wanted.extend(connection(conditions::Type::BobConnected, report.bob.answered, report, before));
    wanted.extend(connection(
        conditions::Type::ProviderConnected,
        report.provider.answered,
        report,
        before,
    ));
    wanted.extend(source::time_zones_complete(report, before));
    wanted.extend(webhooks_accepted(report.about.webhooks.as_ref()));
    wanted.extend(mapping_complete(report, before));
    wanted.extend(held::condition(report, before));
    wanted.extend(employees_failing(report, before));
    wanted.iter_mut().for_each(|one| {
        one.message = named(&one.message, report.provider.name.unwrap_or("the provider"))
    });
    let mut status = ProvisioningIntegrationStatus {
        mode: before.mode,
        // `Reconciling` says whether the generation has been completed.
        observed_generation: if report.has_spoken() {
            Some(generation)
        } else {
            before.observed_generation
        },
        conditions: merge(&before.conditions, &wanted, generation, now),
        employees: before.employees.clone(),
        last_pass: before.last_pass.clone(),
        progress: None,
        next_try_at: again::due(report).map(Time),
        plan: match (&report.guards.plan, held::summary(report), &report.tally) {
            (Some(plan), _, _) => Some(plan.clone()),
            (None, Some(held), Some(_)) => Some(held),
            (None, None, Some(_)) => None,
            // The pass did not come that far.
            (None, _, None) => before.plan.clone(),
        },
        budgets: report
            .guards
            .planned
            .map_or_else(|| before.budgets.clone(), |planned| Some(planned_of(planned))),
        first_pass_at: before
            .first_pass_at
            .clone()
            .or_else(|| report.is_carried_out().then(|| Time(to_the_second(now)))),
        reactivations_held_since: match (&report.guards.held, &report.tally) {
            (Some(held), Some(_)) if held.restored => {
                before.reactivations_held_since.clone().or_else(|| Some(Time(to_the_second(now))))
            }
            (_, Some(_))
                if !report.about.dry_run && !report.is_unfinished() && report.stop.is_none() =>
            {
                None
            }
            _ => before.reactivations_held_since.clone(),
        },
        tenant: before.tenant.clone(),
        tenant_named: before.tenant_named.clone(),
        approved: before.approved.clone().map(|approved| {
            let through = report.tally.is_some()
                && report.bob.in_bob.is_some()
                && !report.is_unfinished()
                && !report.about.dry_run;
            Approved { leaving: approved.leaving && !through, ..approved }
        }),
        revoked: report.tally.as_ref().map_or_else(
            || before.revoked.clone(),
            |tally| revocations::after(&before.revoked, &tally.over, revoked, now),
        ),
        lifecycles: report
            .bob
            .absent
            .memory
            .as_ref()
            .map(source::lifecycles)
            .or_else(|| before.lifecycles.clone()),
        // If there is no request, the field is removed: another writer may have written it.
        last_handled_sync_at: if report.answers_requests() {
            report.about.sync_handled.clone()
        } else {
            before.last_handled_sync_at.clone()
        },
    };
    // Until a pass is completed, some statuses may still show accounts of the previous tenant.
    if report.tally.is_some()
        && report.bob.in_bob.is_some()
        && !report.is_unfinished()
        && report.stop.is_none()
    {
        status.tenant = report.about.tenant.as_ref().map(|tenant| tenant.told().to_owned());
        status.tenant_named = report.about.tenant.as_ref().map(|tenant| tenant.settings.clone());
    }
    if let (Some(tally), Some(in_bob)) = (&report.tally, report.bob.in_bob) {
        // A short answer must not become the measure for the next answer.
        let in_bob = if report.bob.suspicion.is_some() {
            before.employees.as_ref().map_or(in_bob, |counts| counts.in_bob)
        } else {
            in_bob
        };
        // The employees that wait for a change are known only after a full pass was completed.
        let counts = before.employees.is_some()
            || !(report.about.first_must_be_whole && report.is_unfinished());
        status.employees = counts.then_some(EmployeeCounts {
            in_bob,
            in_scope: tally.in_scope,
            ready: tally.ready,
            failing: tally.failing(),
            pending: tally.pending,
            held: tally.held,
            frozen: tally.frozen,
        });
        if tally.changed() || before.last_pass.is_none() {
            status.last_pass = Some(last_pass(tally, report.took, now));
        }
    }
    status
}

/// Returns what the status says of a pass that had a plan.
#[must_use]
pub fn last_pass(tally: &Tally, took: Duration, now: Timestamp) -> LastPass {
    let done = tally.changes.created
        + tally.changes.updated
        + tally.changes.reactivated
        + tally.changes.disabled;
    LastPass {
        finished_at: Time(to_the_second(now)),
        created: tally.changes.created,
        updated: tally.changes.updated,
        reactivated: tally.changes.reactivated,
        disabled: tally.changes.disabled,
        unchanged: (tally.ready + tally.unmanaged).saturating_sub(done),
        failed: tally.changes.failed,
        duration: seconds(took),
    }
}

/// Returns the budgets with their planned changes. The rest of each budget is added when the status
/// is written.
fn planned_of(planned: ChangeCounts) -> BudgetStates {
    let of = |planned| Some(BudgetState { planned, ..BudgetState::default() });
    BudgetStates {
        disables: of(planned.disables),
        reactivations: of(planned.reactivations),
        creates: of(planned.creates),
        updates: of(planned.updates),
    }
}

/// Returns the status of an integration with a generation that has not been completed. It is
/// written within a second of a change.
#[must_use]
pub fn progressing(
    before: &ProvisioningIntegrationStatus,
    generation: i64,
    now: Timestamp,
) -> ProvisioningIntegrationStatus {
    let message = beside::under_way(None);
    let reason = IntegrationReason::Progressing.as_str();
    let mut wanted = vec![
        ConditionUpdate {
            kind: conditions::Type::Ready,
            status: false,
            reason,
            message: message.clone(),
        },
        ConditionUpdate { kind: conditions::Type::Reconciling, status: true, reason, message },
        ConditionUpdate {
            kind: conditions::Type::Stalled,
            status: false,
            reason: DetailReason::NothingStalled.as_str(),
            message: String::new(),
        },
    ];
    for kind in conditions::Type::KEPT {
        wanted.extend(kept(kind, before));
    }
    ProvisioningIntegrationStatus {
        conditions: merge(&before.conditions, &wanted, generation, now),
        next_try_at: None,
        ..before.clone()
    }
}

/// Returns the status of an integration if its namespace cannot be listed.
#[must_use]
pub fn unlisted(
    before: &ProvisioningIntegrationStatus,
    generation: i64,
    message: String,
    now: Timestamp,
) -> ProvisioningIntegrationStatus {
    let reason = IntegrationReason::NamespaceNotListed.as_str();
    let mut wanted = vec![
        ConditionUpdate {
            kind: conditions::Type::Ready,
            status: false,
            reason,
            message: message.clone(),
        },
        ConditionUpdate {
            kind: conditions::Type::Reconciling,
            status: true,
            reason,
            message: message.clone(),
        },
        ConditionUpdate { kind: conditions::Type::Stalled, status: true, reason, message },
    ];
    for kind in conditions::Type::KEPT {
        wanted.extend(kept(kind, before));
    }
    ProvisioningIntegrationStatus {
        observed_generation: Some(generation),
        conditions: merge(&before.conditions, &wanted, generation, now),
        next_try_at: None,
        ..before.clone()
    }
}

/// Returns the status of a suspended integration.
#[must_use]
pub fn suspended(
    before: &ProvisioningIntegrationStatus,
    generation: i64,
    now: Timestamp,
) -> ProvisioningIntegrationStatus {
    let mut wanted = vec![
        ConditionUpdate {
            kind: conditions::Type::Ready,
            status: true,
            reason: IntegrationReason::Suspended.as_str(),
            message: "The integration is suspended (spec.suspend): nothing is read and nothing is \
                written."
                .to_owned(),
        },
        ConditionUpdate {
            kind: conditions::Type::Reconciling,
            status: false,
            reason: DetailReason::UpToDate.as_str(),
            message: String::new(),
        },
        ConditionUpdate {
            kind: conditions::Type::Stalled,
            status: false,
            reason: DetailReason::NothingStalled.as_str(),
            message: String::new(),
        },
    ];
    for kind in conditions::Type::KEPT {
        wanted.extend(kept(kind, before));
    }
    ProvisioningIntegrationStatus {
        observed_generation: Some(generation),
        conditions: merge(&before.conditions, &wanted, generation, now),
        next_try_at: None,
        ..before.clone()
    }
}

fn reason(report: &Report) -> IntegrationReason {
    match &report.stop {
        Some(stop) => stop.reason,
        None if report.is_unfinished() => IntegrationReason::Progressing,
        None if (report.guards.held.is_some() || report.guards.scope.is_some())
            && !report.about.dry_run =>
        {
            IntegrationReason::PlanHeld
        }
        None if report.about.dry_run => IntegrationReason::DryRun,
        None => IntegrationReason::Converged,
    }
}

fn message(report: &Report, reason: IntegrationReason) -> String {
    let mut text = match &report.stop {
        Some(stop) if stop.answered => counts::refuses(&stop.message),
        Some(stop) => stop.message.clone(),
        None => match reason {
            IntegrationReason::DryRun => {
                report.guards.plan.as_ref().map_or_else(String::new, |plan| {
                    let held = report
                        .guards
                        .would_hold
                        .as_ref()
                        .map(|because| format!("; a guard would hold part of it: {because}"))
                        .unwrap_or_default();
                    format!(
                        "Dry run: would create {}, reactivate {}, update {} and suspend {}{held}; \
                     nothing was written to the provider",
                        plan.creates,
                        plan.reactivations,
                        plan.updates,
                        counted(plan.disables, "account", "accounts")
                    )
                })
            }
            IntegrationReason::PlanHeld => held::message(report),
            IntegrationReason::Progressing => unfinished_message(report),
            _ => report.tally.as_ref().map_or_else(String::new, |tally| {
                counts::in_sync(tally.ready, tally.in_scope, tally.failing())
            }),
        },
    };
    if !text.ends_with(['.', '?', '!']) {
        text.push('.');
    }
    text
}

/// Returns the message about what is left to do.
fn unfinished_message(report: &Report) -> String {
    let waiting = report.tally.as_ref().map_or(0, |tally| tally.pending + tally.held);
    let waiting = counted(waiting, "employee waits for a turn", "employees wait for their turn");
    match report.cut {
        None => report.unwritten.told_for_now().unwrap_or(waiting),
        Some(Cut::Deadline) => format!("{waiting}; the next pass goes on at once"),
        Some(Cut::Halted) => format!("{waiting}; the pass was cut off, and the next one goes on"),
        Some(Cut::Unrecorded) => String::from(
            "The approval of the held plan could not be recorded, so no part of the plan was \
             written; bobsync tries again",
        ),
    }
}

fn connection(
    kind: conditions::Type,
    connected: Option<bool>,
    report: &Report,
    before: &ProvisioningIntegrationStatus,
) -> Option<ConditionUpdate> {
    match connected {
        Some(true) if kind == conditions::Type::BobConnected => Some(source::bob_connected(report)),
        Some(true) => Some(ConditionUpdate {
            kind,
            status: true,
            reason: DetailReason::Connected.as_str(),
            message: "The last call succeeded.".to_owned(),
        }),
        Some(false) => {
            let stop = report.stop.as_ref()?;
            let message = again::with_next_try(&conditions::sentence(&stop.message), report);
            Some(ConditionUpdate { kind, status: false, reason: stop.reason.as_str(), message })
        }
        None => kept(kind, before),
    }
}

fn webhooks_accepted(webhooks: Option<&Result<(), String>>) -> Option<ConditionUpdate> {
    let (reason, message) = match webhooks? {
        Ok(()) => (DetailReason::Accepting, "Webhooks are accepted.".to_owned()),
        Err(why) => (DetailReason::SecretMissing, format!("Webhooks are refused: {why}.")),
    };
    Some(ConditionUpdate {
        kind: conditions::Type::WebhooksAccepted,
        status: reason == DetailReason::Accepting,
        reason: reason.as_str(),
        message,
    })
}

fn mapping_complete(
    report: &Report,
    before: &ProvisioningIntegrationStatus,
) -> Option<ConditionUpdate> {
    let kind = conditions::Type::MappingComplete;
    if report.tally.is_none() {
        return kept(kind, before);
    }
    Some(mapped(&report.provider.unavailable_targets, &report.bob.unseen_fields))
}

fn mapped(unavailable_targets: &[String], unseen_fields: &[String]) -> ConditionUpdate {
    let kind = conditions::Type::MappingComplete;
    if !unavailable_targets.is_empty() {
        ConditionUpdate {
            kind,
            status: false,
            reason: DetailReason::TargetUnavailable.as_str(),
            message: format!(
                "The provider does not have {}; {} left out, and all other targets are written. \
                 Define what is missing there, or remove its mapping row.",
                unavailable_targets.join(", "),
                if unavailable_targets.len() == 1 { "it is" } else { "they are" }
            ),
        }
    } else if !unseen_fields.is_empty() {
        ConditionUpdate {
            kind,
            status: false,
            reason: DetailReason::SourceUnavailable.as_str(),
            message: format!(
                "Bob sends {} for no employee; attributes and access that depend on it stay as \
                 they are. Let the service user view it, or correct the field's id.",
                unseen_fields.join(", ")
            ),
        }
    } else {
        ConditionUpdate {
            kind,
            status: true,
            reason: DetailReason::Complete.as_str(),
            message: "Every mapped target exists, and Bob shows every mapped field.".to_owned(),
        }
    }
}

fn employees_failing(
    report: &Report,
    before: &ProvisioningIntegrationStatus,
) -> Option<ConditionUpdate> {
    let Some(tally) = &report.tally else {
        return kept(conditions::Type::EmployeesFailing, before);
    };
    let reasons = tally.reasons.iter().map(|(reason, count)| (*reason, *count)).collect::<Vec<_>>();
    Some(counts::employees_failing(&reasons, report.unwritten.told().as_deref()))
}

/// Returns a condition as it was, because this pass has nothing new to say about it.
fn kept(kind: conditions::Type, before: &ProvisioningIntegrationStatus) -> Option<ConditionUpdate> {
    let old = conditions::find(&before.conditions, kind)?;
    let reasons = DetailReason::ALL
        .iter()
        .map(|r| r.as_str())
        .chain(IntegrationReason::ALL.iter().map(|r| r.as_str()));
    let reason = reasons.into_iter().find(|word| *word == old.reason)?;
    Some(ConditionUpdate {
        kind,
        status: old.status == "True",
        reason,
        message: old.message.clone(),
    })
}

/// Returns a Go duration with tenths of a second.
fn seconds(took: Duration) -> String {
    format!("{:.1}s", took.as_secs_f64())
}

#[cfg(test)]
mod tests;
