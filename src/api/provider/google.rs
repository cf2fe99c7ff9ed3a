//! The tenant of an integration with Google Workspace.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::is_address;
use crate::api::secrets::SecretRef;

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
    #[x_kube(validation = is_address())]
    pub endpoint: String,
    /// Another base address in place of `https://oauth2.googleapis.com`. Calls go to
    /// `<tokenEndpoint>/token`. Accepted only if the controller was started with `--allow-endpoint`
    /// for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = is_address())]
    pub token_endpoint: String,
}

fn my_customer() -> String {
    "my_customer".to_owned()
}

fn top() -> String {
    "/".to_owned()
}
