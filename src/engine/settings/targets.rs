//! The provider of a spec, and the address of its tenant. This is the one place that knows every
//! provider by its name. All other code uses a [`Destination`], whichever provider it is.

use std::{fmt, sync::Arc};

use super::endpoints::AllowedEndpoints;
use crate::{
    api::{provider as api, reasons::IntegrationReason},
    domain::visible::trimmed,
    engine::stop::Stop,
    provider::{Catalog, Destination, entra, google, jumpcloud, onelogin},
};

/// The provider's tenant, and the Secret with its credential.
#[derive(Clone)]
pub struct Target {
    /// The tenant.
    pub destination: Arc<dyn Destination>,
    /// The name of the Secret with the credential.
    pub secret: String,
}

impl Target {
    /// Returns what is known of the provider without a connection.
    #[must_use]
    pub fn catalog(&self) -> &'static Catalog {
        self.destination.catalog()
    }

    /// Returns a text that identifies the tenant among the tenants of all providers.
    #[must_use]
    pub fn tenant(&self) -> String {
        format!("{} {}", self.catalog().label, self.destination.tenant())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} with Secret {}", self.destination, self.secret)
    }
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}

impl Eq for Target {}

fn invalid(message: &str) -> Stop {
    Stop::new(IntegrationReason::InvalidSettings, format!("In {message}"))
}

/// Returns the tenant that a spec names.
///
/// # Errors
/// [`Stop`] with `InvalidSettings` or `EndpointNotAllowed`, and what to do.
pub fn target(provider: &api::Provider, allowed: &AllowedEndpoints) -> Result<Target, Stop> {
    match provider {
        api::Provider {
            one_login: Some(spec),
            google_workspace: None,
            entra_id: None,
            jump_cloud: None,
        } => one_login(spec, allowed),
        api::Provider {
            one_login: None,
            google_workspace: Some(spec),
            entra_id: None,
            jump_cloud: None,
        } => google_workspace(spec, allowed),
        api::Provider {
            one_login: None,
            google_workspace: None,
            entra_id: Some(spec),
            jump_cloud: None,
        } => entra_id(spec, allowed),
        api::Provider {
            one_login: None,
            google_workspace: None,
            entra_id: None,
            jump_cloud: Some(spec),
        } => jump_cloud(spec, allowed),
        _ => Err(invalid(
            "spec.provider: name exactly one provider: oneLogin, googleWorkspace, entraID or \
             jumpCloud",
        )),
    }
}

/// Returns the administrator that bobsync acts as, if the settings name one. This account is
/// protected like those of `safety.protectedAccounts`.
#[must_use]
pub fn acts_as(provider: &api::Provider) -> Option<&str> {
    provider.google_workspace.as_ref().map(|google| google.admin_email.as_str())
}

fn one_login(spec: &api::OneLogin, allowed: &AllowedEndpoints) -> Result<Target, Stop> {
    let base = if spec.endpoint.is_empty() {
        let region = spec.region.map(|region| match region {
            api::Region::US => "us",
            api::Region::EU => "eu",
        });
        onelogin::base_for(region, spec.subdomain.as_deref()).ok_or_else(|| {
            invalid(
                "spec.provider.oneLogin: say where the OneLogin tenant is: set subdomain or region",
            )
        })?
    } else {
        allowed.accept("spec.provider.oneLogin.endpoint", &spec.endpoint)?
    };
    let destination = onelogin::Tenant { base, mastered: is_master(spec.connected_directories) };
    Ok(Target {
        destination: Arc::new(destination),
        secret: spec.credentials_secret_ref.name.clone(),
    })
}

/// Returns whether a directory that is named with an account is its master.
fn is_master(directories: api::ConnectedDirectories) -> bool {
    directories == api::ConnectedDirectories::Master
}

fn google_workspace(
    spec: &api::GoogleWorkspace,
    allowed: &AllowedEndpoints,
) -> Result<Target, Stop> {
    let field = "spec.provider.googleWorkspace";
    let (base, tokens) = both(
        field,
        Addresses { api: &spec.endpoint, tokens: &spec.token_endpoint },
        Addresses { api: google::API, tokens: google::TOKENS },
        allowed,
    )?;
    let destination = google::Tenant {
        base,
        tokens,
        admin: trimmed(&spec.admin_email).to_owned(),
        customer: spec.customer.clone(),
        org_unit: spec.org_unit_path.clone(),
    };
    Ok(Target {
        destination: Arc::new(destination),
        secret: spec.credentials_secret_ref.name.clone(),
    })
}

fn entra_id(spec: &api::EntraId, allowed: &AllowedEndpoints) -> Result<Target, Stop> {
    let field = "spec.provider.entraID";
    let cloud = match spec.cloud {
        api::Cloud::Global => entra::Cloud::GLOBAL,
        api::Cloud::USGovernment => entra::Cloud::US_GOVERNMENT,
        api::Cloud::USGovernmentDoD => entra::Cloud::US_GOVERNMENT_DOD,
        api::Cloud::China => entra::Cloud::CHINA,
    };
    let (base, tokens) = both(
        field,
        Addresses { api: &spec.endpoint, tokens: &spec.token_endpoint },
        Addresses { api: cloud.graph, tokens: cloud.login },
        allowed,
    )?;
    let mark = entra::Mark::named(&spec.mark_attribute).ok_or_else(|| {
        invalid(&format!(
            "{field}.markAttribute: write employeeId, or extension_<appId without dashes>_<name>"
        ))
    })?;
    let destination = entra::Tenant {
        base,
        tokens,
        id: spec.tenant_id.clone(),
        cloud,
        usage_location: spec.usage_location.clone(),
        mark,
    };
    Ok(Target {
        destination: Arc::new(destination),
        secret: spec.credentials_secret_ref.name.clone(),
    })
}

fn jump_cloud(spec: &api::JumpCloud, allowed: &AllowedEndpoints) -> Result<Target, Stop> {
    let base = if spec.endpoint.is_empty() {
        let region = match spec.region {
            api::JumpCloudRegion::US => jumpcloud::Region::Us,
            api::JumpCloudRegion::EU => jumpcloud::Region::Eu,
            api::JumpCloudRegion::India => jumpcloud::Region::India,
        };
        region.base().to_owned()
    } else {
        allowed.accept("spec.provider.jumpCloud.endpoint", &spec.endpoint)?
    };
    let stages = spec.passwordless_state == api::PasswordlessState::Staged;
    let destination = jumpcloud::Tenant {
        base,
        organization: spec.organization_id.clone(),
        stages,
        mastered: is_master(spec.connected_directories),
    };
    Ok(Target {
        destination: Arc::new(destination),
        secret: spec.credentials_secret_ref.name.clone(),
    })
}

/// The addresses of an API and of its token service.
#[derive(Clone, Copy)]
struct Addresses<'a> {
    api: &'a str,
    tokens: &'a str,
}

/// Returns the addresses of an API and of its token service: both are the vendor's, or both are
/// others. A credential must not go to the vendor for calls that go to another address, or the
/// other way round.
fn both(
    field: &str,
    given: Addresses<'_>,
    vendors: Addresses<'_>,
    allowed: &AllowedEndpoints,
) -> Result<(String, String), Stop> {
    match (given.api, given.tokens) {
        ("", "") => Ok((vendors.api.to_owned(), vendors.tokens.to_owned())),
        ("", _) | (_, "") => Err(invalid(&format!(
            "{field}: set both endpoint and tokenEndpoint, or neither of them"
        ))),
        (endpoint, tokens) => Ok((
            allowed.accept(&format!("{field}.endpoint"), endpoint)?,
            allowed.accept(&format!("{field}.tokenEndpoint"), tokens)?,
        )),
    }
}

#[cfg(test)]
#[path = "targets_tests.rs"]
mod tests;
