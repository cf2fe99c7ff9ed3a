//! The same stories with JumpCloud: first sync, silence, movers, leavers, adoption and credentials.
//! Also the cases that only JumpCloud has: usernames with numbers, staged accounts, expired
//! passwords, and fields that another directory masters.

use std::collections::{HashMap, HashSet};

use bobsync::api::employee_sync::Access;
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::{
    first_sync::expected,
    support::{Controller, Story, condition, ready, until},
};

/// Returns the provider's part of a spec.
fn jumpcloud(story: &Story) -> Value {
    json!({"jumpCloud": {"credentialsSecretRef": {"name": "jumpcloud"}, "endpoint": story.simulated.jumpcloud}})
}

/// Begins a story with the Secret of the key.
async fn begin(name: &str, employees: usize) -> Story {
    let story = Story::begin(name, employees).await;
    story.secret("jumpcloud", &[("apiKey", "jumpcloud-key-1")]).await;
    story
}

async fn converged(name: &str, employees: usize, spec: Value) -> (Story, Controller) {
    let story = begin(name, employees).await;
    let controller = Controller::start(&story).await;
    let mut spec = spec;
    let mut provider = jumpcloud(&story);
    if let Some(more) = spec["provider"].as_object() {
        provider["jumpCloud"].as_object_mut().unwrap().extend(more.clone());
    }
    spec["provider"] = provider;
    story.integrate(spec).await;
    story.ready("Converged").await;
    (story, controller)
}

fn entry<'a>(user: &'a Value, array: &str, key: &str) -> &'a Value {
    let entries = user[array].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = entries.iter().find(|entry| entry["type"] == key || entry["name"] == key);
    found.map_or(&Value::Null, |entry| {
        if array == "attributes" { &entry["value"] } else { &entry["number"] }
    })
}

async fn accounts(story: &Story) -> Vec<Value> {
    story.simulated.get("/jumpcloud/users").await.as_array().cloned().unwrap_or_default()
}

fn mark(user: &Value) -> &Value {
    entry(user, "attributes", "bobsyncEmployeeId")
}

/// Returns the account that bears this employee's mark.
async fn account(story: &Story, employee: &str) -> Option<Value> {
    accounts(story).await.into_iter().find(|user| *mark(user) == employee)
}

async fn writes(story: &Story) -> u64 {
    story.simulated.get("/jumpcloud/calls").await["writes"].as_u64().unwrap_or(0)
}

async fn forget_calls(story: &Story) {
    story.simulated.forget_calls().await;
    story.simulated.delete("/jumpcloud/calls").await;
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_makes_jumpcloud_equal_to_bob_with_one_write_each_and_expires_each_password() {
    let story = begin("jumpcloud-first", 60).await;
    story.secret("welcome", &[("password", "Correct-Horse-7-Battery")]).await;
    let example: Value =
        serde_saphyr::from_str(include_str!("../../examples/jumpcloud.yaml")).expect("YAML");
    let mut spec = example["spec"].clone();
    spec["mode"] = json!("Enforce");
    spec["bob"]["endpoint"] = json!(story.simulated.bob);
    spec["provider"]["jumpCloud"]["endpoint"] = json!(story.simulated.jumpcloud);
    let controller = Controller::start(&story).await;
    story.integrate(spec).await;
    story.ready("Converged").await;

    let now = Timestamp::now();
    let employees = story.simulated.employees().await;
    let users = accounts(&story).await;
    let by_mark: HashMap<&str, &Value> =
        users.iter().map(|user| (mark(user).as_str().expect("a mark"), user)).collect();
    let mut wanted = 0;
    for employee in &employees {
        let id = employee["root.id"].as_str().unwrap();
        let Some(status) = expected(employee, now) else {
            assert!(!by_mark.contains_key(id), "{id} has left or not started, and has an account");
            continue;
        };
        wanted += 1;
        let user = by_mark.get(id).unwrap_or_else(|| panic!("{id} has no account"));
        assert_eq!(user["state"], if status == 2 { "SUSPENDED" } else { "ACTIVATED" }, "{id}");
        for (have, field) in [
            (&user["email"], "root.email"),
            (&user["firstname"], "root.firstName"),
            (&user["middlename"], "root.secondName"),
            (&user["lastname"], "root.surname"),
            (&user["displayname"], "root.displayName"),
            (entry(user, "phoneNumbers", "work_mobile"), "work.workMobile"),
            (entry(user, "phoneNumbers", "work"), "work.workPhone"),
            (&user["department"], "work.department"),
            (&user["jobTitle"], "work.title"),
            (&user["location"], "work.site"),
            (&user["employeeType"], "payroll.employment.type"),
            (&user["employeeIdentifier"], "work.employeeIdInCompany"),
        ] {
            assert_eq!(text(have), text(&employee[field]), "{id} {field}");
        }
        let username = user["username"].as_str().unwrap();
        assert!(
            username.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.'),
            "{username}"
        );
        assert_eq!(
            (&user["manager"], &user["password_expired"]),
            (&Value::Null, &json!(true)),
            "{id}"
        );
    }
    assert_eq!(users.len(), wanted, "nobody else has an account");
    let usernames: HashSet<&str> =
        users.iter().filter_map(|user| user["username"].as_str()).collect();
    assert_eq!(usernames.len(), wanted);
    let log = story.simulated.get("/jumpcloud/log?since=0").await;
    let calls = |ends: &str, granted: bool| {
        let counts = |call: &&Value| {
            call["method"] == "POST"
                && call["path"].as_str().unwrap().ends_with(ends)
                && (call["status"] == 200) == granted
        };
        log.as_array().unwrap().iter().filter(counts).count()
    };
    assert_eq!(
        (calls("/systemusers", true), calls("/expire", true)),
        (wanted, wanted),
        "one write each, and one that expires the password"
    );
    let numbered = usernames
        .iter()
        .filter(|name| name.rsplit_once('.').is_some_and(|(_, end)| end.parse::<u32>().is_ok()))
        .count();
    assert!(
        calls("/systemusers", false) >= numbered,
        "only a username that is taken is tried again"
    );
    let told =
        format!("{}{}", controller.log(), serde_json::to_string(&story.everybody().await).unwrap());
    assert!(
        !told.contains("Correct-Horse") && !told.contains("jumpcloud-key-1"),
        "no secret is told"
    );
    for person in story.everybody().await {
        assert_eq!(ready(&person).0, "True");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_steady_state_writes_nothing_and_reads_a_page_for_each_hundred_accounts() {
    let (story, _controller) = converged("jumpcloud-steady", 40, json!({})).await;
    story.sync().await;
    forget_calls(&story).await;
    for _ in 0..2 {
        story.sync().await;
    }
    let calls = story.simulated.get("/jumpcloud/calls").await;
    assert_eq!(calls["writes"], 0);
    assert_eq!(
        calls["byRoute"],
        json!({"GET /api/systemusers": 2}),
        "one page each, and not one more call"
    );
    assert_eq!(story.simulated.calls("bob", "POST /v1/people/search").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mover_a_leaver_and_a_rehire() {
    let (story, _controller) = converged("jumpcloud-lives", 30, json!({})).await;
    story.sync().await;
    let (id, _) = story.simulated.somebody().await;
    let before = account(&story, &id).await.unwrap();
    forget_calls(&story).await;
    story
        .simulated
        .change(
            &id,
            json!({"work.title": "Head of Lighthouses", "root.displayName": "Somebody Else"}),
        )
        .await;
    story.sync().await;
    assert_eq!(writes(&story).await, 1);
    let moved = account(&story, &id).await.unwrap();
    assert_eq!(
        (&moved["jobTitle"], &moved["displayname"]),
        (&json!("Head of Lighthouses"), &json!("Somebody Else"))
    );
    assert_eq!(moved["username"], before["username"], "a username is chosen once");
    let history = story.person(&id).await.unwrap().status.unwrap().history;
    assert_eq!(history[0].fields, ["displayname", "jobTitle"]);

    story
        .simulated
        .change(
            &id,
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    story.sync().await;
    let suspended = account(&story, &id).await.unwrap();
    assert_eq!((&suspended["state"], &suspended["_id"]), (&json!("SUSPENDED"), &before["_id"]));
    assert_eq!(ready(&story.person(&id).await.unwrap()), ("True".into(), "InSync".into()));
    story
        .simulated
        .change(&id, json!({"internal.lifecycleStatus": "Employed", "internal.status": "Active"}))
        .await;
    story.sync().await;
    let again = account(&story, &id).await.unwrap();
    assert_eq!((&again["state"], &again["_id"]), (&json!("ACTIVATED"), &before["_id"]));
    assert_eq!(again["password_expired"], false, "what the settings do not ask for is not done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_from_before_is_adopted_by_its_address_and_keeps_its_username_its_password_and_what_is_not_ours()
 {
    let story = begin("jumpcloud-adopt", 12).await;
    let (id, employee) = story.simulated.somebody().await;
    let made = story
        .simulated
        .post(
            "/jumpcloud/users",
            json!({
                "email": employee["root.email"], "username": "the.old.one", "firstname": "Old", "lastname": "Name",
                "phoneNumbers": [{"type": "home", "number": "+44 20 7946 0000"}], "attributes": [{"name": "shoe", "value": "46"}],
                "addresses": [{"type": "work", "locality": "Paris"}],
            }),
        )
        .await;
    let _controller = Controller::start(&story).await;
    story.secret("welcome", &[("password", "Correct-Horse-7-Battery")]).await;
    let provisioning = json!({"defaultPasswordSecretRef": {"name": "welcome", "key": "password"}, "changePasswordOnFirstLogin": true});
    story.integrate(json!({"provider": jumpcloud(&story), "provisioning": provisioning})).await;
    story.ready("Converged").await;
    let user = account(&story, &id).await.expect("adopted");
    assert_eq!(
        (&user["_id"], &user["firstname"], &user["username"]),
        (&made["_id"], &employee["root.firstName"], &json!("the.old.one"))
    );
    assert_eq!(
        (entry(&user, "phoneNumbers", "home"), entry(&user, "attributes", "shoe")),
        (&json!("+44 20 7946 0000"), &json!("46"))
    );
    assert_eq!(
        (&user["addresses"][0]["locality"], &user["password_expired"]),
        (&json!("Paris"), &json!(false))
    );
    let log = story.simulated.get("/jumpcloud/log?since=0").await;
    let puts: Vec<&Value> =
        log.as_array().unwrap().iter().filter(|call| call["method"] == "PUT").collect();
    assert_eq!(puts.len(), 1);
    assert!(
        puts[0]["body"].get("password").is_none() && puts[0]["body"].get("addresses").is_none(),
        "{}",
        puts[0]
    );
    let status = story.person(&id).await.unwrap().status.unwrap();
    assert_eq!(serde_json::to_value(status.account.unwrap().matched_by).unwrap(), "Email");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_of_one_name_get_numbers_and_keep_them() {
    let story = begin("jumpcloud-names", 0).await;
    let joiner = |email: &str| {
        json!({"root.firstName": "Noa", "root.surname": "Lind", "root.displayName": "Noa Lind", "root.email": email,
        "work.startDate": "2020-01-01", "internal.lifecycleStatus": "Employed", "internal.status": "Active",
        "internal.terminationDate": null, "employee.lastDayOfWork": null})
    };
    let mut ids = Vec::new();
    for email in ["noa@example.com", "noa.lind@example.com", "n.lind@example.com"] {
        ids.push(story.simulated.hire(joiner(email)).await);
    }
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"provider": jumpcloud(&story)})).await;
    story.ready("Converged").await;
    let names = async || {
        let users = accounts(&story).await;
        let mut names: Vec<String> = users.iter().map(|user| text(&user["username"])).collect();
        names.sort();
        names
    };
    assert_eq!(names().await, ["noa.lind", "noa.lind.2", "noa.lind.3"]);
    for id in &ids {
        assert_eq!(ready(&story.person(id).await.unwrap()).1, "InSync");
    }
    ids.push(story.simulated.hire(joiner("lind@example.com")).await);
    forget_calls(&story).await;
    story.sync().await;
    assert_eq!(names().await.last().unwrap(), "noa.lind.4");
    forget_calls(&story).await;
    story.sync().await;
    assert_eq!(writes(&story).await, 0, "nobody's username is looked at again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_staged_account_waits_for_an_administrator_and_a_leavers_is_suspended() {
    let (story, _controller) =
        converged("jumpcloud-staged", 16, json!({"provider": {"passwordlessState": "Staged"}}))
            .await;
    story.sync().await;
    let (id, _) = story.simulated.somebody().await;
    let user = account(&story, &id).await.unwrap();
    assert_eq!(user["state"], "STAGED");
    let person = story.person(&id).await.unwrap();
    assert_eq!(ready(&person), ("True".into(), "InSync".into()));
    assert_eq!(condition(&person, "AccessSynced").unwrap().1, "AwaitingActivation");
    assert_eq!(person.status.unwrap().access, Some(Access::Active));
    forget_calls(&story).await;
    story
        .simulated
        .patch(
            &format!("/jumpcloud/users/{}", user["_id"].as_str().unwrap()),
            json!({"state": "ACTIVATED"}),
        )
        .await;
    story.sync().await;
    assert_eq!(writes(&story).await, 0, "staged or activated, both are left alone");
    assert_eq!(
        condition(&story.person(&id).await.unwrap(), "AccessSynced").unwrap().1,
        "AsDecided"
    );

    let other = accounts(&story)
        .await
        .into_iter()
        .find(|user| user["state"] == "STAGED")
        .expect("another one");
    let leaver = mark(&other).as_str().unwrap().to_owned();
    story
        .simulated
        .change(
            &leaver,
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    story.sync().await;
    assert_eq!(account(&story, &leaver).await.unwrap()["state"], "SUSPENDED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_future_starter_is_suspended_until_the_day_and_never_staged() {
    let provisioning = json!({"create": "OnEmployeeCreation"});
    let (story, _controller) = converged(
        "jumpcloud-starter",
        4,
        json!({"provider": {"passwordlessState": "Staged"}, "provisioning": provisioning}),
    )
    .await;
    let starts = json!({"root.email": "early.bird@example.com", "work.startDate": "2099-01-04", "internal.lifecycleStatus": "Hired",
                        "internal.status": "Inactive", "internal.terminationDate": null, "employee.lastDayOfWork": null});
    let id = story.simulated.hire(starts).await;
    story.sync().await;
    assert_eq!(account(&story, &id).await.unwrap()["state"], "SUSPENDED");
    let started = json!({"work.startDate": "2026-01-05", "internal.lifecycleStatus": "Employed", "internal.status": "Active"});
    story.simulated.change(&id, started).await;
    story.sync().await;
    assert_eq!(account(&story, &id).await.unwrap()["state"], "ACTIVATED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_whose_answer_is_lost_makes_one_account_and_its_password_is_expired() {
    let provisioning = json!({"defaultPasswordSecretRef": {"name": "welcome", "key": "password"}, "changePasswordOnFirstLogin": true});
    let story = begin("jumpcloud-lost", 10).await;
    story.secret("welcome", &[("password", "Correct-Horse-7-Battery")]).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"provider": jumpcloud(&story), "provisioning": provisioning})).await;
    story.ready("Converged").await;
    for (number, kind) in ["resetAfterApply", "statusAfterApply", "reset"].into_iter().enumerate() {
        let lost =
            json!({"kind": kind, "method": "POST", "pathPrefix": "/api/systemusers", "times": 1});
        story.simulated.post("/jumpcloud/faults", lost).await;
        let email = format!("late.riser.{number}@example.com");
        let joins = json!({"root.email": email, "work.startDate": "2020-01-01", "internal.lifecycleStatus": "Employed",
                           "internal.status": "Active", "internal.terminationDate": null, "employee.lastDayOfWork": null});
        let id = story.simulated.hire(joins).await;
        story.sync().await;
        until("the person is in sync", || async {
            match story.reason(&id).await.as_str() {
                "InSync" => Ok(()),
                other => Err(other.to_owned()),
            }
        })
        .await;
        let named: Vec<Value> = accounts(&story)
            .await
            .into_iter()
            .filter(|user| user["email"] == email.as_str())
            .collect();
        assert_eq!((named.len(), &named[0]["password_expired"]), (1, &json!(true)), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_a_powerless_owner_and_another_organization_are_told_apart() {
    // There are so many that the refusals of creates concern the credential, not single employees.
    let story = begin("jumpcloud-secret", 40).await;
    story.secret("jumpcloud", &[("apiKey", "two\nlines")]).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"provider": jumpcloud(&story)})).await;
    let message = |integration: bobsync::api::ProvisioningIntegration| {
        let conditions = integration.status.unwrap().conditions;
        conditions.into_iter().find(|c| c.type_ == "Ready").unwrap().message
    };
    let said = message(story.ready("ProviderUnauthorized").await);
    assert!(said.contains("apiKey") && !said.contains("lines"), "{said}");
    assert_eq!(story.simulated.get("/jumpcloud/calls").await["total"], 0);

    story.secret("jumpcloud", &[("apiKey", "yesterdays-key")]).await;
    until("the key was tried", || async {
        let total = story.simulated.get("/jumpcloud/calls").await["total"].as_u64().unwrap_or(0);
        if total > 0 { Ok(()) } else { Err("no call yet".to_owned()) }
    })
    .await;
    let said = message(story.ready("ProviderUnauthorized").await);
    assert!(!said.contains("yesterdays-key"), "{said}");

    story.simulated.put("/jumpcloud/credentials", json!({"rights": "read"})).await;
    story.secret("jumpcloud", &[("apiKey", "jumpcloud-key-1")]).await;
    let said = message(story.ready("ProviderForbidden").await);
    assert!(said.contains("role that may manage users"), "{said}");
    story
        .simulated
        .put("/jumpcloud/credentials", json!({"rights": "manage", "several": true}))
        .await;
    let said = message(story.sync_ends_in("ProviderUnauthorized").await);
    assert!(said.contains("organizationId"), "{said}");
    let mut provider = jumpcloud(&story);
    provider["jumpCloud"]["organizationId"] = json!("5f0c1b2c3d4e5f6071829304");
    story.integrate(json!({"provider": provider})).await;
    story.ready("Converged").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_jumpcloud_cannot_do_is_refused_with_a_way_out_and_endpoints_only_where_they_are_allowed()
 {
    let story = begin("jumpcloud-refuse", 2).await;
    let apply = async |provider: Value, more: Value| {
        let mut spec = json!({"mode": "Enforce", "bob": {"credentialsSecretRef": {"name": "bob"}}, "provider": provider});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let object = json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "ProvisioningIntegration", "metadata": {"name": "no"}, "spec": spec});
        let patch = Patch::Apply(object);
        let parameters = PatchParams { dry_run: true, ..PatchParams::apply("story").force() };
        story.integrations().patch("no", &parameters, &patch).await
    };
    let required = json!([{"target": "email", "field": "root.email"}, {"target": "username", "field": "root.email"}]);
    let with = |row: Value| {
        let mut rows = required.as_array().unwrap().clone();
        rows.push(row);
        json!({"mapping": rows})
    };
    let one = jumpcloud(&story);
    let mut both = one.clone();
    both["oneLogin"] = json!({"region": "US", "credentialsSecretRef": {"name": "onelogin"}});
    let mut mars = one.clone();
    mars["jumpCloud"]["region"] = json!("Mars");
    let mut staged = one.clone();
    staged["jumpCloud"]["passwordlessState"] = json!("Staged");
    let password = json!({"provisioning": {"defaultPasswordSecretRef": {"name": "welcome", "key": "password"}}});
    for (provider, more, said) in [
        (both, json!({}), "name exactly one provider"),
        (mars, json!({}), "Unsupported value"),
        (
            one.clone(),
            json!({"mapping": [{"target": "email", "field": "root.email"}]}),
            "JumpCloud requires the targets email and username",
        ),
        (
            one.clone(),
            with(json!({"target": "title", "field": "work.title"})),
            "JumpCloud has no such target",
        ),
        (
            one.clone(),
            with(json!({"target": "phoneNumbers", "field": "work.title"})),
            "JumpCloud has no such target",
        ),
        (
            one.clone(),
            with(json!({"target": "addresses.work.planet", "field": "work.title"})),
            "JumpCloud has no such target",
        ),
        (
            one.clone(),
            with(json!({"target": "attributes.bobsyncEmployeeId", "field": "work.title"})),
            "JumpCloud has no such target",
        ),
        (
            one.clone(),
            with(json!({"target": "manager", "field": "work.title"})),
            "manager refers to an employee",
        ),
        (
            one.clone(),
            json!({"provisioning": {"changePasswordOnFirstLogin": true}}),
            "without a default password JumpCloud mails employees an invitation",
        ),
        (
            staged.clone(),
            password.clone(),
            "passwordlessState: Staged is only for accounts that are created without",
        ),
    ] {
        let answer = apply(provider, more).await.expect_err(said).to_string();
        assert!(answer.contains(said), "{answer}");
    }
    for target in [
        "jobTitle",
        "phoneNumbers.work_fax",
        "addresses.work.postalCode",
        "attributes.t-shirt",
        "alternateEmail",
    ] {
        apply(one.clone(), with(json!({"target": target, "field": "work.title"})))
            .await
            .expect(target);
    }
    apply(one.clone(), with(json!({"target": "manager", "field": "work.manager"})))
        .await
        .expect("a manager can be mapped");
    apply(staged, json!({})).await.expect("staged without a password");
    apply(one.clone(), password).await.expect("a password without staging");
    // Port 9 was not allowed when the controller was started.
    let _controller = Controller::start(&story).await;
    let mut elsewhere = one.clone();
    elsewhere["jumpCloud"]["endpoint"] = json!("http://127.0.0.1:9");
    story.integrate(json!({"provider": elsewhere})).await;
    story.ready("EndpointNotAllowed").await;
    assert_eq!(
        story.simulated.get("/jumpcloud/calls").await["total"],
        0,
        "not one request went out"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_another_directory_masters_is_named_and_stops_no_suspension() {
    let (story, _controller) = converged("jumpcloud-restricted", 12, json!({})).await;
    story.sync().await;
    let (id, _) = story.simulated.somebody().await;
    let user = account(&story, &id).await.unwrap();
    let restricted = json!({"restrictedFields": [{"field": "jobTitle", "id": "5f0c1b2c3d4e5f6071829305", "type": "active_directory"}]});
    story
        .simulated
        .patch(&format!("/jumpcloud/users/{}", user["_id"].as_str().unwrap()), restricted)
        .await;
    story.simulated.change(&id, json!({"work.title": "Chief Xylophonist"})).await;
    story.sync().await;
    let person = story.person(&id).await.unwrap();
    assert_eq!(ready(&person), ("False".into(), "Rejected".into()));
    let (_, _, message) = condition(&person, "Stalled").unwrap();
    assert!(message.contains("jobTitle") && !message.contains("Xylophonist"), "{message}");
    story
        .simulated
        .change(
            &id,
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    story.sync().await;
    assert_eq!(account(&story, &id).await.unwrap()["state"], "SUSPENDED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_can_be_mapped_and_goes_into_the_create() {
    let mapping = json!([
        {"target": "email", "field": "root.email"}, {"target": "username", "cel": "username(employee.root.email)", "apply": "OnCreate"},
        {"target": "lastname", "field": "root.surname"}, {"target": "manager", "field": "work.manager"},
    ]);
    let (story, _controller) = converged("jumpcloud-boss", 20, json!({"mapping": mapping})).await;
    let (id, employee) = story.simulated.somebody().await;
    let boss = account(&story, employee["work.manager"].as_str().unwrap())
        .await
        .expect("the manager has an account");
    assert_eq!(account(&story, &id).await.unwrap()["manager"], boss["_id"]);
    let accounts = accounts(&story).await.len() as u64;
    let creates = story.simulated.get("/jumpcloud/calls").await["byRoute"]["POST /api/systemusers"]
        .as_u64()
        .unwrap();
    let updates =
        story.simulated.get("/jumpcloud/calls").await["byRoute"]["PUT /api/systemusers/{id}"]
            .as_u64()
            .unwrap_or(0);
    assert!(
        creates >= accounts && updates <= 2,
        "managers first: {creates} creates and {updates} updates for {accounts} accounts"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn administrators_are_recognised_and_left_alone() {
    let (story, _controller) = converged("jumpcloud-administrators", 16, json!({})).await;
    story.sync().await;
    let (id, _) = story.simulated.somebody().await;
    let path = format!(
        "/jumpcloud/users/{}",
        account(&story, &id).await.unwrap()["_id"].as_str().unwrap()
    );
    story
        .simulated
        .patch(&path, json!({"admin": {"id": "5f0c1b2c3d4e5f6071829306", "roleName": "Help Desk"}}))
        .await;
    story
        .simulated
        .change(
            &id,
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    forget_calls(&story).await;
    story.sync().await;
    assert_eq!(writes(&story).await, 0);
    assert_eq!(ready(&story.person(&id).await.unwrap()), ("False".into(), "SuspendByHand".into()));
    story.simulated.patch(&path, json!({"admin": null})).await;
    story.sync().await;
    assert_eq!(account(&story, &id).await.unwrap()["state"], "SUSPENDED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_about_a_joiner_costs_one_look_up_and_one_create_and_one_about_a_mover_one_read_and_one_change()
 {
    let story = begin("jumpcloud-events", 12).await;
    story.secret("hook", &[("webhookSecret", "s3cret")]).await;
    let controller = Controller::start(&story).await;
    let bob = json!({"webhookSecretRef": {"name": "hook", "key": "webhookSecret"}});
    story.integrate(json!({"interval": "24h", "provider": jumpcloud(&story), "bob": bob})).await;
    story.ready("Converged").await;
    story
        .simulated
        .put("/bob/webhook", json!({"url": controller.webhooks, "secret": "s3cret"}))
        .await;
    forget_calls(&story).await;
    let joiner = json!({"root.firstName": "Noa", "root.displayName": "Noa Unheard-Of", "work.startDate": "2022-01-01"});
    let joiner = story.simulated.hire(joiner).await;
    until("the joiner has an account", || async {
        if account(&story, &joiner).await.is_some() { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    let routes = story.simulated.get("/jumpcloud/calls").await["byRoute"].clone();
    assert_eq!(
        routes,
        json!({"GET /api/systemusers": 1, "POST /api/systemusers": 1}),
        "no listing: the e-mail is looked up"
    );
    let log = story.simulated.get("/jumpcloud/log?since=0").await;
    assert!(
        log.as_array()
            .unwrap()
            .iter()
            .any(|call| call["query"].as_str().unwrap().contains("filter=email")),
        "{log}"
    );

    until("the joiner is on record", || async {
        match story.reason(&joiner).await.as_str() {
            "InSync" => Ok(()),
            other => Err(other.to_owned()),
        }
    })
    .await;
    forget_calls(&story).await;
    story.simulated.change(&joiner, json!({"work.title": "Head of Lighthouses"})).await;
    until("the new title is there", || async {
        let title = account(&story, &joiner).await.unwrap()["jobTitle"].clone();
        if title == "Head of Lighthouses" { Ok(()) } else { Err(title.to_string()) }
    })
    .await;
    let routes = story.simulated.get("/jumpcloud/calls").await["byRoute"].clone();
    assert_eq!(routes, json!({"GET /api/systemusers/{id}": 1, "PUT /api/systemusers/{id}": 1}));
}
