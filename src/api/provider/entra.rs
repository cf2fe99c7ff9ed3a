//! The tenant of an integration with Microsoft Entra ID.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::is_address;
use crate::api::secrets::SecretRef;

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
    /// `clientCertificate` and `clientKey` (PEM). With `clientId` alone the controller's own
    /// identity is the credential (workload identity federation).
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
    #[x_kube(validation = is_address())]
    pub endpoint: String,
    /// Another base address in place of Microsoft's sign-in service. Calls go to
    /// `<tokenEndpoint>/{tenantId}/oauth2/v2.0/token`. Accepted only if the controller was started
    /// with `--allow-endpoint` for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = is_address())]
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
