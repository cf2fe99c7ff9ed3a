//! What is kept after a resource is deleted, a process ends, or a setting is removed and set again.

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::{
    budgets::{held, leave, staff, suspended},
    support::{Controller, Story, ready, until},
};

const ACTIVE: i64 = 1;
const SUSPENDED: i64 = 2;

async fn revoke(story: &Story, id: &str) {
    let employee = story
        .simulated
        .employees()
        .await
        .into_iter()
        .find(|employee| employee["root.id"] == id)
        .expect("somebody");
    let evidence = json!({"kind": "AccessRevoked", "observedAt": "2026-11-20T10:00:00Z", "startDate": employee["work.startDate"]});
    let status = Patch::Merge(json!({"status": {"evidence": evidence}}));
    story
        .people()
        .patch_status(&format!("onelogin-{id}"), &PatchParams::default(), &status)
        .await
        .expect("written");
    until("access is gone", || async { access_is(story, id, SUSPENDED).await }).await;
    until("the integration remembers", || async {
        let revoked = story.integration().await.status.unwrap_or_default().revoked;
        if revoked.iter().any(|one| one.employee_id == id) {
            Ok(())
        } else {
            Err(format!("{revoked:?}"))
        }
    })
    .await;
}

async fn access_is(story: &Story, id: &str, status: i64) -> Result<(), String> {
    let account = story.simulated.account(id).await.unwrap_or_default();
    if account["status"] == status { Ok(()) } else { Err(account["status"].to_string()) }
}

async fn forget(story: &Story, id: &str) {
    story
        .people()
        .delete(&format!("onelogin-{id}"), &DeleteParams::default())
        .await
        .expect("deleted");
}

/// Deletes the integration, and the EmployeeSyncs with it.
async fn integration_goes(story: &Story) {
    story.integrations().delete("onelogin", &DeleteParams::default()).await.unwrap();
    let gone = || async {
        if story.everybody().await.is_empty() { Ok(()) } else { Err("still there".to_owned()) }
    };
    until("the people went with it", gone).await;
}

async fn came_back(story: &Story, id: &str) {
    until("the EmployeeSync is back", || async {
        let person = story.person(id).await.ok_or("not there")?;
        if person.status.is_some() { Ok(()) } else { Err("no status yet".to_owned()) }
    })
    .await;
    story.sync().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_outlives_its_employee_sync_whether_or_not_the_controller_runs_until_bob_ends_it()
 {
    let (story, controller) = Story::converged("revoked", 5, json!({})).await;
    let (id, employee) = story.simulated.somebody().await;
    revoke(&story, &id).await;
    forget(&story, &id).await;
    came_back(&story, &id).await;
    access_is(&story, &id, SUSPENDED).await.expect("the process remembers");

    assert!(controller.stop().await);
    forget(&story, &id).await;
    let _controller = Controller::start(&story).await;
    came_back(&story, &id).await;
    access_is(&story, &id, SUSPENDED).await.expect("the integration's status remembers");

    // Another employment ends the revocation, and the memory of it.
    assert!(employee["work.startDate"].as_str().is_some_and(|start| start < "2026-11-01"));
    story.simulated.change(&id, json!({"work.startDate": "2026-11-02"})).await;
    story.sync().await;
    access_is(&story, &id, ACTIVE).await.expect("another employment");
    assert_eq!(story.integration().await.status.unwrap().revoked, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_outlives_an_integration_that_is_applied_again_while_the_controller_runs() {
    let (story, _controller) = Story::converged("revoked-again", 5, json!({})).await;
    let (id, _) = story.simulated.somebody().await;
    revoke(&story, &id).await;
    integration_goes(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    access_is(&story, &id, SUSPENDED).await.expect("still revoked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_digest_left_in_git_releases_once_even_after_the_integration_was_deleted() {
    let story = Story::begin("git", 2).await;
    let people = staff(&story, 30).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    leave(&story, &people[..8]).await;
    story.sync().await;
    let (digest, ..) = held(&story.ready("PlanHeld").await);
    story.integrate(json!({"approvedPlan": digest})).await;
    story.ready("Converged").await;
    assert_eq!(suspended(&story, &people).await, 8);
    for id in &people[..8] {
        story
            .simulated
            .change(
                id,
                json!({"internal.lifecycleStatus": "Employed", "internal.status": "Active"}),
            )
            .await;
    }
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 0);
    integration_goes(&story).await;
    story.integrate(json!({"approvedPlan": digest})).await;
    story.ready("Converged").await;
    leave(&story, &people[..8]).await;
    story.sync().await;
    let (another, ..) = held(&story.ready("PlanHeld").await);
    assert_ne!(another, digest);
    assert_eq!(suspended(&story, &people).await, 0, "approved once, months ago");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_plan_and_a_blackout_hold_when_the_integration_is_applied_again() {
    let story = Story::begin("held-again", 2).await;
    let people = staff(&story, 60).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    let before = story.simulated.account(&people[3]).await.unwrap();
    for id in &people[..25] {
        story
            .simulated
            .change(id, json!({"work.department": null, "work.title": format!("Keeper {id}")}))
            .await;
    }
    story.sync().await;
    story.ready("PlanHeld").await;
    integration_goes(&story).await;
    story.integrate(json!({})).await;
    let integration = story.ready("PlanHeld").await;
    assert!(
        held(&integration)
            .2
            .contains("department (from work.department) would change for 25 employees")
    );
    let after = story.simulated.account(&people[3]).await.unwrap();
    assert_eq!((&after["department"], &after["title"]), (&before["department"], &before["title"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approved_plan_that_is_interrupted_goes_on_and_nothing_else_comes_with_it() {
    let story = Story::begin("interrupted", 2).await;
    let people = staff(&story, 60).await;
    // Without an election: otherwise the Lease of the killed process would have to run out first.
    let controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    leave(&story, &people[..40]).await;
    story.sync().await;
    let (digest, ..) = held(&story.ready("PlanHeld").await);
    let slow =
        json!({"kind": "delay", "method": "PUT", "pathPrefix": "/api/2/users", "delayMs": 700});
    story.simulated.post("/onelogin/faults", slow).await;
    story.integrate(json!({"approvedPlan": digest})).await;
    until("some are suspended", || async {
        let count = suspended(&story, &people).await;
        if count > 2 { Ok(()) } else { Err(count.to_string()) }
    })
    .await;
    controller.kill();
    story.simulated.delete("/onelogin/faults").await;
    let count = suspended(&story, &people).await;
    assert!(count < 40, "{count}: it was not interrupted");
    let approved = story
        .integration()
        .await
        .status
        .unwrap()
        .approved
        .expect("recorded before the first write");
    assert_eq!(approved.digest, digest);

    // Six more leave meanwhile: they wait for another approval, and the forty do not.
    leave(&story, &people[40..46]).await;
    let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.sync().await;
    let (another, _, message) = held(&story.ready("PlanHeld").await);
    assert!(another != digest && message.contains("6 suspensions planned"), "{message}");
    assert_eq!(
        (suspended(&story, &people[..40]).await, suspended(&story, &people[40..]).await),
        (40, 0)
    );
    let with = async |id: &str| story.person(id).await.unwrap().status.unwrap();
    assert_eq!(
        with(&people[39]).await.history[0].plan.as_deref(),
        Some(&*digest),
        "and it is said with whose approval"
    );
    assert!(
        with(&people[39]).await.held_part.is_none() && with(&people[40]).await.held_part.is_some()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approved_plan_whose_writes_fail_stays_approved() {
    let story = Story::begin("approved-fails", 2).await;
    let people = staff(&story, 30).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    leave(&story, &people[..12]).await;
    story.sync().await;
    let (digest, ..) = held(&story.ready("PlanHeld").await);
    let broken =
        json!({"kind": "status", "method": "PUT", "pathPrefix": "/api/2/users", "status": 503});
    story.simulated.post("/onelogin/faults", broken).await;
    story.integrate(json!({"approvedPlan": digest})).await;
    until("it was tried", || async {
        let reason = story.reason(&people[0]).await;
        if reason == "Retrying" { Ok(()) } else { Err(reason) }
    })
    .await;
    story.simulated.delete("/onelogin/faults").await;
    story.sync().await;
    story.ready("Converged").await;
    assert_eq!(suspended(&story, &people).await, 12);
}

/// Returns the title of the account at this path.
async fn title(story: &Story, at: &str) -> Value {
    story.simulated.get(at).await["title"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reported_drift_is_not_forgotten_while_a_setting_leaves_the_person_alone() {
    let story = Story::begin("drift", 2).await;
    let people = staff(&story, 6).await;
    let _controller = Controller::start(&story).await;
    let report = json!({"safety": {"driftPolicy": "Report"}});
    let with = |more: Value| {
        let mut spec = report.clone();
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    story.integrate(report.clone()).await;
    story.ready("Converged").await;
    story.sync().await;
    let mut at = Vec::new();
    for id in &people {
        at.push(format!("/onelogin/users/{}", story.simulated.account(id).await.unwrap()["id"]));
    }
    let rows = json!([{"target": "email", "field": "root.email"}, {"target": "username", "field": "root.email"}]);
    let aside: [(&str, Value); 3] = [
        ("the domain", with(json!({"provisioning": {"emailDomains": ["elsewhere.example"]}}))),
        ("the mapping row", with(json!({"mapping": rows}))),
        ("a dry run", with(json!({"mode": "DryRun"}))),
    ];
    for (number, (what, spec)) in aside.into_iter().enumerate() {
        story.simulated.patch(&at[number], json!({"title": "Wizard"})).await;
        story.sync().await;
        assert_eq!(story.reason(&people[number]).await, "Drifted");
        story.integrate(spec).await;
        story.sync().await;
        story.integrate(report.clone()).await;
        story.ready("Converged").await;
        assert_eq!(
            (title(&story, &at[number]).await, story.reason(&people[number]).await),
            (json!("Wizard"), "Drifted".into()),
            "{what}"
        );
    }
    // Hands off, and changed meanwhile.
    let hands_off = async |off: bool| {
        let name = format!("onelogin-{}", people[4]);
        story
            .people()
            .patch(&name, &PatchParams::default(), &Patch::Merge(json!({"spec": {"suspend": off}})))
            .await
            .unwrap();
        until("its spec was seen", || async {
            let person = story.person(&people[4]).await.unwrap();
            let seen = person.status.as_ref().and_then(|status| status.observed_generation);
            if seen == person.metadata.generation {
                Ok(())
            } else {
                Err(format!("{:?}", ready(&person)))
            }
        })
        .await;
    };
    hands_off(true).await;
    story.simulated.patch(&at[4], json!({"title": "Wizard"})).await;
    hands_off(false).await;
    assert_eq!(
        (title(&story, &at[4]).await, story.reason(&people[4]).await),
        (json!("Wizard"), "Drifted".into())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_employee_sync_ends_no_waiting_for_a_change() {
    let story = Story::begin("waiting", 2).await;
    let people = staff(&story, 4).await;
    for id in &people[..3] {
        story.simulated.change(id, json!({"root.creationDate": "2022-02-01"})).await;
    }
    let mut at = Vec::new();
    for number in 0..2 {
        let email = format!("robin.{number}@example.com");
        let account = json!({"email": email, "username": email, "firstname": "Old", "lastname": "Name", "status": ACTIVE});
        at.push(format!(
            "/onelogin/users/{}",
            story.simulated.post("/onelogin/users", account).await["id"]
        ));
    }
    let controller = Controller::start(&story).await;
    story.integrate(json!({"provisioning": {"existingEmployees": "OnChange"}})).await;
    story.ready("Converged").await;
    assert_eq!(story.reason(&people[0]).await, "AwaitingChange");
    forget(&story, &people[0]).await;
    came_back(&story, &people[0]).await;
    assert!(controller.stop().await);
    forget(&story, &people[1]).await;
    forget(&story, &people[2]).await;
    // An employee who comes to Bob later is new.
    let later = json!({"root.firstName": "Late", "root.surname": "Comer", "root.email": "late@example.com", "work.startDate": "2022-03-01"});
    let later = story.simulated.hire(later).await;
    let _controller = Controller::start(&story).await;
    for id in &people[1..3] {
        came_back(&story, id).await;
    }
    for id in &people[..3] {
        assert_eq!(story.reason(id).await, "AwaitingChange");
    }
    for at in &at {
        assert_eq!(story.simulated.get(at).await["firstname"], "Old");
    }
    assert!(
        story.simulated.account(&people[2]).await.is_none()
            && story.simulated.account(&later).await.is_some()
    );
}
