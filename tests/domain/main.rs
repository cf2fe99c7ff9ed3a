//! The promises of the pure core, checked by independent judges.
//!
//! - `oracle`: the contract's prose about access as a second, simple implementation; `decisions`
//!   compares.
//! - `crowd`: a few employees and accounts in every constellation. `matching` has the oracle of
//!   which account belongs to which employee, `plans` the rules of every plan, `golden` plans as
//!   text.
//! - `priority`: the order of changes. `guards`: the parts of a plan that are held. `table`: the
//!   decision as the table in docs/decisions.md.
//! - `shrinks`: too many employees would leave management at once.
//! - `usernames`: usernames that are chosen when an account is made.
//! - `expressions`: CEL for scope and mapping rows, and hostile texts. `random_expressions`
//!   compares with a simple evaluator.

mod crowd;
mod decisions;
mod expressions;
#[path = "../fixtures/person.rs"]
mod fixture;
mod golden;
mod guards;
mod matching;
mod oracle;
mod plans;
mod priority;
mod random_expressions;
mod shrinks;
mod table;
mod usernames;
