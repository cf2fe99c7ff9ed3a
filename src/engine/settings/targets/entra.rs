//! The tenant of Microsoft Entra ID.

use kube::core::Rule;

use super::{Addresses, ProviderPart, Stop, Target, both, invalid};
use crate::{
    api::provider::entra::{Cloud, EntraId},
    engine::settings::{endpoints::AllowedEndpoints, rules::each_row},
    provider::entra::{self, Mark, Tenant},
};

impl ProviderPart for EntraId {
    fn target(&self, allowed: &AllowedEndpoints) -> Result<Target, Stop> {
        let field = "spec.provider.entraID";
        let cloud = match self.cloud {
            Cloud::Global => entra::Cloud::GLOBAL,
            Cloud::USGovernment => entra::Cloud::US_GOVERNMENT,
            Cloud::USGovernmentDoD => entra::Cloud::US_GOVERNMENT_DOD,
            Cloud::China => entra::Cloud::CHINA,
        };
        let given = Addresses { api: &*self.endpoint, tokens: &*self.token_endpoint };
        let vendors = Addresses { api: cloud.graph, tokens: cloud.login };
        let used = both(field, given, vendors, allowed)?;
        let mark = Mark::named(&self.mark_attribute).ok_or_else(|| {
            invalid(&format!(
                "{field}.markAttribute: write employeeId, or extension_<appId without \
                 dashes>_<name>"
            ))
        })?;
        let tenant = Tenant {
            base: used.api,
            tokens: used.tokens,
            id: self.tenant_id.clone(),
            cloud,
            usage_location: self.usage_location.clone(),
            mark,
        };
        Ok(Target::new(tenant, &self.credentials_secret_ref))
    }

    fn rules(field: &str) -> Vec<Rule> {
        let rule = format!("m.target != self.provider.{field}.markAttribute");
        let message = format!(
            "this target holds the mark: map another target, or move the mark to a directory \
             extension with provider.{field}.markAttribute"
        );
        vec![each_row(field, &rule).message(&*message)]
    }
}
