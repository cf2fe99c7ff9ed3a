//! CRDs that are older than the controller for a while: after a rollback, or after `kubectl apply`
//! of an old file. The API server then leaves fields out of every object that it shows, and loses
//! them when the object is written.

use std::{collections::BTreeMap, time::Duration};

use bobsync::api::{EmployeeSync, ProvisioningIntegration, conditions};
use kube::{
    CustomResourceExt as _, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    support::{Controller, Story, until},
    unreadable::{begin, bobsync},
};

/// Applies the CRD of this kind as an older version has it: without this field.
async fn crd_without(story: &Story, crd: impl serde::Serialize, part: &str, field: &str) {
    let mut crd = serde_json::to_value(crd).expect("JSON");
    let schema = format!("/spec/versions/0/schema/openAPIV3Schema/properties/{part}");
    let schema = crd.pointer_mut(&schema).expect("the schema");
    let fields = schema["properties"].as_object_mut().expect("fields");
    fields.remove(field).expect("it has the field");
    if let Some(required) = schema["required"].as_array_mut() {
        required.retain(|name| name != field);
    }
    story.plane.apply_yaml(&crd.to_string()).await.expect("the older CRD");
}

/// Applies the CRDs of this version.
async fn whole_crds(story: &Story) {
    story.plane.apply_yaml(include_str!("../../crds/bobsync.dev.yaml")).await.expect("the CRDs");
}

async fn pin(story: &Story, id: &str, spec: Value) {
    let patch = Patch::Merge(json!({ "spec": spec }));
    story
        .people()
        .patch(&format!("onelogin-{id}"), &PatchParams::default(), &patch)
        .await
        .expect("a pin");
}

async fn until_reason(story: &Story, id: &str, wanted: &str) {
    until(&format!("the employee is {wanted}"), || async {
        let reason = story.reason(id).await;
        if reason == wanted { Ok(()) } else { Err(reason) }
    })
    .await;
}

/// Waits until `Ready` of the integration names this field and says what to do.
async fn until_told(story: &Story, field: &str) {
    until("the integration says that a CRD is older", || async {
        let conditions = story.integration().await.status.unwrap_or_default().conditions;
        let ready = conditions::find(&conditions, "Ready").cloned().ok_or("nothing")?;
        let told = ready.reason == "InvalidSettings"
            && ready.message.contains(&format!("does not have the field {field},"))
            && ready.message.contains("bobsync crds");
        if told { Ok(()) } else { Err(format!("{ready:?}")) }
    })
    .await;
}

async fn title(story: &Story, id: &str) -> Value {
    story.simulated.account(id).await.expect("an account")["title"].clone()
}

async fn until_title(story: &Story, id: &str, wanted: &str) {
    until("the title is written", || async {
        let title = title(story, id).await;
        if title == wanted { Ok(()) } else { Err(title.to_string()) }
    })
    .await;
}

/// Returns the version of each EmployeeSync. A write under an older CRD is a loss.
async fn versions(story: &Story) -> BTreeMap<String, Option<String>> {
    let people = story.everybody().await.into_iter();
    people.map(|person| (person.name_any(), person.resource_version())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_pin_is_lost_while_the_crd_of_employees_is_older() {
    let story = begin("older-people").await;
    let arguments = ["--leader-elect=false"];
    let controller = Controller::with(&story, &arguments).await;
    story.integrate(json!({"interval": "24h"})).await;
    story.ready("Converged").await;
    let all = story.simulated.employees().await;
    let mut active = Vec::new();
    for one in &all {
        let id = one["root.id"].as_str().expect("an id").to_owned();
        if story.simulated.account(&id).await.is_some_and(|account| account["status"] == 1) {
            active.push(id);
        }
    }
    let [free, hands_off] = [active[0].clone(), active[1].clone()];
    let before = title(&story, &hands_off).await;
    pin(&story, &hands_off, json!({"suspend": true})).await;
    until_reason(&story, &hands_off, "HandsOff").await;
    let known = versions(&story).await;
    let writes = story.simulated.writes().await;

    crd_without(&story, EmployeeSync::crd(), "spec", "suspend").await;
    until_told(&story, "spec.suspend").await;
    story.warned("onelogin", "InvalidSettings").await;
    for id in [&free, &hands_off] {
        story.simulated.change(id, json!({"work.title": "Keeper of Pins"})).await;
    }
    story.ask().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(story.simulated.writes().await, writes, "nothing is written to the provider");
    // A request for a sync is an annotation, and it would store the object without the pin.
    for ask in [&["sync", "--employee", &hands_off][..], &["sync", "onelogin"][..]] {
        let (succeeded, said) = bobsync(&story, ask).await;
        assert!(!succeeded && said.contains("does not have the field spec.suspend"), "{said}");
    }
    assert!(controller.stop().await);
    // A new process is not ready, so that no rollout ends under older CRDs.
    let controller = Controller::spawn(&story, &arguments).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(story.simulated.writes().await, writes, "and nothing by another process");
    until_told(&story, "spec.suspend").await;
    assert_eq!(versions(&story).await, known, "no EmployeeSync was written");

    whole_crds(&story).await;
    story.ready("Converged").await;
    until_title(&story, &free, "Keeper of Pins").await;
    assert_eq!(story.reason(&hands_off).await, "HandsOff");
    assert_eq!(title(&story, &hands_off).await, before, "hands are still off");
    assert!(story.person(&hands_off).await.expect("it").spec.suspend, "the pin is there");
    assert!(controller.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_part_of_a_status_is_lost_while_the_crd_lacks_it() {
    let story = begin("older-status").await;
    let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.integrate(json!({"interval": "24h"})).await;
    story.ready("Converged").await;
    let (id, _) = story.simulated.somebody().await;
    let histories = async || -> BTreeMap<String, usize> {
        let others = story.everybody().await.into_iter().filter(|one| one.spec.employee_id != id);
        let lines = |one: &EmployeeSync| one.status.as_ref().map_or(0, |it| it.history.len());
        others.map(|one| (one.name_any(), lines(&one))).collect()
    };
    let before = histories().await;
    assert!(before.values().sum::<usize>() > 3, "{before:?}");
    crd_without(&story, EmployeeSync::crd(), "status", "history").await;
    until_told(&story, "status.history").await;
    pin(&story, &id, json!({"suspend": false})).await;
    story.simulated.change(&id, json!({"work.title": "Keeper of Records"})).await;
    story.ask().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_ne!(title(&story, &id).await, "Keeper of Records");
    whole_crds(&story).await;
    until_title(&story, &id, "Keeper of Records").await;
    story.ready("Converged").await;
    assert_eq!(histories().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_setting_of_an_integration_is_lost_while_its_crd_is_older() {
    let story = begin("older-integration").await;
    let arguments = ["--leader-elect=false"];
    let controller = Controller::with(&story, &arguments).await;
    story.integrate(json!({"interval": "24h"})).await;
    story.ready("Converged").await;
    let (id, _) = story.simulated.somebody().await;
    let object = story.integrate(json!({"interval": "24h", "suspend": true})).await;
    story.ready("Suspended").await;
    story.simulated.change(&id, json!({"work.title": "Keeper of Settings"})).await;
    let before = title(&story, &id).await;
    let version = story.integration().await.resource_version();
    let writes = story.simulated.writes().await;

    crd_without(&story, ProvisioningIntegration::crd(), "spec", "suspend").await;
    // The status cannot say it: the write would lose the setting.
    story.warned("onelogin", "InvalidSettings").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(controller.stop().await);
    let controller = Controller::spawn(&story, &arguments).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(controller.log().contains("a CRD is older than this version"), "{}", controller.log());
    let now = story.integration().await;
    assert_eq!(now.resource_version(), version, "the integration was not written");
    assert_eq!(story.simulated.writes().await, writes);

    whole_crds(&story).await;
    until("the process has noticed it", || async {
        let log = controller.log();
        if log.contains("every field of this version again") { Ok(()) } else { Err(log) }
    })
    .await;
    story.ready("Suspended").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let now = story.integration().await;
    assert!(now.spec.suspend && now.metadata.generation == object.metadata.generation);
    assert_eq!(title(&story, &id).await, before, "it is still suspended");
    // An integration that has nothing to hide says it itself.
    story.integrate(json!({"interval": "24h"})).await;
    until_title(&story, &id, "Keeper of Settings").await;
    story.ready("Converged").await;
    crd_without(&story, ProvisioningIntegration::crd(), "spec", "approvedPlan").await;
    until_told(&story, "spec.approvedPlan").await;
    whole_crds(&story).await;
    story.ready("Converged").await;
}
