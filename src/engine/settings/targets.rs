//! The provider of a spec, and the address of its tenant. A file for each provider says how its
//! part of a spec becomes a [`Destination`]. All other code uses the [`Destination`], whichever
//! provider it is.

mod entra;
mod google;
mod jumpcloud;
mod okta;
mod onelogin;
mod scim;

use std::{fmt, sync::Arc};

use kube::core::Rule;

use super::endpoints::AllowedEndpoints;
use crate::{
    api::{
        integration::SecretRef,
        provider::{self as api, ConnectedDirectories, Provider, listed, name_one, providers},
        reasons::IntegrationReason,
    },
    engine::stop::Stop,
    provider::{self, Capabilities, Catalog, ChangeAtFirstLogin, Destination, NewPassword},
};

/// One provider's part of a spec.
trait ProviderPart {
    /// Returns the tenant that the settings name.
    fn target(&self, allowed: &AllowedEndpoints) -> Result<Target, Stop>;

    /// Returns the administrator that bobsync acts as, if the settings name one.
    fn acts_as(&self) -> Option<&str> {
        None
    }

    /// Returns the rules that do not follow from the catalog. `field` is the field in
    /// `spec.provider`.
    fn rules(_field: &str) -> Vec<Rule>
    where
        Self: Sized,
    {
        Vec::new()
    }
}

macro_rules! every {
    ($($(#[$doc:meta])+ $module:ident $field:ident $Spec:ident $name:literal;)+) => {
        /// Every provider: its field in `spec.provider`, and what is known of it without a
        /// connection.
        pub const CATALOGS: &[(&str, &Catalog)] = &[$(($name, &provider::$module::CATALOG)),+];

        /// Returns the rules that do not follow from the catalog, for the provider with this field
        /// in `spec.provider`.
        pub(super) fn special_rules(field: &str) -> Vec<Rule> {
            match field {
                $($name => api::$module::$Spec::rules($name),)+
                _ => Vec::new(),
            }
        }

        /// Returns the parts of a spec that are about a provider.
        fn settings(provider: &Provider) -> Vec<&dyn ProviderPart> {
            let all: [Option<&dyn ProviderPart>; _] =
                [$(provider.$field.as_ref().map(|settings| settings as _)),+];
            all.into_iter().flatten().collect()
        }
    };
}
providers!(every);

/// The provider's tenant, and the Secret with its credential.
#[derive(Clone)]
pub struct Target {
    /// The tenant.
    pub destination: Arc<dyn Destination>,
    /// The name of the Secret with the credential.
    pub secret: String,
}

impl Target {
    fn new(tenant: impl Destination + 'static, secret: &SecretRef) -> Self {
        Self { destination: Arc::new(tenant), secret: secret.name.clone() }
    }

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
pub fn target(provider: &Provider, allowed: &AllowedEndpoints) -> Result<Target, Stop> {
    match settings(provider)[..] {
        [settings] => settings.target(allowed),
        _ => Err(invalid(&format!("spec.provider: {}", name_one()))),
    }
}

/// Returns the administrator that bobsync acts as, if the settings name one. This account is
/// protected like those of `safety.protectedAccounts`.
#[must_use]
pub fn acts_as(provider: &Provider) -> Option<&str> {
    settings(provider).into_iter().find_map(ProviderPart::acts_as)
}

/// Returns the names of the providers that take a default password.
#[must_use]
pub fn those_who_take_passwords() -> String {
    able(|can| can.initial_password != NewPassword::Unsupported)
}

/// Returns the names of the providers that can ask for another password at the first login.
#[must_use]
pub fn those_who_ask_for_another_password() -> String {
    able(|can| can.change_at_first_login != ChangeAtFirstLogin::Unsupported)
}

fn able(able: fn(&Capabilities) -> bool) -> String {
    let all = CATALOGS.iter().filter(|(_, catalog)| able(&catalog.capabilities));
    listed(all.map(|(_, catalog)| catalog.name), "and")
}

/// Returns whether a directory that is named with an account is its master.
fn is_master(directories: ConnectedDirectories) -> bool {
    directories == ConnectedDirectories::Master
}

/// The addresses of an API and of its token service.
#[derive(Clone, Copy)]
struct Addresses<T> {
    api: T,
    tokens: T,
}

/// Returns the addresses of an API and of its token service: both are the vendor's, or both are
/// others. A credential must not go to the vendor for calls that go to another address, or the
/// other way round.
fn both(
    field: &str,
    given: Addresses<&str>,
    vendors: Addresses<&str>,
    allowed: &AllowedEndpoints,
) -> Result<Addresses<String>, Stop> {
    match (given.api, given.tokens) {
        ("", "") => {
            Ok(Addresses { api: vendors.api.to_owned(), tokens: vendors.tokens.to_owned() })
        }
        ("", _) | (_, "") => Err(invalid(&format!(
            "{field}: set both endpoint and tokenEndpoint, or neither of them"
        ))),
        (endpoint, tokens) => Ok(Addresses {
            api: allowed.accept(&format!("{field}.endpoint"), endpoint)?,
            tokens: allowed.accept(&format!("{field}.tokenEndpoint"), tokens)?,
        }),
    }
}

#[cfg(test)]
#[path = "targets_tests.rs"]
mod tests;
