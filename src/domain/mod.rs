//! Decisions. Pure: no Kubernetes, no HTTP, no clock, no async. Time is an argument.
//!
//! - `settings`: what an integration asks for, validated once.
//! - `employee`: one row of Bob, compact. `account`: one row of the provider.
//! - `calendar`: midnights of sites.
//! - `access`: the one decision function, settings + employee + now → who may get in, and why.
//! - `expression`: CEL, for scope and mapping rows.
//! - `mapping`: Bob's fields → the provider's attributes.
//! - `matching`: which account is whose. `plan`: what has to change. `safety`: when a read is not to be believed.

pub mod access;
pub mod account;
pub mod calendar;
pub mod employee;
pub mod expression;
pub mod mapping;
pub mod matching;
pub mod plan;
pub mod safety;
pub mod settings;
