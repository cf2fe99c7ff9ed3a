//! The two resources that people write: their types, the rules that the API server checks, and the
//! closed list of reasons.
//!
//! `integration` is `ProvisioningIntegration`, and `provider` is its union of providers.
//! `employee_sync` is `EmployeeSync`. `reasons` has every word that a condition's `reason` can be,
//! each with what a person should do. `conditions` has the operations on condition lists. `key`
//! is the name of an integration. This module decides nothing.

pub mod condition_types;
pub mod conditions;
pub mod employee_sync;
pub mod integration;
pub mod key;
mod mapping;
mod numbers;
pub mod provider;
pub mod reasons;
mod safety;
mod secrets;
pub mod time;

pub use employee_sync::{EmployeeSync, EmployeeSyncSpec, EmployeeSyncStatus};
pub use integration::{
    ProvisioningIntegration, ProvisioningIntegrationSpec, ProvisioningIntegrationStatus,
};

use kube::{CustomResourceExt as _, core::Rule};

/// The API group of both resources.
pub const GROUP: &str = "bobsync.dev";
/// Field manager of every write to the API server.
pub const FIELD_MANAGER: &str = "bobsync";
/// The beginning of the field managers of `bobsync approve`. The user's name follows.
pub const APPROVE_MANAGER: &str = "bobsync-approve:";
/// Label on every `EmployeeSync`: the name of its integration.
pub const INTEGRATION_LABEL: &str = "bobsync.dev/integration";
/// Annotation that asks for a sync now. Any new value is a request.
pub const SYNC_REQUESTED: &str = "bobsync.dev/sync-requested-at";

/// The generation in the status of an object that the controller has not written yet. GitOps tools
/// treat an object without any status as current, and go on too early.
const UNSAID: i64 = -1;

/// A status that the controller writes.
pub trait Said: Default + PartialEq {
    /// Returns whether the status is the API server's default, so that the controller has not
    /// written it yet.
    fn is_default(&self) -> bool;
}

impl Said for ProvisioningIntegrationStatus {
    fn is_default(&self) -> bool {
        *self == Self { observed_generation: Some(UNSAID), ..Self::default() }
    }
}

impl Said for EmployeeSyncStatus {
    fn is_default(&self) -> bool {
        *self == Self { observed_generation: Some(UNSAID), ..Self::default() }
    }
}

/// Returns a status that was written, or `None` for the default one of the API server.
pub fn said<S: Said>(status: Option<S>) -> Option<S> {
    status.filter(|status| !status.is_default())
}

/// The rules of an integration that depend on the provider, as the API server checks them.
pub struct Rules {
    /// Those of the spec.
    pub spec: Vec<Rule>,
    /// Those of each row of the mapping.
    pub row: Vec<Rule>,
}

impl Rules {
    fn add_to(self, crd: &mut serde_json::Value) -> Result<(), serde_json::Error> {
        let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
        let row = format!("{spec}/properties/mapping/items");
        for (place, rules) in [(spec, self.spec), (&row, self.row)] {
            let all = crd.pointer_mut(&format!("{place}/x-kubernetes-validations"));
            let Some(serde_json::Value::Array(all)) = all else { continue };
            for rule in rules {
                all.push(serde_json::to_value(rule)?);
            }
        }
        Ok(())
    }
}

/// Returns both `CustomResourceDefinition`s as one YAML stream, with these rules.
///
/// # Errors
/// Only if the derived schema cannot be written as YAML, which a test rules out.
pub fn crds_yaml(rules: Rules) -> Result<String, serde_json::Error> {
    let mut out = String::new();
    let mut integration = serde_json::to_value(ProvisioningIntegration::crd())?;
    rules.add_to(&mut integration)?;
    for mut value in [integration, serde_json::to_value(EmployeeSync::crd())?] {
        prune(&mut value);
        if let Some(status) =
            value.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/status")
        {
            status["default"] = serde_json::json!({"observedGeneration": UNSAID});
        }
        out.push_str("---\n");
        yaml::write(&value, &mut out);
    }
    Ok(out)
}

/// Removes what schema generators add and Kubernetes does not know or does not need: number formats
/// for which it warns, and the line breaks of a doc comment, which `kubectl explain` would show.
fn prune(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(map) => {
            if map.get("format").is_some_and(|f| {
                matches!(f.as_str(), Some("uint32" | "uint64" | "uint" | "uint16"))
            }) {
                map.insert("format".into(), "int64".into());
            }
            if let Some(serde_json::Value::String(text)) = map.get_mut("description") {
                *text = text.replace('\n', " ");
            }
            map.values_mut().for_each(prune);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

mod yaml;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Finds the paths of defaults inside items of lists.
    fn defaults(schema: &Value, in_list: bool, path: &str, found: &mut Vec<String>) {
        if in_list && schema.get("default").is_some() {
            found.push(path.to_owned());
        }
        let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        fields.for_each(|(name, field)| defaults(field, in_list, &format!("{path}.{name}"), found));
        if let Some(items) = schema.get("items") {
            defaults(items, true, &format!("{path}[]"), found);
        }
    }

    #[test]
    fn no_description_has_the_line_breaks_of_its_comment() {
        let crds = crds_yaml(Rules { spec: Vec::new(), row: Vec::new() }).expect("YAML");
        let descriptions: Vec<_> =
            crds.lines().filter(|line| line.trim_start().starts_with("description:")).collect();
        assert!(descriptions.len() > 150, "{}", descriptions.len());
        let broken: Vec<_> = descriptions.iter().filter(|line| line.contains("\\n")).collect();
        assert!(broken.is_empty(), "{broken:#?}");
    }

    #[test]
    fn no_item_of_a_list_has_a_default_and_no_default_belongs_to_a_pin() {
        for crd in [ProvisioningIntegration::crd(), EmployeeSync::crd()] {
            let crd = serde_json::to_value(crd).expect("JSON");
            let (mut found, schema) =
                (Vec::new(), &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]);
            defaults(schema, false, "", &mut found);
            assert!(found.is_empty(), "who compares a list with Git sees a difference: {found:?}");
            if crd["spec"]["names"]["kind"] == "EmployeeSync" {
                defaults(&schema["properties"]["spec"], true, ".spec", &mut found);
                assert!(
                    found.is_empty(),
                    "who applies a pin meets a field of another owner: {found:?}"
                );
            }
        }
    }
}
