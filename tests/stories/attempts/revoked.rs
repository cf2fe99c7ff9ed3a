//! A revocation holds until Bob reports the employee activated again or a later start date, in any
//! order of other events.

use jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use super::{
    script::{
        Account::{Active, Suspended},
        NOW,
        Step::{self, *},
        minutes, play,
    },
    *,
};

/// Makes a test of each script.
macro_rules! scripts {
    ($($(#[$about:meta])* $name:ident: [$($step:expr),* $(,)?];)*) => {
        $(
            $(#[$about])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                Box::pin(play([$($step),*])).await;
            }
        )*
    };
}

/// Lists these e-mail domains, or all.
fn domains(domains: &[&str]) -> Step {
    Settings(json!({"provisioning": {"emailDomains": domains}}), None)
}

/// Switches the disabling trigger.
fn trigger(on: bool) -> Step {
    Settings(json!({"provisioning": {"disablingTrigger": on}}), None)
}

/// Returns the fields of an employee who has left.
fn gone() -> serde_json::Value {
    json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"})
}

scripts! {
    an_activation_from_before_the_revocation_does_not_end_it: [
        Revoked(NOW), Becomes(Suspended), Activated(minutes(120)), Quiet, Sync, Is(Suspended),
    ];
    a_revocation_that_was_ended_is_not_taken_up_again_when_bob_repeats_it: [
        Revoked(minutes(120)), Becomes(Suspended), Sync, Activated(minutes(60)), Sync,
        Becomes(Active), Restart, Sync, Revoked(minutes(120)), Quiet, Sync, Is(Active),
    ];
    an_activation_right_after_a_revocation_gives_access_back_without_the_interval: [
        Revoked(minutes(2)), Becomes(Suspended), Recorded, Activated(NOW), Becomes(Active),
    ];
    an_activation_that_comes_while_the_suspension_is_being_recorded_is_not_lost: [
        Revoked(minutes(2)), Becomes(Suspended), Activated(NOW), Quiet, Sync, Is(Active),
    ];
    /// The pin is gone, and the revocation holds.
    a_revocation_outlives_its_object_while_the_person_is_hands_off: [
        Pin(json!({"suspend": true})), Revoked(NOW), Quiet, Sync, Is(Active), Stop, Forget, Start,
        Sync, Sync, Is(Suspended),
    ];
    a_revocation_outlives_its_object_in_a_dry_run: [
        Settings(json!({"mode": "DryRun"}), Some("DryRun")), Revoked(NOW), Quiet, Sync, Stop,
        Forget, Start, Settings(json!({"mode": "Enforce"}), None), Sync, Is(Suspended),
    ];
    /// An answer with 200 means that it is on record.
    a_revocation_that_comes_while_the_integration_is_suspended_outlives_its_object: [
        Pause, Revoked(NOW), Quiet, Forget, Restart, Resume, Sync, Sync, Is(Suspended),
    ];
    /// An answer with 200 means that it is on record.
    a_revocation_of_somebody_without_an_object_is_kept: [
        Pause, Forget, Quiet, Revoked(NOW), Restart, Resume, Sync, Sync, Is(Suspended),
    ];
    a_revocation_outlives_its_object_while_the_domain_is_not_listed: [
        Revoked(NOW), Becomes(Suspended), Sync, domains(&["elsewhere.example"]),
        Ready("Converged"), Restart, Forget, Quiet, Restart, domains(&[]), Sync, Sync,
        Is(Suspended),
    ];
    a_revocation_outlives_its_object_that_went_while_the_domain_was_not_listed: [
        Revoked(NOW), Becomes(Suspended), Sync, domains(&["elsewhere.example"]),
        Ready("Converged"), Stop, Forget, Start, domains(&[]), Sync, Sync, Is(Suspended),
    ];
    /// No activation was reported, and no later start.
    a_revocation_outlives_its_object_after_bob_showed_the_person_as_terminated_for_a_while: [
        Revoked(NOW), Becomes(Suspended), Bob(gone()), Sync, Stop, Forget, Bob(back()), Start,
        Sync, Sync, Is(Suspended),
    ];
    a_revocation_survives_the_disabling_trigger_that_goes_and_comes_back: [
        Revoked(NOW), Becomes(Suspended), trigger(false), Sync, Stop, Forget, Start, Sync,
        trigger(true), Sync, Sync, Is(Suspended),
    ];
    /// It is the same employment: its date was missing for a while.
    a_start_date_that_is_emptied_or_hidden_and_comes_back_ends_no_revocation: [
        Bob(json!({"work.startDate": null})), Sync, Revoked(NOW), Becomes(Suspended), Sync,
        Bob(json!({"work.startDate": "2022-03-01"})), Sync, Sync, Is(Suspended),
    ];
    /// The first delivery was answered 503, and Bob activated the person since.
    a_revocation_that_arrives_after_a_later_activation_takes_no_access: [
        Activated(NOW), Revoked(minutes(10)), Quiet, Sync, Is(Active),
    ];
    /// Bob shows the file, and has reported no activation.
    a_revocation_outlives_a_deletion_that_was_none: [
        Revoked(minutes(2)), Becomes(Suspended), Sync, Deleted(minutes(2)), Quiet, Sync, Quiet,
        Sync, Is(Suspended),
    ];
    an_activation_ends_a_revocation_whose_object_is_gone: [
        Revoked(NOW), Becomes(Suspended), Sync, Pause, Forget, Quiet, MayActivate, Resume, Sync,
        Sync, IsIfHeard(Active),
    ];
    an_activation_before_the_first_pass_ends_a_revocation_that_only_the_integration_knows: [
        Revoked(NOW), Becomes(Suspended), Sync, Stop, Forget, BobFails, Start,
        Ready("BobUnavailable"), MayActivate, BobAnswers, Sync, Sync, IsIfHeard(Active),
    ];
}

/// Bob reports an immediate revocation, and is answered 200.
async fn revoked(controller: &Controller, id: &str) {
    assert_eq!(deliver(controller, REVOKED, id, Timestamp::now()).await, Some(200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_holds_where_a_pin_or_a_killed_process_stands_between() {
    let (story, people, controller) = begin("pin-revoked", 6, hooked(json!({}))).await;
    pin(&story, &people[0], json!({"userStatus": "AlwaysActive"})).await;
    seen(&story, &people[0]).await;
    for id in &people[..2] {
        revoked(&controller, id).await;
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
        revoked(&controller, id).await;
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
    revoked(&controller, &people[0]).await;
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    assert_eq!(status(&story, &people[0]).await, 2, "access is taken at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_answer_does_not_forget_a_revocation() {
    let (story, people, controller) = begin("short-revoked", 40, hooked(json!({}))).await;
    let id = people.last().unwrap();
    revoked(&controller, id).await;
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
    revoked(&controller, id).await;
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
