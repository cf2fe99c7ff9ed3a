//! The custom schemas of the account: which fields there are, and how their values are written.

use std::collections::HashMap;

use serde_json::{Value, json};

/// Fields by schema and name.
#[derive(Clone, Debug, Default)]
pub(super) struct Schemas(HashMap<(String, String), SchemaField>);

#[derive(Clone, Debug)]
struct SchemaField {
    kind: String,
    several: bool,
}

impl Schemas {
    /// Reads the answer of `schemas.list`.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok().filter(Value::is_object)?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let mut all = HashMap::new();
        for schema in body["schemas"].as_array().into_iter().flatten() {
            for field in schema["fields"].as_array().into_iter().flatten() {
                let kind = text(&field["fieldType"]).unwrap_or_default().to_uppercase();
                let several = field["multiValued"] == true;
                let name = (text(&schema["schemaName"])?, text(&field["fieldName"])?);
                all.insert(name, SchemaField { kind, several });
            }
        }
        Some(Self(all))
    }

    pub(super) fn has(&self, schema: &str, field: &str) -> bool {
        self.field(schema, field).is_some()
    }

    /// Returns whether the field holds several values.
    pub(super) fn has_several(&self, schema: &str, field: &str) -> bool {
        self.field(schema, field).is_some_and(|field| field.several)
    }

    fn field(&self, schema: &str, field: &str) -> Option<&SchemaField> {
        self.0.get(&(schema.to_owned(), field.to_owned()))
    }

    /// Returns a text as the field's type wants it. A text that does not fit is sent as it is, and
    /// Google refuses it.
    pub(super) fn value(&self, schema: &str, field: &str, text: &str) -> Value {
        let Some(field) = self.field(schema, field) else { return json!(text) };
        match &*field.kind {
            "BOOL" => text.parse::<bool>().map_or(json!(text), Value::from),
            "INT64" => text.parse::<i64>().map_or(json!(text), Value::from),
            "DOUBLE" => text.parse::<f64>().map_or(json!(text), Value::from),
            _ => json!(text),
        }
    }
}
