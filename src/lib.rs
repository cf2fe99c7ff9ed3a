//! The map of the code. `engine::pass` runs a pass, and `domain` has what a pass decides.
//!
//! - [`api`]: the two custom resources, their rules, the closed list of reasons.
//! - [`domain`]: decisions, pure. Settings, employees, accounts, access, mapping, matching, plan,
//!   safety.
//! - [`bob`]: the source. One streamed search for all employees, one read by id.
//! - [`provider`]: the targets. One contract, one folder per provider, shared HTTP, limits and
//!   retries.
//! - [`engine`]: one worker per integration; one file per step of a pass.
//! - [`http`]: HTTP as all services need it, and what may be shown of an answer.
//! - [`telemetry`]: metrics, health, the loops of the process.
//! - [`cluster`]: everything that uses Kubernetes: watches, statuses, events, Secrets, leadership.
//! - [`server`]: serves metrics and health, and takes Bob's webhooks.
//! - [`cli`]: the commands.
//!
//! Imports point one way: `cli → server → engine → {bob, provider, cluster} → telemetry →
//! {domain, api, http}`.
#![forbid(unsafe_code)]

pub mod api;
pub mod bob;
pub mod cli;
pub mod cluster;
pub mod domain;
pub mod engine;
pub mod http;
pub mod provider;
pub mod server;
pub mod telemetry;
