//! Which employees are looked at, when, and why.
//!
//! - `inbox`: the events that Bob pushes, and which of them are evidence. `revocations`: immediate
//!   revocations in the integration's status.
//! - `lines`: which employees are to be looked at, and when. `claims`: handles a partial pass that
//!   meets a full pass.

pub mod claims;
pub mod inbox;
pub mod lines;
pub mod revocations;
