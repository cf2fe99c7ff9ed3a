//! The key of an integration.

use std::sync::Arc;

/// An integration: namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IntegrationKey {
    /// Namespace of the integration and of its `EmployeeSync`s.
    pub namespace: Arc<str>,
    /// Name of the integration.
    pub name: Arc<str>,
}

impl std::fmt::Display for IntegrationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
