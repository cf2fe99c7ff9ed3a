//! Attempts of somebody who does not believe the promises: approvals, windows, revocations and pins, mixed.

use jiff::{Timestamp, ToSpan as _};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use simulators::bob::webhooks::{event, send};

use crate::{
    budgets::{held, leave, staff, suspended},
    support::{Controller, Simulated, Story, until},
};

const SECRET: &str = "s3cret of the webhook";
const AT_WORK: [(&str, &str); 2] = [("internal.lifecycleStatus", "Employed"), ("internal.status", "Active")];
const QUIET: std::time::Duration = std::time::Duration::from_secs(3);

fn back() -> Value {
    AT_WORK.into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect::<serde_json::Map<_, _>>().into()
}

fn hooked(more: Value) -> Value {
    let mut spec = json!({"interval": "24h", "bob": {"webhookSecretRef": {"name": "hook", "key": "webhookSecret"}}});
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    spec
}

async fn begin(name: &str, count: usize, spec: Value) -> (Story, Vec<String>, Controller) {
    let story = Story::begin(name, 2).await;
    story.secret("hook", &[("webhookSecret", SECRET)]).await;
    let people = staff(&story, count).await;
    let controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.integrate(spec).await;
    story.ready("Converged").await;
    (story, people, controller)
}

async fn again(story: &Story, controller: Controller) -> Controller {
    assert!(controller.stop().await);
    Controller::with(story, &["--leader-elect=false"]).await
}

async fn deliver(controller: &Controller, kind: &str, id: &str, at: Timestamp) -> Option<u16> {
    let body = event(kind, &json!({"employeeId": id}), at).to_string();
    send(&controller.webhooks, Some(SECRET), body.into_bytes()).await
}

async fn annotate(story: &Story, id: &str, value: &str) {
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"bobsync.dev/sync-requested-at": value}}}));
    story.people().patch(&format!("onelogin-{id}"), &PatchParams::default(), &patch).await.unwrap();
}

async fn answered(story: &Story, id: &str, value: &str) {
    until("the person's request is answered", || async {
        let status = story.person(id).await.and_then(|person| person.status).unwrap_or_default();
        if status.last_handled_sync_at.as_deref() == Some(value) { Ok(()) } else { Err(format!("{:?}", status.last_handled_sync_at)) }
    })
    .await;
}

async fn pin(story: &Story, id: &str, spec: Value) {
    let patch = Patch::Merge(json!({ "spec": spec }));
    story.people().patch(&format!("onelogin-{id}"), &PatchParams::default(), &patch).await.unwrap();
}

async fn seen(story: &Story, id: &str) {
    until("its spec was seen", || async {
        let person = story.person(id).await.ok_or("gone")?;
        let seen = person.status.as_ref().and_then(|status| status.observed_generation);
        if seen == person.metadata.generation { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
}

async fn forget(story: &Story, id: &str) {
    story.people().delete(&format!("onelogin-{id}"), &DeleteParams::default()).await.expect("deleted");
}

async fn status(story: &Story, id: &str) -> Value {
    story.simulated.account(id).await.unwrap_or_default()["status"].clone()
}

async fn until_status(story: &Story, id: &str, wanted: i64) {
    until("the account's status", || async {
        let status = status(story, id).await;
        if status == wanted { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
}

async fn broken(story: &Story) {
    let fault = json!({"kind": "status", "method": "PUT", "pathPrefix": "/api/2/users", "status": 503});
    story.simulated.post("/onelogin/faults", fault).await;
}

async fn mended(story: &Story) {
    story.simulated.delete("/onelogin/faults").await;
}

async fn approve(story: &Story) -> String {
    let (digest, ..) = held(&story.ready("PlanHeld").await);
    let patch = Patch::Merge(json!({"spec": {"approvedPlan": digest}}));
    story.integrations().patch("onelogin", &PatchParams::default(), &patch).await.unwrap();
    digest
}

async fn until_reason(story: &Story, id: &str, wanted: &str) {
    until(&format!("the person is {wanted}"), || async {
        let reason = story.reason(id).await;
        if reason == wanted { Ok(()) } else { Err(reason) }
    })
    .await;
}

/// An approved flood of eight that the provider refuses for now.
async fn approved_and_stuck(name: &str) -> (Story, Vec<String>, Controller) {
    let (story, people, controller) = begin(name, 30, hooked(json!({}))).await;
    leave(&story, &people[..8]).await;
    story.sync().await;
    broken(&story).await;
    approve(&story).await;
    until_reason(&story, &people[0], "Retrying").await;
    (story, people, controller)
}

// (b) approvals

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_whose_people_came_back_before_it_was_through_is_over() {
    let (story, people, controller) = approved_and_stuck("came-back").await;
    for id in &people[..8] {
        story.simulated.change(id, back()).await;
    }
    story.sync().await;
    mended(&story).await;
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 0);
    let controller = again(&story, controller).await;
    story.sync().await;
    leave(&story, &people[..8]).await;
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 0, "the same people again are another plan");
    drop(controller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_is_over_for_people_who_were_taken_out_of_the_plan_by_hand() {
    let (story, people, _controller) = approved_and_stuck("hands-off").await;
    for id in &people[..8] {
        pin(&story, id, json!({"suspend": true})).await;
    }
    for id in &people[..8] {
        seen(&story, id).await;
    }
    mended(&story).await;
    story.sync().await;
    story.ready("Converged").await;
    assert_eq!(suspended(&story, &people).await, 0);
    for id in &people[..8] {
        pin(&story, id, json!({"suspend": false})).await;
    }
    for id in &people[..8] {
        seen(&story, id).await;
    }
    story.sync().await;
    assert!(suspended(&story, &people).await <= 5, "nothing was held, the approval was through");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_is_over_when_the_scope_took_its_people_out() {
    let (story, people, _controller) = approved_and_stuck("scoped-out").await;
    story.integrate(hooked(json!({"provisioning": {"emailDomains": ["elsewhere.example"]}}))).await;
    mended(&story).await;
    story.sync().await;
    story.ready("Converged").await;
    story.integrate(hooked(json!({"provisioning": {"emailDomains": []}}))).await;
    story.sync().await;
    assert!(suspended(&story, &people).await <= 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_of_a_plan_waits_when_the_next_is_approved() {
    let (story, people, _controller) = approved_and_stuck("next-plan").await;
    leave(&story, &people[8..16]).await;
    story.sync().await;
    let second = approve(&story).await;
    until("the second approval is on record", || async {
        let approved = story.integration().await.status.unwrap().approved.map(|one| one.digest);
        if approved.as_deref() == Some(&*second) { Ok(()) } else { Err(format!("{approved:?}")) }
    })
    .await;
    mended(&story).await;
    story.sync().await;
    assert_eq!(suspended(&story, &people[8..16]).await, 8);
    assert_eq!(suspended(&story, &people[..8]).await, 0, "docs: so does whatever is left of a plan when the next one is approved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_given_in_a_dry_run_is_for_what_was_seen() {
    let (story, people, _controller) = begin("dry-approved", 30, hooked(json!({}))).await;
    leave(&story, &people[..8]).await;
    story.sync().await;
    let (digest, ..) = held(&story.ready("PlanHeld").await);
    story.integrate(hooked(json!({"mode": "DryRun", "approvedPlan": digest}))).await;
    story.ready("DryRun").await;
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 0);
    for id in &people[..8] {
        story.simulated.change(id, back()).await;
    }
    story.sync().await;
    leave(&story, &people[1..9]).await;
    story.integrate(hooked(json!({"mode": "Enforce", "approvedPlan": digest}))).await;
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 0, "others than those who were seen");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_requests_for_single_people_at_once_do_not_pass_five() {
    let (story, people, controller) = begin("eight", 30, hooked(json!({}))).await;
    leave(&story, &people[..12]).await;
    story.sync().await;
    story.ready("PlanHeld").await;
    let slow = json!({"kind": "delay", "method": "PUT", "pathPrefix": "/api/2/users", "delayMs": 400});
    story.simulated.post("/onelogin/faults", slow).await;
    for id in &people[..4] {
        annotate(&story, id, "one").await;
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
    story.ask().await;
    for id in &people[4..8] {
        deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await;
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
    for id in &people[8..12] {
        annotate(&story, id, "one").await;
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    let count = suspended(&story, &people).await;
    assert!(count <= 5, "{count}");
    let controller = again(&story, controller).await;
    for id in &people[..12] {
        annotate(&story, id, "two").await;
    }
    for id in &people[..12] {
        answered(&story, id, "two").await;
    }
    story.sync().await;
    let count = suspended(&story, &people).await;
    assert!(count <= 5, "{count}");
    drop(controller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_pass_and_single_leavers_beside_it_share_a_window() {
    let (story, people, _controller) = begin("beside", 30, hooked(json!({}))).await;
    let slow = json!({"kind": "delay", "method": "PUT", "pathPrefix": "/api/2/users", "delayMs": 1500});
    story.simulated.post("/onelogin/faults", slow).await;
    for round in 0..2 {
        leave(&story, &people[round * 5..round * 5 + 5]).await;
        if round == 0 {
            story.ask().await;
            tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        }
    }
    for id in &people[5..10] {
        annotate(&story, id, "one").await;
    }
    for id in &people[5..10] {
        answered(&story, id, "one").await;
    }
    story.sync().await;
    let count = suspended(&story, &people).await;
    assert!(count <= 5, "{count}");
}

/// Eight leavers who are held.
async fn held_leavers(name: &str) -> (Story, Vec<String>, Controller) {
    let (story, people, controller) = begin(name, 30, hooked(json!({}))).await;
    leave(&story, &people[..8]).await;
    story.sync().await;
    story.ready("PlanHeld").await;
    (story, people, controller)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_suspension_stays_held_when_its_object_is_deleted() {
    let (story, people, controller) = held_leavers("held-deleted").await;
    forget(&story, &people[0]).await;
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 0, "a flood has no first victims, and deleting changes no account");
    drop(controller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_suspensions_stay_held_when_all_objects_are_deleted() {
    let (story, people, controller) = held_leavers("held-deleted-all").await;
    story.people().delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    let running = suspended(&story, &people).await;
    assert!(controller.stop().await);
    story.people().delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.sync().await;
    assert_eq!((running, suspended(&story, &people).await), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_suspension_stays_held_when_bob_pushes_something_else() {
    let (story, people, controller) = held_leavers("held-push").await;
    story.simulated.change(&people[0], json!({"work.title": "X"})).await;
    deliver(&controller, "employee.updated", &people[0], Timestamp::now()).await;
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 0, "a flood has no first victims");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_suspension_stays_held_when_somebody_edits_the_object() {
    let (story, people, controller) = held_leavers("held-edit").await;
    pin(&story, &people[0], json!({"userStatus": "AccordingToBob"})).await;
    seen(&story, &people[0]).await;
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 0, "a flood has no first victims");
    drop(controller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_updates_and_reactivations_stay_held_for_whoever_is_asked_for() {
    let (story, people, controller) = begin("held-asked", 60, hooked(json!({"safety": {"fieldBlackout": {"max": "100%"}}}))).await;
    for id in &people[..30] {
        story.simulated.change(id, json!({"work.title": "Aye"})).await;
    }
    story.sync().await;
    story.ready("PlanHeld").await;
    for id in &people[..3] {
        annotate(&story, id, "one").await;
        answered(&story, id, "one").await;
    }
    let titled = async || story.simulated.accounts().await.iter().filter(|account| account["title"] == "Aye").count();
    let updates = titled().await;
    leave(&story, &people[30..45]).await;
    story.sync().await;
    approve(&story).await;
    story.ready("Converged").await;
    for id in &people[30..45] {
        story.simulated.change(id, back()).await;
    }
    story.sync().await;
    story.ready("PlanHeld").await;
    assert_eq!(suspended(&story, &people).await, 15);
    for id in &people[30..33] {
        annotate(&story, id, "one").await;
        answered(&story, id, "one").await;
    }
    assert_eq!((updates, suspended(&story, &people).await), (0, 15), "only a suspension that is asked for passes");
    drop(controller);
}

async fn frozen(name: &str) -> (Story, Vec<String>, Controller, Value) {
    let (story, people, controller) = begin(name, 30, hooked(json!({}))).await;
    let before = story.simulated.account(&people[0]).await.unwrap()["department"].clone();
    for id in &people[..20] {
        story.simulated.change(id, json!({"work.department": null})).await;
    }
    story.sync().await;
    story.ready("PlanHeld").await;
    (story, people, controller, before)
}

async fn departments(story: &Story, people: &[String]) -> Vec<Value> {
    let accounts = story.simulated.accounts().await;
    let of = |id: &String| accounts.iter().find(|account| account["external_id"] == **id).unwrap()["department"].clone();
    people.iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_attribute_stays_frozen_for_whoever_is_asked_for() {
    let (story, people, _controller, before) = frozen("frozen-ask").await;
    for id in &people[..3] {
        annotate(&story, id, "one").await;
        answered(&story, id, "one").await;
    }
    assert_eq!(departments(&story, &people[..20]).await, vec![before; 20]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_attribute_stays_frozen_for_whoever_bob_pushes() {
    let (story, people, controller, before) = frozen("frozen-push").await;
    for id in &people[..3] {
        deliver(&controller, "employee.updated", id, Timestamp::now()).await;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    }
    assert_eq!(departments(&story, &people[..20]).await, vec![before; 20]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_attribute_stays_frozen_for_whoever_is_pinned_or_deleted() {
    let (story, people, _controller, before) = frozen("frozen-pin").await;
    pin(&story, &people[2], json!({"attributes": {"company": "Elsewhere"}})).await;
    seen(&story, &people[2]).await;
    forget(&story, &people[3]).await;
    tokio::time::sleep(QUIET).await;
    assert_eq!(departments(&story, &people[..20]).await, vec![before; 20]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blackout_cannot_be_walked_through_person_by_person() {
    let (story, people, _controller, before) = frozen("frozen-walk").await;
    for id in &people[..20] {
        annotate(&story, id, "one").await;
        answered(&story, id, "one").await;
    }
    story.sync().await;
    let now = departments(&story, &people[..20]).await;
    let gone = now.iter().filter(|department| **department != before).count();
    assert!(gone <= 10, "{gone} of 20 blanked, the limit is ten");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehire_of_many_by_another_start_date_is_a_reactivation() {
    let (story, people, _controller) = begin("rehired", 40, hooked(json!({}))).await;
    leave(&story, &people[..15]).await;
    story.sync().await;
    approve(&story).await;
    story.ready("Converged").await;
    assert_eq!(suspended(&story, &people).await, 15);
    for id in &people[..15] {
        let mut fields = back();
        fields["work.startDate"] = json!("2026-11-23");
        story.simulated.change(id, fields).await;
    }
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 15, "access given back to fifteen, and the limit is ten");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pins_that_come_and_go_have_their_budgets() {
    let (story, people, controller) = begin("pins", 40, hooked(json!({}))).await;
    for id in &people[..15] {
        pin(&story, id, json!({"userStatus": "AlwaysActive"})).await;
    }
    for id in &people[..15] {
        seen(&story, id).await;
        story.simulated.change(id, json!({"internal.lifecycleStatus": "Leave", "internal.status": "Inactive"})).await;
    }
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 0);
    // All pins go at once, one after the other, while nobody runs, and with a restart in between.
    for id in &people[..7] {
        forget(&story, id).await;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    tokio::time::sleep(QUIET).await;
    assert!(controller.stop().await);
    for id in &people[7..15] {
        forget(&story, id).await;
    }
    let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.sync().await;
    let count = suspended(&story, &people).await;
    assert!(count <= 5, "{count}");
    approve(&story).await;
    story.ready("Converged").await;
    assert_eq!(suspended(&story, &people).await, 15);
    for id in &people[..15] {
        pin(&story, id, json!({"userStatus": "AlwaysActive"})).await;
    }
    for id in &people[..15] {
        seen(&story, id).await;
    }
    story.sync().await;
    let count = suspended(&story, &people).await;
    assert!(count >= 5, "{count}: more than ten were given access");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_that_lost_their_marks_do_not_escape_a_blackout() {
    let (story, people, _controller) = begin("unmarked", 30, hooked(json!({}))).await;
    let before = story.simulated.account(&people[0]).await.unwrap();
    for id in &people[..25] {
        let account = story.simulated.account(id).await.unwrap();
        story.simulated.patch(&format!("/onelogin/users/{}", account["id"]), json!({"external_id": null})).await;
        story.simulated.change(id, json!({"work.department": null, "work.title": "X"})).await;
    }
    story.sync().await;
    let after = story.simulated.get(&format!("/onelogin/users/{}", before["id"])).await;
    assert_eq!((&after["department"], &after["title"]), (&before["department"], &before["title"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scope_that_goes_and_comes_back_with_other_values_has_its_blackout() {
    let (story, people, _controller) = begin("scope", 30, hooked(json!({}))).await;
    let before = story.simulated.account(&people[0]).await.unwrap();
    story.integrate(hooked(json!({"provisioning": {"emailDomains": ["elsewhere.example"]}}))).await;
    story.ready("Converged").await;
    for id in &people[..25] {
        story.simulated.change(id, json!({"work.department": null, "work.title": "X"})).await;
    }
    story.people().delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    story.integrate(hooked(json!({"provisioning": {"emailDomains": []}}))).await;
    story.sync().await;
    let after = story.simulated.account(&people[0]).await.unwrap();
    assert_eq!((&after["department"], &after["title"]), (&before["department"], &before["title"]));
}

// (a), (d): another tenant

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn account_ids_of_one_tenant_are_nothing_in_another() {
    let (story, people, controller) = begin("tenants", 6, hooked(json!({}))).await;
    let other = Simulated::start(0).await;
    let highest = story.simulated.accounts().await.iter().filter_map(|account| account["id"].as_u64()).max().unwrap();
    for number in 0..40 {
        let email = format!("stranger.{number}@other.example");
        let account = json!({"email": email, "username": email, "firstname": "A", "lastname": "Stranger", "status": 1});
        other.post("/onelogin/users", account).await;
    }
    let before = other.accounts().await;
    let ids: Vec<u64> = before.iter().filter_map(|account| account["id"].as_u64()).collect();
    assert!(ids.contains(&highest), "the same numbers in both");
    assert!(controller.stop().await);
    let controller = Controller::with(&story, &["--leader-elect=false", "--allow-endpoint", &other.one_login]).await;
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

// (c) revocations

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_activation_from_before_the_revocation_does_not_end_it() {
    let (story, people, controller) = begin("old-news", 6, hooked(json!({}))).await;
    let id = &people[0];
    let now = Timestamp::now();
    assert_eq!(deliver(&controller, "employee.access.revoked.immediately", id, now).await, Some(200));
    until_status(&story, id, 2).await;
    assert_eq!(deliver(&controller, "employee.activated", id, now - 2.hours()).await, Some(200));
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    assert_eq!(status(&story, id).await, 2, "Bob repeats for days: this one is older than the revocation");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_that_was_ended_is_not_taken_up_again_when_bob_repeats_it() {
    let (story, people, controller) = begin("repeated", 6, hooked(json!({}))).await;
    let id = &people[0];
    let now = Timestamp::now();
    assert_eq!(deliver(&controller, "employee.access.revoked.immediately", id, now - 2.hours()).await, Some(200));
    until_status(&story, id, 2).await;
    story.sync().await;
    assert_eq!(deliver(&controller, "employee.activated", id, now - 1.hours()).await, Some(200));
    story.sync().await;
    until_status(&story, id, 1).await;
    let controller = again(&story, controller).await;
    story.sync().await;
    assert_eq!(deliver(&controller, "employee.access.revoked.immediately", id, now - 2.hours()).await, Some(200));
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    assert_eq!(status(&story, id).await, 1, "Bob activated the person after that");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_activation_right_after_a_revocation_gives_access_back_without_the_interval() {
    let (story, people, controller) = begin("right-after", 6, hooked(json!({}))).await;
    let id = &people[0];
    let now = Timestamp::now();
    assert_eq!(deliver(&controller, "employee.access.revoked.immediately", id, now - 2.minutes()).await, Some(200));
    until_status(&story, id, 2).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(deliver(&controller, "employee.activated", id, now).await, Some(200));
    until_status(&story, id, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_activation_that_comes_while_the_suspension_is_being_recorded_is_not_lost() {
    let (story, people, controller) = begin("at-once", 6, hooked(json!({}))).await;
    let id = &people[0];
    let now = Timestamp::now();
    assert_eq!(deliver(&controller, "employee.access.revoked.immediately", id, now - 2.minutes()).await, Some(200));
    until_status(&story, id, 2).await;
    assert_eq!(deliver(&controller, "employee.activated", id, now).await, Some(200));
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    assert_eq!(status(&story, id).await, 1, "Bob reported the person activated, and was told 200");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_outlives_its_object_while_the_person_is_hands_off() {
    let (story, people, controller) = begin("off-revoked", 6, hooked(json!({}))).await;
    let id = &people[0];
    pin(&story, id, json!({"suspend": true})).await;
    seen(&story, id).await;
    assert_eq!(deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await, Some(200));
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    assert_eq!(status(&story, id).await, 1);
    assert!(controller.stop().await);
    forget(&story, id).await;
    let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.sync().await;
    story.sync().await;
    assert_eq!(status(&story, id).await, 2, "the pin is gone, and the revocation holds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_outlives_its_object_in_a_dry_run() {
    let (story, people, controller) = begin("dry-revoked", 6, hooked(json!({}))).await;
    let id = &people[0];
    story.integrate(hooked(json!({"mode": "DryRun"}))).await;
    story.ready("DryRun").await;
    assert_eq!(deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await, Some(200));
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    assert!(controller.stop().await);
    forget(&story, id).await;
    let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.integrate(hooked(json!({"mode": "Enforce"}))).await;
    story.sync().await;
    assert_eq!(status(&story, id).await, 2, "the revocation holds");
}

async fn paused(story: &Story, to: bool) {
    let patch = Patch::Merge(json!({"spec": {"suspend": to}}));
    story.integrations().patch("onelogin", &PatchParams::default(), &patch).await.unwrap();
    if to {
        story.ready("Suspended").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_that_comes_while_the_integration_is_suspended_outlives_its_object() {
    let (story, people, controller) = begin("susp-revoked", 6, hooked(json!({}))).await;
    paused(&story, true).await;
    assert_eq!(deliver(&controller, "employee.access.revoked.immediately", &people[0], Timestamp::now()).await, Some(200));
    tokio::time::sleep(QUIET).await;
    forget(&story, &people[0]).await;
    let _controller = again(&story, controller).await;
    paused(&story, false).await;
    story.sync().await;
    story.sync().await;
    assert_eq!(status(&story, &people[0]).await, 2, "200 means it is on record");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_of_somebody_without_an_object_is_kept() {
    let (story, people, controller) = begin("susp-gone", 6, hooked(json!({}))).await;
    paused(&story, true).await;
    forget(&story, &people[1]).await;
    tokio::time::sleep(QUIET).await;
    assert_eq!(deliver(&controller, "employee.access.revoked.immediately", &people[1], Timestamp::now()).await, Some(200));
    let _controller = again(&story, controller).await;
    paused(&story, false).await;
    story.sync().await;
    story.sync().await;
    assert_eq!(status(&story, &people[1]).await, 2, "200 means it is on record");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_outlives_its_object_while_the_domain_is_not_listed() {
    let (story, people, controller) = begin("dom-revoked", 6, hooked(json!({}))).await;
    let id = &people[0];
    assert_eq!(deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await, Some(200));
    until_status(&story, id, 2).await;
    story.sync().await;
    story.integrate(hooked(json!({"provisioning": {"emailDomains": ["elsewhere.example"]}}))).await;
    story.ready("Converged").await;
    let controller = again(&story, controller).await;
    forget(&story, id).await;
    tokio::time::sleep(QUIET).await;
    let _controller = again(&story, controller).await;
    story.integrate(hooked(json!({"provisioning": {"emailDomains": []}}))).await;
    story.sync().await;
    story.sync().await;
    assert_eq!(status(&story, id).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_outlives_its_object_after_bob_showed_the_person_as_terminated_for_a_while() {
    let (story, people, controller) = begin("term-revoked", 6, hooked(json!({}))).await;
    let id = &people[0];
    assert_eq!(deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await, Some(200));
    until_status(&story, id, 2).await;
    leave(&story, &people[..1]).await;
    story.sync().await;
    assert!(controller.stop().await);
    forget(&story, id).await;
    story.simulated.change(id, back()).await;
    let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.sync().await;
    story.sync().await;
    assert_eq!(status(&story, id).await, 2, "no activation was reported, and no later start");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_holds_where_a_pin_or_a_killed_process_stands_between() {
    let (story, people, controller) = begin("pin-revoked", 6, hooked(json!({}))).await;
    pin(&story, &people[0], json!({"userStatus": "AlwaysActive"})).await;
    seen(&story, &people[0]).await;
    for id in &people[..2] {
        assert_eq!(deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await, Some(200));
    }
    controller.kill();
    let controller = Controller::with(&story, &["--leader-elect=false"]).await;
    until_status(&story, &people[0], 2).await;
    until_status(&story, &people[1], 2).await;
    story.sync().await;
    story.people().delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    let _controller = again(&story, controller).await;
    story.sync().await;
    assert_eq!((status(&story, &people[0]).await, status(&story, &people[1]).await), (json!(2), json!(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocations_beyond_the_budget_outlive_their_objects() {
    let (story, people, controller) = begin("many-revoked", 30, hooked(json!({}))).await;
    for id in &people[..8] {
        assert_eq!(deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await, Some(200));
    }
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    let count = suspended(&story, &people).await;
    assert!(count <= 5, "{count}");
    assert!(controller.stop().await);
    for id in &people[..8] {
        forget(&story, id).await;
    }
    let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.sync().await;
    until("all eight", || async {
        story.sync().await;
        let status = story.integration().await.status.unwrap();
        if let Some(plan) = status.plan {
            let patch = Patch::Merge(json!({"spec": {"approvedPlan": plan.digest}}));
            story.integrations().patch("onelogin", &PatchParams::default(), &patch).await.unwrap();
        }
        let count = suspended(&story, &people).await;
        if count == 8 { Ok(()) } else { Err(count.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_survives_the_disabling_trigger_that_goes_and_comes_back() {
    let (story, people, controller) = begin("trigger", 6, hooked(json!({}))).await;
    let id = &people[0];
    assert_eq!(deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await, Some(200));
    until_status(&story, id, 2).await;
    story.integrate(hooked(json!({"provisioning": {"disablingTrigger": false}}))).await;
    story.sync().await;
    assert!(controller.stop().await);
    forget(&story, id).await;
    let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.sync().await;
    story.integrate(hooked(json!({"provisioning": {"disablingTrigger": true}}))).await;
    story.sync().await;
    story.sync().await;
    assert_eq!(status(&story, id).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_date_that_is_emptied_or_hidden_and_comes_back_ends_no_revocation() {
    let (story, people, controller) = begin("emptied", 6, hooked(json!({}))).await;
    let id = &people[0];
    story.simulated.change(id, json!({"work.startDate": null})).await;
    story.sync().await;
    assert_eq!(deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await, Some(200));
    until_status(&story, id, 2).await;
    story.sync().await;
    story.simulated.change(id, json!({"work.startDate": "2022-03-01"})).await;
    story.sync().await;
    story.sync().await;
    assert_eq!(status(&story, id).await, 2, "the same employment: its date was missing for a while");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_holds_for_somebody_who_waits_for_a_change() {
    let story = Story::begin("waits", 2).await;
    story.secret("hook", &[("webhookSecret", SECRET)]).await;
    let people = staff(&story, 3).await;
    for (number, id) in people.iter().enumerate() {
        story.simulated.change(id, json!({"root.creationDate": "2022-02-01"})).await;
        let email = format!("robin.{number}@example.com");
        let account = json!({"email": email, "username": email, "firstname": "Old", "lastname": "Name", "status": 1});
        story.simulated.post("/onelogin/users", account).await;
    }
    let controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.integrate(hooked(json!({"provisioning": {"existingEmployees": "OnChange"}}))).await;
    story.ready("Converged").await;
    assert_eq!(deliver(&controller, "employee.access.revoked.immediately", &people[0], Timestamp::now()).await, Some(200));
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    assert_eq!(status(&story, &people[0]).await, 2, "access is taken at once");
}

// (e) drift

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_that_is_reported_is_not_undone_by_a_change_beside_it() {
    let (story, people, controller) = begin("drift", 8, hooked(json!({"safety": {"driftPolicy": "Report"}}))).await;
    story.sync().await;
    let mut at = Vec::new();
    for id in &people {
        at.push(format!("/onelogin/users/{}", story.simulated.account(id).await.unwrap()["id"]));
    }
    for at in &at[..6] {
        story.simulated.patch(at, json!({"title": "Wizard"})).await;
    }
    // Another attribute, a pin of another, an annotation, a deleted object, a held kind, a rehire.
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

// Two objects for one person.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_object_for_a_person_changes_nothing() {
    let (story, people, _controller) = begin("second", 4, hooked(json!({}))).await;
    let before = story.simulated.account(&people[0]).await.unwrap();
    let object = json!({
        "apiVersion": "bobsync.dev/v1alpha1", "kind": "EmployeeSync",
        "metadata": {"name": "mine", "labels": {"bobsync.dev/integration": "onelogin"}},
        "spec": {"integrationRef": {"name": "onelogin"}, "employeeId": people[0], "attributes": {"title": "Boss"}},
    });
    let made = story.people().create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await;
    if made.is_ok() {
        tokio::time::sleep(QUIET).await;
        story.sync().await;
        let now = story.simulated.account(&people[0]).await.unwrap()["title"].clone();
        story.people().delete("mine", &DeleteParams::default()).await.unwrap();
        tokio::time::sleep(QUIET).await;
        story.sync().await;
        assert_eq!(story.simulated.account(&people[0]).await.unwrap()["title"], before["title"], "{now}");
    }
}

// (f), (g), (h)

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
    story.people().delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
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
    until("the people went with it", || async { if story.everybody().await.is_empty() { Ok(()) } else { Err("still there".to_owned()) } })
        .await;
    story.integrate(hooked(json!({}))).await;
    story.ready("PlanHeld").await;
    story.sync().await;
    let off = story.simulated.accounts().await.iter().filter(|account| account["status"] == 2).count();
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
    let spec = |more: Value| hooked(json!({"provisioning": {"existingEmployees": "OnChange"}, "safety": more}));
    story.integrate(spec(json!({}))).await;
    story.ready("Converged").await;
    let names = async || story.simulated.accounts().await.iter().filter(|account| account["firstname"] == "Old").count();
    assert_eq!(names().await, 6);
    for id in &people[..2] {
        deliver(&controller, "employee.updated", id, Timestamp::now()).await;
        annotate(&story, id, "one").await;
    }
    pin(&story, &people[2], json!({"userStatus": "AccordingToBob"})).await;
    tokio::time::sleep(QUIET).await;
    assert_eq!(names().await, 6, "asked for, and unchanged");
    for round in 0..2 {
        story.people().delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
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
    story.simulated.put("/bob/quirks", json!({"lifecycleCasing": "title", "humanDates": "iso", "reportsTo": "string"})).await;
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
    let glass: Vec<Value> = glass.as_array().unwrap().iter().filter(|one| *one != " ").cloned().collect();
    story.integrate(hooked(json!({"safety": {"protectedAccounts": glass}}))).await;
    story.ready("Converged").await;
    let mut before = Vec::new();
    for at in &at[..3] {
        before.push(story.simulated.get(at).await);
    }
    story.simulated.change(&people[0], json!({"root.email": "new.name@example.com", "work.title": "X"})).await;
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
    assert_eq!(story.simulated.accounts().await.iter().filter(|account| account["email"] == "new.name@example.com").count(), 0);
    drop(controller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_held_leavers_whose_objects_are_deleted_one_after_the_other_keep_access() {
    let (story, people, controller) = held_leavers("held-three").await;
    let controller = again(&story, controller).await;
    story.sync().await;
    for id in &people {
        forget(&story, id).await;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        if id == &people[7] {
            break;
        }
    }
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 0);
    drop(controller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_that_arrives_after_a_later_activation_takes_no_access() {
    let (story, people, controller) = begin("order", 6, hooked(json!({}))).await;
    let id = &people[0];
    let now = Timestamp::now();
    assert_eq!(deliver(&controller, "employee.activated", id, now).await, Some(200));
    assert_eq!(deliver(&controller, "employee.access.revoked.immediately", id, now - 10.minutes()).await, Some(200));
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    assert_eq!(status(&story, id).await, 1, "the first delivery was answered 503; Bob activated the person since");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_creations_stay_held_for_whoever_is_asked_for() {
    let safety = json!({"safety": {"creates": {"max": "0%", "atLeast": 3, "per": "24h"}}});
    let (story, _, controller) = begin("held-creates", 4, hooked(safety)).await;
    let mut new = Vec::new();
    for number in 0..8 {
        let hire = json!({"root.email": format!("many.{number}@example.com"), "work.startDate": "2022-03-01", "internal.lifecycleStatus": "Employed", "internal.status": "Active"});
        new.push(story.simulated.hire(hire).await);
    }
    story.sync().await;
    story.ready("PlanHeld").await;
    for id in &new[..2] {
        deliver(&controller, "employee.updated", id, Timestamp::now()).await;
        annotate(&story, id, "one").await;
        answered(&story, id, "one").await;
    }
    let mut made = 0;
    for id in &new {
        made += usize::from(story.simulated.account(id).await.is_some());
    }
    assert_eq!(made, 0, "held as a whole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approved_plan_whose_objects_are_deleted_waits_for_another_approval() {
    for running in [true, false] {
        let (story, people, controller) = approved_and_stuck("part-gone").await;
        if running {
            story.people().delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
            tokio::time::sleep(QUIET).await;
        }
        assert!(controller.stop().await);
        if !running {
            story.people().delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
        }
        mended(&story).await;
        let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
        story.sync().await;
        if !running {
            assert_eq!(suspended(&story, &people).await, 0);
            story.ready("PlanHeld").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_answer_does_not_forget_a_revocation() {
    let (story, people, controller) = begin("short-revoked", 40, hooked(json!({}))).await;
    let id = people.last().unwrap();
    assert_eq!(deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await, Some(200));
    until_status(&story, id, 2).await;
    story.sync().await;
    story.simulated.put("/bob/serve", json!({"first": 12})).await;
    story.sync_ends_in("SourceSuspect").await;
    let kept = story.integration().await.status.unwrap().revoked.len();
    assert!(controller.stop().await);
    forget(&story, id).await;
    story.simulated.put("/bob/serve", json!({"first": null})).await;
    let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.sync().await;
    story.sync().await;
    assert_eq!((status(&story, id).await, kept), (json!(2), 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_outlives_an_old_backup_of_its_object() {
    let (story, people, controller) = begin("backup-revoked", 6, hooked(json!({}))).await;
    let id = &people[0];
    let old = story.person(id).await.unwrap();
    assert_eq!(deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await, Some(200));
    until_status(&story, id, 2).await;
    story.sync().await;
    assert_eq!(story.integration().await.status.unwrap().revoked.len(), 1);
    assert!(controller.stop().await);
    forget(&story, id).await;
    let mut object = old.clone();
    object.metadata.resource_version = None;
    object.metadata.uid = None;
    story.people().create(&PostParams::default(), &object).await.unwrap();
    let status_before = Patch::Merge(json!({"status": old.status}));
    story.people().patch_status(&format!("onelogin-{id}"), &PatchParams::default(), &status_before).await.unwrap();
    let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.sync().await;
    story.sync().await;
    assert_eq!(status(&story, id).await, 2, "the integration's status remembers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_outlives_a_deletion_that_was_none() {
    let (story, people, controller) = begin("both", 6, hooked(json!({}))).await;
    let id = &people[0];
    let now = Timestamp::now();
    assert_eq!(deliver(&controller, "employee.access.revoked.immediately", id, now - 2.minutes()).await, Some(200));
    until_status(&story, id, 2).await;
    story.sync().await;
    assert_eq!(deliver(&controller, "employee.deleted", id, now - 2.minutes()).await, Some(200));
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    assert_eq!(status(&story, id).await, 2, "Bob shows the file, and has not activated anybody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blackout_cannot_be_walked_through_over_a_restart() {
    let (story, people, controller, before) = frozen("frozen-restart").await;
    for id in &people[..10] {
        annotate(&story, id, "one").await;
        answered(&story, id, "one").await;
    }
    let controller = again(&story, controller).await;
    story.sync().await;
    let now = departments(&story, &people[..20]).await;
    let gone = now.iter().filter(|department| **department != before).count();
    assert_eq!(gone, 0, "of 20 blanked, and nobody approved");
    drop(controller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_is_moved_into_the_past_for_many_is_a_reactivation() {
    let (story, people, _controller) = begin("moved-start", 40, hooked(json!({}))).await;
    for id in &people[..15] {
        story
            .simulated
            .change(id, json!({"work.startDate": "2027-03-01", "internal.lifecycleStatus": "Hired", "internal.status": "Inactive"}))
            .await;
    }
    story.sync().await;
    approve(&story).await;
    story.ready("Converged").await;
    assert_eq!(suspended(&story, &people).await, 15);
    for id in &people[..15] {
        story.simulated.change(id, json!({"work.startDate": "2026-11-02"})).await;
    }
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 15, "nobody's day has come: a date was changed for fifteen");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_outlives_its_object_that_went_while_the_domain_was_not_listed() {
    let (story, people, controller) = begin("dom-stopped", 6, hooked(json!({}))).await;
    let id = &people[0];
    assert_eq!(deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await, Some(200));
    until_status(&story, id, 2).await;
    story.sync().await;
    story.integrate(hooked(json!({"provisioning": {"emailDomains": ["elsewhere.example"]}}))).await;
    story.ready("Converged").await;
    assert!(controller.stop().await);
    forget(&story, id).await;
    let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.integrate(hooked(json!({"provisioning": {"emailDomains": []}}))).await;
    story.sync().await;
    story.sync().await;
    assert_eq!(status(&story, id).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_activation_ends_a_revocation_whose_object_is_gone() {
    let (story, people, controller) = begin("act-gone", 6, hooked(json!({}))).await;
    let id = &people[0];
    assert_eq!(deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await, Some(200));
    until_status(&story, id, 2).await;
    story.sync().await;
    paused(&story, true).await;
    forget(&story, id).await;
    tokio::time::sleep(QUIET).await;
    let answer = deliver(&controller, "employee.activated", id, Timestamp::now()).await;
    paused(&story, false).await;
    story.sync().await;
    story.sync().await;
    assert!(answer != Some(200) || status(&story, id).await == 1, "Bob was told 200 and tells no more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_activation_before_the_first_pass_ends_a_revocation_that_only_the_integration_knows() {
    let (story, people, controller) = begin("act-early", 6, hooked(json!({}))).await;
    let id = &people[0];
    assert_eq!(deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await, Some(200));
    until_status(&story, id, 2).await;
    story.sync().await;
    assert!(controller.stop().await);
    forget(&story, id).await;
    story.simulated.post("/bob/faults", json!({"kind": "status", "status": 500})).await;
    let controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.ready("BobUnavailable").await;
    let answer = deliver(&controller, "employee.activated", id, Timestamp::now()).await;
    story.simulated.delete("/bob/faults").await;
    story.sync().await;
    story.sync().await;
    assert!(answer != Some(200) || status(&story, id).await == 1, "{answer:?}: Bob was told 200 and tells no more");
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
    assert!(story.people().create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.is_err());
    let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.sync().await;
    story.sync().await;
    assert_eq!(story.simulated.accounts().await, before);
    leave(&story, &people[1..2]).await;
    story.sync().await;
    assert_eq!((status(&story, &people[1]).await, status(&story, &people[2]).await), (json!(2), json!(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_set_at_creation_only_is_not_set_again_after_deletes() {
    let mapping = json!([{"target": "email", "field": "root.email"}, {"target": "username", "field": "root.email"},
        {"target": "title", "field": "work.title", "apply": "OnCreate"}]);
    let spec = hooked(json!({"mapping": mapping, "provisioning": {"userStatus": "AlwaysInactive"}}));
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_leavers_beside_an_approved_plan_that_goes_on_have_their_own_budget() {
    let (story, people, controller) = approved_and_stuck("beside-goes-on").await;
    let slow = json!({"kind": "delay", "method": "PUT", "pathPrefix": "/api/2/users", "delayMs": 700});
    mended(&story).await;
    story.simulated.post("/onelogin/faults", slow).await;
    story.ask().await;
    for id in &people[8..15] {
        leave(&story, std::slice::from_ref(id)).await;
        deliver(&controller, "employee.left", id, Timestamp::now()).await;
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    }
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    let count = suspended(&story, &people[8..]).await;
    assert!(count <= 5, "{count}");
    assert_eq!(suspended(&story, &people[..8]).await, 8);
    let controller = again(&story, controller).await;
    story.sync().await;
    let count = suspended(&story, &people[8..]).await;
    assert!(count <= 5, "{count}");
    drop(controller);
}
