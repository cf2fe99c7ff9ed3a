//! The custom schemas of the account: which fields there are, and how their values are written.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};

/// Fields by schema and name.
#[derive(Clone, Debug, Default)]
pub(super) struct Schemas(HashMap<(String, String), Field>);

#[derive(Clone, Debug)]
struct Field {
    kind: String,
    several: bool,
}

/// The answer of the Directory API's `schemas.list`.
#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    schemas: Vec<ListedSchema>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedSchema {
    schema_name: String,
    #[serde(default)]
    fields: Vec<ListedField>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedField {
    field_name: String,
    #[serde(default)]
    field_type: String,
    #[serde(default)]
    multi_valued: bool,
}

impl Schemas {
    /// Reads the answer of `schemas.list`.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let listed: Listed = serde_json::from_slice(body).ok()?;
        let fields = listed.schemas.into_iter().flat_map(|schema| {
            let name = schema.schema_name;
            schema.fields.into_iter().map(move |field| {
                (
                    (name.clone(), field.field_name),
                    Field { kind: field.field_type.to_uppercase(), several: field.multi_valued },
                )
            })
        });
        Some(Self(fields.collect()))
    }

    pub(super) fn has(&self, schema: &str, field: &str) -> bool {
        self.field(schema, field).is_some()
    }

    /// Returns whether the field holds several values.
    pub(super) fn has_several(&self, schema: &str, field: &str) -> bool {
        self.field(schema, field).is_some_and(|field| field.several)
    }

    fn field(&self, schema: &str, field: &str) -> Option<&Field> {
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
