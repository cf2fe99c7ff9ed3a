//! JumpCloud: the system users of API version 1.
//!
//! - `users`: users in memory
//! - `rules`: what a write may hold, by the published schemas of create and update
//! - `writes`: create, update, activate, expire, delete
//! - `listing`: pages, filters, searches, selected fields
//! - `quirks`: what differs between organizations or is not documented, as switches
//! - `state`, `edit`: what it holds, and an administrator's edits
//! - `service`: routes, and what every call is checked for

mod edit;
mod listing;
pub mod quirks;
mod rules;
pub mod service;
pub mod state;
pub mod users;
mod writes;

pub use quirks::{Quirks, RefuseRule};
pub use service::JumpCloud;
