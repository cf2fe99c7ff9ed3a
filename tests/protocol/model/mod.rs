//! The small world and its explorer. `tests/protocol/main.rs` says what is real in it and what is
//! modelled.

pub mod controller;
pub mod explorer;
pub mod provider;
pub mod scenarios;
pub mod state;
