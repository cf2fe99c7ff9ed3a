//! JumpCloud: the system users of API version 1.
//!
//! - `users`: users in memory
//! - `rules`: what a write may hold, by the published schemas of create and update
//! - `writes`: create, update, activate, expire, delete
//! - `listing`: pages, filters, searches, selected fields
//! - `quirks`: what differs between organizations or is not documented, as switches
//! - `service`: routes, keys and limits

mod listing;
pub mod quirks;
mod rules;
pub mod service;
pub mod users;
mod writes;

pub use quirks::{Quirks, RefuseRule};
pub use service::JumpCloud;
