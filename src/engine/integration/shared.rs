//! What every worker of the process shares.

use std::sync::Arc;

use tokio::sync::watch;

use super::pacers::Pacers;
use crate::{
    api::key::IntegrationKey,
    cluster::{crds::Crds, events::Events, leadership::Leadership, roster::Roster, status::Writer},
    engine::{
        clock::Clock,
        intake::inbox::Inbox,
        settings::{granted::Granted, tenants::Tenants},
    },
    telemetry::{metrics::Metrics, parts::Parts},
};

/// What every worker shares.
#[derive(Clone)]
pub struct Shared {
    /// The client of the API server, and whether the CRDs have every field of this version.
    pub crds: Crds,
    /// What is known of every `EmployeeSync`.
    pub roster: Roster,
    /// Sends Kubernetes events.
    pub events: Events,
    /// The metrics of the process.
    pub metrics: Arc<Metrics>,
    /// The clock of the process.
    pub clock: Clock,
    /// Whether this process may write.
    pub leadership: Leadership,
    /// What the operator grants the integrations.
    pub granted: Arc<Granted>,
    /// Windows of provider limits, shared by the integrations of one tenant.
    pub pacers: Arc<Pacers>,
    /// The inbox for the events that Bob pushes.
    pub inbox: Inbox,
    /// The integrations of each tenant.
    pub tenants: Arc<Tenants>,
    /// The parts that run in this process.
    pub parts: Parts,
    /// True when the process stops.
    pub stopping: watch::Receiver<bool>,
}

impl Shared {
    /// Returns the client of the API server.
    #[must_use]
    pub fn client(&self) -> &kube::Client {
        self.crds.client()
    }

    /// Returns the writer for the statuses of this integration and its employees.
    #[must_use]
    pub fn writer(&self, key: &IntegrationKey) -> Writer {
        Writer::new(self.client(), &key.namespace, &self.leadership).heeding(&self.crds)
    }
}
