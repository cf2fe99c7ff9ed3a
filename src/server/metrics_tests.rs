use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::*;
use crate::{
    api::reasons::IntegrationReason,
    engine::{execute::Cut, record::Tally, validate::Stop},
};
use crate::{
    cluster::{leadership::Leadership, roster::Roster},
    engine::clock::Clock,
};

fn key(name: &str) -> IntegrationKey {
    IntegrationKey { namespace: Arc::from("people"), name: Arc::from(name) }
}

fn went_well() -> Report {
    let tally = Tally { in_scope: 3, ready: 3, unmanaged: 1, ..Tally::default() };
    Report { bob: Some(true), provider: Some(true), tally: Some(tally), took: Duration::from_secs(4), ..Report::default() }
}

fn now() -> Timestamp {
    "2026-03-01T00:00:00Z".parse().expect("a timestamp")
}

/// The value of a series, written as on the page.
fn value(page: &str, series: &str) -> Option<f64> {
    let line = page.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Name of each metric on the page with its type, help and label names, each in the spelling of the table.
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
            let labels = line.split_once('{').map_or("", |(_, rest)| rest.split_once('}').expect("closed").0);
            let names = labels.split("\",").filter_map(|label| label.split_once('=')).map(|(name, _)| name.to_owned());
            found.get_mut(&current).expect("a type first").2 = names.filter(|name| name != "le").collect();
        }
    }
    found
}

#[tokio::test]
async fn the_table_is_what_is_registered() {
    let metrics = Metrics::new();
    metrics.call("bob", "search", "ok");
    metrics.change("Create", "succeeded");
    metrics.status_patch("EmployeeSync", "skipped");
    metrics.namespace_listed("people", "EmployeeSync", true);
    metrics.pass(&key("onelogin"), &went_well(), now());
    crate::cluster::connect::install_crypto();
    let config = kube::Config::new("http://127.0.0.1:1".parse().expect("an address"));
    let client = kube::Client::try_from(config).expect("a client");
    metrics.watch_events(Events::start(client.clone(), Leadership::always()));
    metrics.watch_inbox(Inbox::new(client, Roster::default(), Clock::system(), Leadership::always()));
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
    let page = metrics.render();
    for series in [
        r#"bobsync_webhooks_total{outcome="queued"}"#,
        r#"bobsync_webhooks_total{outcome="not_evidence"}"#,
        r#"bobsync_webhooks_total{outcome="not_recorded"}"#,
        r#"bobsync_webhooks_total{outcome="too_slow"}"#,
        r#"bobsync_changes_total{action="Suspend",outcome="failed"}"#,
        r#"bobsync_status_patches_total{kind="EmployeeSync",outcome="failed"}"#,
        r#"bobsync_passes_total{outcome="Unfinished"}"#,
        r#"bobsync_passes_total{outcome="BobUnauthorized"}"#,
    ] {
        assert_eq!(value(&page, series), Some(0.0), "{series}");
    }
    // The help names every outcome, and every one that it names is there.
    let shown: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("bobsync_webhooks_total{outcome=\"")?.split('"').next()).collect();
    assert_eq!(shown.len(), Received::ALL.len() + UNREAD.len());
    let named: Vec<&str> = WEBHOOKS.help.split(|c: char| !c.is_ascii_lowercase() && c != '_').collect();
    assert!(shown.iter().all(|word| named.contains(word)), "{shown:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pass_moves_its_integration_only() {
    let metrics = Metrics::new();
    metrics.pass(&key("onelogin"), &went_well(), now());
    let stop = Stop::new(IntegrationReason::BobUnavailable, "noa.lind@example.com");
    let failed = Report { stop: Some(stop), bob: Some(false), ..Report::default() };
    metrics.pass(&key("other"), &failed, now());
    let page = metrics.render();
    assert_eq!(value(&page, r#"bobsync_passes_total{outcome="Converged"}"#), Some(1.0));
    assert_eq!(value(&page, r#"bobsync_passes_total{outcome="BobUnavailable"}"#), Some(1.0));
    assert_eq!(value(&page, r#"bobsync_employees{integration="people/onelogin",state="in_sync"}"#), Some(3.0));
    assert_eq!(value(&page, r#"bobsync_employees{integration="people/onelogin",state="unmanaged"}"#), Some(1.0));
    assert_eq!(value(&page, r#"bobsync_last_successful_pass_timestamp_seconds{integration="people/onelogin"}"#), Some(1_772_323_200.0));
    assert_eq!(value(&page, r#"bobsync_last_successful_pass_timestamp_seconds{integration="people/other"}"#), None);
    assert_eq!(value(&page, "bobsync_pass_duration_seconds_count"), Some(2.0));
    assert!(!page.contains("example.com"));
}

#[tokio::test(start_paused = true)]
async fn the_unsynced_age_grows_until_everybody_is_in_sync() {
    let metrics = Metrics::new();
    let age = |metrics: &Metrics| value(&metrics.render(), r#"bobsync_oldest_unsynced_age_seconds{integration="people/onelogin"}"#);
    assert_eq!(age(&metrics), None);
    metrics.pass(&key("onelogin"), &went_well(), now());
    tokio::time::advance(Duration::from_mins(10)).await;
    assert_eq!(age(&metrics), Some(600.0), "no pass at all: it grows");
    let mut one_fails = went_well();
    one_fails.tally = Some(Tally { in_scope: 3, ready: 2, failing: 1, ..Tally::default() });
    metrics.pass(&key("onelogin"), &one_fails, now());
    assert_eq!(age(&metrics), Some(600.0), "a pass with a failure does not reset it");
    metrics.pass(&key("onelogin"), &Report { cut: Some(Cut::Deadline), ..went_well() }, now());
    assert_eq!(age(&metrics), Some(600.0), "nor does one that did not end");
    metrics.pass(&key("onelogin"), &went_well(), now());
    assert_eq!(age(&metrics), Some(0.0));
}

#[test]
fn a_deleted_integration_leaves_no_series() {
    let metrics = Metrics::new();
    let before = metrics.render();
    metrics.pass(&key("onelogin"), &went_well(), now());
    assert!(metrics.render().contains("people/onelogin"));
    metrics.forget(&key("onelogin"));
    assert!(!metrics.render().contains("people/onelogin"));
    assert!(!before.contains("people/onelogin"));
}

#[test]
fn leader_objects_and_build() {
    let metrics = Metrics::new();
    assert_eq!(value(&metrics.render(), "bobsync_leader"), Some(0.0));
    metrics.leader(true);
    metrics.employee_sync_objects(2_417);
    let page = metrics.render();
    assert_eq!(value(&page, "bobsync_leader"), Some(1.0));
    assert_eq!(value(&page, "bobsync_employee_sync_objects"), Some(2_417.0));
    assert_eq!(value(&page, concat!("bobsync_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}")), Some(1.0));
}
