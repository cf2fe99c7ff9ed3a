//! The map of the house. A pass is `engine::pass`; what it decides is in `domain`.
//!
//! - [`api`]: the two custom resources, their rules, the closed list of reasons.
//! - [`domain`]: decisions, pure. Settings, employees, accounts, access, mapping, matching, plan, safety.
//! - [`bob`]: the source. One streamed search for everybody, one read by id.
//! - [`provider`]: the targets. One contract, one folder per provider, shared HTTP, limits and retries.
//! - [`engine`]: one worker per integration; one file per step of a pass.
//! - [`cluster`]: all that speaks to Kubernetes: watches, statuses, events, Secrets, leadership.
//! - [`server`]: metrics and health.
//! - [`cli`]: the commands.
//!
//! Imports point one way: `cli, server → engine → {bob, provider, cluster} → domain`, with `api` beside `domain`.
#![forbid(unsafe_code)]

pub mod api;
pub mod bob;
pub mod cli;
pub mod cluster;
pub mod domain;
pub mod engine;
pub mod provider;
pub mod server;
