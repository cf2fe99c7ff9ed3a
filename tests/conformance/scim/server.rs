//! The simulated SCIM server as a [`Tenant`].

use std::borrow::Cow;
use std::sync::Arc;

use bobsync::{
    domain::{
        account::{AccountPhase, AccountState},
        employee::Fields,
        mapping::{Mapping, Row, Source},
        priority::Urgency,
    },
    http::{secret::Secret, waits::Waits},
    provider::{
        Catalog, Provider,
        scim::{self, CATALOG, MarkPlace, ScimServer, UpdateMethod, Way, pacer},
    },
};
use serde_json::{Value, json};
use simulators::{Control, Fault, Options, World, client::Service};

use crate::tenant::{Account, Calls, Outcomes, Tenant, Through, hooks, rows, untold, write};

pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
pub const COMPANY: &str = "urn:example:params:scim:schemas:extension:company:2.0:User";

/// Targets in the order of `rows`.
pub const TARGETS: [&str; 8] = [
    "userName",
    "emails.work",
    "title",
    "enterprise.department",
    "enterprise.manager",
    "urn:example:params:scim:schemas:extension:company:2.0:User:badge",
    "name.givenName",
    "name.familyName",
];

pub const TOKEN: &str = "scim-token-1";

pub struct Server {
    pub world: World,
    pub control: Control,
    pub provider: ScimServer,
    pub mapping: Mapping,
    pub outcomes: Outcomes,
}

/// Returns a mapping of these targets.
pub fn mapping(targets: &[&str]) -> Mapping {
    let row = |target: &&str| Row {
        target: (*target).into(),
        source: Source::Field(0),
        on_create_only: false,
        compare: CATALOG.compare(target).expect("a target of SCIM"),
        required: CATALOG.required.contains(target),
    };
    let position = |wanted| targets.iter().position(|target| *target == wanted);
    let login = position("userName").expect("required");
    Mapping {
        rows: targets.iter().map(row).collect(),
        fields: Fields::default(),
        email: login,
        username: login,
        address: position("emails.work"),
        manager: position("enterprise.manager"),
    }
}

impl Server {
    pub fn settings(&self) -> scim::Tenant {
        settings(&self.world)
    }

    /// Returns a connection with these settings and this credential.
    pub fn connected(&self, settings: scim::Tenant, way: Way, open: bool) -> ScimServer {
        let hooks = hooks(open, Arc::clone(&self.outcomes), untold());
        ScimServer::new(settings, way, hooks, Arc::new(pacer())).unwrap()
    }

    /// Returns a connection that changes accounts by these calls.
    pub fn updating(&self, updates: UpdateMethod) -> ScimServer {
        let settings = scim::Tenant { updates, ..self.settings() };
        self.connected(settings, bearer(TOKEN), true)
    }

    /// Returns the calls, oldest first: method, path, query, body.
    pub async fn log(&self) -> Vec<(String, String, String, Value)> {
        let log = self.control.log(Service::Scim, 0).await.unwrap();
        log.into_iter().map(|entry| (entry.method, entry.path, entry.query, entry.body)).collect()
    }

    /// Returns the methods of the calls about users, oldest first.
    pub async fn methods(&self) -> Vec<String> {
        let log = self.log().await.into_iter();
        let users = log.filter(|(_, path, ..)| path.starts_with("/scim/v2/Users"));
        users.map(|(method, ..)| method).collect()
    }

    pub async fn last_body(&self) -> Value {
        self.log().await.pop().expect("a call").3
    }

    pub async fn stored(&self, id: &str) -> Value {
        self.control.scim("GET", &format!("/users/{id}"), Value::Null).await.unwrap()
    }

    pub async fn edit(&self, id: &str, members: Value) {
        self.control.scim("PATCH", &format!("/users/{id}"), members).await.unwrap();
    }

    pub async fn quirks(&self, quirks: Value) {
        self.control.scim("PUT", "/quirks", quirks).await.unwrap();
    }
}

pub fn bearer(token: &str) -> Way {
    Way::Bearer(Secret::new(token))
}

fn settings(world: &World) -> scim::Tenant {
    scim::Tenant {
        base: format!("{}/scim/v2", world.scim_url()),
        tokens: String::new(),
        scope: String::new(),
        updates: UpdateMethod::Auto,
        mark: MarkPlace::ExternalId,
    }
}

fn text(value: &Value) -> Option<Cow<'static, str>> {
    value.as_str().filter(|text| !text.is_empty()).map(|text| text.to_owned().into())
}

/// Returns where the value of a target is in a user.
fn at<'v>(user: &'v Value, target: &str) -> &'v Value {
    match target {
        "emails.work" => {
            let all = user["emails"].as_array().map(Vec::as_slice).unwrap_or_default();
            all.iter().find(|entry| entry["type"] == "work").map_or(&Value::Null, |e| &e["value"])
        }
        "enterprise.manager" => &user[ENTERPRISE]["manager"]["value"],
        "enterprise.department" => &user[ENTERPRISE]["department"],
        "name.givenName" => &user["name"]["givenName"],
        "name.familyName" => &user["name"]["familyName"],
        "userName" | "title" => &user[target],
        _ => &user[COMPANY]["badge"],
    }
}

fn user(account: &Account) -> Value {
    let value = |row: usize| json!(account.attributes[row].as_deref());
    let mut user = json!({
        "userName": value(0), "title": value(2), "externalId": account.mark.as_deref(),
        "name": {"givenName": value(6), "familyName": value(7)},
        "active": account.state == AccountState::Active,
        ENTERPRISE: {"department": value(3)},
    });
    if account.attributes[rows::EXTENSION].is_some() {
        user[COMPANY] = json!({"badge": value(rows::EXTENSION)});
    }
    if account.attributes[rows::MANAGER].is_some() {
        user[ENTERPRISE]["manager"] = json!({"value": value(rows::MANAGER)});
    }
    if account.attributes[1].is_some() {
        user["emails"] = json!([{"type": "work", "value": value(1), "primary": true}]);
    }
    user
}

impl Tenant for Server {
    const CATALOG: &'static Catalog = &CATALOG;
    const TELLS_MASTERS: bool = false;

    async fn start() -> Self {
        let world = World::start(Options::default()).await;
        let (outcomes, control) = (Outcomes::default(), world.control());
        // By index, as most servers list. `reads` has the cases of cursors.
        control.scim("PUT", "/quirks", json!({"paging": {"cursors": false}})).await.unwrap();
        let hooks = hooks(true, Arc::clone(&outcomes), untold());
        let provider =
            ScimServer::new(settings(&world), bearer(TOKEN), hooks, Arc::new(pacer())).unwrap();
        Self { control, world, provider, mapping: mapping(&TARGETS), outcomes }
    }

    fn provider(&self) -> &dyn Provider {
        &self.provider
    }

    fn connect(&self, through: Through) -> Box<dyn Provider> {
        let settings = self.settings();
        // Port 1 of the loopback address: nothing listens there.
        let nowhere = scim::Tenant { base: "http://127.0.0.1:1".to_owned(), ..settings.clone() };
        Box::new(match through {
            Through::AWrongSecret => self.connected(settings, bearer("wrong-token-1"), true),
            Through::NobodyThere => self.connected(nowhere, bearer(TOKEN), true),
            Through::AClosedGate => self.connected(settings, bearer(TOKEN), false),
        })
    }

    fn telling(&self, waits: Waits) -> Box<dyn Provider> {
        let hooks = hooks(true, Arc::clone(&self.outcomes), waits);
        Box::new(ScimServer::new(self.settings(), bearer(TOKEN), hooks, Arc::new(pacer())).unwrap())
    }

    fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    async fn make(&self, accounts: &[Account]) -> Vec<String> {
        let users: Vec<Value> = accounts.iter().map(user).collect();
        let made = self.control.scim("POST", "/users", json!(users)).await.unwrap();
        made.as_array()
            .unwrap()
            .iter()
            .map(|user| user["id"].as_str().unwrap().to_owned())
            .collect()
    }

    async fn look(&self, id: &str) -> Option<Account> {
        let user = self.control.scim("GET", &format!("/users/{id}"), Value::Null).await.ok()?;
        Some(Account {
            id: id.to_owned().into(),
            mark: text(&user["externalId"]),
            email: text(&user["userName"]),
            username: text(&user["userName"]),
            state: match user["active"].as_bool() {
                Some(true) | None => AccountState::Active,
                Some(false) => AccountState::Suspended,
            },
            phase: AccountPhase::Usual,
            attributes: TARGETS.iter().map(|target| text(at(&user, target))).collect(),
            administrator: false,
            elsewhere: false,
            foreign: None,
        })
    }

    async fn rest(&self, id: &str) -> Value {
        let mut user = self.stored(id).await;
        let members = user.as_object_mut().unwrap();
        members.retain(|name, _| {
            !["userName", "title", "active", "externalId", "meta"].contains(&name.as_str())
        });
        for (holder, parts) in [
            (ENTERPRISE, &["department", "manager"][..]),
            (COMPANY, &["badge"]),
            ("name", &["givenName", "familyName"]),
        ] {
            let Some(held) = members.get_mut(holder).and_then(Value::as_object_mut) else {
                continue;
            };
            held.retain(|name, _| !parts.contains(&name.as_str()));
            if held.is_empty() {
                members.remove(holder);
            }
        }
        if let Some(emails) = members.get_mut("emails").and_then(Value::as_array_mut) {
            emails.retain(|entry| entry["type"] != "work");
        }
        user
    }

    async fn give_foreign(&self, id: &str) {
        let work = at(&self.stored(id).await, "emails.work").clone();
        let members = json!({
            "emails": [{"type": "home", "value": "home@example.org"},
                {"type": "work", "value": work, "primary": true}],
            "phoneNumbers": [{"type": "home", "value": "+44 20 7946 0000"}],
            "addresses": [{"type": "work", "locality": "Paris"}],
            "nickName": "Shoe 46 \"wide\"",
            COMPANY: {"site": "Paris", "floor": 3},
            ENTERPRISE: {"division": "West"},
        });
        self.edit(id, members).await;
    }

    async fn size(&self) -> usize {
        let users = self.control.scim("GET", "/users", Value::Null).await.unwrap();
        users.as_array().unwrap().len()
    }

    async fn delete(&self, id: &str) {
        self.control.scim("DELETE", &format!("/users/{id}"), Value::Null).await.unwrap();
    }

    async fn foreign(&self, id: &str) -> Option<Box<str>> {
        let user = self.control.scim("GET", &format!("/users/{id}"), Value::Null).await.ok()?;
        Some(user.to_string().into())
    }

    /// The extension stays, without the attribute.
    async fn undefine(&self) {
        let schemas = json!({COMPANY: {"site": "string", "floor": "integer"}});
        self.control.scim("PUT", "/schemas", schemas).await.unwrap();
    }

    /// The bearer token ends only when an administrator ends it. `credential` has the cases of
    /// tokens that are asked for.
    async fn revoke_tokens(&self) {}

    async fn passwords(&self) -> Vec<(String, bool)> {
        let log = self.log().await.into_iter();
        let creates = log.filter(|(method, path, ..)| method == "POST" && path == "/scim/v2/Users");
        creates
            .filter_map(|(.., body)| Some((body.get("password")?.as_str()?.to_owned(), false)))
            .collect()
    }

    async fn refuse(&self, row: usize, text: &str) {
        let field = match TARGETS[row] {
            "emails.work" => "emails",
            target => target.rsplit(['.', ':']).next().unwrap(),
        };
        let rule = json!({"field": field, "contains": text});
        self.control.scim("PUT", "/refuse", json!({"rules": [rule]})).await.unwrap();
    }

    async fn keep_texts(&self, folded: bool, cut: Option<usize>) {
        let values = json!({"foldBlanks": folded, "composeLetters": folded, "cutTexts": cut});
        self.quirks(json!({"values": values})).await;
    }

    async fn disguise_mark(&self, id: &str) {
        let mark = format!("{}\u{200b}", self.look(id).await.unwrap().mark.unwrap());
        self.edit(id, json!({"externalId": mark})).await;
    }

    async fn protect(&self, id: &str) {
        self.control.scim("PUT", "/directory", json!({"protected": [id]})).await.unwrap();
    }

    async fn only_reads(&self) {
        self.control.scim("PUT", "/credentials", json!({"rights": "read"})).await.unwrap();
    }

    /// What the server says about itself is asked for before, because it is not what is throttled.
    async fn exhaust(&self) -> Option<u64> {
        let change = write(&[(rows::TITLE, Some("Lead"))]);
        let nobody = self.provider().update(&self.mapping, "0", &change, Urgency::Urgent).await;
        nobody.unwrap_err();
        self.quirks(json!({"errors": {"retryAfter": 40}})).await;
        let limits = json!({"limit": 6000, "remaining": 0});
        self.control.scim("PUT", "/limits", limits).await.unwrap();
        Some(40)
    }

    async fn fault(&self, calls: Calls, fault: Fault) {
        let method = match calls {
            Calls::Reads => "GET",
            Calls::Creates => "POST",
            Calls::Updates => "PATCH",
            Calls::Tokens => unreachable!("a bearer token is not asked for"),
        };
        let fault = fault.method(method).path("/scim/v2/Users");
        self.control.fault(Service::Scim, &fault).await.unwrap();
    }

    async fn heal(&self) {
        self.control.clear_faults(Service::Scim).await.unwrap();
    }

    /// Without what the server says about itself.
    async fn calls(&self) -> u64 {
        self.methods().await.len() as u64
    }

    async fn token_calls(&self) -> u64 {
        0
    }
}
