//! `OneLogin`: tokens, the users API (v2), custom attribute definitions and the few v1 calls that a
//! provisioning client uses.
//!
//! - `attributes`: the attributes of a user, their types and rules
//! - `users`: users in memory with their indices
//! - `errors`: the documented error bodies
//! - `auth`: tokens, scopes and `/auth/*`
//! - `writes`: create, update, delete, and what `OneLogin` changes afterwards
//! - `listing`: filters, sorting and paging
//! - `definitions`: custom attribute definitions
//! - `v1`: `set_state`, `lock_user`, `logout`, `set_custom_attributes`
//! - `quirks`: what differs between tenants or is not documented, as switches
//! - `state`, `edit`: what it holds, and an administrator's edits
//! - `service`: routes, and what every call is checked for

pub mod attributes;
mod auth;
pub mod definitions;
mod edit;
mod errors;
mod listing;
pub mod quirks;
pub mod service;
pub mod state;
pub mod tokens;
pub mod users;
mod v1;
mod writes;

pub use quirks::{Quirks, RefuseRule};
pub use service::OneLogin;
