//! The fields of a status that other managers own. Server-side apply removes a field that is left
//! out of an applied status only if the field has no other owner. An earlier version of bobsync
//! wrote statuses by merge patches, and a person can write one with `kubectl`. Both own what they
//! wrote, and it would stay for ever.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::{Map, Value};

use crate::api::FIELD_MANAGER;

/// Returns the merge patch that removes from `old` the fields that others own and that `new` does
/// not have; `None` if there are no such fields.
pub(super) fn leftovers(entries: &[ManagedFieldsEntry], old: &Value, new: &Value) -> Option<Value> {
    let mut trimmed = old.clone();
    for entry in entries.iter().filter(|entry| !is_own(entry)) {
        if let Some(owned) = entry.fields_v1.as_ref().and_then(|fields| fields.0.get("f:status")) {
            trim(&mut trimmed, new, owned);
        }
    }
    difference(old, &trimmed)
}

fn is_own(entry: &ManagedFieldsEntry) -> bool {
    let is = |value: &Option<String>, wanted: &str| value.as_deref() == Some(wanted);
    is(&entry.manager, FIELD_MANAGER)
        && is(&entry.operation, "Apply")
        && is(&entry.subresource, "status")
}

/// Removes from `old` the owned fields that are not in `new`.
fn trim(old: &mut Value, new: &Value, owned: &Value) {
    for (path, within) in owned.as_object().into_iter().flatten() {
        if let (Some(key), Value::Object(fields)) = (path.strip_prefix("f:"), &mut *old) {
            match (fields.get_mut(key), new.get(key)) {
                (Some(old), Some(new)) => trim(old, new, within),
                (Some(_), None) => drop(fields.remove(key)),
                (None, _) => {}
            }
        } else if let (Some(keys), Value::Array(items)) = (path.strip_prefix("k:"), &mut *old) {
            let Ok(Value::Object(keys)) = serde_json::from_str(keys) else { continue };
            let Some(place) = items.iter().position(|item| has(item, &keys)) else { continue };
            match new.as_array().into_iter().flatten().find(|item| has(item, &keys)) {
                Some(new) => trim(&mut items[place], new, within),
                None => drop(items.remove(place)),
            }
        }
    }
}

fn has(item: &Value, keys: &Map<String, Value>) -> bool {
    keys.iter().all(|(key, value)| item.get(key) == Some(value))
}

/// Returns the merge patch that turns `before` into `after`, where `after` is `before` without some
/// parts.
fn difference(before: &Value, after: &Value) -> Option<Value> {
    let (Value::Object(before), Value::Object(after)) = (before, after) else {
        return (before != after).then(|| after.clone());
    };
    let changed = before.iter().filter_map(|(key, was)| match after.get(key) {
        Some(is) => Some((key.clone(), difference(was, is)?)),
        None => Some((key.clone(), Value::Null)),
    });
    let changed: Map<String, Value> = changed.collect();
    (!changed.is_empty()).then_some(Value::Object(changed))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::FieldsV1;
    use serde_json::json;

    use super::*;

    fn entry(manager: &str, operation: &str, fields: Value) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            manager: Some(manager.to_owned()),
            operation: Some(operation.to_owned()),
            subresource: fields.get("f:status").map(|_| "status".to_owned()),
            fields_v1: Some(FieldsV1(fields)),
            ..ManagedFieldsEntry::default()
        }
    }

    #[test]
    fn what_others_own_and_nobody_says_any_more_is_removed() {
        let old = json!({
            "access": "Active",
            "account": {"id": "7", "matchedBy": "Mark"},
            "conditions": [{"type": "Ready", "message": "a"}, {"type": "Stalled", "message": "b"}],
            "evidence": {"kind": "AccessRevoked"},
        });
        let new = json!({"access": "Suspended", "account": {"id": "8"},
            "conditions": [{"type": "Ready"}]});
        let all = json!({
            ".": {}, "f:access": {}, "f:account": {".": {}, "f:id": {}, "f:matchedBy": {}},
            "f:evidence": {"f:kind": {}},
            "f:conditions": {".": {}, r#"k:{"type":"Ready"}"#: {".": {}, "f:message": {}},
            r#"k:{"type":"Stalled"}"#: {".": {}}},
        });
        let own = entry("bobsync", "Apply", json!({"f:status": all}));
        let spec = entry("bobsync", "Update", json!({"f:spec": {"f:employeeId": {}}}));
        assert_eq!(
            leftovers(&[own.clone(), spec.clone()], &old, &new),
            None,
            "the apply removes what is its own"
        );
        let before = entry("bobsync", "Update", json!({"f:status": all}));
        let patch = json!({"account": {"matchedBy": null}, "conditions": [{"type": "Ready"}],
            "evidence": null});
        assert_eq!(leftovers(&[own, spec, before.clone()], &old, &new), Some(patch));
        let person =
            entry("kubectl-edit", "Update", json!({"f:status": {"f:evidence": {"f:kind": {}}}}));
        assert_eq!(leftovers(&[person], &old, &new), Some(json!({"evidence": null})));
        assert_eq!(leftovers(&[before], &old, &old), None);
    }
}
