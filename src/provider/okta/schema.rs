//! The attributes of the default user type, and how values are written by their types.

use std::collections::HashMap;

use crate::provider::prelude::*;

/// Types by the name of the attribute, and the id of the schema.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    /// The id, which no other org has.
    pub(super) id: Option<Box<str>>,
    types: HashMap<String, String>,
}

impl Schema {
    /// Reads the answer of `GET /api/v1/meta/schemas/user/default`.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok().filter(Value::is_object)?;
        let mut types = HashMap::new();
        for part in ["base", "custom"] {
            let properties = body["definitions"][part]["properties"].as_object();
            for (name, property) in properties.into_iter().flatten() {
                types.insert(name.clone(), text_of(&property["type"]));
            }
        }
        let id = body["id"].as_str().and_then(|id| id.rsplit('/').next()).map(Into::into);
        (!types.is_empty()).then_some(Self { id, types })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.types.contains_key(name)
    }

    /// Returns a text as the type of the attribute wants it. A text that does not fit is sent as it
    /// is, and Okta refuses it. The texts of a list are separated by semicolons.
    pub(super) fn value(&self, name: &str, text: &str) -> Value {
        match self.types.get(name).map(String::as_str) {
            Some("boolean") => text.parse::<bool>().map_or(json!(text), Value::from),
            Some("integer") => text.parse::<i64>().map_or(json!(text), Value::from),
            Some("number") => text.parse::<f64>().map_or(json!(text), Value::from),
            Some("array") => text.split(';').map(str::trim).collect(),
            _ => json!(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_follow_the_types_and_what_does_not_fit_is_sent_as_it_is() {
        let body = json!({
            "id": "https://acme.okta.com/meta/schemas/user/osc1",
            "definitions": {
                "base": {"properties": {"login": {"type": "string"}}},
                "custom": {"properties": {
                    "floor": {"type": "integer"}, "remote": {"type": "boolean"},
                    "share": {"type": "number"}, "teams": {"type": "array"},
                }},
            },
        });
        let schema = Schema::read(body.to_string().as_bytes()).unwrap();
        assert_eq!(schema.id.as_deref(), Some("osc1"));
        assert!(schema.has("login") && schema.has("floor") && !schema.has("shoe"));
        for (name, text, value) in [
            ("login", "7", json!("7")),
            ("floor", "7", json!(7)),
            ("floor", "roof", json!("roof")),
            ("remote", "true", json!(true)),
            ("share", "0.5", json!(0.5)),
            ("teams", "a; b", json!(["a", "b"])),
            ("shoe", "46", json!("46")),
        ] {
            assert_eq!(schema.value(name, text), value, "{name}");
        }
        for odd in ["[]", "{}", "no"] {
            assert!(Schema::read(odd.as_bytes()).is_none(), "{odd}");
        }
    }
}
