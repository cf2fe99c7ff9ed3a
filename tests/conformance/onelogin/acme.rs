//! The simulated OneLogin as a [`Tenant`].

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
        call::{Gate, Hooks, Observer},
        limits::Pacer,
        onelogin::{self, CATALOG, OneLogin, pacer},
    },
};
use serde_json::{Map, Value, json};
use simulators::{Control, Fault, Options, World, client::Service};

use crate::tenant::{Account, Calls, Outcomes, Tenant, Through, untold};

/// Targets in the order of `rows`.
const TARGETS: [&str; 8] = [
    "email",
    "username",
    "title",
    "department",
    "manager_user_id",
    "custom_attributes.work_cell",
    "firstname",
    "lastname",
];

pub struct Acme {
    world: World,
    pub control: Control,
    pub provider: OneLogin,
    pub mapping: Mapping,
    pub outcomes: Outcomes,
}

/// Returns a mapping of these targets. A provider does not use the source of the values.
pub fn mapping(targets: &[&str]) -> Mapping {
    let position = |target: &str| targets.iter().position(|known| *known == target);
    let row = |target: &&str| Row {
        target: (*target).into(),
        source: Source::Field(0),
        on_create_only: false,
        compare: CATALOG.compare(target).expect("a target of OneLogin"),
        required: CATALOG.required.contains(target),
    };
    Mapping {
        address: None,
        rows: targets.iter().map(row).collect(),
        fields: Fields::default(),
        email: position("email").expect("required"),
        username: position("username").expect("required"),
        manager: position("manager_user_id"),
    }
}

impl Acme {
    /// Returns the usual connection, with these changes.
    pub fn config(&self) -> Config {
        let outcomes = Arc::clone(&self.outcomes);
        config(self.world.onelogin_url(), outcomes)
    }

    /// Returns the calls under `/api`, oldest first: method, path, query, body.
    pub async fn log(&self) -> Vec<(String, String, String, Value)> {
        let log = self.control.log(Service::OneLogin, 0).await.unwrap();
        log.into_iter()
            .filter(|entry| entry.path.starts_with("/api/"))
            .map(|e| (e.method, e.path, e.query, e.body))
            .collect()
    }

    /// Returns the body of the last call.
    pub async fn last_body(&self) -> Value {
        let writes = |call: &(String, String, String, Value)| {
            call.0 != "GET" && call.1.starts_with("/api/2/")
        };
        self.log().await.into_iter().rev().find(writes).expect("a write").3
    }

    pub async fn stored(&self, id: &str) -> Value {
        self.control.user(id.parse().unwrap()).await.unwrap()
    }
}

/// How a connection is made.
#[derive(Clone)]
pub struct Config {
    pub base: String,
    pub client_id: String,
    pub client_secret: Secret,
    pub observer: Observer,
    pub gate: Gate,
    pub waits: Waits,
    pub mastered: bool,
}

fn config(base: &str, outcomes: Outcomes) -> Config {
    Config {
        base: base.to_owned(),
        client_id: "client-1".to_owned(),
        client_secret: Secret::new("secret-1"),
        observer: Arc::new(move |call, outcome| outcomes.lock().push((call, outcome))),
        gate: Arc::new(|| true),
        waits: untold(),
        mastered: true,
    }
}

pub fn connected(config: Config) -> OneLogin {
    paced(config, pacer())
}

pub fn paced(config: Config, pacer: Pacer) -> OneLogin {
    let Config { base, client_id, client_secret, observer, gate, waits, mastered } = config;
    let (tenant, hooks) = (onelogin::Tenant { base, mastered }, Hooks { observer, gate, waits });
    OneLogin::new(tenant, client_id, client_secret, hooks, Arc::new(pacer)).unwrap()
}

fn text(value: &Value) -> Option<Cow<'static, str>> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone().into()),
        other => Some(other.to_string().into()),
    }
}

fn at<'a>(user: &'a Value, target: &str) -> &'a Value {
    match target.split_once('.') {
        Some((outer, inner)) => &user[outer][inner],
        None => &user[target],
    }
}

fn user(account: &Account) -> Value {
    let mut user = Map::new();
    let mut custom = Map::new();
    for (target, value) in TARGETS.into_iter().zip(&account.attributes) {
        let Some(value) = value else { continue };
        let value = if target == "manager_user_id" {
            json!(value.parse::<i64>().unwrap())
        } else {
            json!(value)
        };
        match target.strip_prefix("custom_attributes.") {
            Some(shortname) => custom.insert(shortname.to_owned(), value),
            None => user.insert(target.to_owned(), value),
        };
    }
    let status = match account.state {
        AccountState::Active | AccountState::Unlicensed => 1,
        AccountState::Suspended => 2,
        AccountState::Unactivated => 0,
        AccountState::Staged | AccountState::Other => 5,
    };
    user.extend([
        ("status".to_owned(), json!(status)),
        ("external_id".to_owned(), json!(account.mark)),
    ]);
    if !custom.is_empty() {
        user.insert("custom_attributes".to_owned(), Value::Object(custom));
    }
    Value::Object(user)
}

impl Tenant for Acme {
    const CATALOG: &'static Catalog = &CATALOG;

    async fn start() -> Self {
        let world = World::start(Options::default()).await;
        let control = world.control();
        control.custom_attributes(&["work_cell", "badge", "shoe_size"]).await.unwrap();
        let outcomes = Outcomes::default();
        let provider = connected(config(world.onelogin_url(), Arc::clone(&outcomes)));
        Self { world, control, provider, mapping: mapping(&TARGETS), outcomes }
    }

    fn provider(&self) -> &dyn Provider {
        &self.provider
    }

    fn connect(&self, through: Through) -> Box<dyn Provider> {
        let config = self.config();
        Box::new(connected(match through {
            Through::AWrongSecret => Config { client_secret: Secret::new("wrong-1"), ..config },
            // Port 1 of the loopback address: nothing listens there.
            Through::NobodyThere => Config { base: "http://127.0.0.1:1".to_owned(), ..config },
            Through::AClosedGate => Config { gate: Arc::new(|| false), ..config },
        }))
    }

    fn telling(&self, waits: Waits) -> Box<dyn Provider> {
        Box::new(connected(Config { waits, ..self.config() }))
    }

    fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    async fn make(&self, accounts: &[Account]) -> Vec<String> {
        let users: Vec<Value> = accounts.iter().map(user).collect();
        self.control.create_users(&users).await.unwrap().iter().map(i64::to_string).collect()
    }

    async fn look(&self, id: &str) -> Option<Account> {
        let user = self.control.user(id.parse().unwrap()).await.ok()?;
        Some(Account {
            phase: bobsync::domain::account::AccountPhase::Usual,
            id: id.to_owned().into(),
            mark: text(&user["external_id"]),
            email: text(&user["email"]),
            username: text(&user["username"]),
            state: match user["status"].as_i64() {
                Some(0) => AccountState::Unactivated,
                Some(1) => AccountState::Active,
                Some(2) => AccountState::Suspended,
                _ => AccountState::Other,
            },
            attributes: TARGETS.iter().map(|target| text(at(&user, target))).collect(),
            administrator: false,
            elsewhere: false,
            foreign: None,
        })
    }

    async fn rest(&self, id: &str) -> Value {
        let mut user = self.stored(id).await;
        let map = user.as_object_mut().unwrap();
        for name in ["external_id", "status", "updated_at", "activated_at"] {
            map.remove(name);
        }
        for target in TARGETS {
            match target.split_once('.') {
                Some((outer, inner)) => drop(map[outer].as_object_mut().unwrap().remove(inner)),
                None => drop(map.remove(target)),
            }
        }
        user
    }

    async fn give_foreign(&self, id: &str) {
        let custom = json!({"badge": "4711 \"gold\"", "shoe_size": "46"});
        self.control
            .change_user(
                id.parse().unwrap(),
                json!({"comment": "by hand", "company": "Acme", "custom_attributes": custom}),
            )
            .await
            .unwrap();
    }

    async fn size(&self) -> usize {
        self.control.users().await.unwrap().len()
    }

    async fn delete(&self, id: &str) {
        self.control.delete_user(id.parse().unwrap()).await.unwrap();
    }

    async fn undefine(&self) {
        self.control.custom_attributes(&["badge"]).await.unwrap();
    }

    async fn revoke_tokens(&self) {
        self.control.revoke_tokens().await.unwrap();
    }

    async fn passwords(&self) -> Vec<(String, bool)> {
        let log = self.log().await;
        log.into_iter()
            .filter_map(|(.., body)| Some((body.get("password")?.as_str()?.to_owned(), false)))
            .collect()
    }

    async fn refuse(&self, row: usize, text: &str) {
        self.control.refuse(&[(TARGETS[row], text)]).await.unwrap();
    }

    async fn master(&self, id: &str) {
        self.control.change_user(id.parse().unwrap(), json!({"directory_id": 7})).await.unwrap();
    }

    async fn keep_texts(&self, folded: bool, cut: Option<usize>) {
        let quirks = json!({"foldBlanks": folded, "composeLetters": folded, "cutTexts": cut});
        self.control.onelogin_quirks(quirks).await.unwrap();
    }

    async fn disguise_mark(&self, id: &str) {
        let mark = format!("{}\u{200b}", self.look(id).await.unwrap().mark.unwrap());
        self.control.change_user(id.parse().unwrap(), json!({"external_id": mark})).await.unwrap();
    }

    async fn protect(&self, id: &str) {
        self.control.owner(id.parse().ok()).await.unwrap();
    }

    async fn only_reads(&self) {
        self.control.onelogin_credentials("client-1", "secret-1", "Read Users").await.unwrap();
    }

    async fn exhaust(&self) -> Option<u64> {
        self.control.onelogin_limits(5000, Some(0)).await.unwrap();
        Some(3600)
    }

    async fn fault(&self, calls: Calls, fault: Fault) {
        let (method, path) = match calls {
            Calls::Reads => ("GET", "/api/2/users"),
            Calls::Creates => ("POST", "/api/2/users"),
            Calls::Updates => ("PUT", "/api/2/users"),
            Calls::Tokens => ("POST", "/auth/"),
        };
        self.control.fault(Service::OneLogin, &fault.method(method).path(path)).await.unwrap();
    }

    async fn heal(&self) {
        self.control.clear_faults(Service::OneLogin).await.unwrap();
    }

    async fn calls(&self) -> u64 {
        let calls = self.control.calls(Service::OneLogin).await.unwrap();
        // The definitions are read when a refusal makes them doubtful; `wire` counts that.
        let definitions =
            calls.by_route.get("GET /api/2/users/custom_attributes").copied().unwrap_or_default();
        calls.total - definitions - self.token_calls().await
    }

    async fn token_calls(&self) -> u64 {
        let calls = self.control.calls(Service::OneLogin).await.unwrap();
        calls
            .by_route
            .iter()
            .filter(|(route, _)| route.contains("/auth/"))
            .map(|(_, count)| count)
            .sum()
    }
}
