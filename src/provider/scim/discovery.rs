//! What a server says about itself (RFC 7644, 4). These are hints, and no more. A server that says
//! nothing, or something wrong, is used without them.

use std::collections::HashMap;

use tokio::{sync::Mutex, time::Instant};

use super::{
    catalog::{TABLE, USER},
    dialect::ScimDialect,
};
use crate::provider::prelude::*;

/// Asks what the server says about itself.
pub(super) const DISCOVERY: Route = Route::new("discovery", Purpose::Definitions);

/// How long the two calls may take together. A leaver does not wait for hints.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a missing answer counts, or an answer without a mapped attribute.
const DOUBTED: Duration = Duration::from_secs(600);

/// What the server says about itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Hints {
    /// Whether it has PATCH.
    pub(super) patch: Option<bool>,
    /// Whether its listings go by cursor (RFC 9865).
    pub(super) cursor: bool,
    /// The attributes of each schema, by its URN in lower case.
    schemas: HashMap<String, Vec<Attribute>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attribute {
    #[serde(default)]
    name: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    sub_attributes: Vec<Attribute>,
}

/// The hints of one connection, asked for once.
#[derive(Default)]
pub(super) struct Discovery(Mutex<Option<KnownHints>>);

#[derive(Clone)]
struct KnownHints {
    at: Instant,
    hints: Arc<Hints>,
    /// Whether both answers came.
    whole: bool,
}

impl Discovery {
    /// Returns the hints. `missing` says whether they lack an attribute that is needed: the answer
    /// is then asked for again after a while.
    pub(super) async fn hints(
        &self,
        service: &Service<ScimDialect>,
        missing: impl Fn(&Hints) -> bool,
    ) -> Arc<Hints> {
        let mut known = self.0.lock().await;
        if let Some(known) = &*known {
            let lasts = known.whole && !missing(&known.hints);
            if lasts || known.at.elapsed() < DOUBTED {
                return Arc::clone(&known.hints);
            }
        }
        let asked = tokio::time::timeout(PATIENCE, Hints::ask(service)).await;
        let (hints, whole) = asked.unwrap_or_default();
        let hints = Arc::new(hints);
        *known = Some(KnownHints { at: Instant::now(), hints: Arc::clone(&hints), whole });
        hints
    }

    /// Asks again at the next use, because an answer has contradicted a hint.
    pub(super) async fn forget(&self) {
        *self.0.lock().await = None;
    }
}

impl Hints {
    /// Asks for both. Returns whether both answers came, be they refusals.
    async fn ask(service: &Service<ScimDialect>) -> (Self, bool) {
        let mut hints = Self::default();
        let (config, one) = answered(service, "/ServiceProviderConfig").await;
        hints.take_config(&config.unwrap_or_default());
        let (schemas, two) = answered(service, "/Schemas").await;
        hints.take_schemas(schemas.unwrap_or_default());
        (hints, one && two)
    }

    fn take_config(&mut self, config: &Value) {
        self.patch = config["patch"]["supported"].as_bool();
        self.cursor = config["pagination"]["cursor"] == true;
    }

    fn take_schemas(&mut self, schemas: Value) {
        // The standard has a ListResponse; a plain list is seen too.
        let all = match schemas {
            Value::Object(mut list) => list.remove("Resources").unwrap_or_default(),
            list => list,
        };
        let Value::Array(all) = all else { return };
        let read = |schema: &Value| {
            let id = schema["id"].as_str()?.to_lowercase();
            let attributes = Vec::<Attribute>::deserialize(&schema["attributes"]).ok()?;
            // A schema without attributes says nothing.
            (!attributes.is_empty()).then_some((id, attributes))
        };
        self.schemas = all.iter().filter_map(read).collect();
    }

    /// Returns whether the server lists the schema of a target without its attribute.
    pub(super) fn lacks(&self, target: &str) -> bool {
        self.attribute(target).is_some_and(<[_]>::is_empty)
    }

    /// Returns the type of a target, as its schema names it.
    pub(super) fn kind(&self, target: &str) -> Option<&str> {
        self.attribute(target)?.first().map(|attribute| attribute.kind.as_str())
    }

    /// Returns the attribute of a target in the schema that the server lists: one, or none. Returns
    /// `None` if the server does not list the schema.
    fn attribute(&self, target: &str) -> Option<&[Attribute]> {
        let place = TABLE.locate(target)?;
        let extends = place.outer.starts_with("urn:");
        let urn = if extends { place.outer } else { USER };
        let attributes = self.schemas.get(&urn.to_lowercase())?;
        let outer = match (extends, place.key) {
            (false, _) => place.outer,
            (true, "") => place.member,
            (true, key) => key,
        };
        Some(match find(attributes, outer) {
            // A schema need not list the parts of an attribute.
            [one] if !extends && !one.sub_attributes.is_empty() && !place.member.is_empty() => {
                find(&one.sub_attributes, place.member)
            }
            found => found,
        })
    }
}

fn find<'a>(attributes: &'a [Attribute], name: &str) -> &'a [Attribute] {
    let place = attributes.iter().position(|one| one.name.eq_ignore_ascii_case(name));
    place.map_or(&[], |place| &attributes[place..=place])
}

/// Returns the JSON at a path, if there is some, and whether the server answered. It did not if it
/// was out of reach or busy.
async fn answered(service: &Service<ScimDialect>, path: &str) -> (Option<Value>, bool) {
    match service.get(DISCOVERY, path, &[], Sent::Nothing).await {
        Ok(answer) => (serde_json::from_slice(&answer.body).ok(), true),
        Err(error) => {
            tracing::debug!(category = error.category(), path, "the server gives no hints");
            (None, error == Error::NotFound)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hints() -> Hints {
        let mut hints = Hints::default();
        let part = |name: &str| json!({"name": name, "type": "string"});
        hints.take_schemas(json!({"Resources": [
            {"id": USER, "attributes": [
                {"name": "userName", "type": "string"}, {"name": "TITLE"}, {"name": "addresses"},
                {"name": "name", "type": "complex", "subAttributes": [part("givenName")]},
                {"name": "emails", "type": "complex",
                    "subAttributes": [part("value"), part("type")]}]},
            {"id": "urn:X:u", "attributes": [{"name": "floor", "type": "integer"}]},
            {"id": "urn:empty:u"},
            {"attributes": []},
        ]}));
        hints
    }

    #[test]
    fn only_a_schema_that_is_listed_says_that_an_attribute_is_missing() {
        let hints = hints();
        for (target, lacks) in [
            ("userName", false),
            ("title", false),
            ("nickName", true),
            ("name.givenName", false),
            ("name.middleName", true),
            ("emails.work", false),
            ("addresses.work.locality", false),
            ("phoneNumbers.work", true),
            ("urn:x:u:floor", false),
            ("urn:x:u:badge", true),
            ("urn:empty:u:badge", false),
            ("urn:other:u:badge", false),
            ("enterprise.department", false),
            ("enterprise.manager", false),
        ] {
            assert_eq!(hints.lacks(target), lacks, "{target}");
        }
        assert_eq!(
            (hints.kind("urn:x:u:floor"), hints.kind("urn:other:u:b")),
            (Some("integer"), None)
        );
        assert!(!Hints::default().lacks("nickName"));
    }

    #[test]
    fn whatever_a_server_says_of_itself_is_survived() {
        for odd in [json!(null), json!("x"), json!([1, {"id": 7}]), json!({"Resources": "x"})] {
            let mut hints = Hints::default();
            hints.take_config(&odd);
            hints.take_schemas(odd);
            assert!(hints.patch.is_none() && !hints.cursor && !hints.lacks("title"));
        }
        let mut hints = Hints::default();
        hints.take_config(&json!({"patch": {"supported": false}, "pagination": {"cursor": true}}));
        assert!(hints.patch == Some(false) && hints.cursor);
    }
}
