//! The fields of a spec that this version knows, as its CRD has them.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::Value;

/// What may be at one place of a spec.
pub enum PlaceFields {
    /// These fields and no others.
    These(BTreeMap<String, Self>),
    /// A list or a map with items of one kind.
    Each(Box<Self>),
    /// A value without fields.
    Plain,
}

impl PlaceFields {
    /// Returns the fields of the spec of a kind.
    #[must_use]
    pub fn of<K: CustomResourceExt>() -> Self {
        let crd = K::crd();
        let schema = crd.spec.versions.first().and_then(|version| version.schema.as_ref());
        let whole = schema.and_then(|schema| schema.open_api_v3_schema.as_ref());
        let spec = whole.and_then(|whole| whole.properties.as_ref()?.get("spec"));
        spec.map_or(Self::Plain, Self::read)
    }

    fn read(schema: &JSONSchemaProps) -> Self {
        match (&schema.properties, &schema.items, &schema.additional_properties) {
            (Some(fields), ..) => Self::These(
                fields.iter().map(|(name, field)| (name.clone(), Self::read(field))).collect(),
            ),
            (_, Some(JSONSchemaPropsOrArray::Schema(each)), _)
            | (.., Some(JSONSchemaPropsOrBool::Schema(each))) => {
                Self::Each(Box::new(Self::read(each)))
            }
            _ => Self::Plain,
        }
    }

    /// Returns the path of a field that this version does not know, such as `.safety.quietHours` or
    /// `.mapping[3].unless`. A field that is null is not set.
    #[must_use]
    pub fn unknown(&self, value: &Value) -> Option<String> {
        match (self, value) {
            (Self::These(known), Value::Object(fields)) => {
                let mut set = fields.iter().filter(|(_, value)| !value.is_null());
                set.find_map(|(name, value)| {
                    let rest = match known.get(name) {
                        Some(field) => field.unknown(value)?,
                        None => String::new(),
                    };
                    Some(format!(".{name}{rest}"))
                })
            }
            (Self::Each(item), Value::Object(items)) => items
                .iter()
                .find_map(|(name, value)| Some(format!(".{name}{}", item.unknown(value)?))),
            (Self::Each(item), Value::Array(items)) => items
                .iter()
                .enumerate()
                .find_map(|(at, value)| Some(format!("[{at}]{}", item.unknown(value)?))),
            _ => None,
        }
    }
}
