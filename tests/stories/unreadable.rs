//! An object that the controller cannot read does not count as absent, and its text is not shown.

use std::time::Duration;

use base64::Engine as _;
use bobsync::api::{EmployeeSync, ProvisioningIntegration};
use kube::{
    Api, CustomResourceExt as _,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};
use simulators::bob::webhooks::{event, send};
use testbed::{
    ControlPlane, Options,
    proxy::{Act, Method},
};

use crate::support::{Controller, Story, until};

/// Begins a story on a control plane of its own: it changes the CRDs.
pub async fn begin(name: &str) -> Story {
    let plane = ControlPlane::start(Options::default()).await.expect("a control plane");
    let plane: &'static ControlPlane = Box::leak(Box::new(plane));
    plane.apply_yaml(include_str!("../../crds/bobsync.dev.yaml")).await.expect("the CRDs");
    let story = Story::on(plane, name, 8).await;
    story.namespaces().await;
    story.chart().await;
    story.secrets().await;
    story
}

/// Applies the CRDs as a newer version has them: one more word at each place.
async fn newer_crds(story: &Story) {
    let crds = include_str!("../../crds/bobsync.dev.yaml");
    let mut newer = crds.to_owned();
    for (known, word) in [
        ("AlwaysInactive", "ByCalendar"),
        ("DryRun", "Observe"),
        ("Retry", "Clock"),
        ("Unmanaged", "Quarantined"),
        ("Email", "Fingerprint"),
    ] {
        let lines: Vec<String> = newer
            .lines()
            .flat_map(|line| {
                let indent = line.len() - line.trim_start().len();
                let more = (line.trim() == format!("- \"{known}\""))
                    .then(|| format!("{:indent$}- {word}", ""));
                std::iter::once(line.to_owned()).chain(more)
            })
            .collect();
        let longer = lines.join("\n");
        assert!(longer.len() > newer.len(), "{known} is a word of the CRDs");
        newer = longer;
    }
    story.plane.apply_yaml(&newer).await.expect("the newer CRDs");
}

/// Applies CRDs that keep every field of a spec, as those of a newer version keep its own.
async fn open_crds(story: &Story) {
    for crd in [ProvisioningIntegration::crd(), EmployeeSync::crd()] {
        let mut crd = serde_json::to_value(crd).expect("JSON");
        let schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
        keep_fields(crd.pointer_mut(schema).expect("the schema of the spec"));
        story.plane.apply_yaml(&crd.to_string()).await.expect("the open CRDs");
    }
}

fn keep_fields(schema: &mut Value) {
    if schema["properties"].is_object() {
        schema["x-kubernetes-preserve-unknown-fields"] = json!(true);
    }
    let fields = schema.get_mut("properties").and_then(Value::as_object_mut);
    fields.into_iter().flatten().for_each(|(_, field)| keep_fields(field));
    schema.get_mut("items").into_iter().for_each(keep_fields);
}

/// Returns objects of a kind, with any content.
fn raw(story: &Story, kind: &str) -> Api<DynamicObject> {
    let (version, plural) =
        ("bobsync.dev/v1alpha1".to_owned(), format!("{}s", kind.to_lowercase()));
    let resource = ApiResource {
        group: "bobsync.dev".to_owned(),
        version: "v1alpha1".to_owned(),
        api_version: version,
        kind: kind.to_owned(),
        plural,
    };
    Api::namespaced_with(story.client.clone(), &story.namespace, &resource)
}

async fn patch(api: &Api<DynamicObject>, name: &str, patch: Value) {
    // A changed CRD is served a moment later.
    until("the API server takes the change", || async {
        let taken = api.patch(name, &PatchParams::default(), &Patch::Merge(patch.clone())).await;
        taken.map(drop).map_err(|error| error.to_string())
    })
    .await;
}

fn ready(object: &DynamicObject) -> Value {
    let conditions = object.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|condition| condition["type"] == "Ready").unwrap_or_default()
}

async fn says(api: &Api<DynamicObject>, name: &str, what: &str) -> Value {
    until(&format!("{name} says {what}"), || async {
        let object = api.get(name).await.expect("the object");
        let ready = ready(&object);
        let current = ready["observedGeneration"].as_i64() == object.metadata.generation;
        if current && ready["message"].as_str().is_some_and(|message| message.contains(what)) {
            Ok(ready)
        } else {
            Err(ready.to_string())
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_employee_whose_object_cannot_be_read_is_left_alone_and_told_of() {
    let story = begin("newer").await;
    let controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    let (pinned, employee) = story.simulated.somebody().await;
    let others = story.simulated.employees().await;
    let other = others.iter().filter_map(|one| one["root.id"].as_str()).filter(|id| *id != pinned);
    let mut told = String::new();
    for id in other {
        if story.simulated.account(id).await.is_some_and(|account| account["status"] == 1) {
            id.clone_into(&mut told);
        }
    }
    newer_crds(&story).await;
    let people = raw(&story, "EmployeeSync");
    let (pinned_name, told_name) = (format!("onelogin-{pinned}"), format!("onelogin-{told}"));
    let secret = "Head of Swordfish";
    let spec = json!({"spec": {"suspend": true, "userStatus": "ByCalendar", "attributes": {"title": secret}}});
    patch(&people, &pinned_name, spec).await;
    says(&people, &pinned_name, "cannot read").await;
    // An object with a status of the newer version can still be read.
    let line = json!({"at": "2026-01-01T00:00:00Z", "action": "Update", "trigger": "Clock", "outcome": "Succeeded"});
    let newer = json!({"status": {"history": [line], "access": "Quarantined", "account": {"matchedBy": "Fingerprint"}}});
    until("the API server takes the status", || async {
        let taken = people
            .patch_status(&told_name, &PatchParams::default(), &Patch::Merge(newer.clone()))
            .await;
        taken.map(drop).map_err(|error| error.to_string())
    })
    .await;

    for restart in [false, true] {
        let controller = if restart {
            Some(Controller::with(&story, &["--leader-elect=false"]).await)
        } else {
            None
        };
        let title = format!("Title after {restart}");
        for id in [&pinned, &told] {
            story.simulated.change(id, json!({"work.title": title})).await;
        }
        story.sync().await;
        let (left, written) =
            (story.simulated.account(&pinned).await, story.simulated.account(&told).await);
        assert_eq!(
            left.expect("an account")["title"],
            employee["work.title"],
            "hands are off, restart: {restart}"
        );
        assert_eq!(
            written.expect("an account")["title"],
            json!(title),
            "no word of a status is in the way, restart: {restart}"
        );
        let ready = says(&people, &pinned_name, "cannot read").await;
        assert_eq!((&ready["status"], &ready["reason"]), (&json!("True"), &json!("HandsOff")));
        if let Some(controller) = controller {
            quiet(&controller, &[secret, employee["root.email"].as_str().expect("an e-mail")]);
        }
    }
    let access = people.get(&told_name).await.expect("it").data["status"]["access"].clone();
    assert_eq!(access, "Active", "the controller's own word again");
    quiet(&controller, &[secret, employee["root.email"].as_str().expect("an e-mail")]);
    assert!(
        controller
            .log()
            .lines()
            .any(|line| line.contains("cannot be read") && line.contains(&pinned_name)),
        "{}",
        controller.log()
    );
    // A version that can read it, or a person, ends this.
    patch(
        &people,
        &pinned_name,
        json!({"spec": {"suspend": false, "userStatus": null, "attributes": null}}),
    )
    .await;
    until("the account is managed again", || async {
        let title = story.simulated.account(&pinned).await.map(|account| account["title"].clone());
        if title == Some(json!("Title after true")) { Ok(()) } else { Err(format!("{title:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_this_version_does_not_know_is_not_read_over() {
    let story = begin("fields").await;
    let controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    let (id, employee) = story.simulated.somebody().await;
    open_crds(&story).await;
    let (people, integrations) =
        (raw(&story, "EmployeeSync"), raw(&story, "ProvisioningIntegration"));
    let name = format!("onelogin-{id}");

    // The field of a newer version on an employee: nothing is written, even of a leaver.
    // A watch that began with the older CRDs leaves the field out until the API server ends it.
    until("the watches are those of the open CRDs", || async {
        let now = jiff::Timestamp::now().to_string();
        patch(&people, &name, json!({"spec": {"suspendUntil": now}})).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let ready = ready(&people.get(&name).await.expect("it"));
        let told = ready["message"].as_str().is_some_and(|it| it.contains("cannot read spec."));
        if told { Ok(()) } else { Err(ready.to_string()) }
    })
    .await;
    patch(&people, &name, json!({"spec": {"suspendUntil": "2027-01-01"}})).await;
    says(&people, &name, "cannot read spec.suspendUntil of").await;
    let (succeeded, said) = bobsync(&story, &["sync", "--employee", &id]).await;
    assert!(succeeded && said.contains(&format!("{name}: ")), "{said}");
    assert!(said.contains("cannot read spec.suspendUntil:"), "the command tells it too: {said}");
    let left = json!({
        "work.title": "Keeper of Fields", "internal.lifecycleStatus": "Terminated", "internal.status": "Inactive",
    });
    let before = story.simulated.writes().await;
    story.simulated.change(&id, left).await;
    story.sync().await;
    let ready = says(&people, &name, "access is still open").await;
    assert_eq!((&ready["status"], &ready["reason"]), (&json!("True"), &json!("HandsOff")));
    let message = ready["message"].as_str().expect("a message");
    assert!(
        message.contains("correct spec.suspendUntil") && !message.contains("remove spec.suspend"),
        "{message}"
    );
    assert_eq!(story.simulated.writes().await, before, "hands are off");
    let back = json!({"internal.lifecycleStatus": "Employed", "internal.status": "Active"});
    story.simulated.change(&id, back).await;
    patch(&people, &name, json!({"spec": {"suspendUntil": null}})).await;
    until("the account is managed again", || async {
        let title = story.simulated.account(&id).await.map(|account| account["title"].clone());
        if title == Some(json!("Keeper of Fields")) { Ok(()) } else { Err(format!("{title:?}")) }
    })
    .await;
    story.sync().await;

    // The field of a newer version on the integration, at any depth.
    let title = "Keeper of Hours";
    let before = story.simulated.writes().await;
    let keyring = |value: Value| json!({"oneLogin": {"credentialsSecretRef": {"keyring": value}}});
    // Each patch takes the field of the one before away.
    for (field, spec) in [
        ("spec.safety.quietHours", json!({"safety": {"quietHours": {"from": "22:00"}}})),
        (
            "spec.provider.oneLogin.credentialsSecretRef.keyring",
            json!({"safety": {"quietHours": null}, "provider": keyring(json!("a"))}),
        ),
        ("spec.nextThing", json!({"provider": keyring(Value::Null), "nextThing": false})),
    ] {
        patch(&integrations, "onelogin", json!({"spec": spec})).await;
        let told = says(&integrations, "onelogin", &format!("cannot read {field}:")).await;
        assert_eq!(
            (&told["status"], &told["reason"]),
            (&json!("False"), &json!("InvalidSettings"))
        );
        story.simulated.change(&id, json!({"work.title": title})).await;
        let asked = json!({"annotations": {"bobsync.dev/sync-requested-at": field}});
        patch(&integrations, "onelogin", json!({"metadata": asked})).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(story.simulated.writes().await, before, "nothing is written: {field}");
        for arguments in [
            &["sync", "onelogin"][..],
            &["sync", "onelogin", "--employee", &id],
            &["approve", "onelogin", "--yes"],
        ] {
            let (succeeded, said) = bobsync(&story, arguments).await;
            let told = said.contains(&format!("cannot read {field}:"));
            assert!(!succeeded && told && !said.contains("22:00"), "{arguments:?}: {said}");
        }
    }
    patch(&integrations, "onelogin", json!({"spec": {"nextThing": null}})).await;
    story.ready("Converged").await;
    until("it works again", || async {
        let found = story.simulated.account(&id).await.map(|account| account["title"].clone());
        if found == Some(json!(title)) { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
    quiet(&controller, &["2027-01-01", employee["root.email"].as_str().expect("an e-mail")]);
}

/// Runs a command of the binary. Returns whether it succeeded, and its output.
pub async fn bobsync(story: &Story, arguments: &[&str]) -> (bool, String) {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_bobsync"))
        .args(arguments)
        .args(["--namespace", &story.namespace])
        .env("KUBECONFIG", story.plane.kubeconfig())
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_mins(1), output)
        .await
        .expect("it ends")
        .expect("it starts");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
    (output.status.success(), said.concat())
}

/// Checks that none of these words is in the log, as it is or in base64.
fn quiet(controller: &Controller, words: &[&str]) {
    let log = controller.log();
    for word in words {
        let encoded = base64::engine::general_purpose::STANDARD.encode(word);
        let shown: Vec<&str> =
            log.lines().filter(|line| line.contains(word) || line.contains(&encoded)).collect();
        assert!(shown.is_empty(), "{word} stands in the log: {shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_integration_that_cannot_be_read_does_nothing_and_says_so() {
    let story = begin("observe").await;
    story.secret("hook", &[("webhookSecret", "s3cret")]).await;
    let arguments = ["--leader-elect=false"];
    let controller = Controller::with(&story, &arguments).await;
    let spec = json!({"bob": {"webhookSecretRef": {"name": "hook", "key": "webhookSecret"}}});
    story.integrate(spec).await;
    story.ready("Converged").await;
    let (id, employee) = story.simulated.somebody().await;
    newer_crds(&story).await;
    let integrations = raw(&story, "ProvisioningIntegration");
    patch(&integrations, "onelogin", json!({"spec": {"mode": "Observe"}})).await;
    let told = says(&integrations, "onelogin", "spec.mode").await;
    assert_eq!((&told["status"], &told["reason"]), (&json!("False"), &json!("InvalidSettings")));
    let object = integrations.get("onelogin").await.expect("it");
    assert_eq!(object.data["status"]["observedGeneration"].as_i64(), object.metadata.generation);
    let stalled = object.data["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == "Stalled");
    assert_eq!(stalled.map(|stalled| stalled["status"].clone()), Some(json!("True")));
    story.warned("onelogin", "InvalidSettings").await;
    assert!(object.data["status"]["employees"].is_object(), "what else it says stays");
    assert!(
        object.data["status"]["mode"].is_null(),
        "no mode is in force, and the column is empty"
    );

    story.simulated.change(&id, json!({"work.title": "Keeper of Settings"})).await;
    let body = event("employee.updated", &json!({"employeeId": id}), jiff::Timestamp::now())
        .to_string()
        .into_bytes();
    // Bob sends again what was not accepted.
    assert_eq!(send(&controller.webhooks, Some("s3cret"), body.clone()).await, Some(503));
    patch(
        &integrations,
        "onelogin",
        json!({"metadata": {"annotations": {"bobsync.dev/sync-requested-at": "now"}}}),
    )
    .await;
    let before = story.simulated.writes().await;
    for restart in [false, true] {
        let second = if restart { Some(Controller::with(&story, &arguments).await) } else { None };
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(story.simulated.writes().await, before, "restart: {restart}");
        let title = story.simulated.account(&id).await.expect("an account")["title"].clone();
        assert_eq!(title, employee["work.title"], "restart: {restart}");
        says(&integrations, "onelogin", "spec.mode").await;
        if let Some(second) = second {
            quiet(&second, &["Observe"]);
        }
    }
    quiet(&controller, &["Observe", employee["root.email"].as_str().expect("an e-mail")]);

    patch(&integrations, "onelogin", json!({"spec": {"mode": "Enforce"}})).await;
    let integration = story.ready("Converged").await;
    assert_eq!(
        integration.status.expect("a status").mode,
        Some(bobsync::api::integration::Mode::Enforce)
    );
    story.answered("now").await;
    until("it works again", || async {
        let title = story.simulated.account(&id).await.map(|account| account["title"].clone());
        if title == Some(json!("Keeper of Settings")) { Ok(()) } else { Err(format!("{title:?}")) }
    })
    .await;
    assert_eq!(send(&controller.webhooks, Some("s3cret"), body).await, Some(200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_was_cut_shows_nothing_of_itself() {
    let story = Story::begin("cut", 6).await;
    let proxy = story.plane.proxy().await.expect("a proxy");
    let secrets = format!("/api/v1/namespaces/{}/secrets/*", story.namespace);
    proxy.rule(Act::Cut, Method::GET, &secrets, Some(2));
    // The log filter asks for every line of the client library.
    let controller = Controller::behind_logging(&story, &proxy, "trace,hyper=warn,h2=warn").await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    assert!(proxy.struck().len() >= 2, "the answers were cut");
    let (id, employee) = story.simulated.somebody().await;
    proxy.rule(Act::Cut, Method::GET, "*/employeesyncs/*", Some(2));
    proxy.rule(Act::Cut, Method::PATCH, "*/employeesyncs/*/status", Some(2));
    story.simulated.change(&id, json!({"work.title": "Head of Swordfish"})).await;
    story.sync().await;
    assert!(proxy.struck().len() >= 4, "the answers were cut: {:?}", proxy.struck());
    quiet(
        &controller,
        &[
            "bob-token-1",
            "secret-1",
            "SERVICE-1",
            employee["root.email"].as_str().expect("an e-mail"),
        ],
    );
}

/// The usual way to correct such an integration is `kubectl replace --force`, which would take the
/// pin with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pin_that_is_made_while_its_integration_cannot_be_read_has_no_owner() {
    let story = begin("latepin").await;
    let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    let (id, _) = story.simulated.somebody().await;
    newer_crds(&story).await;
    let integrations = raw(&story, "ProvisioningIntegration");
    patch(&integrations, "onelogin", json!({"spec": {"mode": "Observe"}})).await;
    says(&integrations, "onelogin", "spec.mode").await;
    patch(
        &raw(&story, "EmployeeSync"),
        &format!("onelogin-{id}"),
        json!({"spec": {"suspend": true}}),
    )
    .await;
    until("the pin has no owner", || async {
        let owners = story.person(&id).await.ok_or("no object")?.metadata.owner_references;
        if owners.as_ref().is_none_or(Vec::is_empty) { Ok(()) } else { Err(format!("{owners:?}")) }
    })
    .await;
}
