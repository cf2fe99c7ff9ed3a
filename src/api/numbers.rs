//! The numbers in the status of an integration.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many employees there are, by their state.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct EmployeeCounts {
    /// All employees in Bob's answer, former employees included.
    pub in_bob: u32,
    /// Those the settings manage now, and those they leave out whose employment has ended and whose
    /// account bobsync suspends, or has suspended.
    pub in_scope: u32,
    /// Employees in scope with `Ready` True.
    pub ready: u32,
    /// Employees in scope with a failure: a person should act, or bobsync tries again.
    pub failing: u32,
    /// Employees in scope who wait for their turn.
    pub pending: u32,
    /// Employees in scope with a change that a guard holds.
    #[serde(default)]
    pub held: u32,
    /// Employees in scope with an attribute that a guard froze. The rest of their account is in
    /// sync.
    #[serde(default)]
    pub frozen: u32,
}

/// What each budget of `spec.safety` allows and has used. A kind without a limit is absent.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BudgetStates {
    /// Suspensions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disables: Option<BudgetState>,
    /// Reactivations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reactivations: Option<BudgetState>,
    /// New accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creates: Option<BudgetState>,
    /// Updates of attributes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updates: Option<BudgetState>,
}

/// What one budget allows and has used.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BudgetState {
    /// How many changes the window allows now: the larger of the share and the floor.
    pub limit: u32,
    /// How many changes were made within the window. Approved changes do not count.
    pub done: u32,
    /// How many changes of this kind the last full pass did not make, because a guard holds them or
    /// because it was a dry run.
    pub planned: u32,
    /// When the window has room for the planned changes, or for one more change if none is planned.
    /// Absent if it has room now, or if more is planned than the limit: then a person has to
    /// approve the plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<Time>,
}

/// How far the full pass is that runs now.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// What the pass does now.
    pub step: Step,
    /// How many are done: accounts that were read (`Reading`), changes that were made (`Writing`),
    /// or statuses that were written (`Recording`).
    pub done: u32,
    /// How many there are in total. Absent if that is not known before the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<u32>,
    /// When the pass began.
    pub since: Time,
    /// When the step ends at the pace so far. A pause that a service asked for is included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta: Option<Time>,
}

/// What a full pass does.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Reads Bob and the provider.
    Reading,
    /// Writes changes to the provider.
    Writing,
    /// Writes the statuses of employees without a change.
    Recording,
}

/// The last pass that changed anything.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct LastPass {
    /// When the pass ended.
    pub finished_at: Time,
    /// Accounts created.
    pub created: u32,
    /// Accounts updated, adopted ones included.
    pub updated: u32,
    /// Accounts reactivated.
    pub reactivated: u32,
    /// Accounts suspended.
    pub disabled: u32,
    /// Employees who needed no change.
    pub unchanged: u32,
    /// Employees with a change that failed.
    pub failed: u32,
    /// How long the pass took, as a Go duration.
    pub duration: String,
}
