//! One worker per integration, and the steps of a pass, one file each.
//!
//! - `supervisor`: watches, starts and ends workers, marks new generations as in progress within a second.
//! - `state`: where an integration stands, who is served then, and when the next pass is due. `worker`: runs the passes
//!   over everybody when they are.
//! - `pass`: the driver, which reads as the list of steps:
//!   `validate` → `observe` → `decide` → (`domain::plan`) → `guard` → `execute` → `record`.
//! - `verdict`: what is said of one person. `report`: what is said of an integration.
//! - `unreadable`: integrations whose spec this version cannot read.
//! - `shared`: what every worker of the process shares.
//! - `said`: what is said of an integration, in one place for all who add to it.
//! - `revocations`: immediate revocations, as the integration's status keeps them.
//! - `approval`: a held plan that a person released, recorded before anything of it goes out.
//! - `targets`: the provider of a spec, the one place that knows them all by name.
//! - `tenants`: which integrations share one tenant of a provider.
//! - `inbox`: what Bob pushes, and what of it is evidence. `dirty`: who is to be looked at, and when. `claims`: where a
//!   pass over single people meets one over everybody.
//! - `session`: what every pass of an integration shares. `partial`: passes over single people, at once and beside the
//!   pass over everybody. `single`: how single people are read.
//! - `counts`: the numbers of an integration, written down whenever its people change. `company`: what Bob's answers showed of
//!   all of them together.
//! - `waits`: waits that a service asked for, as people are told of them. `progress`: how far a pass is that takes long.
//! - `owners`: which objects go with their integration.
//! - `signing`: what webhooks are signed with, read beside the passes.
//! - `words`: the provider's name in messages.
//! - `connection`: clients, made from Secrets. `clock`: time, which stories can move.

pub mod approval;
pub mod claims;
pub mod clock;
pub mod company;
pub mod confirm;
pub mod connection;
pub mod counts;
pub mod decide;
pub mod dirty;
pub mod execute;
pub mod guard;
pub mod inbox;
pub mod observe;
pub mod owners;
pub mod partial;
pub mod pass;
pub mod progress;
pub mod record;
pub mod report;
pub mod revocations;
pub mod said;
pub mod session;
pub mod shared;
pub mod signing;
pub mod single;
pub mod state;
pub mod supervisor;
pub mod targets;
pub mod tenants;
pub mod unreadable;
pub mod validate;
pub mod verdict;
pub mod waits;
pub mod words;
pub mod worker;
