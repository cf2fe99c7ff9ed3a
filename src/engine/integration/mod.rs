//! What drives the passes of one integration.
//!
//! - `state`: where an integration is, which employees are served then, and when the next pass is
//!   due. `worker`: runs the passes over all employees when they are due.
//! - `session`: what all passes of an integration share. `partial`: passes over single employees, at
//!   once and next to the pass over all. `connection`: clients, made from Secrets. `pacers`: limits
//!   that integrations share.
//! - `said`: what the status of the integration says, in one place for all writers. `counts`: its
//!   numbers, written whenever its employees change. `telling`: the waits that people are told of.
//! - `approval`: a held plan that a person released, recorded before anything of it goes out.
//! - `owners`: which objects go with their integration. `signing`: what webhooks are signed with.
//! - `unreadable`: integrations whose spec this version cannot read. `shared`: what all workers of
//!   the process share.

pub mod approval;
pub mod connection;
pub mod counts;
pub mod owners;
pub mod pacers;
pub mod partial;
pub mod said;
pub mod session;
pub mod shared;
pub mod signing;
pub mod state;
pub mod telling;
pub mod unreadable;
pub mod worker;
