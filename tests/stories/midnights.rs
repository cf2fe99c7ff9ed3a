//! Dates arrive: the clock is moved, and the worker wakes for them without waiting for its interval.

use serde_json::{Value, json};

use crate::support::{Moving, Story, condition, ready, until};

/// An interval that never comes within a story.
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
    let auckland = story.simulated.hire(with(person("tui.rewi@example.com", "Auckland"), hired.clone())).await;
    let berlin = story.simulated.hire(with(person("jo.krug@example.com", "Berlin"), hired)).await;
    let controller = Moving::start(&story, "2027-01-31T10:50:00Z").await;
    story.integrate(rarely()).await;
    story.ready("Converged").await;
    assert_eq!(
        next(&story, &auckland).await,
        json!({"at": "2027-02-01T00:00:00+13:00", "timeZone": "Pacific/Auckland", "access": "Active", "because": "StartDate"})
    );
    assert!(story.simulated.account(&auckland).await.is_none());

    controller.to(&story, "2027-01-31T11:00:00Z").await;
    until_status(&story, &auckland, 1).await;
    assert!(story.simulated.account(&berlin).await.is_none(), "it is noon in Berlin");
    let history = story.person(&auckland).await.unwrap().status.unwrap().history;
    assert_eq!(serde_json::to_value(history[0].trigger).unwrap(), "Transition");

    controller.to(&story, "2027-01-31T22:55:00Z").await;
    story.sync().await;
    assert!(story.simulated.account(&berlin).await.is_none(), "five minutes before midnight, and a pass has just looked");
    controller.to(&story, "2027-01-31T23:00:00Z").await;
    until_status(&story, &berlin, 1).await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_ends_at_the_end_of_the_last_day_and_a_withdrawn_date_ends_nothing() {
    let story = Story::begin("end", 3).await;
    let leaving = json!({"employee.lastDayOfWork": "2027-02-10", "internal.terminationDate": "2027-03-31"});
    let leaver = story.simulated.hire(with(person("ola.berg@example.com", "Berlin"), leaving.clone())).await;
    let stays = story.simulated.hire(with(person("kim.sol@example.com", "Berlin"), leaving)).await;
    let controller = Moving::start(&story, "2027-02-10T20:00:00Z").await;
    story.integrate(rarely()).await;
    story.ready("Converged").await;
    assert_eq!(
        next(&story, &leaver).await,
        json!({"at": "2027-02-11T00:00:00+01:00", "timeZone": "Europe/Berlin", "access": "Suspended", "because": "LastDayOfWork"})
    );
    // The evening before, one of the two withdraws the notice.
    story.simulated.change(&stays, json!({"employee.lastDayOfWork": null, "internal.terminationDate": null})).await;
    controller.to(&story, "2027-02-10T23:00:00Z").await;
    until_status(&story, &leaver, 2).await;
    assert_eq!(story.simulated.account(&stays).await.unwrap()["status"], 1);
    let leaver = story.person(&leaver).await.unwrap();
    let (_, _, why) = condition(&leaver, "AccessSynced").unwrap();
    assert!(why.contains("employee.lastDayOfWork") && why.contains("2027-02-10"), "{why}");
    assert_eq!(next(&story, &stays).await, Value::Null);
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_that_was_down_over_midnight_does_it_when_it_is_back() {
    let story = Story::begin("down", 3).await;
    let leaver =
        story.simulated.hire(with(person("ola.berg@example.com", "Berlin"), json!({"internal.terminationDate": "2027-02-10"}))).await;
    let controller = Moving::start(&story, "2027-02-10T20:00:00Z").await;
    story.integrate(rarely()).await;
    story.ready("Converged").await;
    assert_eq!(story.simulated.account(&leaver).await.unwrap()["status"], 1);
    controller.stop().await;
    let controller = Moving::start(&story, "2027-02-11T06:00:00Z").await;
    until_status(&story, &leaver, 2).await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leave_shows_when_it_ends_and_bob_ends_it() {
    let story = Story::begin("leave", 3).await;
    let away = json!({
        "internal.lifecycleStatus": "Parental leave", "internal.status": "Inactive",
        "employee.recentLeaveStartDate": "2026-12-01", "employee.recentLeaveEndDate": "2027-01-06",
    });
    let parent = story.simulated.hire(with(person("maia.hoani@example.com", "Auckland"), away)).await;
    let planned = json!({"employee.recentLeaveStartDate": "2027-01-20", "employee.recentLeaveEndDate": "2027-02-20"});
    let planner = story.simulated.hire(with(person("eli.ray@example.com", "Berlin"), planned)).await;
    let controller = Moving::start(&story, "2027-01-05T12:00:00Z").await;
    story.integrate(rarely()).await;
    story.ready("Converged").await;
    assert_eq!(story.simulated.account(&parent).await.unwrap()["status"], 2);
    assert_eq!(
        next(&story, &parent).await,
        json!({"at": "2027-01-07T00:00:00+13:00", "timeZone": "Pacific/Auckland", "access": "Active", "because": "LeaveEnd"})
    );
    assert_eq!(next(&story, &planner).await["because"], "LeaveStart");
    // Bob turns the status at that midnight; the worker looks at that moment.
    story.simulated.change(&parent, json!({"internal.lifecycleStatus": "Employed", "internal.status": "Active"})).await;
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
