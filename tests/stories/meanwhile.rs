//! Events between the verdict of a full pass and its write. The API server answers slowly, every
//! status is written again, and the employees with news are last in the row.

use std::time::Duration;

use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use testbed::{
    Proxy,
    proxy::{Act, Method},
};

use crate::{
    attempts::{annotate, answered, deliver, hooked, until_reason, until_status},
    budgets::staff,
    support::{Controller, Story, ready, until},
};

const REVOKED: &str = "employee.access.revoked.immediately";
const ACTIVATED: &str = "employee.activated";

/// How many statuses are written at once.
const AT_ONCE: usize = 32;

/// Starts a converged company that is larger than what is written at once, and a controller that
/// goes through a proxy.
async fn begun(name: &str) -> (Story, Vec<String>, Proxy, Controller) {
    let story = Story::begin(name, 0).await;
    story.secret("hook", &[("webhookSecret", crate::attempts::SECRET)]).await;
    let people = staff(&story, AT_ONCE + 8).await;
    let proxy = story.plane.proxy().await.expect("a proxy");
    let controller = Controller::behind(&story, &proxy).await;
    story.integrate(hooked(json!({}))).await;
    story.ready("Converged").await;
    (story, people, proxy, controller)
}

fn objects(story: &Story) -> String {
    format!("/apis/bobsync.dev/v1alpha1/namespaces/{}/employeesyncs/*", story.namespace)
}

/// Waits until a full pass that writes every status again has made its verdicts, and reads the
/// first objects to write them. Returns the employees that it has not reached, the last one last.
async fn verdicts_are_made(
    story: &Story,
    proxy: &Proxy,
    people: &[String],
    usernames: &str,
) -> Vec<String> {
    let before = proxy.struck().len();
    proxy.rule(Act::Delay(Duration::from_secs(4)), Method::GET, &objects(story), None);
    story.integrate(hooked(json!({"privacy": {"usernames": usernames}}))).await;
    until("the first statuses are being written", || async {
        let struck = proxy.struck().len() - before;
        if struck >= AT_ONCE / 2 { Ok(()) } else { Err(struck.to_string()) }
    })
    .await;
    // All that begin together have begun.
    tokio::time::sleep(Duration::from_millis(500)).await;
    proxy.clear();
    let begun: Vec<String> =
        proxy.struck().split_off(before).into_iter().map(|struck| struck.path).collect();
    people
        .iter()
        .filter(|id| !begun.iter().any(|path| path.ends_with(id.as_str())))
        .cloned()
        .collect()
}

async fn evidence(story: &Story, id: &str) -> Option<Value> {
    let status =
        serde_json::to_value(story.person(id).await.unwrap().status.unwrap_or_default()).unwrap();
    status.get("evidence").filter(|evidence| !evidence.is_null()).cloned()
}

async fn access(story: &Story, id: &str) -> Value {
    serde_json::to_value(story.person(id).await.unwrap().status.unwrap_or_default().access).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_that_ends_or_comes_between_a_verdict_and_its_write_stands_after_it() {
    let (story, people, proxy, controller) = begun("meanwhile").await;
    let late = verdicts_are_made(&story, &proxy, &people, "Hide").await;
    story.ready("Converged").await;
    let ended = late.last().expect("somebody is written later");
    let now = Timestamp::now();
    // No event: further looks at an announced employee would come in between.
    let evidence_of = json!({"kind": "AccessRevoked", "observedAt": "2026-01-01T00:00:00Z", "startDate": "2022-03-01"});
    let status = Patch::Merge(json!({"status": {"evidence": evidence_of}}));
    story
        .people()
        .patch_status(&format!("onelogin-{ended}"), &PatchParams::default(), &status)
        .await
        .expect("written");
    story.sync().await;
    until_status(&story, ended, 2).await;
    until_reason(&story, ended, "InSync").await;
    let late = verdicts_are_made(&story, &proxy, &people, "Show").await;
    let [came, gone, asked, ..] = &late[..] else { panic!("three people: {late:?}") };
    let written =
        async |id: &str| story.person(id).await.unwrap().status.unwrap().username.is_some();
    for id in [ended, came, gone, asked] {
        assert!(!written(id).await, "its turn has not come");
    }
    assert_eq!(
        deliver(&controller, ACTIVATED, ended, now + Duration::from_secs(1)).await,
        Some(200)
    );
    assert_eq!(deliver(&controller, REVOKED, came, now).await, Some(200));
    story.simulated.delete(&format!("/bob/employees/{gone}")).await;
    assert_eq!(deliver(&controller, "employee.deleted", gone, now).await, Some(200));
    annotate(&story, asked, "meanwhile").await;
    // A pass of its own acts on each of them at once.
    until_status(&story, ended, 1).await;
    until_status(&story, came, 2).await;
    until_status(&story, gone, 2).await;
    answered(&story, asked, "meanwhile").await;
    story.ready("Converged").await;
    assert_eq!(evidence(&story, ended).await, None, "it does not come back");
    assert_eq!(
        evidence(&story, came).await.map(|evidence| evidence["kind"].clone()),
        Some(json!("AccessRevoked"))
    );
    assert_eq!(
        evidence(&story, gone).await.map(|evidence| evidence["kind"].clone()),
        Some(json!("FileDeleted"))
    );
    answered(&story, asked, "meanwhile").await;
    let revoked = story.integration().await.status.unwrap().revoked;
    let of = |id: &str| {
        revoked.iter().find(|one| one.employee_id == id).map(|one| one.ended_at.is_some())
    };
    assert_eq!((of(ended), of(came)), (Some(true), Some(false)), "{revoked:?}");
    // The statuses say what the later passes found, and stay so.
    for round in 0..2 {
        for (id, wanted) in
            [(ended, "Active"), (came, "Suspended"), (gone, "Suspended"), (asked, "Active")]
        {
            assert_eq!(
                (access(&story, id).await, ready(&story.person(id).await.unwrap()).1),
                (json!(wanted), "InSync".to_owned()),
                "{round}"
            );
        }
        story.sync().await;
    }
    assert_eq!(story.simulated.account(ended).await.unwrap()["status"], 1);
    assert_eq!(story.simulated.account(came).await.unwrap()["status"], 2);
}
