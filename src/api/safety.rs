//! `spec.safety`: the guards, their limits, and the choices that they offer.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The guards: what they hold until a person approves it, and their limits.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.creates) || has(self.creates.max) || \
    has(self.creates.atLeast)")
    .message("creates has no default limit: set max, atLeast or both, or remove creates if there \
        shall be no limit"))]
pub struct Safety {
    /// Budget of suspensions. Default: 5% of the managed accounts, at least 5, per 24h.
    #[serde(default)]
    pub disables: Budget,
    /// Budget of changed values. Default: 30% of the managed accounts, at least 20, per 24h. The
    /// first pass that writes has no such limit for accounts that bobsync has not managed before.
    #[serde(default)]
    pub updates: Budget,
    /// Budget of new accounts. Its share is of the employees in scope. Absent: no limit. The first
    /// pass that writes has no limit either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creates: Option<Budget>,
    /// Budget of reactivations. An account that becomes active on the employee's start date does
    /// not count. Default: 5% of the managed accounts, at least 10, per 24h.
    #[serde(default)]
    pub reactivations: Budget,
    /// How many employees may leave management at once, because `emailDomains`, `scope` or their
    /// data in Bob changed. If there are more, they stay managed until a person approves it.
    /// Default: 5% of the managed employees, at least 10.
    #[serde(default)]
    pub scope_shrink: Share,
    /// How many employees fewer than before Bob's answer may have. If more are missing, bobsync
    /// does not act on their absence. Default: 10% of the last answer, at least 5.
    #[serde(default)]
    pub short_read: Share,
    /// For how many employees one attribute may be changed or cleared at once. If there are more,
    /// that attribute keeps its value on every account, and everything else goes on. Default: 20%
    /// of the managed accounts, at least 10.
    #[serde(default)]
    pub field_blackout: Share,
    /// What happens to values that a person changed at the provider. `Correct`: bobsync sets them
    /// back. `Report`: bobsync only reports them. Access is always corrected.
    #[serde(default)]
    pub drift_policy: DriftPolicy,
    /// Whether an account without a mark is adopted, if its e-mail is that of the employee.
    /// `MatchByEmail`: yes, and the first write gives it the mark. `Never`: no, such an account is
    /// a conflict.
    #[serde(default)]
    pub adoption: Adoption,
    /// What happens to leavers who are administrators at the provider, where the provider says who
    /// is one (its page in docs/providers tells). `Leave`: the account stays as it is, and bobsync
    /// reports it. `Suspend`: bobsync suspends the account. Nothing else of an administrator's
    /// account is written.
    #[serde(default)]
    pub administrators: Administrators,
    /// Accounts that are never written, such as those of administrators and break-glass accounts.
    /// Name each by its e-mail, its username or the provider's id. Where the
    /// provider says that an account is an administrator's, it is protected without being listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), extend("x-kubernetes-list-type" = "set"))]
    pub protected_accounts: Vec<AccountName>,
}

/// The e-mail, the username or the provider's id of one account. A pattern or a list is not
/// accepted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(transparent)]
pub struct AccountName(
    #[schemars(length(min = 1, max = 320), regex(pattern = r"^[^\s,*]([^,*]*[^\s,*])?$"))]
    pub  String,
);

/// How many changes are allowed within a sliding window: the larger of a share and a floor. If a
/// plan needs more, all of its changes of that kind are held.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// The share in percent, rounded up, such as `5%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]|[1-9][0-9]|100)%$')")
        .message("a share is a whole number of percent between 0% and 100%, such as 5%"))]
    pub max: Option<String>,
    /// The floor: at least so many are allowed, whatever the share is. It is for small companies.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000_000))]
    pub at_least: Option<u32>,
    /// The length of the window, as a Go duration such as `24h`: at least 1m, at most 720h.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]+([.][0-9]+)?(h|m|s|ms))+$') && \
        duration(self) >= duration('1m') && duration(self) <= duration('720h')")
        .message("the window is a duration between 1m and 720h, such as 24h"))]
    pub per: Option<String>,
}

/// The larger of a share and a floor.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// The share in percent, rounded up, such as `10%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]|[1-9][0-9]|100)%$')")
        .message("a share is a whole number of percent between 0% and 100%, such as 5%"))]
    pub max: Option<String>,
    /// The floor: at least so many are allowed, whatever the share is. It is for small companies.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000_000))]
    pub at_least: Option<u32>,
}

/// What happens to leavers who are administrators.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Administrators {
    /// The account stays as it is. While access is open, the `EmployeeSync` is not Ready
    /// (`SuspendByHand`).
    #[default]
    Leave,
    /// bobsync suspends the account, and writes nothing else.
    Suspend,
}

/// What happens to values that a person changed at the provider.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriftPolicy {
    /// bobsync sets them back to what Bob says.
    #[default]
    Correct,
    /// They stay, and the `EmployeeSync` names the attributes, until their value in Bob changes.
    Report,
}

/// Whether an account without a mark is adopted by its e-mail.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Adoption {
    /// It is adopted, and the first write gives it the mark.
    #[default]
    MatchByEmail,
    /// It is not adopted: such an account is a conflict.
    Never,
}
