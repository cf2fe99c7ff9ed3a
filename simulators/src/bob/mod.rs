//! Bob (HiBob): people, their fields and lists, and the four routes that a
//! read-only client uses.
//!
//! - `fields`: the catalogue of fields, as `GET /v1/company/people/fields` tells it
//! - `company`: employees and list items in memory
//! - `edit`: writes through the control API, in human values
//! - `render`: one employee in Bob's three representations
//! - `search`: request bodies and their rules
//! - `service`: routes, credentials, limits, the block after many refusals

pub mod company;
pub mod edit;
pub mod fields;
mod render;
mod search;
pub mod service;

pub use service::{Bob, Permissions, Quirks};
