//! `ProvisioningIntegration`: one Bob company, one provider, and how employees become accounts.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::mapping::{Apply, MappingRow};
pub use super::numbers::{BudgetState, BudgetStates, EmployeeCounts, LastPass, Progress, Step};
use super::provider::Provider;
pub use super::safety::{
    AccountName, Administrators, Adoption, Budget, DriftPolicy, Safety, Share,
};

/// Keeps the accounts of one identity provider true to one Bob company.
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
    doc = "Keeps the accounts of one identity provider true to one Bob company. Deleting it never touches an account.",
    validation = Rule::new("self.metadata.name.size() <= 63").message("the name may have at most 63 characters, because it becomes a label of every EmployeeSync"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "In scope", type_ = "integer", json_path = ".status.employees.inScope"),
    printcolumn(name = "In sync", type_ = "integer", json_path = ".status.employees.ready"),
    printcolumn(name = "Failing", type_ = "integer", json_path = ".status.employees.failing"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".status.mode"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.mode) || oldSelf.hasValue() && !has(oldSelf.value().mode)").optional_old_self(true).message("choose a mode: DryRun plans and reports and writes nothing to the provider, Enforce converges the provider at once. Begin with mode: DryRun, look at status.plan, then set mode: Enforce").field_path(".mode").reason(Reason::FieldValueRequired))]
#[x_kube(validation = Rule::new("!has(self.provider.oneLogin) || !has(self.mapping) || ['email', 'username'].all(t, self.mapping.exists(m, m.target == t))").message("OneLogin requires the targets email and username: add a mapping row for each, or remove `mapping` to use the default map").field_path(".mapping"))]
#[x_kube(validation = Rule::new("!has(self.provider.oneLogin) || !has(self.mapping) || self.mapping.all(m, m.target in ['email', 'username', 'firstname', 'lastname', 'phone', 'title', 'department', 'company', 'comment', 'preferred_locale_code', 'samaccountname', 'userprincipalname', 'distinguished_name', 'member_of', 'group_id', 'manager_user_id'] || m.target.matches('^custom_attributes[.][A-Za-z0-9_]{1,64}$'))").message("OneLogin has no such target: use email, username, firstname, lastname, phone, title, department, company, comment, preferred_locale_code, samaccountname, userprincipalname, distinguished_name, member_of, manager_user_id or custom_attributes.<shortname>").field_path(".mapping"))]
#[x_kube(validation = Rule::new("!has(self.provider.oneLogin) || !has(self.provisioning.defaultPasswordSecretRef)").message("OneLogin takes no default password: bobsync sets no password there, and OneLogin mails nobody whose account is made by its API, so people get in by single sign-on from elsewhere, or by an invitation that an administrator sends. Remove it; Google Workspace, Entra ID and JumpCloud take one").field_path(".provisioning.defaultPasswordSecretRef"))]
#[x_kube(validation = Rule::new("!has(self.provider.oneLogin) || !self.provisioning.changePasswordOnFirstLogin").message("OneLogin cannot ask for another password at the first login. Remove changePasswordOnFirstLogin; Google Workspace, Entra ID and JumpCloud can").field_path(".provisioning.changePasswordOnFirstLogin"))]
#[x_kube(validation = Rule::new("!has(self.provider.oneLogin) || !has(self.mapping) || self.mapping.all(m, m.target != 'manager_user_id' || (has(m.field) && m.field == 'work.manager'))").message("manager_user_id refers to a person: map it from the field work.manager").field_path(".mapping"))]
#[x_kube(validation = Rule::new("!has(self.provider.googleWorkspace) || !has(self.mapping) || ['primaryEmail', 'name.givenName', 'name.familyName'].all(t, self.mapping.exists(m, m.target == t))").message("Google Workspace requires the targets primaryEmail, name.givenName and name.familyName: add a mapping row for each, or remove `mapping` to use the default map").field_path(".mapping"))]
#[x_kube(validation = Rule::new("!has(self.provider.googleWorkspace) || !has(self.mapping) || self.mapping.all(m, m.target in ['primaryEmail', 'name.givenName', 'name.familyName', 'name.displayName', 'orgUnitPath', 'recoveryEmail', 'recoveryPhone'] || m.target != 'externalIds.bobsync' && m.target.matches('^(phones|relations|externalIds)[.][A-Za-z0-9_]{1,64}$|^organizations[.](name|title|department|description|costCenter|location|symbol|domain)$|^customSchemas([.][A-Za-z0-9_-]{1,64}){2}$|^addresses[.][A-Za-z0-9_]{1,64}[.](streetAddress|extendedAddress|locality|region|postalCode|country|countryCode|poBox|formatted)$|^locations[.][A-Za-z0-9_]{1,64}[.](area|buildingId|floorName|floorSection|deskCode)$'))").message("Google Workspace has no such target: use primaryEmail, name.givenName, name.familyName, name.displayName, orgUnitPath, recoveryEmail, recoveryPhone, phones.<type>, organizations.<field>, relations.<type>, externalIds.<type>, addresses.<type>.<part>, locations.<type>.<part> or customSchemas.<schema>.<field>").field_path(".mapping"))]
#[x_kube(validation = Rule::new("!has(self.provider.googleWorkspace) || !has(self.mapping) || self.mapping.all(m, !m.target.matches('^(phones|relations|externalIds)[.]custom$|^(addresses|locations)[.]custom[.]'))").message("type custom alone names no entry, because each tool tells its own by their customType: write the customType in place of custom, such as phones.satellite for type custom and customType satellite").field_path(".mapping"))]
#[x_kube(validation = Rule::new("!has(self.provider.googleWorkspace) || !has(self.mapping) || self.mapping.all(m, m.target != 'relations.manager' || (has(m.field) && m.field == 'work.manager'))").message("relations.manager refers to a person: map it from the field work.manager").field_path(".mapping"))]
#[x_kube(validation = Rule::new("!has(self.provider.googleWorkspace) || !has(self.mapping) || self.mapping.all(m, !m.target.startsWith('relations.') || m.target == 'relations.manager' || !(has(m.field) && m.field == 'work.manager' || has(m.formula) && m.formula.contains('{work.manager}')))").message("work.manager is a reference to a person, and only relations.manager is written as the address of that person's account; any other relation would hold Bob's number of the manager. Map work.manager to relations.manager, or this relation from a field that is a text").field_path(".mapping"))]
#[x_kube(validation = Rule::new("!has(self.provider.entraID) || !has(self.mapping) || ['userPrincipalName', 'displayName'].all(t, self.mapping.exists(m, m.target == t))").message("Microsoft Entra ID requires the targets userPrincipalName and displayName: add a mapping row for each, or remove `mapping` to use the default map").field_path(".mapping"))]
#[x_kube(validation = Rule::new("!has(self.provider.entraID) || !has(self.mapping) || self.mapping.all(m, m.target in ['userPrincipalName', 'mail', 'mailNickname', 'displayName', 'givenName', 'surname', 'mobilePhone', 'faxNumber', 'jobTitle', 'department', 'companyName', 'officeLocation', 'streetAddress', 'city', 'state', 'postalCode', 'country', 'usageLocation', 'preferredLanguage', 'employeeId', 'employeeType', 'businessPhones', 'employeeHireDate', 'employeeOrgData.costCenter', 'employeeOrgData.division', 'manager'] || m.target.matches('^onPremisesExtensionAttributes[.]extensionAttribute([1-9]|1[0-5])$|^extension_[0-9A-Fa-f]{32}_[A-Za-z0-9_]{1,85}$'))").message("Microsoft Entra ID has no such target: use userPrincipalName, mail, mailNickname, displayName, givenName, surname, mobilePhone, faxNumber, jobTitle, department, companyName, officeLocation, streetAddress, city, state, postalCode, country, usageLocation, preferredLanguage, employeeId, employeeType, businessPhones, employeeHireDate, employeeOrgData.costCenter, employeeOrgData.division, manager, onPremisesExtensionAttributes.extensionAttribute<1 to 15> or extension_<appId without dashes>_<name>").field_path(".mapping"))]
#[x_kube(validation = Rule::new("!has(self.provider.entraID) || !has(self.mapping) || self.mapping.all(m, m.target != 'manager' || (has(m.field) && m.field == 'work.manager'))").message("manager refers to a person: map it from the field work.manager").field_path(".mapping"))]
#[x_kube(validation = Rule::new("!has(self.provider.entraID) || !has(self.mapping) || self.mapping.all(m, m.target != self.provider.entraID.markAttribute)").message("this target bears the mark: map another one, or move the mark to a directory extension with provider.entraID.markAttribute").field_path(".mapping"))]
#[x_kube(validation = Rule::new("!has(self.provider.jumpCloud) || !has(self.mapping) || ['email', 'username'].all(t, self.mapping.exists(m, m.target == t))").message("JumpCloud requires the targets email and username: add a mapping row for each, or remove `mapping` to use the default map").field_path(".mapping"))]
#[x_kube(validation = Rule::new("!has(self.provider.jumpCloud) || !has(self.mapping) || self.mapping.all(m, m.target in ['email', 'username', 'firstname', 'middlename', 'lastname', 'displayname', 'jobTitle', 'department', 'company', 'costCenter', 'location', 'description', 'employeeIdentifier', 'employeeType', 'alternateEmail', 'managedAppleId', 'manager'] || m.target != 'attributes.bobsyncEmployeeId' && m.target.matches('^phoneNumbers[.][A-Za-z0-9_]{1,64}$|^addresses[.][A-Za-z0-9_]{1,64}[.](poBox|extendedAddress|streetAddress|locality|region|postalCode|country)$|^attributes[.][A-Za-z0-9_-]{1,64}$'))").message("JumpCloud has no such target: use email, username, firstname, middlename, lastname, displayname, jobTitle, department, company, costCenter, location, description, employeeIdentifier, employeeType, alternateEmail, managedAppleId, manager, phoneNumbers.<type>, addresses.<type>.<part> or attributes.<name>").field_path(".mapping"))]
#[x_kube(validation = Rule::new("!has(self.provider.jumpCloud) || !has(self.mapping) || self.mapping.all(m, m.target != 'manager' || (has(m.field) && m.field == 'work.manager'))").message("manager refers to a person: map it from the field work.manager").field_path(".mapping"))]
#[x_kube(validation = Rule::new("!has(self.provider.jumpCloud) || !self.provisioning.changePasswordOnFirstLogin || has(self.provisioning.defaultPasswordSecretRef)").message("without a default password JumpCloud invites people to choose one, so there is none to be changed: set defaultPasswordSecretRef, or remove changePasswordOnFirstLogin").field_path(".provisioning.changePasswordOnFirstLogin"))]
#[x_kube(validation = Rule::new("!has(self.provider.jumpCloud) || !has(self.provisioning.defaultPasswordSecretRef) || self.provider.jumpCloud.passwordlessState != 'Staged'").message("passwordlessState: Staged is the state of an active account that is created without a password, and with defaultPasswordSecretRef every account is created with one: remove defaultPasswordSecretRef, or set passwordlessState: Activated").field_path(".provisioning.defaultPasswordSecretRef"))]
pub struct ProvisioningIntegrationSpec {
    /// Stops all work on this integration. Accounts and statuses stay as they are.
    #[serde(default)]
    pub suspend: bool,
    /// Time between two full convergence passes, as a Go duration such as `10m`. At least 1m, jittered by 5 %.
    #[serde(default = "ten_minutes")]
    #[schemars(length(max = 20))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]+([.][0-9]+)?(h|m|s|ms))+$') && duration(self) >= duration('1m')").message("the interval is a duration of at least 1m, such as 10m"))]
    #[x_kube(validation = Rule::new("!self.matches('^([0-9]+([.][0-9]+)?(h|m|s|ms))+$') || duration(self) <= duration('24h')").message("the interval must be at most 24h"))]
    pub interval: String,
    /// Required, without a default. Enforce converges the provider. `DryRun` plans and reports, and writes nothing to the provider.
    /// An integration that was stored without it counts as Enforce.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Where the employees come from.
    pub bob: Bob,
    /// Where the accounts live: exactly one provider.
    pub provider: Provider,
    /// Who gets an account, when, and in which state.
    #[serde(default)]
    pub provisioning: Provisioning,
    /// Which Bob field goes to which attribute. Absent: the provider's default map. Present: exactly these rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["target".into()]))]
    pub mapping: Option<Vec<MappingRow>>,
    /// What holds changes back until a person has looked at them.
    #[serde(default)]
    pub safety: Safety,
    /// Digest of a held plan (`status.plan.digest`) that may go out. Releases exactly that plan, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 80))]
    #[x_kube(validation = Rule::new("self.matches('^sha256:[0-9a-f]{64}$')").message("approvedPlan is the digest of a held plan as status.plan.digest shows it: sha256: and 64 hexadecimal digits"))]
    pub approved_plan: Option<String>,
    /// How long the `EmployeeSync` of a person who is gone from Bob is kept as evidence, as a Go duration. The account stays as it is.
    #[serde(default = "ninety_days")]
    #[schemars(length(max = 20))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]+([.][0-9]+)?(h|m|s|ms))+$') && duration(self) >= duration('0s')").message("the retention is a duration such as 2160h"))]
    pub retention: String,
    /// What may be written into status.
    #[serde(default)]
    pub privacy: Privacy,
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

/// What a pass may do.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Converge the provider.
    Enforce,
    /// Plan and report only.
    DryRun,
}

/// Where the employees come from.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Bob {
    /// Secret in this namespace with the keys `serviceUserId` and `serviceUserToken`.
    pub credentials_secret_ref: SecretRef,
    /// Which of Bob's two services to call.
    #[serde(default)]
    pub environment: Environment,
    /// Another base address in place of Bob's (scheme, host, port and a path prefix if any); called at `<endpoint>/v1/...`.
    /// Accepted only where the operator allowed it with `--allow-endpoint`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^(https?://[^\\\\s?#@]+)?$')").message("an endpoint is http:// or https://, a host, and a port and a path prefix if any, without user, query and fragment"))]
    pub endpoint: String,
    /// Key of a Secret with the secret that Bob shows for its webhook; present: webhooks are accepted at
    /// `/webhooks/bob/<namespace>/<name>`. While the secret is being changed, the one before stays valid under the same key
    /// with `Previous` at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_secret_ref: Option<SecretKeyRef>,
    /// IANA time zone of sites that `siteTimeZones` does not list. Midnight is the midnight of the employee's site.
    #[serde(default = "utc")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: String,
    /// IANA time zone by site name, as Bob shows the site.
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

/// A Secret in the resource's own namespace.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct SecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub name: String,
}

/// One key of a Secret in the resource's own namespace.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub name: String,
    /// Key in it.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[A-Za-z0-9._-]+$"))]
    pub key: String,
}

/// Who gets an account, when, and in which state.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Provisioning {
    /// When the account appears: on the start date at midnight of the employee's site, or as soon as the employee exists in Bob.
    #[serde(default)]
    pub create: Create,
    /// Who is active. `AccordingToBob` follows Bob; `AlwaysActive` is suspended by the disabling trigger alone; `AlwaysInactive` speaks of the creation only.
    #[serde(default)]
    pub user_status: UserStatus,
    /// Only employees whose work e-mail is in one of these domains (exactly, ignoring case). Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[x_kube(validation = Rule::new("self.all(d, d.matches('^[^@\\\\s*]+$'))").message("write each domain alone, such as example.com: without @, blanks and *"))]
    pub email_domains: Vec<Domain>,
    /// Suspends at the earliest of termination date, last day of work and deletion of the employee file.
    #[serde(default = "yes")]
    pub disabling_trigger: bool,
    /// Whether access ends at the end or at the start of that day, in the site's time zone.
    #[serde(default)]
    pub access_ends: AccessEnds,
    /// People who were in Bob before this integration: brought in sync by the next pass, or left alone until something that Bob says of them changes.
    #[serde(default)]
    pub existing_employees: ExistingEmployees,
    /// Only employees for whom this CEL expression is true: `employee.work.site != 'Contractors'`. Absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2000))]
    pub scope: Option<String>,
    /// Initial password of new accounts, for providers that take one. Absent: generated, or set by the person, as the provider does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_password_secret_ref: Option<SecretKeyRef>,
    /// Whether a new account's password must be changed at the first login, for providers that can ask for it.
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

/// A DNS domain such as `example.com`; internationalised names in either form.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(transparent)]
pub struct Domain(#[schemars(length(min = 1, max = 253))] pub String);

/// When the account appears.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Create {
    /// On the start date, at midnight of the employee's site.
    #[default]
    OnEmployeeStartDate,
    /// As soon as the employee exists in Bob.
    OnEmployeeCreation,
}

/// Who is active.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UserStatus {
    /// Future starters are suspended until the start date; inactive in Bob is suspended; active again is reactivated.
    #[default]
    AccordingToBob,
    /// Created active, and never suspended for a leave.
    AlwaysActive,
    /// Created suspended; a person may activate the account, and that is left alone.
    AlwaysInactive,
}

/// What happens to people who were in Bob before the integration.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExistingEmployees {
    /// The next pass creates missing accounts and updates existing ones.
    #[default]
    NextPass,
    /// Their accounts are left alone until a mapped field, a status or a date of theirs changes in Bob.
    OnChange,
}

/// Which end of the last day ends access.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessEnds {
    /// At the midnight after the day.
    #[default]
    EndOfLastDay,
    /// At the midnight before the day.
    StartOfLastDay,
}

/// What may be written into status.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct Privacy {
    /// Whether `status.username` is written to each `EmployeeSync`.
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

/// What the controller says of an integration.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ProvisioningIntegrationStatus {
    /// The generation that the last pass, or its refusal, has spoken of; `Reconciling` says whether it is seen through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The mode in force: `spec.mode`, or Enforce where the integration was stored before `spec.mode` was required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// `Ready`, `Reconciling`, `Stalled`, `BobConnected`, `ProviderConnected`, `MappingComplete`, `TimeZonesComplete`, `WebhooksAccepted`, `PlanHeld`, `EmployeesFailing`, `ControllerHealthy`.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// How many people, by what was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub employees: Option<EmployeeCounts>,
    /// The last pass that changed anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_pass: Option<LastPass>,
    /// How far the pass over everybody is that is under way. It is told of a pass that takes some seconds, every five seconds at
    /// most, and goes with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// When a pass is tried again that was stopped, or left something undone. Absent while nothing is to be tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<Time>,
    /// What a dry run would do, or what a guard holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanSummary>,
    /// How the budgets stand after the last pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budgets: Option<BudgetStates>,
    /// When the first pass that writes was through: until then an existing population is created and updated without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_pass_at: Option<Time>,
    /// Since when access that was given before is not given again, because the integration began without a status: until a person has approved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reactivations_held_since: Option<Time>,
    /// The provider's tenant that the recorded accounts belong to: what the service itself says it is, and the name in the settings
    /// where the service does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The name that the settings had for that tenant: the provider's address, and what else tells it from others there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_named: Option<String>,
    /// The plan that was released last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approved>,
    /// Immediate revocations that hold against what Bob shows, so that they outlive a deleted `EmployeeSync`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["employeeId"]))]
    pub revoked: Vec<RevokedAccess>,
    /// What Bob has shown of lifecycle statuses, so that one that is missing as a whole is noticed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifecycles: Option<Lifecycles>,
    /// The value of the annotation `bobsync.dev/sync-requested-at` that was last answered by a whole pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_sync_at: Option<String>,
}

/// A held plan that a person released.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Approved {
    /// Its digest.
    pub digest: String,
    /// Who wrote `spec.approvedPlan`: the field manager, as the API server recorded it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When it was released.
    pub at: Time,
    /// What its digest is chained to: the digest released before, or the integration's uid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Whether it lets employees leave management, and not all of them have left yet.
    #[serde(default)]
    pub leaving: bool,
    /// The plans released before it, newest first: whatever of them was not brought through goes on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub earlier: Vec<EarlierPlan>,
}

/// A plan that was released before the last one.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct EarlierPlan {
    /// Its digest.
    pub digest: String,
    /// What its digest is chained to.
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
    /// The time that Bob names.
    pub observed_at: Time,
    /// The start date in Bob at that time. A later one is another employment, and ends the revocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_date: Option<String>,
    /// When Bob reported the person activated again: kept for some days, so that an older event is not taken for a newer one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
}

/// What Bob has shown of lifecycle statuses. Names no employee.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Lifecycles {
    /// The statuses of Bob's last believed answer, and those of employees who are missing since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub shown: Vec<String>,
    /// Whether employees are missing whose status is not known.
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
    /// Digest over who, what and the target values: equal digests are equal plans.
    pub digest: String,
    /// Accounts to create.
    pub creates: u32,
    /// Accounts to give access again.
    pub reactivations: u32,
    /// Accounts to update, adoptions included.
    pub updates: u32,
    /// Accounts to suspend.
    pub disables: u32,
    /// Employees who would leave management.
    #[serde(default)]
    pub leaving: u32,
    /// Why the plan is held; absent for a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_because: Option<String>,
}
