//! Attempts to break the promises, with approvals, windows, revocations and pins mixed.

use jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use simulators::bob::webhooks::{event, send};

mod held;
mod revoked;
mod script;
mod settings;

use crate::{
    budgets::{held, leave, staff, suspended},
    support::{Controller, Simulated, Story, until},
};

pub(super) const SECRET: &str = "s3cret of the webhook";
pub(super) const AT_WORK: [(&str, &str); 2] =
    [("internal.lifecycleStatus", "Employed"), ("internal.status", "Active")];
pub(super) const REVOKED: &str = "employee.access.revoked.immediately";
pub(super) const ACTIVATED: &str = "employee.activated";
pub(super) const QUIET: std::time::Duration = std::time::Duration::from_secs(3);

pub(super) fn back() -> Value {
    AT_WORK
        .into_iter()
        .map(|(key, value)| (key.to_owned(), json!(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

pub(super) fn hooked(more: Value) -> Value {
    let mut spec = json!({"interval": "24h", "bob": {"webhookSecretRef": {"name": "hook", "key": "webhookSecret"}}});
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    spec
}

pub(super) async fn begin(
    name: &str,
    count: usize,
    spec: Value,
) -> (Story, Vec<String>, Controller) {
    let story = Story::begin(name, 2).await;
    story.secret("hook", &[("webhookSecret", SECRET)]).await;
    let people = staff(&story, count).await;
    let controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.integrate(spec).await;
    story.ready("Converged").await;
    (story, people, controller)
}

pub(super) async fn again(story: &Story, controller: Controller) -> Controller {
    assert!(controller.stop().await);
    Controller::with(story, &["--leader-elect=false"]).await
}

pub(super) async fn deliver(
    controller: &Controller,
    kind: &str,
    id: &str,
    at: Timestamp,
) -> Option<u16> {
    let body = event(kind, &json!({"employeeId": id}), at).to_string();
    send(&controller.webhooks, Some(SECRET), body.into_bytes()).await
}

pub(super) async fn annotate(story: &Story, id: &str, value: &str) {
    let patch = Patch::Merge(
        json!({"metadata": {"annotations": {"bobsync.dev/sync-requested-at": value}}}),
    );
    story.people().patch(&format!("onelogin-{id}"), &PatchParams::default(), &patch).await.unwrap();
}

pub(super) async fn answered(story: &Story, id: &str, value: &str) {
    until("the person's request is answered", || async {
        let status = story.person(id).await.and_then(|person| person.status).unwrap_or_default();
        if status.last_handled_sync_at.as_deref() == Some(value) {
            Ok(())
        } else {
            Err(format!("{:?}", status.last_handled_sync_at))
        }
    })
    .await;
}

pub(super) async fn pin(story: &Story, id: &str, spec: Value) {
    let patch = Patch::Merge(json!({ "spec": spec }));
    story.people().patch(&format!("onelogin-{id}"), &PatchParams::default(), &patch).await.unwrap();
}

pub(super) async fn seen(story: &Story, id: &str) {
    until("its spec was seen", || async {
        let person = story.person(id).await.ok_or("gone")?;
        let seen = person.status.as_ref().and_then(|status| status.observed_generation);
        if seen == person.metadata.generation { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
}

pub(super) async fn forget(story: &Story, id: &str) {
    story
        .people()
        .delete(&format!("onelogin-{id}"), &DeleteParams::default())
        .await
        .expect("deleted");
}

pub(super) async fn status(story: &Story, id: &str) -> Value {
    story.simulated.account(id).await.unwrap_or_default()["status"].clone()
}

pub(super) async fn until_status(story: &Story, id: &str, wanted: i64) {
    until("the account's status", || async {
        let status = status(story, id).await;
        if status == wanted { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
}

pub(super) async fn broken(story: &Story) {
    let fault =
        json!({"kind": "status", "method": "PUT", "pathPrefix": "/api/2/users", "status": 503});
    story.simulated.post("/onelogin/faults", fault).await;
}

pub(super) async fn mended(story: &Story) {
    story.simulated.delete("/onelogin/faults").await;
}

pub(super) async fn approve(story: &Story) -> String {
    let (digest, ..) = held(&story.ready("PlanHeld").await);
    let patch = Patch::Merge(json!({"spec": {"approvedPlan": digest}}));
    story.integrations().patch("onelogin", &PatchParams::default(), &patch).await.unwrap();
    digest
}

pub(super) async fn until_reason(story: &Story, id: &str, wanted: &str) {
    until(&format!("the person is {wanted}"), || async {
        let reason = story.reason(id).await;
        if reason == wanted { Ok(()) } else { Err(reason) }
    })
    .await;
}

/// Starts an approved plan of eight suspensions that the provider refuses for now.
pub(super) async fn approved_and_stuck(name: &str) -> (Story, Vec<String>, Controller) {
    let (story, people, controller) = begin(name, 30, hooked(json!({}))).await;
    leave(&story, &people[..8]).await;
    story.sync().await;
    broken(&story).await;
    approve(&story).await;
    until_reason(&story, &people[0], "Retrying").await;
    (story, people, controller)
}

pub(super) async fn paused(story: &Story, to: bool) {
    let patch = Patch::Merge(json!({"spec": {"suspend": to}}));
    story.integrations().patch("onelogin", &PatchParams::default(), &patch).await.unwrap();
    if to {
        story.ready("Suspended").await;
    }
}
