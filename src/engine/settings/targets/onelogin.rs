//! The tenant of `OneLogin`.

use super::{ProviderPart, Stop, Target, invalid, is_master};
use crate::{
    api::provider::onelogin::{OneLogin, Region},
    engine::settings::endpoints::AllowedEndpoints,
    provider::onelogin::{Tenant, base_for},
};

impl ProviderPart for OneLogin {
    fn target(&self, allowed: &AllowedEndpoints) -> Result<Target, Stop> {
        let base = if self.endpoint.is_empty() {
            let region = self.region.map(|region| match region {
                Region::US => "us",
                Region::EU => "eu",
            });
            base_for(region, self.subdomain.as_deref()).ok_or_else(|| {
                invalid(
                    "spec.provider.oneLogin: say where the OneLogin tenant is: set subdomain or \
                     region",
                )
            })?
        } else {
            allowed.accept("spec.provider.oneLogin.endpoint", &self.endpoint)?
        };
        let tenant = Tenant { base, mastered: is_master(self.connected_directories) };
        Ok(Target::new(tenant, &self.credentials_secret_ref))
    }
}
