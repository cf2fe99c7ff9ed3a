//! One owner writes statuses by server-side apply: only the process that leads.

use std::{collections::BTreeMap, time::Duration};

use bobsync::{
    api::{
        EmployeeSync, EmployeeSyncStatus, ProvisioningIntegration, ProvisioningIntegrationStatus,
        conditions,
        integration::{Approved, EmployeeCounts, RevokedAccess},
        key::IntegrationKey,
    },
    cluster::{connect::with_settings, leadership::Leadership, roster, status::Writer},
    engine::integration::status::{self, IntegrationStatus},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{
    CustomResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::{Map, Value, json};
use simulators::rng::Rng;
use testbed::proxy::{Act, Method};

use crate::{
    attempts::{deliver, hooked, until_status},
    budgets::{leave, staff},
    support::{Controller, Moving, Story, until},
};

/// Makes a writer with the rights of the chart's ServiceAccount.
async fn writer(story: &Story, leadership: &Leadership) -> Writer {
    let file = story.plane.kubeconfig_for(&story.system, "bobsync").await.expect("a token");
    let file = kube::config::Kubeconfig::read_from(file).expect("a kubeconfig");
    let config =
        kube::Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default())
            .await
            .expect("a configuration");
    Writer::new(&with_settings(config).expect("a client"), &story.namespace, leadership)
}

fn key(story: &Story) -> IntegrationKey {
    IntegrationKey { namespace: story.namespace.as_str().into(), name: "onelogin".into() }
}

/// Returns the schema of the status in a CRD.
fn schema(crd: &impl serde::Serialize) -> Value {
    let crd = serde_json::to_value(crd).expect("JSON");
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"].clone()
}

/// Generates any value of this schema. A field that is added to the API is included without a
/// change here.
fn any(schema: &Value, rng: &mut Rng) -> Value {
    if let Some(words) = schema["enum"].as_array() {
        return rng.pick(words).clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let required: Vec<&str> = schema["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let fields = schema["properties"].as_object().cloned().unwrap_or_default();
            let chosen: Vec<_> = fields
                .iter()
                .filter(|(name, _)| required.contains(&name.as_str()) || rng.chance(0.5))
                .collect();
            chosen
                .into_iter()
                .map(|(name, schema)| (name.clone(), any(schema, rng)))
                .collect::<Map<_, _>>()
                .into()
        }
        Some("array") => {
            let mut items: Vec<Value> =
                (0..rng.below(4)).map(|_| any(&schema["items"], rng)).collect();
            let keys: Vec<String> = schema["x-kubernetes-list-map-keys"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            let mut known = Vec::new();
            items.retain(|item| {
                let key: Vec<_> = keys.iter().map(|key| item[key].clone()).collect();
                let fresh = keys.is_empty() || !known.contains(&key);
                known.push(key);
                fresh
            });
            items.into()
        }
        Some("string") if schema["format"] == "date-time" => {
            let second = 1_780_000_000 + i64::try_from(rng.below(1_000_000)).expect("small");
            Timestamp::from_second(second).expect("a time").to_string().into()
        }
        Some("string") => rng.pick(&["A", "Be", "Cedar", "Dot", "Elm"]).to_string().into(),
        Some("integer") => rng.below(1000).into(),
        Some("boolean") => rng.chance(0.5).into(),
        other => panic!("a status has a field of type {other:?}: {schema}"),
    }
}

/// Returns the same as a status. An empty part says nothing, and is never written.
fn status<T: serde::de::DeserializeOwned + serde::Serialize>(value: Value) -> T {
    fn prune(value: &mut Value) {
        if let Value::Object(fields) = value {
            fields.values_mut().for_each(prune);
            fields.retain(|_, field| *field != json!({}));
        }
    }
    let mut value = value;
    // The API server shows a default until a status is written.
    value["observedGeneration"] = value.get("observedGeneration").cloned().unwrap_or(json!(-1));
    let status: T = serde_json::from_value(value).expect("a status");
    let mut value = serde_json::to_value(status).expect("JSON");
    prune(&mut value);
    serde_json::from_value(value).expect("a status")
}

/// Returns each value of this schema that differs from this one in one place, and the place: a part
/// that is left out, or another value. `Null` means a part that is left out.
fn others(schema: &Value, value: &Value) -> Vec<(String, Value)> {
    match value {
        Value::Object(fields) => {
            let required: Vec<&str> = schema["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let mut found = Vec::new();
            for (name, field) in fields {
                let mut changed = others(&schema["properties"][name], field);
                if !required.contains(&name.as_str()) {
                    changed.push((String::new(), Value::Null));
                }
                found.extend(changed.into_iter().map(|(place, other)| {
                    let mut fields = fields.clone();
                    if other.is_null() {
                        fields.remove(name)
                    } else {
                        fields.insert(name.clone(), other)
                    };
                    (format!(".{name}{place}"), Value::Object(fields))
                }));
            }
            found
        }
        Value::Array(items) => {
            let Some(first) = items.first() else { return Vec::new() };
            let with = |other: Value| {
                Value::Array(std::iter::once(other).chain(items[1..].iter().cloned()).collect())
            };
            let changed = others(&schema["items"], first)
                .into_iter()
                .map(|(place, other)| (format!("[0]{place}"), with(other)));
            changed.chain([("[0]".to_owned(), Value::Array(items[1..].to_vec()))]).collect()
        }
        Value::String(text) => {
            let words: Vec<Value> = schema["enum"].as_array().cloned().unwrap_or_default();
            let other = match schema["format"].as_str() {
                _ if !words.is_empty() => words.into_iter().find(|word| word != value),
                Some("date-time") => Some(json!("2020-01-01T00:00:00Z")),
                _ => Some(format!("{text}s").into()),
            };
            other.into_iter().map(|other| (String::new(), other)).collect()
        }
        Value::Number(number) => vec![(String::new(), json!(number.as_i64().expect("whole") + 1))],
        Value::Bool(yes) => vec![(String::new(), json!(!yes))],
        Value::Null => Vec::new(),
    }
}

/// Returns a value of this schema with every part in it.
fn full(schema: &Value, rng: &mut Rng) -> Value {
    match any(schema, rng) {
        Value::Object(_) => {
            let fields = schema["properties"].as_object().cloned().unwrap_or_default();
            fields
                .iter()
                .map(|(name, schema)| (name.clone(), full(schema, rng)))
                .collect::<Map<_, _>>()
                .into()
        }
        Value::Array(_) => json!([full(&schema["items"], rng)]),
        // A false value is left out if it may be.
        Value::Bool(_) => true.into(),
        other => other,
    }
}

/// A field that is added to a status is included without a change here or there.
#[test]
fn statuses_that_differ_in_one_place_are_not_the_same() {
    let rng = &mut Rng::new(1);
    let of = |value: &Value| {
        serde_json::from_value::<ProvisioningIntegrationStatus>(value.clone()).expect("a status")
    };
    let schema_of_integration = schema(&ProvisioningIntegration::crd());
    let whole = full(&schema_of_integration, rng);
    let known = others(&schema_of_integration, &whole);
    assert!(known.len() > 80, "{}", known.len());
    assert!(status::same(&of(&whole), &of(&whole)));
    for (place, other) in known {
        let times = place == ".conditions[0].lastTransitionTime";
        assert_eq!(status::same(&of(&whole), &of(&other)), times, "{place}");
    }
    let of = |value: &Value| {
        serde_json::from_value::<EmployeeSyncStatus>(value.clone()).expect("a status")
    };
    let schema_of_person = schema(&EmployeeSync::crd());
    let whole = full(&schema_of_person, rng);
    let known = others(&schema_of_person, &whole);
    assert!(known.len() > 60, "{}", known.len());
    assert!(roster::same(&of(&whole), &of(&whole)));
    for (place, other) in known {
        let times = place == ".conditions[0].lastTransitionTime";
        assert_eq!(roster::same(&of(&whole), &of(&other)), times, "{place}");
        // A pass that has not read the status does not know what is remembered of earlier changes.
        let remembered = times || place.starts_with(".history") || place.starts_with(".counted");
        assert_eq!(
            roster::digest(&of(&whole)) == roster::digest(&of(&other)),
            remembered,
            "{place}"
        );
    }
}

/// Writes a status by a merge patch, as a person or an older bobsync does.
async fn merged<K>(api: &kube::Api<K>, name: &str, manager: &str, status: &Value)
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
    api.patch_status(name, &params, &Patch::Merge(json!({ "status": status })))
        .await
        .expect("written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_status_after_any_other_is_read_back_as_it_was_written() {
    let story = Story::begin("statuses", 0).await;
    let writer = writer(&story, &Leadership::always()).await;
    let mut integration = story.integrate(json!({})).await;
    let mut person = writer
        .create_person(&key(&story), &integration.metadata.uid.clone().unwrap_or_default(), "7")
        .await
        .expect("an object");
    let (of_integration, of_person) =
        (schema(&ProvisioningIntegration::crd()), schema(&EmployeeSync::crd()));
    for seed in 0..60 {
        let mut rng = Rng::new(seed);
        if seed % 3 > 0 {
            // Returns one of the patches that would stay in the status of their writer.
            let manager = if seed % 3 == 1 { "bobsync" } else { "kubectl-edit" };
            merged(&story.integrations(), "onelogin", manager, &any(&of_integration, &mut rng))
                .await;
            merged(&story.people(), "onelogin-7", manager, &any(&of_person, &mut rng)).await;
            integration = writer.read_integration("onelogin").await.expect("a read");
            person = writer.read_person(&key(&story), "7").await.expect("a read");
        }
        let wanted: ProvisioningIntegrationStatus = status(any(&of_integration, &mut rng));
        integration = writer
            .apply_integration(
                &integration.metadata,
                &integration.status.unwrap_or_default(),
                &wanted,
            )
            .await
            .expect("applied");
        let read = story.integration().await.status;
        assert_eq!(read.as_ref(), Some(&wanted), "seed {seed}");
        let wanted: EmployeeSyncStatus = status(any(&of_person, &mut rng));
        person = writer.apply_person(&person, &wanted).await.expect("applied");
        let read = story.person("7").await.expect("the object").status;
        assert_eq!(read.as_ref(), Some(&wanted), "seed {seed}");
        // The same once more gives no other version.
        let again = writer.apply_person(&person, &wanted).await.expect("applied");
        assert_eq!(
            again.metadata.resource_version, person.metadata.resource_version,
            "seed {seed}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_that_was_written_the_old_way_leaves_nothing_behind() {
    let (story, _controller) = Story::converged("statuses-old", 6, json!({})).await;
    let (id, _) = story.simulated.somebody().await;
    let plan = json!({"digest": "sha256:old", "creates": 0, "reactivations": 0, "updates": 0, "disables": 4, "heldBecause": "4 suspensions"});
    merged(
        &story.integrations(),
        "onelogin",
        "bobsync",
        &json!({"plan": plan, "firstPassAt": "2026-01-01T00:00:00Z"}),
    )
    .await;
    let counted = json!({"createdAt": "2026-01-01T00:00:00Z"});
    merged(
        &story.people(),
        &format!("onelogin-{id}"),
        "bobsync",
        &json!({"heldPart": "00000000000000ff", "counted": counted}),
    )
    .await;
    story.sync().await;
    let status = story.integration().await.status.expect("a status");
    assert_eq!(status.plan, None);
    until("the person's status is the controller's", || async {
        let status = story.person(&id).await.expect("an object").status.expect("a status");
        if status.held_part.is_none() { Ok(()) } else { Err(format!("{:?}", status.held_part)) }
    })
    .await;
}

/// What the controller remembers in the statuses. It reads these fields back, so it cannot tell what
/// another writer adds to them from its own words.
const MEMORY: [&str; 7] = [
    "evidence",
    "history",
    "counted",
    "approved",
    "revoked",
    "lifecycles",
    "reactivationsHeldSince",
];

/// Returns a value of every field of this schema that is not in the status, except for the memory.
/// A field that is added to the API is included without a change here.
fn missing(schema: &Value, status: &Value) -> Map<String, Value> {
    let rng = &mut Rng::new(7);
    let fields = schema["properties"].as_object().expect("fields").iter();
    let is_missing = |name: &str| status.get(name).is_none() && !MEMORY.contains(&name);
    let added = fields.filter(|(name, _)| is_missing(name));
    added.map(|(name, schema)| (name.clone(), full(schema, rng))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_field_that_another_writer_adds_to_a_status_is_removed_and_then_nothing_is_written() {
    let (story, _controller) =
        Story::converged("statuses-added", 6, json!({"interval": "24h"})).await;
    let (id, _) = story.simulated.somebody().await;
    let of_person = async || {
        let status = story.person(&id).await.expect("an object").status.expect("a status");
        serde_json::to_value(status).expect("JSON")
    };
    let of_integration = async || {
        let status = story.integration().await.status.expect("a status");
        serde_json::to_value(status).expect("JSON")
    };
    let (person, integration) = (of_person().await, of_integration().await);
    let to_person = missing(&schema(&EmployeeSync::crd()), &person);
    let to_integration = missing(&schema(&ProvisioningIntegration::crd()), &integration);
    for added in [&to_person, &to_integration] {
        assert!(added.contains_key("lastHandledSyncAt") && added.len() > 3, "{added:?}");
    }
    let (people, integrations) = (story.people(), story.integrations());
    merged(&people, &format!("onelogin-{id}"), "kubectl-edit", &json!(to_person)).await;
    let left = |added: &Map<String, Value>, now: &Value| -> Vec<String> {
        added.keys().filter(|name| now.get(name).is_some()).cloned().collect()
    };
    until("the employee's status is the controller's", || async {
        let left = left(&to_person, &of_person().await);
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    merged(&integrations, "onelogin", "kubectl-edit", &json!(to_integration)).await;
    // No request is made, so nothing is echoed.
    story.integrate(json!({"interval": "24h", "retention": "100h"})).await;
    story.ready("Converged").await;
    until("the integration's status is the controller's", || async {
        let left = left(&to_integration, &of_integration().await);
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    let version = async || story.person(&id).await.expect("an object").metadata.resource_version;
    let before = version().await;
    story.sync().await;
    assert_eq!(version().await, before, "a steady state writes nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_is_held_no_more_is_held_for_no_reason_and_nothing_is_patched() {
    let story = Story::begin("statuses-held", 2).await;
    let people = staff(&story, 30).await;
    let controller = Moving::start(&story, "2026-11-24T09:00:00Z").await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    leave(&story, &people[..8]).await;
    story.sync().await;
    let held = story.ready("PlanHeld").await.status.expect("a status").plan.expect("a plan");
    assert!(held.held_because.is_some() && held.disables == 8, "{held:?}");
    story.integrate(json!({"mode": "DryRun"})).await;
    let dry = story.ready("DryRun").await.status.expect("a status").plan.expect("a plan");
    assert_eq!((dry.held_because, dry.disables), (None, 8));
    let (mark, searches) =
        (story.mark().await, story.simulated.calls("bob", "POST /v1/people/search").await);
    for (pass, now) in ["2026-11-24T09:11:00Z", "2026-11-24T09:22:00Z"].into_iter().enumerate() {
        controller.to(&story, now).await;
        until("a pass has looked at everybody", || async {
            let now = story.simulated.calls("bob", "POST /v1/people/search").await;
            if now > searches + pass as u64 { Ok(()) } else { Err(now.to_string()) }
        })
        .await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let patches: Vec<_> =
        story.audited(mark).await.into_iter().filter(testbed::AuditEvent::is_write).collect();
    assert!(patches.is_empty(), "{patches:?}");
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_of_an_older_view_keeps_what_the_newer_one_has() {
    let story = Story::begin("statuses-views", 0).await;
    let writer = writer(&story, &Leadership::always()).await;
    let key = key(&story);
    let object = story.integrate(json!({})).await;
    let (mut older, mut newer) = (IntegrationStatus::of(&object), IntegrationStatus::of(&object));
    let at = Time("2026-11-24T09:00:00Z".parse().expect("a time"));
    let approved = Approved {
        digest: "sha256:b".to_owned(),
        by: None,
        at: at.clone(),
        after: None,
        earlier: Vec::new(),
        leaving: false,
    };
    let revoked = RevokedAccess {
        employee_id: "7".to_owned(),
        observed_at: at,
        start_date: None,
        ended_at: None,
    };
    let news = |before: &ProvisioningIntegrationStatus| {
        let (approved, revoked) = (Some(approved.clone()), vec![revoked.clone()]);
        Some(ProvisioningIntegrationStatus {
            approved,
            revoked,
            last_handled_sync_at: Some("b".to_owned()),
            ..before.clone()
        })
    };
    assert!(newer.write(&writer, &key, 1, news).await);
    let counts = |before: &ProvisioningIntegrationStatus| {
        Some(ProvisioningIntegrationStatus {
            employees: Some(EmployeeCounts { in_bob: 5, ..EmployeeCounts::default() }),
            ..before.clone()
        })
    };
    assert!(older.write(&writer, &key, 1, counts).await);
    let status = story.integration().await.status.expect("a status");
    assert_eq!((status.approved, status.revoked), (Some(approved), vec![revoked]));
    assert_eq!(
        (status.last_handled_sync_at.as_deref(), status.employees.map(|counts| counts.in_bob)),
        (Some("b"), Some(5))
    );
    // An EmployeeSync is also written at the version that was read.
    let uid = object.metadata.uid.unwrap_or_default();
    let person = writer.create_person(&key, &uid, "7").await.expect("an object");
    let evidence =
        json!({"evidence": {"kind": "AccessRevoked", "observedAt": "2026-11-24T09:00:00Z"}});
    merged(&story.people(), "onelogin-7", "kubectl-edit", &evidence).await;
    let error = writer
        .apply_person(&person, &EmployeeSyncStatus::default())
        .await
        .expect_err("an older view");
    assert!(error.is_outdated(), "{error}");
    assert!(story.person("7").await.expect("it").status.expect("a status").evidence.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_whose_release_is_on_record_goes_out_although_the_answer_was_lost() {
    let story = Story::begin("statuses-release", 0).await;
    let people = staff(&story, 30).await;
    let proxy = story.plane.proxy().await.expect("a proxy");
    let _controller = Controller::behind(&story, &proxy).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    leave(&story, &people[..8]).await;
    story.sync().await;
    story.ready("PlanHeld").await;
    let searches = async || story.simulated.calls("bob", "POST /v1/people/search").await;
    let before = searches().await;
    // Bob takes so long that the pass is under way when the connection is cut.
    let slow = json!({"kind": "delay", "method": "POST", "pathPrefix": "/v1/people/search", "delayMs": 3000});
    story.simulated.post("/bob/faults", slow).await;
    crate::attempts::approve(&story).await;
    until("the pass has begun", || async {
        let conditions = story.integration().await.status.unwrap_or_default().conditions;
        let ready = conditions::find(&conditions, "Ready").map(|ready| ready.reason.clone());
        if ready.as_deref() == Some("Progressing") { Ok(()) } else { Err(format!("{ready:?}")) }
    })
    .await;
    proxy.rule(Act::Half, Method::PATCH, "*/provisioningintegrations/onelogin/status", Some(1));
    for id in &people[..8] {
        until_status(&story, id, 2).await;
    }
    assert_eq!(proxy.struck().len(), 1);
    assert_eq!(searches().await - before, 1, "by the same pass");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_does_not_lead_writes_no_status_and_deletes_nothing() {
    let story = Story::begin("statuses-follower", 0).await;
    let leadership = Leadership::always();
    let writer = writer(&story, &leadership).await;
    let object = story.integrate(json!({})).await;
    let person = writer
        .create_person(&key(&story), &object.metadata.uid.clone().unwrap_or_default(), "7")
        .await
        .expect("an object");
    // It does not belong to the integration any more, so its owner must change.
    let params = PatchParams::default();
    story
        .people()
        .patch("onelogin-7", &params, &Patch::Merge(json!({"spec": {"suspend": true}})))
        .await
        .expect("patched");
    leadership.release().await;
    let mark = story.mark().await;
    let errors = [
        writer
            .apply_integration(
                &object.metadata,
                &ProvisioningIntegrationStatus::default(),
                &ProvisioningIntegrationStatus::default(),
            )
            .await
            .map(drop),
        writer.apply_person(&person, &EmployeeSyncStatus::default()).await.map(drop),
        writer
            .create_person(&key(&story), "4d1f0a34-0000-0000-0000-000000000000", "8")
            .await
            .map(drop),
        writer.delete_person(&person).await,
        writer.tie(&key(&story), "4d1f0a34-0000-0000-0000-000000000000", "7").await,
        writer.untie(&key(&story), "7").await,
        writer.patch_unread("onelogin", &object.metadata, 1, &[]).await,
    ];
    for error in errors {
        assert!(
            error.as_ref().is_err_and(bobsync::cluster::status::WriteError::is_followers),
            "{error:?}"
        );
    }
    let writes: Vec<_> =
        story.audited(mark).await.into_iter().filter(testbed::AuditEvent::is_write).collect();
    assert!(writes.is_empty(), "{writes:?}");
}

/// Makes every kind of write to the API server.
const SAYING: [(Method, &str); 4] = [
    (Method::PATCH, "*/status"),
    (Method::POST, "*/employeesyncs"),
    (Method::DELETE, "*/employeesyncs/*"),
    (Method::POST, "*/events"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_paused_beyond_its_lease_says_nothing_more() {
    let story = Story::begin("statuses-paused", 0).await;
    story.secret("hook", &[("webhookSecret", crate::attempts::SECRET)]).await;
    let people = staff(&story, 12).await;
    let proxy = story.plane.proxy().await.expect("a proxy");
    let first = Controller::elected_behind(&story, &proxy, "first").await;
    until("it leads", || async {
        if first.log().contains("leading") { Ok(()) } else { Err(first.log()) }
    })
    .await;
    story
        .integrate(hooked(
            json!({"safety": {"disables": {"max": "0%", "atLeast": 2, "per": "24h"}}}),
        ))
        .await;
    story.ready("Converged").await;
    let second = Controller::start(&story).await;
    // The first process is in the middle of a pass, with a suspension under way.
    story
        .simulated
        .post(
            "/onelogin/faults",
            json!({"kind": "hold", "method": "PUT", "pathPrefix": "/api/2/users", "times": 1}),
        )
        .await;
    leave(&story, &people[..1]).await;
    story.simulated.forget_calls().await;
    story.ask().await;
    until("the suspension is under way", || async {
        let calls = story.simulated.get("/onelogin/calls").await;
        if calls["writes"].as_u64() > Some(0) { Ok(()) } else { Err(calls.to_string()) }
    })
    .await;
    first.pause();
    story.simulated.delete("/onelogin/faults").await;
    for (method, path) in SAYING {
        proxy.rule(Act::Delay(Duration::ZERO), method, path, None);
    }
    patiently("the second has the leaver out", async || {
        let account = story.simulated.account(&people[0]).await;
        account.is_some_and(|account| account["status"] == 2)
    })
    .await;
    story.ready("Converged").await;
    // Evidence, and a plan that a person approves.
    assert_eq!(
        deliver(&second, "employee.access.revoked.immediately", &people[1], Timestamp::now()).await,
        Some(200)
    );
    until_status(&story, &people[1], 2).await;
    leave(&story, &people[2..6]).await;
    story.sync().await;
    story.ready("PlanHeld").await;
    crate::attempts::approve(&story).await;
    story.ready("Converged").await;
    for id in &people[2..6] {
        until_status(&story, id, 2).await;
    }
    let said = story.sync().await;
    let versions = async || -> BTreeMap<String, Option<String>> {
        let people = story.everybody().await.into_iter();
        people
            .map(|person| {
                (person.metadata.name.unwrap_or_default(), person.metadata.resource_version)
            })
            .collect()
    };
    let people_before = versions().await;
    let mark = story.mark().await;

    first.resume();
    until("the first notices", || async {
        if first.log().contains("stepped down") { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(proxy.struck(), [], "what it would have said is not sent");
    let now = story.integration().await;
    assert_eq!(
        now.metadata.resource_version, said.metadata.resource_version,
        "the second's word stands"
    );
    let status = now.status.expect("a status");
    assert_eq!(
        conditions::find(&status.conditions, "Ready").map(|ready| &*ready.reason),
        Some("Converged")
    );
    assert!(
        status.approved.is_some() && status.revoked.iter().any(|one| one.employee_id == people[1]),
        "{status:?}"
    );
    assert_eq!(versions().await, people_before);
    let writes: Vec<_> =
        story.audited(mark).await.into_iter().filter(testbed::AuditEvent::is_write).collect();
    assert!(writes.is_empty(), "{writes:?}");
    assert!(first.stop().await && second.stop().await);
}

/// Also waits for the end of a lease.
async fn patiently(what: &str, holds: impl AsyncFn() -> bool) {
    let began = std::time::Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(150), "{what}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
