//! `EmployeeSync`: one employee in one integration. Its status is the audit trail of that employee.

#![allow(
    dead_code,
    reason = "everything here is public, and the macro makes second structs of fields that nothing reads there"
)]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::integration::UserStatus;

/// One employee in one integration.
#[derive(
    CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq,
)]
#[kube(
    group = "bobsync.dev",
    version = "v1alpha1",
    kind = "EmployeeSync",
    plural = "employeesyncs",
    shortname = "esync",
    category = "bobsync",
    namespaced,
    derive = "PartialEq",
    selectable = ".spec.integrationRef.name",
    selectable = ".spec.employeeId",
    status = "EmployeeSyncStatus",
    selectable = ".status.access",
    selectable = ".status.reason",
    doc = "One employee in one integration: what was decided, what was done, and why. Deleting it never touches the account.",
    validation = Rule::new("self.metadata.name == self.spec.integrationRef.name + '-' + self.spec.employeeId").message("the name must be the integration's name, a dash, and the employee id: there is one EmployeeSync for each employee and integration"),
    printcolumn(name = "Employee", type_ = "string", json_path = ".status.username"),
    printcolumn(name = "Integration", type_ = "string", json_path = ".spec.integrationRef.name"),
    printcolumn(name = "Access", type_ = "string", json_path = ".status.access"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextTransition.instant"),
    printcolumn(name = "Then", type_ = "string", json_path = ".status.nextTransition.access"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Local", type_ = "string", json_path = ".status.nextTransition.at", priority = 1),
    printcolumn(name = "Last action", type_ = "string", json_path = ".status.history[?(@.outcome=='Succeeded')].action", priority = 1),
    printcolumn(name = "Account", type_ = "string", json_path = ".status.account.id", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1),
)]
#[serde(rename_all = "camelCase")]
pub struct EmployeeSyncSpec {
    /// The integration, in the same namespace.
    #[x_kube(validation = Rule::new("self == oldSelf").message("integrationRef is immutable: delete this object and create another"))]
    pub integration_ref: IntegrationRef,
    /// Bob's `root.id` of the employee.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[0-9]+$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("employeeId is immutable: delete this object and create another"))]
    pub employee_id: String,
    /// Hands off: the account of this employee is left as it is.
    // False is neither sent nor a default, because the field belongs to the person or the tool that
    // sets it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// In place of the integration's `provisioning.userStatus`, for this employee.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_status: Option<UserStatus>,
    /// In place of what the mapping gives, for this employee: the provider's own name of an attribute and its value. An empty
    /// value clears the attribute. A target that refers to a person takes the Bob id of an employee.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub attributes: BTreeMap<String, AttributeValue>,
    /// The field of the spec that this version cannot read. The rest of the spec is then made up
    /// and means hands off. The object has no such field.
    #[serde(skip)]
    pub unreadable: Option<String>,
}

/// A value of an attribute.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(transparent)]
pub struct AttributeValue(#[schemars(length(max = 1024))] pub String);

/// An integration in the same namespace.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct IntegrationRef {
    /// Name of the `ProvisioningIntegration`.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
}

/// What the controller says of one employee. Attribute values never appear here, but for `username`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EmployeeSyncStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The decided username; absent with `privacy.usernames: Hide`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The account at the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
    /// What access the account has, as far as bobsync answers for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// The reason of `Ready`, for field selectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `Ready`, `Provisioned`, `AttributesSynced`, `AccessSynced`, `ManagerResolved`, `Stalled`.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The next moment at which the decision changes by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_transition: Option<NextTransition>,
    /// The end of the employment that the decision rests on. It holds while Bob does not show the employee.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub employment_ended: Option<EmploymentEnded>,
    /// Evidence that no later read of Bob would show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// With `existingEmployees: OnChange`: this employee was in Bob before the integration and waits for a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub awaiting_change: Option<AwaitingChange>,
    /// With `driftPolicy: Report`: digests of the values that were last in place, by attribute: another value at the provider is drift, another one in Bob is a change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_applied: Vec<String>,
    /// Attributes that the provider keeps in another form than they were sent: a digest of what was sent, and one of what is kept (none where no form lasted). They are written again when either side changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept_differently: Vec<String>,
    /// Attributes that something else at the provider has set back within the window of `safety.updates`: when bobsync wrote the value, and a digest of it. After six such writes the attribute is `Contested`, and not written again for as long as that window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["attribute"]))]
    pub set_back: Vec<SetBack>,
    /// The value of the annotation `bobsync.dev/sync-requested-at` that was last answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_sync_at: Option<String>,
    /// When a change of each kind last went out, where the line in the history had to make room: the budgets count it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted: Option<Counted>,
    /// This person's part in a plan that is held, or was approved and is not through: a digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_part: Option<String>,
    /// The last ten changes, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryEntry>,
}

/// When a change of each kind last went out, approved ones aside.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Counted {
    /// Access taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Time>,
    /// Access given back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reactivated_at: Option<Time>,
    /// The account created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// Attributes changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Time>,
}

/// The writes of a value that something else has set back.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SetBack {
    /// The provider's name of the attribute.
    pub attribute: String,
    /// A digest of the value that was written.
    pub sent: String,
    /// When it was written, the last six times at most.
    pub written_at: Vec<Time>,
    /// Whether it was set back too often to be written again now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contested: Option<bool>,
}

/// The account at the provider.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AccountRef {
    /// The provider's own id.
    pub id: String,
    /// How the account was found.
    pub matched_by: MatchedBy,
}

/// How the account was found.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchedBy {
    /// bobsync created it.
    Created,
    /// It had the employee's e-mail and no mark, and was adopted.
    Email,
    /// It bears the employee's mark.
    // A word of a newer version reads as this one: every account that was written to has the mark.
    #[serde(other)]
    Mark,
}

/// Access as the status shows it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// No account yet.
    NotYet,
    /// The account can be used.
    Active,
    /// The account is suspended.
    Suspended,
    /// There is no account, and there shall be none.
    Absent,
    /// The settings leave this person alone.
    Unmanaged,
    /// A word of a newer version. Never written.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// The next moment at which the decision changes by itself.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NextTransition {
    /// The instant, written with the offset of the site's time zone (RFC 3339).
    pub at: String,
    /// The same instant in UTC: texts of it sort as the instants do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instant: Option<String>,
    /// IANA time zone of the employee's site.
    pub time_zone: String,
    /// What access becomes.
    pub access: Access,
    /// Which date in Bob decides it.
    pub because: Because,
}

/// An end of an employment, as Bob showed it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct EmploymentEnded {
    /// What says so.
    pub because: EndReason,
    /// The date that it rests on, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
}

/// What says that an employment has ended.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// Bob's lifecycle status is Terminated.
    Terminated,
    /// `employee.lastDayOfWork`
    LastDayOfWork,
    /// `internal.terminationDate`
    TerminationDate,
}

/// Which date in Bob decides a transition.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Because {
    /// `work.startDate`
    StartDate,
    /// `employee.lastDayOfWork`
    LastDayOfWork,
    /// `internal.terminationDate`
    TerminationDate,
    /// `employee.recentLeaveStartDate`; whether the leave takes access away, Bob says when it begins.
    LeaveStart,
    /// `employee.recentLeaveEndDate`; access comes back when Bob says so.
    LeaveEnd,
}

/// An employee who was in Bob before the integration.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AwaitingChange {
    /// Digests of what Bob said when the wait began: another answer ends it.
    pub baseline: String,
}

/// Evidence that no later read of Bob would show.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// What was seen.
    pub kind: EvidenceKind,
    /// When it was seen; of what Bob pushed, the time that Bob names.
    pub observed_at: Time,
    /// With `AccessRevoked`: the start date in Bob at that time. A later one is another employment, and ends the revocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_date: Option<String>,
}

/// What was seen.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Hash)]
pub enum EvidenceKind {
    /// The read by id answered that the employee file does not exist, or Bob reported its deletion (`employee.deleted`).
    FileDeleted,
    /// Bob reported that access is revoked immediately (`employee.access.revoked.immediately`).
    AccessRevoked,
    /// A word of a newer version, kept for it.
    #[schemars(skip)]
    Unknown(String),
}

impl Serialize for EvidenceKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::FileDeleted => "FileDeleted",
            Self::AccessRevoked => "AccessRevoked",
            Self::Unknown(word) => word,
        })
    }
}

impl<'de> Deserialize<'de> for EvidenceKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Ok(match &*word {
            "FileDeleted" => Self::FileDeleted,
            "AccessRevoked" => Self::AccessRevoked,
            _ => Self::Unknown(word),
        })
    }
}

/// How many changes the history keeps.
pub const HISTORY: usize = 10;

/// One change of the account.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// When the provider answered.
    pub at: Time,
    /// What was asked of the provider.
    pub action: Action,
    /// The provider's names of the attributes that were sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// What woke the pass.
    pub trigger: Trigger,
    /// How it ended.
    pub outcome: OutcomeWord,
    /// The digest of the held plan that this change was approved with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Whether no budget counts it: the first pass made it to an account without a mark, or it belongs to a creation or to a
    /// first day.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub uncounted: bool,
    /// The provider's request id, for its support.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What was asked of the provider.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A new account.
    Create,
    /// An existing account was taken over by e-mail.
    Adopt,
    /// Attributes changed.
    Update,
    /// Access taken away, with whatever attributes changed besides.
    Suspend,
    /// Access given back, with whatever attributes changed besides.
    Reactivate,
}

/// What woke the pass.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// The interval.
    Interval,
    /// An event that Bob pushed.
    Webhook,
    /// A sync request.
    Manual,
    /// A date arrived.
    Transition,
    /// A spec or a Secret changed, an object was deleted, or the controller started.
    Spec,
    /// An earlier attempt failed.
    Retry,
}

/// How a change ended.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutcomeWord {
    /// The provider confirmed it.
    Succeeded,
    /// The provider refused it, or it could not be done.
    Failed,
}
