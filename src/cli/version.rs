//! `bobsync version`: the version of this program, and whether the cluster fits it.

use std::fmt::Write as _;

use clap::Args;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, Client, ResourceExt as _, api::ListParams};
use serde_json::json;

use super::{
    connection::{self, Connection, TIMEOUT},
    table,
};
use crate::cluster::{
    connect::bounded,
    crds::{CrdLook, Crds},
};

const OWN: &str = env!("CARGO_PKG_VERSION");

/// What `bobsync version` is told.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Says only the version of this program, and reads no cluster.
    #[arg(long)]
    pub client: bool,
    #[command(flatten)]
    pub connection: Connection,
    /// How the answer is shown.
    #[arg(long, short, value_enum, default_value = "text", value_name = "FORMAT")]
    pub output: VersionForm,
}

/// How the versions are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum VersionForm {
    Text,
    Json,
}

/// Shows the versions.
///
/// # Errors
/// A sentence for the person at the terminal: no cluster is configured.
pub fn main(options: Options) -> Result<(), String> {
    if options.client {
        return show(options.output, None, &[]);
    }
    connection::run(async {
        let (client, _) = options.connection.open().await?;
        let crds = Crds::new(client.clone());
        let look = match crds.look().await {
            CrdLook::Whole => "they have every field of this version".to_owned(),
            CrdLook::Older => crds.lacking().map_or_else(String::new, |lacking| {
                format!("other than this version: {} has no field {}", lacking.kind, lacking.field)
            }),
            CrdLook::Unanswered => "not found: the API server does not describe them".to_owned(),
        };
        let controllers = controllers(client, options.connection.namespace.as_deref()).await;
        show(options.output, Some(&look), &controllers)
    })
}

/// Returns each controller with its version, as the chart's labels say it, or why they are not
/// known.
async fn controllers(client: Client, namespace: Option<&str>) -> Vec<(String, String)> {
    let api: Api<Deployment> = match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let params = ListParams::default().labels("app.kubernetes.io/name=bobsync");
    match bounded(TIMEOUT, api.list(&params)).await {
        Ok(list) => list
            .items
            .into_iter()
            .map(|deployment| {
                let name = format!(
                    "{}/{}",
                    deployment.namespace().unwrap_or_default(),
                    deployment.name_any()
                );
                let version = deployment.labels().get("app.kubernetes.io/version").cloned();
                (name, version.unwrap_or_else(|| "unknown".to_owned()))
            })
            .collect(),
        Err(error) => vec![("not known".to_owned(), error.to_string())],
    }
}

fn show(
    form: VersionForm,
    crds: Option<&str>,
    controllers: &[(String, String)],
) -> Result<(), String> {
    if form == VersionForm::Json {
        let list: Vec<_> = controllers
            .iter()
            .map(|(name, version)| json!({"name": name, "version": version}))
            .collect();
        let page = json!({"format": "bobsync/version/v1", "client": OWN, "crds": crds,
            "controllers": list});
        return table::print(&format!("{page:#}\n"));
    }
    let mut text = format!("client      {OWN}\n");
    if let Some(crds) = crds {
        let _ = writeln!(text, "CRDs        {crds}");
    }
    for (name, version) in controllers {
        let _ = writeln!(text, "controller  {name}: {version}");
    }
    if crds.is_some() && controllers.is_empty() {
        text.push_str("controller  no Deployment has the label app.kubernetes.io/name=bobsync\n");
    }
    table::print(&text)
}
