//! Why an integration cannot run, and what a failed call means for it.

use std::time::Duration;

use crate::{api::reasons::IntegrationReason, bob, cluster::secrets::SecretError, provider};

/// Why an integration cannot run, or could not run in this pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The reason, a word of the closed list.
    pub reason: IntegrationReason,
    /// What a person has to do.
    pub message: String,
    /// How long the service asks the caller to wait, if it names a time.
    pub wait: Option<Duration>,
    /// Whether the service answered, so that it is connected even though it refused values.
    pub answered: bool,
}

impl Stop {
    /// Returns a stop with this reason.
    pub fn new(reason: IntegrationReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), wait: None, answered: false }
    }

    /// Returns the same stop with the time that the service asks the caller to wait.
    #[must_use]
    pub fn after(self, wait: Option<Duration>) -> Self {
        Self { wait, ..self }
    }
}

/// Returns what a failed call to Bob means for the integration.
#[must_use]
pub fn bob_stop(error: bob::Error) -> Stop {
    let reason = match &error {
        bob::Error::Unauthorized => IntegrationReason::BobUnauthorized,
        bob::Error::Forbidden { .. } => IntegrationReason::BobForbidden,
        bob::Error::Throttled { .. } | bob::Error::Unavailable { .. } => {
            IntegrationReason::BobUnavailable
        }
    };
    let wait = if let bob::Error::Throttled { wait } = &error { *wait } else { None };
    let mut message = error.to_string();
    if reason == IntegrationReason::BobForbidden {
        message.push_str(
            ". Let the permission group of the service user view the employees, their lifecycle \
             and every field that the settings use",
        );
    }
    Stop::new(reason, message).after(wait)
}

/// Returns what a failed call to the provider means for the integration.
#[must_use]
pub fn provider_stop(error: &provider::Error) -> Stop {
    let reason = match error {
        provider::Error::Unauthorized { .. } => IntegrationReason::ProviderUnauthorized,
        provider::Error::Denied { .. } | provider::Error::Forbidden { .. } => {
            IntegrationReason::ProviderForbidden
        }
        provider::Error::Misconfigured { .. } => IntegrationReason::InvalidSettings,
        _ => IntegrationReason::ProviderUnavailable,
    };
    let wait = if let provider::Error::Throttled { wait } = error { *wait } else { None };
    Stop::new(reason, error.to_string()).after(wait)
}

/// Returns what it means for the integration that the provider refuses change after change. A
/// refused value is no outage: a person has to correct it.
#[must_use]
pub fn refusals_stop(error: &provider::Error) -> Stop {
    if matches!(error, provider::Error::Rejected { .. }) {
        let stop = Stop::new(IntegrationReason::InvalidSettings, error.to_string());
        return Stop { answered: true, ..stop };
    }
    provider_stop(error)
}

/// Returns what a Secret that cannot be read means for the integration.
#[must_use]
pub fn secret_stop(error: &SecretError) -> Stop {
    let unavailable = matches!(error, SecretError::Unavailable { .. });
    let reason = if unavailable {
        IntegrationReason::ClusterUnavailable
    } else {
        IntegrationReason::SecretNotFound
    };
    Stop::new(reason, error.to_string())
}
