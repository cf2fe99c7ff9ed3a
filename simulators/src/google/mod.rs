//! Google Workspace: the token service and the users, schemas and aliases of the Directory API
//! (Admin SDK, version 1).
//!
//! - `auth`: assertions, tokens, scopes, the administrator behind them
//! - `users`: users in memory, and when a caller sees them
//! - `rules`: what a write may hold
//! - `writes`: insert, update, patch, delete, undelete
//! - `listing`: pages, projections, partial answers and searches
//! - `quirks`: lag, and what differs between accounts or is not documented, as switches
//! - `errors`: the documented error bodies
//! - `state`, `edit`: what it holds, and an administrator's edits
//! - `service`: routes, and what every call is checked for

pub mod auth;
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
pub use service::Google;
