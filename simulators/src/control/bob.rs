//! Bob's half of the control API.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::{get, post, put};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::reply::{Refused, Reply, Shared, array, done, ok, parse};
use super::switches::{self, HasQuirks};
use crate::bob::fields::Kind;
use crate::bob::webhooks::{self, Webhook};
use crate::bob::{Permissions, Quirks};
use crate::company::{self, Summary};
use crate::plant::Plant;

pub fn routes() -> Router<Arc<Plant>> {
    Router::new()
        .route("/bob/employees", get(list).post(create))
        .route("/bob/employees/{id}", get(one).patch(change).delete(remove))
        .route("/bob/company", get(summary).put(regenerate))
        .route("/bob/fields", post(define))
        .route("/bob/lists/{name}", axum::routing::patch(edit_list))
        .route("/bob/credentials", put(credentials))
        .route("/bob/permissions", put(permissions))
        .route("/bob/webhook", get(webhook).put(set_up_webhook).delete(remove_webhook))
        .route("/bob/webhook/events", post(push_event))
        .route("/bob/serve", put(serve))
        .route("/bob/limits", put(limits))
        .merge(switches::quirks("bob", |plant| plant.bob.state()))
}

impl HasQuirks for crate::bob::service::State {
    type Quirks = Quirks;

    fn quirks(&mut self) -> &mut Quirks {
        &mut self.quirks
    }
}

async fn list(State(plant): Shared) -> Reply {
    let company = plant.bob.state().company.clone();
    array(company.employees.iter().map(|employee| company.human(employee).to_string().into_bytes()))
}

fn id(text: &str) -> Result<u64, Refused> {
    text.parse().map_err(|_| Refused::missing("employee"))
}

async fn one(State(plant): Shared, Path(identifier): Path<String>) -> Reply {
    let company = plant.bob.state().company.clone();
    let employee =
        company.employee(id(&identifier)?).ok_or_else(|| Refused::missing("employee"))?;
    ok(&company.human(employee))
}

/// One employee, or an array of them.
async fn create(State(plant): Shared, body: Bytes) -> Reply {
    let now = plant.clock.now();
    let make = |given: &Value| {
        let given = given.as_object().ok_or_else(|| Refused::bad("an employee is an object"))?;
        let id = plant.bob.edit(|company| company.create(given, now)).map_err(Refused::bad)?;
        plant.bob.push("employee.created", &json!({"employeeId": id.to_string()}));
        Ok(id)
    };
    match parse(&body)? {
        Value::Array(all) => {
            let ids: Vec<Value> = all
                .iter()
                .map(|given| Ok(json!({"id": make(given)?.to_string()})))
                .collect::<Result<_, Refused>>()?;
            ok(&Value::Array(ids))
        }
        given => ok(&json!({"id": make(&given)?.to_string()})),
    }
}

async fn change(State(plant): Shared, Path(identifier): Path<String>, body: Bytes) -> Reply {
    let given: Map<String, Value> = parse(&body)?;
    let id = id(&identifier)?;
    plant
        .bob
        .change(id, &given)
        .ok_or_else(|| Refused::missing("employee"))?
        .map_err(Refused::bad)?;
    for (kind, data) in webhooks::events_of_change(id, &given) {
        plant.bob.push(kind, &data);
    }
    done()
}

async fn remove(State(plant): Shared, Path(identifier): Path<String>) -> Reply {
    let id = id(&identifier)?;
    let company = plant.bob.state().company.clone();
    let email = company.employee(id).map(|employee| company.human(employee)["root.email"].clone());
    if !plant.bob.edit(|company| company.remove(id)) {
        return Err(Refused::missing("employee"));
    }
    plant.bob.push("employee.deleted", &json!({"employeeId": id.to_string(), "email": email}));
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetUp {
    url: String,
    secret: String,
}

async fn webhook(State(plant): Shared) -> Reply {
    let found = plant
        .bob
        .state()
        .webhook
        .as_ref()
        .map(|webhook| json!({"url": webhook.url, "deliveries": webhook.deliveries()}));
    found.map_or_else(|| Err(Refused::missing("webhook")), |found| ok(&found))
}

/// Sets the webhook up as an administrator would. Bob pings the address, and from then on every
/// edit is sent there.
async fn set_up_webhook(State(plant): Shared, body: Bytes) -> Reply {
    let SetUp { url, secret } = parse(&body)?;
    let made = Webhook::set_up(url, secret).await.map_err(Refused::bad)?;
    plant.bob.state().webhook = Some(made);
    done()
}

async fn remove_webhook(State(plant): Shared) -> Reply {
    plant.bob.state().webhook = None;
    done()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Push {
    #[serde(rename = "type")]
    kind: String,
    data: Value,
    company_id: Option<u64>,
    triggered_at: Option<String>,
}

/// Sends one event without an edit, such as `employee.access.revoked.immediately`.
async fn push_event(State(plant): Shared, body: Bytes) -> Reply {
    let Push { kind, data, company_id, triggered_at } = parse(&body)?;
    let mut event = webhooks::event(&kind, &data, plant.clock.now());
    if let Some(company) = company_id {
        event["companyId"] = company.into();
    }
    if let Some(at) = triggered_at {
        event["triggeredAt"] = at.into();
    }
    match &plant.bob.state().webhook {
        Some(webhook) => webhook.push(&event),
        None => return Err(Refused::missing("webhook")),
    }
    ok(&event)
}

async fn summary(State(plant): Shared) -> Reply {
    let company = plant.bob.state().company.clone();
    ok(&json!(Summary::of(&company)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Regenerate {
    employees: usize,
    #[serde(default)]
    seed: u64,
}

/// Replaces the company with another generated one.
async fn regenerate(State(plant): Shared, body: Bytes) -> Reply {
    let Regenerate { employees, seed } = parse(&body)?;
    let made = company::generate(employees, seed, plant.clock.now());
    let summary = Summary::of(&made);
    plant.bob.state().company = Arc::new(made);
    ok(&json!(summary))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Define {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    list: Option<String>,
}

/// A custom field with a type of its own.
async fn define(State(plant): Shared, body: Bytes) -> Reply {
    let Define { id, kind, list } = parse(&body)?;
    let kind = Kind::parse(&kind).ok_or_else(|| Refused::bad("unknown type"))?;
    let list = list.or_else(|| matches!(kind, Kind::List | Kind::ListId).then(|| id.clone()));
    let made = plant.bob.edit(|company| {
        if let Some(list) = &list {
            company.lists.entry(list.clone()).or_default();
        }
        company.catalogue.custom(&id, kind, list.clone())
    });
    made.map_or_else(
        || Err(Refused::bad("a custom field's id is <category>.custom.field_<n>")),
        |_| done(),
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditList {
    /// The label of the item.
    item: String,
    rename: Option<String>,
    archived: Option<bool>,
}

/// Renames or archives an item of a list, as an administrator of Bob would.
async fn edit_list(State(plant): Shared, Path(name): Path<String>, body: Bytes) -> Reply {
    let EditList { item, rename, archived } = parse(&body)?;
    let found = plant.bob.edit(|company| {
        let list = company.lists.get_mut(&name)?;
        let position = list.position(&item)?;
        if let Some(archived) = archived {
            list.items[position as usize].archived = archived;
        }
        Some(rename.is_none_or(|to| list.rename(&item, &to)))
    });
    if found == Some(true) { done() } else { Err(Refused::missing("list item")) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    id: String,
    token: String,
}

async fn credentials(State(plant): Shared, body: Bytes) -> Reply {
    let Credentials { id, token } = parse(&body)?;
    plant.bob.state().credentials = (id, token);
    done()
}

/// Replaces all permissions; a member that is not named has its initial value.
async fn permissions(State(plant): Shared, body: Bytes) -> Reply {
    let given: Permissions = parse(&body)?;
    if given.status.is_some_and(|status| !(400..=599).contains(&status)) {
        return Err(Refused::bad("status must be between 400 and 599"));
    }
    plant.bob.state().permissions = given;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Serve {
    first: Option<usize>,
}

async fn serve(State(plant): Shared, body: Bytes) -> Reply {
    let Serve { first } = parse(&body)?;
    plant.bob.state().first = first;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    limit: u64,
    remaining: Option<u64>,
}

/// Calls a minute for each route.
async fn limits(State(plant): Shared, body: Bytes) -> Reply {
    let Limits { limit, remaining } = parse(&body)?;
    plant.bob.set_limit(limit, remaining);
    done()
}
