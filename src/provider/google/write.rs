//! Writes in the form that the Directory API wants: only what differs, except that arrays are sent
//! whole. What is special are custom fields, which have a type and may have several values.

use super::{
    catalog::{CUSTOM, TABLE, is_work},
    schemas::Schemas,
};
use crate::provider::prelude::*;

/// Returns whether a write needs the account's arrays as they are, with those of custom fields with
/// several values.
pub(super) fn touches_arrays(mapping: &Mapping, write: &AccountWrite, schemas: &Schemas) -> bool {
    let mut places = places(&TABLE, mapping, write);
    needs_foreign(&TABLE, mapping, write)
        || places
            .any(|(place, _)| place.outer == CUSTOM && schemas.has_several(place.key, place.member))
}

/// Returns the members of a write (Directory API, `users.update`).
///
/// # Errors
/// There is nothing to write. Nothing has been sent then.
pub(super) fn body(of: Of<'_>, schemas: &Schemas) -> Members {
    writer::body(&TABLE, of, |place, text, foreign| {
        if place.outer != CUSTOM {
            return Ok(Own::Table);
        }
        let (schema, field) = (place.key, place.member);
        let value = text.map(|text| schemas.value(schema, field, text));
        if !schemas.has_several(schema, field) {
            return Ok(Own::Value(value.unwrap_or_default()));
        }
        let had = foreign.get(CUSTOM).and_then(|all| all[schema][field].as_array());
        Ok(Own::Value(Value::Array(set_value(had.cloned().unwrap_or_default(), value))))
    })
}

/// Sets the first value of type `work`, or removes it. All others stay.
fn set_value(mut entries: Vec<Value>, value: Option<Value>) -> Vec<Value> {
    match (entries.iter().position(is_work), value) {
        (Some(at), Some(value)) => entries[at]["value"] = value,
        (None, Some(value)) => entries.push(json!({"type": "work", "value": value})),
        (Some(at), None) => drop(entries.remove(at)),
        (None, None) => {}
    }
    entries
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
