//! Okta, and the stories that only Okta has: proofs of possession, mails, accounts that cannot be
//! suspended, deactivated accounts, logins that decide, other masters, an attribute for marks that
//! is in use.

use std::collections::HashMap;

use bobsync::{
    api::employee_sync::Access,
    provider::{Catalog, okta::CATALOG},
};
use serde_json::{Value, json};

use super::{
    OKTA, every,
    tenant::{First, Refusal, Rules, Setting, Tenant, joins, leaves, text, works},
};
use crate::support::{Controller, Story, condition, ready, until};

const MARK: &str = "bobsyncEmployeeId";

/// Statuses without access.
const CLOSED: [&str; 3] = ["SUSPENDED", "STAGED", "DEPROVISIONED"];

pub struct Okta;

impl Tenant for Okta {
    fn catalog(&self) -> &'static Catalog {
        &CATALOG
    }

    fn name(&self) -> &'static str {
        "okta"
    }

    fn spec(&self, url: &str) -> Value {
        json!({"okta": {
            "domain": "sample.okta.com", "endpoint": url, "markAttribute": MARK,
            "credentialsSecretRef": {"name": "okta"},
        }})
    }

    fn example(&self) -> &'static str {
        "okta.yaml"
    }

    fn credentials(&self) -> Option<&'static str> {
        Some("/okta/app")
    }

    fn secret(&self, told: &Value) -> Vec<(&'static str, String)> {
        let key = &told["keys"]["ec"];
        vec![
            ("clientId", text(&told["clientId"])),
            ("privateKey", text(&key["privateKey"])),
            ("keyId", text(&key["keyId"])),
        ]
    }

    fn secret_of_the_example(&self, told: &Value) -> Vec<(&'static str, String)> {
        vec![("apiToken", text(&told["apiToken"]))]
    }

    fn never_told(&self) -> &'static [&'static str] {
        &["okta-token-1", "PRIVATE KEY", "eyJ", "/tokens/"]
    }

    fn users(&self) -> &'static str {
        "/api/v1/users"
    }

    fn update(&self) -> &'static str {
        "POST"
    }

    fn id(&self, user: &Value) -> String {
        text(&user["id"])
    }

    fn mark(&self, user: &Value) -> Option<String> {
        user["profile"][MARK].as_str().map(str::to_owned)
    }

    fn is_open(&self, user: &Value) -> bool {
        !self.is_suspended(user)
    }

    fn is_suspended(&self, user: &Value) -> bool {
        user["status"].as_str().is_some_and(|status| CLOSED.contains(&status))
    }

    fn rows(&self, user: &Value) -> Vec<(Value, &'static str)> {
        [
            ("login", "root.email"),
            ("email", "root.email"),
            ("displayName", "root.displayName"),
            ("firstName", "root.firstName"),
            ("lastName", "root.surname"),
            ("title", "work.title"),
            ("mobilePhone", "work.workMobile"),
            ("primaryPhone", "work.workPhone"),
            ("department", "work.department"),
        ]
        .map(|(target, field)| (user["profile"][target].clone(), field))
        .into()
    }

    /// Any name may be an attribute of the org.
    fn unknown_targets(&self) -> &'static [&'static str] {
        &["profile.title", "t-shirt", "work cell"]
    }

    fn title(&self) -> &'static str {
        "title"
    }

    /// The name of the manager, with or without an account.
    fn manager(&self, user: &Value, manager: &Value) -> Option<(Value, Value)> {
        let name = manager["profile"]["displayName"].clone();
        (!name.is_null()).then(|| (user["profile"]["manager"].clone(), name))
    }

    fn sessions(&self, id: &str) -> Option<String> {
        Some(format!("/api/v1/users/{id}/sessions"))
    }

    fn first_sync(&self, first: &First) {
        assert_eq!((first.writes, first.refused), (first.wanted, 0), "one write each");
        assert_eq!(first.calls("POST /api/v1/users"), first.wanted);
        assert_eq!(first.calls("GET /api/v1/meta/schemas/user/{schemaId}"), 1);
    }

    fn lag(&self) -> Option<Value> {
        Some(json!({"searchLagSeconds": 60}))
    }

    fn old_account(&self, employee: &Value) -> Value {
        json!({"status": "ACTIVE", "profile": {
            "login": employee["root.email"], "email": "old@example.com", "firstName": "Old",
            "lastName": "Name", "title": "Old", "costCenter": "46", "city": "Paris",
        }})
    }

    fn kept(&self, user: &Value) -> Vec<Value> {
        vec![user["profile"]["costCenter"].clone(), user["profile"]["city"].clone()]
    }

    fn protection(&self, ids: &[String]) -> Vec<Setting> {
        vec![Setting::Put("/okta/org", json!({"protected": ids}))]
    }

    fn refused(&self, rules: &Rules) -> Vec<Refusal> {
        let at = |domain: &str, said| (rules.changed("domain", json!(domain)), json!({}), said);
        let change = json!({"provisioning": {"changePasswordOnFirstLogin": true}});
        let mark = rules.changed("markAttribute", json!("login"));
        vec![
            at("https://acme.okta.com", "write acme.okta.com"),
            at("acme.okta.com/admin", "write acme.okta.com"),
            at("https://Acme-admin.okta.com/", "write acme.okta.com"),
            at("acme-admin.okta.com", "write acme.okta.com"),
            at("acme-admin.oktapreview.com", "write acme.oktapreview.com"),
            at("acme", "domain is the host of the org alone"),
            (mark, json!({}), "markAttribute is the variable name"),
            (rules.changed("leavers", json!("Delete")), json!({}), "Unsupported value"),
            rules.row(MARK, "work.title", "this target holds the mark"),
            rules.row("managerId", "work.title", "managerId refers to an employee"),
            (
                rules.provider.clone(),
                change,
                "without a default password Okta mails employees an invitation",
            ),
        ]
    }

    fn admitted(&self, rules: &Rules) -> Vec<(Value, Value)> {
        let row = |target: &str, field: &str| {
            (rules.provider.clone(), rules.with(json!({"target": target, "field": field})))
        };
        let at = |domain: &str| (rules.changed("domain", json!(domain)), json!({}));
        vec![
            row("title", "work.title"),
            row("workCell", "work.workMobile"),
            row("managerId", "work.manager"),
            row("manager", "work.manager"),
            at("id.example.com"),
            at("acme.okta-emea.com"),
            (rules.changed("leavers", json!("Deactivate")), json!({})),
            (rules.changed("notSuspendable", json!("Report")), json!({})),
        ]
    }
}

every::every_provider!(OKTA);

/// Returns the provider's part of a spec, with these members in addition.
fn okta(story: &Story, more: Value) -> Value {
    let mut provider = OKTA.provider(story);
    provider["okta"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    provider
}

/// Begins a story with an org in which people need a password, and with the service app's Secret.
async fn begin(name: &str, employees: usize) -> Story {
    let story = Story::begin(name, employees).await;
    story.simulated.put("/okta/quirks", json!({"optionalPassword": false})).await;
    OKTA.prepare(&story).await;
    story
}

async fn converged(name: &str, employees: usize, more: Value) -> (Story, Controller) {
    let story = begin(name, employees).await;
    let controller = Controller::start(&story).await;
    story.integrate(json!({"provider": okta(&story, more)})).await;
    story.ready("Converged").await;
    (story, controller)
}

/// Returns the account that bears this employee's mark.
async fn account(story: &Story, employee: &str) -> Option<Value> {
    OKTA.all(story).await.into_iter().find(|user| user["profile"][MARK] == employee)
}

async fn edit(story: &Story, user: &Value, members: Value) {
    story.simulated.patch(&OKTA.path(user), members).await;
}

async fn writes(story: &Story) -> u64 {
    story.simulated.get("/okta/calls").await["writes"].as_u64().unwrap_or(0)
}

async fn forget_calls(story: &Story) {
    story.simulated.forget_calls().await;
    story.simulated.delete("/okta/calls").await;
}

fn leave() -> Value {
    json!({"internal.lifecycleStatus": "Leave", "internal.status": "Inactive"})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_org_that_asks_for_proofs_gets_them_and_mails_who_is_activated_without_a_password() {
    let story = begin("okta-proofs", 20).await;
    story.simulated.put("/okta/app", json!({"dpop": true})).await;
    let controller = Controller::start(&story).await;
    story.integrate(json!({"provider": okta(&story, json!({}))})).await;
    story.ready("Converged").await;
    let users = OKTA.all(&story).await;
    let activated = users.iter().filter(|user| user["status"] == "PROVISIONED").count();
    let mails = story.simulated.get("/okta/mails").await.as_array().unwrap().len();
    assert!(activated > 5 && mails == activated, "{activated} and {mails}");
    assert!(!controller.log().contains("/tokens/"), "no link to log in with is told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaver_who_is_deactivated_is_left_as_is_and_comes_back_with_one_mail() {
    let (story, _controller) =
        converged("okta-deactivate", 20, json!({"leavers": "Deactivate"})).await;
    let (id, _) = story.simulated.somebody().await;
    let user = account(&story, &id).await.unwrap();
    edit(&story, &user, json!({"status": "ACTIVE"})).await;
    story.sync().await;
    let mut last = leaves();
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
    let mut again = works();
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
    story.simulated.change(&id, leaves()).await;
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
    let other = OKTA
        .all(&story)
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
    let story = begin("okta-logins", 0).await;
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
    assert_eq!(OKTA.all(&story).await.len(), 6, "no account was made");
}

/// Returns a new employee with this address.
fn joiner(email: &str) -> Value {
    let mut joiner = joins(email);
    let names = [("firstName", "Noa"), ("surname", "Lind"), ("displayName", "Noa Lind")];
    for (field, name) in names {
        joiner[format!("root.{field}")] = json!(name);
    }
    joiner
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_about_a_joiner_adopts_by_the_email_only_without_a_login_and_lists_nothing() {
    let story = begin("okta-events", 6).await;
    story.secret("hook", &[("webhookSecret", "s3cret")]).await;
    let controller = Controller::start(&story).await;
    let bob = json!({"webhookSecretRef": {"name": "hook", "key": "webhookSecret"}});
    let provider = okta(&story, json!({}));
    story.integrate(json!({"interval": "24h", "bob": bob, "provider": provider})).await;
    story.ready("Converged").await;
    let hook = json!({"url": controller.webhooks, "secret": "s3cret"});
    story.simulated.put("/bob/webhook", hook).await;
    let user = |login: &str, email: &str| {
        json!({"status": "ACTIVE", "profile": {"login": login, "email": email,
            "firstName": "Old", "lastName": "Name", "costCenter": "46"}})
    };
    let made = story
        .simulated
        .post(
            "/okta/users",
            json!([
                user("kim.old@example.com", "kim@example.com"),
                user("ola.1@example.com", "ola@example.com"),
                user("ola.2@example.com", "ola@example.com"),
                user("Zoe@example.com", "elsewhere@example.com"),
                user("zoe.2@example.com", "zoe@example.com"),
            ]),
        )
        .await;
    let before = OKTA.all(&story).await.len();
    let mut people = HashMap::new();
    for name in ["kim", "zoe", "ola"] {
        let hired = story.simulated.hire(joiner(&format!("{name}@example.com"))).await;
        people.insert(name, hired);
    }
    // The login decides for `zoe`, although another account has the e-mail.
    for (name, at) in [("kim", 0), ("zoe", 3)] {
        let adopted = until("the joiner has the account", || async {
            account(&story, &people[name]).await.ok_or_else(|| format!("{name} has none"))
        })
        .await;
        assert_eq!(text(&adopted["id"]), text(&made[at]["id"]), "{name}");
        let profile = &adopted["profile"];
        assert_eq!(
            (&profile["firstName"], &profile["costCenter"], text(&profile["login"]).to_lowercase()),
            (&json!("Noa"), &json!("46"), format!("{name}@example.com")),
        );
    }
    until("nobody guesses between two", || async {
        match story.person(&people["ola"]).await.map(|person| ready(&person).1) {
            Some(reason) if reason == "Ambiguous" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(OKTA.all(&story).await.len(), before, "no account was made");
    let log = story.simulated.get("/okta/log?since=0").await;
    let is_listing = |call: &&Value| {
        let query = text(&call["query"]);
        query.contains("limit=200") && !query.contains("example.com")
    };
    let listings = log.as_array().unwrap().iter().filter(is_listing).count();
    assert_eq!(listings, 1, "the first pass alone lists");
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
    story.simulated.change(&id, leaves()).await;
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
    let others = OKTA.all(&story).await.into_iter().filter(|user| user["id"] != mine["id"]);
    for (number, user) in others.take(11).enumerate() {
        edit(&story, &user, json!({"profile": {MARK: format!("E-{number}")}})).await;
    }
    let before = OKTA.all(&story).await.len();
    let integration = story.sync_ends_in("InvalidSettings").await;
    let conditions = integration.status.unwrap().conditions;
    let said = &conditions.iter().find(|c| c.type_ == "Ready").unwrap().message;
    assert!(said.contains("markAttribute") && said.contains(MARK), "{said}");
    story.simulated.change(&id, leaves()).await;
    story.sync_ends_in("InvalidSettings").await;
    until("the leaver gets out", || async {
        match account(&story, &id).await.unwrap()["status"].as_str() {
            Some("SUSPENDED") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(OKTA.all(&story).await.len(), before, "and no account is made");
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
    let replace = async |keys: &[(&str, &str)]| {
        // Keys of the Secret from before stay, so they are emptied.
        let mut all: HashMap<&str, &str> =
            ["apiToken", "clientId", "privateKey", "keyId"].map(|key| (key, "")).into();
        all.extend(keys.iter().copied());
        story.secret("okta", &all.into_iter().collect::<Vec<_>>()).await;
    };
    replace(&key).await;
    let said = message(story.ready("ProviderUnauthorized").await);
    assert!(said.contains("privateKey: the private key is not PEM"), "{said}");
    assert!(!said.contains("swordfish"), "{said}");
    replace(&[("apiToken", "00yesterday")]).await;
    // The reason is the one from before, so the message shows that the token was tried.
    let said = until("the token was tried", || async {
        let said = message(story.ready("ProviderUnauthorized").await);
        if said.contains("Invalid token") { Ok(said) } else { Err(said) }
    })
    .await;
    assert!(!said.contains("00yesterday"), "{said}");
    replace(&[("apiToken", "okta-token-1")]).await;
    story.ready("Converged").await;
}
