//! What drives the passes of one integration.
//!
//! - `state`: the state of an integration, which employees are served then, and when the next pass
//!   is due. `worker`: runs the full passes when they are due.
//! - `session`: what all passes of an integration share. `partial`: partial passes, at once and at
//!   the same time as the full pass. `again`: further looks. `connection`: clients, made from
//!   Secrets. `pacers`: limits that integrations share.
//! - `status`: the status of the integration, in one place for all writers. `counts`: its numbers.
//!   `telling`: writes the numbers and the waits whenever they change.
//! - `approval`: a held plan that a person released, recorded before any of its changes goes out.
//! - `owners`: which objects are deleted with their integration. `signing`: the secrets that
//!   webhooks are signed with.
//! - `unreadable`: integrations whose spec this version cannot read. `absent`: objects whose
//!   integration does not exist. `outdated`: what is said under CRDs that lack a field.
//! - `shared`: what all workers of the process share.

pub mod absent;
pub mod again;
mod approval;
pub mod connection;
pub mod counts;
pub mod outdated;
pub mod owners;
pub mod pacers;
pub mod partial;
pub mod session;
pub mod shared;
pub mod signing;
pub mod state;
pub mod status;
pub mod telling;
pub mod unreadable;
pub mod worker;

#[cfg(test)]
mod advice_tests;
