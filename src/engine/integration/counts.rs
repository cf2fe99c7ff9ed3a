//! The numbers of an integration, computed from the roster and written whenever they change, at
//! most once in five seconds. `kubectl get pi` thus agrees with `kubectl get esync`, whichever pass
//! wrote the latter.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use super::session::Session;
use crate::{
    api::{
        ProvisioningIntegration, ProvisioningIntegrationStatus,
        integration::{BudgetState, BudgetStates},
        key::IntegrationKey,
        reasons::{EmployeeReason, IntegrationReason},
    },
    cluster::{
        events::Events,
        roster::{Counts, Roster, Sums},
    },
    domain::budget::{Account, Budget, Budgets, Kind},
    engine::{
        clock::Clock,
        pass::{company::Company, record::told, report::Reckoned},
        progress::{self, Counting},
        settings::{
            tenants::{Tenant, Tenants},
            validate::Validated,
        },
    },
    telemetry::{health::Beat, metrics::Metrics},
};

/// The shortest time between two writes of the numbers.
const APART: Duration = progress::APART;
/// Changes that follow each other within this time mostly belong to one pass.
const TOGETHER: Duration = Duration::from_millis(200);

/// Computes the numbers of the employees of one integration.
pub struct Reckoning {
    key: IntegrationKey,
    roster: Roster,
    tenants: Arc<Tenants>,
    clock: Clock,
    metrics: Arc<Metrics>,
    settings: Mutex<Option<Settings>>,
    /// Whether a pass over all employees has completed in this process.
    complete: AtomicBool,
    /// The progress of the pass over all employees that is under way.
    pub progress: Counting,
    /// What all answers of Bob together showed.
    pub company: Company,
    /// Notified of changes that the numbers do not show.
    news: Notify,
}

/// The settings that the numbers depend on.
struct Settings {
    budgets: Budgets,
    tenant: String,
}

impl Reckoning {
    /// Returns the reckoning of this integration; its settings are not known yet.
    #[must_use]
    pub fn new(
        key: IntegrationKey,
        roster: Roster,
        tenants: Arc<Tenants>,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            key,
            roster,
            tenants,
            progress: Counting::new(clock.clone()),
            company: Company::default(),
            clock,
            metrics,
            settings: Mutex::default(),
            complete: AtomicBool::new(false),
            news: Notify::new(),
        }
    }

    /// Stores the settings.
    pub fn settings(&self, validated: &Validated) {
        let settings =
            Settings { budgets: validated.settings.budgets, tenant: validated.target.tenant() };
        *self.settings.lock() = Some(settings);
    }

    /// Notes that a pass over all employees has completed: an employee whose status was missing has
    /// one again.
    pub fn complete(&self) {
        self.complete.store(true, Ordering::Release);
    }

    /// Tells that something changed that the numbers do not show.
    pub fn nudge(&self) {
        self.news.notify_one();
    }

    /// Passes the status of the integration to the metrics.
    pub fn said(&self, status: &ProvisioningIntegrationStatus) {
        self.metrics.said(&self.key, status);
    }

    /// Computes the numbers for an integration with this status.
    #[must_use]
    pub fn reckon(&self, status: &ProvisioningIntegrationStatus) -> Reckoned {
        let settings = self.settings.lock();
        let (now, planned) = (self.clock.now(), status.budgets.clone().unwrap_or_default());
        let (counts, budgets) = self.roster.of(&self.key).sums(|sums| {
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
        let learned = self.tenants.learned(&self.key);
        let tenant =
            settings.as_ref().map(|settings| Tenant { settings: settings.tenant.clone(), learned });
        let others = tenant
            .map(|tenant| self.tenants.others(&self.key, &tenant, Timestamp::MAX))
            .unwrap_or_default();
        let others: Vec<IntegrationKey> = others.into_iter().map(|other| other.key).collect();
        let taken_by = self.roster.of(&self.key).who_manages_all(EmployeeReason::Conflict, &others);
        let refused = counts.as_ref().map_or(0, Counts::not_recorded) as usize;
        let refusal = self.roster.of(&self.key).refusal().filter(|_| refused > 0);
        let not_written = refusal.map(|(object, answer)| told(refused, (&object, &answer)));
        Reckoned { counts, taken_by, not_written, budgets }
    }
}

/// Returns how much of every budget is used. `before`: how many changes of each kind are planned,
/// as the last pass over all employees found it.
fn states(sums: &Sums, budgets: &Budgets, before: &BudgetStates, now: Timestamp) -> BudgetStates {
    let state = |kind: Kind, before: &Option<BudgetState>| {
        let budget = budgets.of(kind)?;
        let planned = before.as_ref().map_or(0, |state| state.planned);
        Some(state_of(sums, kind, budget, planned, now))
    };
    BudgetStates {
        disables: state(Kind::Disable, &before.disables),
        reactivations: state(Kind::Reactivate, &before.reactivations),
        creates: state(Kind::Create, &before.creates),
        updates: state(Kind::Update, &before.updates),
    }
}

fn state_of(sums: &Sums, kind: Kind, budget: Budget, planned: u32, now: Timestamp) -> BudgetState {
    let window = i64::try_from(budget.per.as_secs()).unwrap_or(i64::MAX);
    let since = now.as_second().saturating_sub(window);
    let people = if kind == Kind::Create { sums.managed } else { sums.accounts };
    let account = Account { planned, spent: sums.spent(kind, since), limit: budget.limit(people) };
    let opens = account.must_leave().and_then(|leaving| sums.nth_spent(kind, since, leaving));
    let opens_at = opens.and_then(|at| Timestamp::from_second(at.saturating_add(window)).ok());
    BudgetState { limit: account.limit, done: account.spent, planned, opens_at: opens_at.map(Time) }
}

/// Sends one event if `Ready` of an integration has another reason than before.
pub fn announce(
    events: &Events,
    object: &ProvisioningIntegration,
    before: Option<&Condition>,
    after: Option<&Condition>,
) {
    let Some(ready) =
        after.filter(|ready| before.is_none_or(|before| before.reason != ready.reason))
    else {
        return;
    };
    let reason = IntegrationReason::ALL.iter().find(|reason| reason.as_str() == ready.reason);
    if let Some(reason) = reason.filter(|reason| **reason != IntegrationReason::Progressing) {
        let about = kube::Resource::object_ref(object, &());
        events.publish(about, !reason.is_ready(), reason.as_str(), "Sync", ready.message.clone());
    }
}

/// Writes the numbers when they change, until the process stops.
pub async fn tell(session: Arc<Session>, beat: Beat) {
    let mut stopping = session.shared.stopping.clone();
    let (clock, news) = (session.shared.clock.clone(), session.roster().news());
    let mut next = Instant::now();
    loop {
        tokio::select! {
            () = beat.during(session.shared.leadership.wait_to_lead()) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        let opens = session.said.lock().await.next_opening();
        tokio::select! {
            () = beat.during(news.notified()) => {}
            () = beat.during(session.reckoning.news.notified()) => {}
            () = beat.during(async { match opens { Some(at) => clock.sleep_until(at).await, None => std::future::pending().await } }) => {}
            () = session.shared.leadership.lost() => continue,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        tokio::select! {
            () = beat.during(tokio::time::sleep_until(next.max(Instant::now() + TOGETHER))) => {}
            () = session.shared.leadership.lost() => continue,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        next = Instant::now() + APART;
        let object = session.object.borrow().clone();
        let mut said = session.said.lock().await;
        let before = said.told().cloned();
        let owed = session.said.take_owed_revocations();
        let (writer, key) = (session.shared.writer(&session.key), &session.key);
        let written = if owed {
            said.change_revoked(&writer, key, |list| session.revoked_after(list, &BTreeSet::new()))
                .await
                .is_ok()
        } else {
            said.write_beside(&writer, key).await
        };
        if !written {
            if owed {
                session.said.owe_revocations();
            }
            session.reckoning.nudge();
        }
        announce(&session.shared.events, &object, before.as_ref(), said.told());
    }
}

/// Requests a write of the numbers at regular intervals while a pass is under way.
pub async fn tell_progress(reckoning: &Reckoning) -> Infallible {
    loop {
        tokio::time::sleep(APART).await;
        reckoning.nudge();
    }
}
