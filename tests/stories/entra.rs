//! The same stories with Microsoft Entra ID: first sync, silence, movers, leavers, adoption and
//! credentials. Also the cases that only Entra has: managers by reference, sessions,
//! administrators, accounts that are mastered elsewhere, and lag.

use std::collections::HashMap;

use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::{
    first_sync::expected,
    support::{Controller, Story, condition, ready, until},
};

/// Returns the provider's part of a spec.
fn entra(story: &Story) -> Value {
    let url = &story.simulated.entra;
    json!({"entraID": {"tenantId": "example.com", "credentialsSecretRef": {"name": "entra"}, "endpoint": url, "tokenEndpoint": url}})
}

/// Writes a Secret with these keys of the app.
async fn secret(story: &Story, keys: &[&str]) {
    let app = story.simulated.get("/entra/app").await;
    let content: Vec<(&str, &str)> =
        keys.iter().map(|key| (*key, app[*key].as_str().unwrap())).collect();
    story.secret("entra", &content).await;
}

async fn begin(name: &str, employees: usize) -> Story {
    let story = Story::begin(name, employees).await;
    secret(&story, &["clientId", "clientSecret"]).await;
    story
}

async fn converged(name: &str, employees: usize, spec: Value) -> (Story, Controller) {
    let story = begin(name, employees).await;
    let controller = Controller::start(&story).await;
    let mut spec = spec;
    spec["provider"] = entra(&story);
    story.integrate(spec).await;
    story.ready("Converged").await;
    (story, controller)
}

async fn accounts(story: &Story) -> Vec<Value> {
    story.simulated.get("/entra/users").await.as_array().cloned().unwrap_or_default()
}

/// Returns Bob's id on an account: `bob` and the id in base 36.
fn mark(user: &Value) -> Option<String> {
    let digits = user["employeeId"].as_str()?.strip_prefix("bob")?;
    Some(u64::from_str_radix(digits, 36).ok()?.to_string())
}

/// Returns the account that bears this employee's mark.
async fn account(story: &Story, employee: &str) -> Option<Value> {
    accounts(story).await.into_iter().find(|user| mark(user).as_deref() == Some(employee))
}

async fn writes(story: &Story) -> u64 {
    story.simulated.get("/entra/calls").await["writes"].as_u64().unwrap_or(0)
}

async fn ended(story: &Story) -> Vec<Value> {
    story.simulated.get("/entra/sessions").await.as_array().cloned().unwrap_or_default()
}

async fn forget_calls(story: &Story) {
    story.simulated.forget_calls().await;
    story.simulated.delete("/entra/calls").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_makes_entra_equal_to_bob_with_one_write_each_and_one_for_each_manager() {
    let story = Story::begin("entra-first", 70).await;
    secret(&story, &["clientId", "clientCertificate", "clientKey"]).await;
    story.secret("welcome", &[("password", "Correct-Horse-7-Battery")]).await;
    let example: Value =
        serde_saphyr::from_str(include_str!("../../examples/entra-id.yaml")).expect("YAML");
    let mut spec = example["spec"].clone();
    spec["mode"] = json!("Enforce");
    spec["bob"]["endpoint"] = json!(story.simulated.bob);
    for field in ["endpoint", "tokenEndpoint"] {
        spec["provider"]["entraID"][field] = json!(story.simulated.entra);
    }
    let controller = Controller::start(&story).await;
    story.integrate(spec).await;
    story.ready("Converged").await;

    let now = Timestamp::now();
    let employees = story.simulated.employees().await;
    let users = accounts(&story).await;
    let by_mark: HashMap<String, &Value> =
        users.iter().map(|user| (mark(user).expect("a mark"), user)).collect();
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let (mut wanted, mut managed) = (0, 0);
    for employee in &employees {
        let id = employee["root.id"].as_str().unwrap();
        let Some(status) = expected(employee, now) else {
            assert!(!by_mark.contains_key(id), "{id} has left or not started, and has an account");
            continue;
        };
        wanted += 1;
        let user = by_mark.get(id).unwrap_or_else(|| panic!("{id} has no account"));
        assert_eq!(user["accountEnabled"], status != 2, "{id}");
        for (have, field) in [
            (&user["userPrincipalName"], "root.email"),
            (&user["mail"], "root.email"),
            (&user["displayName"], "root.displayName"),
            (&user["givenName"], "root.firstName"),
            (&user["surname"], "root.surname"),
            (&user["businessPhones"][0], "work.workPhone"),
            (&user["mobilePhone"], "work.workMobile"),
            (&user["jobTitle"], "work.title"),
            (&user["department"], "work.department"),
            (&user["officeLocation"], "work.site"),
        ] {
            assert_eq!(text(have), text(&employee[field]), "{id} {field}");
        }
        let manager = employee["work.manager"]
            .as_str()
            .and_then(|manager| by_mark.get(manager))
            .map(|boss| boss["id"].clone());
        managed += u64::from(manager.is_some());
        assert_eq!(user["manager"]["id"], manager.unwrap_or(Value::Null), "{id} manager");
        assert_eq!(
            (&user["usageLocation"], &user["passwordProfile"]["forceChangePasswordNextSignIn"]),
            (&json!("GB"), &json!(true)),
            "{id}"
        );
    }
    assert_eq!(users.len(), wanted, "nobody else has an account");
    assert_eq!(
        writes(&story).await,
        wanted as u64 + managed,
        "one write each, and one for each manager"
    );
    let log = story.simulated.get("/entra/log?since=0").await;
    let refused = log
        .as_array()
        .unwrap()
        .iter()
        .filter(|call| call["status"].as_u64().is_some_and(|status| status >= 400))
        .count();
    assert_eq!(refused, 0, "Microsoft never had to say no");
    let told =
        format!("{}{}", controller.log(), serde_json::to_string(&story.everybody().await).unwrap());
    assert!(
        !told.contains("Correct-Horse")
            && !told.contains("BEGIN PRIVATE KEY")
            && !told.contains("eyJ0."),
        "no secret is told"
    );
    for person in story.everybody().await {
        assert_eq!(ready(&person).0, "True");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_steady_state_writes_nothing_and_reads_a_page() {
    let (story, _controller) = converged("entra-steady", 40, json!({})).await;
    story.sync().await;
    forget_calls(&story).await;
    for _ in 0..2 {
        story.sync().await;
    }
    let calls = story.simulated.get("/entra/calls").await;
    assert_eq!(calls["writes"], 0);
    assert_eq!(
        calls["byRoute"],
        json!({"GET /v1.0/users": 2}),
        "one page each, and not one more call"
    );
    assert_eq!(story.simulated.calls("bob", "POST /v1/people/search").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mover_a_leaver_whose_sessions_end_and_a_rehire() {
    let (story, _controller) = converged("entra-lives", 30, json!({})).await;
    story.sync().await;
    let (id, employee) = story.simulated.somebody().await;
    let before = account(&story, &id).await.unwrap();
    forget_calls(&story).await;
    story.simulated.change(&id, json!({"work.title": "Head of Lighthouses"})).await;
    story.sync().await;
    assert_eq!(writes(&story).await, 1);
    assert_eq!(account(&story, &id).await.unwrap()["jobTitle"], "Head of Lighthouses");
    let history = story.person(&id).await.unwrap().status.unwrap().history;
    assert_eq!(history[0].fields, ["jobTitle"]);

    // Another manager is a write of its own, and does not change access.
    let others = story.simulated.employees().await;
    let old = employee["work.manager"].as_str().unwrap();
    let mut boss = None;
    for other in others
        .iter()
        .map(|other| other["root.id"].as_str().unwrap())
        .filter(|other| *other != old && *other != id)
    {
        if let Some(account) = account(&story, other).await {
            boss = Some((other.to_owned(), account));
            break;
        }
    }
    let (boss, boss_account) = boss.expect("somebody else has an account");
    story.simulated.change(&id, json!({"work.manager": boss})).await;
    story.sync().await;
    assert_eq!(writes(&story).await, 2);
    assert_eq!(account(&story, &id).await.unwrap()["manager"]["id"], boss_account["id"]);
    let person = story.person(&id).await.unwrap();
    assert_eq!(serde_json::to_value(person.status.unwrap().access).unwrap(), "Active");

    assert!(ended(&story).await.is_empty());
    story
        .simulated
        .change(
            &id,
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    story.sync().await;
    let suspended = account(&story, &id).await.unwrap();
    assert_eq!((&suspended["accountEnabled"], &suspended["id"]), (&json!(false), &before["id"]));
    assert_eq!(ended(&story).await, [before["id"].clone()]);
    let person = story.person(&id).await.unwrap();
    assert_eq!(ready(&person), ("True".into(), "InSync".into()));
    assert_eq!(serde_json::to_value(person.status.unwrap().access).unwrap(), "Suspended");
    // A change of a suspended employee leaves the status as it is, although Graph answers nothing.
    story.simulated.change(&id, json!({"work.title": "Keeper of the Light"})).await;
    story.sync().await;
    let person = story.person(&id).await.unwrap();
    assert_eq!(serde_json::to_value(person.status.unwrap().access).unwrap(), "Suspended");

    story
        .simulated
        .change(&id, json!({"internal.lifecycleStatus": "Employed", "internal.status": "Active"}))
        .await;
    story.sync().await;
    let again = account(&story, &id).await.unwrap();
    assert_eq!((&again["accountEnabled"], &again["id"]), (&json!(true), &before["id"]));
    assert_eq!(
        again["passwordProfile"]["forceChangePasswordNextSignIn"], false,
        "what the settings do not ask for is sent as false"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_from_before_is_adopted_and_one_with_a_number_of_somebody_else_is_a_conflict() {
    let story = begin("entra-adopt", 12).await;
    let (id, employee) = story.simulated.somebody().await;
    let other = employee["work.manager"].as_str().unwrap().to_owned();
    let boss = story.simulated.get(&format!("/bob/employees/{other}")).await;
    let user = |employee: &Value, more: Value| {
        let mut user = json!({"userPrincipalName": employee["root.email"], "displayName": "Old Name", "mailNickname": "old"});
        user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        user
    };
    let made =
        story.simulated.post("/entra/users", user(&employee, json!({"companyName": "Kept"}))).await;
    let taken =
        story.simulated.post("/entra/users", user(&boss, json!({"employeeId": "4711"}))).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"provider": entra(&story)})).await;
    story.ready("Converged").await;
    let adopted = account(&story, &id).await.expect("adopted");
    assert_eq!(
        (&adopted["id"], &adopted["displayName"]),
        (&made["id"], &employee["root.displayName"])
    );
    assert_eq!(
        (&adopted["companyName"], &adopted["mail"]),
        (&json!("Kept"), &Value::Null),
        "a row for creations only touches no other"
    );
    let log = story.simulated.get("/entra/log?since=0").await;
    let patches: Vec<&Value> =
        log.as_array().unwrap().iter().filter(|call| call["method"] == "PATCH").collect();
    assert_eq!(patches.len(), 1);
    assert!(patches[0]["body"].get("passwordProfile").is_none(), "{}", patches[0]);
    let matched = story.person(&id).await.unwrap().status.unwrap().account.unwrap();
    assert_eq!(serde_json::to_value(matched.matched_by).unwrap(), "Email");

    let person = story.person(&other).await.unwrap();
    assert_eq!(ready(&person), ("False".into(), "Conflict".into()));
    let (_, _, message) = condition(&person, "Ready").unwrap();
    assert!(message.contains("markAttribute") && !message.contains("4711"), "{message}");
    let held =
        story.simulated.get(&format!("/entra/users/{}", taken["id"].as_str().unwrap())).await;
    assert_eq!(held, taken, "the number is never overwritten, nor anything else");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_that_are_mastered_elsewhere_and_administrators_are_told_and_left() {
    let (story, _controller) = converged("entra-elsewhere", 20, json!({})).await;
    story.sync().await;
    let (id, employee) = story.simulated.somebody().await;
    let admin = employee["work.manager"].as_str().unwrap().to_owned();
    let (synced, boss) =
        (account(&story, &id).await.unwrap(), account(&story, &admin).await.unwrap());
    let path = format!("/entra/users/{}", synced["id"].as_str().unwrap());
    story.simulated.patch(&path, json!({"onPremisesSyncEnabled": true})).await;
    story.simulated.put("/entra/directory", json!({"administrators": [boss["id"]]})).await;
    forget_calls(&story).await;
    story
        .simulated
        .change(&id, json!({"work.title": "Elsewhere", "internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}))
        .await;
    story
        .simulated
        .change(&admin, json!({"work.title": "Chief", "work.workMobile": "+44 20 7946 0001"}))
        .await;
    story.sync().await;
    let person = story.person(&id).await.unwrap();
    assert_eq!(ready(&person), ("False".into(), "ManagedElsewhere".into()));
    assert_eq!(condition(&person, "Stalled").unwrap().0, "True");
    assert_eq!(story.simulated.get(&path).await["accountEnabled"], true);

    let person = story.person(&admin).await.unwrap();
    assert_eq!(ready(&person), ("False".into(), "Forbidden".into()));
    let (_, _, message) = condition(&person, "Ready").unwrap();
    assert!(message.contains("mobilePhone") && !message.contains("7946"), "{message}");
    let now = account(&story, &admin).await.unwrap();
    assert_eq!(
        (&now["jobTitle"], &now["mobilePhone"]),
        (&json!("Chief"), &boss["mobilePhone"]),
        "the harmless part lands"
    );

    // An administrator leaves: the account stays open, and a person must suspend it.
    let leaves = json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"});
    story.simulated.change(&admin, leaves).await;
    story.sync().await;
    let person = story.person(&admin).await.unwrap();
    assert_eq!(ready(&person), ("False".into(), "SuspendByHand".into()));
    assert_eq!(condition(&person, "Stalled").unwrap().0, "True");
    let (_, _, message) = condition(&person, "Ready").unwrap();
    assert!(
        message.contains("suspend the account by hand") && message.contains("Microsoft said"),
        "{message}"
    );
    let failing = story
        .integration()
        .await
        .status
        .unwrap()
        .conditions
        .into_iter()
        .find(|one| one.type_ == "EmployeesFailing")
        .unwrap();
    assert!(failing.message.contains("1 SuspendByHand"), "{}", failing.message);
    let by_hand = json!({"accountEnabled": false, "mobilePhone": "+44 20 7946 0001"});
    story.simulated.patch(&format!("/entra/users/{}", boss["id"].as_str().unwrap()), by_hand).await;
    until("what was done by hand is believed", || async {
        story.sync().await;
        let person = ready(&story.person(&admin).await.unwrap());
        if person == ("True".into(), "InSync".into()) { Ok(()) } else { Err(format!("{person:?}")) }
    })
    .await;

    let log = story.simulated.get("/entra/log?since=0").await;
    let of_synced = log
        .as_array()
        .unwrap()
        .iter()
        .filter(|call| call["path"].as_str().unwrap().contains(synced["id"].as_str().unwrap()));
    assert_eq!(of_synced.count(), 0, "not one call for an account that is not ours to change");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_whose_answer_is_lost_while_the_directory_lags_makes_one_account() {
    let (story, _controller) = converged("entra-lost", 24, json!({})).await;
    // The accounts have existed for a while.
    story.simulated.put("/clock", json!({"advanceSeconds": 600})).await;
    story
        .simulated
        .put(
            "/entra/quirks",
            json!({"readLagSeconds": 3, "listLagSeconds": 20, "referenceLagSeconds": 4}),
        )
        .await;
    let lost = json!({"kind": "resetAfterApply", "method": "POST", "pathPrefix": "/v1.0/users", "times": 1});
    story.simulated.post("/entra/faults", lost).await;
    let (boss, _) = story.simulated.somebody().await;
    let id = story
        .simulated
        .hire(json!({"root.email": "late.riser@example.com", "work.startDate": "2020-01-01", "internal.lifecycleStatus": "Employed",
                     "internal.status": "Active", "internal.terminationDate": null, "employee.lastDayOfWork": null, "work.manager": boss}))
        .await;
    story.sync().await;
    until("the person is in sync", || async {
        match story.reason(&id).await.as_str() {
            "InSync" => Ok(()),
            other => Err(other.to_owned()),
        }
    })
    .await;
    let named = accounts(&story)
        .await
        .into_iter()
        .filter(|user| user["userPrincipalName"] == "late.riser@example.com")
        .count();
    assert_eq!(named, 1);
    // The listing does not show the account for a while. The controller makes no other account, and
    // does not report it as gone.
    story.sync().await;
    let person = story.person(&id).await.unwrap();
    assert_eq!(ready(&person).1, "InSync", "{:?}", condition(&person, "Ready"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_secret_a_missing_permission_and_two_proofs_are_told_apart() {
    let story = begin("entra-secret", 8).await;
    let app = story.simulated.get("/entra/app").await;
    story
        .secret(
            "entra",
            &[("clientId", app["clientId"].as_str().unwrap()), ("clientSecret", "wrong-secret")],
        )
        .await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"provider": entra(&story)})).await;
    let message = |integration: bobsync::api::ProvisioningIntegration| {
        let conditions = integration.status.unwrap().conditions;
        conditions.into_iter().find(|c| c.type_ == "Ready").unwrap().message
    };
    let said = message(story.ready("ProviderUnauthorized").await);
    assert!(said.contains("AADSTS7000215") && !said.contains("wrong-secret"), "{said}");

    story.simulated.put("/entra/app", json!({"permissions": []})).await;
    secret(&story, &["clientId", "clientSecret"]).await;
    let said = message(story.ready("ProviderForbidden").await);
    assert!(said.contains("User.ReadWrite.All"), "{said}");
    story.simulated.put("/entra/app", json!({"permissions": ["User.ReadWrite.All"]})).await;
    story.sync().await;
    story.ready("Converged").await;

    // The controller does not guess between two proofs.
    secret(&story, &["clientId", "clientSecret", "clientCertificate", "clientKey"]).await;
    let said = message(story.ready("ProviderUnauthorized").await);
    assert!(said.contains("clientCertificate") && said.contains("not both"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_entra_cannot_do_is_refused_with_a_way_out_and_endpoints_only_where_they_are_allowed()
{
    let story = begin("entra-refuse", 2).await;
    let refused = async |provider: Value, more: Value| {
        let mut spec = json!({"mode": "Enforce", "bob": {"credentialsSecretRef": {"name": "bob"}}, "provider": provider});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let object = json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "ProvisioningIntegration", "metadata": {"name": "no"}, "spec": spec});
        let patch = Patch::Apply(object);
        story
            .integrations()
            .patch("no", &PatchParams::apply("story").force(), &patch)
            .await
            .expect_err("refused")
            .to_string()
    };
    let required = json!([{"target": "userPrincipalName", "field": "root.email"}, {"target": "displayName", "field": "root.displayName"}]);
    let with = |row: Value| {
        let mut rows = required.as_array().unwrap().clone();
        rows.push(row);
        json!({"mapping": rows})
    };
    let one = entra(&story);
    let changed = |field: &str, value: Value| {
        let mut provider = one.clone();
        provider["entraID"][field] = value;
        provider
    };
    let extension = "extension_0123456789abcdef0123456789abcdef_bob";
    for (provider, more, said) in [
        (
            changed("tokenEndpoint", json!("")),
            json!({}),
            "set both endpoint and tokenEndpoint, or neither",
        ),
        (changed("cloud", json!("Germany")), json!({}), "Unsupported value"),
        (changed("usageLocation", json!("Great Britain")), json!({}), "usageLocation"),
        (changed("markAttribute", json!("employeeType")), json!({}), "markAttribute"),
        (
            one.clone(),
            json!({"mapping": [{"target": "userPrincipalName", "field": "root.email"}]}),
            "requires the targets userPrincipalName",
        ),
        (
            one.clone(),
            with(json!({"target": "title", "field": "work.title"})),
            "Microsoft Entra ID has no such target",
        ),
        (
            one.clone(),
            with(json!({"target": "accountEnabled", "field": "work.title"})),
            "Microsoft Entra ID has no such target",
        ),
        (
            one.clone(),
            with(json!({"target": "manager", "field": "work.title"})),
            "manager refers to an employee",
        ),
        (
            one.clone(),
            with(json!({"target": "employeeId", "field": "work.employeeIdInCompany"})),
            "this target holds the mark",
        ),
        (
            changed("markAttribute", json!(extension)),
            with(json!({"target": extension, "field": "work.title"})),
            "this target holds the mark",
        ),
    ] {
        let answer = refused(provider, more).await;
        assert!(answer.contains(said), "{answer}");
    }
    for target in ["employeeOrgData.costCenter", "employeeOrgData.division"] {
        let mut spec = json!({"suspend": true, "provider": one});
        spec["mapping"] =
            with(json!({"target": target, "field": "work.department"}))["mapping"].clone();
        story.integrate(spec).await;
    }
    // Port 9 was not allowed when the controller was started.
    let _controller = Controller::start(&story).await;
    story
        .integrate(json!({"provider": changed("tokenEndpoint", json!("http://127.0.0.1:9"))}))
        .await;
    story.ready("EndpointNotAllowed").await;
    assert_eq!(story.simulated.get("/entra/calls").await["total"], 0, "not one request went out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_attribute_never_stops_a_suspension_and_sessions_that_stayed_open_are_ended_later()
 {
    let (story, controller) = converged("entra-refused", 12, json!({})).await;
    story.sync().await;
    let (id, _) = story.simulated.somebody().await;
    story
        .simulated
        .put("/entra/refuse", json!({"rules": [{"field": "jobTitle", "contains": "Xylophonist"}]}))
        .await;
    // More failures than there are tries in one pass.
    let down = json!({"kind": "status", "status": 503, "method": "POST", "pathPrefix": "/v1.0/users/", "times": 400});
    story.simulated.post("/entra/faults", down).await;
    let leaves = json!({"work.title": "Chief Xylophonist", "internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"});
    story.simulated.change(&id, leaves).await;
    story.sync().await;
    let user = account(&story, &id).await.unwrap();
    assert_eq!(user["accountEnabled"], false);
    assert!(ended(&story).await.is_empty());
    let person = story.person(&id).await.unwrap();
    assert_eq!(ready(&person), ("False".into(), "Retrying".into()));

    // Until the sessions are ended, access does not count as taken, in any process. The knowledge
    // of one process may be lost.
    let access = async || {
        serde_json::to_value(story.person(&id).await.unwrap().status.unwrap().access).unwrap()
    };
    assert_eq!(access().await, "Active");
    assert!(controller.stop().await);
    story.simulated.delete("/entra/faults").await;
    let _controller = Controller::start(&story).await;
    until("the sessions are ended", async || {
        ended(&story).await.pop().filter(|ended| *ended == user["id"]).ok_or("none".into())
    })
    .await;
    story.sync().await;
    story.sync().await;
    assert_eq!(ended(&story).await.len(), 1, "once");
    assert_eq!(access().await, "Suspended");
    let (_, reason, message) = condition(&story.person(&id).await.unwrap(), "Stalled").unwrap();
    assert!(
        reason == "Rejected" && message.contains("jobTitle") && !message.contains("Xylophonist"),
        "{message}"
    );
}
