//! What the pure core promises, held against independent judges.
//!
//! - `oracle`: the contract's prose about access, written down a second time, naively; `decisions` compares.

mod decisions;
mod oracle;
