//! Integrations do not wait for each other, and an event costs the same in every company.

use std::{
    collections::HashSet,
    sync::{Arc, Barrier, mpsc},
    thread,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::json;

use super::{Employees, Roster, visited};
use crate::{
    api::{EmployeeSync, key::IntegrationKey, reasons::EmployeeReason},
    domain::{
        known::Revoked,
        missing::{Absence, Word},
    },
};

/// Longer than any of these calls takes on a slow machine.
const WAITS: Duration = Duration::from_secs(20);

fn key(name: &str) -> IntegrationKey {
    IntegrationKey { namespace: "people".into(), name: name.into() }
}

fn object(integration: &str, id: &str, version: u64) -> EmployeeSync {
    serde_json::from_value(json!({
        "metadata": {"name": format!("{integration}-{id}"), "namespace": "people",
            "resourceVersion": version.to_string(), "generation": 1},
        "spec": {"integrationRef": {"name": integration}, "employeeId": id},
        "status": {"access": "Active", "account": {"id": "1", "matchedBy": "Mark"},
            "conditions": [{"type": "Ready", "status": "False", "reason": "Conflict",
                "message": "", "lastTransitionTime": "2026-03-01T00:00:00Z"}]},
    }))
    .expect("an EmployeeSync")
}

fn roster() -> Roster {
    let roster = Roster::default();
    for name in ["one", "other"] {
        roster.come(&key(name));
        roster.see(&object(name, "7", 1));
        roster.see(&object(name, "8", 1));
    }
    roster
}

/// Does what the watch, webhooks, passes and the metrics do with an integration.
fn work(roster: &Roster, name: &str) {
    let employees = roster.of(&key(name));
    roster.see(&object(name, "7", 2));
    employees.writing("7", true);
    employees.wrote(&object(name, "7", 3), 0);
    employees.remember("8", Revoked { at: Timestamp::UNIX_EPOCH, start: None });
    employees.shown([("7", Word::default())].into_iter());
    assert_eq!(employees.sums(|sums| (sums.objects, sums.counts.in_scope())), (2, 2));
    assert_eq!(employees.revoked().len(), 1);
    assert_eq!(employees.with("7", |entry| entry.map(|entry| entry.exists)), Some(true));
    assert!(roster.knows(&object(name, "7", 3)));
    assert!(roster.gone(&object(name, "8", 4)).is_some());
    // Integrations come and go.
    roster.come(&key("third"));
    roster.leave(&key("third"));
    assert_eq!(roster.integrations().len(), 2);
}

#[test]
fn while_one_integration_is_looked_at_the_work_of_another_goes_on() {
    let roster = roster();
    let (told, heard) = mpsc::channel();
    let held = roster.of(&key("one"));
    held.with("7", |entry| {
        assert!(entry.is_some());
        // What looks at every integration waits for this one, and no other caller waits for it.
        let (all, begun) = (roster.clone(), told.clone());
        thread::spawn(move || {
            let _ = begun.send("the sum of all objects begins");
            all.objects()
        });
        heard.recv_timeout(WAITS).expect("a thread");
        let other = roster.clone();
        thread::spawn(move || {
            work(&other, "other");
            let _ = told.send("the other integration is through");
        });
        heard.recv_timeout(WAITS).expect("an integration waits for another one");
    });
}

#[test]
fn who_manages_all_locks_no_two_integrations_at_once() {
    let roster = roster();
    let [one, other] = ["one", "other"].map(|name| roster.of(&key(name)));
    let both = Arc::new(Barrier::new(2));
    let ask = |asking: &Arc<Employees>, about: &Arc<Employees>| {
        let (asking, about, both) = (asking.clone(), about.clone(), both.clone());
        thread::spawn(move || {
            both.wait();
            (0..20_000).all(|_| {
                let found =
                    asking.who_manages_all(EmployeeReason::Conflict, std::slice::from_ref(&about));
                found.as_ref() == Some(&about.key)
            })
        })
    };
    let (told, heard) = mpsc::channel();
    let asked = [ask(&one, &other), ask(&other, &one)];
    thread::spawn(move || {
        let _ = told.send(asked.into_iter().all(|asked| asked.join().unwrap_or(false)));
    });
    assert_eq!(heard.recv_timeout(WAITS), Ok(true));
    assert_eq!(one.who_manages_all(EmployeeReason::Rejected, &[other]), None);
    assert_eq!(one.who_manages_all(EmployeeReason::Conflict, &[]), None);
}

/// The watch has found an integration, and before it takes the lock, the integration is dropped.
#[test]
fn an_object_that_comes_while_its_integration_is_dropped_is_known() {
    let roster = Roster::default();
    let dropped = roster.come(&key("one"));
    dropped.rows().leave();
    assert!(dropped.rows().drop_if_empty());
    roster.see(&object("one", "7", 1));
    assert_eq!((roster.of(&key("one")).count(), dropped.count()), (1, 0));
    assert!(!Arc::ptr_eq(&roster.come(&key("one")), &dropped));
    // The worker that ended late changes nothing of what took its place.
    dropped.remember("9", Revoked { at: Timestamp::UNIX_EPOCH, start: None });
    roster.leave(&key("one"));
    assert!(roster.gone(&object("one", "7", 2)).is_some());
    assert_eq!(roster.integrations(), []);
}

#[test]
fn nothing_is_left_of_an_integration_that_never_was() {
    let roster = Roster::default();
    roster.see(&object("nowhere", "7", 1));
    roster.see(&object("nowhere", "8", 1));
    assert_eq!(roster.of(&key("nowhere")).left(false).len(), 2);
    assert!(roster.gone(&object("nowhere", "7", 2)).is_some());
    assert_eq!(roster.integrations(), [key("nowhere")]);
    assert_eq!(roster.keep_only(None, 3, &HashSet::new()), [key("nowhere")]);
    assert_eq!(roster.integrations(), []);
    let _ = roster.of(&key("nowhere")).count();
    assert_eq!(roster.integrations(), [], "a question adds nothing");
}

#[test]
fn an_event_about_one_employee_visits_no_other() {
    let roster = roster();
    for id in 100..200 {
        roster.see(&object("one", &id.to_string(), 1));
    }
    let employees = roster.of(&key("one"));
    let ((), rows) = visited::during(|| {
        roster.see(&object("one", "7", 2));
        assert!(employees.get("7").is_some());
        employees.writing("7", true);
        employees.wrote(&object("one", "7", 3), 5);
        employees.confirm("7", 6);
        employees.remember("300", Revoked { at: Timestamp::UNIX_EPOCH, start: None });
        employees.without_account(Some("300"));
        employees.absent("7", Absence::FORBIDDEN);
        employees.shown([("7", Word::default())].into_iter());
        employees.looked([("7", 1)].into_iter());
        employees.refused("8", "exceeded quota");
        employees.recorded("8");
        employees.owe("8", Vec::new());
        employees.tried("8", None);
        employees.forget_revocation("300");
        assert!(employees.sums(|sums| sums.counts.in_scope()) > 100);
        assert!(employees.to_tie(super::Tie::Untie).is_empty());
        assert!(roster.gone(&object("one", "8", 9)).is_some());
        employees.forget("8");
    });
    assert_eq!(rows, 0);
    let ((), rows) = visited::during(|| employees.without_account(None));
    assert_eq!(rows, employees.count() + 1, "all, and one without an object");
}
