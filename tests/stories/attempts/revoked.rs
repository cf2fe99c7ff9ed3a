//! A revocation holds until Bob reports the employee activated again or a later start date, in any
//! order of other events.

use jiff::{Timestamp, ToSpan as _};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_activation_from_before_the_revocation_does_not_end_it() {
    let (story, people, controller) = begin("old-news", 6, hooked(json!({}))).await;
    let id = &people[0];
    let now = Timestamp::now();
    assert_eq!(
        deliver(&controller, "employee.access.revoked.immediately", id, now).await,
        Some(200)
    );
    until_status(&story, id, 2).await;
    assert_eq!(deliver(&controller, "employee.activated", id, now - 2.hours()).await, Some(200));
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    assert_eq!(
        status(&story, id).await,
        2,
        "Bob repeats for days: this one is older than the revocation"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_that_was_ended_is_not_taken_up_again_when_bob_repeats_it() {
    let (story, people, controller) = begin("repeated", 6, hooked(json!({}))).await;
    let id = &people[0];
    let now = Timestamp::now();
    assert_eq!(
        deliver(&controller, "employee.access.revoked.immediately", id, now - 2.hours()).await,
        Some(200)
    );
    until_status(&story, id, 2).await;
    story.sync().await;
    assert_eq!(deliver(&controller, "employee.activated", id, now - 1.hours()).await, Some(200));
    story.sync().await;
    until_status(&story, id, 1).await;
    let controller = again(&story, controller).await;
    story.sync().await;
    assert_eq!(
        deliver(&controller, "employee.access.revoked.immediately", id, now - 2.hours()).await,
        Some(200)
    );
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    assert_eq!(status(&story, id).await, 1, "Bob activated the person after that");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_activation_right_after_a_revocation_gives_access_back_without_the_interval() {
    let (story, people, controller) = begin("right-after", 6, hooked(json!({}))).await;
    let id = &people[0];
    let now = Timestamp::now();
    assert_eq!(
        deliver(&controller, "employee.access.revoked.immediately", id, now - 2.minutes()).await,
        Some(200)
    );
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
    assert_eq!(
        deliver(&controller, "employee.access.revoked.immediately", id, now - 2.minutes()).await,
        Some(200)
    );
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
    assert_eq!(
        deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await,
        Some(200)
    );
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
    assert_eq!(
        deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await,
        Some(200)
    );
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    assert!(controller.stop().await);
    forget(&story, id).await;
    let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.integrate(hooked(json!({"mode": "Enforce"}))).await;
    story.sync().await;
    assert_eq!(status(&story, id).await, 2, "the revocation holds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_that_comes_while_the_integration_is_suspended_outlives_its_object() {
    let (story, people, controller) = begin("susp-revoked", 6, hooked(json!({}))).await;
    paused(&story, true).await;
    assert_eq!(
        deliver(&controller, "employee.access.revoked.immediately", &people[0], Timestamp::now())
            .await,
        Some(200)
    );
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
    assert_eq!(
        deliver(&controller, "employee.access.revoked.immediately", &people[1], Timestamp::now())
            .await,
        Some(200)
    );
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
    assert_eq!(
        deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await,
        Some(200)
    );
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
    assert_eq!(
        deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await,
        Some(200)
    );
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
        assert_eq!(
            deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await,
            Some(200)
        );
    }
    controller.kill();
    let controller = Controller::with(&story, &["--leader-elect=false"]).await;
    until_status(&story, &people[0], 2).await;
    until_status(&story, &people[1], 2).await;
    story.sync().await;
    story
        .people()
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await
        .unwrap();
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    let _controller = again(&story, controller).await;
    story.sync().await;
    assert_eq!(
        (status(&story, &people[0]).await, status(&story, &people[1]).await),
        (json!(2), json!(2))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocations_beyond_the_budget_outlive_their_objects() {
    let (story, people, controller) = begin("many-revoked", 30, hooked(json!({}))).await;
    for id in &people[..8] {
        assert_eq!(
            deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await,
            Some(200)
        );
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
    assert_eq!(
        deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await,
        Some(200)
    );
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
    assert_eq!(
        deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await,
        Some(200)
    );
    until_status(&story, id, 2).await;
    story.sync().await;
    story.simulated.change(id, json!({"work.startDate": "2022-03-01"})).await;
    story.sync().await;
    story.sync().await;
    assert_eq!(
        status(&story, id).await,
        2,
        "the same employment: its date was missing for a while"
    );
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
    assert_eq!(
        deliver(&controller, "employee.access.revoked.immediately", &people[0], Timestamp::now())
            .await,
        Some(200)
    );
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    assert_eq!(status(&story, &people[0]).await, 2, "access is taken at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_that_arrives_after_a_later_activation_takes_no_access() {
    let (story, people, controller) = begin("order", 6, hooked(json!({}))).await;
    let id = &people[0];
    let now = Timestamp::now();
    assert_eq!(deliver(&controller, "employee.activated", id, now).await, Some(200));
    assert_eq!(
        deliver(&controller, "employee.access.revoked.immediately", id, now - 10.minutes()).await,
        Some(200)
    );
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    assert_eq!(
        status(&story, id).await,
        1,
        "the first delivery was answered 503; Bob activated the person since"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_answer_does_not_forget_a_revocation() {
    let (story, people, controller) = begin("short-revoked", 40, hooked(json!({}))).await;
    let id = people.last().unwrap();
    assert_eq!(
        deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await,
        Some(200)
    );
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
    assert_eq!(
        deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await,
        Some(200)
    );
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
    story
        .people()
        .patch_status(&format!("onelogin-{id}"), &PatchParams::default(), &status_before)
        .await
        .unwrap();
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
    assert_eq!(
        deliver(&controller, "employee.access.revoked.immediately", id, now - 2.minutes()).await,
        Some(200)
    );
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
async fn a_revocation_outlives_its_object_that_went_while_the_domain_was_not_listed() {
    let (story, people, controller) = begin("dom-stopped", 6, hooked(json!({}))).await;
    let id = &people[0];
    assert_eq!(
        deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await,
        Some(200)
    );
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
    assert_eq!(
        deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await,
        Some(200)
    );
    until_status(&story, id, 2).await;
    story.sync().await;
    paused(&story, true).await;
    forget(&story, id).await;
    tokio::time::sleep(QUIET).await;
    let answer = deliver(&controller, "employee.activated", id, Timestamp::now()).await;
    paused(&story, false).await;
    story.sync().await;
    story.sync().await;
    assert!(
        answer != Some(200) || status(&story, id).await == 1,
        "Bob was told 200 and tells no more"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_activation_before_the_first_pass_ends_a_revocation_that_only_the_integration_knows() {
    let (story, people, controller) = begin("act-early", 6, hooked(json!({}))).await;
    let id = &people[0];
    assert_eq!(
        deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await,
        Some(200)
    );
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
    assert!(
        answer != Some(200) || status(&story, id).await == 1,
        "{answer:?}: Bob was told 200 and tells no more"
    );
}
