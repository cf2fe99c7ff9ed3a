//! The metrics for Prometheus. [`TABLE`] is what is registered and also what `docs/metrics.md`
//! shows.
//!
//! Every label has few values: words from the code, and the integration (namespace/name) on a few
//! gauges. No label ever says anything about an employee.

mod gauges;

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    fmt::Write as _,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Metric, Registry},
};

use self::gauges::Gauges;
pub use self::gauges::{Figures, GaugedEmployees};
use crate::{
    api::{
        ProvisioningIntegrationStatus, employee_sync::Trigger, key::IntegrationKey,
        reasons::IntegrationReason,
    },
    domain::priority::Class,
};

/// The format of [`Metrics::render`], and the format for scrapers that do not ask for it.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
pub const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Returns a page of [`OPEN_METRICS`] in the classic format (prometheus.io, "Exposition formats").
/// In this format a counter is described under the name of its series, and the page has no end mark
/// and no units.
#[must_use]
pub fn classic(page: &str) -> String {
    let counts = |name: &str| TABLE.iter().any(|row| row.name.strip_suffix("_total") == Some(name));
    let mut out = String::with_capacity(page.len());
    for line in page.lines().filter(|line| *line != "# EOF" && !line.starts_with("# UNIT ")) {
        let described = ["# HELP ", "# TYPE "]
            .iter()
            .find_map(|word| Some((*word, line.strip_prefix(word)?.split_once(' ')?)));
        // Writing to a String does not fail.
        let _ = match described {
            Some((word, (name, rest))) if counts(name) => {
                writeln!(out, "{word}{name}_total {rest}")
            }
            _ => writeln!(out, "{line}"),
        };
    }
    out
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricRow {
    /// The name of its series, without the suffixes of a histogram.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Names of its labels, in order.
    pub labels: &'static [&'static str],
    /// What it counts.
    pub help: &'static str,
}

const CALLS: MetricRow = MetricRow {
    name: "bobsync_calls_total",
    kind: "counter",
    labels: &["integration", "target", "call", "outcome"],
    help: "Calls to Bob and to providers. The outcome is ok, or the kind of error, such as \
        unauthorized if a credential was refused",
};
const PASSES: MetricRow = MetricRow {
    name: "bobsync_passes_total",
    kind: "counter",
    labels: &["outcome"],
    help: "Passes. The outcome is Converged, Unfinished, Partial (all partial passes \
        together), or the reason of the integration's Ready condition",
};
const PASS_SECONDS: MetricRow = MetricRow {
    name: "bobsync_pass_duration_seconds",
    kind: "histogram",
    labels: &[],
    help: "How long passes that read Bob took",
};
const CHANGES: MetricRow = MetricRow {
    name: "bobsync_changes_total",
    kind: "counter",
    labels: &["integration", "action", "outcome"],
    help: "Changes of accounts, by action and by whether they succeeded",
};
const SUCCESS: MetricRow = MetricRow {
    name: "bobsync_last_successful_pass_timestamp_seconds",
    kind: "gauge",
    labels: &["integration"],
    help: "When a full pass last succeeded, even if single employees failed (Unix time)",
};
const PATCHES: MetricRow = MetricRow {
    name: "bobsync_status_patches_total",
    kind: "counter",
    labels: &["kind", "outcome"],
    help: "Statuses of ProvisioningIntegrations and EmployeeSyncs. The outcome is written, skipped \
        because nothing changed, or failed",
};
const LEADER: MetricRow = MetricRow {
    name: "bobsync_leader",
    kind: "gauge",
    labels: &[],
    help: "1 while this process may write, else 0",
};
const EVENTS: MetricRow = MetricRow {
    name: "bobsync_events_lost_total",
    kind: "counter",
    labels: &["why"],
    help: "Kubernetes events that were lost: dropped because the queue was full, or failed because \
        the API server did not accept them",
};
const WEBHOOKS: MetricRow = MetricRow {
    name: "bobsync_webhooks_total",
    kind: "counter",
    labels: &["outcome"],
    help: "Webhooks by outcome: queued, not_evidence (queued, but only as a hint, because a \
        revocation or a deletion is too old, too far in the future, in the old envelope or names \
        no employee), duplicate, ignored (it is not about employees), other_company, unreadable, \
        ping, refused (401: no such integration, no secret, or a wrong signature), too_large (413, \
        431), too_slow (408, or the connection was closed), broken_off (400: it is not HTTP, or \
        the sender closed the connection before the end of the body), and not_leading, starting \
        and not_recorded (503: Bob sends it again)",
};
const REACHED: MetricRow = MetricRow {
    name: "bobsync_event_to_account_seconds",
    kind: "histogram",
    labels: &["trigger", "class"],
    help: "Time from an event (a webhook, a sync request, a date, a changed EmployeeSync) until \
        the changed account is recorded, by trigger of the pass and by class of the change \
        (revocation, leaver, joiner, mover, cosmetic)",
};
const WAITING: MetricRow = MetricRow {
    name: "bobsync_queue_depth",
    kind: "gauge",
    labels: &["class"],
    help: "Employees in the queue for a partial pass, and changes that wait for their turn in a \
        pass, by class",
};
const WAITING_AGE: MetricRow = MetricRow {
    name: "bobsync_queue_oldest_age_seconds",
    kind: "gauge",
    labels: &["class"],
    help: "How long the oldest entry of the queue has waited. 0 if the queue is empty",
};
const RESTARTED: MetricRow = MetricRow {
    name: "bobsync_parts_restarted_total",
    kind: "counter",
    labels: &["part"],
    help: "Parts of the process that ended or panicked and were started again. Every value above 0 \
        is a defect of the controller",
};
const LISTED: MetricRow = MetricRow {
    name: "bobsync_namespace_listed",
    kind: "gauge",
    labels: &["namespace", "kind"],
    help: "1 if the objects of this kind could be listed the last time. 0 if not: then the \
        integrations of that namespace do not run, or do not see changes. The namespace is * if \
        the controller works in all namespaces",
};
const BUILD: MetricRow = MetricRow {
    name: "bobsync_build_info",
    kind: "gauge",
    labels: &["version"],
    help: "Always 1. The label is the version",
};

/// Every metric, in the order of the page.
pub const TABLE: &[MetricRow] = &[
    CALLS,
    PASSES,
    PASS_SECONDS,
    CHANGES,
    gauges::INTEGRATION,
    gauges::EMPLOYEES,
    gauges::FAILING,
    gauges::UPCOMING,
    gauges::HELD,
    gauges::BUDGET,
    gauges::WINDOW,
    gauges::UNSYNCED,
    SUCCESS,
    PATCHES,
    gauges::OBJECTS,
    LEADER,
    EVENTS,
    WEBHOOKS,
    REACHED,
    WAITING,
    WAITING_AGE,
    RESTARTED,
    LISTED,
    BUILD,
];

/// Upper bounds of the buckets for passes, in seconds: from a few employees to a hundred thousand
/// new ones.
const PASS_BUCKETS: [f64; 12] =
    [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0];

/// Upper bounds of the buckets from an event to the account, in seconds: from the time in which
/// events collect, to the interval.
const REACHED_BUCKETS: [f64; 12] =
    [0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 45.0, 120.0, 600.0, 3600.0];

/// Values of the label `action`: what is done to an account.
const ACTIONS: [&str; 5] = ["Create", "Adopt", "Update", "Suspend", "Reactivate"];

/// Values of the label `part`.
pub const PARTS: [&str; 15] = [
    "passes", "urgent", "normal", "evidence", "dates", "signing", "counts", "waits", "owners",
    "pins", "watches", "election", "events", "webhooks", "http",
];

type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];

/// Returns the labels of a row with these values, in the row's order.
fn labels<const N: usize>(row: &MetricRow, values: [Cow<'static, str>; N]) -> Labels<N> {
    let mut names = row.labels.iter();
    values.map(|value| (*names.next().unwrap_or(&"unknown"), value))
}

/// Every way in which a delivery of Bob can end, in the words of the label `outcome`.
pub const WEBHOOK_OUTCOMES: [&str; 14] = [
    "queued",
    "not_evidence",
    "duplicate",
    "ignored",
    "other_company",
    "unreadable",
    "ping",
    "refused",
    "not_leading",
    "starting",
    "not_recorded",
    "too_large",
    "too_slow",
    "broken_off",
];

/// How a full pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassFigures {
    /// The word of the label `outcome`.
    pub outcome: &'static str,
    /// How long the pass took, if it read Bob.
    pub took: Option<Duration>,
    /// Whether the pass did all of its work.
    pub through: bool,
}

/// By class, the most urgent first: how many employees are in line, and how long the first of them
/// has been.
pub type LineDepths = [(usize, Option<Duration>); Class::ALL.len()];

/// Reads a value for each page.
type ReadValue<T> = Box<dyn Fn() -> T + Send + Sync>;

/// All counts. The methods are cheap and never fail.
pub struct Metrics {
    registry: Registry,
    calls: Family<Labels<4>, Counter>,
    passes: Family<Labels<1>, Counter>,
    pass_seconds: Histogram,
    changes: Family<Labels<3>, Counter>,
    success: Family<Labels<1>, Gauge>,
    patches: Family<Labels<2>, Counter>,
    /// The series that every pass counts once for all unchanged employees.
    unchanged: OnceLock<Counter>,
    gauges: Gauges,
    leader: Gauge,
    lost: Family<Labels<1>, Counter>,
    webhooks: Family<Labels<1>, Counter>,
    reached: Family<Labels<2>, Histogram, fn() -> Histogram>,
    waiting: Family<Labels<1>, Gauge>,
    waiting_age: Family<Labels<1>, Gauge<f64, AtomicU64>>,
    restarted: Family<Labels<1>, Counter>,
    listed: Family<Labels<2>, Gauge>,
    waits: OnceLock<ReadValue<LineDepths>>,
    lost_events: OnceLock<ReadValue<[u64; 2]>>,
    /// The calls that each integration has made. Their series are removed with it.
    called: Mutex<HashMap<String, HashSet<[&'static str; 3]>>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Returns all metrics at zero. A counter with a fixed list of label values shows all of them
    /// from the start. Otherwise the first failure would make its series, and no `increase()` would
    /// see it.
    #[must_use]
    pub fn new() -> Self {
        let metrics = Self::empty();
        for outcome in WEBHOOK_OUTCOMES {
            drop(metrics.webhooks.get_or_create(&labels(&WEBHOOKS, [outcome.into()])));
        }
        for part in PARTS {
            drop(metrics.restarted.get_or_create(&labels(&RESTARTED, [part.into()])));
        }
        for outcome in ["written", "skipped", "failed"] {
            drop(
                metrics
                    .patches
                    .get_or_create(&labels(&PATCHES, ["EmployeeSync".into(), outcome.into()])),
            );
        }
        let stops = IntegrationReason::ALL
            .iter()
            .filter(|reason| !reason.is_ready())
            .map(|reason| reason.as_str());
        for outcome in ["Converged", "Unfinished", "Partial"].into_iter().chain(stops) {
            drop(metrics.passes.get_or_create(&labels(&PASSES, [outcome.into()])));
        }
        metrics
    }

    fn empty() -> Self {
        let mut registry = Registry::default();
        let build: Family<Labels<1>, Gauge> = Family::default();
        build.get_or_create(&labels(&BUILD, [env!("CARGO_PKG_VERSION").into()])).set(1);
        register(&mut registry, &BUILD, build);
        let pass_seconds = Histogram::new(PASS_BUCKETS);
        register(&mut registry, &PASS_SECONDS, pass_seconds.clone());
        let reached: Family<Labels<2>, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(REACHED_BUCKETS));
        register(&mut registry, &REACHED, reached.clone());
        Self {
            reached,
            calls: registered(&mut registry, &CALLS),
            passes: registered(&mut registry, &PASSES),
            pass_seconds,
            changes: registered(&mut registry, &CHANGES),
            success: registered(&mut registry, &SUCCESS),
            patches: registered(&mut registry, &PATCHES),
            unchanged: OnceLock::new(),
            gauges: Gauges::registered(&mut registry),
            leader: registered(&mut registry, &LEADER),
            lost: registered(&mut registry, &EVENTS),
            webhooks: registered(&mut registry, &WEBHOOKS),
            waiting: registered(&mut registry, &WAITING),
            waiting_age: registered(&mut registry, &WAITING_AGE),
            restarted: registered(&mut registry, &RESTARTED),
            listed: registered(&mut registry, &LISTED),
            waits: OnceLock::new(),
            lost_events: OnceLock::new(),
            called: Mutex::default(),
            registry,
        }
    }

    /// Counts a call of this integration to `target` (`bob`, `onelogin`...) that ended. `outcome`
    /// is `ok` or the category of the error.
    pub fn call(
        &self,
        key: &IntegrationKey,
        target: &'static str,
        call: &'static str,
        outcome: &'static str,
    ) {
        let key = key.to_string();
        self.calls
            .get_or_create(&labels(
                &CALLS,
                [key.clone().into(), target.into(), call.into(), outcome.into()],
            ))
            .inc();
        self.called.lock().entry(key).or_default().insert([target, call, outcome]);
    }

    /// Counts a change to an account that was tried.
    pub fn change(&self, key: &IntegrationKey, action: &'static str, outcome: &'static str) {
        self.changes
            .get_or_create(&labels(
                &CHANGES,
                [key.to_string().into(), action.into(), outcome.into()],
            ))
            .inc();
    }

    /// Counts a status that was `written`, `skipped` or `failed`.
    pub fn status_patch(&self, kind: &'static str, outcome: &'static str) {
        self.patches.get_or_create(&labels(&PATCHES, [kind.into(), outcome.into()])).inc();
    }

    /// Notes that a change for an event is on record. `took` is the time since the event.
    pub fn reached(&self, trigger: Trigger, class: Class, took: Duration) {
        let trigger: &'static str = match trigger {
            Trigger::Interval => "Interval",
            Trigger::Webhook => "Webhook",
            Trigger::Manual => "Manual",
            Trigger::Transition => "Transition",
            Trigger::Spec => "Spec",
            Trigger::Retry => "Retry",
        };
        self.reached
            .get_or_create(&labels(&REACHED, [trigger.into(), class.word().into()]))
            .observe(took.as_secs_f64());
    }

    /// Shows from now on how many employees are in line, as `read` tells for each page.
    pub fn watch_queue(&self, read: impl Fn() -> LineDepths + Send + Sync + 'static) {
        // A process has one queue, so the first one counts.
        let _ = self.waits.set(Box::new(read));
    }

    /// Counts a part of the process that ended and is started again.
    pub fn part_restarted(&self, part: &'static str) {
        self.restarted.get_or_create(&labels(&RESTARTED, [part.into()])).inc();
    }

    /// Notes whether objects of this kind in this namespace could be listed.
    pub fn namespace_listed(&self, namespace: &str, kind: &'static str, listed: bool) {
        self.listed
            .get_or_create(&labels(&LISTED, [namespace.to_owned().into(), kind.into()]))
            .set(i64::from(listed));
    }

    /// Counts a webhook with this outcome.
    pub fn webhook(&self, outcome: &'static str) {
        self.webhooks.get_or_create(&labels(&WEBHOOKS, [outcome.into()])).inc();
    }

    /// Counts the status of an `EmployeeSync` that was not written because nothing changed.
    pub fn person_unchanged(&self) {
        let series = || {
            self.patches
                .get_or_create_owned(&labels(&PATCHES, ["EmployeeSync".into(), "skipped".into()]))
        };
        self.unchanged.get_or_init(series).inc();
    }

    /// Counts a full pass of `key` that ended at `now`.
    pub fn pass(&self, key: &IntegrationKey, pass: &PassFigures, now: Timestamp) {
        self.passes.get_or_create(&labels(&PASSES, [pass.outcome.into()])).inc();
        if let Some(took) = pass.took {
            self.pass_seconds.observe(took.as_secs_f64());
        }
        if pass.through {
            self.success
                .get_or_create(&labels(&SUCCESS, [key.to_string().into()]))
                .set(now.as_second());
            self.gauges.through(key, now);
        }
    }

    /// Counts a partial pass. `stop` is the reason for which it ended early.
    pub fn partial_pass(&self, stop: Option<IntegrationReason>) {
        let outcome = stop.map_or("Partial", IntegrationReason::as_str);
        self.passes.get_or_create(&labels(&PASSES, [outcome.into()])).inc();
    }

    /// Begins the series of an integration. The changes are counted from zero, because no
    /// `increase()` would see the first one otherwise. `since` is since when its status says that
    /// it is not Ready.
    pub fn begin(&self, key: &IntegrationKey, since: Option<Timestamp>, now: Timestamp) {
        for (action, outcome) in changes() {
            drop(self.changes.get_or_create(&labels(
                &CHANGES,
                [key.to_string().into(), action.into(), outcome.into()],
            )));
        }
        self.gauges.begin(key, since.unwrap_or(now));
    }

    /// Takes in the status of an integration.
    pub fn said(&self, key: &IntegrationKey, status: &ProvisioningIntegrationStatus) {
        self.gauges.said(key, status);
    }

    /// Shows from now on how many calls the provider's window has left for an integration, as
    /// `left` tells for each page.
    pub fn paced(
        &self,
        key: &IntegrationKey,
        left: impl Fn() -> Option<u32> + Send + Sync + 'static,
    ) {
        self.gauges.paced(key, Box::new(left));
    }

    /// Removes the series of an integration that is gone.
    pub fn forget(&self, key: &IntegrationKey) {
        self.gauges.forget(key);
        let key = key.to_string();
        for (action, outcome) in changes() {
            self.changes
                .remove(&labels(&CHANGES, [key.clone().into(), action.into(), outcome.into()]));
        }
        let called = self.called.lock().remove(&key);
        for [target, call, outcome] in called.into_iter().flatten() {
            self.calls.remove(&labels(
                &CALLS,
                [key.clone().into(), target.into(), call.into(), outcome.into()],
            ));
        }
        self.success.remove(&labels(&SUCCESS, [key.into()]));
    }

    /// Shows from now on what these statuses sum up to, by this clock.
    pub fn watch_people(
        &self,
        people: impl GaugedEmployees + 'static,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) {
        self.gauges.watch(Box::new(people), Box::new(now));
    }

    /// Notes whether this process may write.
    pub fn leader(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Shows from now on how many events were dropped and how many failed, as `read` tells for each
    /// page.
    pub fn watch_events(&self, read: impl Fn() -> [u64; 2] + Send + Sync + 'static) {
        // A process has one queue of events, so the first one counts.
        let _ = self.lost_events.set(Box::new(read));
    }

    /// Returns the page for a scraper, with the content type [`OPEN_METRICS`].
    pub fn render(&self) -> String {
        // The guard is held until the page is made: two scrapes at once would clear each other's
        // series.
        let _fresh = self.gauges.fill();
        if let Some(read) = self.lost_events.get() {
            for (why, count) in ["dropped", "failed"].into_iter().zip(read()) {
                self.lost
                    .get_or_create(&labels(&EVENTS, [why.into()]))
                    .inner()
                    .store(count, Ordering::Relaxed);
            }
        }
        if let Some(read) = self.waits.get() {
            for (class, (count, oldest)) in Class::ALL.into_iter().zip(read()) {
                let label = labels(&WAITING, [class.word().into()]);
                self.waiting.get_or_create(&label).set(i64::try_from(count).unwrap_or(i64::MAX));
                self.waiting_age
                    .get_or_create(&label)
                    .set(oldest.map_or(0.0, |age| age.as_secs_f64()));
            }
        }
        let mut page = String::new();
        // Writing to a String does not fail. A metric that could not be encoded would be missing in
        // the tests too.
        let _ = encode(&mut page, &self.registry);
        page
    }

    /// Returns `docs/metrics.md`.
    #[must_use]
    pub fn markdown() -> String {
        let mut page = String::from(
            "# Metrics\n\nGenerated by `make generate` from `src/telemetry/metrics.rs`. Served at \
             `/metrics` on\n`--http-listen` as OpenMetrics text.\n\n\
             The label `integration` is namespace and name. No label ever names an employee.\n\n| \
             metric | type | labels | |\n| --- | --- | --- | --- |\n",
        );
        for MetricRow { name, kind, labels, help } in TABLE {
            let labels =
                labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
            let _ = writeln!(page, "| `{name}` | {kind} | {labels} | {help}. |");
        }
        page
    }
}

/// Returns the label values by which changes are counted.
fn changes() -> impl Iterator<Item = (&'static str, &'static str)> {
    ACTIONS.into_iter().flat_map(|action| ["succeeded", "failed"].map(|outcome| (action, outcome)))
}

fn registered<M: Metric + Clone + Default>(registry: &mut Registry, row: &MetricRow) -> M {
    let metric = M::default();
    register(registry, row, metric.clone());
    metric
}

fn register(registry: &mut Registry, row: &MetricRow, metric: impl Metric) {
    // The registry itself adds the suffix of counters and the full stop of the help.
    registry.register(row.name.strip_suffix("_total").unwrap_or(row.name), row.help, metric);
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
