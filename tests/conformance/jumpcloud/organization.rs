//! The simulated JumpCloud organization as a [`Tenant`].

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
        jumpcloud::{self, CATALOG, JumpCloud, pacer},
    },
};
use serde_json::{Map, Value, json};
use simulators::{Control, Fault, Options, World, client::Service};

use crate::tenant::{Account, Calls, Outcomes, Tenant, Through, hooks, untold};

/// Targets in the order of `rows`.
pub const TARGETS: [&str; 8] = [
    "email",
    "username",
    "jobTitle",
    "department",
    "manager",
    "attributes.badge",
    "firstname",
    "lastname",
];

pub const KEY: &str = "jumpcloud-key-1";

pub struct Organization {
    pub world: World,
    pub control: Control,
    pub provider: JumpCloud,
    pub mapping: Mapping,
    pub outcomes: Outcomes,
}

/// Returns a mapping of these targets.
pub fn mapping(targets: &[&str]) -> Mapping {
    let row = |target: &&str| Row {
        target: (*target).into(),
        source: Source::Field(0),
        on_create_only: false,
        compare: CATALOG.compare(target).expect("a target of JumpCloud"),
        required: CATALOG.required.contains(target),
    };
    let position = |wanted| targets.iter().position(|target| *target == wanted);
    Mapping {
        address: None,
        rows: targets.iter().map(row).collect(),
        fields: Fields::default(),
        email: position("email").expect("required"),
        username: position("username").expect("required"),
        manager: position("manager"),
    }
}

/// Returns a mapping with a username that is chosen when the account is made.
pub fn choosing(targets: &[&str]) -> Mapping {
    let mut mapping = mapping(targets);
    mapping.rows[mapping.username].on_create_only = true;
    mapping
}

impl Organization {
    pub fn settings(&self) -> jumpcloud::Tenant {
        settings(&self.world)
    }

    /// Returns a connection with these settings and this key.
    pub fn connected(&self, settings: jumpcloud::Tenant, key: &str, open: bool) -> JumpCloud {
        connected(settings, key, open, Arc::clone(&self.outcomes))
    }

    /// Returns the calls, oldest first: method, path, query, body.
    pub async fn log(&self) -> Vec<(String, String, String, Value)> {
        let log = self.control.log(Service::JumpCloud, 0).await.unwrap();
        log.into_iter().map(|entry| (entry.method, entry.path, entry.query, entry.body)).collect()
    }

    pub async fn last_body(&self) -> Value {
        self.log().await.pop().expect("a call").3
    }

    pub async fn stored(&self, id: &str) -> Value {
        self.control.jumpcloud("GET", &format!("/users/{id}"), Value::Null).await.unwrap()
    }

    pub async fn edit(&self, id: &str, members: Value) {
        self.control.jumpcloud("PATCH", &format!("/users/{id}"), members).await.unwrap();
    }

    pub async fn quirks(&self, quirks: Value) {
        self.control.jumpcloud("PUT", "/quirks", quirks).await.unwrap();
    }
}

fn settings(world: &World) -> jumpcloud::Tenant {
    jumpcloud::Tenant {
        base: world.jumpcloud_url().to_owned(),
        organization: String::new(),
        stages: false,
        mastered: true,
    }
}

fn connected(settings: jumpcloud::Tenant, key: &str, open: bool, outcomes: Outcomes) -> JumpCloud {
    JumpCloud::new(settings, &Secret::new(key), hooks(open, outcomes, untold()), Arc::new(pacer()))
        .unwrap()
}

fn text(value: &Value) -> Option<Cow<'static, str>> {
    value.as_str().filter(|text| !text.is_empty()).map(|text| text.to_owned().into())
}

/// Returns the value of a custom attribute.
pub fn attribute<'a>(user: &'a Value, name: &str) -> &'a Value {
    let entries = user["attributes"].as_array().map(Vec::as_slice).unwrap_or_default();
    entries.iter().find(|entry| entry["name"] == name).map_or(&Value::Null, |entry| &entry["value"])
}

fn user(account: &Account) -> Value {
    let mut user = Map::new();
    let mut attributes = Vec::new();
    for (target, value) in TARGETS.iter().zip(&account.attributes) {
        let Some(value) = value.as_deref() else { continue };
        match target.strip_prefix("attributes.") {
            Some(name) => attributes.push(json!({"name": name, "value": value})),
            None => drop(user.insert((*target).to_owned(), json!(value))),
        }
    }
    if let Some(mark) = &account.mark {
        attributes.push(json!({"name": "bobsyncEmployeeId", "value": mark}));
    }
    user.insert("attributes".into(), json!(attributes));
    let state = match account.state {
        AccountState::Suspended => "SUSPENDED",
        AccountState::Staged => "STAGED",
        _ => "ACTIVATED",
    };
    user.insert("state".into(), json!(state));
    Value::Object(user)
}

/// Returns the arrays of a user without the ids of their entries, which every write makes anew.
fn arrays(user: &mut Value) {
    for name in ["phoneNumbers", "addresses", "attributes"] {
        for entry in
            user[name].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut)
        {
            entry.retain(|member, _| member != "id" && member != "_id");
        }
    }
}

impl Tenant for Organization {
    const CATALOG: &'static Catalog = &CATALOG;

    async fn start() -> Self {
        let world = World::start(Options::default()).await;
        let outcomes = Outcomes::default();
        let provider = connected(settings(&world), KEY, true, Arc::clone(&outcomes));
        Self { control: world.control(), world, provider, mapping: mapping(&TARGETS), outcomes }
    }

    fn provider(&self) -> &dyn Provider {
        &self.provider
    }

    fn connect(&self, through: Through) -> Box<dyn Provider> {
        Box::new(match through {
            Through::AWrongSecret => self.connected(self.settings(), "wrong-key-1", true),
            // Port 1 of the loopback address: nothing listens there.
            Through::NobodyThere => self.connected(
                jumpcloud::Tenant { base: "http://127.0.0.1:1".to_owned(), ..self.settings() },
                KEY,
                true,
            ),
            Through::AClosedGate => self.connected(self.settings(), KEY, false),
        })
    }

    fn telling(&self, waits: Waits) -> Box<dyn Provider> {
        let hooks = hooks(true, Arc::clone(&self.outcomes), waits);
        Box::new(
            JumpCloud::new(self.settings(), &Secret::new(KEY), hooks, Arc::new(pacer())).unwrap(),
        )
    }

    fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    async fn make(&self, accounts: &[Account]) -> Vec<String> {
        let users: Vec<Value> = accounts.iter().map(user).collect();
        let ids = self.control.jumpcloud("POST", "/users", json!(users)).await.unwrap();
        ids.as_array()
            .unwrap()
            .iter()
            .map(|user| user["_id"].as_str().unwrap().to_owned())
            .collect()
    }

    async fn look(&self, id: &str) -> Option<Account> {
        let user =
            self.control.jumpcloud("GET", &format!("/users/{id}"), Value::Null).await.ok()?;
        let value = |target: &&str| match target.strip_prefix("attributes.") {
            Some(name) => text(attribute(&user, name)),
            None => text(&user[*target]),
        };
        Some(Account {
            phase: bobsync::domain::account::AccountPhase::Usual,
            id: id.to_owned().into(),
            mark: text(attribute(&user, "bobsyncEmployeeId")),
            email: text(&user["email"]),
            username: text(&user["username"]),
            state: match user["state"].as_str() {
                Some("ACTIVATED") => AccountState::Active,
                Some("SUSPENDED") => AccountState::Suspended,
                Some("STAGED") => AccountState::Staged,
                other => panic!("{other:?}"),
            },
            attributes: TARGETS.iter().map(value).collect(),
            administrator: user["admin"].is_object(),
            elsewhere: false,
            foreign: None,
        })
    }

    async fn rest(&self, id: &str) -> Value {
        let mut user = self.stored(id).await;
        arrays(&mut user);
        let members = user.as_object_mut().unwrap();
        members.retain(|name, _| {
            !TARGETS.contains(&name.as_str()) && name != "state" && name != "suspended"
        });
        let attributes = members["attributes"].as_array_mut().unwrap();
        attributes.retain(|entry| entry["name"] != "badge" && entry["name"] != "bobsyncEmployeeId");
        user
    }

    async fn give_foreign(&self, id: &str) {
        let mut user = self.stored(id).await;
        arrays(&mut user);
        let mut attributes = user["attributes"].as_array().cloned().unwrap_or_default();
        attributes.insert(0, json!({"name": "shoe", "value": "46 \"wide\""}));
        self.edit(
            id,
            json!({
                "attributes": attributes,
                "phoneNumbers": [{"type": "home", "number": "+44 20 7946 0000"}],
                "addresses": [{"type": "work", "locality": "Paris"}],
            }),
        )
        .await;
    }

    async fn size(&self) -> usize {
        self.control
            .jumpcloud("GET", "/users", Value::Null)
            .await
            .unwrap()
            .as_array()
            .unwrap()
            .len()
    }

    async fn delete(&self, id: &str) {
        self.control.jumpcloud("DELETE", &format!("/users/{id}"), Value::Null).await.unwrap();
    }

    async fn foreign(&self, id: &str) -> Option<Box<str>> {
        let user =
            self.control.jumpcloud("GET", &format!("/users/{id}"), Value::Null).await.ok()?;
        Some(json!({"attributes": user["attributes"]}).to_string().into())
    }

    async fn undefine(&self) {
        unreachable!("custom attributes need no definition")
    }

    /// There are no tokens: the key is in every call.
    async fn revoke_tokens(&self) {}

    async fn passwords(&self) -> Vec<(String, bool)> {
        let users = self.control.jumpcloud("GET", "/users", Value::Null).await.unwrap();
        let expired = |email: &Value| {
            let user = users
                .as_array()
                .unwrap()
                .iter()
                .find(|user| user["email"] == *email)
                .expect("the new account");
            user["password_expired"] == true
        };
        let log = self
            .log()
            .await
            .into_iter()
            .filter(|(method, path, ..)| method == "POST" && path == "/api/systemusers");
        log.filter_map(|(.., body)| {
            Some((body.get("password")?.as_str()?.to_owned(), expired(&body["email"])))
        })
        .collect()
    }

    async fn refuse(&self, row: usize, text: &str) {
        let rule = json!({"field": TARGETS[row], "contains": text});
        self.control.jumpcloud("PUT", "/refuse", json!({"rules": [rule]})).await.unwrap();
    }

    async fn promote(&self, id: &str) {
        let admin = json!({"id": "5f0c1b2c3d4e5f6071829306", "roleName": "Administrator", "roleNames": ["Administrator"]});
        self.edit(id, json!({"admin": admin})).await;
    }

    async fn master(&self, id: &str) {
        self.edit(id, json!({"externally_managed": true})).await;
    }

    async fn keep_texts(&self, folded: bool, cut: Option<usize>) {
        let quirks = json!({"foldBlanks": folded, "composeLetters": folded, "cutTexts": cut});
        self.quirks(quirks).await;
    }

    async fn disguise_mark(&self, id: &str) {
        let mark = format!("{}\u{200b}", self.look(id).await.unwrap().mark.unwrap());
        self.edit(id, json!({"attributes": [{"name": "bobsyncEmployeeId", "value": mark}, {"name": "badge", "value": "A-7"}]})).await;
    }

    async fn protect(&self, id: &str) {
        self.control.jumpcloud("PUT", "/organization", json!({"protected": [id]})).await.unwrap();
    }

    async fn only_reads(&self) {
        self.control.jumpcloud("PUT", "/credentials", json!({"rights": "read"})).await.unwrap();
    }

    async fn exhaust(&self) -> Option<u64> {
        self.control
            .jumpcloud("PUT", "/limits", json!({"limit": 6000, "remaining": 0}))
            .await
            .unwrap();
        None
    }

    async fn fault(&self, calls: Calls, fault: Fault) {
        let method = match calls {
            Calls::Reads => "GET",
            Calls::Creates => "POST",
            Calls::Updates => "PUT",
            Calls::Tokens => unreachable!("JumpCloud has no tokens"),
        };
        self.control
            .fault(Service::JumpCloud, &fault.method(method).path("/api/systemusers"))
            .await
            .unwrap();
    }

    async fn heal(&self) {
        self.control.clear_faults(Service::JumpCloud).await.unwrap();
    }

    async fn calls(&self) -> u64 {
        self.control.calls(Service::JumpCloud).await.unwrap().total
    }

    async fn token_calls(&self) -> u64 {
        0
    }
}
