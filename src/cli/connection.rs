//! How the commands reach the API server, and what they say if it refuses.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
};
use serde::de::DeserializeOwned;

use crate::{
    api::GROUP,
    cluster::{
        connect::{self, CallError, bounded},
        crds::Crds,
    },
};

/// How long one call to the API server may take. It waits for an admission webhook for up to 30 s.
pub const TIMEOUT: Duration = Duration::from_secs(35);
/// How many objects one answer of the API server has.
const PAGE: u32 = 500;

/// Which cluster and which namespace a command means.
#[derive(Clone, Debug, Default, Args)]
pub struct Connection {
    /// Namespace of the objects. Default: the namespace of the kubeconfig's context.
    #[arg(long, short, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Context of the kubeconfig. Default: its current context.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// File of the kubeconfig. Default: KUBECONFIG, then ~/.kube/config, then the service account
    /// of the pod.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

impl Connection {
    /// Connects, and returns the namespace that is meant. Makes no request yet.
    ///
    /// # Errors
    /// A sentence for the person at the terminal: no configuration can be read.
    pub async fn open(&self) -> Result<(Client, String), String> {
        connect::install_crypto();
        let (client, default_namespace) =
            connect::client_of(self.context.as_deref(), self.kubeconfig.as_deref()).await?;
        Ok((client, self.namespace.clone().unwrap_or(default_namespace)))
    }
}

/// Runs a command that calls the API server.
///
/// # Errors
/// What the command says.
pub fn run(command: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?
        .block_on(command)
}

/// One right that a command needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    pub verb: &'static str,
    pub resource: &'static str,
}

/// What a command needs that reads integrations and employees.
pub const TO_READ: [Right; 2] = [
    Right { verb: "list", resource: "provisioningintegrations" },
    Right { verb: "list", resource: "employeesyncs" },
];

/// Returns the Role that gives these rights.
fn role(namespace: Option<&str>, rights: &[Right]) -> String {
    let (kind, place) = match namespace {
        Some(namespace) => ("Role", format!("{{name: bobsync-cli, namespace: {namespace}}}")),
        None => ("ClusterRole", "{name: bobsync-cli}".to_owned()),
    };
    let rules: Vec<String> = rights
        .iter()
        .map(|Right { verb, resource }| {
            format!("  - {{apiGroups: [{GROUP}], resources: [{resource}], verbs: [{verb}]}}\n")
        })
        .collect();
    let rules = rules.concat();
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {place}\nrules:\n{rules}"
    )
}

/// The objects of one namespace or of all.
pub struct ClusterReader {
    client: Client,
    /// Absent: all namespaces.
    namespace: Option<String>,
    /// What the command needs.
    rights: Vec<Right>,
}

impl ClusterReader {
    /// Returns the reader of this namespace, or of all of them. Warns if the CRDs are older than
    /// this version.
    pub async fn new(
        client: Client,
        namespace: Option<String>,
        rights: &[Right],
        quiet: bool,
    ) -> Self {
        if !quiet {
            let crds = Crds::new(client.clone());
            crds.look().await;
            if let Some(lacking) = crds.lacking() {
                eprintln!(
                    "warning: the CRD of {} in this cluster does not have the field {}, so it is \
                     not of bobsync {}, and some columns may be empty",
                    lacking.kind,
                    lacking.field,
                    env!("CARGO_PKG_VERSION")
                );
            }
        }
        Self { client, namespace, rights: rights.to_vec() }
    }

    /// Returns the words for where it looks.
    #[must_use]
    pub fn place(&self) -> String {
        self.namespace
            .as_ref()
            .map_or_else(|| "any namespace".to_owned(), |name| format!("the namespace `{name}`"))
    }

    /// Lists every object of a kind, one page after another, so that not all are in memory at once.
    ///
    /// # Errors
    /// A sentence for the person at the terminal.
    pub async fn each<K>(&self, labels: Option<&str>, mut see: impl FnMut(K)) -> Result<(), String>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let api: Api<K> = match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        };
        let mut page = ListParams::default().limit(PAGE);
        page.label_selector = labels.map(str::to_owned);
        loop {
            let list = match bounded(TIMEOUT, api.list(&page)).await {
                Ok(list) => list,
                Err(error) => return Err(self.refused(&K::plural(&()), labels, error).await),
            };
            list.items.into_iter().for_each(&mut see);
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page.continue_token = Some(token),
                None => return Ok(()),
            }
        }
    }

    /// Says what a refused list means and what to do.
    pub async fn refused(&self, plural: &str, labels: Option<&str>, error: CallError) -> String {
        match (error.code(), labels) {
            (Some(403), _) => self.without_rights(plural).await,
            (Some(404), _) => "the CRDs of bobsync are not in this cluster. Install them: bobsync \
                               crds | kubectl apply --server-side -f -"
                .to_owned(),
            (Some(400), Some(labels)) => format!("`{labels}` is not a label selector: {error}"),
            _ => format!("{plural} in {} cannot be listed: {error}", self.place()),
        }
    }

    /// Names each right that is missing, and the Role that gives them.
    async fn without_rights(&self, plural: &str) -> String {
        let mut missing = Vec::new();
        for right in &self.rights {
            if self.may(*right).await == Some(false) {
                missing.push(*right);
            }
        }
        if missing.is_empty() {
            missing.extend(self.rights.iter().filter(|right| right.resource == plural));
        }
        let names: Vec<_> = missing
            .iter()
            .map(|Right { verb, resource }| format!("  {verb} {resource}.{GROUP}"))
            .collect();
        format!(
            "you do not have these rights in {}:\n{}\nThis role gives them, after a binding:\n\n{}",
            self.place(),
            names.join("\n"),
            role(self.namespace.as_deref(), &missing)
        )
    }

    /// Returns whether the caller has a right, if the API server says it.
    async fn may(&self, right: Right) -> Option<bool> {
        let reviews: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    group: Some(GROUP.to_owned()),
                    namespace: self.namespace.clone(),
                    resource: Some(right.resource.to_owned()),
                    verb: Some(right.verb.to_owned()),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let answer = bounded(TIMEOUT, reviews.create(&PostParams::default(), &review)).await;
        answer.ok()?.status.map(|status| status.allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_gives_exactly_what_is_missing() {
        assert_eq!(
            role(Some("people"), &TO_READ[1..]),
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: bobsync-cli, \
             namespace: people}\nrules:\n  - {apiGroups: [bobsync.dev], resources: \
             [employeesyncs], verbs: [list]}\n"
        );
        assert!(role(None, &TO_READ).contains("kind: ClusterRole\nmetadata: {name: bobsync-cli}"));
    }

    // A kind that is not served is refused in plain text.
    #[tokio::test]
    async fn missing_crds_are_named_with_what_installs_them() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = axum::Router::new()
            .fallback(|| async { (axum::http::StatusCode::NOT_FOUND, "404 page not found\n") });
        let server = tokio::spawn(crate::server::front::serve(
            listener,
            router,
            crate::server::front::Limits::default(),
            std::future::pending(),
        ));
        let config = kube::Config::new(format!("http://{address}").parse().expect("an address"));
        let client = connect::with_settings(config).expect("a client");
        let reader = ClusterReader::new(client, None, &TO_READ, true).await;
        let said = reader.each(None, |_: crate::api::EmployeeSync| {}).await.expect_err("refused");
        assert!(said.contains("bobsync crds | kubectl apply"), "{said}");
        server.abort();
    }
}
