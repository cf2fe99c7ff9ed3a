//! What another writer puts into a status while the controller runs: it is put right soon, no event
//! repeats it, no decision rests on it, and the history tells only of calls that were made.

use std::{collections::BTreeMap, time::Duration};

use bobsync::api::{SYNC_REQUESTED, conditions};
use k8s_openapi::api::events::v1::Event;
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::support::{Story, until};

const WORD: &str = "Swordfish";

async fn write<K>(api: &Api<K>, name: &str, status: &Value)
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let params =
        PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
    let patch = Patch::Merge(json!({ "status": status }));
    api.patch_status(name, &params, &patch).await.expect("written");
}

fn condition(kind: &str, status: &str, reason: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": WORD,
        "lastTransitionTime": "2026-01-01T00:00:00Z"})
}

/// Returns the status of the integration without transition times.
async fn said(story: &Story) -> Value {
    let mut status = story.integration().await.status.expect("a status");
    status.conditions = conditions::timeless(&status.conditions);
    serde_json::to_value(status).expect("JSON")
}

async fn until_said(story: &Story, wanted: &Value) {
    until("the status is the controller's", || async {
        let now = said(story).await;
        let fields = wanted.as_object().into_iter().chain(now.as_object()).flatten();
        let other: Vec<_> = fields.filter(|(name, _)| now.get(name) != wanted.get(name)).collect();
        if other.is_empty() { Ok(()) } else { Err(format!("{other:?}")) }
    })
    .await;
}

async fn notes(story: &Story) -> Vec<String> {
    let events: Api<Event> = Api::namespaced(story.client.clone(), &story.namespace);
    let events = events.list(&ListParams::default()).await.expect("events").items;
    events.into_iter().filter_map(|event| event.note).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_writer_makes_of_an_integrations_status_is_put_right_and_not_repeated() {
    let (story, _controller) =
        Story::converged("foreign-status", 6, json!({"interval": "24h"})).await;
    story.sync().await;
    let wanted = said(&story).await;
    let foreign = json!({
        "observedGeneration": 77, "mode": "DryRun", "tenant": WORD, "tenantNamed": WORD,
        "lastHandledSyncAt": WORD, "firstPassAt": "2020-01-01T00:00:00Z",
        "reactivationsHeldSince": "2020-01-01T00:00:00Z",
        "employees": {"inBob": 999, "inScope": 999, "ready": 999, "failing": 7, "pending": 7},
        "plan": {"digest": WORD, "creates": 1, "reactivations": 1, "updates": 1, "disables": 212,
            "heldBecause": WORD},
        "conditions": [condition("Ready", "False", WORD), condition("Stalled", "True", WORD),
            condition("PlanHeld", "True", WORD), condition("EmployeesFailing", "True", WORD),
            condition("BobConnected", "False", WORD)],
    });
    let began = std::time::Instant::now();
    write(&story.integrations(), "onelogin", &foreign).await;
    until_said(&story, &wanted).await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    // It is written once.
    let version = async || story.integration().await.resource_version();
    let before = version().await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(version().await, before, "and then nothing is written");
    // A part that is gone comes back.
    let gone = json!({"tenant": null, "firstPassAt": null, "employees": null, "mode": null});
    write(&story.integrations(), "onelogin", &gone).await;
    until_said(&story, &wanted).await;
    let spread: Vec<_> =
        notes(&story).await.into_iter().filter(|note| note.contains(WORD)).collect();
    assert!(spread.is_empty(), "{spread:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_tenant_takes_no_manager_from_anyone() {
    let (story, _controller) =
        Story::converged("foreign-tenant", 12, json!({"interval": "24h"})).await;
    let resolved = async || -> BTreeMap<String, String> {
        let people = story.everybody().await.into_iter();
        let word = |conditions: &[_]| {
            conditions::find(conditions, "ManagerResolved").map(|it| it.reason.clone())
        };
        people.filter_map(|one| Some((one.name_any(), word(&one.status?.conditions)?))).collect()
    };
    story.sync().await;
    let before = resolved().await;
    assert!(before.values().filter(|reason| *reason == "Resolved").count() > 3, "{before:?}");
    write(&story.integrations(), "onelogin", &json!({"tenant": WORD, "tenantNamed": WORD})).await;
    for (number, name) in before.keys().enumerate() {
        let asked = format!("again-{number}");
        let patch = json!({"metadata": {"annotations": {SYNC_REQUESTED: asked}}});
        let patch = Patch::Merge(patch);
        story.people().patch(name, &PatchParams::default(), &patch).await.expect("a request");
        until("the request is answered", || async {
            let status = story.people().get(name).await.expect("it").status.unwrap_or_default();
            let handled = status.last_handled_sync_at;
            if handled.as_deref() == Some(&*asked) { Ok(()) } else { Err(format!("{handled:?}")) }
        })
        .await;
    }
    assert_eq!(resolved().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_account_id_is_put_right_and_is_no_change_in_the_history() {
    let (story, _controller) =
        Story::converged("foreign-account", 6, json!({"interval": "24h"})).await;
    let (id, _) = story.simulated.somebody().await;
    let name = format!("onelogin-{id}");
    let status = async || story.person(&id).await.expect("it").status.expect("a status");
    let (before, writes) = (status().await, story.simulated.writes().await);
    let known = notes(&story).await.len();
    write(&story.people(), &name, &json!({"account": {"id": "99999999"}})).await;
    until("the account is the right one", || async {
        let now = status().await.account.map(|account| account.id);
        let wanted = before.account.as_ref().map(|account| account.id.clone());
        if now == wanted { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(status().await.history, before.history, "no call was made");
    assert_eq!(story.simulated.writes().await, writes, "and indeed none was made");
    assert_eq!(notes(&story).await.len(), known, "and no event tells of one");
}
