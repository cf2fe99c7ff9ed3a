//! The same stories with Google Workspace: first sync, silence, movers, leavers, adoption and
//! credentials. Also the cases that only Google has: passwords, managers by e-mail, and lag.

use std::collections::HashMap;

use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::{
    budgets::{leave, staff},
    first_sync::expected,
    support::{Controller, Story, condition, ready, until},
};

/// Returns the provider's part of a spec.
fn google(story: &Story) -> Value {
    let url = &story.simulated.google;
    json!({"googleWorkspace": {"credentialsSecretRef": {"name": "google"}, "adminEmail": "admin@example.com", "endpoint": url, "tokenEndpoint": url}})
}

/// Begins a story with the Secret of the service account.
async fn begin(name: &str, employees: usize) -> Story {
    let story = Story::begin(name, employees).await;
    let key = story.simulated.get("/google/service-account").await;
    story.secret("google", &[("serviceAccount.json", &key.to_string())]).await;
    story
}

async fn converged(name: &str, employees: usize, spec: Value) -> (Story, Controller) {
    let story = begin(name, employees).await;
    let controller = Controller::start(&story).await;
    let mut spec = spec;
    spec["provider"] = google(&story);
    story.integrate(spec).await;
    story.ready("Converged").await;
    (story, controller)
}

fn entry<'a>(user: &'a Value, array: &str, kind: &str) -> &'a Value {
    let entries = user[array].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = entries.iter().find(|entry| entry["type"] == kind || entry["customType"] == kind);
    found.map_or(&Value::Null, |entry| &entry["value"])
}

async fn accounts(story: &Story) -> Vec<Value> {
    story.simulated.get("/google/users").await.as_array().cloned().unwrap_or_default()
}

/// Returns the account that bears this employee's mark.
async fn account(story: &Story, employee: &str) -> Option<Value> {
    accounts(story).await.into_iter().find(|user| entry(user, "externalIds", "bobsync") == employee)
}

async fn writes(story: &Story) -> u64 {
    story.simulated.get("/google/calls").await["writes"].as_u64().unwrap_or(0)
}

async fn forget_calls(story: &Story) {
    story.simulated.forget_calls().await;
    story.simulated.delete("/google/calls").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_makes_google_equal_to_bob_with_one_write_each() {
    let story = begin("google-first", 70).await;
    story.secret("welcome", &[("password", "Correct-Horse-7-Battery")]).await;
    let example: Value =
        serde_saphyr::from_str(include_str!("../../examples/google-workspace.yaml")).expect("YAML");
    let mut spec = example["spec"].clone();
    spec["mode"] = json!("Enforce");
    spec["bob"]["endpoint"] = json!(story.simulated.bob);
    for field in ["endpoint", "tokenEndpoint"] {
        spec["provider"]["googleWorkspace"][field] = json!(story.simulated.google);
    }
    let controller = Controller::start(&story).await;
    story.integrate(spec).await;
    story.ready("Converged").await;

    let now = Timestamp::now();
    let employees = story.simulated.employees().await;
    let users = accounts(&story).await;
    let by_mark: HashMap<&str, &Value> = users
        .iter()
        .map(|user| (entry(user, "externalIds", "bobsync").as_str().expect("a mark"), user))
        .collect();
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let mut wanted = 0;
    for employee in &employees {
        let id = employee["root.id"].as_str().unwrap();
        let Some(status) = expected(employee, now) else {
            assert!(!by_mark.contains_key(id), "{id} has left or not started, and has an account");
            continue;
        };
        wanted += 1;
        let user = by_mark.get(id).unwrap_or_else(|| panic!("{id} has no account"));
        assert_eq!(user["suspended"], status == 2, "{id}");
        let organization = &user["organizations"][0];
        for (have, field) in [
            (&user["primaryEmail"], "root.email"),
            (&user["name"]["givenName"], "root.firstName"),
            (&user["name"]["familyName"], "root.surname"),
            (entry(user, "phones", "mobile"), "work.workMobile"),
            (entry(user, "phones", "work"), "work.workPhone"),
            (&organization["department"], "work.department"),
            (&organization["title"], "work.title"),
            (&organization["description"], "payroll.employment.type"),
            (entry(user, "externalIds", "organization"), "work.employeeIdInCompany"),
        ] {
            assert_eq!(text(have), text(&employee[field]), "{id} {field}");
        }
        let manager = employee["work.manager"]
            .as_str()
            .and_then(|manager| by_mark.get(manager))
            .map(|boss| boss["primaryEmail"].clone());
        assert_eq!(
            *entry(user, "relations", "manager"),
            manager.unwrap_or(Value::Null),
            "{id} manager"
        );
        assert_eq!(
            (&user["orgUnitPath"], &user["changePasswordAtNextLogin"]),
            (&json!("/"), &json!(true)),
            "{id}"
        );
    }
    assert_eq!(users.len(), wanted, "nobody else has an account");
    assert_eq!(writes(&story).await, wanted as u64, "one write each, the manager included");
    let log = story.simulated.get("/google/log?since=0").await;
    let refused = log
        .as_array()
        .unwrap()
        .iter()
        .filter(|call| call["status"].as_u64().is_some_and(|status| status >= 400))
        .count();
    assert_eq!(refused, 0, "Google never had to say no: ten new accounts a second");
    let told =
        format!("{}{}", controller.log(), serde_json::to_string(&story.everybody().await).unwrap());
    assert!(
        !told.contains("Correct-Horse")
            && !told.contains("BEGIN PRIVATE KEY")
            && !told.contains("ya29."),
        "no secret is told"
    );
    for person in story.everybody().await {
        assert_eq!(ready(&person).0, "True");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_steady_state_writes_nothing_and_reads_a_page() {
    let (story, _controller) = converged("google-steady", 40, json!({})).await;
    story.sync().await;
    forget_calls(&story).await;
    for _ in 0..2 {
        story.sync().await;
    }
    let calls = story.simulated.get("/google/calls").await;
    assert_eq!(calls["writes"], 0);
    assert_eq!(
        calls["byRoute"],
        json!({"GET /admin/directory/v1/users": 2}),
        "one page each, and not one more call"
    );
    assert_eq!(story.simulated.calls("bob", "POST /v1/people/search").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mover_a_leaver_and_a_rehire() {
    let (story, _controller) = converged("google-lives", 30, json!({})).await;
    story.sync().await;
    let (id, _) = story.simulated.somebody().await;
    let before = account(&story, &id).await.unwrap();
    forget_calls(&story).await;
    story.simulated.change(&id, json!({"work.title": "Head of Lighthouses"})).await;
    story.sync().await;
    assert_eq!(writes(&story).await, 1);
    assert_eq!(
        account(&story, &id).await.unwrap()["organizations"][0]["title"],
        "Head of Lighthouses"
    );
    let history = story.person(&id).await.unwrap().status.unwrap().history;
    assert_eq!(history[0].fields, ["organizations.title"]);

    story
        .simulated
        .change(
            &id,
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    story.sync().await;
    let suspended = account(&story, &id).await.unwrap();
    assert_eq!((&suspended["suspended"], &suspended["id"]), (&json!(true), &before["id"]));
    assert_eq!(ready(&story.person(&id).await.unwrap()), ("True".into(), "InSync".into()));
    story
        .simulated
        .change(&id, json!({"internal.lifecycleStatus": "Employed", "internal.status": "Active"}))
        .await;
    story.sync().await;
    let again = account(&story, &id).await.unwrap();
    assert_eq!((&again["suspended"], &again["id"]), (&json!(false), &before["id"]));
    assert_eq!(
        again["changePasswordAtNextLogin"], false,
        "what the settings do not ask for is sent as false"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_from_before_is_adopted_by_its_address_and_keeps_what_is_not_ours_and_its_password()
 {
    let story = begin("google-adopt", 12).await;
    let (id, employee) = story.simulated.somebody().await;
    let made = story
        .simulated
        .post(
            "/google/users",
            json!({
                "primaryEmail": employee["root.email"], "name": {"givenName": "Old", "familyName": "Name"},
                "phones": [{"type": "home", "value": "+44 20 7946 0000"}], "externalIds": [{"type": "network", "value": "n-1"}],
                "relations": [{"type": "assistant", "value": "kim@example.com"}],
            }),
        )
        .await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"provider": google(&story)})).await;
    story.ready("Converged").await;
    let user = account(&story, &id).await.expect("adopted");
    assert_eq!(
        (&user["id"], &user["name"]["givenName"]),
        (&made["id"], &employee["root.firstName"])
    );
    assert_eq!(
        (
            entry(&user, "phones", "home"),
            entry(&user, "externalIds", "network"),
            entry(&user, "relations", "assistant")
        ),
        (&json!("+44 20 7946 0000"), &json!("n-1"), &json!("kim@example.com"))
    );
    let log = story.simulated.get("/google/log?since=0").await;
    let puts: Vec<&Value> =
        log.as_array().unwrap().iter().filter(|call| call["method"] == "PUT").collect();
    assert_eq!(puts.len(), 1);
    assert!(
        puts[0]["body"].get("password").is_none()
            && puts[0]["body"].get("changePasswordAtNextLogin").is_none(),
        "{}",
        puts[0]
    );
    let matched = story.person(&id).await.unwrap().status.unwrap().account.unwrap();
    assert_eq!(serde_json::to_value(matched.matched_by).unwrap(), "Email");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_managers_new_address_reaches_the_reports_in_the_same_pass() {
    let (story, _controller) = converged("google-boss", 30, json!({})).await;
    story.sync().await;
    let (_, employee) = story.simulated.somebody().await;
    let boss = employee["work.manager"].as_str().unwrap().to_owned();
    assert!(account(&story, &boss).await.is_some(), "the manager has an account");
    let reports = |employees: &[Value]| {
        employees
            .iter()
            .filter(|e| e["work.manager"] == boss.as_str())
            .map(|e| e["root.id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let reports = reports(&story.simulated.employees().await);
    forget_calls(&story).await;
    story.simulated.change(&boss, json!({"root.email": "the.boss@example.com"})).await;
    story.sync().await;
    let mut followed = 0;
    for id in &reports {
        if let Some(user) = account(&story, id).await {
            assert_eq!(entry(&user, "relations", "manager"), "the.boss@example.com", "{id}");
            followed += 1;
        }
    }
    assert!(followed > 0);
    assert_eq!(writes(&story).await, followed + 1);
    story.sync().await;
    assert_eq!(writes(&story).await, followed + 1, "and that is all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_whose_answer_is_lost_while_reads_lag_makes_one_account() {
    let (story, _controller) = converged("google-lost", 24, json!({})).await;
    // The accounts have existed for a while.
    story.simulated.put("/clock", json!({"advanceSeconds": 600})).await;
    story
        .simulated
        .put(
            "/google/quirks",
            json!({"getLagSeconds": 3, "listLagSeconds": 20, "updateLagSeconds": 2}),
        )
        .await;
    let lost =
        json!({"kind": "resetAfterApply", "method": "POST", "pathPrefix": "/admin/", "times": 1});
    story.simulated.post("/google/faults", lost).await;
    let id = story
        .simulated
        .hire(json!({"root.email": "late.riser@example.com", "work.startDate": "2020-01-01", "internal.lifecycleStatus": "Employed",
                     "internal.status": "Active", "internal.terminationDate": null, "employee.lastDayOfWork": null}))
        .await;
    story.sync().await;
    crate::support::until("the person is in sync", || async {
        match story.reason(&id).await.as_str() {
            "InSync" => Ok(()),
            other => Err(other.to_owned()),
        }
    })
    .await;
    let named = accounts(&story)
        .await
        .into_iter()
        .filter(|user| user["primaryEmail"] == "late.riser@example.com")
        .count();
    assert_eq!(named, 1);
    // The listing does not show the account for a while. The controller makes no other account, and
    // does not report it as gone.
    story.sync().await;
    let person = story.person(&id).await.unwrap();
    assert_eq!(ready(&person).1, "InSync", "{:?}", condition(&person, "Ready"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_a_missing_delegation_and_a_powerless_administrator_are_told_apart() {
    let story = begin("google-secret", 8).await;
    story.secret("google", &[("serviceAccount.json", "{\"type\": \"service_account\"}")]).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"provider": google(&story)})).await;
    let message = |integration: bobsync::api::ProvisioningIntegration| {
        let conditions = integration.status.unwrap().conditions;
        let of = |kind: &str| conditions.iter().find(|c| c.type_ == kind).cloned().unwrap();
        let (ready, connected) = (of("Ready"), of("ProviderConnected"));
        assert_eq!((&*connected.status, connected.reason), ("False", ready.reason));
        assert_eq!(connected.message.trim_end_matches('.'), ready.message.trim_end_matches('.'));
        ready.message
    };
    let said = message(story.ready("ProviderUnauthorized").await);
    assert!(said.contains("serviceAccount.json"), "{said}");
    assert_eq!(story.simulated.calls("google", "POST /token").await, 0);

    story.simulated.put("/google/delegation", json!({"scopes": []})).await;
    let key = story.simulated.get("/google/service-account").await;
    story.secret("google", &[("serviceAccount.json", &key.to_string())]).await;
    let said = message(story.ready("ProviderForbidden").await);
    assert!(
        said.contains("domain-wide delegation") && said.contains("admin.directory.user"),
        "{said}"
    );

    story
        .simulated
        .put(
            "/google/delegation",
            json!({"scopes": ["admin.directory.user"], "admins": {"admin@example.com": "none"}}),
        )
        .await;
    story.sync_ends_in("ProviderForbidden").await;
    story
        .simulated
        .put("/google/delegation", json!({"admins": {"admin@example.com": "manage"}}))
        .await;
    story.sync().await;
    story.ready("Converged").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_relation_holds_bobs_number_of_a_person_however_the_row_is_written() {
    let story = begin("google-relations", 2).await;
    let _controller = Controller::start(&story).await;
    let mut rows = json!([{"target": "primaryEmail", "field": "root.email"}, {"target": "name.givenName", "field": "root.firstName"},
                          {"target": "name.familyName", "field": "root.surname"}, {"target": "relations.assistant"}]);
    for (kind, value) in [
        ("formula", "{ work.manager }"),
        ("cel", "employee.work.manager"),
        ("field", "work.reportsTo"),
    ] {
        rows[3] = json!({"target": "relations.assistant", (kind): value});
        story.integrate(json!({"provider": google(&story), "mapping": rows})).await;
        let integration = story.ready("InvalidSettings").await;
        let conditions = integration.status.unwrap().conditions;
        let ready = bobsync::api::conditions::find(&conditions, "Ready").unwrap();
        assert!(
            ready.message.contains("spec.mapping[3].target \"relations.assistant\": "),
            "{}",
            ready.message
        );
        assert!(story.simulated.calls("google", "POST /admin/directory/v1/users").await == 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_google_cannot_do_is_refused_with_a_way_out_and_endpoints_only_where_they_are_allowed()
{
    let story = begin("google-refuse", 2).await;
    let apply = async |provider: Value, more: Value| {
        let mut spec = json!({"mode": "Enforce", "bob": {"credentialsSecretRef": {"name": "bob"}}, "provider": provider});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let object = json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "ProvisioningIntegration", "metadata": {"name": "no"}, "spec": spec});
        let patch = Patch::Apply(object);
        let parameters = PatchParams { dry_run: true, ..PatchParams::apply("story").force() };
        story.integrations().patch("no", &parameters, &patch).await
    };
    let required = json!([{"target": "primaryEmail", "field": "root.email"}, {"target": "name.givenName", "field": "root.firstName"},
                          {"target": "name.familyName", "field": "root.surname"}]);
    let with = |row: Value| {
        let mut rows = required.as_array().unwrap().clone();
        rows.push(row);
        json!({"mapping": rows})
    };
    let one = google(&story);
    let mut both = one.clone();
    both["oneLogin"] = json!({"region": "US", "credentialsSecretRef": {"name": "onelogin"}});
    let mut half = one.clone();
    half["googleWorkspace"].as_object_mut().unwrap().remove("tokenEndpoint");
    for (provider, more, said) in [
        (both, json!({}), "name exactly one provider"),
        (half, json!({}), "set both endpoint and tokenEndpoint, or neither"),
        (
            one.clone(),
            json!({"mapping": [{"target": "primaryEmail", "field": "root.email"}]}),
            "requires the targets primaryEmail",
        ),
        (
            one.clone(),
            with(json!({"target": "title", "field": "work.title"})),
            "Google Workspace has no such target",
        ),
        (
            one.clone(),
            with(json!({"target": "externalIds.bobsync", "field": "work.title"})),
            "Google Workspace has no such target",
        ),
        (
            one.clone(),
            with(json!({"target": "phones.custom", "field": "work.title"})),
            "write its customType in place of custom",
        ),
        (
            one.clone(),
            with(json!({"target": "relations.custom", "field": "work.title"})),
            "write its customType in place of custom",
        ),
        (
            one.clone(),
            with(json!({"target": "externalIds.custom", "field": "work.title"})),
            "write its customType in place of custom",
        ),
        (
            one.clone(),
            with(json!({"target": "addresses.custom.locality", "field": "work.site"})),
            "write its customType in place of custom",
        ),
        (
            one.clone(),
            with(json!({"target": "locations.desk.planet", "field": "work.site"})),
            "Google Workspace has no such target",
        ),
        (
            one.clone(),
            with(json!({"target": "relations.manager", "field": "work.title"})),
            "relations.manager refers to an employee",
        ),
        (
            one.clone(),
            with(json!({"target": "relations.assistant", "field": "work.manager"})),
            "any other relation would get the manager's id in Bob",
        ),
        (
            one.clone(),
            with(json!({"target": "relations.dotted_line_manager", "formula": "{work.manager}"})),
            "any other relation would get the manager's id in Bob",
        ),
    ] {
        let answer = apply(provider, more).await.expect_err(said).to_string();
        assert!(answer.contains(said), "{answer}");
    }
    for row in [
        json!({"target": "phones.satellite", "field": "work.title"}),
        json!({"target": "relations.assistant", "field": "work.title"}),
        json!({"target": "addresses.work.locality", "field": "work.site"}),
        json!({"target": "locations.desk.buildingId", "field": "work.site"}),
        json!({"target": "relations.manager", "field": "work.manager"}),
    ] {
        apply(one.clone(), with(row.clone()))
            .await
            .unwrap_or_else(|refused| panic!("{row}: {refused}"));
    }
    // Port 9 was not allowed when the controller was started.
    let _controller = Controller::start(&story).await;
    let mut elsewhere = one.clone();
    elsewhere["googleWorkspace"]["tokenEndpoint"] = json!("http://127.0.0.1:9");
    story.integrate(json!({"provider": elsewhere})).await;
    story.ready("EndpointNotAllowed").await;
    assert_eq!(story.simulated.get("/google/calls").await["total"], 0, "not one request went out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_attribute_never_stops_a_suspension_and_a_suspension_by_google_is_forbidden() {
    let (story, _controller) = converged("google-refused", 12, json!({})).await;
    story.sync().await;
    let (id, _) = story.simulated.somebody().await;
    story
        .simulated
        .put(
            "/google/refuse",
            json!({"rules": [{"field": "organizations.title", "contains": "Xylophonist"}]}),
        )
        .await;
    let leaves = json!({"work.title": "Chief Xylophonist", "internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"});
    story.simulated.change(&id, leaves).await;
    story.sync().await;
    let user = account(&story, &id).await.unwrap();
    assert_eq!(user["suspended"], true);
    let person = story.person(&id).await.unwrap();
    assert_eq!(ready(&person), ("False".into(), "Rejected".into()));
    let (_, _, message) = condition(&person, "Stalled").unwrap();
    assert!(
        message.contains("organizations.title") && !message.contains("Xylophonist"),
        "{message}"
    );

    story.simulated.put("/google/refuse", json!({"rules": []})).await;
    story.simulated.put("/google/directory", json!({"suspendedByGoogle": [user["id"]]})).await;
    story
        .simulated
        .change(&id, json!({"internal.lifecycleStatus": "Employed", "internal.status": "Active"}))
        .await;
    story.sync().await;
    assert_eq!(story.reason(&id).await, "Forbidden");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_about_one_person_names_the_manager_by_an_address_and_a_new_address_reaches_the_reports()
 {
    let story = begin("google-events", 20).await;
    story.secret("hook", &[("webhookSecret", "s3cret")]).await;
    let controller = Controller::start(&story).await;
    let bob = json!({"webhookSecretRef": {"name": "hook", "key": "webhookSecret"}});
    story.integrate(json!({"interval": "24h", "provider": google(&story), "bob": bob})).await;
    story.ready("Converged").await;
    story
        .simulated
        .put("/bob/webhook", json!({"url": controller.webhooks, "secret": "s3cret"}))
        .await;
    let (boss, employee) = story.simulated.somebody().await;
    let email = employee["root.email"].as_str().unwrap();
    forget_calls(&story).await;
    let joiner =
        json!({"root.firstName": "Noa", "work.startDate": "2022-01-01", "work.manager": boss});
    let joiner = story.simulated.hire(joiner).await;
    let named = |address: String| {
        let (story, joiner) = (&story, &joiner);
        async move {
            until("the joiner's account names the manager", || async {
                let manager = account(story, joiner)
                    .await
                    .map(|user| entry(&user, "relations", "manager").clone());
                if manager == Some(json!(address)) { Ok(()) } else { Err(format!("{manager:?}")) }
            })
            .await;
        }
    };
    named(email.to_owned()).await;
    let reads = story.simulated.get("/google/calls").await["byRoute"].clone();
    assert_eq!(
        reads["GET /admin/directory/v1/users"], 1,
        "the search for the mark, and no listing: {reads}"
    );
    assert!(
        reads.to_string().contains("GET /admin/directory/v1/users/"),
        "the manager's account was read by its id: {reads}"
    );
    story.simulated.change(&boss, json!({"root.email": "the.boss@example.com"})).await;
    named("the.boss@example.com".to_owned()).await;
    assert_eq!(ready(&story.person(&joiner).await.unwrap()).1, "InSync");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaver_whose_account_bears_another_number_is_a_conflict_and_never_in_sync() {
    let (story, _controller) = converged("google-remarked", 16, json!({})).await;
    story.sync().await;
    let (id, _) = story.simulated.somebody().await;
    let user = account(&story, &id).await.unwrap();
    let path = format!("/google/users/{}", user["id"].as_str().unwrap());
    let other = json!([{"type": "custom", "customType": "bobsync", "value": "004711"}]);
    story.simulated.patch(&path, json!({"externalIds": other})).await;
    story
        .simulated
        .change(
            &id,
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    for _ in 0..2 {
        story.sync().await;
        let person = story.person(&id).await.unwrap();
        assert_eq!(ready(&person), ("False".into(), "Conflict".into()));
        assert!(
            condition(&person, "Ready").unwrap().2.contains("suspend it by hand"),
            "{:?}",
            condition(&person, "Ready")
        );
        assert_eq!(condition(&person, "AccessSynced").unwrap().1, "NotAsDecided");
        assert_eq!(person.status.unwrap().account.unwrap().id, user["id"].as_str().unwrap());
        assert_eq!(
            story.simulated.get(&path).await["suspended"],
            false,
            "an account with another's mark is not written"
        );
    }
    story
        .simulated
        .patch(
            &path,
            json!({"externalIds": [{"type": "custom", "customType": "bobsync", "value": id}]}),
        )
        .await;
    story.sync().await;
    assert_eq!(story.simulated.get(&path).await["suspended"], true);
    assert_eq!(ready(&story.person(&id).await.unwrap()), ("True".into(), "InSync".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_who_was_never_adopted_and_leaves_is_told_as_open() {
    let story = begin("google-boss", 8).await;
    let (id, employee) = story.simulated.somebody().await;
    let boss = json!({"primaryEmail": employee["root.email"], "name": {"givenName": "Noa", "familyName": "Lind"}, "isAdmin": true});
    story.simulated.post("/google/users", boss).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"provider": google(&story)})).await;
    story.ready("Converged").await;
    let access = async || {
        let person = story.person(&id).await.unwrap();
        let said = condition(&person, "AccessSynced").unwrap();
        (serde_json::to_value(person.status.unwrap().access).unwrap(), said.0, said.1)
    };
    assert_eq!(access().await, (json!("Active"), "True".into(), "AsDecided".into()));
    story
        .simulated
        .change(
            &id,
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    story.sync().await;
    assert_eq!(access().await, (json!("Active"), "False".into(), "NotAsDecided".into()));
    let (_, reason, message) = condition(&story.person(&id).await.unwrap(), "Ready").unwrap();
    assert!(
        reason == "SuspendByHand" && message.contains("suspend the account by hand"),
        "{message}"
    );
    let integration = story.integration().await.status.unwrap();
    assert_eq!(integration.employees.map(|counts| counts.failing), Some(1));
    story
        .integrate(json!({"provider": google(&story), "safety": {"administrators": "Suspend"}}))
        .await;
    until("the administrator is suspended", || async {
        let access = access().await;
        if access == (json!("Suspended"), "True".into(), "AsDecided".into()) {
            Ok(())
        } else {
            Err(format!("{access:?}"))
        }
    })
    .await;
    let users = story.simulated.get("/google/users").await;
    let boss = users
        .as_array()
        .unwrap()
        .iter()
        .find(|user| user["primaryEmail"] == employee["root.email"])
        .unwrap()
        .clone();
    assert_eq!(
        (&boss["suspended"], &boss["name"]["givenName"]),
        (&json!(true), &json!("Noa")),
        "access, and nothing else"
    );
    assert_eq!(ready(&story.person(&id).await.unwrap()).1, "HandsOff");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn administrators_are_recognised_and_left_alone() {
    let (story, _controller) = converged("google-administrators", 16, json!({})).await;
    story.sync().await;
    let (id, _) = story.simulated.somebody().await;
    let leaves = json!({"work.title": "Head of Lighthouses", "internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"});
    story.simulated.change(&id, leaves).await;
    for role in ["isAdmin", "isDelegatedAdmin"] {
        let user = account(&story, &id).await.unwrap();
        let path = format!("/google/users/{}", user["id"].as_str().unwrap());
        story.simulated.patch(&path, json!({role: true})).await;
        forget_calls(&story).await;
        story.sync().await;
        assert_eq!(writes(&story).await, 0, "{role}");
        let person = story.person(&id).await.unwrap();
        assert_eq!(ready(&person), ("False".into(), "SuspendByHand".into()), "{role}");
        assert!(condition(&person, "Ready").unwrap().2.contains("administrator"));
        assert_eq!(
            condition(&person, "AccessSynced").unwrap().1,
            "NotAsDecided",
            "what should be is still said"
        );
        story.simulated.patch(&path, json!({role: false})).await;
    }
    story.sync().await;
    assert_eq!(
        account(&story, &id).await.unwrap()["suspended"],
        true,
        "without the role the decision is carried out"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_that_were_deleted_by_hand_are_gone_and_no_outage() {
    let story = begin("google-deleted", 0).await;
    let people = staff(&story, 80).await;
    let _controller = Controller::start(&story).await;
    let safety = json!({"disables": {"max": "100%", "atLeast": 80, "per": "24h"}});
    story.integrate(json!({"provider": google(&story), "safety": safety})).await;
    story.ready("Converged").await;
    for id in &people[..13] {
        let user = account(&story, id).await.expect("an account");
        story.simulated.delete(&format!("/google/users/{}", user["id"].as_str().unwrap())).await;
    }
    leave(&story, &people[..12]).await;
    forget_calls(&story).await;
    story.sync().await;
    story.ready("Converged").await;
    for id in &people[..12] {
        let status = story.person(id).await.unwrap().status.unwrap();
        assert_eq!(
            status.access.map(|access| format!("{access:?}")).as_deref(),
            Some("Absent"),
            "{id}"
        );
    }
    let calls = story.simulated.get("/google/calls").await;
    let reads = calls["byRoute"]["GET /admin/directory/v1/users/{userKey}"].as_u64().unwrap_or(0);
    assert!(
        reads <= 27,
        "each is read twice: because the listing may be short, and before its change: {reads}"
    );
    assert!(account(&story, &people[12]).await.is_some(), "somebody at work has a new account");
    assert_eq!(ready(&story.person(&people[12]).await.unwrap()).1, "InSync");
}
