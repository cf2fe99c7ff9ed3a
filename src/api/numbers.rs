//! The numbers in the status of an integration.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many people, by what was decided.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct EmployeeCounts {
    /// Everybody in Bob's answer, former employees included.
    pub in_bob: u32,
    /// Those the settings manage now, and those they leave out whose employment has ended and whose account bobsync suspends, or has suspended.
    pub in_scope: u32,
    /// Those in scope whose `Ready` is True.
    pub ready: u32,
    /// Those in scope for whom a person has to act, or a retry is due.
    pub failing: u32,
    /// Those in scope who wait for their turn.
    pub pending: u32,
    /// Those in scope whose change a guard holds.
    #[serde(default)]
    pub held: u32,
    /// Those in scope with an attribute that a guard froze; the rest of theirs is in sync.
    #[serde(default)]
    pub frozen: u32,
}

/// How the budgets of `spec.safety` stand, each with the settings in force. A kind without a limit is absent.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BudgetStates {
    /// Access taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disables: Option<BudgetState>,
    /// Access given back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reactivations: Option<BudgetState>,
    /// New accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creates: Option<BudgetState>,
    /// Attributes changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updates: Option<BudgetState>,
}

/// How one budget stands.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BudgetState {
    /// How many changes fit into the window now: the larger of the share and the floor.
    pub limit: u32,
    /// How many the window has seen; what a person approved is not counted.
    pub done: u32,
    /// How many changes of this kind the last pass over everybody left undone: held, or only planned by a dry run.
    pub planned: u32,
    /// When the window has room for what is planned, and for one more change where nothing is. Absent where it has room now, and
    /// where more is planned than the limit, so that a person has to approve it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<Time>,
}

/// How far the pass over everybody is that is under way.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// What the pass does now.
    pub step: Step,
    /// How many are done: accounts of the provider (`Reading`), changes (`Writing`), or statuses of employees (`Recording`).
    pub done: u32,
    /// Of how many. Absent where that is not known before the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<u32>,
    /// Since when the pass is under way.
    pub since: Time,
    /// When all of them are done at the pace so far. Where a service asked for a pause, it is counted in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta: Option<Time>,
}

/// What a pass over everybody does.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Bob and the provider are read.
    Reading,
    /// Changes go out.
    Writing,
    /// Statuses are written of employees without a change.
    Recording,
}

/// The last pass that changed anything.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct LastPass {
    /// When it ended.
    pub finished_at: Time,
    /// Accounts created.
    pub created: u32,
    /// Accounts updated, adopted ones included.
    pub updated: u32,
    /// Accounts given access again.
    pub reactivated: u32,
    /// Accounts suspended.
    pub disabled: u32,
    /// People who needed nothing.
    pub unchanged: u32,
    /// People whose change failed.
    pub failed: u32,
    /// How long it took, as a Go duration.
    pub duration: String,
}
