//! OneLogin, and the stories that only OneLogin has.

use bobsync::provider::{Catalog, onelogin::CATALOG};
use serde_json::{Value, json};

use super::{
    ONE_LOGIN, every,
    tenant::{First, Refusal, Rules, Scene, Setting, Tenant},
};
use crate::support::{Controller, condition, ready};

pub struct OneLogin;

impl Tenant for OneLogin {
    fn catalog(&self) -> &'static Catalog {
        &CATALOG
    }

    fn name(&self) -> &'static str {
        "onelogin"
    }

    fn spec(&self, url: &str) -> Value {
        json!({"oneLogin": {"region": "US", "endpoint": url, "credentialsSecretRef": {"name": "onelogin"}}})
    }

    fn example(&self) -> &'static str {
        "onelogin.yaml"
    }

    fn secret(&self, _: &Value) -> Vec<(&'static str, String)> {
        vec![("clientId", "client-1".to_owned()), ("clientSecret", "secret-1".to_owned())]
    }

    fn never_told(&self) -> &'static [&'static str] {
        &["secret-1"]
    }

    fn users(&self) -> &'static str {
        "/api/2/users"
    }

    fn id(&self, user: &Value) -> String {
        user["id"].to_string()
    }

    fn mark(&self, user: &Value) -> Option<String> {
        user["external_id"].as_str().map(str::to_owned)
    }

    /// An account without a licence cannot be used.
    fn is_open(&self, user: &Value) -> bool {
        user["status"] == 1 && user["state"] == 1
    }

    fn is_suspended(&self, user: &Value) -> bool {
        user["status"] == 2
    }

    fn rows(&self, user: &Value) -> Vec<(Value, &'static str)> {
        let row = |target: &str, field| (user[target].clone(), field);
        vec![
            row("email", "root.email"),
            row("username", "root.email"),
            row("firstname", "root.firstName"),
            row("lastname", "root.surname"),
            row("phone", "work.workPhone"),
            row("title", "work.title"),
            row("department", "work.department"),
            (user["custom_attributes"]["work_cell"].clone(), "work.workMobile"),
        ]
    }

    fn title(&self) -> &'static str {
        "title"
    }

    fn manager(&self, user: &Value, manager: &Value) -> Option<(Value, Value)> {
        Some((user["manager_user_id"].clone(), manager["id"].clone()))
    }

    fn sessions(&self, id: &str) -> Option<String> {
        Some(format!("/api/1/users/{id}/logout"))
    }

    /// More accounts than a page has.
    fn company(&self) -> usize {
        230
    }

    fn first_sync(&self, first: &First) {
        assert_eq!(first.writes, first.wanted, "managers first: no second write");
        assert_eq!(first.refused, 0);
        assert_eq!(first.calls("POST /auth/oauth2/v2/token"), 1);
    }

    fn old_account(&self, employee: &Value) -> Value {
        json!({"email": employee["root.email"], "username": "the.old.one", "firstname": "Old",
               "comment": "Kept", "custom_attributes": {"badge": "A-7"}})
    }

    fn kept(&self, user: &Value) -> Vec<Value> {
        vec![user["comment"].clone(), user["custom_attributes"]["badge"].clone()]
    }

    fn mastered(&self) -> Option<Value> {
        Some(json!({"directory_id": 7}))
    }

    fn protection(&self, ids: &[String]) -> Vec<Setting> {
        let refuse = |id: &String| {
            let path = format!("/api/2/users/{id}");
            let fault =
                json!({"kind": "status", "status": 403, "method": "PUT", "exactPath": path});
            Setting::Post("/onelogin/faults", fault)
        };
        ids.iter().map(refuse).collect()
    }

    fn refused(&self, rules: &Rules) -> Vec<Refusal> {
        let password = json!({"provisioning": {"defaultPasswordSecretRef": {"name": "welcome", "key": "password"}}});
        let first = json!({"provisioning": {"changePasswordOnFirstLogin": true}});
        let one = || rules.provider.clone();
        vec![
            (rules.changed("region", json!("Mars")), json!({}), "Unsupported value"),
            (one(), password.clone(), "OneLogin takes no default password"),
            (
                one(),
                password,
                "Remove defaultPasswordSecretRef; Google Workspace, Microsoft Entra ID",
            ),
            (
                one(),
                first,
                "Remove changePasswordOnFirstLogin; Google Workspace, Microsoft Entra ID",
            ),
            rules.row("jobTitle", "work.title", "OneLogin has no such target"),
            rules.row("custom_attributes.", "work.title", "OneLogin has no such target"),
            rules.row("manager_user_id", "work.title", "manager_user_id refers to an employee"),
        ]
    }

    fn admitted(&self, rules: &Rules) -> Vec<(Value, Value)> {
        let row = |target: &str, field: &str| {
            (rules.provider.clone(), rules.with(json!({"target": target, "field": field})))
        };
        vec![
            row("custom_attributes.badge", "work.title"),
            row("group_id", "work.title"),
            row("manager_user_id", "work.manager"),
        ]
    }
}

every::every_provider!(ONE_LOGIN);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_one_login_lacks_is_left_out_and_named() {
    let story = Scene::begin(ONE_LOGIN, "target", 20).await;
    story.simulated.put("/onelogin/custom-attributes", json!({"shortnames": []})).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    let integration = story.ready("Converged").await;
    let conditions = integration.status.unwrap().conditions;
    let complete = conditions.iter().find(|c| c.type_ == "MappingComplete").unwrap();
    assert_eq!(
        (complete.status.as_str(), complete.reason.as_str()),
        ("False", "TargetUnavailable")
    );
    assert!(complete.message.contains("custom_attributes.work_cell"), "{}", complete.message);
    assert!(story.everybody().await.iter().all(|person| ready(person).0 == "True"));
    // Once it is defined, the values follow.
    story.simulated.put("/onelogin/custom-attributes", json!({"shortnames": ["work_cell"]})).await;
    story.sync().await;
    let (id, employee) = story.simulated.somebody().await;
    let account = story.account(&id).await;
    assert_eq!(
        account["custom_attributes"]["work_cell"].as_str().unwrap_or_default(),
        employee["work.workMobile"].as_str().unwrap_or_default()
    );
    let person = story.person(&id).await.unwrap();
    assert_eq!(condition(&person, "AttributesSynced").unwrap().0, "True");
}
