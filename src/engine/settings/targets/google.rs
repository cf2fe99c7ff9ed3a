//! The tenant of Google Workspace.

use super::{Addresses, ProviderPart, Stop, Target, both};
use crate::{
    api::provider::google::GoogleWorkspace,
    domain::visible::trimmed,
    engine::settings::endpoints::AllowedEndpoints,
    provider::google::{API, TOKENS, Tenant},
};

impl ProviderPart for GoogleWorkspace {
    fn target(&self, allowed: &AllowedEndpoints) -> Result<Target, Stop> {
        let given = Addresses { api: &*self.endpoint, tokens: &*self.token_endpoint };
        let vendors = Addresses { api: API, tokens: TOKENS };
        let used = both("spec.provider.googleWorkspace", given, vendors, allowed)?;
        let tenant = Tenant {
            base: used.api,
            tokens: used.tokens,
            admin: trimmed(&self.admin_email).to_owned(),
            customer: self.customer.clone(),
            org_unit: self.org_unit_path.clone(),
        };
        Ok(Target::new(tenant, &self.credentials_secret_ref))
    }

    fn acts_as(&self) -> Option<&str> {
        Some(&self.admin_email)
    }
}
