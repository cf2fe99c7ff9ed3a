//! The server of an integration with SCIM.

use super::{Settings, Stop, Target};
use crate::{
    api::provider::scim::{MarkAttribute, Scim, Updates},
    engine::settings::endpoints::AllowedEndpoints,
    provider::scim::{self, Mark, Tenant},
};

impl Settings for Scim {
    fn target(&self, allowed: &AllowedEndpoints) -> Result<Target, Stop> {
        let accept = |name: &str, address: &str| {
            allowed.accept(&format!("spec.provider.scim.{name}"), address)
        };
        let tokens = if self.token_endpoint.is_empty() {
            String::new()
        } else {
            accept("tokenEndpoint", &self.token_endpoint)?
        };
        let tenant = Tenant {
            base: accept("endpoint", &self.endpoint)?,
            tokens,
            scope: self.token_scope.clone(),
            updates: match self.updates {
                Updates::Auto => scim::Updates::Auto,
                Updates::Patch => scim::Updates::Patch,
                Updates::Put => scim::Updates::Put,
            },
            mark: match self.mark_attribute {
                MarkAttribute::ExternalId => Mark::ExternalId,
                MarkAttribute::EmployeeNumber => Mark::EmployeeNumber,
            },
        };
        Ok(Target::new(tenant, &self.credentials_secret_ref))
    }
}
