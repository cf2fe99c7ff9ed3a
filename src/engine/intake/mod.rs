//! Who is looked at, when, and why.
//!
//! - `inbox`: what Bob pushes, and which of it is evidence. `revocations`: immediate revocations, as
//!   the integration's status keeps them.
//! - `dirty`: which employees are to be looked at, and when. `claims`: where a pass over single
//!   employees meets one over all.

pub mod claims;
pub mod dirty;
pub mod inbox;
pub mod revocations;
