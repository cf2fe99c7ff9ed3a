//! Bob (HiBob): people, their fields and lists, and the four routes that a read-only client uses.
//!
//! - `fields`: the catalogue of fields, as in `GET /v1/company/people/fields`
//! - `company`: employees and list items in memory
//! - `edit`: writes through the control API, in human values
//! - `render`: one employee in Bob's three representations
//! - `search`: request bodies and their rules
//! - `quirks`: switches and permissions
//! - `block`: the block after many refusals
//! - `service`: routes, credentials, limits

mod block;
pub mod company;
pub mod edit;
pub mod fields;
pub mod quirks;
mod render;
mod search;
pub mod service;
pub mod webhooks;

pub use quirks::{Permissions, Quirks};
pub use service::Bob;
