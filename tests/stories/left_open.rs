//! A leaver with an account that bobsync cannot or may not suspend is reported as open: not Ready,
//! counted as failing, with a warning and a clear message.

use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::{
    budgets::leave,
    providers::{ENTRA, JUMPCLOUD, ONE_LOGIN, Provider},
    refusals::{begin, email},
    support::{Controller, Story, condition, until},
};

/// Checks what is said of an employee with access that is open and should not be. `object` is the
/// name of the EmployeeSync.
async fn is_told_as_open(story: &Story, object: &str, reason: &str, words: &str) {
    let person = story.people().get(object).await.expect("an object");
    let ready = condition(&person, "Ready").expect("Ready");
    assert_eq!((ready.0.as_str(), ready.1.as_str()), ("False", reason), "{}", ready.2);
    assert!(ready.2.contains("access is still open") && ready.2.contains(words), "{}", ready.2);
    assert_eq!(
        condition(&person, "Stalled").map(|stalled| (stalled.0, stalled.1)),
        Some(("True".to_owned(), reason.to_owned()))
    );
    let access = condition(&person, "AccessSynced").expect("AccessSynced");
    assert_eq!((access.0.as_str(), access.1.as_str()), ("False", "NotAsDecided"));
    assert!(
        access.2.starts_with("Access is still open: ") && access.2.contains("Terminated"),
        "{}",
        access.2
    );
    assert_eq!(serde_json::to_value(person.status.unwrap().access).unwrap(), "Active");
    let warned = async || {
        let events = kube::Api::<k8s_openapi::api::events::v1::Event>::namespaced(
            story.client.clone(),
            &story.namespace,
        );
        let events =
            events.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let about = |event: &k8s_openapi::api::events::v1::Event| {
            event.regarding.as_ref().and_then(|regarding| regarding.name.as_deref()) == Some(object)
                && (event.reason.as_deref(), event.type_.as_deref())
                    == (Some(reason), Some("Warning"))
        };
        if events.items.iter().any(about) { Ok(()) } else { Err("no warning".to_owned()) }
    };
    until("a warning tells", warned).await;
}

/// Checks that the integration works on, and counts the open accounts.
async fn is_counted(story: &Story, reason: &str) {
    let status = story.ready("Converged").await.status.unwrap();
    assert_eq!(status.employees.map(|counts| counts.failing), Some(1));
    let failing =
        status.conditions.iter().find(|condition| condition.type_ == "EmployeesFailing").unwrap();
    assert!(
        failing.status == "True" && failing.message.contains(&format!("1 {reason}")),
        "{}",
        failing.message
    );
}

/// Another directory is the master of the account.
async fn a_leaver_whom_another_directory_masters_is_told_as_open(at: Provider) {
    let (story, people) = begin(at, "mastered", 4).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"interval": "24h", "provider": at.provider(&story)})).await;
    story.ready("Converged").await;
    let account = at.account(&story, &email(0)).await.expect("an account");
    let mastered = at.mastered().expect("the provider tells it");
    story.simulated.patch(&at.path(&account), mastered).await;
    let before = at.account(&story, &email(0)).await;
    story.simulated.change(&people[0], json!({"work.title": "Keeper of Lamps"})).await;
    leave(&story, &people[..1]).await;
    story.sync().await;
    is_told_as_open(
        &story,
        &format!("onelogin-{}", people[0]),
        "ManagedElsewhere",
        "has to be taken there",
    )
    .await;
    is_counted(&story, "ManagedElsewhere").await;
    assert_eq!(at.account(&story, &email(0)).await, before, "nothing is written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaver_whom_another_directory_masters_is_told_as_open_at_onelogin() {
    Box::pin(a_leaver_whom_another_directory_masters_is_told_as_open(ONE_LOGIN)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaver_whom_another_directory_masters_is_told_as_open_at_entra() {
    Box::pin(a_leaver_whom_another_directory_masters_is_told_as_open(ENTRA)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaver_whom_another_directory_masters_is_told_as_open_at_jumpcloud() {
    Box::pin(a_leaver_whom_another_directory_masters_is_told_as_open(JUMPCLOUD)).await;
}

/// Two accounts without a mark have the leaver's e-mail: it is not known which is the right one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaver_whom_several_accounts_match_is_told_as_open() {
    let (story, people) = begin(ONE_LOGIN, "several", 4).await;
    let user = |name: &str| json!({"email": email(0), "username": name, "firstname": "Robin", "lastname": "Vale", "status": 1});
    for name in ["robin.one", "robin.two"] {
        story.simulated.post("/onelogin/users", user(name)).await;
    }
    leave(&story, &people[..1]).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"interval": "24h"})).await;
    story.ready("Converged").await;
    is_told_as_open(&story, &format!("onelogin-{}", people[0]), "Ambiguous", "suspend by hand")
        .await;
    is_counted(&story, "Ambiguous").await;
    let open = story
        .simulated
        .accounts()
        .await
        .iter()
        .filter(|account| account["email"] == email(0) && account["status"] == 1)
        .count();
    assert_eq!(open, 2, "neither is written");
}

/// Another integration of the same tenant manages the leaver, and its budget holds the suspension.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaver_whom_another_integration_keeps_is_told_as_open() {
    let (story, people) = begin(ONE_LOGIN, "claimed", 4).await;
    let _controller = Controller::start(&story).await;
    let held = json!({"disables": {"max": "0%", "atLeast": 0}});
    let first = story.integrate(json!({"interval": "24h", "safety": held})).await;
    story.ready("Converged").await;
    let mut spec = serde_json::to_value(&first.spec).unwrap();
    spec["safety"] = json!({});
    let kind = json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "ProvisioningIntegration", "metadata": {"name": "second"}});
    let object = |annotation: &str| -> Value {
        let mut object = kind.clone();
        object["spec"] = spec.clone();
        object["metadata"]["annotations"] = json!({"bobsync.dev/sync-requested-at": annotation});
        object
    };
    let apply = async |annotation: &str| {
        let (parameters, patch) =
            (PatchParams::apply("story").force(), Patch::Apply(object(annotation)));
        story.integrations().patch("second", &parameters, &patch).await.expect("admitted");
        until("the second integration has answered", || async {
            let status =
                story.integrations().get("second").await.unwrap().status.unwrap_or_default();
            if status.last_handled_sync_at.as_deref() == Some(annotation) {
                Ok(())
            } else {
                Err(format!("{:?}", status.last_handled_sync_at))
            }
        })
        .await;
    };
    leave(&story, &people[..1]).await;
    story.sync_ends_in("PlanHeld").await;
    apply("request-1").await;
    is_told_as_open(
        &story,
        &format!("second-{}", people[0]),
        "Conflict",
        "onelogin manages this employee",
    )
    .await;
    let account = story.simulated.account(&people[0]).await.unwrap();
    assert_eq!(account["status"], 1);
    // Once the other integration is suspended, this one takes access.
    story.integrate(json!({"interval": "24h", "suspend": true})).await;
    story.ready("Suspended").await;
    apply("request-2").await;
    until("access is taken", || async {
        let account = story.simulated.account(&people[0]).await.unwrap();
        if account["status"] == 2 { Ok(()) } else { Err(account["status"].to_string()) }
    })
    .await;
}
