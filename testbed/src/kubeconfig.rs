//! Kubeconfig files, written as JSON, which is YAML.

use std::path::Path;

use anyhow::Result;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

/// The user and the server of a file.
pub(crate) struct Kubeconfig<'a> {
    /// `https://127.0.0.1:<port>`.
    pub(crate) server: &'a str,
    /// PEM.
    pub(crate) authority: &'a str,
    pub(crate) user: &'a str,
    pub(crate) token: &'a str,
    /// The default namespace of the context.
    pub(crate) namespace: &'a str,
}

impl Kubeconfig<'_> {
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let content = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "testbed", "cluster": {
                "server": self.server,
                "certificate-authority-data": BASE64_STANDARD.encode(self.authority),
            }}],
            "users": [{"name": self.user, "user": {"token": self.token}}],
            "contexts": [{"name": "testbed", "context": {
                "cluster": "testbed", "user": self.user, "namespace": self.namespace,
            }}],
            "current-context": "testbed",
        });
        std::fs::write(path, serde_json::to_vec_pretty(&content)?)?;
        Ok(())
    }
}
