//! The org at Okta.

use kube::core::Rule;

use super::{ProviderPart, Stop, Target, invalid};
use crate::{
    api::provider::okta::{Leavers, NotSuspendable, Okta},
    engine::settings::{endpoints::AllowedEndpoints, rules::each_row},
    provider::okta::{self, Tenant},
};

impl ProviderPart for Okta {
    fn target(&self, allowed: &AllowedEndpoints) -> Result<Target, Stop> {
        let domain = self.domain.to_lowercase();
        // The API server checks this too, except for objects from before the rule.
        let is_host = domain.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
        if !is_host || domain.contains("-admin.okta") {
            return Err(invalid(
                "spec.provider.okta.domain: write the host of the org alone, such as \
                 acme.okta.com, without https://, a path and -admin",
            ));
        }
        let base = if self.endpoint.is_empty() {
            format!("https://{domain}")
        } else {
            allowed.accept("spec.provider.okta.endpoint", &self.endpoint)?
        };
        let tenant = Tenant {
            domain,
            base,
            mark: self.mark_attribute.clone(),
            leavers: match self.leavers {
                Leavers::Suspend => okta::Leavers::Suspend,
                Leavers::Deactivate => okta::Leavers::Deactivate,
            },
            not_suspendable: match self.not_suspendable {
                NotSuspendable::Deactivate => okta::NotSuspendable::Deactivate,
                NotSuspendable::Report => okta::NotSuspendable::Report,
            },
            mails: self.activation_email,
        };
        Ok(Target::new(tenant, &self.credentials_secret_ref))
    }

    fn rules(field: &str) -> Vec<Rule> {
        let rule = format!("m.target != self.provider.{field}.markAttribute");
        let message = format!(
            "this target holds the mark: map another target, or name another attribute in \
             provider.{field}.markAttribute"
        );
        vec![each_row(field, &rule).message(&*message)]
    }
}
