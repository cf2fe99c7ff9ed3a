//! What an operator relies on: rights, leadership, privacy, endpoints, metrics.

use std::time::Duration;

use serde_json::json;

use crate::support::{Controller, Story, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_charts_rights_are_enough_and_none_is_left_over() {
    let mark = crate::support::mark(crate::support::control_plane().await).await;
    let (story, controller) = Story::converged("rights", 20, json!({"retention": "0s"})).await;
    // Every verb of the role is used: an employee's second status is read before it is written, and
    // a deleted file without retention uses delete.
    let (id, _) = story.simulated.somebody().await;
    story.simulated.change(&id, json!({"work.title": "Keeper of Lamps"})).await;
    story.sync().await;
    // A pin has no owner.
    let (pin, free) = (
        json!({"spec": {"attributes": {"company": "Acme"}}}),
        json!({"spec": {"attributes": null}}),
    );
    for (patch, owners) in [(pin, 0), (free, 1)] {
        let name = format!("onelogin-{id}");
        story
            .people()
            .patch(&name, &kube::api::PatchParams::default(), &kube::api::Patch::Merge(patch))
            .await
            .expect("an edit");
        until("the owner is another one", || async {
            let now = story
                .person(&id)
                .await
                .map_or(0, |person| person.metadata.owner_references.unwrap_or_default().len());
            if now == owners { Ok(()) } else { Err(now.to_string()) }
        })
        .await;
    }
    // The same event again raises the count of the existing one.
    story.simulated.change(&id, json!({"work.title": "Keeper of Rumours"})).await;
    story.sync().await;
    // An employee who had left before needs no second look.
    story
        .simulated
        .change(
            &id,
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    story.sync().await;
    story.simulated.delete(&format!("/bob/employees/{id}")).await;
    story.sync().await;
    story.sync().await;
    until("the object is gone", || async {
        if story.person(&id).await.is_none() { Ok(()) } else { Err("there".to_owned()) }
    })
    .await;
    assert!(controller.stop().await);
    let events = crate::support::audited_since(story.plane, mark, &story.system).await;
    let refused: Vec<_> = events.iter().filter(|event| event.code == 403).collect();
    assert!(refused.is_empty(), "{refused:?}");
    let mut used: Vec<String> = events
        .iter()
        .map(|event| {
            format!(
                "{} {}{}",
                event.verb,
                event.resource,
                if event.subresource.is_empty() {
                    String::new()
                } else {
                    format!("/{}", event.subresource)
                }
            )
        })
        .collect();
    used.sort();
    used.dedup();
    let chart = story
        .plane
        .helm_template(
            "bobsync",
            &story.system,
            json!({"namespaces": [story.namespace], "crds": {"install": false}}),
        )
        .await
        .unwrap();
    let given = crate::support::rules::granted(&chart);
    let unneeded: Vec<_> = given.iter().filter(|right| !used.contains(right)).collect();
    assert!(
        unneeded.is_empty(),
        "the chart gives rights that are not used: {unneeded:?}; used: {used:?}"
    );
    assert!(
        !given.iter().any(|right| right.contains("secrets") && right != "get secrets"),
        "Secrets are read by name alone"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_attribute_value_and_no_secret_is_anywhere_but_in_usernames() {
    let (story, controller) =
        Story::converged("privacy", 40, json!({"privacy": {"usernames": "Hide"}})).await;
    let (id, _) = story.simulated.somebody().await;
    story
        .simulated
        .put("/onelogin/refuse", json!({"rules": [{"field": "title", "contains": "Xylophonist"}]}))
        .await;
    story.simulated.change(&id, json!({"work.title": "Chief Xylophonist"})).await;
    story.simulated.post("/onelogin/faults", json!({"method": "PUT", "times": 1, "kind": "status", "status": 400, "body": {"message": "Validation failed: Title Chief Xylophonist of Noa is not nice", "name": "X", "statusCode": 400}})).await;
    story.sync().await;
    let mut texts = vec![
        ("log".to_owned(), controller.log()),
        ("metrics".to_owned(), controller.metrics().await),
    ];
    for person in story.everybody().await {
        texts.push((crate::support::name(&person), serde_json::to_string(&person.status).unwrap()));
    }
    texts.push((
        "integration".to_owned(),
        serde_json::to_string(&story.integration().await.status).unwrap(),
    ));
    let events = story
        .plane
        .kubectl(&["get", "events", "-n", &story.namespace, "-o", "json"])
        .await
        .unwrap();
    texts.push(("events".to_owned(), String::from_utf8_lossy(&events.stdout).into_owned()));
    let mut values =
        vec!["Xylophonist".to_owned(), "bob-token-1".to_owned(), "secret-1".to_owned()];
    for employee in story.simulated.employees().await {
        for field in [
            "root.email",
            "root.firstName",
            "root.surname",
            "root.displayName",
            "work.workPhone",
            "work.workMobile",
            "work.title",
        ] {
            // Short values and ordinary words are in messages by chance.
            values.extend(
                employee[field]
                    .as_str()
                    .filter(|value| value.chars().count() >= 5)
                    .map(str::to_owned),
            );
        }
    }
    let ordinary = ["Grant", "Chance", "Active"];
    for (place, text) in &texts {
        for value in values.iter().filter(|value| !ordinary.contains(&value.as_str())) {
            assert!(!text.contains(value.as_str()), "{value} stands in {place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_are_admitted_and_valid() {
    let plane = crate::support::control_plane().await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    plane.apply_yaml("{apiVersion: v1, kind: Namespace, metadata: {name: people}}").await.unwrap();
    let answer = plane.kubectl(&["apply", "--dry-run=server", "-f", folder]).await.unwrap();
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    // SCIM has no address of a vendor, so its example says that this one has to be allowed.
    let allowed = bobsync::engine::settings::endpoints::AllowedEndpoints::parse(&[
        "https://idp.example.com".to_owned(),
    ])
    .unwrap();
    let (mut seen, mut files) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        files += 1;
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        if let Ok(integration) =
            serde_saphyr::from_str::<bobsync::api::ProvisioningIntegration>(&text)
        {
            bobsync::engine::settings::validate::validate(&integration.spec, &allowed)
                .unwrap_or_else(|stop| panic!("{}", stop.message));
            seen += 1;
        }
    }
    assert_eq!(seen, files - 1, "all but the EmployeeSync are integrations");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_not_allowed_gets_not_one_request() {
    let story = Story::begin("endpoint", 10).await;
    let _controller = Controller::start(&story).await;
    let other = story.simulated.bob.replace("127.0.0.1", "localhost");
    story.integrate(json!({"bob": {"endpoint": other}})).await;
    story.ready("EndpointNotAllowed").await;
    assert_eq!(story.simulated.get("/bob/calls").await["total"], 0);
    assert_eq!(story.simulated.get("/onelogin/calls").await["total"], 0);
    story
        .integrate(json!({"bob": {"endpoint": story.simulated.bob, "timeZone": "Mars/Olympus"}}))
        .await;
    let integration = story.ready("InvalidSettings").await;
    let ready =
        integration.status.unwrap().conditions.into_iter().find(|c| c.type_ == "Ready").unwrap();
    assert!(ready.message.contains("Mars/Olympus"), "{}", ready.message);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_replicas_works_and_hands_over_at_once() {
    let (story, first) = Story::converged("lead", 20, json!({})).await;
    let second = Controller::start(&story).await;
    story.simulated.forget_calls().await;
    story.sync().await;
    assert_eq!(story.simulated.calls("bob", "POST /v1/people/search").await, 1, "one works");
    assert!(first.stop().await);
    let began = std::time::Instant::now();
    let (id, _) = story.simulated.somebody().await;
    story.simulated.change(&id, json!({"work.title": "Successor"})).await;
    story.sync().await;
    assert!(began.elapsed() < Duration::from_secs(15), "the hand-over took {:?}", began.elapsed());
    assert_eq!(story.simulated.account(&id).await.unwrap()["title"], "Successor");
    assert!(second.metrics().await.contains("bobsync_"));
    assert!(second.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_paused_beyond_its_lease_writes_nothing_more() {
    let (story, first) = Story::converged("paused", 8, json!({"interval": "1m"})).await;
    let (id, _) = story.simulated.somebody().await;
    let title = async || story.simulated.account(&id).await.unwrap()["title"].clone();
    let second = Controller::start(&story).await;
    first.pause();
    story.simulated.change(&id, json!({"work.title": "Successor"})).await;
    // The second replica takes over when the first can no longer rely on its lease.
    for _ in 0..150 {
        if title().await == "Successor" {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(title().await, "Successor");
    // Now the first wakes, with an interval long overdue and work to do. The second is paused and
    // still holds the lease.
    second.pause();
    story.simulated.change(&id, json!({"work.title": "Latecomer"})).await;
    story.simulated.forget_calls().await;
    first.resume();
    until("the first notices", || async {
        if first.log().contains("stepped down") { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(story.simulated.writes().await, 0, "whoever was paused writes nothing");
    assert_eq!(title().await, "Successor");
    second.resume();
    story.sync().await;
    assert_eq!(title().await, "Latecomer");
    assert_eq!(story.simulated.writes().await, 1);
    assert!(first.stop().await && second.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_is_to_stop_works_on_until_nobody_is_sent_to_it() {
    let plane = crate::support::control_plane().await;
    let pod = async |webhooks: serde_json::Value| {
        let values = json!({"webhooks": webhooks, "crds": {"install": false}});
        let chart = plane
            .helm_template("bobsync", "stopping", values)
            .await
            .expect("helm renders the chart");
        let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(&chart).expect("YAML");
        let deployment = documents
            .into_iter()
            .find(|document| document["kind"] == "Deployment")
            .expect("a Deployment");
        let pod = &deployment["spec"]["template"]["spec"];
        (pod["containers"][0]["lifecycle"].clone(), pod["terminationGracePeriodSeconds"].clone())
    };
    let pause = |seconds: u32| json!({"preStop": {"sleep": {"seconds": seconds}}});
    // A graceful stop takes 50 s at most, and the pause counts in the same time.
    assert_eq!(pod(json!({})).await, (pause(5), json!(65)));
    assert_eq!(pod(json!({"stopDelaySeconds": 20})).await, (pause(20), json!(80)));
    assert_eq!(pod(json!({"stopDelaySeconds": 0})).await, (serde_json::Value::Null, json!(60)));
    assert_eq!(
        pod(json!({"service": false})).await,
        (serde_json::Value::Null, json!(60)),
        "nobody is sent there"
    );
}
