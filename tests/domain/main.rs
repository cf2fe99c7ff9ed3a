//! What the pure core promises, held against independent judges.
//!
//! - `oracle`: the contract's prose about access, written down a second time, naively; `decisions` compares.
//! - `crowd`: a few people and accounts in every constellation; `matching` has the oracle of which account is whose,
//!   `plans` what holds for every plan, `golden` plans to read.
//! - `priority`: whose turn it is. `guards`: what of a plan is held. `table`: the decision as the table that docs/decisions.md holds.
//! - `shrinks`: when too many employees would leave management at once.
//! - `usernames`: those that are chosen when an account is made.
//! - `expressions`: CEL for scope and mapping rows, and hostile texts; `random_expressions` compares with a naive reader.

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
