//! Gauges that are computed for each scrape: sums over the roster, and what integrations say about
//! themselves.

use std::{
    collections::HashMap,
    sync::{OnceLock, atomic::AtomicU64},
};

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Labels, MetricRow, ReadValue, labels, register, registered};
use crate::api::{
    ProvisioningIntegrationStatus, conditions,
    integration::BudgetState,
    key::IntegrationKey,
    reasons::{EmployeeReason, IntegrationReason},
};

pub(super) const INTEGRATION: MetricRow = MetricRow {
    name: "bobsync_integration_ready",
    kind: "gauge",
    labels: &["integration", "reason"],
    help: "1 if Ready is True, else 0. There is one series for each integration. Its reason is the \
        reason of Ready, such as PlanHeld or ProviderUnauthorized",
};
pub(super) const EMPLOYEES: MetricRow = MetricRow {
    name: "bobsync_employees",
    kind: "gauge",
    labels: &["integration", "state"],
    help: "Employees by the state of their EmployeeSync: in_sync, pending, held, frozen, failing \
        or unmanaged",
};
pub(super) const FAILING: MetricRow = MetricRow {
    name: "bobsync_failing_employees",
    kind: "gauge",
    labels: &["integration", "reason"],
    help: "Employees who fail, by the reason of Ready on their EmployeeSync. A reason that no \
        employee has is absent",
};
pub(super) const UPCOMING: MetricRow = MetricRow {
    name: "bobsync_upcoming_transitions",
    kind: "gauge",
    labels: &["integration", "access", "within"],
    help: "Employees with a date in Bob that changes their access within a day or a week. The \
        label access is the new access, active or suspended",
};
pub(super) const HELD: MetricRow = MetricRow {
    name: "bobsync_held_changes",
    kind: "gauge",
    labels: &["integration", "kind"],
    help: "Changes that a guard holds now, by kind: create, reactivate, update or suspend",
};
pub(super) const BUDGET: MetricRow = MetricRow {
    name: "bobsync_budget_left",
    kind: "gauge",
    labels: &["integration", "kind"],
    help: "Changes that the budget of this kind allows now. Absent if there is no limit",
};
pub(super) const WINDOW: MetricRow = MetricRow {
    name: "bobsync_provider_window_left",
    kind: "gauge",
    labels: &["integration"],
    help: "Calls that the provider's rate limit allows in its current window, if that is known. \
        All integrations of one tenant share it",
};
pub(super) const UNSYNCED: MetricRow = MetricRow {
    name: "bobsync_oldest_unsynced_age_seconds",
    kind: "gauge",
    labels: &["integration"],
    help: "No employee has been out of sync for longer than this. It is the time since the oldest \
        EmployeeSync that is not Ready became so, or the time since a full pass last succeeded, \
        whichever is longer. It grows if passes fail, hang or stop, and it goes on after a restart",
};
pub(super) const OBJECTS: MetricRow = MetricRow {
    name: "bobsync_employee_sync_objects",
    kind: "gauge",
    labels: &[],
    help: "EmployeeSync objects that the controller knows",
};

/// The employees of each integration, as far as they are counted.
pub trait GaugedEmployees: Send + Sync {
    /// Returns how many `EmployeeSync` objects there are, of all integrations.
    fn objects(&self) -> usize;

    /// Returns the figures of one integration at `now`, in seconds of the epoch.
    fn figures(&self, key: &IntegrationKey, now: i64) -> Figures;
}

/// The figures of one integration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Employees by their state, in the words of the label `state`.
    pub states: [(&'static str, u32); 6],
    /// Employees who fail, by reason.
    pub failing: Vec<(EmployeeReason, u32)>,
    /// Changes of access to come, first to Active and then to Suspended: within a day, within a
    /// week.
    pub upcoming: [[i64; 2]; 2],
    /// Since when the oldest `EmployeeSync` that is not Ready is so, in seconds of the epoch.
    pub unready_since: Option<i64>,
}

/// What an integration says about itself.
#[derive(Default)]
struct IntegrationGauges {
    ready: Option<(&'static str, bool)>,
    held: [u32; 4],
    left: [Option<u32>; 4],
    /// When a pass last succeeded, in seconds of the epoch. Before the first such pass, it is since
    /// when no pass is known to have succeeded.
    through: i64,
    /// How many calls the provider's window has left.
    window: Option<ReadValue<Option<u32>>>,
}

const KINDS: [&str; 4] = ["create", "reactivate", "update", "suspend"];

pub(super) struct Gauges {
    ready: Family<Labels<2>, Gauge>,
    employees: Family<Labels<2>, Gauge>,
    failing: Family<Labels<2>, Gauge>,
    upcoming: Family<Labels<3>, Gauge>,
    held: Family<Labels<2>, Gauge>,
    left: Family<Labels<2>, Gauge>,
    window: Family<Labels<1>, Gauge>,
    unsynced: Family<Labels<1>, Gauge<f64, AtomicU64>>,
    objects: Gauge,
    told: Mutex<HashMap<IntegrationKey, IntegrationGauges>>,
    people: OnceLock<(Box<dyn GaugedEmployees>, ReadValue<Timestamp>)>,
}

impl Gauges {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let objects = Gauge::default();
        register(registry, &OBJECTS, objects.clone());
        Self {
            ready: registered(registry, &INTEGRATION),
            employees: registered(registry, &EMPLOYEES),
            failing: registered(registry, &FAILING),
            upcoming: registered(registry, &UPCOMING),
            held: registered(registry, &HELD),
            left: registered(registry, &BUDGET),
            window: registered(registry, &WINDOW),
            unsynced: registered(registry, &UNSYNCED),
            objects,
            told: Mutex::default(),
            people: OnceLock::new(),
        }
    }

    fn told(&self) -> MutexGuard<'_, HashMap<IntegrationKey, IntegrationGauges>> {
        self.told.lock()
    }

    pub(super) fn watch(&self, people: Box<dyn GaugedEmployees>, now: ReadValue<Timestamp>) {
        // A process has one roster, so the first one counts.
        let _ = self.people.set((people, now));
    }

    pub(super) fn begin(&self, key: &IntegrationKey, since: Timestamp) {
        self.told().insert(
            key.clone(),
            IntegrationGauges { through: since.as_second(), ..IntegrationGauges::default() },
        );
    }

    pub(super) fn forget(&self, key: &IntegrationKey) {
        self.told().remove(key);
    }

    pub(super) fn through(&self, key: &IntegrationKey, now: Timestamp) {
        if let Some(told) = self.told().get_mut(key) {
            told.through = now.as_second();
        }
    }

    pub(super) fn paced(&self, key: &IntegrationKey, left: ReadValue<Option<u32>>) {
        if let Some(told) = self.told().get_mut(key) {
            told.window = Some(left);
        }
    }

    pub(super) fn said(&self, key: &IntegrationKey, status: &ProvisioningIntegrationStatus) {
        let ready = conditions::find(&status.conditions, conditions::Type::Ready);
        let reason = |word: &str| {
            IntegrationReason::ALL.iter().map(|reason| reason.as_str()).find(|known| *known == word)
        };
        let plan = status.plan.as_ref().filter(|plan| plan.held_because.is_some());
        let left = |state: &Option<BudgetState>| {
            state.as_ref().map(|state| state.limit.saturating_sub(state.done))
        };
        let budgets = status.budgets.clone().unwrap_or_default();
        if let Some(told) = self.told().get_mut(key) {
            told.ready =
                ready.and_then(|ready| Some((reason(&ready.reason)?, ready.status == "True")));
            told.held = plan.map_or([0; 4], |plan| {
                [plan.creates, plan.reactivations, plan.updates, plan.disables]
            });
            told.left =
                [&budgets.creates, &budgets.reactivations, &budgets.updates, &budgets.disables]
                    .map(left);
        }
    }

    /// Updates every series to what is known now. The series stay so until the guard is dropped.
    pub(super) fn fill(&self) -> impl Drop {
        let told = self.told();
        self.clear();
        if let Some((people, now)) = self.people.get() {
            let now = now().as_second();
            self.objects.set(i64::try_from(people.objects()).unwrap_or(i64::MAX));
            for (key, told) in told.iter() {
                self.of_people(key, told.through, &people.figures(key, now), now);
            }
        }
        for (key, told) in told.iter() {
            let key = key.to_string();
            if let Some((reason, ready)) = told.ready {
                self.ready
                    .get_or_create(&labels(&INTEGRATION, [key.clone().into(), reason.into()]))
                    .set(i64::from(ready));
            }
            for ((kind, held), left) in KINDS.into_iter().zip(told.held).zip(told.left) {
                self.held
                    .get_or_create(&labels(&HELD, [key.clone().into(), kind.into()]))
                    .set(i64::from(held));
                if let Some(left) = left {
                    self.left
                        .get_or_create(&labels(&BUDGET, [key.clone().into(), kind.into()]))
                        .set(i64::from(left));
                }
            }
            if let Some(left) = told.window.as_ref().and_then(|left| left()) {
                self.window.get_or_create(&labels(&WINDOW, [key.into()])).set(i64::from(left));
            }
        }
        told
    }

    fn of_people(&self, key: &IntegrationKey, through: i64, figures: &Figures, now: i64) {
        let name = key.to_string();
        for (state, count) in figures.states {
            self.employees
                .get_or_create(&labels(&EMPLOYEES, [name.clone().into(), state.into()]))
                .set(i64::from(count));
        }
        for (reason, count) in &figures.failing {
            self.failing
                .get_or_create(&labels(&FAILING, [name.clone().into(), reason.as_str().into()]))
                .set(i64::from(*count));
        }
        for (access, counts) in ["active", "suspended"].into_iter().zip(figures.upcoming) {
            for (within, count) in ["day", "week"].into_iter().zip(counts) {
                self.upcoming
                    .get_or_create(&labels(
                        &UPCOMING,
                        [name.clone().into(), access.into(), within.into()],
                    ))
                    .set(count);
            }
        }
        let oldest = figures.unready_since.map_or(through, |since| since.min(through));
        // The seconds of a lifetime are exact in a float.
        #[allow(clippy::cast_precision_loss)]
        self.unsynced
            .get_or_create(&labels(&UNSYNCED, [name.into()]))
            .set((now - oldest).max(0) as f64);
    }

    fn clear(&self) {
        for family in [&self.ready, &self.employees, &self.failing, &self.held, &self.left] {
            family.clear();
        }
        self.upcoming.clear();
        self.window.clear();
        self.unsynced.clear();
        self.objects.set(0);
    }
}
