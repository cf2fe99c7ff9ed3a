//! What the server says about itself (RFC 7643, 5 to 7; RFC 7644, 4).

use serde_json::{Value, json};

use super::auth::Way;
use super::errors::{Checked, Refused};
use super::listing::{self, USUAL};
use super::quirks::Index;
use super::schema::USER;
use super::state::State;
use super::writes::base;
use crate::front::{Answer, Call};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    Config,
    ResourceTypes,
    ResourceType(String),
    Schemas,
    Schema(String),
}

fn with_meta(mut resource: Value, kind: &str, location: String) -> Value {
    resource["meta"] = json!({ "resourceType": kind, "location": location });
    resource
}

fn config(state: &State, base: &str) -> Value {
    let quirks = &state.quirks;
    let schemes: Vec<Value> = state
        .access
        .ways
        .iter()
        .map(|way| {
            let (kind, name) = match way {
                Way::Bearer => ("oauthbearertoken", "OAuth bearer token"),
                Way::Basic => ("httpbasic", "HTTP Basic"),
                Way::OAuth => ("oauth2", "OAuth 2.0 client credentials"),
            };
            json!({ "type": kind, "name": name, "description": format!("Authentication by {name}.") })
        })
        .collect();
    let method = if quirks.paging.cursor_by_default { "cursor" } else { "index" };
    let config = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": { "supported": quirks.routes.patch_announced },
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
        "filter": { "supported": true, "maxResults": quirks.paging.cap },
        "changePassword": { "supported": !quirks.writes.no_passwords },
        "sort": { "supported": true },
        "etag": { "supported": quirks.values.etags },
        "pagination": {
            "cursor": quirks.paging.cursors,
            "index": quirks.paging.index != Index::Absent,
            "defaultPaginationMethod": method,
            "defaultPageSize": USUAL.min(quirks.paging.cap),
            "maxPageSize": quirks.paging.cap,
            "cursorTimeout": quirks.paging.cursor_seconds,
        },
        "authenticationSchemes": schemes,
    });
    with_meta(config, "ServiceProviderConfig", format!("{base}/scim/v2/ServiceProviderConfig"))
}

fn resource_type(state: &State, base: &str) -> Value {
    let extensions: Vec<Value> = state
        .schemas
        .extensions
        .iter()
        .map(|extension| json!({ "schema": extension.urn, "required": false }))
        .collect();
    let shown = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": "User",
        "name": "User",
        "description": "A user.",
        "endpoint": "/Users",
        "schema": USER,
        "schemaExtensions": extensions,
    });
    with_meta(shown, "ResourceType", format!("{base}/scim/v2/ResourceTypes/User"))
}

fn schemas(state: &State, base: &str) -> Vec<Value> {
    let located = |schema: Value| {
        let location =
            format!("{base}/scim/v2/Schemas/{}", schema["id"].as_str().unwrap_or_default());
        with_meta(schema, "Schema", location)
    };
    state.schemas.described().into_iter().map(located).collect()
}

/// Handles the three routes. They have no filters (RFC 7644, 4).
pub fn answer(state: &State, call: &Call, about: &About) -> Checked<Answer> {
    if call.pairs().iter().any(|(name, _)| name == "filter") {
        return Err(Refused::new(403, "This route has no filters"));
    }
    let base = base(call);
    let one = |found: Option<Value>, id: &str| {
        let media = state.quirks.errors.media();
        let found = found.ok_or_else(|| Refused::absent(id))?;
        Ok(Answer::new(200, media, found.to_string()))
    };
    match about {
        About::Config => one(Some(config(state, &base)), ""),
        About::ResourceTypes => Ok(listing::plain(state, vec![resource_type(state, &base)])),
        About::ResourceType(id) => {
            one(Some(resource_type(state, &base)).filter(|_| id == "User"), id)
        }
        About::Schemas => Ok(listing::plain(state, schemas(state, &base))),
        About::Schema(id) => {
            one(schemas(state, &base).into_iter().find(|schema| schema["id"] == *id), id)
        }
    }
}
