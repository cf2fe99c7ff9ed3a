//! What the pure core promises, held against independent judges.
//!
//! - `oracle`: the contract's prose about access, written down a second time, naively; `decisions` compares.
//! - `expressions`: CEL for scope and mapping rows, against a naive evaluator and hostile texts.

mod decisions;
mod expressions;
mod oracle;
