//! Decisions. Pure: no Kubernetes, no HTTP, no clock, no async. Time is an argument.
//!
//! - `settings`: what an integration asks for, validated once.
//! - `employee`: one row of Bob, compact. `account`: one row of the provider. `known`: what an `EmployeeSync` says.
//! - `calendar`: midnights of sites. `count`: numbers in sentences.
//! - `access`: the one decision function, settings + employee + now → who may get in, and why.
//! - `baseline`: who was in Bob before the integration, and has anything changed since? `drift`: who changed an account?
//! - `mapping`: Bob's fields → the provider's attributes. `expression`: CEL, for mapping rows and the scope.
//! - `visible`: characters that are not seen, in addresses.
//! - `kept`: values that a provider keeps in another form than they were sent. `set_back`: values that something else sets back.
//! - `matching`: which account is whose. `plan`: what has to change, and in which order.
//! - `priority`: what is at stake, and whose turn it is.
//! - `safety`: when a read is not to be believed. `budget`: how many changes may go out. `guard`: what of a plan is held,
//!   summed over passes by `ledger`. `shrink`: when too many employees would leave management at once.
//!   `lost`: accounts on record that the provider does not show.

pub mod access;
pub mod account;
pub mod baseline;
pub mod budget;
pub mod calendar;
pub mod count;
pub mod drift;
pub mod employee;
pub mod ended;
pub mod expression;
pub mod guard;
pub mod kept;
pub mod known;
pub mod ledger;
pub mod lost;
pub mod mapping;
pub mod matching;
pub mod missing;
pub mod plan;
pub mod priority;
pub mod safety;
pub mod set_back;
pub mod settings;
pub mod shrink;
pub mod visible;
