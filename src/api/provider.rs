//! `spec.provider`: exactly one provider, and where its tenant is.
//!
//! [`providers`] is the one list of providers. What has to know all of them is made from it: the
//! fields of [`Provider`], the texts that name them, and the way from a spec to a tenant.

use kube::{KubeSchema, core::Rule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub mod entra;
pub mod google;
pub mod jumpcloud;
pub mod okta;
pub mod onelogin;
pub mod scim;

/// Hands the list of providers to a macro: for each one its description in the resource, its
/// module (here, in `provider` and in `engine::settings::targets`), its field in Rust, its type,
/// and its field in the resource.
macro_rules! providers {
    ($make:ident) => {
        $make! {
            /// `OneLogin`. bobsync uses its API, with an API credential that may "Manage users".
            onelogin one_login OneLogin "oneLogin";
            /// Google Workspace. bobsync uses its Directory API, with a service account that acts
            /// for an administrator.
            google google_workspace GoogleWorkspace "googleWorkspace";
            /// Microsoft Entra ID. bobsync uses Microsoft Graph, with an app registration.
            entra entra_id EntraId "entraID";
            /// `JumpCloud`. bobsync uses its API, with an administrator's API key.
            jumpcloud jump_cloud JumpCloud "jumpCloud";
            /// Okta. bobsync uses its management API, with a service app or an API token.
            okta okta Okta "okta";
            /// Any SCIM 2.0 server. bobsync uses its `/Users`, with a credential that may manage
            /// users.
            scim scim Scim "scim";
        }
    };
}
pub(crate) use providers;

macro_rules! fields {
    ($($(#[$doc:meta])+ $module:ident $field:ident $Spec:ident $name:literal;)+) => {
        /// Where the accounts are.
        #[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
        #[serde(rename_all = "camelCase")]
        #[x_kube(validation = is_one())]
        pub struct Provider {
            $(
                $(#[$doc])+
                #[serde(rename = $name, skip_serializing_if = "Option::is_none")]
                pub $field: Option<$module::$Spec>,
            )+
        }

        /// The fields of `spec.provider`.
        const FIELDS: &[&str] = &[$($name),+];
    };
}
providers!(fields);

/// Requires exactly one provider.
fn is_one() -> Rule {
    let set: Vec<_> = FIELDS.iter().map(|field| format!("has(self.{field})")).collect();
    Rule::new(format!("[{}].filter(set, set).size() == 1", set.join(", "))).message(&*name_one())
}

/// Returns what to do about a spec that names no provider or several.
#[must_use]
pub fn name_one() -> String {
    format!("name exactly one provider: {}", listed(FIELDS.iter().copied(), "or"))
}

/// Returns names in a sentence, with `last` before the last one.
pub fn listed<'a>(names: impl Iterator<Item = &'a str>, last: &str) -> String {
    let mut names: Vec<&str> = names.collect();
    let end = names.pop().unwrap_or_default();
    if names.is_empty() { end.to_owned() } else { format!("{} {last} {end}", names.join(", ")) }
}

/// Requires the form of a base address.
fn is_address() -> Rule {
    Rule::new(r"self.matches('^(https?://[^\\s?#@]+)?$')").message(
        "an endpoint is http:// or https:// and a host, and may have a port and a path prefix; it \
         has no user, no query and no fragment",
    )
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
