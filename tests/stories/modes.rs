//! `spec.mode`: no provider is written because a line is missing, and an integration that was
//! stored before goes on.

use kube::{
    CustomResourceExt as _,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use testbed::{ControlPlane, Options};

use crate::support::{Controller, Story};

/// Returns an integration that names no mode.
fn without_mode(story: &Story) -> Value {
    json!({
        "apiVersion": "bobsync.dev/v1alpha1", "kind": "ProvisioningIntegration",
        "metadata": {"name": "onelogin", "namespace": story.namespace},
        "spec": {
            "bob": {"credentialsSecretRef": {"name": "bob"}, "endpoint": story.simulated.bob},
            "provider": {"oneLogin": {"endpoint": story.simulated.one_login, "credentialsSecretRef": {"name": "onelogin"}}},
        },
    })
}

/// Returns what `kubectl get pi` shows as the mode.
async fn mode_column(story: &Story) -> String {
    let table =
        story.plane.kubectl(&["get", "pi", "onelogin", "-n", &story.namespace]).await.unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    let at = lines[0].find("MODE").expect("a column");
    lines[1][at..].split_whitespace().next().unwrap_or_default().to_owned()
}

/// Returns the CRD of integrations as it was before it required a mode.
fn crd_before() -> String {
    let mut crd = serde_json::to_value(bobsync::api::ProvisioningIntegration::crd()).unwrap();
    let spec = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    assert_eq!(spec["properties"]["mode"].get("default"), None);
    let rules = spec["x-kubernetes-validations"].as_array_mut().unwrap();
    let all = rules.len();
    rules.retain(|rule| rule["fieldPath"] != ".mode");
    assert_eq!(rules.len(), all - 1);
    crd.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_integration_without_a_mode_is_refused_and_both_modes_are_named() {
    let story = Story::begin("mode", 2).await;
    let create = async |object: Value| {
        let object = serde_json::from_value(object).unwrap();
        story.integrations().create(&PostParams::default(), &object).await
    };
    let refused = create(without_mode(&story)).await.expect_err("refused").to_string();
    let says = [
        "spec.mode",
        "DryRun plans and reports",
        "Enforce begins to write",
        "Begin with mode: DryRun",
    ];
    assert!(says.iter().all(|part| refused.contains(part)), "{refused}");
    // The API server itself names both values if the line is empty.
    let mut null = without_mode(&story);
    null["spec"]["mode"] = Value::Null;
    let patch = Patch::Apply(null);
    let refused = story
        .integrations()
        .patch("onelogin", &PatchParams::apply("story").force(), &patch)
        .await
        .expect_err("refused");
    let refused = refused.to_string();
    assert!(
        refused.contains("spec.mode") && refused.contains("\"Enforce\", \"DryRun\""),
        "{refused}"
    );
    let mut with = without_mode(&story);
    with["spec"]["mode"] = json!("DryRun");
    create(with).await.expect("admitted");
    // The line cannot be removed later either.
    let gone = Patch::Merge(json!({"spec": {"mode": null}}));
    let refused = story
        .integrations()
        .patch("onelogin", &PatchParams::default(), &gone)
        .await
        .expect_err("refused");
    assert!(refused.to_string().contains("choose a mode"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_integration_that_was_stored_without_a_mode_enforces_and_misses_no_pass() {
    let plane = ControlPlane::start(Options::default()).await.expect("a control plane");
    plane
        .apply_yaml(&bobsync::engine::settings::rules::crds_yaml().expect("CRDs"))
        .await
        .expect("the CRDs");
    plane.apply_yaml(&crd_before()).await.expect("the CRD of before");
    let plane: &'static ControlPlane = Box::leak(Box::new(plane));
    let story = Story::on(plane, "stored", 6).await;
    story.namespaces().await;
    story.chart().await;
    story.secrets().await;
    plane.apply_yaml(&without_mode(&story).to_string()).await.expect("admitted without a mode");
    plane
        .apply_yaml(&bobsync::engine::settings::rules::crds_yaml().expect("CRDs"))
        .await
        .expect("the upgrade");
    let controller = Controller::start(&story).await;
    story.ready("Converged").await;
    assert_eq!(story.integration().await.spec.mode, None);
    assert_eq!(mode_column(&story).await, "Enforce", "the mode in force is shown");
    let (id, _) = story.simulated.somebody().await;
    assert!(story.simulated.account(&id).await.is_some());
    // Annotations, statuses and other settings are still accepted, and passes go on.
    story.simulated.change(&id, json!({"work.title": "Miller"})).await;
    story.sync().await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["title"], "Miller");
    let patch = Patch::Merge(json!({"spec": {"interval": "20m"}}));
    story
        .integrations()
        .patch("onelogin", &PatchParams::default(), &patch)
        .await
        .expect("admitted");
    story.ready("Converged").await;
    let patch = Patch::Merge(json!({"spec": {"mode": "DryRun"}}));
    story
        .integrations()
        .patch("onelogin", &PatchParams::default(), &patch)
        .await
        .expect("admitted");
    story.ready("DryRun").await;
    assert_eq!(mode_column(&story).await, "DryRun");
    drop(controller);
}
