//! Who owns the fields of a status. Server-side apply removes what is left out of an applied status only where it has no
//! other owner. An earlier version of bobsync wrote statuses by merge patches, and a person can write one with `kubectl`:
//! both own what they wrote, and it would stay for ever.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use serde_json::{Map, Value, json};

use crate::api::{FIELD_MANAGER, GROUP};

const STATUS: &str = "f:status";

/// Returns the entries after which every field of the status has one owner, who applies it; `None` where that is so already.
pub(super) fn taken_over(entries: &[ManagedFieldsEntry]) -> Option<Vec<ManagedFieldsEntry>> {
    let (own, others): (Vec<&ManagedFieldsEntry>, Vec<_>) = entries.iter().partition(|entry| is_own(entry));
    if !others.iter().any(|entry| status_of(entry).is_some()) {
        return None;
    }
    let mut owned = Value::Object(Map::new());
    own.iter().chain(&others).filter_map(|entry| status_of(entry)).for_each(|fields| unite(&mut owned, fields));
    let mut after: Vec<ManagedFieldsEntry> = others.into_iter().filter_map(without_status).collect();
    after.push(ManagedFieldsEntry {
        api_version: Some(format!("{GROUP}/v1alpha1")),
        fields_type: Some("FieldsV1".to_owned()),
        fields_v1: Some(FieldsV1(json!({ STATUS: owned }))),
        manager: Some(FIELD_MANAGER.to_owned()),
        operation: Some("Apply".to_owned()),
        subresource: Some("status".to_owned()),
        time: entries.iter().filter_map(|entry| entry.time.clone()).max_by_key(|time| time.0),
    });
    Some(after)
}

fn is_own(entry: &ManagedFieldsEntry) -> bool {
    let is = |value: &Option<String>, wanted: &str| value.as_deref() == Some(wanted);
    is(&entry.manager, FIELD_MANAGER) && is(&entry.operation, "Apply") && is(&entry.subresource, "status")
}

fn status_of(entry: &ManagedFieldsEntry) -> Option<&Value> {
    entry.fields_v1.as_ref()?.0.get(STATUS)
}

/// Returns what the entry owns besides the status; `None` where that is nothing.
fn without_status(entry: &ManagedFieldsEntry) -> Option<ManagedFieldsEntry> {
    let mut entry = entry.clone();
    if let Some(Value::Object(fields)) = entry.fields_v1.as_mut().map(|fields| &mut fields.0) {
        fields.remove(STATUS)?;
        if fields.is_empty() {
            return None;
        }
    }
    Some(entry)
}

fn unite(into: &mut Value, from: &Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        for (key, fields) in from {
            unite(into.entry(key.clone()).or_insert_with(|| Value::Object(Map::new())), fields);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, operation: &str, fields: Value) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            manager: Some(manager.to_owned()),
            operation: Some(operation.to_owned()),
            subresource: fields.get(STATUS).map(|_| "status".to_owned()),
            fields_v1: Some(FieldsV1(fields)),
            ..ManagedFieldsEntry::default()
        }
    }

    #[test]
    fn a_status_that_others_wrote_has_one_owner_afterwards_and_everything_else_keeps_its_own() {
        let spec = entry("bobsync", "Update", json!({"f:spec": {"f:employeeId": {}}}));
        let own = entry("bobsync", "Apply", json!({STATUS: {"f:access": {}, "f:account": {"f:id": {}}}}));
        assert!(taken_over(&[]).is_none());
        assert!(taken_over(&[spec.clone(), own.clone()]).is_none(), "nothing is to be done");
        let old = entry("bobsync", "Update", json!({STATUS: {"f:access": {}, "f:account": {".": {}, "f:matchedBy": {}}}}));
        let person = entry("kubectl-edit", "Update", json!({STATUS: {"f:username": {}}, "f:metadata": {"f:labels": {}}}));
        let after = taken_over(&[spec.clone(), own.clone(), old, person]).expect("two others own something");
        assert_eq!(after.len(), 3);
        assert_eq!(after[0], spec);
        assert_eq!(after[1].fields_v1, Some(FieldsV1(json!({"f:metadata": {"f:labels": {}}}))));
        let all = json!({STATUS: {"f:access": {}, "f:account": {".": {}, "f:id": {}, "f:matchedBy": {}}, "f:username": {}}});
        assert_eq!(after[2].fields_v1, Some(FieldsV1(all)));
        assert!(is_own(&after[2]));
        assert!(taken_over(&after).is_none());
    }
}
