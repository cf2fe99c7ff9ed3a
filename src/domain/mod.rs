//! The decisions of bobsync. This module is pure: it has no Kubernetes, no HTTP, no clock and no
//! async code. Callers pass the time as an argument.
//!
//! - `settings`: what an integration asks for, validated once.
//! - `employee`: one row of Bob, compact. `account`: one row of the provider. `known`: what an
//!   `EmployeeSync` says.
//! - `calendar`: midnights of sites. `count`: numbers in sentences.
//! - `employment`: which part of an employment a moment is in, and when it ends. `why`: the rules
//!   behind decisions.
//! - `access`: the one decision function. It takes settings, employee and time, and says who gets
//!   access and why.
//! - `evidence`: what no later read of Bob would show, what sets it in and what ends it.
//! - `baseline`: says whether Bob has changed an employee who was there before the integration.
//! - `drift`: says whether Bob or the provider changed a value.
//! - `mapping`: maps Bob's fields to the provider's attributes. `expression`: CEL, for mapping rows
//!   and the scope.
//! - `visible`: invisible characters in addresses.
//! - `kept`: values that a provider keeps in another form than bobsync sent them.
//! - `set_back`: values that another writer at the provider sets back.
//! - `matching`: says which account belongs to which employee.
//! - `plan`: what has to change, and in which order.
//! - `priority`: how urgent a change is, and which employee is next.
//! - `safety`: says when bobsync does not trust a read. `budget`: how many changes may go out.
//! - `guard`: which changes of a plan are held. `ledger` sums them over passes.
//! - `shrink`: says when too many employees would leave management at once.
//! - `lost`: accounts on record that the provider does not show.

pub mod access;
pub mod account;
pub mod baseline;
pub mod budget;
pub mod calendar;
pub mod count;
pub mod drift;
pub mod employee;
pub mod employment;
pub mod ended;
pub mod evidence;
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
pub mod why;
