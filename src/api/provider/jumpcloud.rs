//! The organization of an integration with JumpCloud.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConnectedDirectories, is_address};
use crate::api::secrets::SecretRef;

/// An organization in `JumpCloud`.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct JumpCloud {
    /// Region of the organization: US, EU or India.
    #[serde(default)]
    pub region: Region,
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
    #[x_kube(validation = is_address())]
    pub endpoint: String,
}

/// `JumpCloud`'s regions.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Region {
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
