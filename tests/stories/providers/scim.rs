//! SCIM, and the stories that only SCIM has: a server that changes nothing, one that has no PATCH,
//! listings that do not fit together, and addresses that are no SCIM server.

use bobsync::{
    api::ProvisioningIntegration,
    provider::{Catalog, scim::CATALOG},
};
use serde_json::{Value, json};

use super::{
    SCIM, every,
    tenant::{First, Refusal, Rules, Scene, Setting, Tenant, joins, leaves, text},
};
use crate::support::{Controller, condition, ready};

pub struct Scim;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const BADGE: &str = "urn:example:params:scim:schemas:extension:company:2.0:User:badge";

/// Returns the value of this type.
fn entry<'a>(user: &'a Value, array: &str, kind: &str) -> &'a Value {
    let entries = user[array].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = entries.iter().find(|entry| entry["type"] == kind);
    found.map_or(&Value::Null, |entry| &entry["value"])
}

impl Tenant for Scim {
    fn catalog(&self) -> &'static Catalog {
        &CATALOG
    }

    fn name(&self) -> &'static str {
        "scim"
    }

    fn spec(&self, url: &str) -> Value {
        let endpoint = format!("{url}/scim/v2");
        json!({"scim": {"credentialsSecretRef": {"name": "scim"}, "endpoint": endpoint}})
    }

    fn example(&self) -> &'static str {
        "scim.yaml"
    }

    fn secret(&self, _: &Value) -> Vec<(&'static str, String)> {
        vec![("token", "scim-token-1".to_owned())]
    }

    fn never_told(&self) -> &'static [&'static str] {
        &["scim-token-1"]
    }

    fn users(&self) -> &'static str {
        "/scim/v2/Users"
    }

    fn update(&self) -> &'static str {
        "PATCH"
    }

    fn id(&self, user: &Value) -> String {
        text(&user["id"])
    }

    fn mark(&self, user: &Value) -> Option<String> {
        user["externalId"].as_str().map(str::to_owned)
    }

    fn is_open(&self, user: &Value) -> bool {
        user["active"] == true
    }

    /// The body of an update has its operations.
    fn is_suspended(&self, user: &Value) -> bool {
        let operations = user["Operations"].as_array().map(Vec::as_slice).unwrap_or_default();
        let takes =
            |operation: &Value| operation["path"] == "active" && operation["value"] == false;
        user["active"] == false || operations.iter().any(takes)
    }

    fn rows(&self, user: &Value) -> Vec<(Value, &'static str)> {
        let enterprise = &user[ENTERPRISE];
        vec![
            (user["userName"].clone(), "root.email"),
            (entry(user, "emails", "work").clone(), "root.email"),
            (user["name"]["givenName"].clone(), "root.firstName"),
            (user["name"]["familyName"].clone(), "root.surname"),
            (user["displayName"].clone(), "root.displayName"),
            (user["title"].clone(), "work.title"),
            (entry(user, "phoneNumbers", "work").clone(), "work.workPhone"),
            (entry(user, "phoneNumbers", "mobile").clone(), "work.workMobile"),
            (enterprise["department"].clone(), "work.department"),
            (enterprise["employeeNumber"].clone(), "work.employeeIdInCompany"),
        ]
    }

    fn title(&self) -> &'static str {
        "title"
    }

    fn manager(&self, user: &Value, manager: &Value) -> Option<(Value, Value)> {
        Some((user[ENTERPRISE]["manager"]["value"].clone(), manager["id"].clone()))
    }

    fn first_sync(&self, first: &First) {
        assert_eq!(first.calls("POST /scim/v2/Users"), first.wanted, "one create each");
        // An id of a manager who is made later is written afterwards.
        let late = first.calls("PATCH /scim/v2/Users/{id}");
        assert_eq!((first.writes, first.refused), (first.wanted + late, 0));
        assert!(late <= first.managed, "{late} of {}", first.managed);
        assert_eq!(first.calls("GET /scim/v2/ServiceProviderConfig"), 1);
        assert_eq!(first.calls("GET /scim/v2/Schemas"), 1);
    }

    fn old_account(&self, employee: &Value) -> Value {
        json!({
            "userName": employee["root.email"], "title": "Old title", "nickName": "Old",
            "emails": [{"type": "home", "value": "home@example.org", "primary": true}],
            "phoneNumbers": [{"type": "home", "value": "+44 20 7946 0000"}],
            "addresses": [{"type": "work", "locality": "Paris"}],
            ENTERPRISE: {"division": "West"},
        })
    }

    fn kept(&self, user: &Value) -> Vec<Value> {
        vec![
            user["nickName"].clone(),
            entry(user, "emails", "home").clone(),
            entry(user, "phoneNumbers", "home").clone(),
            user["addresses"].clone(),
            user[ENTERPRISE]["division"].clone(),
        ]
    }

    fn protection(&self, ids: &[String]) -> Vec<Setting> {
        vec![Setting::Put("/scim/directory", json!({"protected": ids}))]
    }

    fn refused(&self, rules: &Rules) -> Vec<Refusal> {
        let unknown = "SCIM has no such target";
        let change = json!({"provisioning": {"changePasswordOnFirstLogin": true}});
        let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department";
        let marked = rules.changed("markAttribute", json!("enterprise.employeeNumber"));
        let number = json!({"target": "enterprise.employeeNumber", "field": "work.title"});
        let users = format!("{}/Users", text(&rules.provider["scim"]["endpoint"]));
        vec![
            (rules.changed("updates", json!("Post")), json!({}), "Unsupported value"),
            (rules.changed("markAttribute", json!("title")), json!({}), "Unsupported value"),
            (rules.changed("endpoint", json!(users)), json!({}), "without /Users"),
            (rules.changed("endpoint", json!("idp.example.com")), json!({}), "http:// or https://"),
            (rules.changed("tokenScope", json!("scim")), json!({}), "belongs to tokenEndpoint"),
            rules.row("emails", "work.title", unknown),
            rules.row("externalId", "work.title", unknown),
            rules.row("active", "work.title", unknown),
            rules.row(enterprise, "work.title", "have short names"),
            rules.row("urn:short", "work.title", unknown),
            rules.row("enterprise.manager", "work.title", "refers to an employee"),
            (rules.provider.clone(), change, "SCIM cannot ask for another password"),
            (marked, rules.with(number), "this target holds the mark"),
        ]
    }

    fn admitted(&self, rules: &Rules) -> Vec<(Value, Value)> {
        let password = json!({"provisioning": {"defaultPasswordSecretRef": {"name": "welcome", "key": "password"}}});
        let row = |target: &str, field: &str| {
            (rules.provider.clone(), rules.with(json!({"target": target, "field": field})))
        };
        vec![
            row("emails.home", "work.title"),
            row("phoneNumbers.pager", "work.title"),
            row("addresses.work.postalCode", "work.title"),
            row("enterprise.costCenter", "work.title"),
            row("enterprise.employeeNumber", "work.title"),
            row("enterprise.manager", "work.manager"),
            row(BADGE, "work.title"),
            (rules.changed("markAttribute", json!("enterprise.employeeNumber")), json!({})),
            (rules.changed("updates", json!("Put")), json!({})),
            (rules.provider.clone(), password),
        ]
    }
}

every::every_provider!(SCIM);

/// Returns the message of the condition `Ready`.
fn message(integration: &ProvisioningIntegration) -> String {
    let conditions = integration.status.as_ref().map(|status| status.conditions.as_slice());
    let ready = conditions.unwrap_or_default().iter().find(|one| one.type_ == "Ready");
    ready.map(|ready| ready.message.clone()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_of_two_kinds_and_an_address_that_is_no_scim_server_say_what_to_do() {
    let story = Scene::without_secret(SCIM, "settings", 4).await;
    story.secret("scim", &[("token", "scim-token-1"), ("username", "u")]).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    let said = message(&story.ready("InvalidSettings").await);
    assert!(said.contains("more than one credential") && !said.contains("scim-token-1"), "{said}");
    assert_eq!(story.calls().await["total"], 0);

    story.secret("scim", &[("token", "two\nlines"), ("username", "")]).await;
    let said = message(&story.ready("ProviderUnauthorized").await);
    assert!(said.contains("token") && !said.contains("lines"), "{said}");

    let basic = [("token", ""), ("username", "scim-user"), ("password", "scim-password-1")];
    story.secret("scim", &basic).await;
    story.ready("Converged").await;
    for quirks in [
        json!({"routes": {"users": "page"}}),
        json!({"routes": {"users": "absent"}}),
        json!({"routes": {"users": "yes"}, "paging": {"withoutResources": true}}),
    ] {
        story.simulated.put(&story.at("quirks"), quirks.clone()).await;
        let said = message(&story.sync_ends_in("ProviderUnavailable").await);
        assert!(said.contains("spec.provider.scim.endpoint has to be"), "{quirks}: {said}");
    }
    let back = json!({"routes": {"users": "yes"}, "paging": {"withoutResources": false}});
    story.simulated.put(&story.at("quirks"), back).await;
    story.sync_ends_in("Converged").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_service_gives_tokens_and_its_scope_is_named() {
    let story = Scene::without_secret(SCIM, "tokens", 4).await;
    story.secret("scim", &[("clientId", "scim-client"), ("clientSecret", "scim-secret-1")]).await;
    story
        .simulated
        .put("/scim/credentials", json!({"ways": ["oauth"], "scopeRequired": true}))
        .await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    let said = message(&story.ready("InvalidSettings").await);
    assert!(said.contains("tokenEndpoint"), "{said}");
    let tokens = format!("{}/oauth/token", story.simulated.url("scim"));
    story.integrate(json!({"provider": {"scim": {"tokenEndpoint": tokens}}})).await;
    let said = message(&story.ready("ProviderForbidden").await);
    assert!(said.contains("tokenScope"), "{said}");
    let both = json!({"scim": {"tokenEndpoint": tokens, "tokenScope": "scim"}});
    story.integrate(json!({"provider": both})).await;
    story.ready("Converged").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_answers_with_success_and_changes_nothing_is_not_written_for_ever() {
    let (story, _controller) = Scene::converged(SCIM, "nothing", 12, json!({})).await;
    let (id, _) = story.simulated.somebody().await;
    story.simulated.put(&story.at("quirks"), json!({"writes": {"changeNothing": true}})).await;
    let mut leaver = leaves();
    leaver["work.title"] = json!("Head of Lighthouses");
    story.simulated.change(&id, leaver).await;
    story.sync().await;
    let person = story.person(&id).await.unwrap();
    assert_eq!(ready(&person), ("False".into(), "Rejected".into()));
    assert!(condition(&person, "Ready").unwrap().2.contains("did not change it"));
    assert_eq!(story.access(&id).await, "Active", "the account is still open, and that is said");
    story.simulated.put(&story.at("quirks"), json!({"writes": {"changeNothing": false}})).await;
    story.sync().await;
    assert!(SCIM.is_suspended(&story.account(&id).await));
    assert_eq!(story.reason(&id).await, "InSync");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_patch_is_changed_by_put_and_loses_nothing() {
    let story = Scene::begin(SCIM, "put", 12).await;
    story.simulated.put(&story.at("quirks"), json!({"routes": {"patch": "notImplemented"}})).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    let (id, _) = story.simulated.somebody().await;
    let path = story.path(&story.account(&id).await);
    story
        .simulated
        .patch(&path, json!({"nickName": "Keeper", ENTERPRISE: {"division": "West"}}))
        .await;
    story.simulated.change(&id, json!({"work.title": "Head of Lighthouses"})).await;
    story.sync().await;
    story.simulated.change(&id, leaves()).await;
    story.sync().await;
    let user = story.account(&id).await;
    assert_eq!(
        (&user["title"], &user["nickName"], &user[ENTERPRISE]["division"], &user["active"]),
        (&json!("Head of Lighthouses"), &json!("Keeper"), &json!("West"), &json!(false))
    );
    story.forget_calls().await;
    story.sync().await;
    assert_eq!(story.writes().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_with_gaps_and_filters_that_are_ignored_make_no_account() {
    let (story, _controller) = Scene::converged(SCIM, "gaps", 12, json!({})).await;
    // The totals of its pages do not fit together.
    let quirks = json!({"filters": {"ignored": true}, "paging": {"totals": "page", "cap": 5}});
    story.simulated.put(&story.at("quirks"), quirks).await;
    let id = story.simulated.hire(joins("late.riser@example.com")).await;
    let said = message(&story.sync_ends_in("TargetSuspect").await);
    assert!(said.contains("listing"), "{said}");
    let made =
        |users: &[Value]| users.iter().any(|user| user["userName"] == "late.riser@example.com");
    assert!(!made(&story.users().await), "no account on the word of such a server");
    assert_eq!(story.reason(&id).await, "Retrying");
    let calm = json!({"filters": {"ignored": false}, "paging": {"totals": "all", "cap": 200}});
    story.simulated.put(&story.at("quirks"), calm).await;
    story.sync_ends_in("Converged").await;
    assert!(made(&story.users().await));
}
