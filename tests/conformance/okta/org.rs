//! The simulated Okta org as a [`Tenant`].

use std::borrow::Cow;
use std::sync::Arc;

use bobsync::{
    domain::{
        account::{AccountPhase, AccountState},
        employee::Fields,
        mapping::{Mapping, Row, Source},
    },
    http::{secret::Secret, waits::Waits},
    provider::{
        Catalog, Credential, Provider,
        call::Hooks,
        okta::{self, CATALOG, Caller, Leavers, NotSuspendable, Okta, pacer},
    },
};
use serde_json::{Map, Value, json};
use simulators::{Control, Fault, Options, World, client::Service};

use crate::tenant::{Account, Calls, Outcomes, Tenant, Through, hooks, untold};

/// Targets in the order of `rows`.
pub const TARGETS: [&str; 8] =
    ["login", "email", "title", "department", "managerId", "badge", "firstName", "lastName"];

pub const MARK: &str = "bobsyncEmployeeId";

pub struct Org {
    pub world: World,
    pub control: Control,
    pub provider: Okta,
    pub mapping: Mapping,
    pub outcomes: Outcomes,
    /// `apiToken`, `clientId`, `keys`.
    pub app: Value,
}

/// Returns a mapping of these targets.
pub fn mapping(targets: &[&str]) -> Mapping {
    let row = |target: &&str| Row {
        target: (*target).into(),
        source: Source::Field(0),
        on_create_only: false,
        compare: CATALOG.compare(target).expect("a target of Okta"),
        required: CATALOG.required.contains(target),
    };
    let position = |wanted| targets.iter().position(|target| *target == wanted);
    let login = position("login").expect("required");
    Mapping {
        rows: targets.iter().map(row).collect(),
        fields: Fields::default(),
        email: login,
        username: login,
        address: position("email"),
        manager: position("managerId"),
    }
}

/// Returns a credential with these keys and values.
pub fn credential(keys: &[(&str, &str)]) -> Credential {
    Credential::new(
        keys.iter().map(|(key, value)| ((*key).to_owned(), Secret::new(*value))).collect(),
    )
}

/// Returns the credential of the service app with this sample key, `rsa` or `ec`.
pub fn app_with(app: &Value, key: &str) -> Credential {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let key = &app["keys"][key];
    credential(&[
        ("clientId", &text(&app["clientId"])),
        ("privateKey", &text(&key["privateKey"])),
        ("keyId", &text(&key["keyId"])),
    ])
}

pub fn settings(address: &str) -> okta::Tenant {
    okta::Tenant {
        domain: "sample.okta.com".to_owned(),
        base: address.to_owned(),
        mark: MARK.to_owned(),
        leavers: Leavers::Suspend,
        not_suspendable: NotSuspendable::Deactivate,
        mails: true,
    }
}

fn with_hooks(settings: okta::Tenant, credential: Credential, hooks: Hooks) -> Okta {
    Okta::new(settings, Caller::read(credential).unwrap(), hooks, Arc::new(pacer())).unwrap()
}

impl Org {
    pub fn settings(&self) -> okta::Tenant {
        settings(self.world.okta_url())
    }

    /// Returns a connection with these settings and the service app's RSA key.
    pub fn connected(&self, settings: okta::Tenant) -> Okta {
        self.connected_with(settings, app_with(&self.app, "rsa"))
    }

    pub fn connected_with(&self, settings: okta::Tenant, credential: Credential) -> Okta {
        with_hooks(settings, credential, hooks(true, Arc::clone(&self.outcomes), untold()))
    }

    /// Returns the calls of the users API, oldest first: method, path, query, body.
    pub async fn log(&self) -> Vec<(String, String, String, Value)> {
        let log = self.control.log(Service::Okta, 0).await.unwrap();
        log.into_iter()
            .filter(|entry| entry.path.starts_with("/api/v1/users"))
            .map(|entry| (entry.method, entry.path, entry.query, entry.body))
            .collect()
    }

    /// Returns the calls after the first `from` ones, each as method, path without the id, and
    /// query.
    pub async fn steps(&self, from: usize) -> Vec<String> {
        let short = |(method, path, query, _): (String, String, String, Value)| {
            let path = path.trim_start_matches("/api/v1/users");
            let path = path
                .strip_prefix('/')
                .map_or("", |rest| rest.split_once('/').map_or("{id}", |(_, rest)| rest));
            let mark = if query.is_empty() { "" } else { "?" };
            format!("{method} {path}{mark}{query}")
        };
        self.log().await.into_iter().skip(from).map(short).collect()
    }

    pub async fn stored(&self, id: &str) -> Value {
        self.control.okta("GET", &format!("/users/{id}"), Value::Null).await.unwrap()
    }

    pub async fn edit(&self, id: &str, members: Value) {
        self.control.okta("PATCH", &format!("/users/{id}"), members).await.unwrap();
    }

    pub async fn put(&self, path: &str, body: Value) -> Value {
        self.control.okta("PUT", path, body).await.unwrap()
    }

    /// Makes users as an administrator would, and returns their ids.
    pub async fn users(&self, users: Value) -> Vec<String> {
        let made = self.control.okta("POST", "/users", users).await.unwrap();
        made.as_array()
            .unwrap()
            .iter()
            .map(|user| user["id"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn text(value: &Value) -> Option<Cow<'static, str>> {
    value.as_str().filter(|text| !text.is_empty()).map(|text| text.to_owned().into())
}

fn user(account: &Account) -> Value {
    let mut profile = Map::new();
    for (target, value) in TARGETS.iter().zip(&account.attributes) {
        if let Some(value) = value.as_deref() {
            profile.insert((*target).to_owned(), json!(value));
        }
    }
    if let Some(mark) = &account.mark {
        profile.insert(MARK.to_owned(), json!(mark));
    }
    let status = match account.state {
        AccountState::Active => "ACTIVE",
        AccountState::Suspended => "SUSPENDED",
        _ => "LOCKED_OUT",
    };
    json!({"profile": profile, "status": status, "lastLogin": "2026-11-01T09:00:00.000Z"})
}

impl Tenant for Org {
    const CATALOG: &'static Catalog = &CATALOG;

    /// People without a password are ACTIVE at once, as in orgs with optional passwords. The cases
    /// of `wire` have the other orgs.
    async fn start() -> Self {
        let world = World::start(Options::default()).await;
        let control = world.control();
        let app = control.okta("GET", "/app", Value::Null).await.unwrap();
        let outcomes = Outcomes::default();
        let provider = with_hooks(
            settings(world.okta_url()),
            app_with(&app, "rsa"),
            hooks(true, Arc::clone(&outcomes), untold()),
        );
        let org = Self { control, world, provider, mapping: mapping(&TARGETS), outcomes, app };
        let custom = json!({
            "badge": {"title": "Badge", "type": "string"},
            MARK: {"title": "Employee in Bob", "type": "string"},
        });
        org.put("/schema", json!({"custom": custom})).await;
        org.put("/quirks", json!({"optionalPassword": true, "searchLagSeconds": 0})).await;
        org
    }

    fn provider(&self) -> &dyn Provider {
        &self.provider
    }

    fn connect(&self, through: Through) -> Box<dyn Provider> {
        let right = || app_with(&self.app, "rsa");
        let connected = |settings, credential, open| {
            with_hooks(settings, credential, hooks(open, Arc::clone(&self.outcomes), untold()))
        };
        Box::new(match through {
            Through::AWrongSecret => {
                connected(self.settings(), credential(&[("apiToken", "wrong-token-1")]), true)
            }
            // Port 1 of the loopback address: nothing listens there.
            Through::NobodyThere => connected(settings("http://127.0.0.1:1"), right(), true),
            Through::AClosedGate => connected(self.settings(), right(), false),
        })
    }

    fn telling(&self, waits: Waits) -> Box<dyn Provider> {
        let hooks = hooks(true, Arc::clone(&self.outcomes), waits);
        Box::new(with_hooks(self.settings(), app_with(&self.app, "rsa"), hooks))
    }

    fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    async fn make(&self, accounts: &[Account]) -> Vec<String> {
        self.users(accounts.iter().map(user).collect()).await
    }

    async fn look(&self, id: &str) -> Option<Account> {
        let user = self.control.okta("GET", &format!("/users/{id}"), Value::Null).await.ok()?;
        let profile = &user["profile"];
        Some(Account {
            id: id.to_owned().into(),
            mark: text(&profile[MARK]),
            email: text(&profile["login"]),
            username: text(&profile["login"]),
            state: match user["status"].as_str() {
                Some("ACTIVE") => AccountState::Active,
                Some("SUSPENDED" | "STAGED" | "DEPROVISIONED") => AccountState::Suspended,
                _ => AccountState::Other,
            },
            phase: AccountPhase::Usual,
            attributes: TARGETS.iter().map(|target| text(&profile[*target])).collect(),
            administrator: false,
            elsewhere: false,
            foreign: None,
        })
    }

    async fn rest(&self, id: &str) -> Value {
        let mut user = self.stored(id).await;
        let members = user.as_object_mut().unwrap();
        members.retain(|name, _| {
            !["status", "statusChanged", "lastUpdated", "activated"].contains(&name.as_str())
        });
        let profile = members["profile"].as_object_mut().unwrap();
        profile.retain(|name, _| !TARGETS.contains(&name.as_str()) && name != MARK);
        user
    }

    async fn give_foreign(&self, id: &str) {
        self.edit(id, json!({"profile": {"costCenter": "46 \"wide\"", "city": "Paris"}})).await;
    }

    async fn size(&self) -> usize {
        self.control.okta("GET", "/users", Value::Null).await.unwrap().as_array().unwrap().len()
    }

    async fn delete(&self, id: &str) {
        self.control.okta("DELETE", &format!("/users/{id}"), Value::Null).await.unwrap();
    }

    async fn reference(&self, id: &str) -> String {
        self.stored(id).await["profile"]["login"].as_str().unwrap().to_owned()
    }

    async fn undefine(&self) {
        self.put("/schema", json!({"custom": {"badge": null}})).await;
    }

    async fn revoke_tokens(&self) {
        self.control.okta("POST", "/tokens/revoke", Value::Null).await.unwrap();
    }

    async fn passwords(&self) -> Vec<(String, bool)> {
        let log = self.log().await.into_iter();
        let creates = log.filter(|(method, path, ..)| method == "POST" && path == "/api/v1/users");
        creates
            .filter_map(|(_, _, query, body)| {
                let password = body["credentials"]["password"]["value"].as_str()?.to_owned();
                Some((password, query.contains("nextLogin=changePassword")))
            })
            .collect()
    }

    async fn refuse(&self, row: usize, text: &str) {
        let rule = json!({"field": TARGETS[row], "contains": text});
        self.put("/refuse", json!({"rules": [rule]})).await;
    }

    // Only a refused write tells that another directory is the master; see `wire`.
    const TELLS_MASTERS: bool = false;

    async fn keep_texts(&self, folded: bool, cut: Option<usize>) {
        let quirks = json!({"foldBlanks": folded, "composeLetters": folded, "cutTexts": cut});
        self.put("/quirks", quirks).await;
    }

    async fn disguise_mark(&self, id: &str) {
        let mark = format!("{}\u{200b}", self.look(id).await.unwrap().mark.unwrap());
        self.edit(id, json!({"profile": {MARK: mark}})).await;
    }

    async fn protect(&self, id: &str) {
        self.put("/org", json!({"protected": [id]})).await;
    }

    async fn only_reads(&self) {
        self.put("/app", json!({"rights": "read"})).await;
    }

    async fn exhaust(&self) -> Option<u64> {
        for bucket in ["users", "userReads", "userWrites", "other"] {
            self.put("/limits", json!({"bucket": bucket, "limit": 300, "remaining": 0})).await;
        }
        Some(60)
    }

    async fn fault(&self, calls: Calls, fault: Fault) {
        let (method, path) = match calls {
            Calls::Reads => ("GET", "/api/v1/users"),
            Calls::Creates => ("POST", "/api/v1/users"),
            Calls::Updates => ("POST", "/api/v1/users/"),
            Calls::Tokens => ("POST", "/oauth2/v1/token"),
        };
        self.control.fault(Service::Okta, &fault.method(method).path(path)).await.unwrap();
    }

    async fn heal(&self) {
        self.control.clear_faults(Service::Okta).await.unwrap();
    }

    async fn calls(&self) -> u64 {
        self.log().await.len() as u64
    }

    async fn token_calls(&self) -> u64 {
        let log = self.control.log(Service::Okta, 0).await.unwrap();
        log.iter().filter(|entry| entry.path == "/oauth2/v1/token").count() as u64
    }
}
