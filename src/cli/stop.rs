//! `bobsync stop` and `bobsync resume`: they set `spec.suspend` of integrations, and nothing else.

use std::{fmt::Write as _, time::Duration};

use clap::{ArgGroup, Args};
use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::time::Instant;

use super::{
    connection::{self, ClusterReader, Connection, Right, TIMEOUT},
    table,
};
use crate::{
    api::{ProvisioningIntegration, conditions, reasons::IntegrationReason},
    cluster::{connect::bounded, crds::Crds, lenient::Lenient},
    domain::settings::go_duration,
};

/// The field manager of the write.
const MANAGER: &str = "bobsync-stop";
/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// What the commands need.
const RIGHTS: [Right; 3] = [
    Right { verb: "list", resource: "provisioningintegrations" },
    Right { verb: "get", resource: "provisioningintegrations" },
    Right { verb: "patch", resource: "provisioningintegrations" },
];
/// Parts of the names of field managers that write an object again from Git.
const FROM_GIT: [&str; 4] = ["kustomize-controller", "helm-controller", "argocd", "fleet"];

/// What `bobsync stop` and `bobsync resume` are told.
#[derive(Clone, Debug, Args)]
#[command(group(ArgGroup::new("which").args(["integration", "all"]).required(true)))]
pub struct Options {
    /// Names of the ProvisioningIntegrations.
    #[arg(value_name = "INTEGRATION")]
    pub integration: Vec<String>,
    /// All integrations of the namespace.
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub connection: Connection,
    /// Ends without waiting until the controller has stopped or begun.
    #[arg(long)]
    pub no_wait: bool,
    /// How long to wait at most, as a Go duration such as 2m.
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = go_duration)]
    pub timeout: Duration,
}

/// Stops or resumes integrations. Succeeds only if each of them has stopped, or works again.
///
/// # Errors
/// A sentence for the person at the terminal.
pub fn main(options: Options, suspend: bool) -> Result<(), String> {
    connection::run(async {
        let (client, namespace) = options.connection.open().await?;
        Crds::require_whole(client.clone()).await?;
        let reader =
            ClusterReader::new(client.clone(), Some(namespace.clone()), &RIGHTS, true).await;
        let mut all = Vec::new();
        reader
            .each(None, |object: Lenient<ProvisioningIntegration>| {
                let name = match &object.0 {
                    Ok(object) => object.metadata.name.clone(),
                    Err(unreadable) => unreadable.metadata.name.clone(),
                };
                all.extend(name);
            })
            .await?;
        if all.is_empty() {
            return Err(format!("there is no ProvisioningIntegration in {}", reader.place()));
        }
        // A name that is wrong is found before the first write.
        if let Some(wrong) = options.integration.iter().find(|name| !all.contains(name)) {
            return Err(format!(
                "nothing was written: there is no ProvisioningIntegration `{wrong}` in {}, only {}",
                reader.place(),
                all.join(", ")
            ));
        }
        let names = if options.all { all } else { options.integration.clone() };
        let desk = Switch { client, namespace, options, suspend };
        for name in &names {
            desk.write(name, &reader).await?;
        }
        for name in names.iter().filter(|_| !desk.options.no_wait) {
            desk.follow(name).await?;
        }
        Ok(())
    })
}

struct Switch {
    client: Client,
    namespace: String,
    options: Options,
    suspend: bool,
}

impl Switch {
    fn api(&self) -> Api<Lenient<ProvisioningIntegration>> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn write(&self, name: &str, reader: &ClusterReader) -> Result<(), String> {
        let patch = Patch::Merge(json!({"spec": {"suspend": self.suspend}}));
        let params =
            PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let written = match bounded(TIMEOUT, self.api().patch(name, &params, &patch)).await {
            Ok(written) => written,
            Err(error) => {
                return Err(reader.refused("provisioningintegrations", None, error).await);
            }
        };
        let word = if self.suspend { "true" } else { "false" };
        let mut said = format!("{}/{name}: spec.suspend is {word}\n", self.namespace);
        if let Ok(object) = &written.0 {
            said.push_str(&from_git(object));
            if let Some(progress) =
                object.status.as_ref().and_then(|status| status.progress.as_ref())
            {
                let _ = writeln!(
                    said,
                    "  under way: {:?}, {} done, since {}",
                    progress.step, progress.done, progress.since.0
                );
            }
        }
        table::print(&said)
    }

    /// Waits until the controller says that it has stopped or that it works.
    async fn follow(&self, name: &str) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let object = bounded(TIMEOUT, self.api().get(name))
                .await
                .map_err(|error| format!("`{name}` cannot be read: {error}"))?;
            let object = object.0.map_err(|unreadable| unreadable.says())?;
            if object.spec.suspend != self.suspend {
                return Err(format!(
                    "{}/{name}: spec.suspend was changed back by another writer",
                    self.namespace
                ));
            }
            let status = object.status.clone().unwrap_or_default();
            let ready = conditions::find(&status.conditions, conditions::Type::Ready);
            let news =
                ready.filter(|ready| ready.observed_generation >= object.metadata.generation);
            let stopped =
                news.is_some_and(|ready| ready.reason == IntegrationReason::Suspended.as_str());
            if news.is_some() && stopped == self.suspend && (!stopped || status.progress.is_none())
            {
                let word = if stopped { "has stopped" } else { "works again" };
                return table::print(&format!("{}/{name} {word}\n", self.namespace));
            }
            if began.elapsed() >= self.options.timeout {
                return Err(format!(
                    "{}/{name}: spec.suspend is written, and the controller has not answered \
                     within {} s. Is it running?",
                    self.namespace,
                    self.options.timeout.as_secs()
                ));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Warns if another program writes the spec from Git.
fn from_git(object: &ProvisioningIntegration) -> String {
    let manager = object
        .managed_fields()
        .iter()
        .filter(|entry| {
            entry.fields_v1.as_ref().is_some_and(|fields| fields.0.get("f:spec").is_some())
        })
        .filter_map(|entry| entry.manager.as_deref())
        .find(|manager| FROM_GIT.iter().any(|name| manager.contains(name)));
    manager.map_or_else(String::new, |manager| {
        format!(
            "  {manager} writes this object from Git and may set it back: change it there too\n"
        )
    })
}
