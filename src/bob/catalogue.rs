//! What Bob says about its own fields (apidocs.hibob.com, "Get all company fields"). It is asked
//! only if no employee has a field that the settings name. It tells a field that does not exist
//! from one that the service user may not see.

use std::collections::HashMap;

use serde::Deserialize;

/// Every field of the company, also custom ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    fields: HashMap<Box<str>, CatalogueField>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct CatalogueField {
    /// The field's name for people in Bob.
    name: Box<str>,
    /// The path of the field in reads. It is usually, but not always, spelt like the id.
    path: Box<str>,
}

/// How many similar names a message suggests.
const NEAREST: usize = 3;
/// How similar two names must be to be suggested, from 0 to 1. 1 means equal.
const ALIKE: f64 = 0.6;

impl Catalogue {
    /// Reads the answer, which is a bare array. Returns `None` if it is something else.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Row {
            id: Box<str>,
            #[serde(default)]
            name: Option<Box<str>>,
            #[serde(default)]
            json_path: Option<Box<str>>,
        }
        let rows: Vec<Row> = serde_json::from_slice(body).ok()?;
        let field = |row: Row| {
            let path = row
                .json_path
                .filter(|path| !path.is_empty())
                .unwrap_or_else(|| plain_path(&row.id).into());
            (row.id, CatalogueField { name: row.name.unwrap_or_default(), path })
        };
        Some(Self { fields: rows.into_iter().map(field).collect() })
    }

    /// Returns whether there is such a field.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.fields.contains_key(id)
    }

    /// Returns the path of this field in reads, if its id gives another one.
    #[must_use]
    pub fn moved(&self, id: &str) -> Option<&str> {
        self.fields.get(id).map(|field| &*field.path).filter(|path| *path != plain_path(id))
    }

    /// Returns the fields that are most similar to this id, by their ids or by their names for
    /// people. The most similar one comes first.
    #[must_use]
    pub fn nearest(&self, id: &str) -> Vec<&str> {
        let last = |id: &str| id.rsplit('.').next().unwrap_or(id).to_lowercase();
        let (whole, end) = (id.to_lowercase(), last(id));
        let mut alike: Vec<(f64, &str)> = self
            .fields
            .iter()
            .map(|(known, field)| {
                let name: String = field
                    .name
                    .chars()
                    .filter(|c| c.is_alphanumeric())
                    .flat_map(char::to_lowercase)
                    .collect();
                let by_id = strsim::normalized_damerau_levenshtein(&whole, &known.to_lowercase());
                let by_name = strsim::normalized_damerau_levenshtein(&end, &name)
                    .max(strsim::normalized_damerau_levenshtein(&end, &last(known)));
                // The end of an id says less than the whole id.
                (by_id.max(by_name * 0.95), &**known)
            })
            .filter(|(likeness, _)| *likeness >= ALIKE)
            .collect();
        alike.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        alike.into_iter().take(NEAREST).map(|(_, id)| id).collect()
    }
}

/// Returns the path that an id gives for its field in reads. A field of `root.*` is at the top.
pub(super) fn plain_path(id: &str) -> &str {
    id.strip_prefix("root.").unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        let body = br#"[
            {"id": "root.email", "name": "Email", "jsonPath": "email", "type": "text",
             "typeData": {}},
            {"id": "work.title", "name": "Job title", "jsonPath": "work.title"},
            {"id": "work.department", "name": "Department", "jsonPath": "work.department"},
            {"id": "about.hobbies", "name": "Hobbies", "jsonPath": "personal.hobbies"},
            {"id": "work.custom.field_100", "name": "Cost centre"}
        ]"#;
        Catalogue::read(body).unwrap()
    }

    #[test]
    fn near_misses_find_what_was_meant() {
        let catalogue = catalogue();
        assert_eq!(catalogue.nearest("work.titel"), ["work.title"]);
        assert_eq!(catalogue.nearest("Work.Department"), ["work.department"]);
        assert_eq!(catalogue.nearest("work.jobTitle").first(), Some(&"work.title"));
        assert_eq!(catalogue.nearest("work.costCentre").first(), Some(&"work.custom.field_100"));
        assert!(catalogue.nearest("zzz").is_empty());
    }

    #[test]
    fn a_field_may_stand_elsewhere_than_its_id_says() {
        let catalogue = catalogue();
        assert_eq!(catalogue.moved("about.hobbies"), Some("personal.hobbies"));
        assert_eq!(
            (
                catalogue.moved("root.email"),
                catalogue.moved("work.custom.field_100"),
                catalogue.moved("work.none")
            ),
            (None, None, None)
        );
        assert!(catalogue.has("root.email") && !catalogue.has("email"));
    }

    #[test]
    fn only_a_bare_array_is_a_catalogue() {
        for body in [&b"{\"fields\": []}"[..], b"<html>", b"[{\"name\": \"no id\"}]"] {
            assert_eq!(Catalogue::read(body), None);
        }
    }
}
