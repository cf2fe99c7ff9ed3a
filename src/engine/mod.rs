//! One worker per integration, and the steps of a pass.
//!
//! - `supervisor`: watches, starts and ends workers, marks new generations as in progress within a
//!   second.
//! - `integration`: what drives the passes of one integration.
//! - `pass`: one pass; its files are its steps.
//! - `intake`: who is looked at, when, and why.
//! - `settings`: a spec becomes settings.
//! - `clock`: time, which stories can move. `stop`: why a pass ends early.
//!   `planned`: what waits for its turn, in words. `waits`: waits that a service asked for. `progress`: how far a long pass is.
//!
//! Imports point one way: `supervisor → integration → pass → {intake, settings}`, and the rest is
//! below.

pub mod clock;
pub mod intake;
pub mod integration;
pub mod pass;
pub mod planned;
pub mod progress;
pub mod settings;
pub mod stop;
pub mod supervisor;
pub mod waits;
