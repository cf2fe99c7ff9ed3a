//! The rights that a rendered chart gives, as `verb resource` lines.

use serde_json::Value;

/// Returns every verb on every resource in the Roles and ClusterRoles of these documents, except
/// Leases, which are for elections.
pub fn granted(yaml: &str) -> Vec<String> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).expect("the chart is YAML");
    let mut rights = Vec::new();
    for document in documents {
        if !matches!(document["kind"].as_str(), Some("Role" | "ClusterRole")) {
            continue;
        }
        for rule in document["rules"].as_array().into_iter().flatten() {
            let words = |key: &str| {
                rule[key]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            for resource in words("resources").into_iter().filter(|resource| resource != "leases") {
                rights.extend(words("verbs").into_iter().map(|verb| format!("{verb} {resource}")));
            }
        }
    }
    rights.sort();
    rights.dedup();
    rights
}
