//! `spec.provider`: exactly one provider, and where its tenant is.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secrets::SecretRef;

/// Where the accounts live.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.oneLogin), has(self.googleWorkspace), has(self.entraID), has(self.jumpCloud)].filter(set, set).size() == 1").message("name exactly one provider: oneLogin, googleWorkspace, entraID or jumpCloud"))]
pub struct Provider {
    /// `OneLogin`, through its API with an API credential that may "Manage users".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_login: Option<OneLogin>,
    /// Google Workspace, through its Directory API with a service account that acts for an administrator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub google_workspace: Option<GoogleWorkspace>,
    /// Microsoft Entra ID, through Microsoft Graph with an app registration.
    #[serde(rename = "entraID", skip_serializing_if = "Option::is_none")]
    pub entra_id: Option<EntraId>,
    /// `JumpCloud`, through its API with an administrator's API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jump_cloud: Option<JumpCloud>,
}

/// A `OneLogin` account (tenant).
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.region) || has(self.subdomain) || (has(self.endpoint) && self.endpoint != '')").message("say where the OneLogin account is: set subdomain, or region"))]
pub struct OneLogin {
    /// Region of the account; not needed where `subdomain` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// The account's subdomain: `acme` for `acme.onelogin.com`. Calls go to that host.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$')").message("a subdomain is the acme of acme.onelogin.com: letters, digits and hyphens"))]
    pub subdomain: Option<String>,
    /// Another base address in place of `OneLogin`'s; called at `<endpoint>/auth/...` and `<endpoint>/api/2/...`.
    /// Accepted only where the operator allowed it with `--allow-endpoint`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^(https?://[^\\\\s?#@]+)?$')").message("an endpoint is http:// or https://, a host, and a port and a path prefix if any, without user, query and fragment"))]
    pub endpoint: String,
    /// Secret in this namespace with the keys `clientId` and `clientSecret`.
    pub credentials_secret_ref: SecretRef,
    /// What a directory or a trusted identity provider that `OneLogin` names with a user is to that user.
    #[serde(default)]
    pub connected_directories: ConnectedDirectories,
}

/// What a directory that the provider names with an account is to the account.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnectedDirectories {
    /// Its master: the account is never written here (`ManagedElsewhere`).
    #[default]
    Master,
    /// It checks passwords only: the account is written like any other.
    AuthenticateOnly,
}

/// `OneLogin`'s regions.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// `api.us.onelogin.com`
    US,
    /// `api.eu.onelogin.com`
    EU,
}

/// A Google Workspace account.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.endpoint) && self.endpoint != '') == (has(self.tokenEndpoint) && self.tokenEndpoint != '')").message("set both endpoint and tokenEndpoint, or neither: a key must not go to Google for calls that go elsewhere"))]
pub struct GoogleWorkspace {
    /// Secret in this namespace with the key `serviceAccount.json`: the service account's key file as downloaded.
    pub credentials_secret_ref: SecretRef,
    /// E-mail of the administrator whose rights are delegated to the service account.
    #[schemars(length(min = 3, max = 254))]
    #[x_kube(validation = Rule::new("self.matches('^[^@\\\\s]+@[^@\\\\s]+$')").message("adminEmail is the e-mail of an administrator of the account"))]
    pub admin_email: String,
    /// Id of the Google Workspace account; `my_customer` is the administrator's own.
    #[serde(default = "my_customer")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_]+$')").message("customer is the customer id of the Admin console (Account settings), such as C01234abc, or my_customer"))]
    pub customer: String,
    /// Organizational unit of new accounts. A mapping row for `orgUnitPath` sets it per person.
    #[serde(default = "top")]
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^/')").message("an organizational unit is a path from the top: / or /Sales/EMEA"))]
    pub org_unit_path: String,
    /// Another base address in place of `https://admin.googleapis.com`; called at `<endpoint>/admin/directory/v1/...`.
    /// Accepted only where the operator allowed it with `--allow-endpoint`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^(https?://[^\\\\s?#@]+)?$')").message("an endpoint is http:// or https://, a host, and a port and a path prefix if any, without user, query and fragment"))]
    pub endpoint: String,
    /// Another base address in place of `https://oauth2.googleapis.com`; called at `<tokenEndpoint>/token`.
    /// Accepted only where the operator allowed it with `--allow-endpoint`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^(https?://[^\\\\s?#@]+)?$')").message("an endpoint is http:// or https://, a host, and a port and a path prefix if any, without user, query and fragment"))]
    pub token_endpoint: String,
}

fn my_customer() -> String {
    "my_customer".to_owned()
}

fn top() -> String {
    "/".to_owned()
}

/// A Microsoft Entra ID tenant.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.endpoint) && self.endpoint != '') == (has(self.tokenEndpoint) && self.tokenEndpoint != '')").message("set both endpoint and tokenEndpoint, or neither: a secret must not go to Microsoft for calls that go elsewhere"))]
pub struct EntraId {
    /// The tenant: its GUID or a verified domain.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$')").message("a tenant is its GUID (Directory ID) or one of its verified domains"))]
    pub tenant_id: String,
    /// Which of Microsoft's clouds the tenant is in.
    #[serde(default)]
    pub cloud: Cloud,
    /// Secret in this namespace with the key `clientId`, and `clientSecret` or `clientCertificate` and `clientKey` (PEM).
    pub credentials_secret_ref: SecretRef,
    /// Usage location of new accounts, as an ISO 3166 code of two letters such as `GB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 2))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Z]{2}$')").message("a usage location is an ISO 3166 country code of two capital letters, such as GB"))]
    pub usage_location: Option<String>,
    /// The attribute that bears the mark: `employeeId`, or a directory extension `extension_<appId>_<name>`.
    #[serde(default = "employee_id")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^(employeeId|extension_[0-9A-Fa-f]{32}_[A-Za-z0-9_]+)$')").message("the mark is borne by employeeId or by a directory extension, extension_<appId without dashes>_<name>"))]
    pub mark_attribute: String,
    /// Another base address in place of Microsoft Graph's; called at `<endpoint>/v1.0/...`.
    /// Accepted only where the operator allowed it with `--allow-endpoint`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^(https?://[^\\\\s?#@]+)?$')").message("an endpoint is http:// or https://, a host, and a port and a path prefix if any, without user, query and fragment"))]
    pub endpoint: String,
    /// Another base address in place of Microsoft's sign-in service; called at `<tokenEndpoint>/{tenantId}/oauth2/v2.0/token`.
    /// Accepted only where the operator allowed it with `--allow-endpoint`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^(https?://[^\\\\s?#@]+)?$')").message("an endpoint is http:// or https://, a host, and a port and a path prefix if any, without user, query and fragment"))]
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

/// A `JumpCloud` organization.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct JumpCloud {
    /// Region of the organization.
    #[serde(default)]
    pub region: JumpCloudRegion,
    /// Id of the organization, for an administrator of several.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9]*$')").message("an organization id is letters and digits, as the JumpCloud console shows it under Organization Profile"))]
    pub organization_id: String,
    /// Secret in this namespace with the key `apiKey`.
    pub credentials_secret_ref: SecretRef,
    /// State of an active account that is created without a password.
    #[serde(default)]
    pub passwordless_state: PasswordlessState,
    /// What the directory of an externally managed user is to that user.
    #[serde(default)]
    pub connected_directories: ConnectedDirectories,
    /// Another base address in place of `JumpCloud`'s; called at `<endpoint>/api/...`.
    /// Accepted only where the operator allowed it with `--allow-endpoint`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^(https?://[^\\\\s?#@]+)?$')").message("an endpoint is http:// or https://, a host, and a port and a path prefix if any, without user, query and fragment"))]
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

/// State of an active account that is created without a password.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PasswordlessState {
    /// `JumpCloud` invites the person.
    #[default]
    Activated,
    /// Made ready; an administrator activates it.
    Staged,
}
