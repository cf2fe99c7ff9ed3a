//! What the pure core promises, held against independent judges.
//!
//! - `oracle`: the contract's prose about access, written down a second time, naively; `decisions` compares.
//! - `expressions`: CEL for scope and mapping rows, hostile texts too; `random_expressions` holds it against a naive evaluator.

mod decisions;
mod expressions;
mod oracle;
mod random_expressions;
