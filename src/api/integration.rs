//! `ProvisioningIntegration`: one Bob company, one provider, and how employees become accounts. The
//! rules that depend on the provider are in `engine::settings::rules`.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{
    CustomResource, KubeSchema,
    core::{Reason, Rule},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::mapping::{Apply, MappingRow};
pub use super::numbers::{BudgetState, BudgetStates, EmployeeCounts, LastPass, Progress, Step};
use super::provider::Provider;
pub use super::safety::{
    AccountName, Administrators, Adoption, Budget, DriftPolicy, Safety, Share,
};
pub use super::secrets::{SecretKeyRef, SecretRef};

/// Keeps the accounts at one identity provider as one Bob company says.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "bobsync.dev",
    version = "v1alpha1",
    kind = "ProvisioningIntegration",
    plural = "provisioningintegrations",
    shortname = "pi",
    category = "bobsync",
    namespaced,
    derive = "PartialEq",
    status = "ProvisioningIntegrationStatus",
    doc = "Keeps the accounts at one identity provider as one Bob company says. Deleting this \
        object never changes an account.",
    validation = Rule::new("self.metadata.name.size() <= 63").message("the name may have at most \
        63 characters, because it becomes a label of every EmployeeSync"),
    printcolumn(name = "Ready", type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "In scope", type_ = "integer", json_path = ".status.employees.inScope"),
    printcolumn(name = "In sync", type_ = "integer", json_path = ".status.employees.ready"),
    printcolumn(name = "Failing", type_ = "integer", json_path = ".status.employees.failing"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".status.mode"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = mode_is_chosen())]
pub struct ProvisioningIntegrationSpec {
    /// Stops all work on this integration. Accounts and statuses stay as they are.
    #[serde(default)]
    pub suspend: bool,
    /// Time between two full passes, as a Go duration such as `10m`: at least 1m, at most 24h. Each
    /// time is shorter by up to 5 %, so that integrations do not all begin together.
    #[serde(default = "ten_minutes")]
    #[schemars(length(max = 20))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]+([.][0-9]+)?(h|m|s|ms))+$') && \
        duration(self) >= duration('1m')")
        .message("the interval is a duration of at least 1m, such as 10m"))]
    #[x_kube(validation = Rule::new("!self.matches('^([0-9]+([.][0-9]+)?(h|m|s|ms))+$') || \
        duration(self) <= duration('24h')")
        .message("the interval is a duration of at most 24h, such as 10m"))]
    pub interval: String,
    /// What a pass may do. Required, without a default. An integration that was stored without it
    /// counts as Enforce.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Where the employees come from.
    pub bob: Bob,
    /// Where the accounts are: exactly one provider.
    pub provider: Provider,
    /// Which employees get an account, when, and in which state.
    #[serde(default)]
    pub provisioning: Provisioning,
    /// Which Bob field gives which attribute its value. Absent: the provider's default map.
    /// Present: exactly these rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["target".into()]))]
    pub mapping: Option<Vec<MappingRow>>,
    /// The guards: what they hold until a person approves it, and their limits.
    #[serde(default)]
    pub safety: Safety,
    /// Approves a held plan: its digest, from `status.plan.digest`. Releases exactly that plan,
    /// once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 80))]
    #[x_kube(validation = Rule::new("self.matches('^sha256:[0-9a-f]{64}$')")
        .message("approvedPlan is the digest of a held plan as status.plan.digest shows it: \
            sha256: and 64 hexadecimal digits"))]
    pub approved_plan: Option<String>,
    /// How long the `EmployeeSync` of an employee who is no longer in Bob is kept as evidence, as a
    /// Go duration such as `2160h`. The account stays as it is.
    #[serde(default = "ninety_days")]
    #[schemars(length(max = 20))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]+([.][0-9]+)?(h|m|s|ms))+$') && \
        duration(self) >= duration('0s')")
        .message("the retention is a duration such as 2160h"))]
    pub retention: String,
    /// Which personal data a status may show.
    #[serde(default)]
    pub privacy: Privacy,
}

/// Requires that the mode is chosen. An integration that was stored without a mode may stay so.
fn mode_is_chosen() -> Rule {
    Rule::new("has(self.mode) || oldSelf.hasValue() && !has(oldSelf.value().mode)")
        .optional_old_self(true)
        .message(
            "choose a mode: DryRun plans and reports and writes nothing to the provider, Enforce \
             begins to write at once. Begin with mode: DryRun, look at status.plan, then set mode: \
             Enforce",
        )
        .field_path(".mode")
        .reason(Reason::FieldValueRequired)
}

/// Returns the default of `spec.interval`.
#[must_use]
pub fn ten_minutes() -> String {
    "10m".to_owned()
}

/// Returns the default of `spec.retention`.
#[must_use]
pub fn ninety_days() -> String {
    "2160h".to_owned()
}

impl ProvisioningIntegrationSpec {
    /// Returns what a pass may do. `Enforce` was the default before the field was required, so a
    /// stored object without the field means `Enforce`.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode.unwrap_or(Mode::Enforce)
    }
}

/// What a pass may do. Required, without a default. Enforce makes the accounts as Bob says.
/// `DryRun` plans and reports, and writes nothing to the provider.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Makes the accounts as Bob says.
    Enforce,
    /// Plans and reports, and writes nothing to the provider.
    DryRun,
}

/// Where the employees come from.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Bob {
    /// Secret in this namespace with the keys `serviceUserId` and `serviceUserToken`.
    pub credentials_secret_ref: SecretRef,
    /// Which of Bob's two services is called: Production or Sandbox.
    #[serde(default)]
    pub environment: Environment,
    /// Another base address in place of Bob's: scheme, host, port, and a path prefix if there is
    /// one. Calls go to `<endpoint>/v1/...`. Accepted only if the controller was started with
    /// `--allow-endpoint` for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^(https?://[^\\\\s?#@]+)?$')")
        .message("an endpoint is http:// or https:// and a host, and may have a port and a path \
            prefix; it has no user, no query and no fragment"))]
    pub endpoint: String,
    /// Key of a Secret that holds the signing secret of Bob's webhook. Present: webhooks are
    /// accepted at `/webhooks/bob/<namespace>/<name>`. To change the secret without a gap, keep the
    /// former one in the same Secret, under the name of the key with `Previous` at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_secret_ref: Option<SecretKeyRef>,
    /// IANA time zone of the sites that `siteTimeZones` does not list. Access changes at midnight
    /// in the time zone of the employee's site.
    #[serde(default = "utc")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: String,
    /// IANA time zone of each site, by the site's name as Bob shows it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 1000))]
    pub site_time_zones: BTreeMap<String, ZoneName>,
}

/// An IANA time zone name such as `Europe/Berlin`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(transparent)]
pub struct ZoneName(#[schemars(length(min = 1, max = 64))] pub String);

/// Returns the default of `spec.bob.timeZone`.
#[must_use]
pub fn utc() -> String {
    "UTC".to_owned()
}

/// Bob's two services.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Environment {
    /// `api.hibob.com`
    #[default]
    Production,
    /// `api.sandbox.hibob.com`
    Sandbox,
}

/// Which employees get an account, when, and in which state.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Provisioning {
    /// When the account is created. `OnEmployeeStartDate`: on the start date, at midnight in the
    /// time zone of the employee's site. `OnEmployeeCreation`: as soon as the employee is in Bob.
    #[serde(default)]
    pub create: Create,
    /// Which accounts are active. `AccordingToBob`: as Bob says. `AlwaysActive`: only the disabling
    /// trigger suspends the account. `AlwaysInactive`: the account is created suspended, and
    /// bobsync never activates it.
    #[serde(default)]
    pub user_status: UserStatus,
    /// Only employees with a work e-mail in one of these domains are managed. The domain must be
    /// equal; upper and lower case count as the same. Empty: all employees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[x_kube(validation = Rule::new("self.all(d, d.matches('^[^@\\\\s*]+$'))")
        .message("write the domain only, such as example.com, without @, spaces and *"))]
    pub email_domains: Vec<Domain>,
    /// Suspends the account at the earliest of the termination date, the last day of work and the
    /// deletion of the employee file.
    #[serde(default = "yes")]
    pub disabling_trigger: bool,
    /// When access ends on the last day, in the time zone of the employee's site. `EndOfLastDay`:
    /// at the midnight after it. `StartOfLastDay`: at the midnight before it.
    #[serde(default)]
    pub access_ends: AccessEnds,
    /// What happens to employees who were in Bob before this integration. `NextPass`: the next pass
    /// brings them in sync. `OnChange`: their accounts stay as they are until a mapped field, a
    /// status or a date of theirs changes in Bob.
    #[serde(default)]
    pub existing_employees: ExistingEmployees,
    /// Only employees for which this CEL expression is true are managed, such as
    /// `employee.work.site != 'Contractors'`. Absent: all employees. See docs/expressions.md.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2000))]
    pub scope: Option<String>,
    /// Initial password of new accounts, at providers that take one. Absent: the password is
    /// generated, or the employee sets it, as the provider does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_password_secret_ref: Option<SecretKeyRef>,
    /// Whether the password of a new account must be changed at the first login, at providers that
    /// can ask for it.
    #[serde(default)]
    pub change_password_on_first_login: bool,
}

impl Default for Provisioning {
    fn default() -> Self {
        Self {
            create: Create::default(),
            user_status: UserStatus::default(),
            email_domains: Vec::new(),
            disabling_trigger: true,
            access_ends: AccessEnds::default(),
            existing_employees: ExistingEmployees::default(),
            scope: None,
            default_password_secret_ref: None,
            change_password_on_first_login: false,
        }
    }
}

fn yes() -> bool {
    true
}

/// A DNS domain such as `example.com`. An internationalised name may be in either of its two forms.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(transparent)]
pub struct Domain(#[schemars(length(min = 1, max = 253))] pub String);

/// When the account is created.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Create {
    /// On the start date, at midnight in the time zone of the employee's site.
    #[default]
    OnEmployeeStartDate,
    /// As soon as the employee is in Bob.
    OnEmployeeCreation,
}

/// Which accounts are active. `AccordingToBob`: as Bob says. `AlwaysActive`: only the disabling
/// trigger suspends the account. `AlwaysInactive`: the account is created suspended, and bobsync
/// never activates it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UserStatus {
    /// Suspended until the start date, and while Bob shows the employee as inactive. Else active.
    #[default]
    AccordingToBob,
    /// Created active, and never suspended for a leave.
    AlwaysActive,
    /// Created suspended. A person may activate the account, and bobsync leaves it so.
    AlwaysInactive,
}

/// What happens to employees who were in Bob before the integration.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExistingEmployees {
    /// The next pass creates missing accounts and updates existing ones.
    #[default]
    NextPass,
    /// Their accounts stay as they are until a mapped field, a status or a date of theirs changes
    /// in Bob.
    OnChange,
}

/// When access ends on the last day.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessEnds {
    /// At the midnight after the day.
    #[default]
    EndOfLastDay,
    /// At the midnight before the day.
    StartOfLastDay,
}

/// Which personal data a status may show.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct Privacy {
    /// Whether `status.username` of each `EmployeeSync` is written: Show or Hide.
    #[serde(default)]
    pub usernames: Usernames,
}

/// Whether `status.username` is written.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Usernames {
    /// Written.
    #[default]
    Show,
    /// Left out.
    Hide,
}

/// What the controller reports about this integration.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ProvisioningIntegrationStatus {
    /// The generation of the spec that the last pass, or its refusal, has answered. `Reconciling`
    /// says whether that generation is carried out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The mode in force: `spec.mode`, or Enforce if the integration was stored before `spec.mode`
    /// was required. Absent while this version cannot read the spec, because no work is done then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// `Ready`, `Reconciling`, `Stalled`, `BobConnected`, `ProviderConnected`, `MappingComplete`,
    /// `TimeZonesComplete`, `WebhooksAccepted`, `PlanHeld`, `EmployeesFailing`,
    /// `ControllerHealthy`.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// How many employees there are, by their state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub employees: Option<EmployeeCounts>,
    /// The last pass that changed anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_pass: Option<LastPass>,
    /// How far the full pass is that runs now. Shown only for a pass that takes some seconds, and
    /// at most every five seconds. Removed when the pass ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// When a pass that was stopped, or that left something undone, is tried again. Absent: nothing
    /// is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<Time>,
    /// What a dry run would do, or what a guard holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanSummary>,
    /// What each budget allows and has used after the last pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budgets: Option<BudgetStates>,
    /// When the first pass that writes was complete. Until then the employees who are already there
    /// get accounts and values without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_pass_at: Option<Time>,
    /// Since when bobsync gives no access back, because the integration began without a status. It
    /// lasts until a person approves the plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reactivations_held_since: Option<Time>,
    /// The provider's tenant of the recorded accounts, as the service itself names it. If the
    /// service names none: the name that the settings give it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The name that the settings give that tenant: the provider's address, and what distinguishes
    /// the tenant from others at that address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_named: Option<String>,
    /// The plan that a person approved last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approved>,
    /// Immediate revocations that no read of Bob shows. They are kept here so that they still hold
    /// after an `EmployeeSync` was deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), extend("x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["employeeId"]))]
    pub revoked: Vec<RevokedAccess>,
    /// Which lifecycle statuses Bob has shown, so that bobsync notices when one of them is missing
    /// completely.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifecycles: Option<Lifecycles>,
    /// The value of the annotation `bobsync.dev/sync-requested-at` that a full pass answered last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_sync_at: Option<String>,
}

/// A held plan that a person approved.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Approved {
    /// The digest of the plan.
    pub digest: String,
    /// Who approved it: the field manager of `spec.approvedPlan`, as the API server recorded it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When the plan was released.
    pub at: Time,
    /// What the digest is chained to: the digest that was released before, or the integration's
    /// uid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Whether the plan lets employees leave management and not all of them have left yet.
    #[serde(default)]
    pub leaving: bool,
    /// The plans that were released before, newest first. What is not done of them yet goes on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub earlier: Vec<EarlierPlan>,
}

/// A plan that was released before the last one.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct EarlierPlan {
    /// The digest of the plan.
    pub digest: String,
    /// What the digest is chained to.
    pub after: String,
}

impl Approved {
    /// Returns the digest of the released plan that an employee's part belongs to, among the last
    /// plan and the earlier ones. `part` is the recorded part. `of` returns what the part is in the
    /// plan after a given release.
    #[must_use]
    pub fn plan_of(&self, part: u64, of: impl Fn(&str) -> u64) -> Option<&str> {
        let last = self.after.as_deref().map(|after| (&*self.digest, after));
        let all =
            last.into_iter().chain(self.earlier.iter().map(|plan| (&*plan.digest, &*plan.after)));
        all.filter(|(_, after)| of(after) == part).map(|(digest, _)| digest).next()
    }

    /// Returns this plan and the earlier ones, which are the earlier plans of the next release.
    #[must_use]
    pub fn and_earlier(&self) -> Vec<EarlierPlan> {
        let this =
            self.after.clone().map(|after| EarlierPlan { digest: self.digest.clone(), after });
        this.into_iter().chain(self.earlier.iter().cloned()).take(10).collect()
    }
}

/// One immediate revocation (Bob's `employee.access.revoked.immediately`).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RevokedAccess {
    /// Bob's `root.id` of the employee.
    pub employee_id: String,
    /// The time of the revocation, as Bob names it.
    pub observed_at: Time,
    /// The employee's start date in Bob at that time. A later start date is another employment and
    /// ends the revocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_date: Option<String>,
    /// When Bob reported the employee activated again. Kept for some days, so that an older event
    /// that arrives late is not taken for a newer one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
}

/// Which lifecycle statuses Bob has shown. Names no employee.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Lifecycles {
    /// The lifecycle statuses in the last answer of Bob that bobsync believed, and those of
    /// employees who are missing since then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub shown: Vec<String>,
    /// Whether employees with an unknown status are missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
    /// Whether Bob has ever shown an employee who is Hired or Terminated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hired_or_terminated: bool,
    /// Whether Bob has ever shown an employee who is Terminated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub terminated: bool,
}

/// What a dry run would do, or what a guard holds.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PlanSummary {
    /// Digest of the employees, the changes and the values. Equal digests mean equal plans.
    pub digest: String,
    /// Accounts to create.
    pub creates: u32,
    /// Accounts to reactivate.
    pub reactivations: u32,
    /// Accounts to update, adoptions included.
    pub updates: u32,
    /// Accounts to suspend.
    pub disables: u32,
    /// Employees who would leave management.
    #[serde(default)]
    pub leaving: u32,
    /// Who they are: the first 1000 of them, by Bob's employee id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(max = 64)))]
    pub leaving_employees: Vec<String>,
    /// Why the plan is held. Absent: it is the plan of a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_because: Option<String>,
}
