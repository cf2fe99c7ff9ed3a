//! The org of an integration with Okta.

use kube::{
    KubeSchema,
    core::{Message, Rule},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::is_address;
use crate::api::secrets::SecretRef;

/// An Okta org.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Okta {
    /// The host of the org, such as `acme.okta.com`, or its custom domain.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = is_host())]
    #[x_kube(validation = is_no_console())]
    pub domain: String,
    /// Secret in this namespace. It has either the key `apiToken`, or the keys `clientId`,
    /// `privateKey` (PEM, PKCS#8: RSA or EC P-256) and `keyId` of a service app.
    pub credentials_secret_ref: SecretRef,
    /// The profile attribute that holds the mark, which is Bob's id of the employee: a string
    /// attribute of the default user type that nothing else uses, such as `bobsyncEmployeeId`.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z][A-Za-z0-9_]*$') && !(self in \
        ['login', 'email', 'secondEmail', 'firstName', 'lastName', 'manager', 'managerId'])")
        .message("markAttribute is the variable name of a string attribute that nothing else uses, \
            such as bobsyncEmployeeId; add it in Okta's profile editor to the default user type"))]
    pub mark_attribute: String,
    /// What happens with the account of an employee who leaves. `Suspend`: it keeps its groups and
    /// apps. `Deactivate`: Okta takes it out of all apps, which may delete data there.
    #[serde(default)]
    pub leavers: Leavers,
    /// What happens with the account of an employee who leaves if Okta does not suspend it, because
    /// its status is PROVISIONED, `PASSWORD_EXPIRED`, `LOCKED_OUT` or RECOVERY. `Deactivate`: it is
    /// deactivated. `Report`: a person is told (`SuspendByHand`).
    #[serde(default)]
    pub not_suspendable: NotSuspendable,
    /// Whether Okta mails employees a link with which they set a password, if their accounts are
    /// activated without one.
    #[serde(default = "yes")]
    pub activation_email: bool,
    /// Another base address in place of the org's. Calls go to `<endpoint>/api/v1/...` and
    /// `<endpoint>/oauth2/v1/token`. Accepted only if the controller was started with
    /// `--allow-endpoint` for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = is_address())]
    pub endpoint: String,
}

const fn yes() -> bool {
    true
}

/// The host in a text that may have a scheme, a port, a path, or be the one of the console.
const HOST: &str = "self.lowerAscii().replace('https://', '').replace('http://', '').split('/')[0]\
    .split('?')[0].split(':')[0].replace('-admin.okta', '.okta')";

/// Requires a host without scheme, port and path.
fn is_host() -> Rule {
    let label = "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?";
    let rule = format!("self.matches('^{label}([.]{label})+$')");
    let said = "domain is the host of the org alone, without https:// and without a path: write ";
    Rule::new(rule).message(Message::Expression(format!("'{said}' + {HOST}")))
}

/// Refuses the host of the admin console, which serves no API.
fn is_no_console() -> Rule {
    let said = "this is the host of the admin console, which answers no API calls: write ";
    Rule::new("!self.lowerAscii().matches('^[^.]+-admin[.]okta')")
        .message(Message::Expression(format!("'{said}' + {HOST}")))
}

/// What happens with the account of an employee who leaves.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leavers {
    /// It is suspended, and keeps its groups and apps.
    #[default]
    Suspend,
    /// It is deactivated: Okta takes it out of all apps, which may delete data there.
    Deactivate,
}

/// What happens with the account of an employee who leaves if Okta does not suspend it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NotSuspendable {
    /// It is deactivated.
    #[default]
    Deactivate,
    /// A person is told.
    Report,
}
