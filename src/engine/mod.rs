//! One worker for each integration, and the steps of a pass.
//!
//! - `supervisor`: watches, starts and ends workers, and marks new generations as in progress
//!   within a second.
//! - `integration`: what drives the passes of one integration.
//! - `pass`: one pass; its files are its steps.
//! - `intake`: which employees are looked at, when, and why.
//! - `settings`: turns a spec into settings.
//! - `clock`: time, which stories can move. `stop`: why a pass ends early.
//!   `planned`: changes that wait for their turn, in words. `waits`: waits that a service asked
//!   for. `progress`: how far a long pass has come.
//!
//! Imports point one way: `supervisor → integration → pass → {intake, settings}`. These may import
//! the other modules of the list.

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
