//! The numbers of an integration, computed from the roster and written whenever they change, at
//! most once in five seconds. `kubectl get pi` thus agrees with `kubectl get esync`, whichever pass
//! wrote the latter.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::ObjectReference,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    api::{
        ProvisioningIntegrationStatus, conditions,
        integration::{BudgetState, BudgetStates},
        reasons::{DetailReason, EmployeeReason, IntegrationReason},
    },
    cluster::{
        events::Events,
        roster::{Counts, Employees, Roster, Sums},
    },
    domain::budget::{Budget, BudgetKind, Budgets, Usage},
    engine::{
        clock::Clock,
        integration::shared::Shared,
        pass::{company::Company, record::told, report::Reckoned},
        progress::{self, Counting},
        settings::{
            tenants::{Tenant, Tenants},
            validate::Validated,
        },
    },
    telemetry::metrics::Metrics,
};

/// The shortest time between two writes of the numbers.
pub(super) const APART: Duration = progress::APART;

/// Computes the numbers of the employees of one integration.
pub struct Reckoning {
    employees: Arc<Employees>,
    roster: Roster,
    tenants: Arc<Tenants>,
    clock: Clock,
    metrics: Arc<Metrics>,
    settings: Mutex<Option<CountedSettings>>,
    /// Whether a full pass has completed in this process.
    complete: AtomicBool,
    /// The progress of the full pass that is under way.
    pub progress: Counting,
    /// What all answers of Bob together showed.
    pub company: Company,
    /// Notified of changes that the numbers do not show.
    pub(super) news: Notify,
}

/// The settings that the numbers depend on.
struct CountedSettings {
    budgets: Budgets,
    tenant: String,
}

impl Reckoning {
    /// Returns the reckoning of this integration; its settings are not known yet.
    #[must_use]
    pub fn new(employees: Arc<Employees>, shared: &Shared) -> Self {
        Self {
            employees,
            roster: shared.roster.clone(),
            tenants: shared.tenants.clone(),
            progress: Counting::new(shared.clock.clone()),
            company: Company::default(),
            clock: shared.clock.clone(),
            metrics: shared.metrics.clone(),
            settings: Mutex::default(),
            complete: AtomicBool::new(false),
            news: Notify::new(),
        }
    }

    /// Stores the settings.
    pub fn settings(&self, validated: &Validated) {
        let settings = CountedSettings {
            budgets: validated.settings.budgets,
            tenant: validated.target.tenant(),
        };
        *self.settings.lock() = Some(settings);
    }

    /// Notes that a full pass has completed: an employee without a status has one again.
    pub fn complete(&self) {
        self.complete.store(true, Ordering::Release);
    }

    /// Tells that something changed that the numbers do not show.
    pub fn nudge(&self) {
        self.news.notify_one();
    }

    /// Passes the status of the integration to the metrics.
    pub fn said(&self, status: &ProvisioningIntegrationStatus) {
        self.metrics.said(&self.employees.key, status);
    }

    /// Computes the numbers for an integration with this status.
    #[must_use]
    pub fn reckon(&self, status: &ProvisioningIntegrationStatus) -> Reckoned {
        let settings = self.settings.lock();
        let (now, planned) = (self.clock.now(), status.budgets.clone().unwrap_or_default());
        let key = &self.employees.key;
        let (counts, budgets) = self.employees.sums(|sums| {
            (
                sums.counts.clone(),
                settings.as_ref().map(|settings| states(sums, &settings.budgets, &planned, now)),
            )
        });
        // After a start, statuses may be missing that existed before. Until a pass has looked at
        // all employees, a number lower than the recorded one shows this.
        let known = status.employees.as_ref().map_or(0, |employees| employees.in_scope);
        let counts = Some(counts)
            .filter(|counts| self.complete.load(Ordering::Acquire) || counts.in_scope() >= known);
        let learned = self.tenants.learned(key);
        let tenant =
            settings.as_ref().map(|settings| Tenant { settings: settings.tenant.clone(), learned });
        let others = tenant
            .map(|tenant| self.tenants.others(key, &tenant, Timestamp::MAX))
            .unwrap_or_default();
        let others: Vec<_> = others.iter().map(|other| self.roster.of(&other.key)).collect();
        let taken_by = self.employees.who_manages_all(EmployeeReason::Conflict, &others);
        let refused = counts.as_ref().map_or(0, Counts::not_recorded) as usize;
        let refusal = self.employees.refusal().filter(|_| refused > 0);
        let not_written = refusal.map(|(object, answer)| told(refused, &object, &answer));
        Reckoned { counts, taken_by, not_written, budgets }
    }
}

/// Returns how much of every budget is used. `before`: how many changes of each kind are planned,
/// as the last full pass found it.
fn states(sums: &Sums, budgets: &Budgets, before: &BudgetStates, now: Timestamp) -> BudgetStates {
    let state = |kind: BudgetKind, before: &Option<BudgetState>| {
        let budget = budgets.of(kind)?;
        let planned = before.as_ref().map_or(0, |state| state.planned);
        Some(state_of(sums, kind, budget, planned, now))
    };
    BudgetStates {
        disables: state(BudgetKind::Disable, &before.disables),
        reactivations: state(BudgetKind::Reactivate, &before.reactivations),
        creates: state(BudgetKind::Create, &before.creates),
        updates: state(BudgetKind::Update, &before.updates),
    }
}

fn state_of(
    sums: &Sums,
    kind: BudgetKind,
    budget: Budget,
    planned: u32,
    now: Timestamp,
) -> BudgetState {
    let window = i64::try_from(budget.per.as_secs()).unwrap_or(i64::MAX);
    let since = now.as_second().saturating_sub(window);
    let people = if kind == BudgetKind::Create { sums.managed } else { sums.accounts };
    let account = Usage { planned, spent: sums.spent(kind, since), limit: budget.limit(people) };
    let opens = account.must_leave().and_then(|leaving| sums.nth_spent(kind, since, leaving));
    let opens_at = opens.and_then(|at| Timestamp::from_second(at.saturating_add(window)).ok());
    BudgetState { limit: account.limit, done: account.spent, planned, opens_at: opens_at.map(Time) }
}

/// The conditions of an integration that say what a person should do, next to `Ready`.
const TOLD: [conditions::Type; 5] = [
    conditions::Type::PlanHeld,
    conditions::Type::BobConnected,
    conditions::Type::MappingComplete,
    conditions::Type::TimeZonesComplete,
    conditions::Type::WebhooksAccepted,
];
/// The reasons of these conditions that are an event when they begin.
const BEGINNINGS: [DetailReason; 9] = [
    DetailReason::BudgetExceeded,
    DetailReason::FieldBlackout,
    DetailReason::ScopeShrink,
    DetailReason::RestoredWithoutStatus,
    DetailReason::LifecyclesMissing,
    DetailReason::TargetUnavailable,
    DetailReason::SourceUnavailable,
    DetailReason::SiteWithoutZone,
    DetailReason::SecretMissing,
];

/// Sends one event for each reason that has begun between two lists of conditions.
pub fn announce(
    events: &Events,
    about: ObjectReference,
    before: &[Condition],
    after: &[Condition],
) {
    for (warning, reason, message) in begun(before, after) {
        events.publish(about.clone(), warning, reason, "Sync", message);
    }
}

/// Returns the reasons that have begun, whether each is a warning, and its message. A held plan is
/// told once: by `Ready`, or by its own reason if another one holds it now.
fn begun(before: &[Condition], after: &[Condition]) -> Vec<(bool, &'static str, String)> {
    let changed = |kind| {
        let now = conditions::find(after, kind)?;
        let known = conditions::find(before, kind);
        known.is_none_or(|known| known.reason != now.reason).then_some(now)
    };
    let ready = changed(conditions::Type::Ready).and_then(|now| {
        let reason = IntegrationReason::ALL.iter().find(|reason| reason.as_str() == now.reason)?;
        let news = *reason != IntegrationReason::Progressing;
        news.then(|| (!reason.is_ready(), reason.as_str(), now.message.clone()))
    });
    let told = ready.as_ref().map(|(_, reason, _)| *reason);
    let others = TOLD.into_iter().filter_map(|kind| {
        let now = changed(kind)?;
        let reason = BEGINNINGS.iter().find(|reason| reason.as_str() == now.reason)?;
        let news = kind != conditions::Type::PlanHeld
            || told != Some(IntegrationReason::PlanHeld.as_str());
        news.then(|| (true, reason.as_str(), now.message.clone()))
    });
    ready.into_iter().chain(others).collect()
}

/// Requests a write of the numbers at regular intervals while a pass is under way.
pub async fn tell_progress(reckoning: &Reckoning) -> Infallible {
    loop {
        tokio::time::sleep(APART).await;
        reckoning.nudge();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::conditions::{ConditionUpdate, merge};

    fn said(kind: conditions::Type, status: bool, reason: &'static str) -> Vec<Condition> {
        let message = "It is so.".to_owned();
        merge(&[], &[ConditionUpdate { kind, status, reason, message }], 1, Timestamp::UNIX_EPOCH)
    }

    fn reasons(before: &[Condition], after: &[Condition]) -> Vec<(bool, &'static str)> {
        begun(before, after).into_iter().map(|(warning, reason, _)| (warning, reason)).collect()
    }

    #[test]
    fn each_reason_of_ready_is_an_event_when_it_begins_but_progress() {
        for reason in IntegrationReason::ALL {
            let after = said(conditions::Type::Ready, reason.is_ready(), reason.as_str());
            let wanted: &[_] = match reason {
                IntegrationReason::Progressing => &[],
                reason => &[(!reason.is_ready(), reason.as_str())],
            };
            assert_eq!(reasons(&[], &after), wanted);
            assert_eq!(reasons(&after, &after), [], "{reason} goes on");
        }
    }

    #[test]
    fn each_other_reason_for_which_a_person_should_act_is_an_event_when_it_begins() {
        use conditions::Type as T;
        let list = [
            (T::PlanHeld, true, "BudgetExceeded"),
            (T::PlanHeld, true, "FieldBlackout"),
            (T::PlanHeld, true, "ScopeShrink"),
            (T::PlanHeld, true, "RestoredWithoutStatus"),
            (T::BobConnected, true, "LifecyclesMissing"),
            (T::MappingComplete, false, "TargetUnavailable"),
            (T::MappingComplete, false, "SourceUnavailable"),
            (T::TimeZonesComplete, false, "SiteWithoutZone"),
            (T::WebhooksAccepted, false, "SecretMissing"),
        ];
        assert_eq!(list.len(), BEGINNINGS.len());
        for (kind, status, reason) in list {
            let after = said(kind, status, reason);
            assert_eq!(reasons(&[], &after), [(true, reason)]);
            assert_eq!(reasons(&said(kind, !status, "Connected"), &after), [(true, reason)]);
            assert_eq!(reasons(&after, &after), [], "{reason} goes on");
            assert_eq!(reasons(&after, &said(kind, !status, "Connected")), [], "{reason} ends");
        }
    }

    #[test]
    fn a_held_plan_is_told_once_and_again_when_another_guard_holds_it() {
        let held = |reason| {
            let mut both = said(conditions::Type::Ready, false, "PlanHeld");
            both.extend(said(conditions::Type::PlanHeld, true, reason));
            both
        };
        let before = said(conditions::Type::Ready, true, "Converged");
        assert_eq!(reasons(&before, &held("BudgetExceeded")), [(true, "PlanHeld")]);
        let other = reasons(&held("BudgetExceeded"), &held("ScopeShrink"));
        assert_eq!(other, [(true, "ScopeShrink")]);
    }
}
