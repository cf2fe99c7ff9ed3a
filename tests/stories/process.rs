//! The process itself: a namespace that cannot be listed, tasks that end, loops that hang.

use bobsync::api::conditions;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use testbed::proxy::{Act, Method};

use crate::support::{Controller, Story, until};

/// Returns status, reason and message of a condition of the integration `onelogin` in this
/// namespace.
async fn condition(story: &Story, namespace: &str, kind: &str) -> Option<(String, String, String)> {
    let api: kube::Api<bobsync::api::ProvisioningIntegration> =
        kube::Api::namespaced(story.client.clone(), namespace);
    let status = api.get("onelogin").await.expect("the integration").status?;
    conditions::find(&status.conditions, kind)
        .map(|c| (c.status.clone(), c.reason.clone(), c.message.clone()))
}

/// Waits until this condition has this reason, or is not there. Returns its message.
async fn says(story: &Story, namespace: &str, kind: &str, reason: Option<&str>) -> String {
    until(&format!("{kind} in {namespace} says {reason:?}"), || async {
        let found = condition(story, namespace, kind).await;
        let same = found.as_ref().map(|(_, said, _)| said.as_str()) == reason;
        if same {
            Ok(found.map(|(_, _, message)| message).unwrap_or_default())
        } else {
            Err(format!("{found:?}"))
        }
    })
    .await
}

/// Makes a second namespace with a copy of the story's integration, for a tenant of its own,
/// without rights in it.
async fn second_namespace(story: &Story, company: &crate::support::Simulated) -> String {
    let name = format!("{}-other", story.namespace);
    story
        .plane
        .apply_yaml(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}"))
        .await
        .expect("a namespace");
    for (secret, data) in [
        ("bob", json!({"serviceUserId": "SERVICE-1", "serviceUserToken": "bob-token-1"})),
        ("onelogin", json!({"clientId": "client-1", "clientSecret": "secret-1"})),
    ] {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret, "namespace": name}, "stringData": data});
        story.plane.apply_yaml(&secret.to_string()).await.expect("a Secret");
    }
    let spec = json!({
        "interval": "10m", "mode": "Enforce", "bob": {"credentialsSecretRef": {"name": "bob"}, "endpoint": company.bob},
        "provider": {"oneLogin": {"region": "EU", "endpoint": company.one_login, "credentialsSecretRef": {"name": "onelogin"}}},
    });
    let object = json!({
        "apiVersion": "bobsync.dev/v1alpha1", "kind": "ProvisioningIntegration",
        "metadata": {"name": "onelogin", "namespace": name}, "spec": spec,
    });
    story.plane.apply_yaml(&object.to_string()).await.expect("the integration is admitted");
    name
}

/// Gives the chart's rights in these namespaces.
async fn rights(story: &Story, namespaces: &[&str]) {
    let values = json!({"namespaces": namespaces, "crds": {"install": false}});
    let chart = story
        .plane
        .helm_template("bobsync", &story.system, values)
        .await
        .expect("helm renders the chart");
    story.plane.apply_yaml(&chart).await.expect("the API server takes the chart");
}

async fn page(controller: &Controller, path: &str) -> (u16, String) {
    let answer = reqwest::get(format!("{}{path}", controller.http)).await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_without_rights_stops_only_itself_and_begins_when_it_gets_them() {
    let story = Story::begin("unlisted", 6).await;
    let company = crate::support::Simulated::start(6).await;
    let gone = second_namespace(&story, &company).await;
    let allow = ["--allow-endpoint", &company.bob, "--allow-endpoint", &company.one_login];
    let arguments = [&["--leader-elect=false", "--namespace", &gone][..], &allow].concat();
    let controller = Controller::with(&story, &arguments).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;

    let message =
        says(&story, &story.namespace, "ControllerHealthy", Some("NamespaceNotListed")).await;
    assert!(message.contains(&gone) && message.contains("403"), "{message}");
    let lines: Vec<serde_json::Value> =
        controller.log().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    // Further tries are lines at the level DEBUG. How many there are by now is a matter of time.
    let about = |line: &serde_json::Value, kind: &str| {
        line["namespace"] == gone && line["kind"] == kind && line["level"] != "DEBUG"
    };
    let told = |kind: &str| lines.iter().filter(|line| about(line, kind)).collect::<Vec<_>>();
    for kind in ["ProvisioningIntegration", "EmployeeSync"] {
        let [line] = *told(kind) else { panic!("one line: {lines:#?}") };
        let mut line = line.clone();
        line.as_object_mut().expect("a line").remove("timestamp");
        let message =
            "a namespace cannot be listed, and its integrations do not begin; trying again";
        let expected = json!({
            "level": "WARN", "message": message, "kind": kind, "namespace": gone, "error": "Forbidden (403)", "target": "bobsync::cluster::watch",
        });
        assert_eq!(line, expected);
    }
    let ours = |line: &&serde_json::Value| {
        line["target"].as_str().is_some_and(|target| target.starts_with("bobsync"))
    };
    assert!(lines.iter().all(|line| ours(&line)), "nothing is said twice: {lines:#?}");
    let started = lines.iter().find(|line| line["message"] == "started").expect("a line");
    assert_eq!(
        started["namespaces"],
        format!("{},{gone}", story.namespace),
        "text, and not JSON in text"
    );
    let series = format!("bobsync_namespace_listed{{namespace=\"{gone}\",kind=\"EmployeeSync\"}}");
    assert!(controller.metrics().await.contains(&format!("{series} 0")));
    let (code, text) = page(&controller, "/readyz").await;
    assert!(code == 200 && text.contains(&gone), "{code} {text}");
    assert_eq!(condition(&story, &gone, "Ready").await, None, "nothing can be said there");
    assert_eq!(company.get("/bob/calls").await["total"], 0);

    rights(&story, &[&story.namespace, &gone]).await;
    says(&story, &gone, "Ready", Some("Converged")).await;
    says(&story, &story.namespace, "ControllerHealthy", None).await;
    assert!(controller.metrics().await.contains(&format!("{series} 1")));
    assert_eq!(page(&controller, "/readyz").await.1, "ok\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_that_is_listed_anew_counts_for_no_other() {
    let story = Story::begin("relisted", 6).await;
    let company = crate::support::Simulated::start(6).await;
    let other = second_namespace(&story, &company).await;
    rights(&story, &[&story.namespace, &other]).await;
    let proxy = story.plane.proxy().await.expect("a proxy");
    let people = format!("/apis/bobsync.dev/v1alpha1/namespaces/{other}/employeesyncs");
    proxy.rule(Act::Status(500), Method::GET, &people, None);
    let allow = [
        "--namespace",
        &other,
        "--allow-endpoint",
        &company.bob,
        "--allow-endpoint",
        &company.one_login,
    ];
    let controller = Controller::behind_with(&story, &proxy, &allow).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    let message = says(&story, &other, "Ready", Some("NamespaceNotListed")).await;
    assert!(message.contains(&other) && message.contains("EmployeeSync"), "{message}");

    let listed = || proxy.struck().len();
    for round in 0..2 {
        let before = listed();
        proxy.expire_watches();
        story.sync().await;
        until("the other namespace was asked for again", || async {
            if listed() > before { Ok(()) } else { Err(round.to_string()) }
        })
        .await;
    }
    assert_eq!(company.get("/bob/calls").await["total"], 0, "nobody knows who is pinned there");
    assert_eq!(company.get("/onelogin/calls").await["total"], 0);
    // A namespace that is deleted between its first list and the list of its EmployeeSyncs is not
    // started.
    let api: kube::Api<bobsync::api::ProvisioningIntegration> =
        kube::Api::namespaced(story.client.clone(), &other);
    let copy = json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "ProvisioningIntegration", "metadata": {"name": "brief"},
        "spec": api.get("onelogin").await.expect("it").spec});
    api.patch("brief", &PatchParams::apply("story").force(), &Patch::Apply(copy))
        .await
        .expect("admitted");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    api.delete("brief", &kube::api::DeleteParams::default()).await.expect("deleted");
    proxy.clear();
    says(&story, &other, "Ready", Some("Converged")).await;
    assert!(!controller.log().contains("/brief"), "it was gone before anything began");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_panics_is_started_again_and_one_that_hangs_fails_the_health() {
    let story = Story::begin("tasks", 6).await;
    story.secret("hook", &[("webhookSecret", "s3cret")]).await;
    let controller = Controller::start(&story).await;
    story.integrate(json!({"interval": "24h", "bob": {"webhookSecretRef": {"name": "hook", "key": "webhookSecret"}}})).await;
    story.ready("Converged").await;
    let of = format!("{}/onelogin", story.namespace);
    let aside = ["urgent", "normal", "evidence", "dates", "signing"];
    for part in aside {
        controller.fault(&format!("panic {part} of {of}"));
    }
    for part in ["election", "webhooks", "events", "watches"] {
        controller.fault(&format!("panic {part}"));
    }
    let restarted = async |part: &str| {
        let series = format!("bobsync_parts_restarted_total{{part=\"{part}\"}} ");
        let page = controller.metrics().await;
        page.lines()
            .find_map(|line| line.strip_prefix(&series).map(str::to_owned))
            .expect("a series")
    };
    for part in aside.iter().chain(&["election", "webhooks", "events", "watches"]) {
        until(&format!("{part} was started again"), || async {
            let times = restarted(part).await;
            if times == "1" { Ok(()) } else { Err(times) }
        })
        .await;
    }
    let message = says(&story, &story.namespace, "ControllerHealthy", Some("PartRestarted")).await;
    until("each of them is told", || async {
        let message = condition(&story, &story.namespace, "ControllerHealthy")
            .await
            .map(|(_, _, message)| message)
            .unwrap_or_default();
        if aside.iter().all(|part| message.contains(&format!("\"{part}\""))) {
            Ok(())
        } else {
            Err(message)
        }
    })
    .await;
    assert!(message.contains("was started again"), "{message}");
    // All parts work: an event, a sync request for one employee, a date. A pass removes the
    // condition.
    let (id, _) = story.simulated.somebody().await;
    story
        .simulated
        .change(
            &id,
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    let body = simulators::bob::webhooks::event(
        "employee.updated",
        &json!({"employeeId": id}),
        jiff::Timestamp::now(),
    );
    // The listener is away for a second, and Bob sends again what was not accepted.
    until("the event is taken", || async {
        let sent = simulators::bob::webhooks::send(
            &controller.webhooks,
            Some("s3cret"),
            body.to_string().into_bytes(),
        )
        .await;
        if sent == Some(200) { Ok(()) } else { Err(format!("{sent:?}")) }
    })
    .await;
    until("the leaver is out", || async {
        let status = story.simulated.account(&id).await.map(|account| account["status"].clone());
        if status == Some(json!(2)) { Ok(()) } else { Err(format!("{status:?}")) }
    })
    .await;
    story.sync().await;
    says(&story, &story.namespace, "ControllerHealthy", None).await;

    // The worker itself fails between two passes: the next one takes its place with the same lines.
    controller.fault(&format!("panic passes of {of}"));
    until("the worker was started again", || async {
        let times = restarted("passes").await;
        if times == "1" { Ok(()) } else { Err(times) }
    })
    .await;
    story.sync().await;
    says(&story, &story.namespace, "ControllerHealthy", None).await;
    assert_eq!(page(&controller, "/healthz").await, (200, "ok\n".to_owned()));

    for part in [format!("normal of {of}"), "election".to_owned(), format!("passes of {of}")] {
        controller.fault(&format!("hang {part}"));
    }
    let began = std::time::Instant::now();
    let names = [
        format!("normal of {of} has been silent"),
        "election has been silent".to_owned(),
        format!("passes of {of} has been silent"),
    ];
    loop {
        let (code, text) = page(&controller, "/healthz").await;
        if code == 500 && names.iter().all(|name| text.contains(name)) {
            break;
        }
        assert!(began.elapsed().as_secs() < 75, "{code} {text}");
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}
