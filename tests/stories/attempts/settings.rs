//! Settings, objects and tenants that are removed, come back or change.

use jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn account_ids_of_one_tenant_are_nothing_in_another() {
    let (story, people, controller) = begin("tenants", 6, hooked(json!({}))).await;
    let other = Simulated::start(0).await;
    let highest = story
        .simulated
        .accounts()
        .await
        .iter()
        .filter_map(|account| account["id"].as_u64())
        .max()
        .unwrap();
    for number in 0..40 {
        let email = format!("stranger.{number}@other.example");
        let account = json!({"email": email, "username": email, "firstname": "A", "lastname": "Stranger", "status": 1});
        other.post("/onelogin/users", account).await;
    }
    let before = other.accounts().await;
    let ids: Vec<u64> = before.iter().filter_map(|account| account["id"].as_u64()).collect();
    assert!(ids.contains(&highest), "the same numbers in both");
    assert!(controller.stop().await);
    let controller =
        Controller::with(&story, &["--leader-elect=false", "--allow-endpoint", &other.one_login])
            .await;
    leave(&story, &people[..3]).await;
    let provider = json!({"oneLogin": {"region": "US", "endpoint": other.one_login, "credentialsSecretRef": {"name": "onelogin"}}});
    story.integrate(hooked(json!({ "provider": provider }))).await;
    annotate(&story, &people[0], "one").await;
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    deliver(&controller, "employee.left", &people[1], Timestamp::now()).await;
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    let after = other.accounts().await;
    for account in before {
        let now = after.iter().find(|one| one["id"] == account["id"]);
        assert_eq!(now, Some(&account), "a stranger's account");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_that_is_reported_is_not_undone_by_a_change_beside_it() {
    let (story, people, controller) =
        begin("drift", 8, hooked(json!({"safety": {"driftPolicy": "Report"}}))).await;
    story.sync().await;
    let mut at = Vec::new();
    for id in &people {
        at.push(format!("/onelogin/users/{}", story.simulated.account(id).await.unwrap()["id"]));
    }
    for at in &at[..6] {
        story.simulated.patch(at, json!({"title": "Wizard"})).await;
    }
    // Another attribute, a pin of another employee, an annotation, a deleted object, a held kind, a
    // rehire.
    story.simulated.change(&people[0], json!({"work.department": "Mills"})).await;
    pin(&story, &people[1], json!({"attributes": {"company": "Elsewhere"}})).await;
    annotate(&story, &people[2], "one").await;
    answered(&story, &people[2], "one").await;
    forget(&story, &people[3]).await;
    leave(&story, &people[4..5]).await;
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    story.simulated.change(&people[4], back()).await;
    story.sync().await;
    let controller = again(&story, controller).await;
    story.sync().await;
    forget(&story, &people[5]).await;
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    pin(&story, &people[1], json!({"attributes": null})).await;
    seen(&story, &people[1]).await;
    story.sync().await;
    for (number, at) in at[..6].iter().enumerate() {
        assert_eq!(story.simulated.get(at).await["title"], "Wizard", "{number}");
    }
    drop(controller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_object_for_a_person_changes_nothing() {
    let (story, people, _controller) = begin("second", 4, hooked(json!({}))).await;
    let before = story.simulated.account(&people[0]).await.unwrap();
    let object = json!({
        "apiVersion": "bobsync.dev/v1alpha1", "kind": "EmployeeSync",
        "metadata": {"name": "mine", "labels": {"bobsync.dev/integration": "onelogin"}},
        "spec": {"integrationRef": {"name": "onelogin"}, "employeeId": people[0], "attributes": {"title": "Boss"}},
    });
    let made = story
        .people()
        .create(&PostParams::default(), &serde_json::from_value(object).unwrap())
        .await;
    if made.is_ok() {
        tokio::time::sleep(QUIET).await;
        story.sync().await;
        let now = story.simulated.account(&people[0]).await.unwrap()["title"].clone();
        story.people().delete("mine", &DeleteParams::default()).await.unwrap();
        tokio::time::sleep(QUIET).await;
        story.sync().await;
        assert_eq!(
            story.simulated.account(&people[0]).await.unwrap()["title"],
            before["title"],
            "{now}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_answer_over_restarts_takes_no_access() {
    let (story, people, controller) = begin("short", 40, hooked(json!({}))).await;
    story.simulated.put("/bob/serve", json!({"first": 12})).await;
    let gone = json!({"kind": "status", "method": "POST", "pathPrefix": "/v1/people/333", "status": 404, "body": {"error": "not found"}});
    story.simulated.post("/bob/faults", gone).await;
    story.ask().await;
    story.ready("SourceSuspect").await;
    let mut controller = controller;
    for _ in 0..3 {
        controller = again(&story, controller).await;
        story.ready("SourceSuspect").await;
    }
    assert_eq!(suspended(&story, &people).await, 0);
    for _ in 0..3 {
        story.ask().await;
        tokio::time::sleep(QUIET).await;
        controller = again(&story, controller).await;
        tokio::time::sleep(QUIET).await;
    }
    let count = suspended(&story, &people).await;
    assert!(count <= 5, "{count}");
    drop(controller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_listing_when_the_objects_are_gone_makes_no_second_account() {
    let (story, people, controller) = begin("shortlist", 20, hooked(json!({}))).await;
    let before = story.simulated.accounts().await.len();
    assert!(controller.stop().await);
    story
        .people()
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await
        .unwrap();
    story.simulated.change(&people[0], json!({"root.email": "another.address@example.com"})).await;
    let short = json!({
        "kind": "status", "status": 200, "headers": {"Content-Type": "application/json"}, "body": "[]", "method": "GET", "pathPrefix": "/api/2/users", "times": 1,
    });
    story.simulated.post("/onelogin/faults", short).await;
    let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    assert_eq!(story.simulated.accounts().await.len(), before, "one account for each person");
    story.sync().await;
    assert_eq!(story.reason(&people[0]).await, "InSync");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_pass_takes_access_from_no_more_than_five_however_it_is_flipped() {
    let story = Story::begin("first", 2).await;
    story.secret("hook", &[("webhookSecret", SECRET)]).await;
    let people = staff(&story, 40).await;
    for number in 0..40 {
        let email = format!("robin.{number}@example.com");
        let account = json!({"email": email, "username": email, "firstname": "Old", "lastname": "Name", "status": 1});
        story.simulated.post("/onelogin/users", account).await;
    }
    leave(&story, &people[..15]).await;
    let controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.integrate(hooked(json!({"mode": "DryRun"}))).await;
    story.ready("DryRun").await;
    story.integrate(hooked(json!({"mode": "Enforce"}))).await;
    story.ready("PlanHeld").await;
    paused(&story, true).await;
    let controller = again(&story, controller).await;
    paused(&story, false).await;
    story.sync().await;
    story.integrate(hooked(json!({"mode": "DryRun"}))).await;
    story.sync().await;
    story.integrate(hooked(json!({"mode": "Enforce"}))).await;
    story.sync().await;
    story.integrations().delete("onelogin", &DeleteParams::default()).await.unwrap();
    until("the people went with it", || async {
        if story.everybody().await.is_empty() { Ok(()) } else { Err("still there".to_owned()) }
    })
    .await;
    story.integrate(hooked(json!({}))).await;
    story.ready("PlanHeld").await;
    story.sync().await;
    let off =
        story.simulated.accounts().await.iter().filter(|account| account["status"] == 2).count();
    assert_eq!(off, 0, "a flood has no first victims");
    drop(controller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_change_waits_in_any_order_of_deletes() {
    let story = Story::begin("onchange", 2).await;
    story.secret("hook", &[("webhookSecret", SECRET)]).await;
    let people = staff(&story, 6).await;
    for (number, id) in people.iter().enumerate() {
        story.simulated.change(id, json!({"root.creationDate": "2022-02-01"})).await;
        let email = format!("robin.{number}@example.com");
        let account = json!({"email": email, "username": email, "firstname": "Old", "lastname": "Name", "status": 1});
        story.simulated.post("/onelogin/users", account).await;
    }
    let mut controller = Controller::with(&story, &["--leader-elect=false"]).await;
    let spec = |more: Value| {
        hooked(json!({"provisioning": {"existingEmployees": "OnChange"}, "safety": more}))
    };
    story.integrate(spec(json!({}))).await;
    story.ready("Converged").await;
    let names = async || {
        story
            .simulated
            .accounts()
            .await
            .iter()
            .filter(|account| account["firstname"] == "Old")
            .count()
    };
    assert_eq!(names().await, 6);
    for id in &people[..2] {
        deliver(&controller, "employee.updated", id, Timestamp::now()).await;
        annotate(&story, id, "one").await;
    }
    pin(&story, &people[2], json!({"userStatus": "AccordingToBob"})).await;
    tokio::time::sleep(QUIET).await;
    assert_eq!(names().await, 6, "asked for, and unchanged");
    for round in 0..2 {
        story
            .people()
            .delete_collection(&DeleteParams::default(), &ListParams::default())
            .await
            .unwrap();
        if round == 1 {
            tokio::time::sleep(QUIET).await;
        }
        controller = again(&story, controller).await;
        story.sync().await;
        assert_eq!(names().await, 6, "{round}");
    }
    story.integrations().delete("onelogin", &DeleteParams::default()).await.unwrap();
    tokio::time::sleep(QUIET).await;
    let controller = again(&story, controller).await;
    story.integrate(spec(json!({}))).await;
    story.ready("Converged").await;
    story
        .simulated
        .put(
            "/bob/quirks",
            json!({"lifecycleCasing": "title", "humanDates": "iso", "reportsTo": "string"}),
        )
        .await;
    story.integrate(spec(json!({"driftPolicy": "Report"}))).await;
    story.sync().await;
    assert_eq!(names().await, 6, "Bob says the same in other words");
    drop(controller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn protected_accounts_stay_as_they_are_for_single_people_and_new_addresses() {
    let (story, people, controller) = begin("protected", 8, hooked(json!({}))).await;
    let mut at = Vec::new();
    let mut ids = Vec::new();
    for id in &people {
        let account = story.simulated.account(id).await.unwrap();
        at.push(format!("/onelogin/users/{}", account["id"]));
        ids.push(account["id"].to_string());
    }
    let glass = json!(["ROBIN.0@example.com", " ", ids[1], "robin.2@example.com"]);
    let glass: Vec<Value> =
        glass.as_array().unwrap().iter().filter(|one| *one != " ").cloned().collect();
    story.integrate(hooked(json!({"safety": {"protectedAccounts": glass}}))).await;
    story.ready("Converged").await;
    let mut before = Vec::new();
    for at in &at[..3] {
        before.push(story.simulated.get(at).await);
    }
    story
        .simulated
        .change(&people[0], json!({"root.email": "new.name@example.com", "work.title": "X"}))
        .await;
    story.simulated.change(&people[1], json!({"work.title": "X"})).await;
    leave(&story, &people[1..3]).await;
    for id in &people[..3] {
        deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await;
        annotate(&story, id, "one").await;
        pin(&story, id, json!({"attributes": {"company": "Elsewhere"}})).await;
    }
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    let controller = again(&story, controller).await;
    for id in &people[..3] {
        forget(&story, id).await;
    }
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    for (at, before) in at.iter().zip(before) {
        assert_eq!(story.simulated.get(at).await, before);
    }
    assert_eq!(
        story
            .simulated
            .accounts()
            .await
            .iter()
            .filter(|account| account["email"] == "new.name@example.com")
            .count(),
        0
    );
    drop(controller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_under_another_persons_name_does_no_harm() {
    let (story, people, controller) = begin("misnamed", 6, hooked(json!({}))).await;
    let before = story.simulated.accounts().await;
    assert!(controller.stop().await);
    forget(&story, &people[1]).await;
    let object = json!({
        "apiVersion": "bobsync.dev/v1alpha1", "kind": "EmployeeSync",
        "metadata": {"name": format!("onelogin-{}", people[1]), "labels": {"bobsync.dev/integration": "onelogin"}},
        "spec": {"integrationRef": {"name": "onelogin"}, "employeeId": people[2]},
    });
    assert!(
        story
            .people()
            .create(&PostParams::default(), &serde_json::from_value(object).unwrap())
            .await
            .is_err()
    );
    let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.sync().await;
    story.sync().await;
    assert_eq!(story.simulated.accounts().await, before);
    leave(&story, &people[1..2]).await;
    story.sync().await;
    assert_eq!(
        (status(&story, &people[1]).await, status(&story, &people[2]).await),
        (json!(2), json!(1))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_set_at_creation_only_is_not_set_again_after_deletes() {
    let mapping = json!([{"target": "email", "field": "root.email"}, {"target": "username", "field": "root.email"},
        {"target": "title", "field": "work.title", "apply": "OnCreate"}]);
    let spec =
        hooked(json!({"mapping": mapping, "provisioning": {"userStatus": "AlwaysInactive"}}));
    let (story, people, controller) = begin("oncreate", 6, spec.clone()).await;
    let mut at = Vec::new();
    for id in &people {
        at.push(format!("/onelogin/users/{}", story.simulated.account(id).await.unwrap()["id"]));
    }
    for at in &at {
        story.simulated.patch(at, json!({"title": "Wizard", "status": 1})).await;
    }
    forget(&story, &people[0]).await;
    annotate(&story, &people[1], "one").await;
    tokio::time::sleep(QUIET).await;
    assert!(controller.stop().await);
    forget(&story, &people[2]).await;
    let controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.sync().await;
    story.integrations().delete("onelogin", &DeleteParams::default()).await.unwrap();
    tokio::time::sleep(QUIET).await;
    let controller = again(&story, controller).await;
    story.integrate(spec).await;
    story.ready("Converged").await;
    for at in &at {
        let account = story.simulated.get(at).await;
        assert_eq!((&account["title"], &account["status"]), (&json!("Wizard"), &json!(1)));
    }
    drop(controller);
}
