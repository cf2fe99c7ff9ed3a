//! Writes in the form that JumpCloud wants: only what differs, except that arrays are sent whole
//! (JumpCloud API v1, `User_Set`).

use super::catalog::TABLE;
use crate::provider::prelude::*;

/// Returns the members of a write.
///
/// # Errors
/// There is nothing to write, or the account does not let an attribute be written. Nothing has been
/// sent then.
pub(super) fn body(of: Of<'_>) -> Members {
    writer::body(&TABLE, of, |place, _, foreign| {
        let name = place.outer;
        if !is_restricted(foreign, name) {
            return Ok(Own::Table);
        }
        let said = format!(
            "JumpCloud does not let {name} of this account be written, because another directory \
             is its master"
        );
        Err(Error::rejected(place.target, said))
    })
}

/// Returns whether the account lists this member among those that only another directory writes.
fn is_restricted(foreign: &Map<String, Value>, name: &str) -> bool {
    let restricted = foreign.get("restrictedFields").and_then(Value::as_array);
    restricted.is_some_and(|fields| fields.iter().any(|field| field["field"] == name))
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
