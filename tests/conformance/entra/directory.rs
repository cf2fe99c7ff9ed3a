//! The simulated Entra ID tenant as a [`Tenant`].

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
        Catalog, Credential, Provider,
        call::Hooks,
        entra::{self, App, CATALOG, Cloud, Entra, Mark, pacer},
    },
};
use serde_json::{Map, Value, json};
use simulators::{Control, Fault, Options, World, client::Service};

use crate::tenant::{Account, Calls, Outcomes, Tenant, Through, hooks, untold};

pub const EXTENSION: &str = "extension_0123456789abcdef0123456789abcdef_cell";

/// Targets in the order of `rows`.
pub const TARGETS: [&str; 8] = [
    "userPrincipalName",
    "mail",
    "jobTitle",
    "department",
    "manager",
    EXTENSION,
    "displayName",
    "surname",
];

pub struct Directory {
    pub world: World,
    pub control: Control,
    pub provider: Entra,
    pub mapping: Mapping,
    pub outcomes: Outcomes,
    /// `tenantId`, `clientId`, `clientSecret`, `clientCertificate`, `clientKey`.
    pub app: Value,
}

/// Returns a mapping of these targets.
pub fn mapping(targets: &[&str]) -> Mapping {
    let row = |target: &&str| Row {
        target: (*target).into(),
        source: Source::Field(0),
        on_create_only: false,
        compare: CATALOG.compare(target).expect("a target of Entra ID"),
        required: CATALOG.required.contains(target),
    };
    let name = targets.iter().position(|target| *target == "userPrincipalName").expect("required");
    Mapping {
        address: None,
        rows: targets.iter().map(row).collect(),
        fields: Fields::default(),
        email: name,
        username: name,
        manager: targets.iter().position(|target| *target == "manager"),
    }
}

/// Returns the `employeeId` of the contract: `bob` and the id in base 36, 13 digits.
pub fn employee_id(id: &str) -> String {
    let (mut rest, mut digits): (u64, Vec<char>) = (id.parse().unwrap(), Vec::new());
    for _ in 0..13 {
        digits.push(char::from_digit(u32::try_from(rest % 36).unwrap(), 36).unwrap());
        rest /= 36;
    }
    format!("bob{}", digits.iter().rev().collect::<String>())
}

fn bob_id(employee_id: &str) -> Option<String> {
    let digits = employee_id.strip_prefix("bob").filter(|digits| digits.len() == 13)?;
    Some(u64::from_str_radix(digits, 36).ok()?.to_string())
}

/// Returns a credential with these keys of the simulated app.
pub fn credential(app: &Value, keys: &[&str]) -> Credential {
    Credential::new(
        keys.iter()
            .map(|key| ((*key).to_owned(), Secret::new(app[*key].as_str().unwrap())))
            .collect(),
    )
}

pub fn settings(address: &str, app: &Value) -> entra::Tenant {
    entra::Tenant {
        base: address.to_owned(),
        tokens: address.to_owned(),
        id: app["tenantId"].as_str().unwrap().to_owned(),
        cloud: Cloud::GLOBAL,
        usage_location: Some("GB".to_owned()),
        mark: Mark::EmployeeId,
    }
}

fn connected(
    settings: entra::Tenant,
    credential: Credential,
    open: bool,
    outcomes: Outcomes,
) -> Entra {
    with_hooks(settings, credential, hooks(open, outcomes, untold()))
}

fn with_hooks(settings: entra::Tenant, credential: Credential, hooks: Hooks) -> Entra {
    Entra::new(settings, App::read(credential).unwrap(), hooks, Arc::new(pacer())).unwrap()
}

impl Directory {
    pub fn settings(&self) -> entra::Tenant {
        settings(self.world.entra_url(), &self.app)
    }

    /// Returns a connection with these settings and the app's secret.
    pub fn connected(&self, settings: entra::Tenant) -> Entra {
        connected(
            settings,
            credential(&self.app, &["clientId", "clientSecret"]),
            true,
            Arc::clone(&self.outcomes),
        )
    }

    pub fn connected_with(&self, credential: Credential) -> Entra {
        connected(self.settings(), credential, true, Arc::clone(&self.outcomes))
    }

    /// Returns the calls of Microsoft Graph, oldest first: method, path, query, body.
    pub async fn log(&self) -> Vec<(String, String, String, Value)> {
        let log = self.control.log(Service::Entra, 0).await.unwrap();
        log.into_iter()
            .filter(|entry| entry.path.starts_with("/v1.0/"))
            .map(|e| (e.method, e.path, e.query, e.body))
            .collect()
    }

    pub async fn stored(&self, id: &str) -> Value {
        self.control.entra("GET", &format!("/users/{id}"), Value::Null).await.unwrap()
    }

    pub async fn edit(&self, id: &str, members: Value) {
        self.control.entra("PATCH", &format!("/users/{id}"), members).await.unwrap();
    }

    pub async fn put(&self, path: &str, body: Value) {
        self.control.entra("PUT", path, body).await.unwrap();
    }

    /// Returns the users with ended sessions, oldest first.
    pub async fn ended(&self) -> Vec<String> {
        serde_json::from_value(self.control.entra("GET", "/sessions", Value::Null).await.unwrap())
            .unwrap()
    }
}

fn text(value: &Value) -> Option<Cow<'static, str>> {
    value.as_str().filter(|text| !text.is_empty()).map(|text| text.to_owned().into())
}

fn user(account: &Account) -> Value {
    let mut user = Map::new();
    for (name, value) in TARGETS.iter().zip(&account.attributes) {
        if let Some(value) = value {
            user.insert((*name).to_owned(), json!(value));
        }
    }
    if let Some(mark) = &account.mark {
        user.insert("employeeId".to_owned(), json!(employee_id(mark)));
    }
    user.insert("accountEnabled".to_owned(), json!(account.state != AccountState::Suspended));
    Value::Object(user)
}

impl Tenant for Directory {
    const CATALOG: &'static Catalog = &CATALOG;

    async fn start() -> Self {
        let world = World::start(Options::default()).await;
        let control = world.control();
        control.entra("PUT", "/directory", json!({"extensions": [EXTENSION]})).await.unwrap();
        let app = control.entra("GET", "/app", Value::Null).await.unwrap();
        let outcomes = Outcomes::default();
        let settings = settings(world.entra_url(), &app);
        let provider = connected(
            settings,
            credential(&app, &["clientId", "clientSecret"]),
            true,
            Arc::clone(&outcomes),
        );
        Self { world, control, provider, mapping: mapping(&TARGETS), outcomes, app }
    }

    fn provider(&self) -> &dyn Provider {
        &self.provider
    }

    fn connect(&self, through: Through) -> Box<dyn Provider> {
        let (settings, mut app) = (self.settings(), self.app.clone());
        let (settings, open) = match through {
            Through::AWrongSecret => {
                app["clientSecret"] = json!("wrong-secret");
                (settings, true)
            }
            // Port 1 of the loopback address: nothing listens there.
            Through::NobodyThere => {
                let nowhere = "http://127.0.0.1:1".to_owned();
                (entra::Tenant { base: nowhere.clone(), tokens: nowhere, ..settings }, true)
            }
            Through::AClosedGate => (settings, false),
        };
        Box::new(connected(
            settings,
            credential(&app, &["clientId", "clientSecret"]),
            open,
            Arc::clone(&self.outcomes),
        ))
    }

    fn telling(&self, waits: Waits) -> Box<dyn Provider> {
        let secret = credential(&self.app, &["clientId", "clientSecret"]);
        Box::new(with_hooks(
            self.settings(),
            secret,
            hooks(true, Arc::clone(&self.outcomes), waits),
        ))
    }

    fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    async fn make(&self, accounts: &[Account]) -> Vec<String> {
        let users: Vec<Value> = accounts.iter().map(user).collect();
        let ids = self.control.entra("POST", "/users", json!(users)).await.unwrap();
        ids.as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap().to_owned()).collect()
    }

    async fn look(&self, id: &str) -> Option<Account> {
        let user = self.control.entra("GET", &format!("/users/{id}"), Value::Null).await.ok()?;
        let attributes = TARGETS.map(|name| {
            if name == "manager" { text(&user["manager"]["id"]) } else { text(&user[name]) }
        });
        Some(Account {
            phase: bobsync::domain::account::AccountPhase::Usual,
            id: id.to_owned().into(),
            mark: user["employeeId"].as_str().and_then(bob_id).map(Into::into),
            email: text(&user["userPrincipalName"]),
            username: text(&user["userPrincipalName"]),
            state: if user["accountEnabled"] == true {
                AccountState::Active
            } else {
                AccountState::Suspended
            },
            attributes: attributes.into(),
            administrator: false,
            elsewhere: false,
            foreign: None,
        })
    }

    async fn rest(&self, id: &str) -> Value {
        let mut user = self.stored(id).await;
        let members = user.as_object_mut().unwrap();
        for name in TARGETS.iter().chain(&[
            "employeeId",
            "accountEnabled",
            "proxyAddresses",
            "signInSessionsValidFromDateTime",
        ]) {
            members.remove(*name);
        }
        user
    }

    async fn give_foreign(&self, id: &str) {
        self.edit(
            id,
            json!({
                "otherMails": ["noa@elsewhere.example"], "companyName": "Example \"Sons\"", "businessPhones": ["+44 20 7946 0000"],
                "onPremisesExtensionAttributes": {"extensionAttribute7": "seven"},
            }),
        )
        .await;
    }

    async fn size(&self) -> usize {
        self.control.entra("GET", "/users", Value::Null).await.unwrap().as_array().unwrap().len()
    }

    async fn delete(&self, id: &str) {
        self.control.entra("DELETE", &format!("/users/{id}"), Value::Null).await.unwrap();
    }

    async fn undefine(&self) {
        self.put("/directory", json!({"extensions": []})).await;
    }

    async fn revoke_tokens(&self) {
        self.control.entra("POST", "/tokens/revoke", json!({})).await.unwrap();
    }

    async fn passwords(&self) -> Vec<(String, bool)> {
        let sent = |body: Value| {
            let profile = body.get("passwordProfile")?;
            Some((
                profile["password"].as_str()?.to_owned(),
                profile["forceChangePasswordNextSignIn"].as_bool()?,
            ))
        };
        self.log().await.into_iter().filter_map(|(.., body)| sent(body)).collect()
    }

    async fn refuse(&self, row: usize, text: &str) {
        self.put("/refuse", json!({"rules": [{"field": TARGETS[row], "contains": text}]})).await;
    }

    async fn master(&self, id: &str) {
        self.edit(id, json!({"onPremisesSyncEnabled": true})).await;
    }

    async fn keep_texts(&self, folded: bool, cut: Option<usize>) {
        let quirks = json!({"foldBlanks": folded, "composeLetters": folded, "cutTexts": cut});
        self.put("/quirks", quirks).await;
    }

    const KEEPS_UNSEEN: bool = false;

    async fn protect(&self, id: &str) {
        self.put("/directory", json!({"restricted": [id]})).await;
    }

    async fn only_reads(&self) {
        self.put("/app", json!({"permissions": ["User.Read.All"]})).await;
        // A token contains the permissions of its issue.
        self.revoke_tokens().await;
    }

    async fn exhaust(&self) -> Option<u64> {
        self.put("/limits", json!({"limit": 3000, "remaining": 0})).await;
        Some(150)
    }

    async fn fault(&self, calls: Calls, fault: Fault) {
        let tokens = format!("/{}/oauth2/", self.app["tenantId"].as_str().unwrap());
        let (method, path) = match calls {
            Calls::Reads => ("GET", "/v1.0/users"),
            Calls::Creates => ("POST", "/v1.0/users"),
            Calls::Updates => ("PATCH", "/v1.0/users"),
            Calls::Tokens => ("POST", &*tokens),
        };
        // A fault does not strike single requests of a batch: two writes at once could avoid it.
        self.put("/quirks", json!({"noBatch": fault.body_contains.is_some()})).await;
        self.control.fault(Service::Entra, &fault.method(method).path(path)).await.unwrap();
    }

    async fn heal(&self) {
        self.control.clear_faults(Service::Entra).await.unwrap();
    }

    /// The definition of an extension is read once and remembered; `wire` counts that.
    async fn calls(&self) -> u64 {
        let log = self.log().await;
        log.iter().filter(|(_, _, query, _)| !query.ends_with("&$select=id&$top=1")).count() as u64
    }

    async fn token_calls(&self) -> u64 {
        let calls = self.control.calls(Service::Entra).await.unwrap();
        calls
            .by_route
            .iter()
            .filter(|(name, _)| name.ends_with("/token"))
            .map(|(_, count)| count)
            .sum()
    }
}
