//! Google Workspace, and the stories that only Google has: managers by e-mail, administrators,
//! relations, and accounts that were deleted by hand.

use bobsync::provider::{Catalog, google::CATALOG};
use serde_json::{Value, json};

use super::{
    GOOGLE, every,
    tenant::{First, Refusal, Rules, Scene, Setting, Tenant, leaves, text, works},
};
use crate::{
    budgets::{leave, staff},
    support::{Controller, condition, ready, until},
};

pub struct Google;

/// Returns the value of an entry of an array.
fn entry<'a>(user: &'a Value, array: &str, kind: &str) -> &'a Value {
    let entries = user[array].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = entries.iter().find(|entry| entry["type"] == kind || entry["customType"] == kind);
    found.map_or(&Value::Null, |entry| &entry["value"])
}

impl Tenant for Google {
    fn catalog(&self) -> &'static Catalog {
        &CATALOG
    }

    fn name(&self) -> &'static str {
        "google"
    }

    fn spec(&self, url: &str) -> Value {
        json!({"googleWorkspace": {"credentialsSecretRef": {"name": "google"}, "adminEmail": "admin@example.com", "endpoint": url, "tokenEndpoint": url}})
    }

    fn example(&self) -> &'static str {
        "google-workspace.yaml"
    }

    fn credentials(&self) -> Option<&'static str> {
        Some("/google/service-account")
    }

    fn secret(&self, told: &Value) -> Vec<(&'static str, String)> {
        vec![("serviceAccount.json", told.to_string())]
    }

    fn never_told(&self) -> &'static [&'static str] {
        &["BEGIN PRIVATE KEY", "ya29."]
    }

    fn users(&self) -> &'static str {
        "/admin/directory/v1/users"
    }

    fn id(&self, user: &Value) -> String {
        text(&user["id"])
    }

    fn mark(&self, user: &Value) -> Option<String> {
        entry(user, "externalIds", "bobsync").as_str().map(str::to_owned)
    }

    fn is_open(&self, user: &Value) -> bool {
        user["suspended"] == false
    }

    fn is_suspended(&self, user: &Value) -> bool {
        user["suspended"] == true
    }

    fn rows(&self, user: &Value) -> Vec<(Value, &'static str)> {
        let organization = &user["organizations"][0];
        vec![
            (user["primaryEmail"].clone(), "root.email"),
            (user["name"]["givenName"].clone(), "root.firstName"),
            (user["name"]["familyName"].clone(), "root.surname"),
            (entry(user, "phones", "mobile").clone(), "work.workMobile"),
            (entry(user, "phones", "work").clone(), "work.workPhone"),
            (organization["department"].clone(), "work.department"),
            (organization["title"].clone(), "work.title"),
            (organization["description"].clone(), "payroll.employment.type"),
            (entry(user, "externalIds", "organization").clone(), "work.employeeIdInCompany"),
        ]
    }

    fn title(&self) -> &'static str {
        "organizations.title"
    }

    fn manager(&self, user: &Value, manager: &Value) -> Option<(Value, Value)> {
        let has = entry(user, "relations", "manager").clone();
        Some((has, manager["primaryEmail"].clone()))
    }

    fn must_change_password(&self, user: &Value) -> Option<bool> {
        user["changePasswordAtNextLogin"].as_bool()
    }

    /// Google takes ten new accounts a second.
    fn first_sync(&self, first: &First) {
        assert_eq!(first.writes, first.wanted, "one write each, the manager included");
        assert_eq!(first.refused, 0, "Google never had to say no");
        for user in &first.users {
            let shown = (&user["orgUnitPath"], &user["changePasswordAtNextLogin"]);
            assert_eq!(shown, (&json!("/"), &json!(true)), "{user}");
        }
    }

    fn lag(&self) -> Option<Value> {
        Some(json!({"getLagSeconds": 3, "listLagSeconds": 20, "updateLagSeconds": 2}))
    }

    fn old_account(&self, employee: &Value) -> Value {
        json!({
            "primaryEmail": employee["root.email"], "name": {"givenName": "Old", "familyName": "Name"},
            "phones": [{"type": "home", "value": "+44 20 7946 0000"}], "externalIds": [{"type": "network", "value": "n-1"}],
            "relations": [{"type": "assistant", "value": "kim@example.com"}],
        })
    }

    fn kept(&self, user: &Value) -> Vec<Value> {
        [("phones", "home"), ("externalIds", "network"), ("relations", "assistant")]
            .map(|(array, kind)| entry(user, array, kind).clone())
            .to_vec()
    }

    fn administrators(&self) -> Vec<(Value, Value)> {
        ["isAdmin", "isDelegatedAdmin"]
            .map(|role| (json!({role: true}), json!({role: false})))
            .to_vec()
    }

    fn protection(&self, ids: &[String]) -> Vec<Setting> {
        vec![Setting::Put("/google/directory", json!({"protected": ids}))]
    }

    fn refused(&self, rules: &Rules) -> Vec<Refusal> {
        let custom = "write its customType in place of custom";
        let unknown = "Google Workspace has no such target";
        let elsewhere = "any other relation would get the manager's id in Bob";
        let formula =
            json!({"target": "relations.dotted_line_manager", "formula": "{work.manager}"});
        vec![
            rules.row("title", "work.title", unknown),
            rules.row("externalIds.bobsync", "work.title", unknown),
            rules.row("phones.custom", "work.title", custom),
            rules.row("relations.custom", "work.title", custom),
            rules.row("externalIds.custom", "work.title", custom),
            rules.row("addresses.custom.locality", "work.site", custom),
            rules.row("locations.desk.planet", "work.site", unknown),
            rules.row("relations.manager", "work.title", "relations.manager refers to an employee"),
            rules.row("relations.assistant", "work.manager", elsewhere),
            (rules.provider.clone(), rules.with(formula), elsewhere),
        ]
    }

    fn admitted(&self, rules: &Rules) -> Vec<(Value, Value)> {
        [
            ("phones.satellite", "work.title"),
            ("relations.assistant", "work.title"),
            ("addresses.work.locality", "work.site"),
            ("locations.desk.buildingId", "work.site"),
            ("relations.manager", "work.manager"),
        ]
        .map(|(target, field)| {
            (rules.provider.clone(), rules.with(json!({"target": target, "field": field})))
        })
        .to_vec()
    }
}

every::every_provider!(GOOGLE);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_managers_new_address_reaches_the_reports_in_the_same_pass() {
    let (story, _controller) = Scene::converged(GOOGLE, "boss", 30, json!({})).await;
    story.sync().await;
    let (_, employee) = story.simulated.somebody().await;
    let boss = employee["work.manager"].as_str().unwrap().to_owned();
    assert!(story.find(&boss).await.is_some(), "the manager has an account");
    let reports = |employees: &[Value]| {
        employees
            .iter()
            .filter(|e| e["work.manager"] == boss.as_str())
            .map(|e| e["root.id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let reports = reports(&story.simulated.employees().await);
    story.forget_calls().await;
    story.simulated.change(&boss, json!({"root.email": "the.boss@example.com"})).await;
    story.sync().await;
    let mut followed = 0;
    for id in &reports {
        if let Some(user) = story.find(id).await {
            assert_eq!(entry(&user, "relations", "manager"), "the.boss@example.com", "{id}");
            followed += 1;
        }
    }
    assert!(followed > 0);
    assert_eq!(story.writes().await, followed + 1);
    story.sync().await;
    assert_eq!(story.writes().await, followed + 1, "and that is all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_a_missing_delegation_and_a_powerless_administrator_are_told_apart() {
    let story = Scene::begin(GOOGLE, "secret", 8).await;
    story.secret("google", &[("serviceAccount.json", "{\"type\": \"service_account\"}")]).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
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
    let story = Scene::begin(GOOGLE, "relations", 2).await;
    let _controller = Controller::start(&story).await;
    let mut rows = json!([{"target": "primaryEmail", "field": "root.email"}, {"target": "name.givenName", "field": "root.firstName"},
                          {"target": "name.familyName", "field": "root.surname"}, {"target": "relations.assistant"}]);
    for (kind, value) in [
        ("formula", "{ work.manager }"),
        ("cel", "employee.work.manager"),
        ("field", "work.reportsTo"),
    ] {
        rows[3] = json!({"target": "relations.assistant", (kind): value});
        story.integrate(json!({"mapping": rows})).await;
        let integration = story.ready("InvalidSettings").await;
        let conditions = integration.status.unwrap().conditions;
        let ready = bobsync::api::conditions::find(&conditions, "Ready").unwrap();
        let named = "spec.mapping[3].target \"relations.assistant\": ";
        assert!(ready.message.contains(named), "{}", ready.message);
        assert!(story.simulated.calls("google", "POST /admin/directory/v1/users").await == 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_attribute_never_stops_a_suspension_and_a_suspension_by_google_is_forbidden() {
    let (story, _controller) = Scene::converged(GOOGLE, "refused", 12, json!({})).await;
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
    let user = story.account(&id).await;
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
    story.simulated.change(&id, works()).await;
    story.sync().await;
    assert_eq!(story.reason(&id).await, "Forbidden");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_about_one_person_names_the_manager_by_an_address_and_a_new_address_reaches_the_reports()
 {
    let story = Scene::begin(GOOGLE, "events", 20).await;
    story.secret("hook", &[("webhookSecret", "s3cret")]).await;
    let controller = Controller::start(&story).await;
    let bob = json!({"webhookSecretRef": {"name": "hook", "key": "webhookSecret"}});
    story.integrate(json!({"interval": "24h", "bob": bob})).await;
    story.ready("Converged").await;
    story
        .simulated
        .put("/bob/webhook", json!({"url": controller.webhooks, "secret": "s3cret"}))
        .await;
    let (boss, employee) = story.simulated.somebody().await;
    let email = employee["root.email"].as_str().unwrap();
    story.forget_calls().await;
    let joiner =
        json!({"root.firstName": "Noa", "work.startDate": "2022-01-01", "work.manager": boss});
    let joiner = story.simulated.hire(joiner).await;
    let named = |address: String| {
        let (story, joiner) = (&story, &joiner);
        async move {
            until("the joiner's account names the manager", || async {
                let manager = story
                    .find(joiner)
                    .await
                    .map(|user| entry(&user, "relations", "manager").clone());
                if manager == Some(json!(address)) { Ok(()) } else { Err(format!("{manager:?}")) }
            })
            .await;
        }
    };
    named(email.to_owned()).await;
    let reads = story.calls().await["byRoute"].clone();
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
    let (story, _controller) = Scene::converged(GOOGLE, "remarked", 16, json!({})).await;
    story.sync().await;
    let (id, _) = story.simulated.somebody().await;
    let user = story.account(&id).await;
    let path = format!("/google/users/{}", user["id"].as_str().unwrap());
    let other = json!([{"type": "custom", "customType": "bobsync", "value": "004711"}]);
    story.simulated.patch(&path, json!({"externalIds": other})).await;
    story.simulated.change(&id, leaves()).await;
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
    let story = Scene::begin(GOOGLE, "boss", 8).await;
    let (id, employee) = story.simulated.somebody().await;
    let boss = json!({"primaryEmail": employee["root.email"], "name": {"givenName": "Noa", "familyName": "Lind"}, "isAdmin": true});
    story.simulated.post("/google/users", boss).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    let access = async || {
        let person = story.person(&id).await.unwrap();
        let said = condition(&person, "AccessSynced").unwrap();
        (serde_json::to_value(person.status.unwrap().access).unwrap(), said.0, said.1)
    };
    assert_eq!(access().await, (json!("Active"), "True".into(), "AsDecided".into()));
    story.simulated.change(&id, leaves()).await;
    story.sync().await;
    assert_eq!(access().await, (json!("Active"), "False".into(), "NotAsDecided".into()));
    let (_, reason, message) = condition(&story.person(&id).await.unwrap(), "Ready").unwrap();
    assert!(
        reason == "SuspendByHand" && message.contains("suspend the account by hand"),
        "{message}"
    );
    let integration = story.integration().await.status.unwrap();
    assert_eq!(integration.employees.map(|counts| counts.failing), Some(1));
    story.integrate(json!({"safety": {"administrators": "Suspend"}})).await;
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
async fn accounts_that_were_deleted_by_hand_are_gone_and_no_outage() {
    let story = Scene::begin(GOOGLE, "deleted", 0).await;
    let people = staff(&story, 80).await;
    let _controller = Controller::start(&story).await;
    let safety = json!({"disables": {"max": "100%", "atLeast": 80, "per": "24h"}});
    story.integrate(json!({"safety": safety})).await;
    story.ready("Converged").await;
    for id in &people[..13] {
        let user = story.account(id).await;
        story.simulated.delete(&format!("/google/users/{}", user["id"].as_str().unwrap())).await;
    }
    leave(&story, &people[..12]).await;
    story.forget_calls().await;
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
    let calls = story.calls().await;
    let reads = calls["byRoute"]["GET /admin/directory/v1/users/{userKey}"].as_u64().unwrap_or(0);
    assert!(
        reads <= 27,
        "each is read twice: because the listing may be short, and before its change: {reads}"
    );
    assert!(story.find(&people[12]).await.is_some(), "somebody at work has a new account");
    assert_eq!(ready(&story.person(&people[12]).await.unwrap()).1, "InSync");
}
