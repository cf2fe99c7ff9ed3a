//! `EmployeeSync`: one employee in one integration. Its status is the audit trail of that employee.

#![allow(
    dead_code,
    reason = "everything here is public, and the macro makes second structs of fields that nothing \
        reads there"
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
    doc = "One employee in one integration: what bobsync decided, what it did, and why. Deleting \
        this object never changes the account.",
    validation = Rule::new("self.metadata.name == self.spec.integrationRef.name + '-' + \
        self.spec.employeeId").message("name it <integration>-<employeeId>: there is one \
            EmployeeSync for each employee and integration"),
    printcolumn(name = "Employee", type_ = "string", json_path = ".status.username"),
    printcolumn(name = "Integration", type_ = "string", json_path = ".spec.integrationRef.name"),
    printcolumn(name = "Access", type_ = "string", json_path = ".status.access"),
    printcolumn(name = "Ready", type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextTransition.instant"),
    printcolumn(name = "Then", type_ = "string", json_path = ".status.nextTransition.access"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Local", type_ = "string", json_path = ".status.nextTransition.at",
        priority = 1),
    printcolumn(name = "Last action", type_ = "string",
        json_path = ".status.history[?(@.outcome=='Succeeded')].action", priority = 1),
    printcolumn(name = "Account", type_ = "string", json_path = ".status.account.id", priority = 1),
    printcolumn(name = "Message", type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1),
)]
#[serde(rename_all = "camelCase")]
pub struct EmployeeSyncSpec {
    /// The integration that this object belongs to, in the same namespace.
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("integrationRef cannot be changed: delete this object and create another one"))]
    pub integration_ref: IntegrationRef,
    /// Bob's id of the employee (`root.id`).
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[0-9]+$"))]
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("employeeId cannot be changed: delete this object and create another one"))]
    pub employee_id: String,
    /// Hands off: bobsync leaves the account of this employee as it is.
    // False is neither sent nor a default, because the field belongs to the person or the tool that
    // sets it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// Replaces the integration's `provisioning.userStatus` for this employee.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_status: Option<UserStatus>,
    /// Values that replace what the mapping gives for this employee, by the provider's own name of
    /// the attribute. An empty value clears the attribute. A target that refers to an employee,
    /// such as the manager, takes that employee's id in Bob.
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

/// What the controller reports about one employee. Attribute values never appear here, except
/// `username`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EmployeeSyncStatus {
    /// The generation of the spec that this status answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The username that bobsync decided. Absent with `privacy.usernames: Hide`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The account at the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
    /// What access the account has. `Unmanaged`: the settings leave this employee out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// The reason of the condition `Ready`, for field selectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `Ready`, `Provisioned`, `AttributesSynced`, `AccessSynced`, `ManagerResolved`, `Stalled`.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The next time at which the decision changes by itself, because of a date in Bob.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_transition: Option<NextTransition>,
    /// The end of the employment that the decision follows. It stays valid while Bob does not show
    /// the employee.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub employment_ended: Option<EmploymentEnded>,
    /// Evidence that a later read of Bob does not show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// Only with `existingEmployees: OnChange`: this employee was in Bob before the integration,
    /// and bobsync waits for a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub awaiting_change: Option<AwaitingChange>,
    /// Only with `driftPolicy: Report`: for each attribute, a digest of the value that was last in
    /// place. If the value at the provider differs, that is drift. If the value in Bob differs,
    /// that is a change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_applied: Vec<String>,
    /// Attributes that the provider keeps in another form than bobsync sent: a digest of what was
    /// sent and a digest of what is kept. The second is missing if no form lasted. They are written
    /// again when either side changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept_differently: Vec<String>,
    /// Attributes that another writer at the provider has set back within the window of
    /// `safety.updates`: a digest of the value and when bobsync wrote it. After six such writes the
    /// attribute is `Contested`, and bobsync does not write it again until that window has passed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["attribute"]))]
    pub set_back: Vec<SetBack>,
    /// The value of the annotation `bobsync.dev/sync-requested-at` that was answered last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_sync_at: Option<String>,
    /// When a change of each kind was last made, if its line is no longer in the history. The
    /// budgets count it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted: Option<Counted>,
    /// A digest of this employee's part in a plan that is held, or in an approved plan that is not
    /// complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_part: Option<String>,
    /// The last ten changes, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryEntry>,
}

/// When a change of each kind was last made. Approved changes are not included.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Counted {
    /// The last suspension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Time>,
    /// The last reactivation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reactivated_at: Option<Time>,
    /// When the account was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// The last update of attributes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Time>,
}

/// The writes of a value that another writer has set back.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SetBack {
    /// The provider's name for the attribute.
    pub attribute: String,
    /// A digest of the value that was written.
    pub sent: String,
    /// When bobsync wrote it: the last six times at most.
    pub written_at: Vec<Time>,
    /// Whether it was set back so often that bobsync does not write it now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contested: Option<bool>,
}

/// The account at the provider.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AccountRef {
    /// The provider's id of the account.
    pub id: String,
    /// How bobsync found the account. `Created`: bobsync created it. `Mark`: it has the employee's
    /// mark. `Email`: it had the employee's e-mail and no mark, and was adopted.
    pub matched_by: MatchedBy,
}

/// How bobsync found the account. `Created`: bobsync created it. `Mark`: it has the employee's
/// mark. `Email`: it had the employee's e-mail and no mark, and was adopted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchedBy {
    /// bobsync created it.
    Created,
    /// It had the employee's e-mail and no mark, and was adopted.
    Email,
    /// It has the employee's mark.
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
    /// There is no account, and bobsync does not create one.
    Absent,
    /// The settings leave this employee out.
    Unmanaged,
    /// A word of a newer version. Never written.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// The next time at which the decision changes by itself, because of a date in Bob.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NextTransition {
    /// That time (RFC 3339), in the time zone of the employee's site.
    pub at: String,
    /// The same time in UTC, so that a list can be sorted by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instant: Option<String>,
    /// IANA time zone of the employee's site.
    pub time_zone: String,
    /// What access the account has then.
    pub access: Access,
    /// Which date in Bob decides it.
    pub because: Because,
}

/// The end of an employment, as Bob showed it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct EmploymentEnded {
    /// What in Bob says so.
    pub because: EndReason,
    /// The date of the end, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
}

/// What in Bob says that an employment has ended.
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
    /// `employee.recentLeaveStartDate`. When the leave begins, Bob says whether it takes access
    /// away.
    LeaveStart,
    /// `employee.recentLeaveEndDate`. Access comes back when Bob says so.
    LeaveEnd,
}

/// An employee who was in Bob before the integration.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AwaitingChange {
    /// Digests of the employee's data in Bob when the wait began. When they differ, the wait ends.
    pub baseline: String,
}

/// Evidence that a later read of Bob does not show.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// What was seen.
    pub kind: EvidenceKind,
    /// When bobsync saw it. For an event from Bob: the time that Bob names.
    pub observed_at: Time,
    /// Only with `AccessRevoked`: the start date in Bob at that time. A later start date is another
    /// employment and ends the revocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_date: Option<String>,
}

/// What was seen.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Hash)]
pub enum EvidenceKind {
    /// Bob's read by id said that the employee file does not exist, or Bob reported its deletion
    /// (`employee.deleted`).
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
    /// What bobsync asked the provider to do.
    pub action: Action,
    /// The attributes that were sent, by the provider's names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// What started the pass.
    pub trigger: Trigger,
    /// How it ended.
    pub outcome: OutcomeWord,
    /// The digest of the approved plan that this change belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Whether no budget counts this change: the first pass made it on an account without a mark,
    /// or it belongs to a creation or to a first day.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub uncounted: bool,
    /// The provider's id of the request, for the provider's support.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What bobsync asked the provider to do.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A new account.
    Create,
    /// An existing account was adopted by its e-mail.
    Adopt,
    /// Attributes changed.
    Update,
    /// Access was taken away. Attributes may have changed in the same request.
    Suspend,
    /// Access was given back. Attributes may have changed in the same request.
    Reactivate,
}

/// What started the pass.
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
