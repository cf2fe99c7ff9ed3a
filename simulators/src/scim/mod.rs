//! A SCIM 2.0 service provider (RFC 7643, RFC 7644, RFC 9865) with users.
//!
//! - `schema`: the attributes that users have, and the extensions
//! - `paths`, `filter`: the two grammars of RFC 7644
//! - `users`: users in memory
//! - `rules`: what a write may hold
//! - `patch`: the operations of a PATCH
//! - `writes`: create, replace, change, delete
//! - `listing`: pages, filters, sorting; `view`: the attributes that an answer shows
//! - `discovery`: what the server says about itself
//! - `auth`: bearer token, Basic, client credentials
//! - `errors`: refusals and their form
//! - `quirks`: how real servers differ, as switches
//! - `state`, `edit`: the server's data, and an administrator's edits
//! - `service`: routes

pub mod auth;
mod discovery;
mod edit;
mod errors;
mod filter;
mod listing;
mod patch;
mod paths;
pub mod quirks;
mod rules;
pub mod schema;
pub mod service;
pub mod state;
pub mod users;
mod view;
mod writes;

pub use quirks::{Quirks, RefuseRule};
pub use service::Scim;
