//! Microsoft Entra ID: the sign-in service's token endpoint and the users of Microsoft Graph,
//! version 1.0.
//!
//! - `auth`: app registrations, secrets, certificate assertions, application permissions
//! - `users`: users in memory, when a read shows them, deleted ones
//! - `rules`: what a write may hold
//! - `writes`: create, update, manager, sessions, delete, restore
//! - `listing`: pages, `$select`, `$expand`, `$filter`
//! - `batch`: `$batch`
//! - `quirks`: lag, and what is not documented, as switches
//! - `errors`: the documented error bodies
//! - `state`, `edit`: what it holds, and an administrator's edits
//! - `service`: routes, and what every call is checked for

pub mod auth;
mod batch;
mod edit;
mod errors;
mod listing;
pub mod quirks;
mod rules;
pub mod service;
pub mod state;
pub mod users;
mod writes;

pub use quirks::{Quirks, RefuseRule};
pub use service::Entra;
