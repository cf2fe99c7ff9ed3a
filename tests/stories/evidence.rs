//! An immediate revocation that was answered with 200 is carried out on its evidence alone, as soon
//! as possible. Bob does not answer in any of these stories.

use std::time::Duration;

use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::{
    attempts::{
        SECRET, again, begin, broken, deliver, forget, hooked, mended, paused, pin, seen, status,
        until_status,
    },
    budgets::staff,
    providers::ENTRA,
    support::{Controller, Simulated, Story, condition, ready, until},
};

const REVOKED: &str = "employee.access.revoked.immediately";

async fn revoke(story: &Story, controller: &Controller, id: &str) {
    // A process that has just begun asks Bob to send the event again.
    until("it is answered with 200", || async {
        let answer = deliver(controller, REVOKED, id, Timestamp::now()).await;
        if answer == Some(200) { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
    until("the evidence is on record", || async {
        let revoked = story.integration().await.status.unwrap_or_default().revoked;
        if revoked.iter().any(|one| one.employee_id == id) {
            Ok(())
        } else {
            Err("not yet".to_owned())
        }
    })
    .await;
}

/// Makes Bob refuse the service user, and waits until the integration reports it.
async fn bob_refuses(story: &Story) {
    story
        .simulated
        .put("/bob/credentials", json!({"id": "SERVICE-1", "token": "bob-token-2"}))
        .await;
    story.sync_ends_in("BobUnauthorized").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_taken_while_the_integration_is_suspended_is_carried_out_after_it() {
    let (story, people, controller) = begin("resumed", 6, hooked(json!({}))).await;
    paused(&story, true).await;
    revoke(&story, &controller, &people[0]).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(status(&story, &people[0]).await, 1, "a suspended integration writes nothing");
    story
        .simulated
        .put("/bob/credentials", json!({"id": "SERVICE-1", "token": "bob-token-2"}))
        .await;
    paused(&story, false).await;
    until_status(&story, &people[0], 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_taken_while_hands_are_off_is_carried_out_once_they_are_not() {
    let (story, people, controller) = begin("hands-on", 6, hooked(json!({}))).await;
    pin(&story, &people[0], json!({"suspend": true})).await;
    seen(&story, &people[0]).await;
    revoke(&story, &controller, &people[0]).await;
    // Every read of Bob that the event asks for has ended.
    story.sync().await;
    tokio::time::sleep(Duration::from_secs(35)).await;
    bob_refuses(&story).await;
    assert_eq!(status(&story, &people[0]).await, 1, "hands off");
    pin(&story, &people[0], json!({"suspend": false})).await;
    until_status(&story, &people[0], 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_of_somebody_whose_object_was_deleted_is_carried_out() {
    let (story, people, controller) = begin("deleted", 6, hooked(json!({}))).await;
    bob_refuses(&story).await;
    // Its account is known to this process.
    let objects = async || {
        let page = controller.metrics().await;
        let mut lines = page.lines();
        let count = lines.find_map(|line| line.strip_prefix("bobsync_employee_sync_objects "));
        count.expect("the gauge").to_owned()
    };
    let before = objects().await;
    forget(&story, &people[0]).await;
    until("this process knows that the object is gone", || async {
        let now = objects().await;
        if now == before { Err(now) } else { Ok(()) }
    })
    .await;
    revoke(&story, &controller, &people[0]).await;
    until_status(&story, &people[0], 2).await;
    // The next process does not know it, and finds the account by its mark.
    forget(&story, &people[1]).await;
    let controller = again(&story, controller).await;
    story.ready("BobUnauthorized").await;
    revoke(&story, &controller, &people[1]).await;
    until_status(&story, &people[1], 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_secret_of_the_provider_is_used_for_evidence() {
    let story = Story::begin("rotated", 2).await;
    story.secret("hook", &[("webhookSecret", SECRET)]).await;
    let people = staff(&story, 4).await;
    let provider = ENTRA.prepare(&story).await;
    let controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.integrate(hooked(json!({"provider": provider}))).await;
    story.ready("Converged").await;
    bob_refuses(&story).await;
    story.simulated.put("/entra/app", json!({"clientSecret": "another~Secret-1"})).await;
    ENTRA.prepare(&story).await;
    // The controller sees a rotation within a minute.
    tokio::time::sleep(Duration::from_secs(30)).await;
    // The token that the old secret gave ends.
    let body = json!({"error": {"code": "InvalidAuthenticationToken", "message": "Lifetime validation failed, the token is expired."}});
    let ended = json!({"kind": "status", "status": 401, "times": 1, "pathPrefix": "/v1.0/users",
        "headers": {"Content-Type": "application/json"}, "body": body.to_string()});
    story.simulated.post("/entra/faults", ended).await;
    revoke(&story, &controller, &people[0]).await;
    until("the account is disabled", || async {
        let users =
            story.simulated.get("/entra/users").await.as_array().cloned().unwrap_or_default();
        let disabled = users.iter().filter(|user| user["accountEnabled"] == json!(false)).count();
        if disabled == 1 { Ok(()) } else { Err(disabled.to_string()) }
    })
    .await;
}

/// The accounts on record belong to the tenant before: their ids mean other employees here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_settings_that_name_another_tenant_take_no_access_there() {
    let (story, people, controller) = begin("elsewhere", 6, hooked(json!({}))).await;
    let other = Simulated::start(0).await;
    let theirs: Vec<_> =
        (0..20).map(|n| json!({"email": format!("n{n}@else.example"), "username": format!("n{n}"), "status": 1})).collect();
    other.post("/onelogin/users", json!(theirs)).await;
    let theirs = other.accounts().await;
    let on_record = story.person(&people[0]).await.unwrap().status.unwrap().account.unwrap().id;
    assert!(
        theirs.iter().any(|account| account["id"].as_u64() == on_record.parse().ok()),
        "{on_record}: {theirs:?}"
    );
    let endpoint = other.one_login.clone();
    let spec = json!({"provider": {"oneLogin": {"endpoint": endpoint}}, "provisioning": {"scope": "employee.work.site ="}});
    let patch = Patch::Merge(json!({"spec": spec}));
    story.integrations().patch("onelogin", &PatchParams::default(), &patch).await.unwrap();
    story.ready("EndpointNotAllowed").await;
    assert!(controller.stop().await);
    let controller =
        Controller::with(&story, &["--leader-elect=false", "--allow-endpoint", &endpoint]).await;
    story.ready("InvalidSettings").await;
    revoke(&story, &controller, &people[0]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(status(&story, &people[0]).await, 1);
    assert_eq!(other.writes().await, 0);
    assert_eq!(other.accounts().await, theirs);
}

/// The same tenant under another name: what is on record is of its accounts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_settings_that_name_the_tenant_otherwise_take_access_that_evidence_takes() {
    let (story, people, controller) = begin("renamed", 6, hooked(json!({}))).await;
    let endpoint = story.simulated.one_login.replace("127.0.0.1", "localhost");
    let spec = json!({"provider": {"oneLogin": {"endpoint": endpoint}}, "provisioning": {"scope": "employee.work.site ="}});
    story
        .integrations()
        .patch("onelogin", &PatchParams::default(), &Patch::Merge(json!({"spec": spec})))
        .await
        .unwrap();
    story.ready("EndpointNotAllowed").await;
    assert!(controller.stop().await);
    let controller =
        Controller::with(&story, &["--leader-elect=false", "--allow-endpoint", &endpoint]).await;
    story.ready("InvalidSettings").await;
    revoke(&story, &controller, &people[0]).await;
    until_status(&story, &people[0], 2).await;
}

/// No status is green while access is open that has to be taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_that_cannot_be_carried_out_is_not_in_sync_and_is_counted() {
    let (story, people, controller) = begin("not-green", 6, hooked(json!({}))).await;
    bob_refuses(&story).await;
    broken(&story).await;
    story
        .simulated
        .post(
            "/onelogin/faults",
            json!({"kind": "status", "status": 503, "pathPrefix": "/api/2/users"}),
        )
        .await;
    revoke(&story, &controller, &people[0]).await;
    let person = story.person(&people[0]).await.unwrap();
    let words = ready(&person);
    assert!(words.0 == "False" && ["Pending", "Retrying"].contains(&&*words.1), "{words:?}");
    let (status, _, message) = condition(&person, "AccessSynced").unwrap();
    assert!(status == "False" && message.contains("still open"), "{message}");
    let failing = async || {
        let conditions = story.integration().await.status.unwrap_or_default().conditions;
        conditions
            .into_iter()
            .find(|one| one.type_ == "EmployeesFailing")
            .map(|one| (one.status, one.message))
            .unwrap_or_default()
    };
    until("it is counted", || async {
        let (status, message) = failing().await;
        if status == "True" && message.contains("1 employee, ") { Ok(()) } else { Err(message) }
    })
    .await;
    mended(&story).await;
    until_status(&story, &people[0], 2).await;
    until("it is not counted any more", || async {
        let (status, message) = failing().await;
        if status == "False" { Ok(()) } else { Err(message) }
    })
    .await;
    until("it is in sync", || async {
        let words = ready(&story.person(&people[0]).await.unwrap());
        if words == ("True".to_owned(), "InSync".to_owned()) { Ok(()) } else { Err(words.1) }
    })
    .await;
}
