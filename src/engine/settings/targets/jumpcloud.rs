//! The organization at JumpCloud.

use super::{Settings, Stop, Target, is_master};
use crate::{
    api::provider::jumpcloud::{JumpCloud, PasswordlessState, Region},
    engine::settings::endpoints::AllowedEndpoints,
    provider::jumpcloud::{self, Tenant},
};

impl Settings for JumpCloud {
    fn target(&self, allowed: &AllowedEndpoints) -> Result<Target, Stop> {
        let base = if self.endpoint.is_empty() {
            let region = match self.region {
                Region::US => jumpcloud::Region::Us,
                Region::EU => jumpcloud::Region::Eu,
                Region::India => jumpcloud::Region::India,
            };
            region.base().to_owned()
        } else {
            allowed.accept("spec.provider.jumpCloud.endpoint", &self.endpoint)?
        };
        let tenant = Tenant {
            base,
            organization: self.organization_id.clone(),
            stages: self.passwordless_state == PasswordlessState::Staged,
            mastered: is_master(self.connected_directories),
        };
        Ok(Target::new(tenant, &self.credentials_secret_ref))
    }
}
