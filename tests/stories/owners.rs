//! Objects that are deleted, and those that must not be: deletions that take time, pins,
//! integrations that are replaced or restored.

use std::time::Duration;

use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, PropagationPolicy},
};
use serde_json::{Value, json};
use testbed::proxy::{Act, Method};

use crate::support::{Controller, Simulated, Story, condition, until};

const HOLD: &str = "example.com/hold";

/// Sets finalizers of another party on an object.
async fn held<K>(api: &Api<K>, name: &str, finalizers: Value)
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let patch = json!({"metadata": {"finalizers": finalizers}});
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.expect("finalizers");
}

async fn title(simulated: &Simulated, id: &str) -> Value {
    simulated.account(id).await.map(|account| account["title"].clone()).unwrap_or_default()
}

async fn until_title(story: &Story, id: &str, wanted: &str) {
    until(&format!("the title is {wanted}"), || async {
        let found = title(&story.simulated, id).await;
        if found == wanted { Ok(()) } else { Err(found.to_string()) }
    })
    .await;
}

/// Waits until this employee's object has an owner of this uid, or none.
async fn owned_by(story: &Story, id: &str, uid: Option<&str>) {
    until(&format!("the owner is {uid:?}"), || async {
        let person = story.person(id).await.ok_or("no object")?;
        let owner = person.owner_references().first().map(|owner| owner.uid.clone());
        if owner.as_deref() == uid { Ok(()) } else { Err(format!("{owner:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_integration_that_somebody_keeps_from_going_does_nothing_more() {
    let (story, controller) = Story::converged("going", 8, json!({})).await;
    let (id, employee) = story.simulated.somebody().await;
    held(&story.integrations(), "onelogin", json!([HOLD])).await;
    story.integrations().delete("onelogin", &DeleteParams::default()).await.expect("deleted");
    assert!(story.integration().await.metadata.deletion_timestamp.is_some(), "it is still there");
    until("its worker has ended", || async {
        let (page, key) = (controller.metrics().await, format!("{}/onelogin\"", story.namespace));
        let left = page.lines().filter(|line| line.contains(&key)).count();
        if left == 0 { Ok(()) } else { Err(format!("{left} series")) }
    })
    .await;
    let before = story.simulated.writes().await;
    story
        .simulated
        .change(
            &id,
            json!({"work.title": "Keeper of Doors", "internal.lifecycleStatus": "Terminated"}),
        )
        .await;
    story
        .people()
        .delete(&format!("onelogin-{id}"), &DeleteParams::default())
        .await
        .expect("deleted");
    story.ask().await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(
        (story.simulated.writes().await, title(&story.simulated, &id).await),
        (before, employee["work.title"].clone())
    );
    assert!(story.person(&id).await.is_none(), "nothing is made anew");

    // A process that starts meanwhile does not begin with it either.
    let second = Controller::with(&story, &["--leader-elect=false"]).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(story.simulated.writes().await, before);
    drop(second);
    held(&story.integrations(), "onelogin", json!([])).await;
    until("it is gone", || async {
        let there = story.integrations().get_opt("onelogin").await.expect("a read");
        if there.is_none() { Ok(()) } else { Err("there".to_owned()) }
    })
    .await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    let status = story.simulated.account(&id).await.expect("the account")["status"].clone();
    assert_eq!(status, 2, "the leaver is out once it works again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_employee_sync_that_goes_is_not_written_and_comes_back_with_what_it_missed() {
    let (story, _controller) = Story::converged("leaving", 8, json!({})).await;
    let (id, _) = story.simulated.somebody().await;
    let name = format!("onelogin-{id}");
    held(&story.people(), &name, json!([HOLD])).await;
    story.people().delete(&name, &DeleteParams::default()).await.expect("deleted");
    let going = story.person(&id).await.expect("it is still there");
    assert!(going.metadata.deletion_timestamp.is_some());
    story
        .simulated
        .change(&id, json!({"work.title": "Keeper of Doors", "internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}))
        .await;
    story.sync().await;
    until("the leaver is out", || async {
        let status = story.simulated.account(&id).await.map(|account| account["status"].clone());
        if status == Some(json!(2)) { Ok(()) } else { Err(format!("{status:?}")) }
    })
    .await;
    story.sync().await;
    let now = story.person(&id).await.expect("it is still there");
    assert_eq!(
        now.metadata.resource_version, going.metadata.resource_version,
        "nothing is written to it"
    );
    held(&story.people(), &name, json!([])).await;
    until("another one tells of the suspension", || async {
        let person = story
            .person(&id)
            .await
            .filter(|person| person.uid() != going.uid())
            .ok_or("no other one")?;
        let history = person.status.map(|status| status.history).unwrap_or_default();
        if history.iter().any(|line| line.action == bobsync::api::employee_sync::Action::Suspend) {
            Ok(())
        } else {
            Err(format!("{history:?}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pin_outlives_its_integration_and_holds_for_the_next_one() {
    let (story, _controller) = Story::converged("pinned", 8, json!({})).await;
    let (id, employee) = story.simulated.somebody().await;
    let name = format!("onelogin-{id}");
    let uid = story.integration().await.uid().expect("a uid");
    owned_by(&story, &id, Some(&uid)).await;
    // Without force: no field of a pin belongs to the controller.
    let pin = json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "EmployeeSync", "metadata": {"name": name},
        "spec": {"integrationRef": {"name": "onelogin"}, "employeeId": id, "suspend": true}});
    story
        .people()
        .patch(&name, &PatchParams::apply("helm"), &Patch::Apply(pin))
        .await
        .expect("no conflict");
    owned_by(&story, &id, None).await;

    story.simulated.change(&id, json!({"work.title": "Keeper of Doors"})).await;
    for policy in
        [PropagationPolicy::Background, PropagationPolicy::Foreground, PropagationPolicy::Orphan]
    {
        // As `kubectl replace --force` does.
        let params =
            DeleteParams { propagation_policy: Some(policy.clone()), ..DeleteParams::default() };
        story.integrations().delete("onelogin", &params).await.expect("deleted");
        until("it is gone", || async {
            let there = story.integrations().get_opt("onelogin").await.expect("a read");
            if there.is_none() { Ok(()) } else { Err("there".to_owned()) }
        })
        .await;
        story.integrate(json!({})).await;
        story.ready("Converged").await;
        let uid = story.integration().await.uid();
        assert_eq!(
            title(&story.simulated, &id).await,
            employee["work.title"],
            "hands are off: {policy:?}"
        );
        assert_eq!(story.reason(&id).await, "HandsOff");
        until("every other object is the new one's", || async {
            let people = story.everybody().await;
            let other = people.iter().filter(|person| person.name_any() != name);
            let strange = other
                .filter(|person| {
                    person.owner_references().first().map(|owner| &owner.uid) != uid.as_ref()
                })
                .count();
            if strange == 0 && people.len() > 1 {
                Ok(())
            } else {
                Err(format!("{strange} of {} are not", people.len()))
            }
        })
        .await;
    }
    // The field of the integration's name also selects pins without a label.
    let made = json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "EmployeeSync", "metadata": {"name": "onelogin-99"},
        "spec": {"integrationRef": {"name": "onelogin"}, "employeeId": "99", "suspend": true}});
    story
        .people()
        .patch("onelogin-99", &PatchParams::apply("git"), &Patch::Apply(made))
        .await
        .expect("a pin");
    let all = story.everybody().await.len();
    let selected = story
        .people()
        .list(&ListParams::default().fields("spec.integrationRef.name=onelogin"))
        .await
        .expect("a list");
    assert_eq!(selected.items.len(), all);

    // An object that asks for nothing any more is deleted with its integration again.
    story
        .people()
        .patch(&name, &PatchParams::default(), &Patch::Merge(json!({"spec": {"suspend": null}})))
        .await
        .expect("lifted");
    until_title(&story, &id, "Keeper of Doors").await;
    let uid = story.integration().await.uid();
    owned_by(&story, &id, uid.as_deref()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_without_statuses_gives_no_revoked_employee_access_again() {
    let story = Story::begin("restored", 10).await;
    story.secret("hook", &[("webhookSecret", "s3cret")]).await;
    let controller = Controller::with(&story, &["--leader-elect=false"]).await;
    let spec = json!({"interval": "1m", "bob": {"webhookSecretRef": {"name": "hook", "key": "webhookSecret"}}});
    story.integrate(spec.clone()).await;
    story.ready("Converged").await;
    let (id, _) = story.simulated.somebody().await;
    let event = simulators::bob::webhooks::event(
        "employee.access.revoked.immediately",
        &json!({"employeeId": id}),
        jiff::Timestamp::now(),
    );
    let sent = simulators::bob::webhooks::send(
        &controller.webhooks,
        Some("s3cret"),
        event.to_string().into_bytes(),
    )
    .await;
    assert_eq!(sent, Some(200));
    let out = async |what: &str| {
        until(what, || async {
            let status =
                story.simulated.account(&id).await.map(|account| account["status"].clone());
            if status == Some(json!(2)) { Ok(()) } else { Err(format!("{status:?}")) }
        })
        .await;
    };
    out("the revoked employee is out").await;
    assert!(controller.stop().await);

    // Everything is deleted, and comes back without statuses, as most tools restore it.
    story.integrations().delete("onelogin", &DeleteParams::default()).await.expect("deleted");
    until("all is gone", || async {
        let left = story.everybody().await.len()
            + usize::from(
                story.integrations().get_opt("onelogin").await.expect("a read").is_some(),
            );
        if left == 0 { Ok(()) } else { Err(left.to_string()) }
    })
    .await;
    let (other, _) = {
        let all = story.simulated.employees().await;
        let active = all.into_iter().find(|one| {
            one["root.id"] != json!(id) && one["internal.lifecycleStatus"] == "Employed"
        });
        let active = active.expect("another one at work");
        (active["root.id"].as_str().expect("an id").to_owned(), active)
    };
    story.simulated.change(&other, json!({"work.title": "Keeper of Backups"})).await;
    story.integrate(spec.clone()).await;
    let controller = Controller::with(&story, &["--leader-elect=false"]).await;
    let object = story.ready("PlanHeld").await;
    let plan_held = |object: &bobsync::api::ProvisioningIntegration| {
        let status = object.status.clone().unwrap_or_default();
        bobsync::api::conditions::find(&status.conditions, "PlanHeld")
            .map(|held| (held.status.clone(), held.reason.clone()))
    };
    assert_eq!(plan_held(&object), Some(("True".to_owned(), "RestoredWithoutStatus".to_owned())));
    let plan = object.status.as_ref().and_then(|status| status.plan.clone()).expect("a plan");
    assert_eq!((plan.reactivations, plan.disables), (1, 0));
    until_title(&story, &other, "Keeper of Backups").await;

    // Neither another pass, a restart, a request nor an event for this employee gives access again.
    story.sync().await;
    drop(controller);
    let controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.sync().await;
    let event = simulators::bob::webhooks::event(
        "employee.updated",
        &json!({"employeeId": id}),
        jiff::Timestamp::now(),
    );
    until("the event is taken", || async {
        let sent = simulators::bob::webhooks::send(
            &controller.webhooks,
            Some("s3cret"),
            event.to_string().into_bytes(),
        )
        .await;
        if sent == Some(200) { Ok(()) } else { Err(format!("{sent:?}")) }
    })
    .await;
    // A dry run in between does not either.
    let mut dry = spec.clone();
    dry["mode"] = "DryRun".into();
    story.integrate(dry).await;
    story.ready("DryRun").await;
    story.integrate(spec).await;
    let object = story.ready("PlanHeld").await;
    out("access is not given again").await;
    assert_eq!(
        plan_held(&object).map(|(_, reason)| reason).as_deref(),
        Some("RestoredWithoutStatus")
    );
    let person = story.person(&id).await.expect("an object");
    assert_eq!(condition(&person, "Ready").map(|(_, reason, _)| reason).as_deref(), Some("Held"));

    let digest = object.status.and_then(|status| status.plan).expect("a plan").digest;
    let approve = json!({"spec": {"approvedPlan": digest}});
    story
        .integrations()
        .patch("onelogin", &PatchParams::default(), &Patch::Merge(approve))
        .await
        .expect("approved");
    let object = story.ready("Converged").await;
    assert_eq!(
        story.simulated.account(&id).await.expect("the account")["status"],
        1,
        "a person has said so"
    );
    assert_eq!(object.status.and_then(|status| status.reactivations_held_since), None);
    story.sync().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_the_api_server_does_not_give_is_no_fault_of_bob() {
    let story = Story::begin("blamed", 4).await;
    let proxy = story.plane.proxy().await.expect("a proxy");
    proxy.rule(
        Act::Status(503),
        Method::GET,
        &format!("/api/v1/namespaces/{}/secrets/*", story.namespace),
        None,
    );
    let _controller = Controller::behind(&story, &proxy).await;
    story.integrate(json!({})).await;
    let object = story.ready("ClusterUnavailable").await;
    let status = object.status.unwrap_or_default();
    assert!(
        bobsync::api::conditions::find(&status.conditions, "BobConnected").is_none(),
        "Bob was not asked: {status:?}"
    );
    proxy.clear();
    story.ready("Converged").await;
}

/// Objects with an owner of before a restore are deleted by the collector: they come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_restored_with_an_owner_that_is_gone_comes_back_with_the_new_one() {
    let (story, controller) = Story::converged("old-owner", 6, json!({})).await;
    let (id, _) = story.simulated.somebody().await;
    let mut saved = story.person(&id).await.expect("an object");
    assert!(controller.stop().await);
    story.integrations().delete("onelogin", &DeleteParams::default()).await.expect("deleted");
    until("all is gone", || async {
        let left = story.everybody().await.len();
        if left == 0 { Ok(()) } else { Err(left.to_string()) }
    })
    .await;
    story.integrate(json!({})).await;
    (saved.metadata.resource_version, saved.metadata.uid, saved.metadata.managed_fields) =
        (None, None, None);
    story.people().create(&PostParams::default(), &saved).await.expect("restored");
    let _controller = Controller::start(&story).await;
    story.ready("Converged").await;
    let uid = story.integration().await.uid();
    owned_by(&story, &id, uid.as_deref()).await;
    until("it has a status", || async {
        let reason = story.reason(&id).await;
        if reason == "InSync" { Ok(()) } else { Err(reason) }
    })
    .await;
}

/// Returns when the integration does not exist any more, and the garbage collector has had time to
/// delete what it owned.
async fn until_collected(story: &Story) {
    until("it is gone", || async {
        let there = story.integrations().get_opt("onelogin").await.expect("a read");
        if there.is_none() { Ok(()) } else { Err("there".to_owned()) }
    })
    .await;
    until("the garbage collector is through", || async {
        let people = story.everybody().await;
        let owned = people.iter().filter(|person| !person.owner_references().is_empty()).count();
        if owned == 0 { Ok(()) } else { Err(format!("{owned} have an owner")) }
    })
    .await;
}

/// Sets `spec.suspend` of an `EmployeeSync`.
async fn pin(story: &Story, name: &str) {
    let patch = Patch::Merge(json!({"spec": {"suspend": true}}));
    story.people().patch(name, &PatchParams::default(), &patch).await.expect("a pin");
}

/// The pin is older than the end of its integration, so it outlives it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pin_that_is_made_while_its_integration_goes_outlives_it() {
    let (story, _controller) = Story::converged("latepin", 8, json!({})).await;
    let (id, employee) = story.simulated.somebody().await;
    let name = format!("onelogin-{id}");
    held(&story.integrations(), "onelogin", json!([HOLD])).await;
    story.integrations().delete("onelogin", &DeleteParams::default()).await.expect("deleted");
    pin(&story, &name).await;
    owned_by(&story, &id, None).await;
    held(&story.integrations(), "onelogin", json!([])).await;
    until_collected(&story).await;
    story.simulated.change(&id, json!({"work.title": "Keeper of Doors"})).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    assert_eq!(title(&story.simulated, &id).await, employee["work.title"], "hands are off");
    assert_eq!(story.reason(&id).await, "HandsOff");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pins_that_are_made_while_no_controller_runs_outlive_their_integration() {
    let (story, controller) = Story::converged("unattended", 8, json!({})).await;
    let (id, employee) = story.simulated.somebody().await;
    let name = format!("onelogin-{id}");
    let other = {
        let all = story.simulated.employees().await;
        let is_other = |one: &&Value| {
            one["root.id"] != json!(id) && one["internal.lifecycleStatus"] == "Employed"
        };
        let other = all.iter().find(is_other).expect("another one at work");
        other["root.id"].as_str().expect("an id").to_owned()
    };
    assert!(controller.stop().await);
    pin(&story, &name).await;
    story.simulated.change(&id, json!({"work.title": "Keeper of Doors"})).await;
    story.simulated.change(&other, json!({"work.title": "Keeper of Backups"})).await;
    let proxy = story.plane.proxy().await.expect("a proxy");
    let path =
        format!("/apis/bobsync.dev/v1alpha1/namespaces/{}/employeesyncs/{name}", story.namespace);
    proxy.rule(Act::Status(503), Method::PATCH, &path, None);
    let before = story.simulated.writes().await;
    let controller = Controller::behind(&story, &proxy).await;
    until("the owner is to be removed", || async {
        if proxy.struck().is_empty() { Err("no write".to_owned()) } else { Ok(()) }
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let now = story.simulated.writes().await;
    assert_eq!(now, before, "the first pass comes after the owners of the pins are removed");
    // An owner that cannot be removed does not keep the others waiting for long.
    until_title(&story, &other, "Keeper of Backups").await;
    proxy.clear();
    owned_by(&story, &id, None).await;
    assert!(controller.stop().await);

    // Also if the integration is on its way out when the controller starts.
    held(&story.integrations(), "onelogin", json!([HOLD])).await;
    story.integrations().delete("onelogin", &DeleteParams::default()).await.expect("deleted");
    pin(&story, &format!("onelogin-{other}")).await;
    let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
    owned_by(&story, &other, None).await;
    held(&story.integrations(), "onelogin", json!([])).await;
    until_collected(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    assert_eq!(title(&story.simulated, &id).await, employee["work.title"], "hands are off");
    for id in [&id, &other] {
        assert_eq!(story.reason(id).await, "HandsOff");
    }
}

/// Waits until this object says that it has no integration, for its present generation.
async fn until_told(story: &Story, name: &str) {
    until(&format!("{name} says that there is no integration"), || async {
        let person = story.people().get(name).await.expect("an object");
        let status = person.status.clone().unwrap_or_default();
        let said = ["Ready", "Stalled"].map(|kind| {
            bobsync::api::conditions::find(&status.conditions, kind)
                .map(|c| (&*c.status == "True", c.reason.clone(), c.observed_generation))
        });
        let generation = person.metadata.generation;
        let wanted = [false, true].map(|is| Some((is, "NoIntegration".to_owned(), generation)));
        let whole = said == wanted
            && status.reason.as_deref() == Some("NoIntegration")
            && status.observed_generation == generation;
        if whole { Ok(()) } else { Err(format!("{status:?}")) }
    })
    .await;
}

/// A finalizer keeps the integration, so the garbage collector does not delete what it owns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_employee_says_that_the_integration_is_gone_while_something_keeps_it() {
    let (story, _controller) = Story::converged("kept-for-long", 8, json!({})).await;
    held(&story.integrations(), "onelogin", json!([HOLD])).await;
    story.integrations().delete("onelogin", &DeleteParams::default()).await.expect("deleted");
    let everybody = story.everybody().await;
    assert!(everybody.len() > 4, "{}", everybody.len());
    for person in everybody {
        until_told(&story, &person.name_any()).await;
    }
    for person in story.everybody().await {
        let status = person.status.unwrap_or_default();
        assert!(status.next_transition.is_none() && status.held_part.is_none(), "{status:?}");
    }
    // It is not there again, and another one of this name replaces the words.
    held(&story.integrations(), "onelogin", json!([])).await;
    until_collected(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
}

/// Makes a pin as Git does.
async fn pin_of(story: &Story, integration: &str, employee: &str) -> String {
    let name = format!("{integration}-{employee}");
    let made = json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "EmployeeSync",
        "metadata": {"name": name},
        "spec": {"integrationRef": {"name": integration}, "employeeId": employee, "suspend": true}});
    story
        .people()
        .patch(&name, &PatchParams::apply("git"), &Patch::Apply(made))
        .await
        .expect("a pin");
    name
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pin_without_an_integration_says_so_until_there_is_one() {
    let (story, controller) = Story::converged("no-integration", 8, json!({})).await;
    let (id, employee) = story.simulated.somebody().await;
    let name = format!("onelogin-{id}");
    pin(&story, &name).await;
    owned_by(&story, &id, None).await;
    until("hands are off", || async {
        let reason = story.reason(&id).await;
        if reason == "HandsOff" { Ok(()) } else { Err(reason) }
    })
    .await;
    let account = story.person(&id).await.and_then(|person| person.status?.account);
    // A name that is misspelt, and one that exists in another namespace only.
    let misspelt = pin_of(&story, "onelogln", "98").await;
    let integration = story.integration().await;
    let elsewhere: Api<bobsync::api::ProvisioningIntegration> =
        Api::namespaced(story.client.clone(), &story.system);
    let other = bobsync::api::ProvisioningIntegration::new("elsewhere", integration.spec.clone());
    elsewhere.create(&PostParams::default(), &other).await.expect("an integration");
    let foreign = pin_of(&story, "elsewhere", "99").await;
    until_told(&story, &misspelt).await;
    until_told(&story, &foreign).await;
    assert_eq!(story.reason(&id).await, "HandsOff", "its integration exists");
    story.warned(&misspelt, "NoIntegration").await;
    story.warned(&foreign, "NoIntegration").await;

    story.integrations().delete("onelogin", &DeleteParams::default()).await.expect("deleted");
    until_told(&story, &name).await;
    // The next spec is told of too, and then nothing is written.
    let version = async |name: &str| {
        story.people().get(name).await.expect("an object").metadata.resource_version
    };
    let before = version(&misspelt).await;
    let patch = Patch::Merge(json!({"spec": {"attributes": {"title": "x"}}}));
    story.people().patch(&name, &PatchParams::default(), &patch).await.expect("another spec");
    until_told(&story, &name).await;
    assert_eq!(version(&misspelt).await, before);
    story.warned(&name, "NoIntegration").await;
    // Nothing is to come, also if another writer says so.
    let foreign = json!({"status": {"heldPart": "ff", "access": "NotYet",
        "nextTransition": {"at": "2027-01-01T00:00:00Z", "timeZone": "UTC", "access": "Active",
            "because": "StartDate"}}});
    let said = async || {
        let status = story.people().get(&misspelt).await.expect("an object").status;
        serde_json::to_value(status).expect("JSON")
    };
    let wanted = said().await;
    let foreign = Patch::Merge(foreign);
    story.people().patch_status(&misspelt, &PatchParams::default(), &foreign).await.expect("it");
    until("the status is the controller's", || async {
        let now = said().await;
        if now == wanted { Ok(()) } else { Err(now.to_string()) }
    })
    .await;

    // It is made while no controller runs, and its integration does not come.
    assert!(controller.stop().await);
    let late = pin_of(&story, "never", "97").await;
    let controller = Controller::start(&story).await;
    until_told(&story, &late).await;
    let kept = story.person(&id).await.and_then(|person| person.status?.account);
    assert_eq!(kept, account, "the account is not forgotten");

    story.simulated.change(&id, json!({"work.title": "Keeper of Doors"})).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    assert_eq!(story.reason(&id).await, "HandsOff");
    assert_eq!(title(&story.simulated, &id).await, employee["work.title"], "hands are off");
    drop(controller);
}
