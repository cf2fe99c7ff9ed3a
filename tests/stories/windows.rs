//! What a window must not forget, and what an approval or a first pass must not release.

use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::{
    budgets::{held, leave, staff, suspended},
    providers::GOOGLE,
    support::{Controller, Story, condition, ready, until},
};

async fn old_accounts(story: &Story, count: usize) {
    for number in 0..count {
        let email = format!("robin.{number}@example.com");
        let account = json!({"email": email, "username": email, "firstname": "Old", "lastname": "Name", "status": 1});
        story.simulated.post("/onelogin/users", account).await;
    }
}

async fn said(story: &Story) -> String {
    let status = story.integration().await.status.unwrap_or_default();
    bobsync::api::conditions::find(&status.conditions, "Ready")
        .map(|ready| ready.reason.clone())
        .unwrap_or_default()
}

async fn change(story: &Story, people: &[String], value: &str) {
    for (number, id) in people.iter().enumerate() {
        let field = if number % 2 == 0 { "work.title" } else { "work.department" };
        story.simulated.change(id, json!({field: value})).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_out_beside_an_approved_plan_counts_and_is_not_called_approved() {
    let story = Story::begin("beside", 2).await;
    let people = staff(&story, 60).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    leave(&story, &people[..8]).await;
    story.sync().await;
    let (digest, ..) = held(&story.ready("PlanHeld").await);
    change(&story, &people[20..38], "Aye").await;
    story.integrate(json!({"approvedPlan": digest})).await;
    story.ready("Converged").await;
    let history = async |id: &str| story.person(id).await.unwrap().status.unwrap().history;
    assert_eq!(history(&people[0]).await[0].plan.as_deref(), Some(digest.as_str()));
    assert_eq!(history(&people[20]).await[0].plan, None, "nobody looked at this one");
    change(&story, &people[40..58], "Bee").await;
    story.sync().await;
    assert_eq!(said(&story).await, "PlanHeld", "18 and 18 are more than 20");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leavers_beside_an_approved_blackout_count() {
    let story = Story::begin("beside-blackout", 2).await;
    let people = staff(&story, 60).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    for id in &people[20..38] {
        story.simulated.change(id, json!({"work.department": "Aye"})).await;
    }
    story.sync().await;
    let (digest, reason, _) = held(&story.ready("PlanHeld").await);
    assert_eq!(reason, "FieldBlackout");
    leave(&story, &people[..5]).await;
    story.integrate(json!({"approvedPlan": digest})).await;
    story.ready("Converged").await;
    assert_eq!(suspended(&story, &people).await, 5);
    leave(&story, &people[5..10]).await;
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 5, "five a day");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_window_outlives_deleted_objects_and_long_histories() {
    let story = Story::begin("window", 2).await;
    let people = staff(&story, 30).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    leave(&story, &people[..3]).await;
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 3);
    for id in &people[..3] {
        story.people().delete(&format!("onelogin-{id}"), &DeleteParams::default()).await.unwrap();
        until("the object is back", || async {
            match story.person(id).await.filter(|person| person.status.is_some()) {
                Some(person) if ready(&person).1 == "InSync" => Ok(()),
                other => Err(format!("{:?}", other.map(|person| person.status))),
            }
        })
        .await;
    }
    leave(&story, &people[3..6]).await;
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 3, "three and three are more than five");
    leave(&story, &people[3..5]).await;
    story
        .simulated
        .change(
            &people[5],
            json!({"internal.lifecycleStatus": "Employed", "internal.status": "Active"}),
        )
        .await;
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 5);
    // Two of them are changed more often than a history is long, and another process counts.
    for number in 0..11 {
        for id in &people[3..5] {
            story.simulated.change(id, json!({"work.title": format!("T{number}")})).await;
        }
        story.sync().await;
    }
    let status = story.person(&people[3]).await.unwrap().status.unwrap();
    assert_eq!(status.history.len(), 10);
    assert!(
        status.counted.is_some_and(|counted| counted.disabled_at.is_some()),
        "the suspension made room, and still counts"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_history_does_not_forget_the_window_over_a_restart() {
    let story = Story::begin("window-restart", 2).await;
    let people = staff(&story, 30).await;
    let controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    leave(&story, &people[..5]).await;
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 5);
    for number in 0..11 {
        for id in &people[..5] {
            story.simulated.change(id, json!({"work.title": format!("T{number}")})).await;
        }
        story.sync().await;
    }
    assert!(controller.stop().await);
    let _controller = Controller::start(&story).await;
    leave(&story, &people[5..10]).await;
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 5, "within the same day");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_pass_that_writes_has_no_limit_also_after_a_dry_run_and_when_it_is_interrupted() {
    let story = Story::begin("first-pass", 2).await;
    let people = staff(&story, 50).await;
    old_accounts(&story, 50).await;
    let slow: Value =
        json!({"kind": "delay", "method": "PUT", "pathPrefix": "/api/2/users", "delayMs": 400});
    story.simulated.post("/onelogin/faults", slow).await;
    let controller = Controller::start(&story).await;
    story.integrate(json!({"mode": "DryRun"})).await;
    story.ready("DryRun").await;
    story.integrate(json!({"mode": "Enforce"})).await;
    until("some are written", || async {
        let count = story.simulated.writes().await;
        if count > 10 { Ok(()) } else { Err(count.to_string()) }
    })
    .await;
    assert!(controller.stop().await);
    story.simulated.delete("/onelogin/faults").await;
    let _controller = Controller::start(&story).await;
    story.sync().await;
    let integration = story.ready("Converged").await;
    assert!(integration.status.unwrap().first_pass_at.is_some());
    for id in &people {
        assert_eq!(story.reason(id).await, "InSync");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_protected_gets_no_account_and_nonsense_is_refused() {
    let story = Story::begin("protected-new", 2).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"safety": {"protectedAccounts": ["glass@example.com"]}})).await;
    story.ready("Converged").await;
    let id = story
        .simulated
        .hire(json!({"root.email": "Glass@example.com", "work.startDate": "2022-03-01"}))
        .await;
    story.sync().await;
    assert!(story.simulated.account(&id).await.is_none());
    let person = story.person(&id).await.unwrap();
    assert_eq!(ready(&person).1, "HandsOff");
    assert!(condition(&person, "Ready").unwrap().2.contains("protectedAccounts"));
    for bad in [
        json!({"protectedAccounts": ["*@example.com"]}),
        json!({"protectedAccounts": ["a@example.com, b@example.com"]}),
        json!({"creates": {}}),
        json!({"creates": {"per": "48h"}}),
    ] {
        let patch = kube::api::Patch::Merge(json!({"spec": {"safety": bad}}));
        let refused = story
            .integrations()
            .patch("onelogin", &kube::api::PatchParams::default(), &patch)
            .await;
        assert!(refused.is_err(), "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_administrator_as_whom_bobsync_acts_is_protected() {
    let story = Story::begin("google-admin", 2).await;
    let provider = GOOGLE.prepare(&story).await;
    let hire = json!({"root.email": "admin@example.com", "work.startDate": "2022-03-01", "internal.lifecycleStatus": "Employed", "internal.status": "Active"});
    let boss = story.simulated.hire(hire).await;
    let account = json!({"primaryEmail": "admin@example.com", "name": {"givenName": "Ad", "familyName": "Min"}, "password": "Welcome-24-7"});
    story.simulated.post("/google/users", account).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"provider": provider})).await;
    story.ready("Converged").await;
    leave(&story, std::slice::from_ref(&boss)).await;
    story.sync().await;
    let account = GOOGLE.account(&story, "admin@example.com").await.expect("an account");
    assert_eq!(account["suspended"], false);
    assert_eq!(story.reason(&boss).await, "SuspendByHand");
}
