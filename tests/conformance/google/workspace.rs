//! The simulated Google Workspace as a [`Tenant`].

use std::borrow::Cow;
use std::sync::Arc;

use bobsync::{
    domain::{
        account::AccountState,
        employee::Fields,
        mapping::{Mapping, Row, Source},
    },
    http::{secret::Secret, waits::Waits},
    provider::{
        Catalog, Provider,
        call::Hooks,
        google::{self, CATALOG, Google, ServiceAccount, pacer},
    },
};
use serde_json::{Map, Value, json};
use simulators::{Control, Fault, Options, World, client::Service};

use crate::tenant::{Account, Calls, Outcomes, Tenant, Through, hooks, untold};

/// Targets in the order of `rows`.
pub const TARGETS: [&str; 8] = [
    "primaryEmail",
    "recoveryEmail",
    "organizations.title",
    "organizations.department",
    "relations.manager",
    "customSchemas.Work.cell",
    "name.givenName",
    "name.familyName",
];

pub struct Workspace {
    pub world: World,
    pub control: Control,
    pub provider: Google,
    pub mapping: Mapping,
    pub outcomes: Outcomes,
    key: Value,
}

/// Returns a mapping of these targets.
pub fn mapping(targets: &[&str]) -> Mapping {
    let row = |target: &&str| Row {
        target: (*target).into(),
        source: Source::Field(0),
        on_create_only: false,
        compare: CATALOG.compare(target).expect("a target of Google Workspace"),
        required: CATALOG.required.contains(target),
    };
    let email = targets.iter().position(|target| *target == "primaryEmail").expect("required");
    Mapping {
        address: None,
        rows: targets.iter().map(row).collect(),
        fields: Fields::default(),
        email,
        username: email,
        manager: targets.iter().position(|target| *target == "relations.manager"),
    }
}

impl Workspace {
    pub fn settings(&self) -> google::Tenant {
        google::Tenant {
            base: self.world.google_url().to_owned(),
            tokens: self.world.google_url().to_owned(),
            admin: "admin@example.com".to_owned(),
            customer: "my_customer".to_owned(),
            org_unit: "/".to_owned(),
        }
    }

    /// Returns a connection with these settings and this key file.
    pub fn connected(&self, settings: google::Tenant, key: &Value, open: bool) -> Google {
        let outcomes = Arc::clone(&self.outcomes);
        connected(settings, key, open, outcomes)
    }

    pub fn key(&self) -> Value {
        self.key.clone()
    }

    /// Returns the calls of the Directory API, oldest first: method, path, query, body.
    pub async fn log(&self) -> Vec<(String, String, String, Value)> {
        let log = self.control.log(Service::Google, 0).await.unwrap();
        log.into_iter()
            .filter(|entry| entry.path.starts_with("/admin/"))
            .map(|e| (e.method, e.path, e.query, e.body))
            .collect()
    }

    pub async fn last_body(&self) -> Value {
        self.log().await.pop().expect("a call").3
    }

    pub async fn stored(&self, id: &str) -> Value {
        self.control.google("GET", &format!("/users/{id}"), Value::Null).await.unwrap()
    }

    pub async fn edit(&self, id: &str, members: Value) {
        self.control.google("PATCH", &format!("/users/{id}"), members).await.unwrap();
    }

    pub async fn quirks(&self, quirks: Value) {
        self.control.google("PUT", "/quirks", quirks).await.unwrap();
    }

    async fn count(&self, route: impl Fn(&str) -> bool) -> u64 {
        let calls = self.control.calls(Service::Google).await.unwrap();
        calls.by_route.iter().filter(|(name, _)| route(name)).map(|(_, count)| count).sum()
    }
}

fn connected(settings: google::Tenant, key: &Value, open: bool, outcomes: Outcomes) -> Google {
    with_hooks(settings, key, &hooks(open, outcomes, untold()))
}

fn with_hooks(settings: google::Tenant, key: &Value, hooks: &Hooks) -> Google {
    let account = ServiceAccount::read(&Secret::new(key.to_string())).unwrap();
    Google::new(settings, account, hooks, &Arc::new(pacer())).unwrap()
}

fn text(value: &Value) -> Option<Cow<'static, str>> {
    value.as_str().filter(|text| !text.is_empty()).map(|text| text.to_owned().into())
}

fn entry<'a>(user: &'a Value, array: &str, found: impl Fn(&Value) -> bool) -> &'a Value {
    user[array]
        .as_array()
        .and_then(|entries| entries.iter().find(|entry| found(entry)))
        .unwrap_or(&Value::Null)
}

fn user(account: &Account) -> Value {
    let value = |row: usize| account.attributes[row].as_deref().map(Value::from);
    let mut user = Map::new();
    let mut organization = json!({"type": "work", "primary": true});
    for (row, name) in [(2, "title"), (3, "department")] {
        if let Some(text) = value(row) {
            organization[name] = text;
        }
    }
    if organization.as_object().unwrap().len() > 2 {
        user.insert("organizations".into(), json!([organization]));
    }
    if let Some(manager) = value(4) {
        user.insert("relations".into(), json!([{"type": "manager", "value": manager}]));
    }
    if let Some(mark) = &account.mark {
        user.insert(
            "externalIds".into(),
            json!([{"type": "custom", "customType": "bobsync", "value": mark}]),
        );
    }
    if let Some(cell) = value(5) {
        user.insert("customSchemas".into(), json!({"Work": {"cell": cell}}));
    }
    for (row, name) in [(0, "primaryEmail"), (1, "recoveryEmail")] {
        if let Some(text) = value(row) {
            user.insert(name.into(), text);
        }
    }
    user.insert("name".into(), json!({"givenName": value(6), "familyName": value(7)}));
    user.insert("suspended".into(), json!(account.state == AccountState::Suspended));
    Value::Object(user)
}

impl Tenant for Workspace {
    const CATALOG: &'static Catalog = &CATALOG;
    /// Projections show custom schemas, and writes have no projection.
    const SILENT: &'static [usize] = &[5];

    async fn start() -> Self {
        let world = World::start(Options::default()).await;
        let control = world.control();
        control
            .google("PUT", "/schemas", json!({"Work": {"cell": "STRING", "shoe": "STRING"}}))
            .await
            .unwrap();
        let key = control.google("GET", "/service-account", Value::Null).await.unwrap();
        let outcomes = Outcomes::default();
        let base = world.google_url().to_owned();
        let settings = google::Tenant {
            tokens: base.clone(),
            base,
            admin: "admin@example.com".to_owned(),
            customer: "my_customer".to_owned(),
            org_unit: "/".to_owned(),
        };
        let provider = connected(settings, &key, true, Arc::clone(&outcomes));
        Self { world, control, provider, mapping: mapping(&TARGETS), outcomes, key }
    }

    fn provider(&self) -> &dyn Provider {
        &self.provider
    }

    fn connect(&self, through: Through) -> Box<dyn Provider> {
        let (settings, mut key) = (self.settings(), self.key());
        Box::new(match through {
            Through::AWrongSecret => {
                key["private_key_id"] = json!("wrong-key-1");
                self.connected(settings, &key, true)
            }
            // Port 1 of the loopback address: nothing listens there.
            Through::NobodyThere => {
                let nowhere = "http://127.0.0.1:1".to_owned();
                self.connected(
                    google::Tenant { base: nowhere.clone(), tokens: nowhere, ..settings },
                    &key,
                    true,
                )
            }
            Through::AClosedGate => self.connected(settings, &key, false),
        })
    }

    fn telling(&self, waits: Waits) -> Box<dyn Provider> {
        Box::new(with_hooks(
            self.settings(),
            &self.key(),
            &hooks(true, Arc::clone(&self.outcomes), waits),
        ))
    }

    fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    async fn make(&self, accounts: &[Account]) -> Vec<String> {
        let users: Vec<Value> = accounts.iter().map(user).collect();
        let ids = self.control.google("POST", "/users", json!(users)).await.unwrap();
        ids.as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap().to_owned()).collect()
    }

    async fn look(&self, id: &str) -> Option<Account> {
        let user = self.control.google("GET", &format!("/users/{id}"), Value::Null).await.ok()?;
        let organization = &user["organizations"][0];
        let attributes = [
            text(&user["primaryEmail"]),
            text(&user["recoveryEmail"]),
            text(&organization["title"]),
            text(&organization["department"]),
            text(&entry(&user, "relations", |entry| entry["type"] == "manager")["value"]),
            text(&user["customSchemas"]["Work"]["cell"]),
            text(&user["name"]["givenName"]),
            text(&user["name"]["familyName"]),
        ];
        Some(Account {
            phase: bobsync::domain::account::AccountPhase::Usual,
            id: id.to_owned().into(),
            mark: text(
                &entry(&user, "externalIds", |entry| entry["customType"] == "bobsync")["value"],
            ),
            email: text(&user["primaryEmail"]),
            username: text(&user["primaryEmail"]),
            state: if user["suspended"] == true {
                AccountState::Suspended
            } else {
                AccountState::Active
            },
            attributes: attributes.into(),
            administrator: user["isAdmin"] == true || user["isDelegatedAdmin"] == true,
            elsewhere: false,
            foreign: None,
        })
    }

    async fn rest(&self, id: &str) -> Value {
        let mut user = self.stored(id).await;
        let members = user.as_object_mut().unwrap();
        for name in ["primaryEmail", "recoveryEmail", "name", "suspended", "aliases"] {
            members.remove(name);
        }
        for (array, ours) in [("relations", "manager"), ("externalIds", "bobsync")] {
            if let Some(entries) = members.get_mut(array).and_then(Value::as_array_mut) {
                entries.retain(|entry| entry["type"] != ours && entry["customType"] != ours);
            }
        }
        if let Some(organization) = members
            .get_mut("organizations")
            .and_then(|all| all.get_mut(0))
            .and_then(Value::as_object_mut)
        {
            organization.remove("title");
            organization.remove("department");
        }
        if let Some(work) = members
            .get_mut("customSchemas")
            .and_then(|schemas| schemas.get_mut("Work"))
            .and_then(Value::as_object_mut)
        {
            work.remove("cell");
        }
        user
    }

    async fn give_foreign(&self, id: &str) {
        let user = self.stored(id).await;
        let mut organizations = user["organizations"].as_array().cloned().unwrap_or_default();
        organizations
            .push(json!({"type": "school", "name": "Evening \"School\"", "title": "Pupil"}));
        let mut ids = user["externalIds"].as_array().cloned().unwrap_or_default();
        ids.push(json!({"type": "organization", "value": "4711"}));
        self.edit(
            id,
            json!({
                "organizations": organizations, "externalIds": ids,
                "relations": [{"type": "assistant", "value": "kim@example.com"}],
                "phones": [{"type": "home", "value": "+44 20 7946 0000"}],
                "customSchemas": {"Work": {"shoe": "46"}},
            }),
        )
        .await;
    }

    async fn size(&self) -> usize {
        self.control.google("GET", "/users", Value::Null).await.unwrap().as_array().unwrap().len()
    }

    async fn delete(&self, id: &str) {
        self.control.google("DELETE", &format!("/users/{id}"), Value::Null).await.unwrap();
    }

    async fn foreign(&self, id: &str) -> Option<Box<str>> {
        let user = self.control.google("GET", &format!("/users/{id}"), Value::Null).await.ok()?;
        let arrays = ["phones", "organizations", "relations", "externalIds"];
        let present: Map<String, Value> = arrays
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), user.get(*name)?.clone())))
            .collect();
        Some(Value::Object(present).to_string().into())
    }

    async fn reference(&self, id: &str) -> String {
        self.stored(id).await["primaryEmail"].as_str().unwrap().to_owned()
    }

    async fn undefine(&self) {
        self.control.google("PUT", "/schemas", json!({"Work": {"shoe": "STRING"}})).await.unwrap();
    }

    async fn revoke_tokens(&self) {
        self.control.google("POST", "/tokens/revoke", json!({})).await.unwrap();
    }

    async fn passwords(&self) -> Vec<(String, bool)> {
        let log = self.log().await;
        let sent = |body: Value| {
            Some((
                body.get("password")?.as_str()?.to_owned(),
                body["changePasswordAtNextLogin"].as_bool()?,
            ))
        };
        log.into_iter().filter_map(|(.., body)| sent(body)).collect()
    }

    async fn refuse(&self, row: usize, text: &str) {
        let rule = json!({"field": TARGETS[row], "contains": text});
        self.control.google("PUT", "/refuse", json!({"rules": [rule]})).await.unwrap();
    }

    async fn promote(&self, id: &str) {
        self.edit(id, json!({"isDelegatedAdmin": true})).await;
    }

    const TELLS_MASTERS: bool = false;

    async fn keep_texts(&self, folded: bool, cut: Option<usize>) {
        let quirks = json!({"foldBlanks": folded, "composeLetters": folded, "cutTexts": cut});
        self.control.google("PUT", "/quirks", quirks).await.unwrap();
    }

    async fn disguise_mark(&self, id: &str) {
        let mark = format!("{}\u{200b}", self.look(id).await.unwrap().mark.unwrap());
        self.edit(
            id,
            json!({"externalIds": [{"type": "custom", "customType": "bobsync", "value": mark}]}),
        )
        .await;
    }

    async fn protect(&self, id: &str) {
        self.control.google("PUT", "/directory", json!({"protected": [id]})).await.unwrap();
    }

    async fn only_reads(&self) {
        self.control
            .google("PUT", "/delegation", json!({"admins": {"admin@example.com": "read"}}))
            .await
            .unwrap();
    }

    async fn exhaust(&self) -> Option<u64> {
        self.control
            .google("PUT", "/limits", json!({"limit": 2400, "remaining": 0}))
            .await
            .unwrap();
        None
    }

    async fn fault(&self, calls: Calls, fault: Fault) {
        let (method, path) = match calls {
            Calls::Reads => ("GET", "/admin/directory/v1/users"),
            Calls::Creates => ("POST", "/admin/directory/v1/users"),
            Calls::Updates => ("PUT", "/admin/directory/v1/users"),
            Calls::Tokens => ("POST", "/token"),
        };
        self.control.fault(Service::Google, &fault.method(method).path(path)).await.unwrap();
    }

    async fn heal(&self) {
        self.control.clear_faults(Service::Google).await.unwrap();
    }

    /// The schemas are read once and remembered; `wire` counts that.
    async fn calls(&self) -> u64 {
        self.count(|route| !route.ends_with("/token") && !route.ends_with("/schemas")).await
    }

    async fn token_calls(&self) -> u64 {
        self.count(|route| route.ends_with("/token")).await
    }
}
