//! JumpCloud, and the stories that only JumpCloud has: usernames with numbers, staged accounts, and
//! fields that another directory masters.

use std::collections::HashSet;

use bobsync::{
    api::employee_sync::Access,
    provider::{Catalog, jumpcloud::CATALOG},
};
use serde_json::{Value, json};

use super::{
    JUMPCLOUD, every,
    tenant::{First, Refusal, Rules, Scene, Setting, Tenant, joins, leaves, text},
};
use crate::support::{Controller, condition, ready, until};

pub struct JumpCloud;

/// Returns the value of an entry of an array.
fn entry<'a>(user: &'a Value, array: &str, key: &str) -> &'a Value {
    let entries = user[array].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = entries.iter().find(|entry| entry["type"] == key || entry["name"] == key);
    found.map_or(&Value::Null, |entry| {
        if array == "attributes" { &entry["value"] } else { &entry["number"] }
    })
}

impl Tenant for JumpCloud {
    fn catalog(&self) -> &'static Catalog {
        &CATALOG
    }

    fn name(&self) -> &'static str {
        "jumpcloud"
    }

    fn spec(&self, url: &str) -> Value {
        json!({"jumpCloud": {"credentialsSecretRef": {"name": "jumpcloud"}, "endpoint": url}})
    }

    fn example(&self) -> &'static str {
        "jumpcloud.yaml"
    }

    fn secret(&self, _: &Value) -> Vec<(&'static str, String)> {
        vec![("apiKey", "jumpcloud-key-1".to_owned())]
    }

    fn never_told(&self) -> &'static [&'static str] {
        &["jumpcloud-key-1"]
    }

    fn users(&self) -> &'static str {
        "/api/systemusers"
    }

    fn id(&self, user: &Value) -> String {
        text(&user["_id"])
    }

    fn mark(&self, user: &Value) -> Option<String> {
        entry(user, "attributes", "bobsyncEmployeeId").as_str().map(str::to_owned)
    }

    fn is_open(&self, user: &Value) -> bool {
        user["state"] == "ACTIVATED"
    }

    fn is_suspended(&self, user: &Value) -> bool {
        user["state"] == "SUSPENDED"
    }

    fn rows(&self, user: &Value) -> Vec<(Value, &'static str)> {
        let row = |target: &str, field| (user[target].clone(), field);
        vec![
            row("email", "root.email"),
            row("firstname", "root.firstName"),
            row("middlename", "root.secondName"),
            row("lastname", "root.surname"),
            row("displayname", "root.displayName"),
            (entry(user, "phoneNumbers", "work_mobile").clone(), "work.workMobile"),
            (entry(user, "phoneNumbers", "work").clone(), "work.workPhone"),
            row("department", "work.department"),
            row("jobTitle", "work.title"),
            row("location", "work.site"),
            row("employeeType", "payroll.employment.type"),
            row("employeeIdentifier", "work.employeeIdInCompany"),
        ]
    }

    fn title(&self) -> &'static str {
        "jobTitle"
    }

    /// The default map has no manager.
    fn manager(&self, user: &Value, _: &Value) -> Option<(Value, Value)> {
        assert_eq!(user["manager"], Value::Null);
        None
    }

    fn must_change_password(&self, user: &Value) -> Option<bool> {
        user["password_expired"].as_bool()
    }

    /// More accounts than a page has.
    fn company(&self) -> usize {
        130
    }

    /// A username that is taken is tried again with a number. A separate call expires the password.
    fn first_sync(&self, first: &First) {
        let calls = first.calls("POST /api/systemusers");
        assert_eq!(calls, first.wanted + first.refused, "one create each");
        assert_eq!(first.calls("POST /api/systemusers/{id}/expire"), first.wanted);
        assert_eq!(first.writes, calls + first.wanted, "and no other write");
        let usernames: HashSet<&str> =
            first.users.iter().filter_map(|user| user["username"].as_str()).collect();
        assert_eq!(usernames.len() as u64, first.wanted);
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.';
        assert!(usernames.iter().all(|name| name.chars().all(is_plain)), "{usernames:?}");
        let is_numbered =
            |name: &&&str| name.rsplit_once('.').is_some_and(|(_, end)| end.parse::<u32>().is_ok());
        let numbered = usernames.iter().filter(is_numbered).count() as u64;
        assert!(first.refused >= numbered, "only a username that is taken is tried again");
        for user in &first.users {
            assert_eq!(user["password_expired"], true, "{user}");
        }
    }

    fn old_account(&self, employee: &Value) -> Value {
        json!({
            "email": employee["root.email"], "username": "the.old.one", "firstname": "Old", "lastname": "Name",
            "phoneNumbers": [{"type": "home", "number": "+44 20 7946 0000"}], "attributes": [{"name": "shoe", "value": "46"}],
            "addresses": [{"type": "work", "locality": "Paris"}],
        })
    }

    fn kept(&self, user: &Value) -> Vec<Value> {
        vec![
            user["username"].clone(),
            entry(user, "phoneNumbers", "home").clone(),
            entry(user, "attributes", "shoe").clone(),
            user["addresses"].clone(),
        ]
    }

    fn administrators(&self) -> Vec<(Value, Value)> {
        let role = json!({"id": "5f0c1b2c3d4e5f6071829306", "roleName": "Help Desk"});
        vec![(json!({"admin": role}), json!({"admin": null}))]
    }

    fn mastered(&self) -> Option<Value> {
        Some(json!({"externally_managed": true}))
    }

    fn protection(&self, ids: &[String]) -> Vec<Setting> {
        vec![Setting::Put("/jumpcloud/organization", json!({"protected": ids}))]
    }

    fn refused(&self, rules: &Rules) -> Vec<Refusal> {
        let unknown = "JumpCloud has no such target";
        let password = json!({"provisioning": {"defaultPasswordSecretRef": {"name": "welcome", "key": "password"}}});
        let change = json!({"provisioning": {"changePasswordOnFirstLogin": true}});
        let one = rules.provider.clone();
        let staged = rules.changed("passwordlessState", json!("Staged"));
        vec![
            (rules.changed("region", json!("Mars")), json!({}), "Unsupported value"),
            rules.row("title", "work.title", unknown),
            rules.row("phoneNumbers", "work.title", unknown),
            rules.row("addresses.work.planet", "work.title", unknown),
            rules.row("attributes.bobsyncEmployeeId", "work.title", unknown),
            rules.row("manager", "work.title", "manager refers to an employee"),
            (one, change, "without a default password JumpCloud mails employees an invitation"),
            (
                staged,
                password,
                "passwordlessState: Staged is only for accounts that are created without",
            ),
        ]
    }

    fn admitted(&self, rules: &Rules) -> Vec<(Value, Value)> {
        let password = json!({"provisioning": {"defaultPasswordSecretRef": {"name": "welcome", "key": "password"}}});
        let row = |target: &str, field: &str| {
            (rules.provider.clone(), rules.with(json!({"target": target, "field": field})))
        };
        vec![
            row("jobTitle", "work.title"),
            row("phoneNumbers.work_fax", "work.title"),
            row("addresses.work.postalCode", "work.title"),
            row("attributes.t-shirt", "work.title"),
            row("alternateEmail", "work.title"),
            row("manager", "work.manager"),
            (rules.changed("passwordlessState", json!("Staged")), json!({})),
            (rules.provider.clone(), password),
        ]
    }
}

every::every_provider!(JUMPCLOUD);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_of_one_name_get_numbers_and_keep_them() {
    let story = Scene::begin(JUMPCLOUD, "names", 0).await;
    let joiner = |email: &str| {
        let mut joiner = joins(email);
        let names = [("firstName", "Noa"), ("surname", "Lind"), ("displayName", "Noa Lind")];
        for (field, name) in names {
            joiner[format!("root.{field}")] = json!(name);
        }
        joiner
    };
    let mut ids = Vec::new();
    for email in ["noa@example.com", "noa.lind@example.com", "n.lind@example.com"] {
        ids.push(story.simulated.hire(joiner(email)).await);
    }
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    let names = async || {
        let users = story.users().await;
        let mut names: Vec<String> = users.iter().map(|user| text(&user["username"])).collect();
        names.sort();
        names
    };
    assert_eq!(names().await, ["noa.lind", "noa.lind.2", "noa.lind.3"]);
    for id in &ids {
        assert_eq!(ready(&story.person(id).await.unwrap()).1, "InSync");
    }
    ids.push(story.simulated.hire(joiner("lind@example.com")).await);
    story.forget_calls().await;
    story.sync().await;
    assert_eq!(names().await.last().unwrap(), "noa.lind.4");
    story.forget_calls().await;
    story.sync().await;
    assert_eq!(story.writes().await, 0, "no username is looked at again");
    // Another display name leaves the username.
    let before = story.account(&ids[1]).await["username"].clone();
    story.simulated.change(&ids[1], json!({"root.displayName": "Noa Winter"})).await;
    story.sync().await;
    assert_eq!(story.writes().await, 1);
    let user = story.account(&ids[1]).await;
    assert_eq!((&user["displayname"], &user["username"]), (&json!("Noa Winter"), &before));
    let history = story.person(&ids[1]).await.unwrap().status.unwrap().history;
    assert_eq!(history[0].fields, ["displayname"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_staged_account_waits_for_an_administrator_and_a_leavers_is_suspended() {
    let (story, _controller) = Scene::converged(
        JUMPCLOUD,
        "staged",
        16,
        json!({"provider": {"jumpCloud": {"passwordlessState": "Staged"}}}),
    )
    .await;
    story.sync().await;
    let (id, _) = story.simulated.somebody().await;
    let user = story.account(&id).await;
    assert_eq!(user["state"], "STAGED");
    let person = story.person(&id).await.unwrap();
    assert_eq!(ready(&person), ("True".into(), "InSync".into()));
    assert_eq!(condition(&person, "AccessSynced").unwrap().1, "AwaitingActivation");
    assert_eq!(person.status.unwrap().access, Some(Access::Active));
    story.forget_calls().await;
    story
        .simulated
        .patch(
            &format!("/jumpcloud/users/{}", user["_id"].as_str().unwrap()),
            json!({"state": "ACTIVATED"}),
        )
        .await;
    story.sync().await;
    assert_eq!(story.writes().await, 0, "staged or activated, both are left alone");
    assert_eq!(
        condition(&story.person(&id).await.unwrap(), "AccessSynced").unwrap().1,
        "AsDecided"
    );

    let other = story
        .users()
        .await
        .into_iter()
        .find(|user| user["state"] == "STAGED")
        .expect("another one");
    let leaver = JumpCloud.mark(&other).expect("a mark");
    story.simulated.change(&leaver, leaves()).await;
    story.sync().await;
    assert_eq!(story.account(&leaver).await["state"], "SUSPENDED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_future_starter_is_suspended_until_the_day_and_never_staged() {
    let provisioning = json!({"create": "OnEmployeeCreation"});
    let (story, _controller) = Scene::converged(
        JUMPCLOUD,
        "starter",
        4,
        json!({"provider": {"jumpCloud": {"passwordlessState": "Staged"}}, "provisioning": provisioning}),
    )
    .await;
    let starts = json!({"root.email": "early.bird@example.com", "work.startDate": "2099-01-04", "internal.lifecycleStatus": "Hired",
                        "internal.status": "Inactive", "internal.terminationDate": null, "employee.lastDayOfWork": null});
    let id = story.simulated.hire(starts).await;
    story.sync().await;
    assert_eq!(story.account(&id).await["state"], "SUSPENDED");
    let started = json!({"work.startDate": "2026-01-05", "internal.lifecycleStatus": "Employed", "internal.status": "Active"});
    story.simulated.change(&id, started).await;
    story.sync().await;
    assert_eq!(story.account(&id).await["state"], "ACTIVATED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_a_powerless_owner_and_another_organization_are_told_apart() {
    // There are so many that the refusals of creates concern the credential, not single employees.
    let story = Scene::begin(JUMPCLOUD, "secret", 40).await;
    story.secret("jumpcloud", &[("apiKey", "two\nlines")]).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    let message = |integration: bobsync::api::ProvisioningIntegration| {
        let conditions = integration.status.unwrap().conditions;
        conditions.into_iter().find(|c| c.type_ == "Ready").unwrap().message
    };
    let said = message(story.ready("ProviderUnauthorized").await);
    assert!(said.contains("apiKey") && !said.contains("lines"), "{said}");
    assert_eq!(story.calls().await["total"], 0);

    story.secret("jumpcloud", &[("apiKey", "yesterdays-key")]).await;
    until("the key was tried", || async {
        let total = story.calls().await["total"].as_u64().unwrap_or(0);
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
    let mut provider = story.provider();
    provider["jumpCloud"]["organizationId"] = json!("5f0c1b2c3d4e5f6071829304");
    story.integrate(json!({"provider": provider})).await;
    story.ready("Converged").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_another_directory_masters_is_named_and_stops_no_suspension() {
    let (story, _controller) = Scene::converged(JUMPCLOUD, "restricted", 12, json!({})).await;
    story.sync().await;
    let (id, _) = story.simulated.somebody().await;
    let user = story.account(&id).await;
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
    story.simulated.change(&id, leaves()).await;
    story.sync().await;
    assert_eq!(story.account(&id).await["state"], "SUSPENDED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_can_be_mapped_and_goes_into_the_create() {
    let mapping = json!([
        {"target": "email", "field": "root.email"}, {"target": "username", "cel": "username(employee.root.email)", "apply": "OnCreate"},
        {"target": "lastname", "field": "root.surname"}, {"target": "manager", "field": "work.manager"},
    ]);
    let (story, _controller) =
        Scene::converged(JUMPCLOUD, "boss", 20, json!({"mapping": mapping})).await;
    let (id, employee) = story.simulated.somebody().await;
    let boss = story
        .find(employee["work.manager"].as_str().unwrap())
        .await
        .expect("the manager has an account");
    assert_eq!(story.account(&id).await["manager"], boss["_id"]);
    let accounts = story.users().await.len() as u64;
    let creates = story.calls().await["byRoute"]["POST /api/systemusers"].as_u64().unwrap();
    let updates = story.calls().await["byRoute"]["PUT /api/systemusers/{id}"].as_u64().unwrap_or(0);
    assert!(
        creates >= accounts && updates <= 2,
        "managers first: {creates} creates and {updates} updates for {accounts} accounts"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_about_a_joiner_costs_one_look_up_and_one_create_and_one_about_a_mover_one_read_and_one_change()
 {
    let story = Scene::begin(JUMPCLOUD, "events", 12).await;
    story.secret("hook", &[("webhookSecret", "s3cret")]).await;
    let controller = Controller::start(&story).await;
    let bob = json!({"webhookSecretRef": {"name": "hook", "key": "webhookSecret"}});
    story.integrate(json!({"interval": "24h", "bob": bob})).await;
    story.ready("Converged").await;
    story
        .simulated
        .put("/bob/webhook", json!({"url": controller.webhooks, "secret": "s3cret"}))
        .await;
    story.forget_calls().await;
    let joiner = json!({"root.firstName": "Noa", "root.displayName": "Noa Unheard-Of", "work.startDate": "2022-01-01"});
    let joiner = story.simulated.hire(joiner).await;
    until("the joiner has an account", || async {
        if story.find(&joiner).await.is_some() { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    let routes = story.calls().await["byRoute"].clone();
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
    story.forget_calls().await;
    story.simulated.change(&joiner, json!({"work.title": "Head of Lighthouses"})).await;
    until("the new title is there", || async {
        let title = story.account(&joiner).await["jobTitle"].clone();
        if title == "Head of Lighthouses" { Ok(()) } else { Err(title.to_string()) }
    })
    .await;
    let routes = story.calls().await["byRoute"].clone();
    assert_eq!(routes, json!({"GET /api/systemusers/{id}": 1, "PUT /api/systemusers/{id}": 1}));
}
