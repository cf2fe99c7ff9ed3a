//! Dates arrive: the story moves the clock, and the worker wakes for the dates before its interval.

use std::time::{Duration, Instant};

use bobsync::api::SYNC_REQUESTED;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::{Moving, Story, condition, ready, until};

/// Returns an interval that never comes within a story.
fn rarely() -> Value {
    json!({"interval": "24h"})
}

fn person(email: &str, site: &str) -> Value {
    json!({
        "root.firstName": "Noa", "root.surname": "Lind", "root.email": email, "work.site": site, "work.startDate": "2022-03-01",
        "internal.lifecycleStatus": "Employed", "internal.status": "Active", "internal.terminationDate": null, "employee.lastDayOfWork": null,
    })
}

fn with(mut person: Value, fields: Value) -> Value {
    if let (Value::Object(person), Value::Object(fields)) = (&mut person, fields) {
        person.extend(fields);
    }
    person
}

async fn next(story: &Story, id: &str) -> Value {
    let person = story.person(id).await.expect("an object");
    serde_json::to_value(person.status.expect("a status").next_transition).expect("JSON")
}

/// Waits for thousands of objects, on a busy machine.
async fn patiently<F: Future<Output = Result<(), String>>>(what: &str, look: impl Fn() -> F) {
    let began = Instant::now();
    while let Err(seen) = look().await {
        assert!(
            began.elapsed() < Duration::from_mins(4),
            "waited four minutes until {what}; last seen: {seen}"
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Waits until the last change on record has this trigger. The account shows a change before the
/// record does.
async fn until_trigger(story: &Story, id: &str, trigger: &str) {
    until(&format!("the last change on record says {trigger}"), || async {
        let history = story
            .person(id)
            .await
            .and_then(|person| person.status)
            .map(|status| status.history)
            .unwrap_or_default();
        let last = history.first().map(|line| serde_json::to_value(line.trigger).expect("JSON"));
        if last == Some(trigger.into()) { Ok(()) } else { Err(format!("{last:?}")) }
    })
    .await;
}

async fn until_status(story: &Story, id: &str, status: u64) {
    until(&format!("the account's status is {status}"), || async {
        match story.simulated.account(id).await {
            Some(account) if account["status"] == status => Ok(()),
            other => Err(format!("{:?}", other.map(|account| account["status"].clone()))),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_comes_at_the_midnight_of_the_site_and_not_before() {
    let story = Story::begin("start", 3).await;
    let hired = json!({"work.startDate": "2027-02-01", "internal.lifecycleStatus": "Hired", "internal.status": "Inactive"});
    let auckland =
        story.simulated.hire(with(person("tui.rewi@example.com", "Auckland"), hired.clone())).await;
    let berlin = story.simulated.hire(with(person("jo.krug@example.com", "Berlin"), hired)).await;
    let controller = Moving::start(&story, "2027-01-31T10:50:00Z").await;
    story.integrate(rarely()).await;
    story.ready("Converged").await;
    assert_eq!(
        next(&story, &auckland).await,
        json!({"at": "2027-02-01T00:00:00+13:00", "instant": "2027-01-31T11:00:00Z", "timeZone": "Pacific/Auckland", "access": "Active", "because": "StartDate"})
    );
    assert!(story.simulated.account(&auckland).await.is_none());
    // kubectl answers the question which employees start, and in which order.
    let waits = ListParams::default().fields("status.access=NotYet,status.reason=NotDue");
    let waiting = story.people().list(&waits).await.expect("listed by its fields").items;
    let mut nexts: Vec<_> = waiting
        .iter()
        .filter_map(|person| person.status.as_ref()?.next_transition.as_ref())
        .map(|next| (next.instant.clone().expect("an instant"), next.at.clone()))
        .collect();
    nexts.sort();
    let at = |instant: &str, local: &str| (instant.to_owned(), local.to_owned());
    let expected = [
        at("2027-01-31T11:00:00Z", "2027-02-01T00:00:00+13:00"),
        at("2027-01-31T23:00:00Z", "2027-02-01T00:00:00+01:00"),
    ];
    assert_eq!(nexts, expected);
    let none = story
        .people()
        .list(&ListParams::default().fields("status.access=Suspended"))
        .await
        .expect("listed")
        .items;
    assert!(
        none.iter()
            .all(|person| [&auckland, &berlin].iter().all(|id| person.spec.employee_id != **id))
    );

    controller.to(&story, "2027-01-31T11:00:00Z").await;
    until_status(&story, &auckland, 1).await;
    assert!(story.simulated.account(&berlin).await.is_none(), "it is noon in Berlin");
    until_trigger(&story, &auckland, "Transition").await;

    controller.to(&story, "2027-01-31T22:55:00Z").await;
    story.sync().await;
    assert!(
        story.simulated.account(&berlin).await.is_none(),
        "five minutes before midnight, and a pass has just looked"
    );
    controller.to(&story, "2027-01-31T23:00:00Z").await;
    until_status(&story, &berlin, 1).await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_ends_at_the_end_of_the_last_day_and_a_withdrawn_date_ends_nothing() {
    let story = Story::begin("end", 3).await;
    let leaving =
        json!({"employee.lastDayOfWork": "2027-02-10", "internal.terminationDate": "2027-03-31"});
    let leaver =
        story.simulated.hire(with(person("ola.berg@example.com", "Berlin"), leaving.clone())).await;
    let stays = story.simulated.hire(with(person("kim.sol@example.com", "Berlin"), leaving)).await;
    let controller = Moving::start(&story, "2027-02-10T20:00:00Z").await;
    story.integrate(rarely()).await;
    story.ready("Converged").await;
    assert_eq!(
        next(&story, &leaver).await,
        json!({"at": "2027-02-11T00:00:00+01:00", "instant": "2027-02-10T23:00:00Z", "timeZone": "Europe/Berlin", "access": "Suspended", "because": "LastDayOfWork"})
    );
    // The evening before, one of the two withdraws the notice.
    story
        .simulated
        .change(&stays, json!({"employee.lastDayOfWork": null, "internal.terminationDate": null}))
        .await;
    controller.to(&story, "2027-02-10T23:00:00Z").await;
    until_status(&story, &leaver, 2).await;
    assert_eq!(story.simulated.account(&stays).await.unwrap()["status"], 1);
    // The account shows it before the record does.
    until("the record says why", || async {
        let (_, _, why) = condition(&story.person(&leaver).await.unwrap(), "AccessSynced").unwrap();
        if why.contains("employee.lastDayOfWork") && why.contains("2027-02-10") {
            Ok(())
        } else {
            Err(why)
        }
    })
    .await;
    until("nothing lies ahead of who stays", || async {
        let next = next(&story, &stays).await;
        if next == Value::Null { Ok(()) } else { Err(next.to_string()) }
    })
    .await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_that_was_down_over_midnight_does_it_first_when_it_is_back_and_says_why() {
    let story = Story::begin("down", 3).await;
    let leaver = story
        .simulated
        .hire(with(
            person("ola.berg@example.com", "Berlin"),
            json!({"internal.terminationDate": "2027-02-10"}),
        ))
        .await;
    let controller = Moving::start(&story, "2027-02-10T20:00:00Z").await;
    // These come before the starter in Bob's answer, and are hired while no controller runs.
    let hire = |number: usize| {
        with(
            person(&format!("new.{number}@example.com"), "Berlin"),
            json!({"work.startDate": "2027-03-01"}),
        )
    };
    let late = json!({"internal.lifecycleStatus": "Hired", "internal.status": "Inactive"});
    let mut others = Vec::new();
    for number in 0..25 {
        others.push(story.simulated.hire(with(hire(number), late.clone())).await);
    }
    let starts = json!({"work.startDate": "2027-02-11", "internal.lifecycleStatus": "Hired", "internal.status": "Inactive"});
    let starter =
        story.simulated.hire(with(person("tui.rewi@example.com", "Berlin"), starts)).await;
    story.integrate(rarely()).await;
    story.ready("Converged").await;
    assert_eq!(story.simulated.account(&leaver).await.unwrap()["status"], 1);
    controller.stop().await;
    for id in &others {
        story
            .simulated
            .change(id, json!({"work.startDate": "2027-01-01", "internal.lifecycleStatus": "Employed", "internal.status": "Active"}))
            .await;
    }
    let controller = Moving::start(&story, "2027-02-11T06:00:00Z").await;
    until_status(&story, &leaver, 2).await;
    until_status(&story, &starter, 1).await;
    for id in &others {
        until_status(&story, id, 1).await;
    }
    let number = |account: Value| account["id"].as_u64().expect("a number");
    let own = number(story.simulated.account(&starter).await.unwrap());
    let mut earlier = 0;
    for id in &others {
        earlier += usize::from(number(story.simulated.account(id).await.unwrap()) < own);
    }
    assert!(
        earlier < 8,
        "{earlier} accounts of others were made before, and eight are made at once"
    );
    for id in [&leaver, &starter] {
        until_trigger(&story, id, "Transition").await;
    }
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_start_at_one_midnight_within_the_provider_s_limit_and_the_leaver_waits_for_none_of_them()
 {
    let story = Story::begin("thousands", 3).await;
    let leaver = story
        .simulated
        .hire(with(
            person("ola.berg@example.com", "Berlin"),
            json!({"internal.terminationDate": "2027-01-31"}),
        ))
        .await;
    let starts = json!({"work.startDate": "2027-02-01", "internal.lifecycleStatus": "Hired", "internal.status": "Inactive"});
    let starters: Vec<Value> = (0..2000)
        .map(|number| {
            with(person(&format!("starter.{number}@example.com"), "Berlin"), starts.clone())
        })
        .collect();
    story.simulated.post("/bob/employees", Value::Array(starters)).await;
    let controller = Moving::start(&story, "2027-01-31T22:30:00Z").await;
    story.integrate(rarely()).await;
    patiently("everybody is known", || async {
        let known =
            story.everybody().await.iter().filter(|person| ready(person).1 == "NotDue").count();
        if known == 2000 { Ok(()) } else { Err(format!("{known} wait for their day")) }
    })
    .await;
    story.ready("Converged").await;
    story.simulated.forget_calls().await;
    let began = Instant::now();
    controller.to(&story, "2027-01-31T23:00:00Z").await;
    until_status(&story, &leaver, 2).await;
    let left = began.elapsed();
    until("the first of them are in", || async {
        let made = story.simulated.calls("onelogin", "POST /api/2/users").await;
        if made > 0 { Ok(()) } else { Err("nobody".to_owned()) }
    })
    .await;
    let first = began.elapsed();
    patiently("everybody is in", || async {
        let made = story.simulated.calls("onelogin", "POST /api/2/users").await;
        if made >= 2000 { Ok(()) } else { Err(format!("{made} accounts")) }
    })
    .await;
    assert!(
        left < Duration::from_secs(10) && first < Duration::from_secs(15),
        "the leaver after {left:?}, the first starter after {first:?}"
    );
    let searches = story.simulated.calls("bob", "POST /v1/people/search").await;
    assert!(searches <= 4, "{searches} searches for one midnight");
    let made = story.simulated.calls("onelogin", "POST /api/2/users").await;
    assert_eq!(made, 2000, "one call each, and none in vain");
    patiently("the record says why", || async {
        let people = story.everybody().await;
        let why = |person: &&bobsync::api::EmployeeSync| {
            let line = person.status.as_ref().and_then(|status| status.history.first());
            line.is_some_and(|line| serde_json::to_value(line.trigger).unwrap() == "Transition")
        };
        let said = people.iter().filter(why).count();
        if said == 2001 { Ok(()) } else { Err(format!("{said} of 2001")) }
    })
    .await;
    controller.stop().await;
}

/// Returns the ids of each search of Bob since the calls were forgotten. No ids: a search for all
/// employees.
async fn searches(story: &Story) -> Vec<Vec<String>> {
    let log = story.simulated.get("/bob/log?since=0").await;
    let searches =
        log.as_array().into_iter().flatten().filter(|call| call["path"] == "/v1/people/search");
    let ids =
        |call: &Value| call["body"]["filters"][0]["values"].as_array().cloned().unwrap_or_default();
    searches
        .map(|call| ids(call).iter().map(|id| id.as_str().expect("an id").to_owned()).collect())
        .collect()
}

/// Waits until so many full passes have ended and none is under way. Each pass has one search for
/// all employees.
async fn until_passes(story: &Story, controller: &Moving, least: u64) {
    until(&format!("{least} passes have ended, and none is under way"), || async {
        let ended = controller.full_passes().await;
        let begun = searches(story).await.iter().filter(|ids| ids.is_empty()).count() as u64;
        if ended >= least && ended == begun {
            Ok(())
        } else {
            Err(format!("{ended} of {begun} have ended"))
        }
    })
    .await;
}

/// While no full pass succeeds, many starters of one midnight wait for the next one: it reads once
/// for all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_start_while_the_listing_fails_wait_for_the_full_pass_and_the_leaver_does_not() {
    let story = Story::begin("burst", 3).await;
    let ends = json!({"internal.terminationDate": "2027-01-31"});
    let leaver = story.simulated.hire(with(person("ola.berg@example.com", "Berlin"), ends)).await;
    let other = story.simulated.hire(person("kim.sol@example.com", "Berlin")).await;
    let starts = json!({"work.startDate": "2027-02-01", "internal.lifecycleStatus": "Hired", "internal.status": "Inactive"});
    let starters: Vec<Value> = (0..320)
        .map(|number| {
            with(person(&format!("starter.{number}@example.com"), "Berlin"), starts.clone())
        })
        .collect();
    story.simulated.post("/bob/employees", Value::Array(starters)).await;
    let controller = Moving::start(&story, "2027-01-31T22:50:00Z").await;
    story.integrate(rarely()).await;
    story.ready("Converged").await;
    let broken =
        json!({"kind": "status", "status": 503, "method": "GET", "exactPath": "/api/2/users"});
    story.simulated.post("/onelogin/faults", broken).await;
    // After so many failures the next try comes a quarter of an hour later: at midnight no full pass is under way.
    let first = controller.full_passes().await;
    for failures in 1..=8 {
        story.ask().await;
        until_passes(&story, &controller, first + failures).await;
    }
    story.ready("ProviderUnavailable").await;
    controller.to(&story, "2027-01-31T23:00:00Z").await;
    until_status(&story, &leaver, 2).await;
    // The dates have come. An employee who is in line after the starters is served, so their turn has come as well.
    let requested = json!({"metadata": {"annotations": {SYNC_REQUESTED: "after-the-starters"}}});
    let (name, params) = (format!("onelogin-{other}"), PatchParams::default());
    story.people().patch(&name, &params, &Patch::Merge(requested)).await.expect("an annotation");
    until("the request is answered", || async {
        let handled = story
            .person(&other)
            .await
            .and_then(|person| person.status)
            .and_then(|status| status.last_handled_sync_at);
        if handled.as_deref() == Some("after-the-starters") {
            Ok(())
        } else {
            Err(format!("{handled:?}"))
        }
    })
    .await;
    // A full pass that fails takes the starters along, and they wait for the next one.
    let before = controller.full_passes().await;
    story.ask().await;
    until_passes(&story, &controller, before + 1).await;
    let known = [leaver, other];
    let singly = |searches: &[Vec<String>]| {
        searches.iter().flatten().filter(|id| !known.contains(*id)).count()
    };
    assert_eq!(
        singly(&searches(&story).await),
        0,
        "starters were looked for while no full pass came through"
    );
    story.simulated.delete("/onelogin/faults").await;
    story.simulated.forget_calls().await;
    controller.to(&story, "2027-01-31T23:20:00Z").await;
    patiently("everybody is in", || async {
        let made = story.simulated.calls("onelogin", "POST /api/2/users").await;
        if made >= 320 { Ok(()) } else { Err(format!("{made} accounts")) }
    })
    .await;
    story.ready("Converged").await;
    let searches = searches(&story).await;
    let full = searches.iter().filter(|ids| ids.is_empty()).count();
    assert!(
        full <= 4,
        "{full} searches for one midnight: one, and three further looks at the latest"
    );
    assert_eq!(singly(&searches), 0, "one read serves all starters");
    assert_eq!(
        story.simulated.calls("onelogin", "POST /api/2/users").await,
        320,
        "one call each, and none in vain"
    );
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_never_came_is_healed_by_the_interval() {
    let story = Story::begin("unheard", 4).await;
    let controller = Moving::start(&story, "2027-02-10T20:00:00Z").await;
    story.integrate(json!({"interval": "1h"})).await;
    story.ready("Converged").await;
    let (id, _) = story.simulated.somebody().await;
    story.simulated.change(&id, json!({"work.title": "Head of Nothing"})).await;
    controller.to(&story, "2027-02-10T21:00:00Z").await;
    until("the title is there", || async {
        match story.simulated.account(&id).await {
            Some(account) if account["title"] == "Head of Nothing" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    until_trigger(&story, &id, "Interval").await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leave_shows_when_it_ends_and_bob_ends_it() {
    let story = Story::begin("leave", 3).await;
    let away = json!({
        "internal.lifecycleStatus": "Parental leave", "internal.status": "Inactive",
        "employee.recentLeaveStartDate": "2026-12-01", "employee.recentLeaveEndDate": "2027-01-06",
    });
    let parent =
        story.simulated.hire(with(person("maia.hoani@example.com", "Auckland"), away)).await;
    let planned = json!({"employee.recentLeaveStartDate": "2027-01-20", "employee.recentLeaveEndDate": "2027-02-20"});
    let planner =
        story.simulated.hire(with(person("eli.ray@example.com", "Berlin"), planned)).await;
    let controller = Moving::start(&story, "2027-01-05T12:00:00Z").await;
    story.integrate(rarely()).await;
    story.ready("Converged").await;
    assert_eq!(story.simulated.account(&parent).await.unwrap()["status"], 2);
    assert_eq!(
        next(&story, &parent).await,
        json!({"at": "2027-01-07T00:00:00+13:00", "instant": "2027-01-06T11:00:00Z", "timeZone": "Pacific/Auckland", "access": "Active", "because": "LeaveEnd"})
    );
    assert_eq!(next(&story, &planner).await["because"], "LeaveStart");
    // Bob changes the status at that midnight; the worker looks at that moment.
    story
        .simulated
        .change(
            &parent,
            json!({"internal.lifecycleStatus": "Employed", "internal.status": "Active"}),
        )
        .await;
    controller.to(&story, "2027-01-06T11:00:00Z").await;
    until_status(&story, &parent, 1).await;
    // A leave that begins with access kept changes nothing.
    story.simulated.change(&planner, json!({"internal.lifecycleStatus": "Leave"})).await;
    controller.to(&story, "2027-01-20T00:00:00Z").await;
    story.sync().await;
    assert_eq!(story.simulated.account(&planner).await.unwrap()["status"], 1);
    let planner = story.person(&planner).await.unwrap();
    assert!(condition(&planner, "AccessSynced").unwrap().2.contains("still active in Bob"));
    assert_eq!(ready(&planner).1, "InSync");
    controller.stop().await;
}
