//! What `spec.safety` chooses between, budgets aside.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens to administrators who leave.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Administrators {
    /// The account is left as it is; while access is open the `EmployeeSync` is not Ready (`SuspendByHand`).
    #[default]
    Leave,
    /// Access is taken, and nothing else is written.
    Suspend,
}

/// What happens to values that a person changed at the provider.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriftPolicy {
    /// They are set back to what Bob says.
    #[default]
    Correct,
    /// They are left, and the `EmployeeSync` names the attributes, until Bob says something else of them.
    Report,
}

/// Whether an account without a mark is taken over by its e-mail.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Adoption {
    /// Once: with the first write it gets the mark.
    #[default]
    MatchByEmail,
    /// Never: such an account is a conflict.
    Never,
}
