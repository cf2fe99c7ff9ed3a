//! The server of an integration with SCIM.

use kube::core::Rule;

use super::{ProviderPart, Stop, Target};
use crate::{
    api::provider::scim::{MarkAttribute, Scim, Updates},
    engine::settings::{endpoints::AllowedEndpoints, rules::each_row},
    provider::scim::{self, MarkPlace, Tenant},
};

impl ProviderPart for Scim {
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
                Updates::Auto => scim::UpdateMethod::Auto,
                Updates::Patch => scim::UpdateMethod::Patch,
                Updates::Put => scim::UpdateMethod::Put,
            },
            mark: match self.mark_attribute {
                MarkAttribute::ExternalId => MarkPlace::ExternalId,
                MarkAttribute::EmployeeNumber => MarkPlace::EmployeeNumber,
            },
        };
        Ok(Target::new(tenant, &self.credentials_secret_ref))
    }

    fn rules(field: &str) -> Vec<Rule> {
        let own = format!("m.target != self.provider.{field}.markAttribute");
        let marked = format!(
            "this target holds the mark: map another target, or move the mark with \
             provider.{field}.markAttribute"
        );
        let long = "!m.target.matches('(?i)^urn:ietf:params:scim:schemas:\
            (core|extension:enterprise):2[.]0:user:')";
        let short = "the core schema and the enterprise extension have short names: write title or \
            enterprise.department in place of the schema's URN and the attribute";
        vec![each_row(field, &own).message(&*marked), each_row(field, long).message(short)]
    }
}
