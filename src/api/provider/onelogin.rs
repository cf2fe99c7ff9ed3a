//! The tenant of an integration with `OneLogin`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConnectedDirectories, is_address};
use crate::api::secrets::SecretRef;

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
    #[x_kube(validation = is_address())]
    pub endpoint: String,
    /// Secret in this namespace with the keys `clientId` and `clientSecret`.
    pub credentials_secret_ref: SecretRef,
    /// What it means if `OneLogin` names a directory or a trusted identity provider with an
    /// account. `Master`: the account is managed there, and bobsync never writes it.
    /// `AuthenticateOnly`: only passwords are checked there, and bobsync manages the account.
    #[serde(default)]
    pub connected_directories: ConnectedDirectories,
}

/// Region of the `OneLogin` tenant: US or EU. Not needed if `subdomain` is set.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// `api.us.onelogin.com`
    US,
    /// `api.eu.onelogin.com`
    EU,
}
