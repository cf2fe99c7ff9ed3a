//! The same stories with Okta: first sync, silence, movers, leavers and rehires, adoption,
//! credentials. Also the cases that only Okta has: logins that decide, accounts that cannot be
//! suspended, deactivated accounts, other masters, an attribute for marks that is in use.

use std::collections::HashMap;

use bobsync::api::employee_sync::Access;
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::{
    first_sync::expected,
    support::{Controller, Story, condition, ready, until},
};

const MARK: &str = "bobsyncEmployeeId";

/// Returns the provider's part of a spec, with these members in addition.
fn okta(story: &Story, more: Value) -> Value {
    let mut okta = json!({
        "domain": "sample.okta.com", "endpoint": story.simulated.okta, "markAttribute": MARK,
        "credentialsSecretRef": {"name": "okta"},
    });
    okta.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"okta": okta})
}

/// Begins a story with the attribute of the mark and the Secret of the service app.
async fn begin(name: &str, employees: usize) -> Story {
    let story = Story::begin(name, employees).await;
    let custom = json!({MARK: {"title": "Employee in Bob", "type": "string"}});
    story.simulated.put("/okta/schema", json!({"custom": custom})).await;
    let app = story.simulated.get("/okta/app").await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let key = &app["keys"]["ec"];
    story
        .secret(
            "okta",
            &[
                ("clientId", &text(&app["clientId"])),
                ("privateKey", &text(&key["privateKey"])),
                ("keyId", &text(&key["keyId"])),
            ],
        )
        .await;
    story
}

async fn converged(name: &str, employees: usize, more: Value) -> (Story, Controller) {
    let story = begin(name, employees).await;
    let controller = Controller::start(&story).await;
    story.integrate(json!({"provider": okta(&story, more)})).await;
    story.ready("Converged").await;
    (story, controller)
}

async fn accounts(story: &Story) -> Vec<Value> {
    story.simulated.get("/okta/users").await.as_array().cloned().unwrap_or_default()
}

/// Returns the account that bears this employee's mark.
async fn account(story: &Story, employee: &str) -> Option<Value> {
    accounts(story).await.into_iter().find(|user| user["profile"][MARK] == employee)
}

async fn edit(story: &Story, user: &Value, members: Value) {
    let id = user["id"].as_str().unwrap();
    story.simulated.patch(&format!("/okta/users/{id}"), members).await;
}

async fn writes(story: &Story) -> u64 {
    story.simulated.get("/okta/calls").await["writes"].as_u64().unwrap_or(0)
}

async fn forget_calls(story: &Story) {
    story.simulated.forget_calls().await;
    story.simulated.delete("/okta/calls").await;
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn left() -> Value {
    json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"})
}

fn back() -> Value {
    json!({"internal.lifecycleStatus": "Employed", "internal.status": "Active"})
}

fn leave() -> Value {
    json!({"internal.lifecycleStatus": "Leave", "internal.status": "Inactive"})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_makes_okta_equal_to_bob_with_one_write_each_and_mails_everyone_who_is_activated()
 {
    let story = begin("okta-first", 40).await;
    story.simulated.put("/okta/app", json!({"dpop": true})).await;
    let example: Value =
        serde_saphyr::from_str(include_str!("../../examples/okta.yaml")).expect("YAML");
    let mut spec = example["spec"].clone();
    spec["mode"] = json!("Enforce");
    spec["bob"]["endpoint"] = json!(story.simulated.bob);
    spec["provider"]["okta"]["endpoint"] = json!(story.simulated.okta);
    spec["provider"]["okta"]["domain"] = json!("sample.okta.com");
    let controller = Controller::start(&story).await;
    story.integrate(spec).await;
    story.ready("Converged").await;

    let now = Timestamp::now();
    let employees = story.simulated.employees().await;
    let users = accounts(&story).await;
    let by_mark: HashMap<&str, &Value> =
        users.iter().map(|user| (user["profile"][MARK].as_str().expect("a mark"), user)).collect();
    let (mut wanted, mut activated) = (0, 0);
    for employee in &employees {
        let id = employee["root.id"].as_str().unwrap();
        let Some(status) = expected(employee, now) else {
            assert!(!by_mark.contains_key(id), "{id} has left or not started, and has an account");
            continue;
        };
        wanted += 1;
        activated += usize::from(status == 1);
        let user = by_mark.get(id).unwrap_or_else(|| panic!("{id} has no account"));
        assert_eq!(user["status"], if status == 2 { "STAGED" } else { "PROVISIONED" }, "{id}");
        let profile = &user["profile"];
        for (target, field) in [
            ("login", "root.email"),
            ("email", "root.email"),
            ("displayName", "root.displayName"),
            ("firstName", "root.firstName"),
            ("lastName", "root.surname"),
            ("title", "work.title"),
            ("mobilePhone", "work.workMobile"),
            ("primaryPhone", "work.workPhone"),
            ("department", "work.department"),
        ] {
            assert_eq!(text(&profile[target]), text(&employee[field]), "{id} {target}");
        }
        let manager = employees
            .iter()
            .find(|boss| boss["root.id"] == employee["work.manager"])
            .map(|boss| text(&boss["root.displayName"]));
        assert_eq!(text(&profile["manager"]), manager.unwrap_or_default(), "{id}: a name, no id");
    }
    assert_eq!(users.len(), wanted, "nobody else has an account");
    assert_eq!(writes(&story).await, wanted as u64, "one write each");
    let mails = story.simulated.get("/okta/mails").await;
    assert_eq!(mails.as_array().unwrap().len(), activated);
    let told =
        format!("{}{}", controller.log(), serde_json::to_string(&story.everybody().await).unwrap());
    assert!(!told.contains("PRIVATE KEY") && !told.contains("/tokens/"), "no secret is told");
    for person in story.everybody().await {
        assert_eq!(ready(&person).0, "True");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_steady_state_writes_nothing_and_reads_a_page_for_each_two_hundred_accounts() {
    let (story, _controller) = converged("okta-steady", 40, json!({})).await;
    story.sync().await;
    forget_calls(&story).await;
    for _ in 0..2 {
        story.sync().await;
    }
    let calls = story.simulated.get("/okta/calls").await;
    assert_eq!(
        (&calls["writes"], &calls["byRoute"]["GET /api/v1/users"]),
        (&json!(0), &json!(2)),
        "{calls}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mover_a_leaver_and_a_rehire() {
    let (story, _controller) = converged("okta-lives", 20, json!({})).await;
    let (id, _) = story.simulated.somebody().await;
    let user = account(&story, &id).await.unwrap();
    edit(&story, &user, json!({"status": "ACTIVE"})).await;
    story.sync().await;
    forget_calls(&story).await;
    story.simulated.change(&id, json!({"work.title": "Head of Lighthouses"})).await;
    story.sync().await;
    assert_eq!(writes(&story).await, 1);
    assert_eq!(account(&story, &id).await.unwrap()["profile"]["title"], "Head of Lighthouses");
    story.simulated.change(&id, left()).await;
    story.sync().await;
    assert_eq!(account(&story, &id).await.unwrap()["status"], "SUSPENDED");
    assert_eq!(story.simulated.get("/okta/sessions").await, json!([user["id"]]));
    assert_eq!(ready(&story.person(&id).await.unwrap()), ("True".into(), "InSync".into()));
    story.simulated.change(&id, back()).await;
    story.sync().await;
    let again = account(&story, &id).await.unwrap();
    assert_eq!((&again["status"], &again["id"]), (&json!("ACTIVE"), &user["id"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaver_who_is_deactivated_is_left_as_is_and_comes_back_with_one_mail() {
    let (story, _controller) =
        converged("okta-deactivate", 20, json!({"leavers": "Deactivate"})).await;
    let (id, _) = story.simulated.somebody().await;
    let user = account(&story, &id).await.unwrap();
    edit(&story, &user, json!({"status": "ACTIVE"})).await;
    story.sync().await;
    let mut last = left();
    last["work.title"] = json!("Alumna");
    story.simulated.change(&id, last).await;
    story.sync().await;
    let gone = account(&story, &id).await.unwrap();
    assert_eq!(
        (&gone["status"], &gone["profile"]["title"]),
        (&json!("DEPROVISIONED"), &json!("Alumna")),
        "the attributes went first"
    );
    forget_calls(&story).await;
    story.simulated.change(&id, json!({"work.title": "Nobody"})).await;
    story.sync().await;
    assert_eq!(writes(&story).await, 0, "Okta does not change such a profile");
    let person = story.person(&id).await.unwrap();
    assert_eq!(ready(&person), ("True".into(), "InSync".into()));
    assert_eq!(person.status.unwrap().access, Some(Access::Suspended));
    story.simulated.delete("/okta/mails").await;
    let mut again = back();
    again["work.title"] = json!("Lead");
    story.simulated.change(&id, again).await;
    story.sync().await;
    let user = account(&story, &id).await.unwrap();
    assert_eq!(
        (&user["id"], &user["status"], &user["profile"]["title"]),
        (&gone["id"], &json!("PROVISIONED"), &json!("Lead"))
    );
    assert_eq!(story.simulated.get("/okta/mails").await.as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_okta_does_not_suspend_is_a_persons_work_until_the_settings_say_otherwise() {
    let (story, _controller) =
        converged("okta-by-hand", 20, json!({"notSuspendable": "Report"})).await;
    let (id, _) = story.simulated.somebody().await;
    assert_eq!(account(&story, &id).await.unwrap()["status"], "PROVISIONED");
    story.simulated.change(&id, left()).await;
    story.sync().await;
    until("the person is told of", || async {
        let person = story.person(&id).await.unwrap();
        match ready(&person) {
            (status, reason) if status == "False" && reason == "SuspendByHand" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let person = story.person(&id).await.unwrap();
    let (status, _, message) = {
        let conditions = person.status.clone().unwrap().conditions;
        let ready = conditions.into_iter().find(|c| c.type_ == "Ready").unwrap();
        (ready.status, ready.reason, ready.message)
    };
    assert!(
        status == "False"
            && message.contains("PROVISIONED")
            && message.contains("notSuspendable: Deactivate"),
        "{message}"
    );
    assert_eq!(condition(&person, "AccessSynced").unwrap().0, "False");
    assert_eq!(person.status.unwrap().access, Some(Access::Active));
    story.integrate(json!({"provider": okta(&story, json!({}))})).await;
    story.ready("Converged").await;
    until("the account is deactivated", || async {
        match account(&story, &id).await.unwrap()["status"].as_str() {
            Some("DEPROVISIONED") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    // A leave never deactivates.
    let other = accounts(&story)
        .await
        .into_iter()
        .find(|user| user["status"] == "PROVISIONED")
        .expect("another one");
    let other = text(&other["profile"][MARK]);
    story.simulated.change(&other, leave()).await;
    story.sync().await;
    assert_eq!(account(&story, &other).await.unwrap()["status"], "PROVISIONED");
    assert_eq!(ready(&story.person(&other).await.unwrap()).1, "SuspendByHand");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_login_decides_who_is_adopted_and_the_email_only_without_one() {
    let story = begin("okta-adopt", 0).await;
    let joiner = |email: &str| {
        json!({"root.firstName": "Noa", "root.surname": "Lind", "root.displayName": "Noa Lind",
            "root.email": email, "work.startDate": "2020-01-01",
            "internal.lifecycleStatus": "Employed", "internal.status": "Active",
            "internal.terminationDate": null, "employee.lastDayOfWork": null})
    };
    let user = |login: &str, email: &str| {
        json!({"status": "ACTIVE", "profile": {"login": login, "email": email,
            "firstName": "Old", "lastName": "Name", "costCenter": "46"}})
    };
    let made = story
        .simulated
        .post(
            "/okta/users",
            json!([
                // The login is the one of `noa`; another account has the same e-mail.
                user("NOA@example.com", "old@example.com"),
                user("shared@example.com", "noa@example.com"),
                // No login is the one of `kim`, and one account has the e-mail.
                user("kim.old@example.com", "kim@example.com"),
                // It is not known which of two accounts is the one of `ola`.
                user("ola.1@example.com", "ola@example.com"),
                user("ola.2@example.com", "ola@example.com"),
                // Okta takes this login for the one of `zoe`.
                user("zoé@example.com", "other@example.com"),
            ]),
        )
        .await;
    let id = |at: usize| text(&made[at]["id"]);
    let mut people = HashMap::new();
    for name in ["noa", "kim", "ola", "zoe"] {
        let hired = story.simulated.hire(joiner(&format!("{name}@example.com"))).await;
        people.insert(name, hired);
    }
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"provider": okta(&story, json!({}))})).await;
    story.ready("Converged").await;
    for (name, at) in [("noa", 0), ("kim", 2)] {
        let adopted = account(&story, &people[name]).await.expect("adopted");
        assert_eq!(text(&adopted["id"]), id(at), "{name}");
        assert_eq!(
            (&adopted["profile"]["firstName"], &adopted["profile"]["costCenter"]),
            (&json!("Noa"), &json!("46"))
        );
    }
    let kim = account(&story, &people["kim"]).await.unwrap();
    assert_eq!(kim["profile"]["login"], "kim@example.com");
    for (name, reason) in [("ola", "Ambiguous"), ("zoe", "Conflict")] {
        let person = story.person(&people[name]).await.unwrap();
        assert_eq!(ready(&person).1, reason, "{name}");
    }
    let conditions = story.person(&people["zoe"]).await.unwrap().status.unwrap().conditions;
    let said = &conditions.iter().find(|c| c.type_ == "Ready").unwrap().message;
    assert!(said.contains("login"), "{said}");
    assert_eq!(accounts(&story).await.len(), 6, "no account was made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_whose_answer_is_lost_makes_one_account_although_the_index_lags() {
    let (story, _controller) = converged("okta-lost", 6, json!({})).await;
    for (number, kind) in ["resetAfterApply", "statusAfterApply", "reset"].into_iter().enumerate() {
        let lost =
            json!({"kind": kind, "method": "POST", "pathPrefix": "/api/v1/users", "times": 1});
        story.simulated.post("/okta/faults", lost).await;
        let email = format!("late.riser.{number}@example.com");
        let joins = json!({"root.email": email, "work.startDate": "2020-01-01",
            "internal.lifecycleStatus": "Employed", "internal.status": "Active",
            "internal.terminationDate": null, "employee.lastDayOfWork": null});
        let id = story.simulated.hire(joins).await;
        story.sync().await;
        until("the person is in sync", || async {
            match story.reason(&id).await.as_str() {
                "InSync" => Ok(()),
                other => Err(other.to_owned()),
            }
        })
        .await;
        let named =
            accounts(&story).await.into_iter().filter(|user| user["profile"]["login"] == *email);
        assert_eq!(named.count(), 1, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_master_is_named_and_a_leaver_still_gets_out() {
    let (story, _controller) = converged("okta-mastered", 12, json!({})).await;
    let (id, _) = story.simulated.somebody().await;
    let user = account(&story, &id).await.unwrap();
    edit(&story, &user, json!({"status": "ACTIVE", "provider": "ACTIVE_DIRECTORY"})).await;
    story.simulated.change(&id, json!({"work.title": "Head of Lighthouses"})).await;
    story.sync().await;
    assert_eq!(story.reason(&id).await, "ManagedElsewhere");
    story.simulated.change(&id, left()).await;
    story.sync().await;
    until("access is taken", || async {
        match account(&story, &id).await.unwrap()["status"].as_str() {
            Some("SUSPENDED") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attribute_for_marks_that_is_in_use_stops_the_integration_once_and_no_leaver() {
    let (story, _controller) = converged("okta-mark", 40, json!({})).await;
    let (id, _) = story.simulated.somebody().await;
    let mine = account(&story, &id).await.unwrap();
    edit(&story, &mine, json!({"status": "ACTIVE"})).await;
    story.sync().await;
    let others = accounts(&story).await.into_iter().filter(|user| user["id"] != mine["id"]);
    for (number, user) in others.take(11).enumerate() {
        edit(&story, &user, json!({"profile": {MARK: format!("E-{number}")}})).await;
    }
    let before = accounts(&story).await.len();
    let integration = story.sync_ends_in("InvalidSettings").await;
    let conditions = integration.status.unwrap().conditions;
    let said = &conditions.iter().find(|c| c.type_ == "Ready").unwrap().message;
    assert!(said.contains("markAttribute") && said.contains(MARK), "{said}");
    story.simulated.change(&id, left()).await;
    story.sync_ends_in("InvalidSettings").await;
    until("the leaver gets out", || async {
        match account(&story, &id).await.unwrap()["status"].as_str() {
            Some("SUSPENDED") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(accounts(&story).await.len(), before, "and no account is made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_that_cannot_work_is_told_with_what_is_wrong() {
    let story = begin("okta-secret", 6).await;
    let app = story.simulated.get("/okta/app").await;
    let client = app["clientId"].as_str().unwrap().to_owned();
    story.secret("okta", &[("apiToken", "okta-token-1"), ("clientId", &client)]).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"provider": okta(&story, json!({}))})).await;
    let message = |integration: bobsync::api::ProvisioningIntegration| {
        let conditions = integration.status.unwrap().conditions;
        conditions.into_iter().find(|c| c.type_ == "Ready").unwrap().message
    };
    let said = message(story.ready("InvalidSettings").await);
    assert!(said.contains("keep apiToken, or clientId, privateKey and keyId"), "{said}");
    let key = [("clientId", &*client), ("privateKey", "swordfish"), ("keyId", "k1")];
    story.secret("okta", &key).await;
    let said = message(story.ready("ProviderUnauthorized").await);
    assert!(said.contains("privateKey: the private key is not PEM"), "{said}");
    assert!(!said.contains("swordfish"), "{said}");
    story.secret("okta", &[("apiToken", "00yesterday")]).await;
    until("the token was tried", || async {
        let calls = story.simulated.get("/okta/calls").await;
        if calls["total"].as_u64().unwrap_or(0) > 0 { Ok(()) } else { Err(calls.to_string()) }
    })
    .await;
    let said = message(story.ready("ProviderUnauthorized").await);
    assert!(said.contains("Invalid token") && !said.contains("00yesterday"), "{said}");
    story.secret("okta", &[("apiToken", "okta-token-1")]).await;
    story.ready("Converged").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_okta_cannot_do_is_refused_with_a_way_out() {
    let story = begin("okta-refuse", 2).await;
    let apply = async |provider: Value, more: Value| {
        let mut spec = json!({"mode": "Enforce", "bob": {"credentialsSecretRef": {"name": "bob"}}, "provider": provider});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let object = json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "ProvisioningIntegration", "metadata": {"name": "no"}, "spec": spec});
        let patch = Patch::Apply(object);
        let parameters = PatchParams { dry_run: true, ..PatchParams::apply("story").force() };
        story.integrations().patch("no", &parameters, &patch).await
    };
    let one = || okta(&story, json!({}));
    let at = |domain: &str| okta(&story, json!({"domain": domain}));
    let required = ["login", "email", "firstName", "lastName"];
    let with = |row: Value| {
        let mut rows: Vec<Value> =
            required.iter().map(|name| json!({"target": name, "field": "root.email"})).collect();
        rows.push(row);
        json!({"mapping": rows})
    };
    for (provider, more, said) in [
        (at("https://acme.okta.com"), json!({}), "write acme.okta.com"),
        (at("acme.okta.com/admin"), json!({}), "write acme.okta.com"),
        (at("https://Acme-admin.okta.com/"), json!({}), "write acme.okta.com"),
        (at("acme-admin.okta.com"), json!({}), "write acme.okta.com"),
        (at("acme-admin.oktapreview.com"), json!({}), "write acme.oktapreview.com"),
        (at("acme"), json!({}), "domain is the host of the org alone"),
        (
            okta(&story, json!({"markAttribute": "login"})),
            json!({}),
            "markAttribute is the variable name",
        ),
        (okta(&story, json!({"leavers": "Delete"})), json!({}), "Unsupported value"),
        (
            one(),
            json!({"mapping": [{"target": "login", "field": "root.email"}]}),
            "Okta requires the targets login, email, firstName and lastName",
        ),
        (
            one(),
            with(json!({"target": "profile.title", "field": "work.title"})),
            "Okta has no such target",
        ),
        (one(), with(json!({"target": MARK, "field": "work.title"})), "this target holds the mark"),
        (
            one(),
            with(json!({"target": "managerId", "field": "work.title"})),
            "managerId refers to an employee",
        ),
        (
            one(),
            json!({"provisioning": {"changePasswordOnFirstLogin": true}}),
            "without a default password Okta mails employees an invitation",
        ),
    ] {
        match apply(provider, more).await {
            Err(error) => assert!(error.to_string().contains(said), "{said}: {error}"),
            Ok(_) => panic!("accepted: {said}"),
        }
    }
    for domain in ["acme.okta.com", "id.example.com", "acme.okta-emea.com"] {
        apply(at(domain), json!({})).await.unwrap();
    }
    apply(one(), with(json!({"target": "workCell", "field": "work.workMobile"}))).await.unwrap();
}
