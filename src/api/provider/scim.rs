//! The server of an integration with SCIM.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::is_address;
use crate::api::secrets::SecretRef;

/// A server that speaks SCIM 2.0.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.tokenEndpoint) && self.tokenEndpoint != '') || \
    !(has(self.tokenScope) && self.tokenScope != '')")
    .message("tokenScope belongs to tokenEndpoint: set both, or remove tokenScope"))]
pub struct Scim {
    /// The SCIM base URL, below which `/Users` is, such as `https://idp.example.com/scim/v2`. SCIM
    /// has no vendor's address, so the controller has to be started with `--allow-endpoint` for it.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = is_address())]
    #[x_kube(validation = Rule::new("!self.matches('/Users/?$')")
        .message("write the SCIM base URL without /Users"))]
    pub endpoint: String,
    /// Secret in this namespace with the keys of one credential: `token` (bearer); or `username`
    /// and `password` (Basic); or `clientId` and `clientSecret`, together with `tokenEndpoint`.
    pub credentials_secret_ref: SecretRef,
    /// The whole URL of the token service that gives tokens for `clientId` and `clientSecret`.
    /// Accepted only if the controller was started with `--allow-endpoint` for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = is_address())]
    pub token_endpoint: String,
    /// The scope to ask for a token with, if the token service needs one. Several scopes are
    /// divided by blanks.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^([!-~]+( [!-~]+)*)?$')")
        .message("a scope is one word, or several words divided by single blanks"))]
    pub token_scope: String,
    /// Which calls change accounts. `Auto`: PATCH, unless the server says that it has none.
    /// `Patch`: PATCH. `Put`: PUT of the whole account, as it was right before that.
    #[serde(default)]
    pub updates: Updates,
    /// The attribute that holds the mark, which is Bob's id of the employee: `externalId`, or
    /// `enterprise.employeeNumber`. No other system may use it.
    #[serde(default)]
    pub mark_attribute: MarkAttribute,
}

/// Which calls change accounts. `Auto`: PATCH, unless the server says that it has none. `Patch`:
/// PATCH. `Put`: PUT of the whole account, as it was right before that.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Updates {
    /// PATCH, unless the server says that it has none.
    #[default]
    Auto,
    /// PATCH.
    Patch,
    /// PUT of the whole account, as it was right before that.
    Put,
}

/// The attribute that holds the mark, which is Bob's id of the employee: `externalId`, or
/// `enterprise.employeeNumber`. No other system may use it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MarkAttribute {
    /// The attribute `externalId`.
    #[default]
    #[serde(rename = "externalId")]
    ExternalId,
    /// The attribute `employeeNumber` of the enterprise extension.
    #[serde(rename = "enterprise.employeeNumber")]
    EmployeeNumber,
}
