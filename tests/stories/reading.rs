//! Data that Bob hides: single employees, whole lifecycle statuses, the zones of sites. None of it
//! takes access by itself.

use std::time::Duration;

use bobsync::api::SYNC_REQUESTED;
use k8s_openapi::api::events::v1::Event;
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::support::{Controller, Moving, Story, name, until};

/// Returns an employee with this lifecycle status and with access.
fn person(email: &str, status: &str) -> Value {
    json!({
        "root.email": email, "work.startDate": "2020-01-01", "internal.lifecycleStatus": status, "internal.status": "Active",
        "internal.terminationDate": null, "employee.lastDayOfWork": null,
    })
}

/// Every label except one.
const ALL_BUT_PARENTAL_LEAVE: [&str; 5] =
    ["Hired", "Employed", "Terminated", "Garden leave", "Leave"];

fn hidden(how: &str) -> Value {
    json!({"visibleLifecycles": ALL_BUT_PARENTAL_LEAVE, "outOfSight": how})
}

fn left() -> Value {
    json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"})
}

/// Ends the parental leave of all except these.
async fn the_others_are_back(story: &Story, these: &[String]) {
    for one in story.simulated.employees().await {
        let id = one["root.id"].as_str().unwrap();
        if one["internal.lifecycleStatus"] == "Parental leave"
            && these.iter().all(|this| this != id)
        {
            story.simulated.change(id, json!({"internal.lifecycleStatus": "Employed"})).await;
        }
    }
}

async fn said(story: &Story, kind: &str) -> (String, String, String) {
    let conditions = story.integration().await.status.unwrap_or_default().conditions;
    let found = conditions.into_iter().find(|condition| condition.type_ == kind);
    found
        .map(|condition| (condition.status, condition.reason, condition.message))
        .unwrap_or_default()
}

async fn status_of(story: &Story, employee: &str) -> Value {
    story
        .simulated
        .account(employee)
        .await
        .map(|account| account["status"].clone())
        .unwrap_or_default()
}

async fn suspended(story: &Story, employee: &str) {
    until("the leaver is suspended", || async {
        let status = status_of(story, employee).await;
        if status == 2 { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_page_of_a_firewall_in_front_of_bob_passes_by_itself() {
    let (story, _controller) = Story::converged("firewall", 12, json!({"interval": "1m"})).await;
    story.simulated.post("/bob/faults", json!({"kind": "html", "status": 403, "times": 1})).await;
    story.sync_ends_in("BobUnavailable").await;
    let (_, _, message) = said(&story, "BobConnected").await;
    assert!(message.contains("firewall"), "{message}");
    story.ready("Converged").await;
    // A refusal in Bob's own words after granted reads also passes.
    story.simulated.put("/bob/permissions", json!({"status": 403})).await;
    story.sync_ends_in("BobUnavailable").await;
    story.simulated.put("/bob/permissions", json!({})).await;
    story.ready("Converged").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_read_of_one_employee_keeps_no_leaver_in() {
    let story = Story::begin("refused-read", 20).await;
    let outside = story.simulated.hire(person("out.of.rights@example.com", "Parental leave")).await;
    the_others_are_back(&story, std::slice::from_ref(&outside)).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    let (leaver, _) = story.simulated.somebody().await;
    assert_eq!(status_of(&story, &outside).await, 1);
    story.simulated.put("/bob/permissions", hidden("forbidden")).await;
    story.simulated.change(&leaver, left()).await;
    story.sync().await;
    let (status, reason, message) = said(&story, "Ready").await;
    assert_eq!((status.as_str(), reason.as_str()), ("True", "Converged"), "{message}");
    assert_eq!(
        (status_of(&story, &leaver).await, status_of(&story, &outside).await),
        (json!(2), json!(1))
    );
    let (_, reason, message) = said(&story, "BobConnected").await;
    assert!(
        reason == "Connected" && message.contains("forbids the read of 1 employee"),
        "{message}"
    );
    // A server error to this read ends no other read: a file that was deleted after the employee
    // left is still confirmed.
    let gone = leaver;
    story.simulated.delete(&format!("/bob/employees/{gone}")).await;
    story
        .simulated
        .post(
            "/bob/faults",
            json!({"kind": "status", "status": 500, "pathPrefix": format!("/v1/people/{outside}")}),
        )
        .await;
    story.sync().await;
    let evidence = story.person(&gone).await.unwrap().status.unwrap().evidence;
    assert!(evidence.is_some(), "{:?}", said(&story, "Ready").await);
    assert_eq!(status_of(&story, &outside).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lifecycle_status_that_is_hidden_as_a_whole_takes_no_access() {
    let story = Story::begin("hidden-status", 60).await;
    let mut parents = Vec::new();
    for number in 0..4 {
        parents.push(
            story
                .simulated
                .hire(person(&format!("parent.{number}@example.com"), "Parental leave"))
                .await,
        );
    }
    the_others_are_back(&story, &parents).await;
    let moving = Moving::start(&story, "2026-11-24T09:00:00Z").await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    for (how, hour) in [("notFound", 10), ("forbidden", 12)] {
        story.simulated.put("/bob/permissions", hidden(how)).await;
        for minute in [0, 6, 12, 30] {
            moving.to(&story, &format!("2026-11-24T{hour}:{minute:02}:00Z")).await;
            story.sync_ends_in("SourceSuspect").await;
        }
        let (_, _, message) = said(&story, "Ready").await;
        assert!(message.contains("Parental leave"), "{message}");
        for parent in &parents {
            assert_eq!(status_of(&story, parent).await, 1, "{how}");
        }
        // Positive facts take effect.
        let (leaver, _) = story.simulated.somebody().await;
        story.simulated.change(&leaver, left()).await;
        story.ask().await;
        suspended(&story, &leaver).await;
        story.simulated.put("/bob/permissions", json!({})).await;
        story.sync().await;
        story.ready("Converged").await;
    }
    // Another process does not know which employees had the status, and takes no access because of
    // it.
    moving.stop().await;
    story.simulated.put("/bob/permissions", hidden("notFound")).await;
    let moving = Moving::start(&story, "2026-11-24T14:00:00Z").await;
    for minute in [1, 7, 13, 31] {
        moving.to(&story, &format!("2026-11-24T14:{minute:02}:00Z")).await;
        story.sync_ends_in("SourceSuspect").await;
    }
    for parent in &parents {
        assert_eq!(status_of(&story, parent).await, 1);
    }
    story.simulated.put("/bob/permissions", json!({})).await;
    story.sync().await;
    story.ready("Converged").await;
    moving.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_deleted_files_are_confirmed_within_minutes_at_the_longest_interval() {
    let story = Story::begin("deletions", 0).await;
    let mut people = Vec::new();
    for number in 0..50 {
        people.push(
            story.simulated.hire(person(&format!("robin.{number}@example.com"), "Employed")).await,
        );
    }
    let moving = Moving::start(&story, "2026-11-24T09:00:00Z").await;
    let safety = json!({"shortRead": {"max": "100%", "atLeast": 100}, "disables": {"max": "100%", "atLeast": 100}});
    story.integrate(json!({"interval": "24h", "safety": safety})).await;
    story.ready("Converged").await;
    for gone in &people[..45] {
        story.simulated.delete(&format!("/bob/employees/{gone}")).await;
    }
    story.simulated.forget_calls().await;
    story.sync().await;
    let reads = || async { story.simulated.calls("bob", "POST /v1/people/{id}").await };
    let wait_for = |count: u64| async move {
        for _ in 0..150 {
            if reads().await >= count {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!("{} reads instead of {count}", reads().await);
    };
    assert_eq!(
        reads().await,
        30,
        "Bob's minute has ten more for leavers, and ten for requests and events"
    );
    // A request for single employees is answered within that minute.
    let log = story.simulated.get("/bob/log?since=0").await;
    let is_read = |id: &&String| {
        log.as_array()
            .unwrap()
            .iter()
            .any(|call| call["path"].as_str().is_some_and(|path| path.ends_with(*id)))
    };
    let asked_for = std::time::Instant::now();
    let request = Patch::Merge(json!({"metadata": {"annotations": {SYNC_REQUESTED: "now"}}}));
    for gone in people.iter().filter(is_read).take(5) {
        let object = story.person(gone).await.expect("an object");
        story
            .people()
            .patch(&name(&object), &PatchParams::default(), &request)
            .await
            .expect("an annotation");
    }
    wait_for(35).await;
    assert!(asked_for.elapsed() < Duration::from_secs(30), "{:?}", asked_for.elapsed());
    wait_for(50).await;
    moving.to(&story, "2026-11-24T21:30:00Z").await;
    wait_for(95).await;
    until("all of them are suspended", || async {
        let active = story
            .simulated
            .accounts()
            .await
            .iter()
            .filter(|account| account["status"] == 1)
            .count();
        if active == 5 { Ok(()) } else { Err(format!("{active} active")) }
    })
    .await;
    let log = story.simulated.get("/bob/log?since=0").await;
    assert!(
        log.as_array().unwrap().iter().all(|call| call["status"] != 429),
        "Bob's limit is kept"
    );
    moving.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_user_who_sees_only_people_at_work_is_told() {
    let story = Story::begin("only-employed", 100).await;
    story.simulated.put("/bob/permissions", json!({"visibleLifecycles": ["Employed"]})).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    let (status, reason, message) = said(&story, "BobConnected").await;
    assert_eq!((status.as_str(), reason.as_str()), ("True", "LifecyclesMissing"), "{message}");
    assert!(message.contains("permission group"), "{message}");
    let events: Api<Event> = Api::namespaced(story.plane.client(), &story.namespace);
    let warnings = || async {
        let all = events.list(&ListParams::default()).await.unwrap().items;
        all.iter()
            .filter(|event| {
                event.reason.as_deref() == Some("LifecyclesMissing")
                    && event.type_.as_deref() == Some("Warning")
            })
            .count()
    };
    until("a warning is published", || async {
        if warnings().await == 1 { Ok(()) } else { Err("none".to_owned()) }
    })
    .await;
    story.sync().await;
    assert_eq!(warnings().await, 1);
    story.simulated.put("/bob/permissions", json!({})).await;
    story.sync().await;
    assert_eq!(said(&story, "BobConnected").await.1, "Connected");
}

/// Former employees who never had an account have no EmployeeSync, so no record shows that Bob
/// hides them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_user_who_sees_leavers_no_more_is_told_where_no_record_tells_of_them() {
    let story = Story::begin("leavers-hidden", 0).await;
    for number in 0..6 {
        story.simulated.hire(person(&format!("robin.{number}@example.com"), "Employed")).await;
    }
    for number in 0..2 {
        let mut former = person(&format!("former.{number}@example.com"), "Terminated");
        former["internal.status"] = "Inactive".into();
        story.simulated.hire(former).await;
    }
    // Without an election: the next process waits for no Lease of a killed one.
    let controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    assert_eq!(said(&story, "BobConnected").await.1, "Connected");
    let visible = json!({"visibleLifecycles": ["Hired", "Employed", "Garden leave", "Leave"], "outOfSight": "forbidden"});
    story.simulated.put("/bob/permissions", visible).await;
    let told = || async {
        until("hidden leavers are told", || async {
            let (status, reason, message) = said(&story, "BobConnected").await;
            let told = (status.as_str(), reason.as_str()) == ("True", "LifecyclesMissing")
                && message.contains("Terminated");
            if told { Ok(()) } else { Err(format!("{status} {reason} {message}")) }
        })
        .await;
    };
    story.sync().await;
    told().await;
    controller.kill();
    let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.sync().await;
    told().await;
    story.simulated.put("/bob/permissions", json!({})).await;
    story.sync().await;
    assert_eq!(said(&story, "BobConnected").await.1, "Connected");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sites_without_a_time_zone_are_told() {
    let story = Story::begin("zones", 0).await;
    for (number, site) in
        ["Paris", "Paris", "New York", "London", "Berlin", "Auckland"].into_iter().enumerate()
    {
        let mut person = person(&format!("robin.{number}@example.com"), "Employed");
        person["work.site"] = site.into();
        story.simulated.hire(person).await;
    }
    let _controller = Controller::start(&story).await;
    let bob = |zones: Value| json!({"bob": {"timeZone": "Europe/London", "siteTimeZones": zones}});
    story.integrate(bob(json!({"London": "Europe/London", "Pariss": "Europe/Paris"}))).await;
    story.ready("Converged").await;
    let (status, reason, message) = said(&story, "TimeZonesComplete").await;
    assert_eq!((status.as_str(), reason.as_str()), ("False", "SiteWithoutZone"), "{message}");
    for part in [
        "Paris (2)",
        "New York (1)",
        "3 employees",
        "Europe/London",
        "Pariss (did you mean Paris?)",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(said(&story, "Ready").await.0, "True");
    let all =
        json!({"London": "Europe/London", "Paris": "Europe/Paris", "New York": "America/New_York"});
    story.integrate(bob(all)).await;
    story.ready("Converged").await;
    let (status, _, message) = said(&story, "TimeZonesComplete").await;
    assert_eq!(status, "True", "{message}");
}
