//! What the process tells of itself.
//!
//! - `health`: says whether the loops beat, and whether the first lists are in.
//! - `parts`: the loops of the process. It starts them again when they end, counts that and reports
//!   it.
//! - `metrics`: what is counted. The table in it is the documentation.

pub mod health;
pub mod metrics;
pub mod parts;
