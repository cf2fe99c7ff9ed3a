//! `spec.provider`: exactly one provider, and where its tenant is.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secrets::SecretRef;

/// Where the accounts are.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.oneLogin), has(self.googleWorkspace), \
    has(self.entraID), has(self.jumpCloud)].filter(set, set).size() == 1")
    .message("name exactly one provider: oneLogin, googleWorkspace, entraID or jumpCloud"))]
pub struct Provider {
    /// `OneLogin`. bobsync uses its API, with an API credential that may "Manage users".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_login: Option<OneLogin>,
    /// Google Workspace. bobsync uses its Directory API, with a service account that acts for an
    /// administrator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub google_workspace: Option<GoogleWorkspace>,
    /// Microsoft Entra ID. bobsync uses Microsoft Graph, with an app registration.
    #[serde(rename = "entraID", skip_serializing_if = "Option::is_none")]
    pub entra_id: Option<EntraId>,
    /// `JumpCloud`. bobsync uses its API, with an administrator's API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jump_cloud: Option<JumpCloud>,
}

/// A tenant of `OneLogin`.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.region) || has(self.subdomain) || (has(self.endpoint) && \
    self.endpoint != '')")
    .message("say where the OneLogin tenant is: set subdomain or region"))]
pub struct OneLogin {
    /// Region of the tenant: US or EU. Not needed if `subdomain` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// Subdomain of the tenant: `acme` for `acme.onelogin.com`. Calls go to that host.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$')")
        .message("write the subdomain only, such as acme for acme.onelogin.com, with letters, \
            digits and hyphens"))]
    pub subdomain: Option<String>,
    /// Another base address in place of `OneLogin`'s. Calls go to `<endpoint>/auth/...` and
    /// `<endpoint>/api/2/...`. Accepted only if the controller was started with `--allow-endpoint`
    /// for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^(https?://[^\\\\s?#@]+)?$')")
        .message("an endpoint is http:// or https:// and a host, and may have a port and a path \
            prefix; it has no user, no query and no fragment"))]
    pub endpoint: String,
    /// Secret in this namespace with the keys `clientId` and `clientSecret`.
    pub credentials_secret_ref: SecretRef,
    /// What it means if `OneLogin` names a directory or a trusted identity provider with an
    /// account. `Master`: the account is managed there, and bobsync never writes it.
    /// `AuthenticateOnly`: only passwords are checked there, and bobsync manages the account.
    #[serde(default)]
    pub connected_directories: ConnectedDirectories,
}

/// What a directory that the provider names with an account means for the account.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnectedDirectories {
    /// The account is managed in that directory, and bobsync never writes it (`ManagedElsewhere`).
    #[default]
    Master,
    /// Only passwords are checked there, and bobsync manages the account.
    AuthenticateOnly,
}

/// Region of the `OneLogin` tenant: US or EU. Not needed if `subdomain` is set.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// `api.us.onelogin.com`
    US,
    /// `api.eu.onelogin.com`
    EU,
}

/// A tenant of Google Workspace.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.endpoint) && self.endpoint != '') == \
    (has(self.tokenEndpoint) && self.tokenEndpoint != '')")
    .message("set both endpoint and tokenEndpoint, or neither of them: bobsync does not send a key \
        to Google if its calls go to another address"))]
pub struct GoogleWorkspace {
    /// Secret in this namespace with the key `serviceAccount.json`: the service account's key file
    /// as downloaded.
    pub credentials_secret_ref: SecretRef,
    /// E-mail of the administrator that the service account acts for.
    #[schemars(length(min = 3, max = 254))]
    #[x_kube(validation = Rule::new("self.matches('^[^@\\\\s]+@[^@\\\\s]+$')")
        .message("adminEmail is the e-mail of an administrator of Google Workspace"))]
    pub admin_email: String,
    /// Customer id of the Google Workspace tenant. `my_customer` means the tenant of the
    /// administrator.
    #[serde(default = "my_customer")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_]+$')")
        .message("customer is the customer id that the Admin console shows (Account settings), \
            such as C01234abc, or my_customer"))]
    pub customer: String,
    /// Organizational unit of new accounts. A mapping row for `orgUnitPath` sets it for each
    /// employee.
    #[serde(default = "top")]
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^/')")
        .message("write an organizational unit as a path from the top, such as / or /Sales/EMEA"))]
    pub org_unit_path: String,
    /// Another base address in place of `https://admin.googleapis.com`. Calls go to
    /// `<endpoint>/admin/directory/v1/...`. Accepted only if the controller was started with
    /// `--allow-endpoint` for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^(https?://[^\\\\s?#@]+)?$')")
        .message("an endpoint is http:// or https:// and a host, and may have a port and a path \
            prefix; it has no user, no query and no fragment"))]
    pub endpoint: String,
    /// Another base address in place of `https://oauth2.googleapis.com`. Calls go to
    /// `<tokenEndpoint>/token`. Accepted only if the controller was started with `--allow-endpoint`
    /// for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^(https?://[^\\\\s?#@]+)?$')")
        .message("an endpoint is http:// or https:// and a host, and may have a port and a path \
            prefix; it has no user, no query and no fragment"))]
    pub token_endpoint: String,
}

fn my_customer() -> String {
    "my_customer".to_owned()
}

fn top() -> String {
    "/".to_owned()
}

/// A tenant of Microsoft Entra ID.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.endpoint) && self.endpoint != '') == \
    (has(self.tokenEndpoint) && self.tokenEndpoint != '')")
    .message("set both endpoint and tokenEndpoint, or neither of them: bobsync does not send a \
        secret to Microsoft if its calls go to another address"))]
pub struct EntraId {
    /// The tenant: its GUID (Directory ID) or one of its verified domains.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$')")
        .message("tenantId is the GUID of the tenant (Directory ID) or one of its verified \
            domains"))]
    pub tenant_id: String,
    /// Which of Microsoft's clouds has the tenant: Global, `USGovernment`, `USGovernmentDoD` or
    /// China.
    #[serde(default)]
    pub cloud: Cloud,
    /// Secret in this namespace. It has the key `clientId`, and either `clientSecret` or both
    /// `clientCertificate` and `clientKey` (PEM).
    pub credentials_secret_ref: SecretRef,
    /// Usage location of new accounts: an ISO 3166 country code of two capital letters, such as
    /// `GB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 2))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Z]{2}$')")
        .message("a usage location is an ISO 3166 country code of two capital letters, such as \
            GB"))]
    pub usage_location: Option<String>,
    /// The attribute that holds the mark, which is Bob's id of the employee: `employeeId`, or a
    /// directory extension `extension_<appId>_<name>`.
    #[serde(default = "employee_id")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^(employeeId|\
        extension_[0-9A-Fa-f]{32}_[A-Za-z0-9_]+)$')")
        .message("markAttribute is employeeId or a directory extension, extension_<appId without \
            dashes>_<name>"))]
    pub mark_attribute: String,
    /// Another base address in place of Microsoft Graph's. Calls go to `<endpoint>/v1.0/...`.
    /// Accepted only if the controller was started with `--allow-endpoint` for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^(https?://[^\\\\s?#@]+)?$')")
        .message("an endpoint is http:// or https:// and a host, and may have a port and a path \
            prefix; it has no user, no query and no fragment"))]
    pub endpoint: String,
    /// Another base address in place of Microsoft's sign-in service. Calls go to
    /// `<tokenEndpoint>/{tenantId}/oauth2/v2.0/token`. Accepted only if the controller was started
    /// with `--allow-endpoint` for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^(https?://[^\\\\s?#@]+)?$')")
        .message("an endpoint is http:// or https:// and a host, and may have a port and a path \
            prefix; it has no user, no query and no fragment"))]
    pub token_endpoint: String,
}

fn employee_id() -> String {
    "employeeId".to_owned()
}

/// Microsoft's clouds.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cloud {
    /// `graph.microsoft.com`
    #[default]
    Global,
    /// `graph.microsoft.us`
    USGovernment,
    /// `dod-graph.microsoft.us`
    USGovernmentDoD,
    /// `microsoftgraph.chinacloudapi.cn`
    China,
}

/// An organization in `JumpCloud`.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct JumpCloud {
    /// Region of the organization: US, EU or India.
    #[serde(default)]
    pub region: JumpCloudRegion,
    /// Id of the organization. Needed if the administrator has several organizations.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9]*$')")
        .message("write the organization id as the JumpCloud console shows it under Organization \
            Profile, with letters and digits only"))]
    pub organization_id: String,
    /// Secret in this namespace with the key `apiKey`.
    pub credentials_secret_ref: SecretRef,
    /// The state of an active account that is created without a password. `Activated`: `JumpCloud`
    /// mails the employee an invitation to set one. `Staged`: an administrator activates the
    /// account.
    #[serde(default)]
    pub passwordless_state: PasswordlessState,
    /// What it means if `JumpCloud` says that an account is externally managed. `Master`: the
    /// account is managed there, and bobsync never writes it. `AuthenticateOnly`: only passwords
    /// are checked there, and bobsync manages the account.
    #[serde(default)]
    pub connected_directories: ConnectedDirectories,
    /// Another base address in place of `JumpCloud`'s. Calls go to `<endpoint>/api/...`. Accepted
    /// only if the controller was started with `--allow-endpoint` for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^(https?://[^\\\\s?#@]+)?$')")
        .message("an endpoint is http:// or https:// and a host, and may have a port and a path \
            prefix; it has no user, no query and no fragment"))]
    pub endpoint: String,
}

/// `JumpCloud`'s regions.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JumpCloudRegion {
    /// `console.jumpcloud.com`
    #[default]
    US,
    /// `console.eu.jumpcloud.com`
    EU,
    /// `console.in.jumpcloud.com`
    India,
}

/// The state of an active account that is created without a password. `Activated`: `JumpCloud`
/// mails the employee an invitation to set one. `Staged`: an administrator activates the account.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PasswordlessState {
    /// `JumpCloud` mails the employee an invitation to set a password.
    #[default]
    Activated,
    /// An administrator activates the account.
    Staged,
}
