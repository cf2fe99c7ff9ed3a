//! Two integrations in one process: trouble of one does not affect the other.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use simulators::bob::webhooks::{event, send};
use testbed::proxy::{Act, Method};

use crate::support::{Controller, Simulated, Story, until};

const SECRET: &str = "s3cret of the webhook";

/// Makes a second company with a tenant of its own, as the integration `second` of the story.
async fn second(story: &Story, company: &Simulated) {
    let spec = json!({
        "interval": "24h", "mode": "Enforce",
        "bob": {
            "credentialsSecretRef": {"name": "bob"}, "endpoint": company.bob, "webhookSecretRef": {"name": "hook", "key": "webhookSecret"},
        },
        "provider": {"oneLogin": {"region": "US", "endpoint": company.one_login, "credentialsSecretRef": {"name": "onelogin"}}},
    });
    let object = json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "ProvisioningIntegration", "metadata": {"name": "second"}, "spec": spec});
    story
        .integrations()
        .patch("second", &PatchParams::apply("story").force(), &Patch::Apply(object))
        .await
        .expect("admitted");
    until("the second has converged", || async {
        let status = story
            .integrations()
            .get("second")
            .await
            .expect("the second")
            .status
            .unwrap_or_default();
        match bobsync::api::conditions::find(&status.conditions, "Ready") {
            Some(ready) if ready.reason == "Converged" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

async fn deliver(url: &str, number: usize, employee: &str) -> Option<u16> {
    let mut body =
        event("employee.updated", &json!({"employeeId": employee}), jiff::Timestamp::now());
    body["triggeredAt"] = format!("2026-10-14T09:21:07.{number:06}").into();
    send(url, Some(SECRET), body.to_string().into_bytes()).await
}

/// Returns the longest time of a few rounds from a change in Bob, with its event, to the account.
async fn slowest(story: &Story, controller: &Controller, id: &str, round: usize) -> Duration {
    let mut slowest = Duration::ZERO;
    for number in 0..4 {
        let title = format!("Title {round} {number}");
        story.simulated.change(id, json!({"work.title": title})).await;
        let began = Instant::now();
        assert_eq!(deliver(&controller.webhooks, round * 10 + number, id).await, Some(200));
        until("the title is there", || async {
            match story.simulated.account(id).await {
                Some(account) if account["title"] == title => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        slowest = slowest.max(began.elapsed());
    }
    slowest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_provider_and_a_storm_of_events_of_one_integration_slow_no_other() {
    let story = Story::begin("isolated", 6).await;
    story.secret("hook", &[("webhookSecret", SECRET)]).await;
    let company = Simulated::start(40).await;
    let controller = Controller::with(
        &story,
        &["--allow-endpoint", &company.bob, "--allow-endpoint", &company.one_login],
    )
    .await;
    story.integrate(json!({"interval": "24h", "bob": {"webhookSecretRef": {"name": "hook", "key": "webhookSecret"}}})).await;
    story.ready("Converged").await;
    second(&story, &company).await;
    let (id, _) = story.simulated.somebody().await;
    let calm = slowest(&story, &controller, &id, 1).await;

    // The second provider accepts every call and answers none in time, and Bob sends thousands of
    // events about its employees.
    let dead = json!({"kind": "delay", "pathPrefix": "/api/", "delayMs": 120_000});
    company.post("/onelogin/faults", dead).await;
    let people: Vec<String> = company
        .employees()
        .await
        .iter()
        .map(|one| one["root.id"].as_str().expect("an id").to_owned())
        .collect();
    for id in &people[..10] {
        company.change(id, json!({"work.title": "Keeper of Storms"})).await;
    }
    let other = controller.webhooks.replace("/onelogin", "/second");
    let storm = async {
        let deliveries =
            (0..3000).map(|number| (other.clone(), number, people[number % people.len()].clone()));
        let answers: Vec<_> = futures::stream::iter(deliveries)
            .map(|(url, number, id)| async move { deliver(&url, number, &id).await })
            .buffer_unordered(8)
            .collect()
            .await;
        assert!(answers.iter().all(|answer| *answer == Some(200)));
    };
    let ((), stormy) = tokio::join!(storm, slowest(&story, &controller, &id, 2));
    let dead = slowest(&story, &controller, &id, 3).await;
    let through = company
        .accounts()
        .await
        .iter()
        .filter(|account| account["title"] == "Keeper of Storms")
        .count();
    assert_eq!(through, 0, "the second provider is dead");
    assert!(
        stormy < calm * 3 + Duration::from_secs(3),
        "{stormy:?} in the storm and {calm:?} before"
    );
    assert!(
        dead < calm * 2 + Duration::from_secs(1),
        "{dead:?} beside a dead provider and {calm:?} before"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_of_one_that_is_never_taken_delays_no_change_of_another() {
    let story = Story::begin("held-status", 6).await;
    story.secret("hook", &[("webhookSecret", SECRET)]).await;
    let company = Simulated::start(6).await;
    let proxy = story.plane.proxy().await.expect("a proxy");
    let allow = ["--allow-endpoint", &company.bob, "--allow-endpoint", &company.one_login];
    let _controller = Controller::behind_with(&story, &proxy, &allow).await;
    story.integrate(json!({"interval": "24h"})).await;
    story.ready("Converged").await;
    second(&story, &company).await;
    let people =
        story.people().list(&kube::api::ListParams::default()).await.expect("a list").items;
    let active = |person: &&bobsync::api::EmployeeSync| {
        person.spec.integration_ref.name == "second"
            && format!("{:?}", person.status.as_ref().map(|status| status.access))
                .contains("Active")
    };
    let pinned = people.iter().find(active).expect("an active employee of the second");

    // The API server never answers the status of the first integration, and a sync of it is
    // requested.
    let status = format!(
        "/apis/bobsync.dev/v1alpha1/namespaces/{}/provisioningintegrations/onelogin/status",
        story.namespace
    );
    proxy.rule(Act::HoldBefore, Method::PATCH, &status, None);
    for _ in 0..3 {
        story.ask().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    until("a status is held", || async {
        if proxy.struck().is_empty() { Err(String::new()) } else { Ok(()) }
    })
    .await;
    story.ask().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    let patch = json!({"spec": {"attributes": {"title": "Keeper of Pins"}}});
    story
        .people()
        .patch(&crate::support::name(pinned), &PatchParams::default(), &Patch::Merge(patch))
        .await
        .expect("a pin");
    until("the pin is at the provider", || async {
        let title =
            company.account(&pinned.spec.employee_id).await.map(|account| account["title"].clone());
        if title == Some(json!("Keeper of Pins")) { Ok(()) } else { Err(format!("{title:?}")) }
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
