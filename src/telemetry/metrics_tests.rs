use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::json;

use super::*;
use crate::{
    api::{EmployeeSync, ProvisioningIntegrationStatus, reasons::EmployeeReason},
    cluster::roster::Roster,
    engine::{
        clock::{Clock, ClockHand},
        intake::inbox::Received,
        pass::{
            execute::Cut,
            record::Tally,
            report::{BobFound, ProviderFound, Report},
        },
        stop::Stop,
    },
    provider::limits::Pacer,
    server::webhooks::UNREAD,
};

fn key(name: &str) -> IntegrationKey {
    IntegrationKey { namespace: Arc::from("people"), name: Arc::from(name) }
}

fn bob(answered: bool) -> BobFound {
    BobFound { answered: Some(answered), ..BobFound::default() }
}

fn went_well() -> Report {
    let tally = Tally { in_scope: 3, ready: 3, unmanaged: 1, ..Tally::default() };
    Report {
        bob: bob(true),
        provider: ProviderFound { answered: Some(true), ..ProviderFound::default() },
        tally: Some(tally),
        took: Duration::from_secs(4),
        ..Report::default()
    }
}

fn now() -> Timestamp {
    "2026-03-01T00:00:00Z".parse().expect("a timestamp")
}

/// Returns metrics over a roster, by a clock that the test moves.
fn watching() -> (Metrics, Roster, ClockHand) {
    let (clock, hand) = Clock::adjustable();
    hand.set(now());
    let (metrics, roster) = (Metrics::new(), Roster::default());
    metrics.watch_people(roster.clone(), move || clock.now());
    (metrics, roster, hand)
}

/// Puts an EmployeeSync into the roster that has this state since then, and with a change of access
/// at that time.
fn see(
    roster: &Roster,
    employee: &str,
    version: u32,
    reason: EmployeeReason,
    since: &str,
    next: Option<(&str, &str)>,
) {
    let ready = if reason.is_ready() { "True" } else { "False" };
    let condition = json!({"type": "Ready", "status": ready, "reason": reason.as_str(),
        "message": "", "lastTransitionTime": since});
    let mut status = json!({"access": "Active", "account": {"id": "1", "matchedBy": "Mark"},
        "conditions": [condition]});
    if let Some((at, access)) = next {
        status["nextTransition"] =
            json!({"at": at, "timeZone": "UTC", "access": access, "because": "LastDayOfWork"});
    }
    let metadata = json!({"name": format!("onelogin-{employee}"), "namespace": "people",
        "resourceVersion": version.to_string()});
    let spec = json!({"integrationRef": {"name": "onelogin"}, "employeeId": employee});
    let object: EmployeeSync = serde_json::from_value(
        json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "EmployeeSync", "metadata": metadata,
            "spec": spec, "status": status}),
    )
    .expect("an EmployeeSync");
    roster.see(&object);
}

/// Returns the value of a series, written as on the page.
fn value(page: &str, series: &str) -> Option<f64> {
    let line = page
        .lines()
        .find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Returns the name of each metric on the page with its type, help and label names, each as spelt
/// in the table.
fn on_page(page: &str) -> BTreeMap<String, (String, String, Vec<String>)> {
    let mut found = BTreeMap::new();
    let mut help = String::new();
    let mut current = String::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').expect("help").1.trim_end_matches('.').to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            current = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
            found.insert(current.clone(), (kind.to_owned(), help.clone(), Vec::new()));
        } else if !line.starts_with('#') {
            let labels = line
                .split_once('{')
                .map_or("", |(_, rest)| rest.split_once('}').expect("closed").0);
            let names = labels
                .split("\",")
                .filter_map(|label| label.split_once('='))
                .map(|(name, _)| name.to_owned());
            found.get_mut(&current).expect("a type first").2 =
                names.filter(|name| name != "le").collect();
        }
    }
    found
}

#[tokio::test]
async fn the_table_is_what_is_registered() {
    let (metrics, roster, _hand) = watching();
    see(&roster, "1", 1, EmployeeReason::Rejected, "2026-02-28T00:00:00Z", None);
    let key = key("onelogin");
    metrics.begin(&key, None, now());
    let status = json!({
        "conditions": [{"type": "Ready", "status": "False", "reason": "PlanHeld", "message": "",
        "lastTransitionTime": "2026-02-28T00:00:00Z"}],
        "budgets": {"disables": {"limit": 5, "done": 2, "planned": 0}},
    });
    metrics.said(&key, &serde_json::from_value(status).expect("a status"));
    let pacer = Arc::new(Pacer::new(5_000, Duration::from_hours(1)));
    metrics.paced(&key, {
        let pacer = Arc::downgrade(&pacer);
        move || pacer.upgrade().map(|pacer| pacer.left())
    });
    metrics.call(&key, "bob", "search", "ok");
    metrics.change(&key, "Create", "succeeded");
    metrics.status_patch("EmployeeSync", "skipped");
    metrics.namespace_listed("people", "EmployeeSync", true);
    metrics.pass(&key, &went_well().figures(), now());
    metrics.watch_events(|| [1, 2]);
    metrics.watch_queue(|| [(1, Some(Duration::from_secs(3))); 5]);
    metrics.webhook("queued");
    metrics.reached(Trigger::Webhook, Class::Leaver, Duration::from_secs(1));
    let page = metrics.render();
    assert!(page.ends_with("# EOF\n"));
    let table: BTreeMap<_, _> = TABLE
        .iter()
        .map(|row| {
            let labels = row.labels.iter().map(|&label| label.to_owned()).collect::<Vec<_>>();
            (row.name.to_owned(), (row.kind.to_owned(), row.help.to_owned(), labels))
        })
        .collect();
    assert_eq!(on_page(&page), table);
    for row in TABLE {
        assert!(Metrics::markdown().contains(&format!("| `{}` | {} |", row.name, row.kind)));
    }
}

#[test]
fn the_first_of_anything_in_a_closed_list_is_an_increase() {
    let metrics = Metrics::new();
    metrics.begin(&key("onelogin"), None, now());
    let page = metrics.render();
    for series in [
        r#"bobsync_webhooks_total{outcome="queued"}"#,
        r#"bobsync_webhooks_total{outcome="not_evidence"}"#,
        r#"bobsync_webhooks_total{outcome="not_recorded"}"#,
        r#"bobsync_webhooks_total{outcome="too_slow"}"#,
        r#"bobsync_changes_total{integration="people/onelogin",action="Suspend",outcome="failed"}"#,
        r#"bobsync_status_patches_total{kind="EmployeeSync",outcome="failed"}"#,
        r#"bobsync_passes_total{outcome="Unfinished"}"#,
        r#"bobsync_passes_total{outcome="BobUnauthorized"}"#,
    ] {
        assert_eq!(value(&page, series), Some(0.0), "{series}");
    }
    // The help names every outcome, and every outcome that it names exists.
    let shown: Vec<&str> = page
        .lines()
        .filter_map(|line| {
            line.strip_prefix("bobsync_webhooks_total{outcome=\"")?.split('"').next()
        })
        .collect();
    let outcomes: Vec<&str> = Received::ALL.map(Received::word).into_iter().chain(UNREAD).collect();
    assert_eq!(outcomes, WEBHOOK_OUTCOMES, "the outcomes of the inbox and of the door");
    assert_eq!(shown.len(), outcomes.len());
    let named: Vec<&str> =
        WEBHOOKS.help.split(|c: char| !c.is_ascii_lowercase() && c != '_').collect();
    assert!(shown.iter().all(|word| named.contains(word)), "{shown:?}");
}

#[test]
fn a_pass_moves_its_integration_only() {
    let (metrics, ..) = watching();
    ["onelogin", "other"].into_iter().for_each(|name| metrics.begin(&key(name), None, now()));
    metrics.pass(&key("onelogin"), &went_well().figures(), now());
    let stop = Stop::new(IntegrationReason::BobUnavailable, "noa.lind@example.com");
    let failed = Report { bob: bob(false), ..Report::stopped(stop) };
    metrics.pass(&key("other"), &failed.figures(), now());
    let page = metrics.render();
    assert_eq!(value(&page, r#"bobsync_passes_total{outcome="Converged"}"#), Some(1.0));
    assert_eq!(value(&page, r#"bobsync_passes_total{outcome="BobUnavailable"}"#), Some(1.0));
    assert_eq!(
        value(
            &page,
            r#"bobsync_last_successful_pass_timestamp_seconds{integration="people/onelogin"}"#
        ),
        Some(1_772_323_200.0)
    );
    assert_eq!(
        value(
            &page,
            r#"bobsync_last_successful_pass_timestamp_seconds{integration="people/other"}"#
        ),
        None
    );
    assert_eq!(value(&page, "bobsync_pass_duration_seconds_count"), Some(2.0));
    assert!(!page.contains("example.com"));
}

/// Returns the value of a series of `people/onelogin` with one more label.
fn of(page: &str, name: &str, label: &str, word: &str) -> Option<f64> {
    value(page, &format!(r#"{name}{{integration="people/onelogin",{label}="{word}"}}"#))
}

#[test]
fn who_fails_who_is_held_and_what_comes_is_read_from_the_roster() {
    let (metrics, roster, _hand) = watching();
    metrics.begin(&key("onelogin"), None, now());
    let earlier = "2026-02-20T00:00:00Z";
    see(
        &roster,
        "1",
        1,
        EmployeeReason::InSync,
        earlier,
        Some(("2026-03-01T20:00:00Z", "Suspended")),
    );
    see(
        &roster,
        "2",
        2,
        EmployeeReason::Rejected,
        earlier,
        Some(("2026-03-04T20:00:00Z", "Suspended")),
    );
    see(&roster, "3", 3, EmployeeReason::Held, earlier, Some(("2026-04-04T20:00:00Z", "Active")));
    see(&roster, "4", 4, EmployeeReason::Frozen, earlier, None);
    let page = metrics.render();
    let states = ["in_sync", "pending", "held", "frozen", "failing", "unmanaged"];
    assert_eq!(
        states.map(|state| of(&page, "bobsync_employees", "state", state)),
        [1.0, 0.0, 1.0, 1.0, 1.0, 0.0].map(Some)
    );
    assert_eq!(of(&page, "bobsync_failing_employees", "reason", "Rejected"), Some(1.0));
    let upcoming = |access: &str, within: &str| {
        let labels =
            format!(r#"{{integration="people/onelogin",access="{access}",within="{within}"}}"#);
        value(&page, &format!("bobsync_upcoming_transitions{labels}"))
    };
    assert_eq!(
        [upcoming("suspended", "day"), upcoming("suspended", "week"), upcoming("active", "week")],
        [1.0, 2.0, 0.0].map(Some)
    );
    assert_eq!(value(&page, "bobsync_employee_sync_objects"), Some(4.0));
    see(&roster, "2", 5, EmployeeReason::InSync, earlier, None);
    let page = metrics.render();
    assert_eq!(of(&page, "bobsync_employees", "state", "failing"), Some(0.0));
    assert_eq!(of(&page, "bobsync_failing_employees", "reason", "Rejected"), None);
}

#[tokio::test(start_paused = true)]
async fn what_an_integration_says_and_what_its_provider_allows_is_shown() {
    let (metrics, ..) = watching();
    metrics.begin(&key("onelogin"), None, now());
    let said = |reason: &str,
                ready: &str,
                plan: Option<serde_json::Value>|
     -> ProvisioningIntegrationStatus {
        let conditions = json!([{"type": "Ready", "status": ready, "reason": reason, "message": "",
            "lastTransitionTime": "2026-02-28T00:00:00Z"}]);
        let budgets = json!({"disables": {"limit": 5, "done": 2, "planned": 8},
            "updates": {"limit": 20, "done": 30, "planned": 0}});
        serde_json::from_value(json!({"conditions": conditions, "budgets": budgets, "plan": plan}))
            .expect("a status")
    };
    let plan = json!({"digest": "", "creates": 0, "reactivations": 1, "updates": 2, "disables": 8,
        "heldBecause": "BudgetExceeded: ..."});
    metrics.said(&key("onelogin"), &said("PlanHeld", "False", Some(plan)));
    let page = metrics.render();
    assert_eq!(of(&page, "bobsync_integration_ready", "reason", "PlanHeld"), Some(0.0));
    let held = ["create", "reactivate", "update", "suspend"]
        .map(|kind| of(&page, "bobsync_held_changes", "kind", kind));
    assert_eq!(held, [0.0, 1.0, 2.0, 8.0].map(Some));
    let left =
        ["create", "update", "suspend"].map(|kind| of(&page, "bobsync_budget_left", "kind", kind));
    assert_eq!(left, [None, Some(0.0), Some(3.0)]);
    metrics.said(&key("onelogin"), &said("ProviderUnauthorized", "False", None));
    let page = metrics.render();
    assert_eq!(of(&page, "bobsync_integration_ready", "reason", "ProviderUnauthorized"), Some(0.0));
    assert_eq!(
        of(&page, "bobsync_integration_ready", "reason", "PlanHeld"),
        None,
        "one reason at a time"
    );
    assert_eq!(of(&page, "bobsync_held_changes", "kind", "suspend"), Some(0.0));

    let window = |metrics: &Metrics| {
        value(&metrics.render(), r#"bobsync_provider_window_left{integration="people/onelogin"}"#)
    };
    assert_eq!(window(&metrics), None, "not connected");
    let pacer = Arc::new(Pacer::new(5_000, Duration::from_hours(1)));
    metrics.paced(&key("onelogin"), {
        let pacer = Arc::downgrade(&pacer);
        move || pacer.upgrade().map(|pacer| pacer.left())
    });
    drop(pacer.admit(crate::domain::priority::Urgency::Normal).await);
    assert_eq!(window(&metrics), Some(4_999.0));
    pacer.throttled(Some(Duration::from_mins(1)));
    assert_eq!(window(&metrics), Some(0.0));
    tokio::time::advance(Duration::from_mins(61)).await;
    assert_eq!(window(&metrics), Some(5_000.0));
}

#[test]
fn the_unsynced_age_grows_until_all_are_in_sync_and_goes_on_after_a_restart() {
    let (metrics, roster, hand) = watching();
    let age = |metrics: &Metrics| {
        value(
            &metrics.render(),
            r#"bobsync_oldest_unsynced_age_seconds{integration="people/onelogin"}"#,
        )
    };
    let to = |minutes: i64| {
        let at = now().checked_add(jiff::SignedDuration::from_mins(minutes)).expect("a time");
        hand.set(at);
        at
    };
    assert_eq!(age(&metrics), None);
    metrics.begin(&key("onelogin"), None, now());
    metrics.pass(&key("onelogin"), &went_well().figures(), now());
    to(10);
    assert_eq!(age(&metrics), Some(600.0), "no pass at all: it grows");
    metrics.pass(
        &key("onelogin"),
        &Report { cut: Some(Cut::Deadline), ..went_well() }.figures(),
        to(11),
    );
    assert_eq!(age(&metrics), Some(660.0), "one that did not end does not reset it");
    metrics.pass(&key("onelogin"), &went_well().figures(), to(12));
    assert_eq!(age(&metrics), Some(0.0));
    see(&roster, "1", 1, EmployeeReason::Rejected, "2026-02-28T00:00:00Z", None);
    metrics.pass(&key("onelogin"), &went_well().figures(), to(0));
    assert_eq!(
        age(&metrics),
        Some(24.0 * 3600.0),
        "one who fails has failed for a day, whatever process has seen it"
    );
    see(&roster, "1", 2, EmployeeReason::InSync, "2026-03-01T00:00:00Z", None);
    assert_eq!(age(&metrics), Some(0.0), "a partial pass has seen to it");
    metrics.begin(&key("onelogin"), Some("2026-02-28T23:00:00Z".parse().expect("a time")), now());
    assert_eq!(
        age(&metrics),
        Some(3600.0),
        "a process that begins knows since when the integration is not Ready"
    );
}

#[test]
fn a_deleted_integration_leaves_no_series() {
    let (metrics, ..) = watching();
    let before = metrics.render();
    metrics.begin(&key("onelogin"), None, now());
    metrics.call(&key("onelogin"), "bob", "search", "unauthorized");
    metrics.change(&key("onelogin"), "Create", "succeeded");
    metrics.pass(&key("onelogin"), &went_well().figures(), now());
    assert!(metrics.render().contains("people/onelogin"));
    metrics.forget(&key("onelogin"));
    assert!(!metrics.render().contains("people/onelogin"));
    assert!(!before.contains("people/onelogin"));
}

#[test]
fn leader_and_build() {
    let metrics = Metrics::new();
    assert_eq!(value(&metrics.render(), "bobsync_leader"), Some(0.0));
    metrics.leader(true);
    let page = metrics.render();
    assert_eq!(value(&page, "bobsync_leader"), Some(1.0));
    assert_eq!(
        value(&page, concat!("bobsync_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}")),
        Some(1.0)
    );
}
