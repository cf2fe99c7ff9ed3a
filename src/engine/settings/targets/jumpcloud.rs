//! The organization at JumpCloud.

use kube::core::Rule;

use super::{ProviderPart, Stop, Target, is_master};
use crate::{
    api::provider::jumpcloud::{JumpCloud, PasswordlessState, Region},
    engine::settings::{
        endpoints::AllowedEndpoints,
        rules::{DEFAULT_PASSWORD, if_provider},
    },
    provider::jumpcloud::{self, Tenant},
};

impl ProviderPart for JumpCloud {
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

    /// Refuses the state of accounts without a password if each account has one.
    fn rules(field: &str) -> Vec<Rule> {
        let rule = format!(
            "!has(self.provisioning.defaultPasswordSecretRef) || \
             self.provider.{field}.passwordlessState != 'Staged'"
        );
        let message = "passwordlessState: Staged is only for accounts that are created without a \
            password, and with defaultPasswordSecretRef every account is created with one: remove \
            defaultPasswordSecretRef, or set passwordlessState: Activated";
        vec![if_provider(field, &rule).message(message).field_path(DEFAULT_PASSWORD)]
    }
}
